/**
 * What the routes and endpoints of a process have to do just now: rates of the last seconds, durations of the last minute. A request costs
 * two look-ups and some additions. HOT
 */
import { REQUEST_ERRORS } from '../base/errors.ts'
import { endOf, type RequestRecord, type RouteLabels } from './record.ts'

/** Upper bounds of the buckets in milliseconds: each a quarter more than the one before. */
export const DURATION_BOUNDS: readonly number[] = makeBounds()
/** The index of 4xx among the classes. */
const REFUSED = 3
/** Seconds over which a rate is taken. The one that runs does not count. */
const RATE_SECONDS = 5
const SLOTS = 8
/** Durations count for at least so many seconds, and twice as long at most. */
const WINDOW = 30
/** Most routes and endpoints that are measured; further ones are left out until others have had no traffic for a while. */
const MOST_METERS = 20_000
/** Seconds without traffic after which a route or endpoint makes room. */
const IDLE = 120
/** Of routes, and of endpoints, so many are told: those with the most traffic. */
const MOST_TOLD = 1_000

function makeBounds(): readonly number[] {
  const bounds: number[] = []
  for (let bound = 0.1; bound < 120_000; bound *= 1.25) bounds.push(Math.round(bound * 100) / 100)
  return bounds
}

/** Plain data, for another process. */
export type MeterData = Readonly<{
  requests: number
  failures: number
  /** By class: 1xx to 5xx. */
  classes: readonly number[]
  /** A second, over the last seconds. */
  rate: number
  /** Failures a second, likewise. */
  failureRate: number
  /** Answers 4xx a second, likewise. */
  refusalRate: number
  /** Counts by bucket, and the last for all longer ones, over the last minute or so. */
  durations: Uint32Array
}>

export type RouteTraffic = MeterData & Readonly<{ labels: RouteLabels | undefined }>
export type EndpointTraffic = MeterData & Readonly<{ service: string; endpoint: string }>
export type TrafficData = Readonly<{
  total: MeterData
  routes: readonly RouteTraffic[]
  endpoints: readonly EndpointTraffic[]
  /** Routes and endpoints with less traffic that are left out. */
  omitted: number
}>

class Meter {
  requests = 0
  failures = 0
  readonly classes: number[] = [0, 0, 0, 0, 0]
  /** Of the last request, in seconds since the epoch. */
  second = 0
  readonly #slots = new Uint32Array(SLOTS)
  readonly #failed = new Uint32Array(SLOTS)
  readonly #refused = new Uint32Array(SLOTS)
  #durations = new Uint32Array(DURATION_BOUNDS.length + 1)
  #before = new Uint32Array(DURATION_BOUNDS.length + 1)
  #window = 0

  count(second: number, hundred: number, isFailure: boolean, bucket: number): void {
    if (second > this.second) this.#turnTo(second)
    const slot = this.second % SLOTS
    this.requests++
    this.#slots[slot]!++
    this.classes[hundred]!++
    if (bucket >= 0) this.#durations[bucket]!++
    if (hundred === REFUSED) this.#refused[slot]!++
    if (!isFailure) return
    this.failures++
    this.#failed[slot]!++
  }

  read(second: number): MeterData {
    if (second > this.second) this.#turnTo(second)
    const durations = this.#durations.slice()
    for (let index = 0; index < durations.length; index++) durations[index]! += this.#before[index]!
    return {
      requests: this.requests,
      failures: this.failures,
      classes: [...this.classes],
      rate: this.#rateOf(this.#slots),
      failureRate: this.#rateOf(this.#failed),
      refusalRate: this.#rateOf(this.#refused),
      durations,
    }
  }

  /** Adds what another one has counted of all time. */
  take({ requests, failures, classes }: Meter): void {
    this.requests += requests
    this.failures += failures
    for (const [index, count] of classes.entries()) this.classes[index]! += count
  }

  rateAt(second: number): number {
    if (second > this.second) this.#turnTo(second)
    return this.#rateOf(this.#slots)
  }

