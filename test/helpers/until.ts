/** Waits for what a test makes happen; the test's own time limit ends it. */
import { setTimeout as sleep } from 'node:timers/promises'

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(5)
}
