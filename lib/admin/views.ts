/** What is served, as flat plain objects: the admin API and `portico get -o json` print the same ones. No keys, no tokens. */

import type { Diagnostic } from '../base/diagnostics.ts'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { compareText } from '../base/order.ts'
import { printPosition, type SourcePosition } from '../base/position.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import { isInGoodHealth } from '../model/health.ts'
import type { Model } from '../model/model.ts'
import { printListenerName } from '../model/print.ts'
import type { Route, VirtualHost } from '../model/route.ts'
import type { ServiceListener, ServiceListenerKind } from '../model/service-listener.ts'
import { listTiers } from '../model/tier.ts'
import { dropScope, type Endpoint, type Upstream } from '../model/upstream.ts'
import type { Settings } from '../settings-table.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'

export type RouteRow = Readonly<{
  /** Exact, `*.wildcard`, or `*` for every host. */
  host: string
  path: string
  pathType: Route['pathType']
  /** As the manifest says it: `default/api:http`. */
  backend: string
  /** `namespace/service:port` as resolved; undefined where the backend cannot be served. */
  upstream: string | undefined
  /** `host:port` of the endpoints that may get requests. */
  endpoints: readonly string[]
  namespace: string
  ingress: string
  /**
   * `served`; `no endpoints` (answers 503 until there are some); `unavailable` (answers 503 or 404); or `shadowed`
   * (another route took its place).
   */
  state: 'served' | 'no endpoints' | 'unavailable' | 'shadowed'
  /** Why it is not served. */
  reason: string | undefined
  /** HTTP is answered with a redirect to HTTPS. */
  redirectToHttps: boolean
  /** `file:line:column` */
  source: string
}>

export type ServiceRow = Readonly<{
  namespace: string
  name: string
  type: string
  /** `''` where there is none. */
  clusterIP: string
  externalIP: string
  /** As kubectl prints them: `80/TCP`, `80:30080/TCP`. */
  ports: readonly string[]
  endpoints: readonly string[]
  selector: string
  source: string
}>

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
   * others are; `unresolved` is a name without an address.
   */
  state: 'ready' | 'draining' | 'not ready' | 'denied' | 'unhealthy' | 'ejected' | 'unresolved'
  reason: string
  /** Since when its health is as it is (ISO 8601); undefined where it was never known to be bad. */
  healthSince: string | undefined
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

export type CertificateRow = Readonly<{
  /** `namespace/secret`; `default` for the default certificate. */
  name: string
  commonName: string
  subjectAltNames: readonly string[]
  issuer: string
  selfSigned: boolean
  /** ISO 8601; `''` where unknown. */
  notBefore: string
  notAfter: string
  daysLeft: number
  /** `unknown`: the default certificate, which a gateway makes or reads when it starts. */
  state: 'valid' | 'expired' | 'not yet valid' | 'expires soon' | 'unknown'
  /** The hosts it is served for. */
  hosts: readonly string[]
  /** Why these hosts get it; for the default certificate, why they do not get their own. */
  reason: string
  ingress: string
  source: string | undefined
}>

export type ListenerRow = Readonly<{
  /** `http`, `https`, `admin`; of a Service `namespace/name:port/TCP`. */
  name: string
  /** `Gateway` for the gateway's own; else which address of the Service it is. */
  kind: 'Gateway' | ServiceListenerKind
  address: string
  /** The bound port where known, else the configured one. */
  port: number
  protocol: string
  layer: ServiceListener['layer']
  enabled: boolean
  /** `namespace/name`; undefined for the gateway's own. */
  service: string | undefined
  /** `namespace/service:port` of the endpoints it leads to. */
  upstream: string | undefined
  /** CIDRs of the clients that are let in; empty: all. */
  sourceRanges: readonly string[]
  /** Connections begin with a PROXY protocol header. */
  proxyProtocol: boolean
  /** `open`, `off`, or why it is not open; `''` where that is not known: of files, which open nothing. */
  state: string
  /** `file:line:column` of the Service's port. */
  source: string | undefined
}>

export type WorkerRow = Readonly<{
  /** From 1 on; a process that takes the place of another has its number. */
  worker: number
  pid: number | undefined
  /** `starting`: there is no process that serves, or it is not so far yet. */
  state: 'serving' | 'starting'
  /** The configuration it has in force. */
  generation: number
  restarts: number
  /** Requests and tunnels under way. */
  inFlight: number
  /** Open client connections. */
  connections: number
  residentBytes: number
  cpuSeconds: number
}>

/** What the gateway knows of a worker. */
export type WorkerFacts = Omit<WorkerRow, 'state'> & Readonly<{ isUp: boolean }>

