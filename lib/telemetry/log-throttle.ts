/** Admits one line for each key and minute, so that a client cannot flood the log by repetition. */
import type { Clock } from '../base/clock.ts'

const PERIOD = 60_000
/** Most keys in a minute; lines of further keys are left out. */
const MAX_KEYS = 1024

export class LogThrottle {
  readonly #seen = new Set<string>()
  readonly #clock: Clock
  #from: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#from = clock.monotonic()
  }

  /** True if a line with this key may be logged now. */
  admit(key: string): boolean {
    const now = this.#clock.monotonic()
    if (now - this.#from >= PERIOD) {
      this.#seen.clear()
      this.#from = now
    }
    if (this.#seen.has(key) || this.#seen.size >= MAX_KEYS) return false
    this.#seen.add(key)
    return true
  }
}
