/** What one load came to. */
export type LoadResult = Readonly<{
  /** Requests answered with a 2xx, or messages echoed. */
  requests: number
  seconds: number
  p50Ms: number
  p99Ms: number
  /** Whatever went wrong: connections, reads, writes, time limits, other statuses. */
  failures: number
}>

/** The value below which `part` (0 to 1) of the sorted values lie. */
export function percentile(sorted: ArrayLike<number>, part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}
