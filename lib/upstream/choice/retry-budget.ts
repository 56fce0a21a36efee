/** How many tries may be added to what an upstream has to carry: without a limit, retries are what keeps a failing service down. HOT */
import type { UpstreamPolicy } from '../../settings/service.ts'
import { SlidingWindow } from '../endpoint/sliding-window.ts'

const WINDOW_SECONDS = 10

/** Of one upstream, in one process. Times by the monotonic clock. */
export class RetryBudget {
  readonly #window = new SlidingWindow(WINDOW_SECONDS * 1000)

  /** A request came. */
  count(now: number): void {
    this.#window.turn(now)
    this.#window.countAll()
  }

  /** Whether another try is allowed; it is counted then. */
  take(now: number, { budget, budgetMinimum }: UpstreamPolicy['retry']): boolean {
    const window = this.#window
    window.turn(now)
    if (window.some >= Math.max((window.all * budget) / 100, budgetMinimum * WINDOW_SECONDS)) return false
    window.countSome()
    return true
  }
}
