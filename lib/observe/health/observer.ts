/** Holds the health of all endpoints, over reloads, and puts it into their upstreams: checks them, ejects them, tells of both. */
import type { Clock } from '../../base/clock.ts'
import { printEndpointAddress } from '../../base/endpoint-address.ts'
import { systemTimers, type Timers } from '../../base/timers.ts'
import { type EndpointKey, findEndpointKey } from '../../model/endpoint-key.ts'
import { isEligible, isInGoodHealth, isPanic } from '../../model/health.ts'
import type { Endpoint, EndpointHealth, EndpointTrouble, Upstream, UpstreamKey } from '../../model/upstream.ts'
import { resolvePolicy, resolveValue } from '../../settings/policy.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { Settings } from '../../settings/table.ts'
import type { Log } from '../../telemetry/log.ts'
import type { HealthFigures } from '../../telemetry/metrics.ts'
import type { UpstreamObserver, Upstreams } from '../observation.ts'
import { listChecks } from './check.ts'
import { EndpointRecord, type HealthFlip } from './endpoint-record.ts'
import { CheckSchedule } from './schedule.ts'

export type HealthOptions = {
  readonly clock: Clock
  readonly log: Log
  /** Given by tests, as the next. */
  readonly timers?: Timers
  readonly random?: () => number
}

/** An endpoint with what was put into it last. */
type Watched = {
  readonly record: EndpointRecord
  endpoint: Endpoint | undefined
  health: EndpointHealth | undefined
  result: Endpoint | undefined
}

/** An upstream of which some endpoint is checked, or was ever in trouble. */
type WatchedUpstream = {
  readonly key: UpstreamKey
  /** As it was given last; undefined while it is not there. */
  upstream: Upstream | undefined
  policy: UpstreamPolicy
  readonly endpoints: Map<EndpointKey, Watched>
  isChanged: boolean
  inPanic: boolean
  panics: number
  result: Upstream | undefined
}

/** What is known of an endpoint that has gone is kept so long, milliseconds: an edit or an answer of DNS may hide it for a moment. */
const KEEP_MS = 60_000

export class HealthObserver implements UpstreamObserver {
  readonly #clock: Clock
  readonly #log: Log
  readonly #timers: Timers
  readonly #schedule: CheckSchedule
  readonly #onChange: () => void
  readonly #watched = new Map<UpstreamKey, WatchedUpstream>()
  #settings: Settings | undefined
  #given: Upstreams = new Map()
  /** What was put in the place of what was given. */
  #replaced: ReadonlyMap<UpstreamKey, Upstream> = new Map()
  #result: Upstreams | undefined

  constructor(options: HealthOptions, onChange: () => void) {
    const { clock, log, timers = systemTimers, random } = options
    this.#clock = clock
    this.#log = log
    this.#timers = timers
    this.#schedule = new CheckSchedule({ clock, timers, ...(random && { random }) })
    this.#onChange = onChange
  }

  /** Checks begin; before, all is taken to be well. */
  start(): void {
    this.#schedule.start()
  }

