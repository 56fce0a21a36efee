/** Waits for what a test makes happen; the test's own time limit ends it. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

/** Looks at once, then less and less often: a wait must not take the CPU from what it waits for. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let look = 0; !(await isSo()); look++) await (look < 3 ? nextTurn() : sleep(Math.min(look - 2, 10)))
}
