/** Completion for bash 3.2 and later. */
import { type CompletedFlag, type CompletedVerb, SETTING_NAMES, type Values } from './table.ts'

export function printBash(verbs: readonly CompletedVerb[]): string {
  const settings = collectSettings(verbs)
  return `# bash completion of portico: source <(portico completion bash)
_portico_names='${SETTING_NAMES.map((name) => `${name}=`).join(' ')}'
_portico_flags='${listNames(settings).join(' ')}'

_portico() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} verb=\${COMP_WORDS[1]}
  local usual= flags= words= files= value= IFS=$' \\t\\n'
  # bash parts --flag=value into three words.
  if [[ $cur == "=" ]]; then cur=; elif [[ $prev == "=" ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W '${verbs.map(({ name }) => name).join(' ')}' -- "$cur"))
    return 0
  fi
  case $prev in
${printCases(settings).join('\n')}
  esac
  case $verb in
${verbs.flatMap(printVerb).join('\n')}
  esac
  if [[ $value ]]; then flags=$words
  elif [[ $cur == - || $cur == -- ]]; then flags=$usual files=
  elif [[ $cur == -* ]]; then files=
  else flags=$words; fi
  COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  if [[ $files ]]; then
    COMPREPLY+=($(compgen -f -- "$cur"))
    compopt -o filenames 2>/dev/null
  fi
  # What ends in = goes on.
  if [[ \${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
  return 0
}
complete -F _portico portico`
}

function printVerb({ name, flags, words }: CompletedVerb): string[] {
  const own = flags.filter(({ isSetting }) => !isSetting)
  const hasSettings = flags.some(({ isSetting }) => isSetting)
  return [
    `    ${name})`,
    `      usual='${listNames(flags.filter(({ isUsual }) => isUsual)).join(' ')}'`,
    `      flags="${listNames(own).join(' ')}${hasSettings ? ' $_portico_flags' : ''}"`,
    // Unless it is the value of a flag.
    ...(words === undefined ? [] : [`      [[ $value ]] || ${assign(words)}`]),
    ...(own.some(({ takesValue }) => takesValue)
      ? ['      case $prev in', ...printCases(own).map((line) => `    ${line}`), '      esac']
      : []),
    '      ;;',
  ]
}

/** What may follow each flag that takes a value. */
function printCases(flags: readonly CompletedFlag[]): string[] {
  const groups = new Map<string, string[]>()
  for (const { name, short, takesValue, values } of flags) {
    if (!takesValue) continue
    const then = `value=1 words= files=; ${assign(values)}`
    groups.set(then, [...(groups.get(then) ?? []), `--${name}`, ...(short ? [`-${short}`] : [])])
  }
  return [...groups].map(([then, names]) => `    ${names.join('|')}) ${then} ;;`)
}

function assign(values: Values): string {
  if (values === undefined) return ':'
  if (values === 'files') return 'files=1'
  return values === 'settings' ? 'words=$_portico_names' : `words='${values.join(' ')}'`
}

function listNames(flags: readonly CompletedFlag[]): string[] {
  return flags.flatMap(({ name, short }) => [`--${name}`, ...(short ? [`-${short}`] : [])])
}

function collectSettings(verbs: readonly CompletedVerb[]): readonly CompletedFlag[] {
  const found = verbs.flatMap(({ flags }) => flags.filter(({ isSetting }) => isSetting))
  return [...new Map(found.map((flag) => [flag.name, flag])).values()]
}
