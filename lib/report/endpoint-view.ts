/** The endpoints of all Services, as the admin API and `portico get` show them: where each came from, how it does, what it carries. */
import { printIsoTime, printTime } from '../base/clock.ts'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { compareText } from '../base/order.ts'
import { type EndpointKey, findEndpointKey } from '../model/endpoint-key.ts'
import type { Model } from '../model/model.ts'
import type { Locate } from '../model/resource-ref.ts'
import { dropScope, type Endpoint, type Upstream, type UpstreamKey } from '../model/upstream.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import type { LiveEndpoints } from './explanation.ts'
import { printPlace } from './place.ts'

export type EndpointRow = Readonly<{
  namespace: string
  service: string
  port: number
  portName: string
  transport: 'TCP' | 'UDP'
  /** `host:port`, IPv6 in brackets. Names stand there while no gateway runs, and where they are not resolved. */
  address: string
  /** The name that the address is one of; undefined where there is none. */
  name: string | undefined
  weight: number
  /**
   * `ready` gets requests; `draining` gets them only while no other is ready (serving and terminating); `denied` never
   * does, since the settings forbid its address; `unhealthy` and `ejected` get none until they are well, or where too few
   * others are; `drained` gets none since a person ordered it; `unresolved` is a name without an address. `failing` and `stale` get requests as `ready` does: the last one
   * failed; the name does not resolve any more, and this is an address that it had.
   */
  state:
    | 'ready'
    | 'failing'
    | 'stale'
    | 'draining'
    | 'not ready'
    | 'denied'
    | 'unhealthy'
    | 'ejected'
    | 'unresolved'
    | 'drained'
  reason: string
  /** Since when its health is as it is (ISO 8601); undefined where it was never known to be bad. */
  healthSince: string | undefined
  /** When its ejection ends by itself (ISO 8601); undefined where there is none. */
  ejectedUntil: string | undefined
  /** Which of the places an endpoint can come from: `EndpointSlice`, `annotation` … */
  source: Endpoint['source']
  sourceName: string
  nodeName: string | undefined
  zone: string | undefined
  position: string | undefined
  /** Of a running gateway alone. */
  live?: Readonly<{
    inFlight: number
    requests: number
    failures: number
    /** The code of the last failure, and when (ISO 8601). */
    lastFailure: string | undefined
    lastFailureAt: string | undefined
  }>
}>

/** Why nothing is known any more of an address of a name that it had before; undefined where the name has it still. */
export type StaleAddressCheck = (name: string, address: string) => string | undefined

/** What endpoints have to do just now, by the figures of all of them. */
export function readLive(figures: Iterable<EndpointFigures>): LiveEndpoints {
  const live = indexFigures(figures)
  return (upstream, endpoint) => {
    const known = live.get(figuresKey(upstream.key, endpoint))
    return { inFlight: known?.inFlight ?? 0, failing: known ? explainFailures(known) : '' }
  }
}

function indexFigures(figures: Iterable<EndpointFigures>): ReadonlyMap<EndpointKey, EndpointFigures> {
  const live = new Map<EndpointKey, EndpointFigures>()
  for (const each of figures) {
    const key = figuresKey(each.identity.upstream, each.identity)
    const known = live.get(key)
    live.set(key, known ? addFigures(known, each) : each)
  }
  return live
}

/** Every endpoint of every upstream, by Service, port and address; figures and `whyStale` are of a running gateway. */
export function endpointsView(
  model: Model,
  locate: Locate,
  figures?: Iterable<EndpointFigures>,
  whyStale: StaleAddressCheck = () => undefined,
): readonly EndpointRow[] {
  const live = indexFigures(figures ?? [])
  const rows: EndpointRow[] = []
  for (const upstream of model.upstreams.values()) {
    for (const endpoint of listEndpoints(upstream, model)) {
      const known = live.get(figuresKey(upstream.key, endpoint))
      rows.push({
        ...endpointRow(endpoint, upstream, locate),
        ...endpointState(endpoint, upstream, known, whyStale),
        ...(figures && { live: printFigures(known) }),
      })
    }
    for (const { endpoint, code, reason } of upstream.unresolved ?? []) {
      const state = code === 'PORTICO_UP_ADDRESS_DENIED' ? 'denied' : 'unresolved'
      rows.push({ ...endpointRow(endpoint, upstream, locate), name: endpoint.host, state, reason })
    }
  }
  return rows.sort(
    (a, b) =>
      compareText(a.namespace, b.namespace) ||
      compareText(a.service, b.service) ||
      a.port - b.port ||
      compareText(a.transport, b.transport) ||
      compareText(a.address, b.address),
  )
}

