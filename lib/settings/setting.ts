/** One setting: what the table says of it, and what its type knows: how values are read, described, given by a flag and written. */
import type { FieldPath } from '../base/position.ts'
import { PRIVATE_KEY } from '../base/veil.ts'

/** What the table says of a setting. */
export type SettingFacts<T> = Readonly<{
  default: T
  doc: string
  /** read once, at the start */
  restart?: true
  /** an Ingress can have it for its own routes */
  route?: true
  /** does nothing unless another setting of the same Service, dotted and below `upstream`, has this value */
  needs?: Readonly<{ name: 'balancer' | 'affinity.type'; value: string }>
  /** right for almost everybody as it is: help lists it last */
  advanced?: true
  /** never printed, nor the line where it stands */
  secret?: true
}>

/** What a type knows. */
export type SettingType<T> = Readonly<{
  /** `variable` is the setting's environment variable, for advice. */
  read(raw: unknown, form: Form, variable: string): Read<T>
  /** JSON Schema of a value in a document. */
  schema: Schema
  /** The word that stands for the value of its flag in help; absent: the flag is a switch for each way. */
  word?: string
  /** Of a list: what stands between entries that are given in one text. Its flag may be given several times. */
  separator?: ',' | ' '
  /** The only values, where these are few. */
  choices?: readonly string[]
  /** The value as people write it in a document. */
  write(value: T): unknown
}>

export type Setting<T = unknown> = SettingFacts<T> & SettingType<T>

/** `document`: a value of YAML, which has a type. `text`: of a flag, an environment variable or an annotation. */
export type Form = 'document' | 'text'

export type Read<T = unknown> =
  | Readonly<{ value: T; remarks?: readonly ValueProblem[] }>
  | Readonly<{ problems: readonly ValueProblem[] }>

/** What is wrong with a value, or in a remark what has no effect in it; `at` leads from the setting to the part that is wrong. */
export type ValueProblem = Readonly<{ at: FieldPath; message: string; help: string }>

/** The same, of one entry of a list or of a text. */
export type Fault = Omit<ValueProblem, 'at'>

export type Schema = { readonly [keyword: string]: unknown }

type TypeWithoutWriter<T> = Omit<SettingType<T>, 'write'> & Partial<Pick<SettingType<T>, 'write'>>

/** A setting of a type. Without `write` its values are written as they are held. */
export function createSetting<T>(facts: SettingFacts<T>, type: TypeWithoutWriter<T>): Setting<T> {
  return Object.freeze({
    write: (value: T) => value,
    ...facts,
    ...type,
    read(raw: unknown, form: Form, variable: string): Read<T> {
      if (PRIVATE_KEY.test(JSON.stringify(raw) ?? '')) {
        return refuse('a private key cannot stand here', 'take it out: who can read this file has the key')
      }
      return type.read(raw, form, variable)
    },
  })
}

export function refuse(message: string, help: string, at: FieldPath = []): { problems: ValueProblem[] } {
  return { problems: [{ at, message, help }] }
}

/** What a value looks like to the person who wrote it; secrets never come here. */
export function show(raw: unknown): string {
  const text = JSON.stringify(raw) ?? String(raw)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

/** For advice: in YAML a value with quotes is a string. */
export function unquoted(form: Form): string {
  return form === 'document' ? ', without quotes' : ''
}

/** The message of the RangeError that `parse` throws. */
export function findFault(parse: () => unknown): string | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    return (error as RangeError).message
  }
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
