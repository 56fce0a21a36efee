import { createSetting, refuse, type Setting, type SettingFacts, show, unquoted } from '../setting.ts'

export function boolean(facts: SettingFacts<boolean>): Setting<boolean> {
  return createSetting(facts, {
    read(raw, form) {
      if (typeof raw === 'boolean') return { value: raw }
      if (form === 'text' && (raw === 'true' || raw === 'false')) return { value: raw === 'true' }
      return refuse(`${show(raw)} is neither true nor false`, `write true or false${unquoted(form)}`)
    },
    schema: { type: 'boolean' },
  })
}
