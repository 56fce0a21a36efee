/** Who is told at once when an endpoint gets one request more or less. HOT */
import type { Candidate } from '../candidates.ts'

export type LoadObserver = {
  /** `slot` is the place of the endpoint among the candidates watched, `delta` 1 or -1; `inFlight` has changed already. */
  onLoad(slot: number, delta: number): void
}

/** From now on this observer hears of these endpoints, and no other. */
export function watchLoad(candidates: readonly Candidate[], observer: LoadObserver): void {
  for (let slot = 0; slot < candidates.length; slot++) candidates[slot]!.state.watchLoad(observer, slot)
}
