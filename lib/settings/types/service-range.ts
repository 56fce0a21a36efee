import { parseServiceRange } from '../../base/address-range.ts'
import { createSetting, findFault, refuse, type Setting, type SettingFacts, show } from '../setting.ts'
import { checkServable } from './address-ranges.ts'

/** A CIDR range whose addresses Services get. */
export function serviceRange(facts: SettingFacts<string>): Setting<string> {
  const help = 'write 127.96.0.0/16 or another CIDR range'
  return createSetting(facts, {
    read(raw) {
      if (typeof raw !== 'string') return refuse(`${show(raw)} is not a CIDR range`, help)
      const fault = findFault(() => parseServiceRange(raw))
      if (fault !== undefined) return refuse(fault, help)
      const special = checkServable(raw)
      return special ? refuse(special.message, special.help) : { value: raw }
    },
    schema: { type: 'string', pattern: '^[0-9a-fA-F.:]+/\\d{1,3}$' },
    word: 'CIDR',
  })
}
