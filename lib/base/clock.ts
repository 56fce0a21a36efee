/** Time, injectable so that tests need not wait for certificates to expire. */

export type Clock = {
  /** Wall clock, milliseconds since the epoch. */
  now(): number
  /** Monotonic, milliseconds. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}
