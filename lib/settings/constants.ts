/** What was a setting once: it is a constant now, or has another name. */
import type { Fault } from './setting.ts'

/** Values by dotted name. */
const CONSTANTS: Readonly<Record<string, string>> = {
  'dns.forwardTimeout': '2s',
  'dns.maxForwards': '512',
  'dns.maxConnections': '256',
  'dns.idleTimeout': '10s',
  'upstream.circuit.interval': '10s',
  'upstream.circuit.maxOpenTime': '1m',
  'upstream.circuit.halfOpenRequests': '3',
}

/** The name that a setting has now, by the dotted name that it had. */
const RENAMED: Readonly<Record<string, string>> = {
  'upstream.retry.timeout': 'upstream.timeouts.request',
}

/** What to tell people who give one that has another name now. */
export function explainRenamed(written: string, spell = (name: string): string => name): Fault | undefined {
  const found = Object.entries(RENAMED).find(([name]) => spell(name) === written)
  return found && { message: `${written} has another name now`, help: `write ${spell(found[1])}` }
}

/** What to tell people who give one of the constants; `spell` makes of a dotted name what they would have written. */
export function explainConstant(written: string, spell = (name: string): string => name): Fault | undefined {
  const found = Object.entries(CONSTANTS).find(([name]) => spell(name) === written)
  return found && { message: `${written} is no longer a setting: it is always ${found[1]}`, help: 'take it out' }
}
