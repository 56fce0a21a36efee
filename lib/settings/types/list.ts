/** Lists of texts: from YAML, or from one text with commas; a flag given several times comes as a list of such texts. */
import { isIPv6 } from 'node:net'
import {
  createSetting,
  type Fault,
  type Form,
  type Read,
  refuse,
  type Schema,
  type Setting,
  type SettingFacts,
  show,
  type ValueProblem,
} from '../setting.ts'

export type ListType = Readonly<{
  what: string
  word: string
  check(entry: string): Fault | undefined
  /** Of an entry. */
  schema?: Schema
}>

export function createList(facts: SettingFacts<readonly string[]>, type: ListType): Setting<readonly string[]> {
  const { what, word, check, schema = { type: 'string', minLength: 1 } } = type
  return createSetting(facts, {
    read: (raw, form) => readList(raw, form, what, check),
    schema: { type: 'array', items: schema },
    word,
    separator: ',',
  })
}

export function readList(
  raw: unknown,
  form: Form,
  what: string,
  check: (entry: string) => Fault | undefined,
): Read<readonly string[]> {
  const bracketed = form === 'text' && [raw].flat().find(isBracketed)
  if (bracketed) {
    const help = 'write the entries with commas between: one,two'
    return refuse(`${show(bracketed)} has brackets, which are for files`, help)
  }
  const entries = form === 'text' ? splitText(raw, /,/) : raw
  if (!Array.isArray(entries)) return refuse(`must be ${what}`, 'write each on its own line after a dash')
  const problems: ValueProblem[] = []
  for (const [index, entry] of entries.entries()) {
    if (typeof entry !== 'string' || entry === '') {
      problems.push({ at: [index], message: `${show(entry)} is not a name`, help: 'put the value in quotes' })
      continue
    }
    const found = check(entry)
    if (found) problems.push({ ...found, at: [index] })
  }
  return problems.length > 0 ? { problems } : { value: entries }
}

export function splitText(raw: unknown, separator: RegExp): unknown[] {
  const texts = Array.isArray(raw) ? raw : [raw]
  return texts.flatMap((text) =>
    typeof text === 'string'
      ? text
          .split(separator)
          .map((part) => part.trim())
          .filter((part) => part !== '')
      : [text],
  )
}

/** True for a list as YAML or Helm have it, false for an IPv6 address in brackets. */
function isBracketed(text: unknown): boolean {
  const inner = typeof text === 'string' ? /^[[{]([^[\]]*)[\]}]$/.exec(text.trim())?.[1] : undefined
  return inner !== undefined && !isIPv6(inner)
}
