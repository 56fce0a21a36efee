/** Long work in steps, so that requests are served in between. One step is the work of a generator between two `yield`s. */
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Milliseconds after which the work pauses for the event loop. */
const SLICE_MS = 2

/** Does the steps in slices of a few milliseconds, with the event loop free between two slices. */
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
