/** What shells complete: the verbs with their flags and words, from the tables that read and explain the command line. */
import { SETTING_LIST } from '../../lib/settings/resolve.ts'
import { COMMON_FLAGS, type Command } from '../command.ts'
import type { Flag } from '../flag.ts'
import { VERBS } from '../verbs.ts'

/**
 * What a flag or a verb takes: one of some words, a path (`files`), or a setting as `NAME=VALUE` (`settings`). Undefined where
 * the table does not know what it takes.
 */
export type Values = readonly string[] | 'files' | 'settings' | undefined

export type CompletedFlag = Readonly<{
  name: string
  short: string | undefined
  takesValue: boolean
  values: Values
  isRepeatable: boolean
  /** The first sentence of what it does. */
  doc: string
  /** It changes a setting, as in every verb that has the flag. */
  isSetting: boolean
  /** Offered where no letter of a flag is typed yet. */
  isUsual: boolean
}>

export type CompletedVerb = Readonly<{
  name: string
  line: string
  flags: readonly CompletedFlag[]
  words: Values
}>

export const SETTING_NAMES: readonly string[] = SETTING_LIST.map(({ name }) => name)

const CHOICES: ReadonlyMap<string, readonly string[]> = new Map(
  SETTING_LIST.flatMap(({ name, choices }) => (choices ? [[name, choices] as const] : [])),
)

export async function listVerbs(): Promise<readonly CompletedVerb[]> {
  return Promise.all(
    VERBS.map(async ({ name, line, load }) => {
      const { command } = await load()
      const flags = [...command.flags, ...COMMON_FLAGS].map((flag) => describeFlag(command, flag))
      return { name, line, flags, words: command.words.values }
    }),
  )
}

function describeFlag(command: Command, flag: Flag): CompletedFlag {
  const { name, short, value, repeatable = false, doc, setting } = flag
  const isUsual = command.firstFlags?.includes(name) ?? (setting === undefined || COMMON_FLAGS.includes(flag))
  return {
    name,
    short,
    takesValue: value !== undefined,
    values: findValues(flag),
    isRepeatable: repeatable,
    doc: doc.replace(/\.( .*)?$/s, ''),
    isSetting: setting !== undefined,
    isUsual,
  }
}

function findValues({ name, value, values, setting }: Flag): Values {
  if (value === undefined) return undefined
  if (values) return values
  if (name === 'set') return 'settings'
  if (/FILE/.test(value)) return 'files'
  const choices = setting === undefined ? undefined : CHOICES.get(setting)
  if (choices) return choices
  // `text|json`; a part in capitals stands for anything.
  const parts = value.split('|').filter((part) => /^[a-z0-9][a-z0-9-]*=?$/.test(part))
  if (parts.length > 0 && value.includes('|')) return parts
  return setting && /file$|folder|socket|dir$/i.test(setting) ? 'files' : undefined
}
