/** The flags of a verb, and the reading of a command line by them. */
import { parseArgs } from 'node:util'
import { explainFormer } from '../lib/settings/former-setting.ts'
import { flagName } from '../lib/settings/resolve.ts'
import { suggestName } from './suggestion.ts'
import { UsageError } from './usage-error.ts'

export type Flag = Readonly<{
  name: string
  short?: string
  /** The word that stands for the value in help; absent: the flag is a switch. */
  value?: string
  /** What the value may be, for shells, where the word does not say it. */
  values?: readonly string[]
  repeatable?: true
  doc: string
  /** The setting that the flag changes, by its dotted name; `to` is what a switch sets it to. */
  setting?: string
  to?: string
}>

/** A command line that was read: the values of each flag in order, and the other words. */
export type Typed = Readonly<{
  /** All flags of the verb. */
  flags: readonly Flag[]
  has(name: string): boolean
  /** The last value, if a flag that is not repeatable was given twice. */
  value(name: string): string | undefined
  values(name: string): readonly string[]
  positionals: readonly string[]
}>

/** Reads the words after the verb. Throws a UsageError that names the nearest flag. */
export function readFlags(words: readonly string[], flags: readonly Flag[]): Typed {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple: true }> = {}
  for (const { name, short, value } of flags) {
    options[name] = { type: value ? 'string' : 'boolean', multiple: true, ...(short && { short }) }
  }
  const { tokens, positionals } = parseArgs({
    args: [...words],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const typed = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const flag = flags.find(({ name }) => name === token.name)
    if (!flag) throw unknownFlag(token.rawName, flags)
    if (!flag.value && token.inlineValue)
      throw new UsageError(`${token.rawName} is a switch and takes no value, not "${token.value}"`)
    if (flag.value && (token.value === undefined || token.value === ''))
      throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${flag.value}`)
    if (flag.value && !token.inlineValue && token.value?.startsWith('-') && token.value !== '-')
      throw new UsageError(
        `${token.rawName} needs a value; one that begins with a dash is written ${token.rawName}=${flag.value}`,
      )
    const values = typed.get(flag.name)
    if (values) values.push(token.value ?? '')
    else typed.set(flag.name, [token.value ?? ''])
  }
  return {
    flags,
    has: (name) => typed.has(name),
    value: (name) => typed.get(name)?.at(-1),
    values: (name) => typed.get(name) ?? [],
    positionals,
  }
}

function unknownFlag(rawName: string, flags: readonly Flag[]): UsageError {
  const former = explainFormer(rawName, flagName)
  if (former) return new UsageError(former.message, former.help)
  const names = flags.flatMap(({ name, short }) => [`--${name}`, ...(short ? [`-${short}`] : [])])
  return new UsageError(`unknown flag ${rawName}`, suggestName(rawName, names))
}
