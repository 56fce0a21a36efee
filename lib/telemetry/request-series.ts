/** The counts of one route's requests: a request costs a few additions. HOT */

/** Upper bounds of the buckets in seconds: those of Prometheus' own clients, with finer ones below and coarser ones above. */
export const BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

/** Upper bounds in bytes, each four times the one before: from 256 bytes to a gibibyte. */
export const SIZE_BUCKETS: readonly number[] = Array.from({ length: 12 }, (_, power) => 4 ** (power + 4))

/** A request that stands for its bucket: `at` is its beginning, milliseconds since the epoch. */
export type Exemplar = Readonly<{ traceId: string; value: number; at: number }>

/** A histogram as plain data; exemplars by bucket. */
export type DistributionData = Readonly<{
  counts: readonly number[]
  sum: number
  exemplars?: ReadonlyMap<number, Exemplar>
}>

/** Milliseconds that an exemplar stands for its bucket before the next may take its place. */
const EXEMPLAR_MS = 1_000

/** A histogram: the number of values in each bucket, and their sum. */
export class Distribution {
  /** Upper bounds of the buckets. */
  readonly bounds: readonly number[]
  /** One count for each bucket, and the last for all larger values. */
  readonly counts: number[]
  sum = 0
  /** By bucket; undefined: there are none. */
  exemplars: Map<number, Exemplar> | undefined = undefined

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Array<number>(bounds.length + 1).fill(0)
  }

  /** Returns the bucket. */
  observe(value: number): number {
    const { bounds } = this
    let index = 0
    while (index < bounds.length && value > (bounds[index] as number)) index++
    this.counts[index] = (this.counts[index] as number) + 1
    this.sum += value
    return index
  }

  /** True if the bucket may have a new exemplar at this time. */
  wantsExemplar(bucket: number, at: number): boolean {
    const before = this.exemplars?.get(bucket)
    return before === undefined || at - before.at >= EXEMPLAR_MS
  }

  setExemplar(bucket: number, exemplar: Exemplar): void {
    this.exemplars ??= new Map()
    this.exemplars.set(bucket, exemplar)
  }

  add({ counts, sum, exemplars }: DistributionData): void {
    for (const [index, count] of counts.entries()) this.counts[index] = (this.counts[index] as number) + count
    this.sum += sum
    for (const [bucket, exemplar] of exemplars ?? []) this.setExemplar(bucket, exemplar)
  }

  /** Takes out all values since the last call. */
  take(): DistributionData {
    const { exemplars } = this
    const taken = { counts: [...this.counts], sum: this.sum, ...(exemplars && { exemplars }) }
    this.counts.fill(0)
    this.sum = 0
    this.exemplars = undefined
    return taken
  }
}

/** A series as plain data, for another process. */
export type SeriesData = Readonly<{
  ingress: string
  service: string
  route: string
  duration: DistributionData
  upstream: DistributionData
  requestBytes: DistributionData
  responseBytes: DistributionData
  requests: ReadonlyMap<string, ReadonlyMap<number, number>>
  bytesIn: number
  bytesOut: number
  upstreamErrors: ReadonlyMap<string, number>
  retries: ReadonlyMap<string, number>
}>

export class RequestSeries {
  readonly ingress: string
  readonly service: string
  /** The route's id; `''` where routes are not told apart. */
  readonly route: string
  readonly duration: Distribution = new Distribution(BUCKETS)
  readonly upstream: Distribution = new Distribution(BUCKETS)
  /** Of bodies; tunnels are left out. */
  readonly requestBytes: Distribution = new Distribution(SIZE_BUCKETS)
  readonly responseBytes: Distribution = new Distribution(SIZE_BUCKETS)
  /** By method, then by status. */
  requests: Map<string, Map<number, number>> = new Map()
  /** Bytes from and to clients: bodies, and all bytes of tunnels. */
  bytesIn = 0
  bytesOut = 0
  /** Failures of the upstream, by error code. */
  upstreamErrors: Map<string, number> = new Map()
  /** By reason and result, joined by a blank. */
  retries: Map<string, number> = new Map()

  constructor(ingress: string, service: string, route: string) {
    this.ingress = ingress
    this.service = service
    this.route = route
  }

  count(method: string, status: number): void {
    increment(this.#countsOf(method), status, 1)
  }

  add(data: SeriesData): void {
    const { duration, upstream, requests, bytesIn, bytesOut, upstreamErrors, retries } = data
    this.requestBytes.add(data.requestBytes)
    this.responseBytes.add(data.responseBytes)
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
    const { ingress, service, route, requests, bytesIn, bytesOut, upstreamErrors, retries } = this
    if (requests.size === 0) return undefined
    this.requests = new Map()
    this.bytesIn = 0
    this.bytesOut = 0
    this.upstreamErrors = new Map()
    this.retries = new Map()
    return {
      ingress,
      service,
      route,
      duration: this.duration.take(),
      upstream: this.upstream.take(),
      requestBytes: this.requestBytes.take(),
      responseBytes: this.responseBytes.take(),
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
