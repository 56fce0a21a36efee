/**
 * What the routes and endpoints of a process have to do just now: rates of the last seconds, durations of the last minute. A request costs
 * two look-ups and some additions. HOT
 */
import { REQUEST_ERRORS } from '../base/errors.ts'
import type { RequestRecord, RouteLabels } from './record.ts'

/** Upper bounds of the buckets in milliseconds: each a quarter more than the one before, so that a percentile is off by an eighth at most. */
export const DURATION_BOUNDS: readonly number[] = makeBounds()
/** Seconds over which a rate is taken. The one that runs does not count. */
const RATE_SECONDS = 5
const SLOTS = 8
/** Durations count for at least this time, and twice as long at most, milliseconds. */
const WINDOW_MS = 30_000
/** Most routes and endpoints that are measured; further ones are left out until others have had no traffic for a while. */
const MOST_METERS = 20_000
const IDLE_MS = 120_000
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
  lastAt = 0
  readonly #slots = new Uint32Array(SLOTS)
  readonly #failed = new Uint32Array(SLOTS)
  #second = 0
  #durations = new Uint32Array(DURATION_BOUNDS.length + 1)
  #before = new Uint32Array(DURATION_BOUNDS.length + 1)
  #window = 0

  count(now: number, status: number, isFailure: boolean, bucket: number): void {
    this.#turnTo(now)
    this.requests++
    this.lastAt = now
    const slot = this.#second % SLOTS
    this.#slots[slot]!++
    const index = Math.floor(status / 100) - 1
    if (index >= 0 && index < 5) this.classes[index]!++
    if (isFailure) {
      this.failures++
      this.#failed[slot]!++
    }
    if (bucket >= 0) this.#durations[bucket]!++
  }

  read(now: number): MeterData {
    this.#turnTo(now)
    const durations = this.#durations.slice()
    for (let index = 0; index < durations.length; index++) durations[index]! += this.#before[index]!
    return {
      requests: this.requests,
      failures: this.failures,
      classes: [...this.classes],
      rate: this.#rateOf(this.#slots),
      failureRate: this.#rateOf(this.#failed),
      durations,
    }
  }

  rateAt(now: number): number {
    this.#turnTo(now)
    return this.#rateOf(this.#slots)
  }

  #rateOf(slots: Uint32Array): number {
    let sum = 0
    for (let back = 1; back <= RATE_SECONDS; back++) sum += slots[(this.#second - back + SLOTS * 2) % SLOTS]!
    return sum / RATE_SECONDS
  }

  #turnTo(now: number): void {
    const second = Math.floor(now / 1000)
    if (second > this.#second) {
      const passed = Math.min(second - this.#second, SLOTS)
      for (let step = 0; step < passed; step++) {
        const slot = (second - step) % SLOTS
        this.#slots[slot] = 0
        this.#failed[slot] = 0
      }
      this.#second = second
    }
    const window = Math.floor(now / WINDOW_MS)
    if (window <= this.#window) return
    const last = this.#durations
    this.#durations = this.#before.fill(0)
    this.#before = window === this.#window + 1 ? last : last.fill(0)
    this.#window = window
  }
}

/** `isGone`: it has made room for others, though labels may still lead to it. */
type RouteMeter = { readonly labels: RouteLabels | undefined; readonly meter: Meter; isGone: boolean }
type EndpointMeter = { readonly service: string; readonly endpoint: string; readonly meter: Meter }

export class TrafficMeter {
  /** By identity of the labels, which are made once for each route of a snapshot. */
  readonly #byLabels = new WeakMap<RouteLabels, RouteMeter>()
  readonly #routes = new Map<string, RouteMeter>()
  /** By upstream, then by `host:port`. */
  readonly #endpoints = new Map<string, Map<string, EndpointMeter>>()
  #endpointCount = 0
  readonly #total = new Meter()
  #sweptAt = 0

  observe(record: RequestRecord): void {
    const { status, error, labels, durationMs, tunnel, endpoint } = record
    const now = record.startedAt + durationMs
    // An answer that broke off failed, whatever its status was.
    const isFailure = status >= 500 || (error !== undefined && REQUEST_ERRORS[error][1] !== 'downstream')
    const bucket = tunnel ? -1 : findBucket(durationMs)
    this.#total.count(now, status, isFailure, bucket)
    this.#findRoute(labels, now)?.count(now, status, isFailure, bucket)
    if (endpoint !== undefined && labels !== undefined)
      this.#findEndpoint(labels.upstream, endpoint, now)?.count(now, status, isFailure, bucket)
  }

  /** `now` in milliseconds since the epoch. */
  read(now: number): TrafficData {
    const routes = chooseBusiest([...this.#routes.values()], now)
    const all = [...this.#endpoints.values()].flatMap((some) => [...some.values()])
    const endpoints = chooseBusiest(all, now)
    return {
      total: this.#total.read(now),
      routes: routes.map(({ labels, meter }) => ({ ...meter.read(now), labels })),
      endpoints: endpoints.map(({ service, endpoint, meter }) => ({ ...meter.read(now), service, endpoint })),
      omitted: this.#routes.size - routes.length + all.length - endpoints.length,
    }
  }

  #findRoute(labels: RouteLabels | undefined, now: number): Meter | undefined {
    const known = labels && this.#byLabels.get(labels)
    if (known !== undefined && !known.isGone) return known.meter
    const key = labels === undefined ? '' : `${labels.route} ${labels.upstream}`
    let found = this.#routes.get(key)
    if (found === undefined) {
      if (!this.#hasRoom(now)) return undefined
      found = { labels, meter: new Meter(), isGone: false }
      this.#routes.set(key, found)
    }
    if (labels !== undefined) this.#byLabels.set(labels, found)
    return found.meter
  }

  #findEndpoint(service: string, endpoint: string, now: number): Meter | undefined {
    let some = this.#endpoints.get(service)
    const found = some?.get(endpoint)
    if (found !== undefined) return found.meter
    if (!this.#hasRoom(now)) return undefined
    if (some === undefined || this.#endpoints.get(service) !== some) {
      some = new Map()
      this.#endpoints.set(service, some)
    }
    const made = { service, endpoint, meter: new Meter() }
    some.set(endpoint, made)
    this.#endpointCount++
    return made.meter
  }

  /** Routes go with configurations, and endpoints with them: those without traffic make room. */
  #hasRoom(now: number): boolean {
    if (this.#routes.size + this.#endpointCount < MOST_METERS) return true
    if (now - this.#sweptAt < WINDOW_MS) return false
    this.#sweptAt = now
    for (const [key, route] of this.#routes) {
      if (now - route.meter.lastAt <= IDLE_MS) continue
      route.isGone = true
      this.#routes.delete(key)
    }
    for (const [service, some] of this.#endpoints) {
      for (const [endpoint, { meter }] of some) {
        if (now - meter.lastAt <= IDLE_MS) continue
        some.delete(endpoint)
        this.#endpointCount--
      }
      if (some.size === 0) this.#endpoints.delete(service)
    }
    return this.#routes.size + this.#endpointCount < MOST_METERS
  }
}

/** The logarithm finds the bucket without a search. */
function findBucket(ms: number): number {
  let index = ms <= 0.1 ? 0 : Math.min(Math.ceil(Math.log(ms / 0.1) / STEP), DURATION_BOUNDS.length)
  // The bounds are rounded.
  while (index > 0 && ms <= DURATION_BOUNDS[index - 1]!) index--
  while (index < DURATION_BOUNDS.length && ms > DURATION_BOUNDS[index]!) index++
  return index
}

const STEP = Math.log(1.25)

function chooseBusiest<T extends { readonly meter: Meter }>(meters: T[], now: number): readonly T[] {
  if (meters.length <= MOST_TOLD) return meters
  const rated = meters.map((each) => [each, each.meter.rateAt(now), each.meter.requests] as const)
  rated.sort(([, a, first], [, b, second]) => b - a || second - first)
  return rated.slice(0, MOST_TOLD).map(([each]) => each)
}

/** The duration that so large a part of the requests did not exceed, milliseconds; undefined: there were none. */
export function findPercentile(durations: ArrayLike<number>, part: number): number | undefined {
  let total = 0
  for (let index = 0; index < durations.length; index++) total += durations[index]!
  if (total === 0) return undefined
  let left = Math.ceil(total * part)
  for (let index = 0; index < durations.length; index++) {
    left -= durations[index]!
    if (left <= 0) return DURATION_BOUNDS[Math.min(index, DURATION_BOUNDS.length - 1)]!
  }
  return undefined
}
