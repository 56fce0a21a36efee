/** Counts the bugs that cost one connection, and logs their stacks. */
import type { Clock } from '../base/clock.ts'
import type { Place } from '../base/contain.ts'
import type { Log } from './log.ts'
import { LogThrottle } from './log-throttle.ts'
import type { RequestCounts } from './request-counts.ts'

export function createContainedLog(
  log: Log,
  counts: RequestCounts,
  clock: Clock,
): (place: Place, error: unknown) => void {
  const throttle = new LogThrottle(clock)
  return (place, error) => {
    counts.countContained(place)
    // The throwing frame is part of the key, so that one bug does not hide another.
    const frame = error instanceof Error ? error.stack?.split('\n')[1] : ''
    if (throttle.admit(`${place} ${frame}`)) log.error({ err: error, where: place }, 'a bug: its connection is cut')
  }
}
