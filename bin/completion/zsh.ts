/** Completion for zsh, with the words of the help. */
import { type CompletedFlag, type CompletedVerb, SETTING_NAMES, type Values } from './table.ts'

export function printZsh(verbs: readonly CompletedVerb[]): string {
  const found = verbs.flatMap(({ flags }) => flags.filter(({ isSetting }) => isSetting))
  const settings = [...new Map(found.map((flag) => [flag.name, flag])).values()]
  return [
    '#compdef portico',
    '# zsh completion of portico: source <(portico completion zsh), or in a folder of $fpath as _portico',
    '_portico() {',
    '  local -a verbs settings names',
    `  verbs=(${verbs.map(({ name, line }) => quote(`${name}:${line}`)).join(' ')})`,
    `  names=(${SETTING_NAMES.map((name) => quote(`${name}=`)).join(' ')})`,
    '  settings=(',
    ...settings.flatMap(specs).map((spec) => `    ${spec}`),
    '  )',
    '  if (( CURRENT == 2 )); then',
    '    _describe verb verbs',
    '    return',
    '  fi',
    '  local verb=$words[2]',
    '  shift words',
    '  (( CURRENT-- ))',
    '  case $verb in',
    ...verbs.flatMap(printVerb),
    '  esac',
    '}',
    'if [[ $funcstack[1] == _portico ]]; then _portico "$@"; else compdef _portico portico; fi',
  ].join('\n')
}

function printVerb({ name, flags, words }: CompletedVerb): string[] {
  const own = flags.filter(({ isSetting }) => !isSetting)
  const hasSettings = flags.some(({ isSetting }) => isSetting)
  return [
    `    ${name})`,
    '      _arguments \\',
    ...own.flatMap(specs).map((spec) => `        ${spec} \\`),
    ...(words === undefined ? [] : [`        ${quote(`*:word:${action(words)}`)} \\`]),
    hasSettings ? '        $settings' : '        && return',
    '      ;;',
  ]
}

function specs({ name, short, takesValue, values, isRepeatable, doc }: CompletedFlag): string[] {
  const repeat = isRepeatable ? '*' : ''
  const text = doc.replace(/[[\]:\\]/g, '\\$&')
  const value = takesValue ? `:value:${action(values)}` : ''
  return [
    quote(`${repeat}--${name}${takesValue ? '=' : ''}[${text}]${value}`),
    ...(short ? [quote(`${repeat}-${short}${takesValue ? '+' : ''}[${text}]${value}`)] : []),
  ]
}

function action(values: Values): string {
  if (values === undefined) return ' '
  if (values === 'files') return '_files'
  return values === 'settings' ? "compadd -S '' -a names" : `(${values.join(' ')})`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
