/** Has a balancer hear of the load of its candidates. HOT */
import type { LoadObserver } from '../../endpoint/endpoint.ts'
import type { Candidate } from '../candidates.ts'

/** From now on this observer hears of these endpoints, and no other. */
export function watchLoad(candidates: readonly Candidate[], observer: LoadObserver): void {
  for (let slot = 0; slot < candidates.length; slot++) candidates[slot]!.state.watchLoad(observer, slot)
}
