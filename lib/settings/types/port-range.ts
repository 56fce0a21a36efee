import { parsePortRange, printPortRange } from '../../base/port-range.ts'
import { createSetting, refuse, type Setting, type SettingFacts, show } from '../setting.ts'

/** `30000-32767` */
export function portRange(facts: SettingFacts<string>): Setting<string> {
  return createSetting(facts, {
    read(raw) {
      const range = typeof raw === 'string' ? parsePortRange(raw) : undefined
      if (range) return { value: printPortRange(range) }
      return refuse(`${show(raw)} is not a range of ports`, 'write 30000-32767')
    },
    schema: { type: 'string', pattern: '^\\d{1,5}(-\\d{1,5})?$' },
    word: 'PORT-PORT',
  })
}
