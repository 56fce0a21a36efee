import { parseAddressRange } from '../../base/address-range.ts'
import { isPrivateAddress } from '../../base/cidr.ts'
import { createSetting, type Fault, findFault, refuse, type Setting, type SettingFacts } from '../setting.ts'
import { readList } from './list.ts'

/** Addresses, `from-to` and CIDR ranges that do not overlap. */
export function addressRanges(facts: SettingFacts<readonly string[]>): Setting<readonly string[]> {
  const help = 'write 192.0.2.7, 192.0.2.10-192.0.2.20 or 192.0.2.64/28'
  return createSetting(facts, {
    read(raw, form) {
      const read = readList(raw, form, 'a list of addresses and ranges', (entry) => {
        const fault = findFault(() => parseAddressRange([entry]))
        return fault === undefined ? checkServable(entry) : { message: fault, help }
      })
      if ('problems' in read) return read
      const fault = findFault(() => parseAddressRange(read.value))
      return fault === undefined ? read : refuse(fault, 'name each address once')
    },
    schema: { type: 'array', items: { type: 'string', minLength: 1 } },
    word: 'ADDRESSES',
    separator: ',',
  })
}

/** Refuses addresses that no Service can be reached at. */
export function checkServable(entry: string): Fault | undefined {
  const kind = isPrivateAddress(/^[^-/]*/.exec(entry.trim())![0].trim())
  if (kind !== 'unspecified' && kind !== 'multicast') return undefined
  return { message: `"${entry}" is ${kind}`, help: 'name addresses that this machine has' }
}
