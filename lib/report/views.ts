/** What is served, as flat plain objects: the admin API and `portico get -o json` print the same ones. No tokens. */

import type { Diagnostic } from '../base/diagnostics.ts'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { statusOf } from '../base/errors.ts'
import { compareText } from '../base/order.ts'
import type { PathPolicy } from '../base/path.ts'
import type { SourcePosition } from '../base/position.ts'
import { printCaret } from '../base/print-diagnostic.ts'
import { printName } from '../base/resource-name.ts'
import { isByHand } from '../filters/by-hand.ts'
import { printFilters, redirectsToHttps } from '../filters/registry.ts'
import { isServiceListener, type Listener, type ServiceListenerKind } from '../model/listener.ts'
import type { Model } from '../model/model.ts'
import type { Locate } from '../model/resource-ref.ts'
import { findRouteId, type Route } from '../model/route.ts'
import type { RouteTable } from '../model/route-table.ts'
import { usableEndpoints } from '../model/tier.ts'
import type { Upstream } from '../model/upstream.ts'
import { joinOverrides } from '../settings/policy.ts'
import { SETTINGS, type Settings } from '../settings/table.ts'
import { locateField, locateRoute, locateService, printPlace } from './place.ts'
import { printConditions, printListenerName, printOverrides, printPolicies } from './print.ts'
import { type DescribedShare, describeShares, printWeight } from './shares.ts'

export type RouteRow = Readonly<{
  /** Its name in logs, metrics and traffic. */
  id: string
  /** Exact, `*.wildcard`, or `*` for every host. */
  host: string
  path: string
  pathType: Route['pathType']
  /** What it asks of requests besides host and path: `header x-env: staging`. Rows of one host are in the order in which routes are tried. */
  conditions: readonly string[]
  /** As the manifest says it: `default/api:http`; of several `default/api:http=90, default/next:http=10`. */
  backend: string
  /** `namespace/service:port` as resolved; undefined where the backend cannot be served, or where there are several. */
  upstream: string | undefined
  /** `host:port` of the endpoints that may get requests. */
  endpoints: readonly string[]
  namespace: string
  ingress: string
  /**
   * `served`; `partly served` (one backend of several has no endpoints or is unavailable); `no endpoints` (answers 503 until there
   * are some); `unavailable` (answers 503 or 404); `maintenance` (a person ordered it while the gateway runs); or `shadowed` (another route took
   * its place).
   */
  state: 'served' | 'partly served' | 'no endpoints' | 'unavailable' | 'maintenance' | 'shadowed'
  /** Why it is not served. */
  reason: string | undefined
  /** What is done to requests and answers, in that order: `headers: request set X-A`. */
  filters: readonly string[]
  /** The RoutePolicies that say more than filters: `RoutePolicy default/beta (matchHeaders)`. */
  policies: readonly string[]
  /** In which its Ingress and its Service, where it is one, differ from the settings of all: `bodyLimit: 10Ki`. */
  settings: readonly string[]
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

export type ListenerRow = Readonly<{
  /** `http`, `https`, `admin`; of a Service `namespace/name:port/TCP`. */
  name: string
  /** `Gateway` for the gateway's own; else which address of the Service it is. */
  kind: 'Gateway' | ServiceListenerKind
  address: string
  /** The bound port where known, else the configured one. */
  port: number
  protocol: string
  layer: Listener['layer']
  enabled: boolean
  /** `namespace/name`; undefined for the gateway's own. */
  service: string | undefined
  /** `namespace/service:port` of the endpoints it leads to. */
  upstream: string | undefined
  /** CIDRs of the clients that are let in; empty: all. */
  sourceRanges: readonly string[]
  /** Connections begin with a PROXY protocol header. */
  proxyProtocol: boolean
  /** What slashes in the paths of requests mean; undefined of L4, and of ports without routes. */
  paths: PathPolicy | undefined
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
  /** The line of the file, and under it a caret; undefined where there is none. */
  excerpt: string | undefined
  notes: readonly Readonly<{
    message: string
    file: string | undefined
    line: number | undefined
    column: number | undefined
  }>[]
}>

/** Every route in the order in which it is matched; then the default backend, then the routes that lost against another. */
export function routesView(model: Model, locate: Locate): readonly RouteRow[] {
  return model.tables.flatMap((table) => tableRows(model, table, locate))
}

function tableRows(model: Model, { hosts, defaultRoute, shadowed }: RouteTable, locate: Locate): readonly RouteRow[] {
  const redirected = new Set(hosts.filter(redirectsToHttps).map(({ host }) => host))
  const row = (route: Route, shadowedBy?: Route): RouteRow => {
    const shares = describeShares(model, route.action)
    return {
      id: findRouteId(route),
      host: route.host === '' ? '*' : route.host,
      path: route.path,
      pathType: route.pathType,
      conditions: printConditions(route),
      backend: route.action.backend,
      upstream: route.action.type === 'forward' ? route.action.upstream : undefined,
      endpoints: shares.flatMap(({ weight, upstream }) => (weight > 0 ? listUsable(upstream) : [])),
      namespace: route.owner.namespace,
      ingress: route.owner.name,
      ...routeState(route, shares, shadowedBy, locate),
      filters: printFilters(route),
      policies: printPolicies(route),
      settings: printOverrides(joinOverrides(findUpstream(model, route)?.policy, route.policy)),
      redirectToHttps: redirected.has(route.host),
      source: printPlace(locateRoute(route, locate)),
    }
  }
  return [
    ...hosts.flatMap((host) => host.routes.map((route) => row(route))),
    ...(defaultRoute ? [row(defaultRoute)] : []),
    ...shadowed.map(({ route, winner }) => row(route, winner)),
  ]
}

/** Undefined of a route that is divided among several, or leads nowhere. */
function findUpstream(model: Model, { action }: Route): Upstream | undefined {
  return action.type === 'forward' ? model.upstreams.get(action.upstream) : undefined
}

function routeState(
  { filters = [] }: Route,
  shares: readonly DescribedShare[],
  shadowedBy: Route | undefined,
  locate: Locate,
): Pick<RouteRow, 'state' | 'reason'> {
  if (shadowedBy) {
    const { kind } = shadowedBy.owner
    const place = printPlace(locateRoute(shadowedBy, locate))
    const reason = `taken by ${kind} ${printName(shadowedBy.owner)} at ${place}`
    return { state: 'shadowed', reason }
  }
  if (filters.some(isByHand)) {
    return { state: 'maintenance', reason: '503: ordered by hand' }
  }
  const active = shares.filter(({ weight }) => weight > 0)
  const lacking = active.find(({ lack }) => lack !== undefined)
  if (lacking?.lack === undefined) return { state: 'served', reason: undefined }
  const reason = `${statusOf(lacking.lack.code)}: ${lacking.lack.reason}`
  if (active.some(({ lack }) => lack === undefined)) {
    const share = `${printWeight(lacking, shares)} to ${lacking.action.backend}`
    return { state: 'partly served', reason: `${share} are answered ${reason}` }
  }
  return { state: lacking.action.type === 'unavailable' ? 'unavailable' : 'no endpoints', reason }
}

/** Every Service, by namespace and name. */
export function servicesView(model: Model, locate: Locate): readonly ServiceRow[] {
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
      source: printPlace(locateService(service, locate)),
    }))
    .sort((a, b) => compareText(a.namespace, b.namespace) || compareText(a.name, b.name))
}

