/** Models and snapshots from a few words: hosts with paths, each leading to endpoints. */
import { type Clock, systemClock } from '../../lib/base/clock.ts'
import { USUAL_PATHS } from '../../lib/base/path.ts'
import { runAtOnce } from '../../lib/base/slice.ts'
import { FilterChain, FilterChains } from '../../lib/filters/chain.ts'
import type { Filter } from '../../lib/filters/spec.ts'
import type { FilterConfig } from '../../lib/model/filter.ts'
import { type GatewayListener, placeOf, type ServiceListener } from '../../lib/model/listener.ts'
import type { Model } from '../../lib/model/model.ts'
import type { ResourceRef } from '../../lib/model/resource-ref.ts'
import type { Route, RouteAction, VirtualHost } from '../../lib/model/route.ts'
import { INGRESS_TABLE, type RouteTable } from '../../lib/model/route-table.ts'
import type { Endpoint, UnresolvedEndpoint, Upstream, UpstreamKey, UpstreamProtocol } from '../../lib/model/upstream.ts'
import type { PolicyOverrides } from '../../lib/settings/service.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { type Snapshot, SnapshotBuilder } from '../../lib/snapshot/snapshot.ts'
import { findUpdate, type SnapshotSource } from '../../lib/snapshot/update.ts'
import { resolvePaths } from '../../lib/translate/exposure/gateway-listener.ts'
import type { EndpointRegistry } from '../../lib/upstream/choice/registry.ts'

/** The Ingress of all routes. */
export const OWNER: ResourceRef = Object.freeze({ kind: 'Ingress', namespace: 'default', name: 'test' })

/** A port of 127.0.0.1, `host:port`, or an endpoint with what differs from a ready one of weight 1. */
export type EndpointWords = number | string | (Partial<Endpoint> & { port: number })

export type UpstreamWords = Readonly<{
  endpoints: readonly EndpointWords[]
  /** How the client is told of by PROXY protocol. */
  proxyProtocol?: 'v1' | 'v2'
  protocol?: UpstreamProtocol
  transport?: 'UDP'
  guardAddresses?: boolean
  unresolved?: readonly UnresolvedEndpoint[]
  /** By dotted name under `upstream`. */
  policy?: PolicyOverrides
}>

export type RouteWords = Readonly<{
  /** `''`, the default, is every host. */
  host?: string
  /** Default `/`. */
  path?: string
  type?: 'exact' | 'prefix'
  /** A key of `upstreams`, or the status of a backend that cannot be served. */
  to: string | 404 | 503
  /** By dotted name under `upstream`. */
  policy?: PolicyOverrides
}>

/** A port that a Service opens, with what differs from a NodePort on 127.0.0.1 that passes TCP on to anybody. */
export type ListenerWords = Readonly<{ to: string; port: number }> & Partial<Omit<ServiceListener, 'id' | 'upstream'>>

export type TableWords = Readonly<{
  routes?: readonly RouteWords[]
  /** Hosts whose HTTP requests are sent to HTTPS, and the port where it is not that of HTTPS. */
  redirect?: readonly string[]
  redirectPort?: number
  /** Of hosts that are not redirected. */
  hostFilters?: Readonly<Record<string, readonly FilterConfig[]>>
  /** The default backend. */
  fallback?: string
}>

/** `routes`, `redirect` and `fallback` are those of the Ingresses. */
export type ModelWords = TableWords &
  Readonly<{
    upstreams?: Readonly<Record<string, readonly EndpointWords[] | UpstreamWords>>
    /** Further tables, by name. */
    tables?: Readonly<Record<string, TableWords>>
    listeners?: readonly ListenerWords[]
    /** Act on all routes. */
    filters?: readonly Filter[]
    /** Further listeners of the gateway, by id, each with what differs from a plain one on a free port of 127.0.0.1. */
    own?: Readonly<Record<string, Partial<GatewayListener>>>
  }>

