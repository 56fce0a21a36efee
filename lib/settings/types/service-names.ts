import type { Setting, SettingFacts } from '../setting.ts'
import { createList } from './list.ts'

/** `namespace/name` */
export const SERVICE_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?\/[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

export function serviceNames(facts: SettingFacts<readonly string[]>): Setting<readonly string[]> {
  return createList(facts, {
    what: 'a list of Services',
    word: 'NS/NAME',
    check(entry) {
      if (SERVICE_NAME.test(entry)) return undefined
      return { message: `"${entry}" names no Service`, help: 'write namespace/name' }
    },
  })
}
