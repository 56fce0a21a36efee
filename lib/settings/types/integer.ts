import {
  createSetting,
  type Form,
  type Read,
  refuse,
  type Setting,
  type SettingFacts,
  show,
  unquoted,
} from '../setting.ts'
import { checkRange, describeRange, type Range } from './range.ts'

/** Of an int32, as the numbers of Kubernetes are: nothing here counts further, so a larger number is a slip. */
const MAX_INTEGER = 2_147_483_647

export function integer({ min, max = MAX_INTEGER, ...facts }: SettingFacts<number> & Range): Setting<number> {
  return createSetting(facts, {
    read: (raw, form) => readInteger(raw, form, min ?? -MAX_INTEGER, max),
    schema: { type: 'integer', ...describeRange(min, max) },
    word: 'NUMBER',
  })
}

export function readInteger(raw: unknown, form: Form, min: number, max: number): Read<number> {
  const value = form === 'text' && typeof raw === 'string' && /^-?\d{1,15}$/.test(raw) ? Number(raw) : raw
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    const link = typeof raw === 'string' && /^(tcp|udp):\/\//.test(raw)
    return refuse(
      `${show(raw)} is not a whole number`,
      link
        ? 'Kubernetes and Docker set this variable for a Service of that name: set enableServiceLinks: false'
        : `write digits alone${unquoted(form)}`,
    )
  }
  return checkRange(value, min, max, String)
}
