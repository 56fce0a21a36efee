/** Observers of the number of requests at endpoints, told of each change at once. HOT */
import type { Candidate } from '../candidates.ts'

export type LoadObserver = {
  /** `slot` is the endpoint's index among the watched candidates, `delta` is 1 or -1; `inFlight` has already changed. */
  onLoad(slot: number, delta: number): void
}

/** Makes `observer` the only observer of these endpoints. */
export function watchLoad(candidates: readonly Candidate[], observer: LoadObserver): void {
  for (let slot = 0; slot < candidates.length; slot++) candidates[slot]!.state.watchLoad(observer, slot)
}
