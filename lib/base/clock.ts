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

/** `14:03:11`, local time, of milliseconds since the epoch. */
export function printTime(milliseconds: number): string {
  return new Date(milliseconds).toTimeString().slice(0, 8)
}

/** ISO 8601, of milliseconds since the epoch; `''` if the number is not a time. */
export function printIsoTime(milliseconds: number): string {
  return Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : ''
}
