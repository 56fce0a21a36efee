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

export function integer({ min, max, ...facts }: SettingFacts<number> & Range): Setting<number> {
  return createSetting(facts, {
    read: (raw, form) => readInteger(raw, form, min ?? Number.MIN_SAFE_INTEGER, max ?? Number.MAX_SAFE_INTEGER),
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
