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

/** What to tell people who give a former setting. */
type FormerSetting = Fault &
  Readonly<{
    /** Its value has no effect. False: it has another name now, and what people want does not happen. */
    isConstant: boolean
  }>

/** Undefined for what was never a setting, or still is one; `spell` makes of a dotted name what people would have written. */
export function explainFormer(written: string, spell = (name: string): string => name): FormerSetting | undefined {
  for (const [name, value] of Object.entries(CONSTANTS)) {
    if (spell(name) !== written) continue
    const message = `${written} is no longer a setting: it is always ${value}`
    return { message, help: 'take it out', isConstant: true }
  }
  for (const [name, now] of Object.entries(RENAMED)) {
    if (spell(name) !== written) continue
    return { message: `${written} has another name now`, help: `write ${spell(now)}`, isConstant: false }
  }
  return undefined
}
