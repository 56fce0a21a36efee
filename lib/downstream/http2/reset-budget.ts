/** How many HTTP/2 streams of one connection may end early: stops rapid reset (CVE-2023-44487) and its variants. */
import type { Clock } from '../../base/clock.ts'

/** A browser that leaves a page cancels as many streams as it may have open: that is no attack. */
const BURST = 100
/** Given back each second. */
const REFILL = 20

export class ResetBudget {
  #left = BURST
  #at: number
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
    this.#at = clock.monotonic()
  }

  /** A stream ended as it should. */
  restore(): void {
    if (this.#left < BURST) this.#left++
  }

  /** A stream was reset, by either side; false when it was one too many. */
  spend(): boolean {
    const now = this.#clock.monotonic()
    this.#left = Math.min(BURST, this.#left + ((now - this.#at) / 1000) * REFILL)
    this.#at = now
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
