import type { Setting, SettingFacts } from '../setting.ts'
import { ADDRESS_SCHEMA, readAddress } from './address.ts'
import { createList } from './list.ts'

/** IP addresses. */
export function addresses(facts: SettingFacts<readonly string[]>): Setting<readonly string[]> {
  return createList(facts, {
    what: 'a list of IP addresses',
    word: 'ADDRESS',
    schema: ADDRESS_SCHEMA,
    check(entry) {
      const read = readAddress(entry)
      return 'value' in read ? undefined : read.problems[0]
    },
  })
}