export type DiagnosticRow = Readonly<{
  severity: Diagnostic['severity']
  code: Diagnostic['code']
  message: string
  resource: string | undefined
  help: string | undefined
  file: string | undefined
  line: number | undefined
  column: number | undefined
  notes: readonly Readonly<{
    message: string
    file: string | undefined
    line: number | undefined
    column: number | undefined
  }>[]
}>

const DAY = 86_400_000
/** As the diagnostic PORTICO_TLS_EXPIRES_SOON. */
const SOON = 14 * DAY

/** Every route in the order in which it is matched; then the default backend, then the routes that lost against another. */
export function routesView(model: Model): readonly RouteRow[] {
  const hosts = new Map<string, VirtualHost>()
  for (const host of model.hosts) hosts.set(host.host, host)
  const row = (route: Route, shadowedBy?: Route): RouteRow => {
    const upstream = route.action.type === 'forward' ? model.upstreams.get(route.action.upstream) : undefined
    const endpoints = upstream ? usableEndpoints(upstream) : []
    return {
      host: route.host === '' ? '*' : route.host,
      path: route.path,
      pathType: route.pathType,
      backend: route.backend,
      upstream: route.action.type === 'forward' ? route.action.upstream : undefined,
      endpoints: endpoints.map(({ host, port }) => printEndpointAddress(host, port)),
      namespace: route.ingress.namespace,
      ingress: route.ingress.name,
      ...routeState(route, upstream, shadowedBy),
      redirectToHttps: hosts.get(route.host)?.redirectToHttps ?? false,
      source: printPosition(route.position),
    }
  }
  return [
    ...model.hosts.flatMap((host) => host.routes.map((route) => row(route))),
    ...(model.defaultRoute ? [row(model.defaultRoute)] : []),
    ...model.shadowed.map(({ route, winner }) => row(route, winner)),
  ]
}

function routeState(
  { action }: Route,
  upstream: Upstream | undefined,
  shadowedBy: Route | undefined,
): Pick<RouteRow, 'state' | 'reason'> {
  if (shadowedBy) {
    const { ingress, position } = shadowedBy
    const reason = `taken by Ingress ${ingress.namespace}/${ingress.name} at ${printPosition(position)}`
    return { state: 'shadowed', reason }
  }
  if (action.type === 'unavailable') return { state: 'unavailable', reason: `${action.status}: ${action.reason}` }
  if (upstream && usableEndpoints(upstream).length > 0) return { state: 'served', reason: undefined }
  const count = upstream?.endpoints.length ?? 0
  const isBad = upstream?.endpoints.some((endpoint) => endpoint.ready && !isInGoodHealth(endpoint))
  const what = isBad ? 'ready and in good health' : 'ready'
  const lost = upstream?.unresolved?.[0]?.reason
  const why = lost ?? (count === 0 ? 'the service has no endpoints' : `none of its ${count} endpoints is ${what}`)
  return { state: 'no endpoints', reason: `503: ${why}` }
}

