/** What the health of endpoints means for the choice among them. */
import type { Endpoint } from './upstream.ts'

/** Whether nothing speaks against it: what is not known yet is good. */
export function isInGoodHealth({ health }: Endpoint): boolean {
  return health === undefined || health.state === 'healthy'
}

/** Whether requests go there while all is well: ready, with a weight above 0. Its health is another matter. */
export function isEligible({ ready, weight }: Endpoint): boolean {
  return ready && weight > 0
}

/** Whether so few of the eligible endpoints are in good health that health is not to be looked at; `threshold` in percent, 0 is never. */
export function isPanic(endpoints: readonly Endpoint[], threshold: number): boolean {
  if (threshold === 0) return false
  const eligible = endpoints.filter(isEligible)
  const good = eligible.filter(isInGoodHealth).length
  return good * 100 < eligible.length * threshold
}