  observe(upstreams: Upstreams, settings: Settings): Upstreams {
    const before = this.#settings
    const isOther = settings.upstream !== before?.upstream
    this.#settings = settings
    for (const upstream of upstreams.values()) {
      const known = this.#watched.get(upstream.key)
      if (known ? known.upstream !== upstream || isOther : isChecked(upstream, settings)) {
        this.#refresh(known ?? this.#watch(upstream.key), upstream, settings)
      }
    }
    const replaced = new Map<UpstreamKey, Upstream>()
    for (const watched of this.#watched.values()) {
      const given = upstreams.get(watched.key)
      if (!given) this.#hide(watched)
      else if (this.#compose(watched, given) !== given) replaced.set(watched.key, watched.result!)
    }
    this.#forget()
    if (upstreams !== this.#given || !this.#result || !isSame(replaced, this.#replaced)) {
      const all = new Map(upstreams)
      for (const [key, upstream] of replaced) all.set(key, upstream)
      this.#result = replaced.size === 0 ? upstreams : all
    }
    this.#given = upstreams
    this.#replaced = replaced
    return this.#result
  }

  /** Requests to an endpoint fail: it is ejected, where that leaves enough others. Told of one that is out already, does nothing. */
  report(trouble: EndpointTrouble): void {
    const { upstream: key, host, port, reason } = trouble
    const upstream = this.#given.get(key)
    const settings = this.#settings
    if (!upstream || !settings) return
    const wanted = findEndpointKey(key, trouble)
    const endpoint = upstream.endpoints.find((each) => findEndpointKey(key, each) === wanted)
    if (!endpoint) return
    let watched = this.#watched.get(key)
    if (!watched) {
      watched = this.#watch(key)
      this.#refresh(watched, upstream, settings)
    }
    const { record } = this.#endpoint(watched, endpoint)
    if (record.health !== undefined && record.health.state !== 'healthy') return
    const refusal = this.#refuseEjection(watched, upstream, endpoint)
    if (refusal === undefined) record.eject(reason, watched.policy.ejection)
    else {
      const label = printEndpointAddress(host, port)
      this.#log.debug({ upstream: key, endpoint: label, reason, refusal }, 'endpoint is not ejected')
    }
  }

  /** Ends the ejection of an endpoint; false where it was not ejected. */
  clear(upstream: UpstreamKey, endpoint: Endpoint, reason: string): boolean {
    const record = this.#watched.get(upstream)?.endpoints.get(findEndpointKey(upstream, endpoint))?.record
    if (!record?.isEjected) return false
    record.lift(reason)
    return true
  }

  /** For each endpoint that is checked or was in trouble. */
  *figures(): Iterable<HealthFigures> {
    for (const { key, upstream, endpoints } of this.#watched.values()) {
      // Two names may lead to one address, which has one series.
      const told = new Set<string>()
      for (const endpoint of upstream?.endpoints ?? []) {
        const record = endpoints.get(findEndpointKey(key, endpoint))?.record
        if (!record || record.isBlank) continue
        const { health, ejections, successes, failures } = record
        const isHealthy = health === undefined || health.state === 'healthy'
        const label = printEndpointAddress(endpoint.host, endpoint.port)
        if (told.has(label)) continue
        told.add(label)
        yield { upstream: key, endpoint: label, isHealthy, ejections, successes, failures }
      }
    }
  }

  /** How often each upstream had too few endpoints in good health, for those that ever had. */
  *panics(): Iterable<readonly [UpstreamKey, number]> {
    for (const { key, panics } of this.#watched.values()) if (panics > 0) yield [key, panics]
  }

  close(): void {
    this.#schedule.close()
    for (const { endpoints } of this.#watched.values()) for (const { record } of endpoints.values()) record.close()
    this.#watched.clear()
  }

  #watch(key: UpstreamKey): WatchedUpstream {
    const watched: WatchedUpstream = {
      key,
      upstream: undefined,
      policy: this.#settings!.upstream,
      endpoints: new Map(),
      isChanged: true,
      inPanic: false,
      panics: 0,
      result: undefined,
    }
    this.#watched.set(key, watched)
    return watched
  }

  /** Takes in what the upstream is now. */
  #refresh(watched: WatchedUpstream, upstream: Upstream, settings: Settings): void {
    watched.upstream = upstream
    watched.policy = resolvePolicy(settings.upstream, upstream.policy)
    watched.isChanged = true
    const present = new Set<Watched>()
    for (const endpoint of upstream.endpoints) {
      const checks = listChecks(upstream, endpoint, watched.policy)
      if (checks.length === 0 && !watched.endpoints.has(findEndpointKey(upstream.key, endpoint))) continue
      const each = this.#endpoint(watched, endpoint)
      each.record.goneAt = undefined
      each.record.watch(checks)
      present.add(each)
    }
    for (const each of watched.endpoints.values()) if (!present.has(each)) this.#leave(each)
    const { consecutiveFailures, errorRate, maxShare } = watched.policy.ejection
    const isOff = maxShare === 0 || (consecutiveFailures === 0 && errorRate === 0)
    if (isOff) for (const { record } of watched.endpoints.values()) record.lift('ejection is switched off')
    const eligible = upstream.endpoints.filter(isEligible)
    const [only] = eligible
    if (only && eligible.length === 1) {
      watched.endpoints.get(findEndpointKey(upstream.key, only))?.record.lift('it is the only endpoint')
    }
  }

  #endpoint(watched: WatchedUpstream, endpoint: Endpoint): Watched {
    const key = findEndpointKey(watched.key, endpoint)
    const known = watched.endpoints.get(key)
    if (known) return known
    const label = printEndpointAddress(endpoint.host, endpoint.port)
    const record: EndpointRecord = new EndpointRecord({
      clock: this.#clock,
      timers: this.#timers,
      schedule: this.#schedule,
      onFlip: (flip) => this.#takeFlip(watched, label, record, flip),
    })
    const made = { record, endpoint: undefined, health: undefined, result: undefined }
    watched.endpoints.set(key, made)
    return made
  }

