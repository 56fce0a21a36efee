/** Long work in steps, so that requests are served in between: what a generator does between two `yield`s is one step. */
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work under way gives way to others after this time, milliseconds. */
const SLICE_MS = 2

/** Does the steps in slices of a few milliseconds; whoever waits for the event loop gets it between two of them. */
export async function runInSlices<T>(steps: Iterator<void, T>): Promise<T> {
  let end = performance.now() + SLICE_MS
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
    if (performance.now() < end) continue
    await nextTurn()
    end = performance.now() + SLICE_MS
  }
}

/** Does all steps without a pause. */
export function runAtOnce<T>(steps: Iterator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}
