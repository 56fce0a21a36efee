import { createSetting, refuse, type Setting, type SettingFacts, show } from '../setting.ts'
import { readInteger } from './integer.ts'

/** More processes than any machine has cores for are a slip of the hand. */
const MAX_WORKERS = 256

/** A number of processes, or `auto`. */
export function workers(facts: SettingFacts<number | 'auto'>): Setting<number | 'auto'> {
  return createSetting<number | 'auto'>(facts, {
    read(raw, form) {
      if (raw === 'auto') return { value: raw }
      const read = readInteger(raw, form, 0, MAX_WORKERS)
      if ('value' in read || typeof raw === 'number' || /^-?\d+$/.test(String(raw))) return read
      return refuse(`${show(raw)} is no number of workers`, `write auto, or a number up to ${MAX_WORKERS}`)
    },
    schema: { anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 0, maximum: MAX_WORKERS }] },
    word: 'NUMBER|auto',
  })
}
