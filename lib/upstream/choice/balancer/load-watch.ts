/** Lets a balancer observe the load of its candidates. HOT */
import type { LoadObserver } from '../../endpoint/endpoint.ts'
import type { Candidate } from '../candidates.ts'

/** Makes `observer` the only observer of these endpoints. */
export function watchLoad(candidates: readonly Candidate[], observer: LoadObserver): void {
  for (let slot = 0; slot < candidates.length; slot++) candidates[slot]!.state.watchLoad(observer, slot)
}
