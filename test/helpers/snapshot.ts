/** Models and snapshots from a few words: hosts with paths, each leading to endpoints. */
import { type Clock, systemClock } from '../../lib/base/clock.ts'
import { runAtOnce } from '../../lib/base/slice.ts'
import { FilterChains } from '../../lib/filters/chain.ts'
import type { FilterConfig } from '../../lib/model/filter.ts'
import type { Model } from '../../lib/model/model.ts'
import type { ResourceRef } from '../../lib/model/resource-ref.ts'
import type { Route, RouteAction, VirtualHost } from '../../lib/model/route.ts'
import { placeOf, type ServiceListener } from '../../lib/model/service-listener.ts'
import type { Endpoint, UnresolvedEndpoint, Upstream, UpstreamKey, UpstreamProtocol } from '../../lib/model/upstream.ts'
import type { PolicyOverrides } from '../../lib/settings/service.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { type Snapshot, SnapshotBuilder } from '../../lib/snapshot/snapshot.ts'
import { findUpdate, type SnapshotSource } from '../../lib/snapshot/update.ts'
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

export type ModelWords = Readonly<{
  upstreams?: Readonly<Record<string, readonly EndpointWords[] | UpstreamWords>>
  routes?: readonly RouteWords[]
  /** Hosts whose HTTP requests are sent to HTTPS, and the port where it is not that of HTTPS. */
  redirect?: readonly string[]
  redirectPort?: number
  /** Of hosts that are not redirected. */
  hostFilters?: Readonly<Record<string, readonly FilterConfig[]>>
  /** The default backend. */
  fallback?: string
  listeners?: readonly ListenerWords[]
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
    owner: { kind: 'Service', namespace: 'default', name: to },
    field: ['spec', 'ports', 0, 'port'],
    ...words,
  } as const
  return Object.freeze({ ...given, id: `${given.kind} default/${to}:80/${placeOf(given)}`, upstream: keyOf(to) })
}

export function makeModel(words: ModelWords): Model {
  const upstreams = new Map<UpstreamKey, Upstream>()
  for (const [name, given] of Object.entries(words.upstreams ?? {}))
    upstreams.set(keyOf(name), makeUpstream(name, given))
  const routes = (words.routes ?? []).map(makeRoute)
  const names = new Set([...routes.map((route) => route.host), ...(words.redirect ?? [])])
  const hosts = [...names].map(
    (host): VirtualHost => ({
      host,
      routes: routes.filter((route) => route.host === host).sort(compareRoutes),
      ...(words.hostFilters?.[host] && { filters: words.hostFilters[host] }),
      ...(words.redirect?.includes(host) && {
        filters: [{ name: 'https-redirect', options: { port: words.redirectPort } }],
      }),
      owner: OWNER,
      rule: 0,
    }),
  )
  return Object.freeze({
    hosts,
    defaultRoute: words.fallback === undefined ? undefined : makeRoute({ to: words.fallback }),
    shadowed: [],
    upstreams,
    services: [],
    certificates: [],
    listeners: (words.listeners ?? []).map(makeServiceListener),
    counts: { resources: 0, ingresses: 1, routes: routes.length },
  })
}

function compareRoutes(a: Route, b: Route): number {
  return Number(a.match.type === 'prefix') - Number(b.match.type === 'prefix') || b.path.length - a.path.length
}

export function makeSnapshot(words: ModelWords, settings: Settings, registry: EndpointRegistry): Snapshot {
  const model = makeModel(words)
  return buildSnapshot({ generation: 1, settings, model }, registry, systemClock)
}

/** Builds a snapshot at once, without one before it, and puts its pools in force. */
export function buildSnapshot(
  source: Omit<SnapshotSource, 'builtAt'>,
  registry: EndpointRegistry,
  clock: Clock,
): Snapshot {
  const update = findUpdate(undefined, { ...source, builtAt: clock.now() })
  const chains = new FilterChains({ clock, processes: 1, httpsPort: () => 8443 })
  const snapshot = runAtOnce(new SnapshotBuilder(registry, chains).build(update))
  for (const pool of snapshot.pools) pool.enter()
  return snapshot
}