  #rateOf(slots: Uint32Array): number {
    let sum = 0
    for (let back = 1; back <= RATE_SECONDS; back++) sum += slots[(this.second - back + SLOTS * 2) % SLOTS]!
    return sum / RATE_SECONDS
  }

  #turnTo(second: number): void {
    const passed = Math.min(second - this.second, SLOTS)
    for (let step = 0; step < passed; step++) {
      const slot = (second - step) % SLOTS
      this.#slots[slot] = 0
      this.#failed[slot] = 0
      this.#refused[slot] = 0
    }
    this.second = second
    const window = Math.floor(second / WINDOW)
    if (window === this.#window) return
    const last = this.#durations
    this.#durations = this.#before.fill(0)
    this.#before = window === this.#window + 1 ? last : last.fill(0)
    this.#window = window
  }
}

type RouteMeter = {
  readonly labels: RouteLabels | undefined
  readonly meter: Meter
  /** By `host:port`: those of its Service, which routes share. */
  readonly endpoints: Map<string, Meter>
  /** It has made room for others, though labels may still lead to it. */
  isGone: boolean
}

export class TrafficMeter {
  /** By identity of the labels, which are made once for each route of a snapshot. */
  readonly #byLabels = new WeakMap<RouteLabels, RouteMeter>()
  readonly #routes = new Map<string, RouteMeter>()
  /** By upstream. */
  readonly #services = new Map<string, Map<string, Meter>>()
  #endpointCount = 0
  /** Routes for which there was no room, and those that have made room. */
  readonly #others: RouteMeter = { labels: undefined, meter: new Meter(), endpoints: new Map(), isGone: false }
  #sweptAt = 0