/** Every Service, by namespace and name. */
export function servicesView(model: Model): readonly ServiceRow[] {
  return model.services
    .map((service) => ({
      namespace: service.namespace,
      name: service.name,
      type: service.type,
      clusterIP: service.clusterIP,
      externalIP: service.externalIP,
      ports: service.ports.map(
        ({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`,
      ),
      endpoints: [...new Set(service.upstreams.flatMap((key) => listUsable(model.upstreams.get(key))))],
      selector: Object.entries(service.selector)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
      source: printPosition(service.position),
    }))
    .sort((a, b) => compareText(a.namespace, b.namespace) || compareText(a.name, b.name))
}

function listUsable(upstream: Upstream | undefined): readonly string[] {
  return upstream ? usableEndpoints(upstream).map(({ host, port }) => printEndpointAddress(host, port)) : []
}

/** Every endpoint of every upstream, by Service, port and address; `figures` are those of a running gateway. */
export function endpointsView(model: Model, figures?: Iterable<EndpointFigures>): readonly EndpointRow[] {
  const live = new Map<string, EndpointFigures>()
  for (const each of figures ?? []) {
    const key = `${dropScope(each.identity.upstream)} ${figuresKey(each.identity)}`
    const known = live.get(key)
    live.set(key, known ? addFigures(known, each) : each)
  }
  const rows: EndpointRow[] = []
  for (const upstream of model.upstreams.values()) {
    for (const endpoint of listEndpoints(upstream, model)) {
      const known = live.get(`${dropScope(upstream.key)} ${figuresKey(endpoint)}`)
      rows.push({
        ...endpointRow(endpoint, upstream),
        ...endpointState(endpoint, upstream),
        ...(figures && { live: printFigures(known) }),
      })
    }
    for (const { endpoint, code, reason } of upstream.unresolved ?? []) {
      const state = code === 'PORTICO_UP_ADDRESS_DENIED' ? 'denied' : 'unresolved'
      rows.push({ ...endpointRow(endpoint, upstream), name: endpoint.host, state, reason })
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
  const known = new Set(inside?.endpoints.map(({ host, port }) => printEndpointAddress(host, port)))
  return endpoints.filter(({ host, port }) => !known.has(printEndpointAddress(host, port)))
}

function addFigures(a: EndpointFigures, b: EndpointFigures): EndpointFigures {
  const last = (b.lastFailure?.at ?? 0) > (a.lastFailure?.at ?? 0) ? b.lastFailure : a.lastFailure
  const { identity } = a
  return {
    identity,
    inFlight: a.inFlight + b.inFlight,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    lastFailure: last,
  }
}

function figuresKey({ host, port, name }: Readonly<{ host: string; port: number; name?: string }>): string {
  return `${printEndpointAddress(host, port)} ${name ?? ''}`
}

function endpointRow(
  endpoint: Endpoint,
  { service, port, transport }: Upstream,
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
    healthSince: endpoint.health && printTime(endpoint.health.since),
    source: endpoint.source,
    sourceName: endpoint.sourceName,
    nodeName: endpoint.nodeName,
    zone: endpoint.zone,
    position: endpoint.position && printPosition(endpoint.position),
  }
}

/** What a certificate row needs of a certificate: everything but the key. */
type ShownCertificate = Omit<NonNullable<CertificateBinding['certificate']>, 'privateKeyPem'>

/**
 * Every certificate with the hosts it is served for, by name. Hosts whose Secret cannot be used stand with the default
 * certificate, one row for each reason. `now` in milliseconds since the epoch.
 */
export function certificatesView(
  model: Model,
  now: number,
  defaultCertificate?: ShownCertificate,
): readonly CertificateRow[] {
  const groups = new Map<string, CertificateBinding[]>()
  for (const binding of model.certificates) {
    const key = JSON.stringify([
      binding.certificate?.fingerprint ?? '',
      binding.certificate?.name ?? '',
      binding.reason,
    ])
    const group = groups.get(key)
    if (group) group.push(binding)
    else groups.set(key, [binding])
  }
  const rows: CertificateRow[] = []
  for (const bindings of groups.values()) {
    const [first] = bindings
    if (!first) continue
    const certificate = first.certificate ?? defaultCertificate
    rows.push(
      certificateRow(certificate, now, {
        hosts: bindings.map(({ host }) => host).sort(compareText),
        reason: first.reason,
        ingress: [...new Set(bindings.map(({ ingress }) => `${ingress.namespace}/${ingress.name}`))].join(', '),
        position: first.certificate?.position ?? first.position,
      }),
    )
  }
  rows.sort((a, b) => compareText(a.name, b.name) || compareText(a.hosts[0] ?? '', b.hosts[0] ?? ''))
  if (defaultCertificate) {
    rows.push(
      certificateRow(defaultCertificate, now, {
        hosts: ['*'],
        reason: 'for all other names',
        ingress: '',
        position: undefined,
      }),
    )
  }
  return rows
}

function certificateRow(
  certificate: ShownCertificate | undefined,
  now: number,
  use: { hosts: readonly string[]; reason: string; ingress: string; position: SourcePosition | undefined },
): CertificateRow {
  const notBefore = certificate?.notBefore ?? Number.NaN
  const notAfter = certificate?.notAfter ?? Number.NaN
  return {
    name: certificate?.name ?? 'default',
    commonName: certificate?.commonName ?? '',
    subjectAltNames: certificate?.subjectAltNames ?? [],
    issuer: certificate?.issuer ?? '',
    selfSigned: certificate?.selfSigned ?? true,
    notBefore: printTime(notBefore),
    notAfter: printTime(notAfter),
    daysLeft: Number.isNaN(notAfter) ? 0 : Math.trunc((notAfter - now) / DAY),
    state: certificate ? certificateState(certificate, now) : 'unknown',
    hosts: use.hosts,
    reason: use.reason,
    ingress: use.ingress,
    source: use.position && printPosition(use.position),
  }
}

function certificateState({ notBefore, notAfter }: ShownCertificate, now: number): CertificateRow['state'] {
  if (notAfter <= now) return 'expired'
  if (notBefore > now) return 'not yet valid'
  return notAfter - now < SOON ? 'expires soon' : 'valid'
}

/**
 * The gateway's own listeners, then those of Services, by their ids. `ports` are those of its own that are really bound;
 * `states` say of a Service's listener, by id, that it is `open` or why it is not.
 */
export function listenersView(
  settings: Settings,
  ports: Readonly<{ http?: number; https?: number; admin?: number; dns?: number }> = {},
  listeners: readonly ServiceListener[] = [],
  states?: ReadonlyMap<string, string>,
): readonly ListenerRow[] {
  const { http, https, admin, dns } = settings
  const own = [
    { name: 'http', protocol: 'HTTP/1.1', settings: http, bound: ports.http },
    { name: 'https', protocol: https.http2 ? 'HTTP/2, HTTP/1.1' : 'HTTP/1.1', settings: https, bound: ports.https },
    { name: 'admin', protocol: 'HTTP/1.1', settings: admin, bound: ports.admin },
    { name: 'dns', protocol: 'DNS', settings: dns, bound: ports.dns },
  ]
  return [
    ...own.map(
      ({ name, protocol, settings: { address, port, enabled }, bound }): ListenerRow => ({
        name,
        kind: 'Gateway',
        address,
        port: bound ?? port,
        protocol,
        layer: 'L7',
        enabled,
        service: undefined,
        upstream: undefined,
        sourceRanges: [],
        proxyProtocol: false,
        state: enabled ? (bound === undefined ? '' : 'open') : 'off',
        source: undefined,
      }),
    ),
    ...listeners.map((listener) => serviceListenerRow(listener, states?.get(listener.id) ?? '')),
  ]
}

function serviceListenerRow(listener: ServiceListener, state: string): ListenerRow {
  const { kind, transport, layer, tls, address, port, upstream, sourceRanges, proxyProtocol, position } = listener
  const { namespace, name } = listener.service
  return {
    name: printListenerName(listener),
    kind,
    address,
    port,
    protocol: layer === 'L4' ? transport : tls ? 'HTTPS' : 'HTTP',
    layer,
    enabled: true,
    service: `${namespace}/${name}`,
    upstream,
    sourceRanges,
    proxyProtocol,
    state,
    source: printPosition(position),
  }
}

/** The processes that carry traffic; none where one process does all. */
export function workersView(workers: readonly WorkerFacts[] = []): readonly WorkerRow[] {
  return workers.map((each) => ({
    worker: each.worker,
    pid: each.pid,
    state: each.isUp ? 'serving' : 'starting',
    generation: each.generation,
    restarts: each.restarts,
    inFlight: each.inFlight,
    connections: each.connections,
    residentBytes: each.residentBytes,
    cpuSeconds: each.cpuSeconds,
  }))
}

/** What is wrong with the configuration being served. */
export function diagnosticsView(diagnostics: readonly Diagnostic[]): readonly DiagnosticRow[] {
  return diagnostics.map(({ severity, code, message, resource, help, position, notes }) => ({
    severity,
    code,
    message,
    resource,
    help,
    ...placeOf(position),
    notes: notes.map((note) => ({ message: note.message, ...placeOf(note.position) })),
  }))
}

function placeOf(position: SourcePosition | undefined): Pick<DiagnosticRow, 'file' | 'line' | 'column'> {
  return { file: position?.file, line: position?.line, column: position?.column }
}

/** The settings in force, with what is secret hidden (AD-07). */
export function settingsView(settings: Settings): Settings {
  return { ...settings, admin: { ...settings.admin, token: settings.admin.token === '' ? '' : '[redacted]' } }
}

/** The endpoints that get requests while they can be had. */
export function usableEndpoints(upstream: Upstream): readonly Endpoint[] {
  if (upstream.denied !== undefined) return []
  return (listTiers(upstream)[0] ?? []).map((index) => upstream.endpoints[index]!)
}

function endpointState(endpoint: Endpoint, { denied }: Upstream): Pick<EndpointRow, 'state' | 'reason'> {
  if (denied !== undefined) return { state: 'denied', reason: `${denied}: not allowed` }
  if (endpoint.weight === 0) return { state: 'not ready', reason: 'weight 0' }
  const { health } = endpoint
  if (health && health.state !== 'healthy' && endpoint.serving) return { state: health.state, reason: health.reason }
  if (endpoint.ready) return { state: 'ready', reason: explainRank(endpoint) }
  if (!endpoint.serving) return { state: 'not ready', reason: endpoint.terminating ? 'terminating' : 'not ready' }
  if (endpoint.terminating) return { state: 'draining', reason: 'terminating, still serving' }
  return { state: 'not ready', reason: 'not ready' }
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
    lastFailureAt: lastFailure && printTime(lastFailure.at),
  }
}

function printTime(time: number): string {
  return Number.isFinite(time) ? new Date(time).toISOString() : ''
}
