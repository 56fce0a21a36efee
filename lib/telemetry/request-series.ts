/** What the metrics know of one route's requests, counted so that a request costs a few additions. HOT */

/** Upper bounds in seconds: those of Prometheus' own clients, with finer ones below and coarser ones above. */
export const BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

/** A histogram: how many values fell into each bucket, and their sum. */
export class Distribution {
  /** One for each bucket, and the last for all above. */
  readonly counts: number[] = new Array<number>(BUCKETS.length + 1).fill(0)
  sum = 0

  observe(seconds: number): void {
    let index = 0
    while (index < BUCKETS.length && seconds > (BUCKETS[index] as number)) index++
    this.counts[index] = (this.counts[index] as number) + 1
    this.sum += seconds
  }
}

export class RequestSeries {
  readonly ingress: string
  readonly service: string
  readonly duration: Distribution = new Distribution()
  readonly upstream: Distribution = new Distribution()
  /** By method, then by status. */
  readonly requests: Map<string, Map<number, number>> = new Map()
  /** By error code, those that are the upstream's fault. */
  readonly upstreamErrors: Map<string, number> = new Map()

  constructor(ingress: string, service: string) {
    this.ingress = ingress
    this.service = service
  }

  count(method: string, status: number): void {
    let counts = this.requests.get(method)
    if (!counts) {
      counts = new Map()
      this.requests.set(method, counts)
    }
    increment(counts, status)
  }
}

/** Adds one to the count at `key`. */
export function increment<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
