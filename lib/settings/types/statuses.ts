import { parseStatusRanges } from '../../base/status-ranges.ts'
import { createSetting, refuse, type Setting, type SettingFacts, show } from '../setting.ts'

/** Ranges of HTTP status codes, as one text. */
export function statuses(facts: SettingFacts<string>): Setting<string> {
  return createSetting(facts, {
    read(raw) {
      // In YAML a single status is a number.
      const text = typeof raw === 'number' ? String(raw) : raw
      if (typeof text === 'string' && parseStatusRanges(text)) return { value: text }
      return refuse(`${show(raw)} is no list of status codes`, 'write 200-399, or 200,204')
    },
    schema: { type: ['string', 'integer'] },
    word: 'STATUSES',
  })
}
