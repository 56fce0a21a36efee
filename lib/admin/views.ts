/** What is served, as flat plain objects: the admin API and `portico get -o json` print the same ones. No keys, no tokens. */

import type { Diagnostic } from '../base/diagnostics.ts'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { compareText } from '../base/order.ts'
import { printPosition, type SourcePosition } from '../base/position.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { Model } from '../model/model.ts'
import type { Route, VirtualHost } from '../model/route.ts'
import type { Endpoint, Upstream, UpstreamKey, UpstreamProtocol } from '../model/upstream.ts'
import type { Settings } from '../settings-table.ts'

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
  /** `host:port`, IPv6 in brackets. */
  address: string
  weight: number
  /**
   * `ready` gets requests; `draining` gets them only while no other is ready (serving and terminating); `denied` never
   * does, since the settings forbid its address.
   */
  state: 'ready' | 'draining' | 'not ready' | 'denied'
  reason: string
  /** Which of the places an endpoint can come from: `EndpointSlice`, `annotation` … */
  source: Endpoint['source']
  sourceName: string
  nodeName: string | undefined
  zone: string | undefined
  position: string | undefined
  /** Only of a running gateway, once the endpoint has been used. */
  live?: Readonly<{
    inFlight: number
    requests: number
    failures: number
    /** The code of the last failure, and when (ISO 8601). */
    lastFailure: string | undefined
    lastFailureAt: string | undefined
  }>
}>

/** What the gateway counts of an endpoint while it lives, as the upstream's EndpointState has it. */
export type EndpointFigures = Readonly<{
  identity: Readonly<{ upstream: UpstreamKey; protocol: UpstreamProtocol; host: string; port: number }>
  inFlight: number
  requests: number
  failures: number
  lastFailure: Readonly<{ error: Readonly<{ code: string }>; at: number }> | undefined
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
  name: 'http' | 'https' | 'admin'
  protocol: string
  address: string
  /** The bound port where known, else the configured one. */
  port: number
  enabled: boolean
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
  const why = count === 0 ? 'the service has no endpoints' : `none of its ${count} endpoints is ready`
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
      endpoints: service.upstreams.flatMap((key) => {
        const upstream = model.upstreams.get(key)
        return upstream ? usableEndpoints(upstream).map(({ host, port }) => printEndpointAddress(host, port)) : []
      }),
      selector: Object.entries(service.selector)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
      source: printPosition(service.position),
    }))
    .sort((a, b) => compareText(a.namespace, b.namespace) || compareText(a.name, b.name))
}

/** Every endpoint of every upstream, by Service, port and address. */
export function endpointsView(model: Model, figures: Iterable<EndpointFigures> = []): readonly EndpointRow[] {
  const live = new Map<string, EndpointFigures>()
  for (const each of figures)
    live.set(`${each.identity.upstream} ${printEndpointAddress(each.identity.host, each.identity.port)}`, each)
  const rows: EndpointRow[] = []
  for (const upstream of model.upstreams.values()) {
    const { namespace, name } = upstream.service
    for (const endpoint of upstream.endpoints) {
      const known = live.get(`${upstream.key} ${printEndpointAddress(endpoint.host, endpoint.port)}`)
      rows.push({
        namespace,
        service: name,
        port: upstream.port.number,
        portName: upstream.port.name,
        address: printEndpointAddress(endpoint.host, endpoint.port),
        weight: endpoint.weight,
        ...endpointState(endpoint, upstream),
        source: endpoint.source,
        sourceName: endpoint.sourceName,
        nodeName: endpoint.nodeName,
        zone: endpoint.zone,
        position: endpoint.position && printPosition(endpoint.position),
        ...(known && { live: printFigures(known) }),
      })
    }
  }
  return rows.sort(
    (a, b) =>
      compareText(a.namespace, b.namespace) ||
      compareText(a.service, b.service) ||
      a.port - b.port ||
      compareText(a.address, b.address),
  )
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

/** The listeners as configured; `ports` are those really bound. */
export function listenersView(
  settings: Settings,
  ports: Readonly<{ http?: number; https?: number; admin?: number }> = {},
): readonly ListenerRow[] {
  const { http, https, admin } = settings
  return [
    { name: 'http', protocol: 'HTTP/1.1', address: http.address, port: ports.http ?? http.port, enabled: http.enabled },
    {
      name: 'https',
      protocol: https.http2 ? 'HTTP/2, HTTP/1.1' : 'HTTP/1.1',
      address: https.address,
      port: ports.https ?? https.port,
      enabled: https.enabled,
    },
    {
      name: 'admin',
      protocol: 'HTTP/1.1',
      address: admin.address,
      port: ports.admin ?? admin.port,
      enabled: admin.enabled,
    },
  ]
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

/**
 * The endpoints that get requests: the ready ones, else those that still serve while they terminate (S26c); the distant and then
 * the backups only where there are no others.
 */
export function usableEndpoints(upstream: Upstream): readonly Endpoint[] {
  if (upstream.denied !== undefined) return []
  const weighted = upstream.endpoints.filter(({ weight }) => weight > 0)
  const ready = weighted.filter((endpoint) => endpoint.ready)
  const usable = ready.length > 0 ? ready : weighted.filter(({ serving, terminating }) => serving && terminating)
  const primary = usable.filter(({ backup }) => !backup)
  const near = primary.filter(({ distant }) => !distant)
  return near.length > 0 ? near : primary.length > 0 ? primary : usable
}

function endpointState(endpoint: Endpoint, { denied }: Upstream): Pick<EndpointRow, 'state' | 'reason'> {
  if (denied !== undefined) return { state: 'denied', reason: `${denied}: not allowed` }
  if (endpoint.weight === 0) return { state: 'not ready', reason: 'weight 0' }
  if (endpoint.ready) return { state: 'ready', reason: explainRank(endpoint) }
  if (!endpoint.serving) return { state: 'not ready', reason: endpoint.terminating ? 'terminating' : 'not ready' }
  if (endpoint.terminating) return { state: 'draining', reason: 'terminating, still serving' }
  return { state: 'not ready', reason: 'not ready' }
}

function explainRank({ backup, distant }: Endpoint): string {
  if (backup) return 'backup: for when no other can be had'
  return distant ? 'of another zone or node: for when none of this one can be had' : ''
}

function printFigures({
  inFlight,
  requests,
  failures,
  lastFailure,
}: EndpointFigures): NonNullable<EndpointRow['live']> {
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
