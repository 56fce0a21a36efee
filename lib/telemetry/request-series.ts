/** The counts of one route's requests: a request costs a few additions. HOT */

/** Upper bounds of the buckets in seconds: those of Prometheus' own clients, with finer ones below and coarser ones above. */
export const BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

/** A histogram as plain data. */
export type DistributionData = Readonly<{ counts: readonly number[]; sum: number }>

/** A histogram: the number of values in each bucket, and their sum. */
export class Distribution {
  /** One count for each bucket, and the last for all larger values. */
  readonly counts: number[] = new Array<number>(BUCKETS.length + 1).fill(0)
  sum = 0

  observe(seconds: number): void {
    let index = 0
    while (index < BUCKETS.length && seconds > (BUCKETS[index] as number)) index++
    this.counts[index] = (this.counts[index] as number) + 1
    this.sum += seconds
  }

  add({ counts, sum }: DistributionData): void {
    for (const [index, count] of counts.entries()) this.counts[index] = (this.counts[index] as number) + count
    this.sum += sum
  }

  /** Takes out all values since the last call. */
  take(): DistributionData {
    const taken = { counts: [...this.counts], sum: this.sum }
    this.counts.fill(0)
    this.sum = 0
    return taken
  }
}

/** A series as plain data, for another process. */
export type SeriesData = Readonly<{
  ingress: string
  service: string
  duration: DistributionData
  upstream: DistributionData
  requests: ReadonlyMap<string, ReadonlyMap<number, number>>
  bytesIn: number
  bytesOut: number
  upstreamErrors: ReadonlyMap<string, number>
  retries: ReadonlyMap<string, number>
}>

export class RequestSeries {
  readonly ingress: string
  readonly service: string
  readonly duration: Distribution = new Distribution()
  readonly upstream: Distribution = new Distribution()
  /** By method, then by status. */
  requests: Map<string, Map<number, number>> = new Map()
  /** Bytes from and to clients: bodies, and all bytes of tunnels. */
  bytesIn = 0
  bytesOut = 0
  /** Failures of the upstream, by error code. */
  upstreamErrors: Map<string, number> = new Map()
  /** By reason and result, joined by a blank. */
  retries: Map<string, number> = new Map()

  constructor(ingress: string, service: string) {
    this.ingress = ingress
    this.service = service
  }

  count(method: string, status: number): void {
    increment(this.#countsOf(method), status, 1)
  }

  add({ duration, upstream, requests, bytesIn, bytesOut, upstreamErrors, retries }: SeriesData): void {
    this.bytesIn += bytesIn
    this.bytesOut += bytesOut
    this.duration.add(duration)
    this.upstream.add(upstream)
    for (const [method, counts] of requests) {
      for (const [status, count] of counts) increment(this.#countsOf(method), status, count)
    }
    for (const [code, count] of upstreamErrors) increment(this.upstreamErrors, code, count)
    for (const [what, count] of retries) increment(this.retries, what, count)
  }

  /** Takes out all counts since the last call; undefined if there are none. */
  take(): SeriesData | undefined {
    const { ingress, service, requests, bytesIn, bytesOut, upstreamErrors, retries } = this
    if (requests.size === 0) return undefined
    this.requests = new Map()
    this.bytesIn = 0
    this.bytesOut = 0
    this.upstreamErrors = new Map()
    this.retries = new Map()
    return {
      ingress,
      service,
      duration: this.duration.take(),
      upstream: this.upstream.take(),
      requests,
      bytesIn,
      bytesOut,
      upstreamErrors,
      retries,
    }
  }

  #countsOf(method: string): Map<number, number> {
    let counts = this.requests.get(method)
    if (!counts) {
      counts = new Map()
      this.requests.set(method, counts)
    }
    return counts
  }
}

/** Adds to the count at `key`. */
export function increment<K>(counts: Map<K, number>, key: K, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
