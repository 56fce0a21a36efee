import { parseResolverAddress, SYSTEM_RESOLVERS } from '../../base/resolver-address.ts'
import type { Setting, SettingFacts } from '../setting.ts'
import { createList } from './list.ts'

/** Addresses of DNS servers. With `system` the word "system" may stand for the system's servers. */
export function servers({
  system = false,
  ...facts
}: SettingFacts<readonly string[]> & Readonly<{ system?: boolean }>): Setting<readonly string[]> {
  const last = system ? `, [2001:db8::53]:5353 or ${SYSTEM_RESOLVERS}` : ' or [2001:db8::53]:5353'
  return createList(facts, {
    what: 'a list of DNS servers',
    word: 'ADDRESS',
    check(entry) {
      if (parseResolverAddress(entry) || (system && entry === SYSTEM_RESOLVERS)) return undefined
      const help = `write 192.0.2.53, 192.0.2.53:5353${last}`
      return { message: `"${entry}" is not the address of a DNS server`, help }
    },
  })
}
