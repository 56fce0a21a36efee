/** What was a setting once and is a constant now. */
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

/** What to tell people who give one of them; `spell` makes of a dotted name what they would have written. */
export function explainConstant(written: string, spell = (name: string): string => name): Fault | undefined {
  const found = Object.entries(CONSTANTS).find(([name]) => spell(name) === written)
  return found && { message: `${written} is no longer a setting: it is always ${found[1]}`, help: 'take it out' }
}