function listUsable(upstream: Upstream | undefined): readonly string[] {
  return upstream ? usableEndpoints(upstream).map(({ host, port }) => printEndpointAddress(host, port)) : []
}

/**
 * The gateway's own listeners, first those of the settings, then those of Services, by their ids. `ports` are those of the settings
 * that are really bound; `states` say of other listeners, by id, that they are `open` or why they are not.
 */
export function listenersView(
  settings: Settings,
  { listeners }: Pick<Model, 'listeners'>,
  locate: Locate,
  ports: Readonly<{ http?: number; https?: number; admin?: number; dns?: number }> = {},
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
    ...own.map(({ name, protocol, settings: { address, port, enabled }, bound }): ListenerRow => {
      const listener = listeners.find(({ id }) => id === name)
      return {
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
        proxyProtocol: listener?.proxyProtocol ?? false,
        paths: listener?.paths,
        state: enabled ? (bound === undefined ? '' : 'open') : 'off',
        source: undefined,
      }
    }),
    ...listeners
      .filter(({ id }) => !own.some(({ name }) => name === id))
      .map((listener) => listenerRow(listener, locate, states?.get(listener.id) ?? '')),
  ]
}

function listenerRow(listener: Listener, locate: Locate, state: string): ListenerRow {
  const { kind, transport, layer, tls, address, port, sourceRanges, proxyProtocol, paths } = listener
  const service = isServiceListener(listener) ? listener : undefined
  return {
    name: service ? printListenerName(service) : listener.id,
    kind,
    address,
    port,
    protocol: layer === 'L4' ? transport : tls ? 'HTTPS' : 'HTTP',
    layer,
    enabled: true,
    service: service && printName(service.owner),
    upstream: service?.upstream,
    sourceRanges,
    proxyProtocol,
    paths,
    state,
    source: service && printPlace(locateField(service, locate)),
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
  return diagnostics.map(printDiagnosticRow)
}

function printDiagnosticRow(diagnostic: Diagnostic): DiagnosticRow {
  const { severity, code, message, resource, help, position, notes } = diagnostic
  return {
    severity,
    code,
    message,
    resource,
    help,
    ...splitPlace(position),
    excerpt: printCaret(diagnostic),
    notes: notes.map((note) => ({ message: note.message, ...splitPlace(note.position) })),
  }
}

function splitPlace(position: SourcePosition | undefined): Pick<DiagnosticRow, 'file' | 'line' | 'column'> {
  return { file: position?.file, line: position?.line, column: position?.column }
}

/** The settings in force, with what is secret hidden (AD-07). */
export function settingsView(settings: Settings): Settings {
  const { admin, routes } = settings
  const token = admin.token === '' ? '' : '[redacted]'
  return { ...settings, admin: { ...admin, token }, routes: SETTINGS.routes.write(routes) as Settings['routes'] }
}