  observe(record: RequestRecord): void {
    const { status, error, durationMs, tunnel, endpoint } = record
    const second = Math.floor(endOf(record) / 1000)
    const hundred = Math.min(Math.max(Math.floor(status / 100), 1), 5) - 1
    // An answer that broke off failed, whatever its status was.
    const isFailure = status >= 500 || (error !== undefined && REQUEST_ERRORS[error][1] !== 'downstream')
    const bucket = tunnel ? -1 : findBucket(durationMs)
    const route = this.#findRoute(record.labels, second)
    route.meter.count(second, hundred, isFailure, bucket)
    if (endpoint === undefined || route === this.#others) return
    const meter = route.endpoints.get(endpoint) ?? this.#addEndpoint(route.endpoints, endpoint, second)
    meter?.count(second, hundred, isFailure, bucket)
  }

  /** `now` in milliseconds since the epoch. */
  read(now: number): TrafficData {
    const second = Math.floor(now / 1000)
    const all = [...this.#routes.values()]
    const routes = chooseBusiest(all, second)
    const ends = [...this.#services].flatMap(([service, some]) =>
      [...some].map(([endpoint, meter]) => ({ service, endpoint, meter })),
    )
    const endpoints = chooseBusiest(ends, second)
    return {
      total: addMeters([this.#others, ...all].map(({ meter }) => meter.read(second))),
      routes: routes.map(({ labels, meter }) => ({ ...meter.read(second), labels })),
      endpoints: endpoints.map(({ service, endpoint, meter }) => ({ ...meter.read(second), service, endpoint })),
      omitted: all.length - routes.length + ends.length - endpoints.length,
    }
  }

  #findRoute(labels: RouteLabels | undefined, second: number): RouteMeter {
    const known = labels && this.#byLabels.get(labels)
    return known === undefined || known.isGone ? this.#addRoute(labels, second) : known
  }

  #addRoute(labels: RouteLabels | undefined, second: number): RouteMeter {
    const key = labels === undefined ? '' : `${labels.route} ${labels.upstream}`
    let found = this.#routes.get(key)
    if (found === undefined) {
      if (!this.#hasRoom(second)) return this.#others
      const service = labels?.upstream ?? ''
      let endpoints = this.#services.get(service)
      if (endpoints === undefined) {
        endpoints = new Map()
        this.#services.set(service, endpoints)
      }
      found = { labels, meter: new Meter(), endpoints, isGone: false }
      this.#routes.set(key, found)
    }
    if (labels !== undefined) this.#byLabels.set(labels, found)
    return found
  }

  #addEndpoint(endpoints: Map<string, Meter>, endpoint: string, second: number): Meter | undefined {
    if (!this.#hasRoom(second)) return undefined
    const meter = new Meter()
    endpoints.set(endpoint, meter)
    this.#endpointCount++
    return meter
  }

  /** Routes go with configurations, and endpoints with them: those without traffic make room. */
  #hasRoom(second: number): boolean {
    if (this.#routes.size + this.#endpointCount < MOST_METERS) return true
    if (second - this.#sweptAt < WINDOW) return false
    this.#sweptAt = second
    const used = new Set<Map<string, Meter>>()
    for (const [key, route] of this.#routes) {
      if (second - route.meter.second <= IDLE) used.add(route.endpoints)
      else {
        route.isGone = true
        this.#others.meter.take(route.meter)
        this.#routes.delete(key)
      }
    }
    for (const [service, some] of this.#services) {
      for (const [endpoint, meter] of some) {
        if (second - meter.second <= IDLE) continue
        some.delete(endpoint)
        this.#endpointCount--
      }
      if (!used.has(some)) {
        this.#services.delete(service)
        this.#endpointCount -= some.size
      }
    }
    return this.#routes.size + this.#endpointCount < MOST_METERS
  }
}

export function addMeters(meters: readonly MeterData[]): MeterData {
  const classes = [0, 0, 0, 0, 0]
  const durations = new Uint32Array(DURATION_BOUNDS.length + 1)
  const sum = { requests: 0, failures: 0, rate: 0, failureRate: 0, refusalRate: 0 }
  for (const meter of meters) {
    sum.requests += meter.requests
    sum.failures += meter.failures
    sum.rate += meter.rate
    sum.failureRate += meter.failureRate
    sum.refusalRate += meter.refusalRate
    for (const [index, count] of meter.classes.entries()) classes[index]! += count
    for (let index = 0; index < durations.length; index++) durations[index]! += meter.durations[index]!
  }
  return { ...sum, classes, durations }
}

/** Of durations below so many tenths of a millisecond, in whole tenths: where the search begins. */
const FIRST_BUCKETS = Uint8Array.from({ length: 1000 }, (_, tenths) => searchBucket(tenths / 10, 0))

function findBucket(ms: number): number {
  const tenths = Math.floor(ms * 10)
  return searchBucket(ms, tenths < 1000 ? FIRST_BUCKETS[Math.max(tenths, 0)]! : FIRST_BUCKETS[999]!)
}

function searchBucket(ms: number, from: number): number {
  let index = from
  while (index < DURATION_BOUNDS.length && ms > DURATION_BOUNDS[index]!) index++
  return index
}

function chooseBusiest<T extends { readonly meter: Meter }>(meters: readonly T[], second: number): readonly T[] {
  if (meters.length <= MOST_TOLD) return meters
  const rated = meters.map((each) => [each, each.meter.rateAt(second), each.meter.requests] as const)
  rated.sort(([, a, first], [, b, second]) => b - a || second - first)
  return rated.slice(0, MOST_TOLD).map(([each]) => each)
}

/**
 * The duration in milliseconds that so large a part of the requests did not exceed; undefined where there were none. The durations of a
 * bucket count as spread evenly over it, so the result is wrong by a quarter at most.
 */
export function findPercentile(durations: ArrayLike<number>, part: number): number | undefined {
  let total = 0
  for (let index = 0; index < durations.length; index++) total += durations[index]!
  if (total === 0) return undefined
  let left = Math.ceil(total * part)
  for (let index = 0; index < DURATION_BOUNDS.length; index++) {
    const count = durations[index]!
    if (left <= count) {
      const from = DURATION_BOUNDS[index - 1] ?? 0
      return from + (DURATION_BOUNDS[index]! - from) * (left / count)
    }
    left -= count
  }
  return DURATION_BOUNDS.at(-1)
}
