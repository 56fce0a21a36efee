import { isIP } from 'node:net'
import { parseAuthority } from '../../base/hostname.ts'
import { createSetting, refuse, type Setting, type SettingFacts, show } from '../setting.ts'

/** A DNS name. */
export function hostname(facts: SettingFacts<string>): Setting<string> {
  return createSetting(facts, {
    read(raw) {
      const parsed = typeof raw === 'string' && !raw.includes(':') ? parseAuthority(raw) : undefined
      if (parsed && isIP(parsed.hostname) === 0) return { value: parsed.hostname }
      const help = 'write a DNS name such as api.example.com, without scheme and port'
      return refuse(`${show(raw)} is not a host name`, help)
    },
    schema: { type: 'string' },
    word: 'NAME',
  })
}
