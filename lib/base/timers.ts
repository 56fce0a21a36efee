/** Timers, injectable beside the clock. They keep no process alive by themselves. */

export type Timers = {
  /** Calls `run` once after so many milliseconds, unless the returned function is called before. */
  after(milliseconds: number, run: () => void): () => void
}

/** Beyond this delay Node's timers fire at once. */
export const MAX_TIMER_MS = 2_147_483_647

export const systemTimers: Timers = {
  after(milliseconds, run) {
    const timer = setTimeout(run, Math.min(milliseconds, MAX_TIMER_MS)).unref()
    return () => clearTimeout(timer)
  },
}