export function makeEndpoint(words: EndpointWords): Endpoint {
  const given: Partial<Endpoint> = typeof words === 'object' ? words : parseAddress(words)
  return Object.freeze({
    host: '127.0.0.1',
    port: 0,
    weight: 1,
    ready: true,
    serving: true,
    terminating: false,
    source: 'settings',
    sourceName: 'test',
    ...given,
  })
}

function parseAddress(words: number | string): { host: string; port: number } {
  if (typeof words === 'number') return { host: '127.0.0.1', port: words }
  const colon = words.lastIndexOf(':')
  return { host: words.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(words.slice(colon + 1)) }
}

/** The upstream of the Service `default/<name>`, port 80. */
export function makeUpstream(name: string, words: readonly EndpointWords[] | UpstreamWords): Upstream {
  const given: UpstreamWords = isList(words) ? { endpoints: words } : words
  return Object.freeze({
    key: keyOf(name),
    service: { kind: 'Service', namespace: 'default', name, type: 'ClusterIP' },
    port: { number: 80, name: '', targetPort: 80 },
    protocol: given.protocol ?? 'http',
    endpoints: given.endpoints.map(makeEndpoint),
    guardAddresses: given.guardAddresses ?? false,
    policy: given.proxyProtocol ? { ...given.policy, proxyProtocol: given.proxyProtocol } : given.policy,
    ...(given.unresolved && { unresolved: given.unresolved }),
    ...(given.transport && { transport: given.transport }),
  })
}

function isList(words: readonly EndpointWords[] | UpstreamWords): words is readonly EndpointWords[] {
  return Array.isArray(words)
}

function keyOf(name: string): UpstreamKey {
  return `default/${name}:80`
}

function makeRoute(words: RouteWords): Route {
  const { host = '', path = '/', type = 'prefix', to, policy } = words
  return {
    owner: OWNER,
    rule: 0,
    item: 0,
    host,
    match: { type, path },
    pathType: type === 'exact' ? 'Exact' : 'Prefix',
    path,
    action: makeAction(to),
    ...(policy && { policy }),
  }
}

/** Routes to the same backend share their action, as they do in a translated model. */
const actions = new Map<string | number, RouteAction>()

function makeAction(to: RouteWords['to']): RouteAction {
  const known = actions.get(to)
  if (known) return known
  const backend = `default/${to}:80`
  const action: RouteAction =
    typeof to === 'string'
      ? { type: 'forward', upstream: keyOf(to), backend }
      : {
          type: 'unavailable',
          code: to === 404 ? 'PORTICO_REQ_NO_ROUTE' : 'PORTICO_UP_NO_SERVICE',
          reason: 'as the test wants it',
          backend,
        }
  actions.set(to, action)
  return action
}

export function makeServiceListener({ to, ...words }: ListenerWords): ServiceListener {
  const given = {
    kind: 'NodePort',
    transport: 'TCP',
    layer: 'L4',
    tls: false,
    address: '127.0.0.1',
    sourceRanges: [],
    proxyProtocol: false,
    sendsProxyHeader: false,
    paths: words.layer === 'L7' ? USUAL_PATHS : undefined,
    owner: { kind: 'Service', namespace: 'default', name: to },
    field: ['spec', 'ports', 0, 'port'],
    ...words,
  } as const
  const id = `${given.kind} default/${to}:80/${placeOf({ ...given, id: '' })}`
  return Object.freeze({ ...given, id, upstream: keyOf(to) })
}

export function makeGatewayListener(id: string, words: Partial<GatewayListener> = {}): GatewayListener {
  return Object.freeze({
    kind: 'Gateway',
    id,
    transport: 'TCP',
    layer: 'L7',
    tls: id === 'https',
    address: '127.0.0.1',
    port: 0,
    sourceRanges: [],
    proxyProtocol: false,
    paths: USUAL_PATHS,
    table: INGRESS_TABLE,
    ...words,
  })
}

