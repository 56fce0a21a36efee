/** How long an endpoint takes to answer, as it was of late. HOT */
import type { Clock } from '../../base/clock.ts'

/** What is this old counts for a third, milliseconds. */
const DECAY_MS = 10_000
/** A failure counts as an answer that took this long, or twice as long as usual, up to the most. */
const FAILURE_MS = 1_000
const MAX_MS = 60_000
/** Nothing is answered faster, nor is anything forgotten further than this. */
const MIN_MS = 0.05
const FIRST_FAILURE = 500

/**
 * A moving average, weighted by age, that jumps to a peak at once and comes down slowly (peak EWMA). Without answers it fades, so
 * that an endpoint that was slow gets another chance.
 */
export class Latency {
  readonly #clock: Clock
  #ms = 0
  #at = 0
  #isKnown = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds at this monotonic time; undefined where nothing is known. */
  read(now: number): number | undefined {
    if (!this.#isKnown) return undefined
    return Math.max(MIN_MS, this.#ms * Math.exp((this.#at - now) / DECAY_MS))
  }

  /** It answered with this status after so many milliseconds. One that fails fast is not fast. */
  answer(status: number, ms: number): void {
    if (status >= FIRST_FAILURE) this.fail()
    else this.#observe(Math.max(MIN_MS, ms))
  }

  fail(): void {
    const now = this.#clock.monotonic()
    this.#observe(Math.min(MAX_MS, Math.max(FAILURE_MS, 2 * (this.read(now) ?? 0))))
  }

  #observe(ms: number): void {
    const now = this.#clock.monotonic()
    const share = this.#isKnown && ms < this.#ms ? Math.exp((this.#at - now) / DECAY_MS) : 0
    this.#ms = this.#ms * share + ms * (1 - share)
    this.#at = now
    this.#isKnown = true
  }
}
