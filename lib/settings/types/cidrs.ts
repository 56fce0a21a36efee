import { createAddressSet } from '../../base/cidr.ts'
import { findFault, type Setting, type SettingFacts } from '../setting.ts'
import { createList } from './list.ts'

/** Addresses and CIDR ranges. */
export function cidrs(facts: SettingFacts<readonly string[]>): Setting<readonly string[]> {
  return createList(facts, {
    what: 'a list of addresses and CIDR ranges',
    word: 'CIDR',
    check(entry) {
      if (findFault(() => createAddressSet([entry])) === undefined) return undefined
      const help = 'write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32'
      return { message: `"${entry}" is not an address or a CIDR range`, help }
    },
  })
}