  #takeFlip(watched: WatchedUpstream, endpoint: string, record: EndpointRecord, { type, reason }: HealthFlip): void {
    watched.isChanged = true
    // The health of an endpoint that is gone is of no use any more.
    if (record.goneAt !== undefined) return
    const fields = { upstream: watched.key, endpoint, reason }
    if (type === 'unhealthy') this.#log.warn(fields, 'endpoint is unhealthy: it gets no new requests')
    else if (type === 'ejected') this.#log.warn(fields, 'endpoint is ejected: it gets no new requests')
    else if (type === 'healthy') this.#log.info(fields, 'endpoint is healthy again')
    else this.#log.info(fields, 'endpoint is back from its ejection')
    this.#onChange()
  }

  #refuseEjection({ policy, endpoints }: WatchedUpstream, upstream: Upstream, endpoint: Endpoint): string | undefined {
    const { maxShare } = policy.ejection
    const recordOf = (each: Endpoint) => endpoints.get(findEndpointKey(upstream.key, each))?.record
    const eligible = upstream.endpoints.filter(isEligible)
    if (!eligible.includes(endpoint)) return 'it is not ready'
    if (eligible.length < 2) return 'it is the only endpoint'
    const others = eligible.filter((each) => each !== endpoint)
    if (others.every((each) => !isInGoodHealth(withHealth(each, recordOf(each)?.health)))) {
      return 'no other is in good health'
    }
    const ejected = eligible.filter((each) => recordOf(each)?.isEjected).length
    const most = maxShare === 0 ? 0 : Math.max(1, Math.floor((eligible.length * maxShare) / 100))
    return ejected < most ? undefined : `${ejected} of ${eligible.length} are ejected already`
  }

  /** The upstream with its verdicts: itself where there is nothing to say. */
  #compose(watched: WatchedUpstream, upstream: Upstream): Upstream {
    if (!watched.isChanged && watched.result) return watched.result
    watched.isChanged = false
    let isOther = false
    const endpoints = upstream.endpoints.map((endpoint) => {
      const each = watched.endpoints.get(findEndpointKey(upstream.key, endpoint))
      const made = each ? dress(each, endpoint) : endpoint
      if (made !== endpoint) isOther = true
      return made
    })
    const inPanic = isPanic(endpoints, watched.policy.panicThreshold)
    if (inPanic !== watched.inPanic) this.#takePanic(watched, endpoints, inPanic)
    watched.result =
      isOther || inPanic
        ? Object.freeze({ ...upstream, endpoints: Object.freeze(endpoints), ...(inPanic && { inPanic }) })
        : upstream
    return watched.result
  }

  #takePanic(watched: WatchedUpstream, endpoints: readonly Endpoint[], inPanic: boolean): void {
    watched.inPanic = inPanic
    if (inPanic) watched.panics++
    const eligible = endpoints.filter(isEligible)
    const fields = { upstream: watched.key, ready: eligible.length, healthy: eligible.filter(isInGoodHealth).length }
    if (inPanic) this.#log.warn(fields, 'too few endpoints are in good health: all ready ones get requests')
    else this.#log.info(fields, 'enough endpoints are in good health again')
  }

  #hide(watched: WatchedUpstream): void {
    if (!watched.upstream) return
    watched.upstream = undefined
    watched.result = undefined
    for (const each of watched.endpoints.values()) this.#leave(each)
  }

  #leave({ record }: Watched): void {
    if (record.goneAt !== undefined) return
    record.goneAt = this.#clock.monotonic()
    record.suspend()
  }

  /** What has gone for long, or was nothing special. */
  #forget(): void {
    const long = this.#clock.monotonic() - KEEP_MS
    for (const [key, { upstream, endpoints }] of this.#watched) {
      for (const [name, { record }] of endpoints) {
        if (record.goneAt === undefined || (record.goneAt > long && record.health !== undefined)) continue
        record.close()
        endpoints.delete(name)
      }
      if (endpoints.size === 0 && !upstream) this.#watched.delete(key)
    }
  }
}

/** Whether any endpoint may be under a check; cheap, since most are not. */
function isChecked({ policy, endpoints }: Upstream, settings: Settings): boolean {
  const check = resolveValue(settings.upstream.health.check, policy, 'health.check')
  return check === 'auto' ? endpoints.some(({ probes }) => probes !== undefined) : check !== 'none'
}

/** The same object as the last time for the same endpoint and verdict. */
function dress(each: Watched, endpoint: Endpoint): Endpoint {
  const { health } = each.record
  if (each.endpoint !== endpoint || each.health !== health || !each.result) {
    each.endpoint = endpoint
    each.health = health
    each.result = withHealth(endpoint, health)
  }
  return each.result
}

function withHealth(endpoint: Endpoint, health: EndpointHealth | undefined): Endpoint {
  return health === undefined ? endpoint : Object.freeze({ ...endpoint, health })
}

function isSame<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a) if (b.get(key) !== value) return false
  return true
}
