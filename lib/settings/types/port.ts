import { createSetting, type Setting, type SettingFacts } from '../setting.ts'
import { readInteger } from './integer.ts'

export function port(facts: SettingFacts<number>): Setting<number> {
  return createSetting(facts, {
    read: (raw, form) => readInteger(raw, form, 0, 65_535),
    schema: { type: 'integer', minimum: 0, maximum: 65_535 },
    word: 'PORT',
  })
}
