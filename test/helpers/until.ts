/** Waits for what a test makes happen. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds after which nothing happens any more, on the slowest of machines. */
const HOPELESS = 100_000

/** Looks at once, then less and less often: a wait must not take the CPU from what it waits for. Throws after 100 s, with the condition. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const start = performance.now()
  for (let look = 0; !(await isSo()); look++) {
    if (performance.now() - start > HOPELESS) throw new Error(`not so after ${HOPELESS / 1_000} s: ${isSo}`)
    await (look < 3 ? nextTurn() : sleep(Math.min(look - 2, 10)))
  }
}
