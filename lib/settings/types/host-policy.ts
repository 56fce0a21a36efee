import { parseAuthority } from '../../base/hostname.ts'
import { createSetting, refuse, type Setting, type SettingFacts, show } from '../setting.ts'

/** `client`, `endpoint`, or the value of a Host field. */
export function hostPolicy(facts: SettingFacts<string>): Setting<string> {
  return createSetting(facts, {
    read(raw) {
      if (typeof raw === 'string' && parseAuthority(raw)?.hostname) return { value: raw }
      return refuse(`${show(raw)} is not a Host`, 'write client, endpoint, or a host name with or without a port')
    },
    schema: { type: 'string' },
    word: 'client|endpoint|HOST',
  })
}
