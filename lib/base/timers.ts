/** Timers, injectable beside the clock. They keep no process alive by themselves. */

export type Timers = {
  /** Calls `run` once after so many milliseconds; what it gives takes that back. */
  after(milliseconds: number, run: () => void): () => void
}

export const systemTimers: Timers = {
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds).unref()
    return () => clearTimeout(timer)
  },
}
