import { DIAGNOSTICS } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import type { Fault, Setting, SettingFacts } from '../setting.ts'
import { createList } from './list.ts'

/** Codes of diagnostics, except for the codes of settings. */
export function codes(facts: SettingFacts<readonly string[]>): Setting<readonly string[]> {
  return createList(facts, { what: 'a list of codes', word: 'CODE', check: checkCode })
}

function checkCode(entry: string): Fault | undefined {
  if (entry.startsWith('PORTICO_SET_')) {
    return { message: `"${entry}" cannot be left out`, help: 'settings with errors are never used' }
  }
  if (Object.hasOwn(DIAGNOSTICS, entry)) return undefined
  const near = findNearest(entry, Object.keys(DIAGNOSTICS))
  return {
    message: `"${entry}" is no code of a problem`,
    help: near ? `did you mean "${near}"?` : 'check prints the code of each, as PORTICO_REF_NO_ENDPOINTS',
  }
}