/** Of the upstream for traffic from outside, those that the port's other upstream does not have. */
function listEndpoints({ key, scope, endpoints }: Upstream, { upstreams }: Model): readonly Endpoint[] {
  if (scope === undefined) return endpoints
  const inside = upstreams.get(dropScope(key))
  const known = new Set(inside?.endpoints.map((endpoint) => figuresKey(key, endpoint)))
  return endpoints.filter((endpoint) => !known.has(figuresKey(key, endpoint)))
}

function addFigures(a: EndpointFigures, b: EndpointFigures): EndpointFigures {
  const last = (b.lastFailure?.at ?? 0) > (a.lastFailure?.at ?? 0) ? b.lastFailure : a.lastFailure
  const { identity } = a
  return {
    identity,
    inFlight: a.inFlight + b.inFlight,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    failuresInRow: (last === a.lastFailure ? a : b).failuresInRow,
    lastFailure: last,
  }
}

/** However it is spoken to, and whichever traffic it gets: an endpoint has one row. */
function figuresKey(upstream: UpstreamKey, endpoint: Pick<Endpoint, 'host' | 'port' | 'name'>): EndpointKey {
  return findEndpointKey(dropScope(upstream), endpoint)
}

function endpointRow(
  endpoint: Endpoint,
  { service, port, transport }: Upstream,
  locate: Locate,
): Omit<EndpointRow, 'state' | 'reason' | 'live'> {
  return {
    namespace: service.namespace,
    service: service.name,
    port: port.number,
    portName: port.name,
    transport: transport ?? 'TCP',
    address: printEndpointAddress(endpoint.host, endpoint.port),
    name: endpoint.name,
    weight: endpoint.weight,
    healthSince: endpoint.health && printIsoTime(endpoint.health.since),
    ejectedUntil: endpoint.health?.until === undefined ? undefined : printIsoTime(endpoint.health.until),
    source: endpoint.source,
    sourceName: endpoint.sourceName,
    nodeName: endpoint.nodeName,
    zone: endpoint.zone,
    position: endpoint.owner && endpoint.field && printPlace(locate(endpoint.owner, endpoint.field)),
  }
}

function endpointState(
  endpoint: Endpoint,
  { denied }: Upstream,
  figures: EndpointFigures | undefined,
  whyStale: StaleAddressCheck,
): Pick<EndpointRow, 'state' | 'reason'> {
  if (denied !== undefined) return { state: 'denied', reason: denied }
  if (endpoint.drained) return { state: 'drained', reason: 'ordered by hand: no new requests' }
  if (endpoint.weight === 0) return { state: 'not ready', reason: 'weight 0' }
  const { health } = endpoint
  if (health && health.state !== 'healthy' && endpoint.serving) return { state: health.state, reason: health.reason }
  if (endpoint.ready) {
    const failing = figures && explainFailures(figures)
    const stale = endpoint.name && whyStale(endpoint.name, endpoint.host)
    const reasons = [failing, stale && `${endpoint.name}: ${stale}; this is what it had before`, explainRank(endpoint)]
    return { state: failing ? 'failing' : stale ? 'stale' : 'ready', reason: reasons.filter(Boolean).join('; ') }
  }
  if (!endpoint.serving) return { state: 'not ready', reason: endpoint.terminating ? 'terminating' : 'not ready' }
  if (endpoint.terminating) return { state: 'draining', reason: 'terminating, still serving' }
  return { state: 'not ready', reason: 'not ready' }
}

/** `''` of one that answered its last request, or was never asked. */
function explainFailures({ failuresInRow, lastFailure }: EndpointFigures): string {
  if (failuresInRow === 0 || !lastFailure) return ''
  const { error, at } = lastFailure
  const what = `${error.code} at ${printTime(at)}`
  return failuresInRow === 1 ? what : `${failuresInRow} failures in a row, the last ${what}`
}

function explainRank({ backup, distant }: Endpoint): string {
  if (backup) return 'backup: for when no other can be had'
  return distant ? 'of another zone or node: for when none of this one can be had' : ''
}

/** An endpoint that was never used has no figures yet. */
function printFigures(figures: EndpointFigures | undefined): NonNullable<EndpointRow['live']> {
  const { inFlight = 0, requests = 0, failures = 0, lastFailure } = figures ?? {}
  return {
    inFlight,
    requests,
    failures,
    lastFailure: lastFailure?.error.code,
    lastFailureAt: lastFailure && printIsoTime(lastFailure.at),
  }
}