const ownListeners = new Map<string, GatewayListener>()

/** The listeners of the settings, on free ports; `http` and `https` are their places. The same objects in all models. */
function listOwnListeners(settings: Settings | undefined): readonly GatewayListener[] {
  return (['https', 'http'] as const)
    .filter((id) => settings?.[id].enabled ?? true)
    .map((id) => {
      const proxyProtocol = settings?.[id].proxyProtocol === 'required'
      const paths = settings ? resolvePaths(settings, id) : USUAL_PATHS
      const key = `${id} ${proxyProtocol} ${Object.values(paths)}`
      const listener = ownListeners.get(key) ?? makeGatewayListener(id, { proxyProtocol, paths })
      ownListeners.set(key, listener)
      return listener
    })
}

function makeTable(
  name: string,
  { routes: words = [], redirect = [], redirectPort, hostFilters, fallback }: TableWords,
  isFiltered: boolean,
): RouteTable {
  const routes = words.map((route) => ({ ...makeRoute(route), ...(isFiltered && { filters: [] }) }))
  const names = new Set([...routes.map((route) => route.host), ...redirect])
  const hosts = [...names].map(
    (host): VirtualHost => ({
      host,
      routes: routes.filter((route) => route.host === host).sort(compareRoutes),
      ...(hostFilters?.[host] && { filters: hostFilters[host] }),
      ...(redirect.includes(host) && {
        filters: [{ name: 'https-redirect', options: { port: redirectPort } }],
      }),
      owner: OWNER,
      rule: 0,
    }),
  )
  const defaultRoute = fallback === undefined ? undefined : makeRoute({ to: fallback })
  return Object.freeze({ name, hosts, defaultRoute, shadowed: [] })
}

/** `settings` say which listeners the gateway has; left out, both. */
export function makeModel(words: ModelWords, settings?: Settings): Model {
  const upstreams = new Map<UpstreamKey, Upstream>()
  for (const [name, given] of Object.entries(words.upstreams ?? {}))
    upstreams.set(keyOf(name), makeUpstream(name, given))
  const tables = Object.entries({ [INGRESS_TABLE]: words, ...words.tables })
  const own = Object.entries(words.own ?? {})
  return Object.freeze({
    tables: tables.map(([name, given]) => makeTable(name, given, words.filters !== undefined)),
    upstreams,
    services: [],
    certificates: [],
    listeners: [
      ...listOwnListeners(settings),
      ...own.map(([id, given]) => makeGatewayListener(id, given)),
      ...(words.listeners ?? []).map(makeServiceListener),
    ],
    counts: { resources: 0, ingresses: 1, routes: words.routes?.length ?? 0 },
  })
}

function compareRoutes(a: Route, b: Route): number {
  return Number(a.match.type === 'prefix') - Number(b.match.type === 'prefix') || b.path.length - a.path.length
}

export function makeSnapshot(words: ModelWords, settings: Settings, registry: EndpointRegistry): Snapshot {
  const model = makeModel(words, settings)
  const chains = words.filters && ({ find: () => new FilterChain(words.filters!) } as Partial<FilterChains>)
  return buildSnapshot({ generation: 1, settings, model }, registry, systemClock, chains as FilterChains | undefined)
}

/** Builds a snapshot at once, without one before it, and puts its pools in force. */
export function buildSnapshot(
  source: Omit<SnapshotSource, 'builtAt'>,
  registry: EndpointRegistry,
  clock: Clock,
  chains: FilterChains = new FilterChains({ clock, processes: 1, httpsPort: () => 8443, warn: () => {} }),
): Snapshot {
  const update = findUpdate(undefined, { ...source, builtAt: clock.now() })
  const snapshot = runAtOnce(new SnapshotBuilder(registry, chains).build(update))
  for (const pool of snapshot.pools) pool.enter()
  return snapshot
}
