/** A clock and timers that stand still until they are told to go on. */
import type { Clock } from '../../lib/base/clock.ts'
import type { Timers } from '../../lib/base/timers.ts'

export class FakeTime implements Clock, Timers {
  #now = 0
  readonly #start = Date.UTC(2026, 0, 1)
  readonly #timers = new Set<{ at: number; run: () => void }>()

  now(): number {
    return this.#start + this.#now
  }

  monotonic(): number {
    return this.#now
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.#now + milliseconds, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Timers that are set: milliseconds from now, in order. */
  get pending(): readonly number[] {
    return [...this.#timers].map(({ at }) => at - this.#now).sort((a, b) => a - b)
  }

  /** Lets so much time go by, and all that is due in it happen in its order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (!next) break
      this.#now = Math.max(this.#now, next.at)
      this.#timers.delete(next)
      next.run()
    }
    this.#now = end
  }
}
