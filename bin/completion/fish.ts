/** Completion for fish, with the words of the help. */
import { type CompletedFlag, type CompletedVerb, SETTING_NAMES, type Values } from './table.ts'

export function printFish(verbs: readonly CompletedVerb[]): string {
  /** The same flag of several verbs is one line. */
  const lines = new Map<string, string[]>()
  for (const { name, flags } of verbs) {
    for (const flag of flags) {
      const line = printFlag(flag)
      lines.set(line, [...(lines.get(line) ?? []), name])
    }
  }
  return [
    '# fish completion of portico: portico completion fish | source',
    `set -g __portico_names ${SETTING_NAMES.map((name) => `${name}=`).join(' ')}`,
    'complete -c portico -f',
    ...verbs.map(({ name, line }) => `complete -c portico -n __fish_use_subcommand -a ${name} -d ${quote(line)}`),
    ...verbs.flatMap(({ name, words }) => (words === undefined ? [] : [`${seen([name])} ${offer(words)}`])),
    ...[...lines].map(([line, names]) => `${seen(names)} ${line}`),
  ].join('\n')
}

function seen(names: readonly string[]): string {
  return `complete -c portico -n ${quote(`__fish_seen_subcommand_from ${names.join(' ')}`)}`
}

function printFlag({ name, short, takesValue, values, doc }: CompletedFlag): string {
  // `-x` keeps files from where a value is another thing.
  const value = !takesValue
    ? ''
    : values === undefined
      ? ' -x'
      : `${values === 'files' ? ' -r' : ' -x'} ${offer(values)}`
  return `-l ${name}${short ? ` -s ${short}` : ''}${value} -d ${quote(doc)}`
}

function offer(values: Exclude<Values, undefined>): string {
  if (values === 'files') return '-F'
  return `-a ${quote(values === 'settings' ? '$__portico_names' : values.join(' '))}`.replace(
    "'$__portico_names'",
    '"$__portico_names"',
  )
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
