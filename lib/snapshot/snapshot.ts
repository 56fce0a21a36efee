/** The one place where the control side meets the data side: everything a request needs, frozen, swapped whole. */

import { isDeepStrictEqual } from 'node:util'
import { type AddressSet, createAddressSet } from '../base/cidr.ts'
import { printName } from '../base/resource-name.ts'
import type { FilterChain, FilterChains } from '../filters/chain.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import { isServiceListener, type Listener, placeOf } from '../model/listener.ts'
import type { ResourceRef } from '../model/resource-ref.ts'
import { type BackendAction, findRouteId, findService, type Route, type RouteMatch } from '../model/route.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import { HostIndex } from '../routing/host-index.ts'
import { Split } from '../routing/split.ts'
import { compileHost, type HostRoutes, type RoutingTable } from '../routing/table.ts'
import { resolvePolicy } from '../settings/policy.ts'
import type { PolicyOverrides, UpstreamPolicy } from '../settings/service.ts'
import type { Settings } from '../settings/table.ts'
import type { RouteLabels } from '../telemetry/record.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointRegistry } from '../upstream/choice/registry.ts'
import { listAsked, listUpstreams, type SnapshotUpdate, type TableUpdate } from './update.ts'

/** A route with its upstream; made once at build time. Of the route itself it has what requests need: there may be 100,000. */
export type ServedRoute = Readonly<{
  match: RouteMatch
  action: BackendAction
  overrides: PolicyOverrides | undefined
  /** Undefined where the route's action is `unavailable`. */
  upstream: UpstreamPool | undefined
  /** The policy of the pool with the overrides; undefined where there is no pool. */
  policy: UpstreamPolicy | undefined
  labels: RouteLabels
  /** Undefined: it has no filters. */
  filters: FilterChain | undefined
  /** The pools of the upstreams that its filters ask; undefined: they ask none. */
  asked: AskedPools | undefined
  /** The cookie that keeps clients with this backend, which is one of several; undefined: none does. */
  mark: Readonly<{ cookie: string; value: string }> | undefined
}>

type AskedPools = ReadonlyMap<UpstreamKey, UpstreamPool | undefined>

/** A route with several backends: each is a route of its own, and gets its share of the requests. */
class SplitRoute extends Split<ServedRoute> {
  readonly match: RouteMatch
  /** The name of the cookie that keeps clients; undefined: they are not kept. */
  readonly cookie: string | undefined

  constructor(
    match: RouteMatch,
    routes: readonly ServedRoute[],
    weights: readonly number[],
    cookie: string | undefined,
    /** The same route with other pools. */
    before?: SplitRoute,
  ) {
    const marks = routes.map(({ mark }) => mark?.value)
    super(routes, weights, {
      cookie: cookie === undefined ? undefined : { name: cookie, marks },
      ...(before && { before }),
    })
    this.match = match
    this.cookie = cookie
  }
}

export type ServedHost = Readonly<{
  host: string
  /** They act before a route is found; undefined: there are none. */
  filters: FilterChain | undefined
  routes: readonly (ServedRoute | SplitRoute)[]
}>

export type ServedTable = RoutingTable<ServedRoute, ServedHost>

/** Where connections go whose bytes are passed on. */
export type RelayEntry = Readonly<{
  /** What logs and metrics call it. */
  label: string
  route: ServedRoute
  /** Connections to endpoints begin with a PROXY header v1, whatever the upstream says. */
  sendsProxyHeader: boolean
}>

/** Made once at build time. */
export type ServedListener = Readonly<{
  listener: Listener
  /** Its own, or one that it shares. Of a Service's port, a table of one route that takes every request and every connection. */
  table: ServedTable
  /** Of L4 alone. */
  relay: RelayEntry | undefined
  /** The clients that are let in; undefined: all. */
  sources: AddressSet | undefined
}>

export type Snapshot = Readonly<{
  generation: number
  /** Milliseconds since the epoch. */
  builtAt: number
  settings: Settings
  certificates: HostIndex<CertificateBinding>
  /** For connections whose TLS is passed through. */
  passthroughs: ReadonlyMap<UpstreamKey, RelayEntry>
  /** By place. */
  listeners: ReadonlyMap<string, ServedListener>
  /** The pools that a route or a listener of this snapshot leads to. */
  pools: readonly UpstreamPool[]
  /** True once a policy of this snapshot, or of one before, buffers requests or answers of any length. */
  buffersBodies: boolean
}>

/** A table as it was compiled last, with what it is compiled of. */
type CompiledTable = {
  readonly hosts: Map<string, CompiledHost>
  fallback: ServedRoute | SplitRoute | undefined
  table: ServedTable
}

/** A host as it was compiled last, and the upstreams that its routes lead to. */
type CompiledHost = {
  routes: HostRoutes<ServedRoute, ServedHost>
  readonly upstreams: ReadonlySet<UpstreamKey>
}

/**
 * Builds one snapshot from the other: tables, hosts and pools that an update leaves alone are taken over as they are, so a change of
 * one file costs little among 100,000 routes. Pools come from the registry, so that what is known of an endpoint outlives
 * them.
 */
export class SnapshotBuilder {
  readonly #registry: EndpointRegistry
  readonly #chains: FilterChains
  readonly #tables = new Map<string, CompiledTable>()
  readonly #upstreams = new Map<UpstreamKey, Upstream>()
  readonly #pools = new Map<UpstreamKey, UpstreamPool>()
  /** Of https upstreams, for those who pass bytes on. */
  readonly #plainPools = new Map<UpstreamKey, UpstreamPool>()
  readonly #bindings = new Map<string, CertificateBinding>()
  #certificates = new HostIndex<CertificateBinding>()
  #passthroughs: ReadonlyMap<UpstreamKey, RelayEntry> = new Map()
  /** Another map where anything in it is another. */
  #listeners: ReadonlyMap<string, ServedListener> = new Map()
  #settings: Settings | undefined
  /** `upstream` of the settings: the same object for as long as it says the same. */
  #defaults: UpstreamPolicy | undefined
  #buffersBodies = false
  #lastOwner: ResourceRef | undefined
  #lastName = ''

  constructor(registry: EndpointRegistry, chains: FilterChains) {
    this.#registry = registry
    this.#chains = chains
  }

  /** To be run to its end (base/slice) before another is begun. The pools of the snapshot are still to enter. */
  *build(update: SnapshotUpdate): Generator<void, Snapshot> {
    const { generation, builtAt, settings = this.#settings } = update
    if (!settings) throw new Error('the first update brings the settings')
    const changed = yield* this.#takeUpstreams(update, settings)
    yield* this.#takeTables(update, changed)
    yield* this.#takeCertificates(update)
    yield* this.#takeListeners(update, changed)
    this.#takePassthroughs(changed)
    const pools = Object.freeze([...this.#pools.values(), ...this.#plainPools.values()])
    const [certificates, passthroughs] = [this.#certificates, this.#passthroughs]
    const [listeners, buffersBodies] = [this.#listeners, this.#buffersBodies]
    return Object.freeze({ generation, builtAt, settings, certificates, passthroughs, listeners, pools, buffersBodies })
  }

  /** The keys whose pool is another one now, or none. */
  *#takeUpstreams(
    { upstreams, removed }: SnapshotUpdate,
    settings: Settings,
  ): Generator<void, ReadonlySet<UpstreamKey>> {
    const changed = new Set<UpstreamKey>(removed.upstreams)
    for (const upstream of upstreams) {
      this.#upstreams.set(upstream.key, upstream)
      changed.add(upstream.key)
      yield
    }
    for (const key of removed.upstreams) this.#upstreams.delete(key)
    if (!isDeepStrictEqual(settings.upstream, this.#defaults)) {
      this.#defaults = settings.upstream
      for (const key of this.#upstreams.keys()) changed.add(key)
    }
    for (const key of changed) {
      this.#pools.delete(key)
      this.#plainPools.delete(key)
      yield
    }
    this.#settings = settings
    return changed
  }

  /** Compiles what came, and again what leads to an upstream that changed. A table of which nothing did stays the same object. */
  *#takeTables({ tables, removed }: SnapshotUpdate, changed: ReadonlySet<UpstreamKey>): Generator<void, void> {
    for (const name of removed.tables) this.#tables.delete(name)
    for (const { name } of tables) {
      if (!this.#tables.has(name)) this.#tables.set(name, { hosts: new Map(), fallback: undefined, table: EMPTY_TABLE })
    }
    const updates = new Map(tables.map((update) => [update.name, update]))
    for (const [name, compiled] of this.#tables) {
      const { fallback } = compiled
      const update = updates.get(name)
      if (update) this.#dropHosts(compiled, update)
      const isTouched = yield* this.#compileAgain(compiled, changed)
      if (update) yield* this.#compileNew(compiled, update)
      else compiled.fallback = fallback && this.#serveAgain(fallback, changed)
      if (update || isTouched || compiled.fallback !== fallback) compiled.table = yield* indexTable(compiled)
    }
  }

  #dropHosts(compiled: CompiledTable, { hosts, removed }: TableUpdate): void {
    for (const name of removed) compiled.hosts.delete(name)
    for (const { host } of hosts) compiled.hosts.delete(host)
  }

  *#compileNew(compiled: CompiledTable, { hosts, defaultRoute }: TableUpdate): Generator<void, void> {
    for (const { host, filters: configs, routes } of hosts) {
      const filters = configs && this.#chains.find(configs, host)
      const served = { host, filters, routes: routes.map((route) => this.#serve(route)) }
      compiled.hosts.set(host, { routes: compileServed(served), upstreams: listUpstreams(routes) })
      yield
    }
    compiled.fallback = defaultRoute && this.#serve(defaultRoute)
  }

  /** Compiles the hosts that lead to an upstream that changed; true if there are any. */
  *#compileAgain({ hosts }: CompiledTable, changed: ReadonlySet<UpstreamKey>): Generator<void, boolean> {
    let isAny = false
    for (const entry of changed.size === 0 ? [] : hosts.values()) {
      if (intersects(entry.upstreams, changed)) {
        const { host } = entry.routes
        entry.routes = compileServed({ ...host, routes: host.routes.map((route) => this.#serveAgain(route, changed)) })
        isAny = true
      }
      yield
    }
    return isAny
  }

  *#takeCertificates({ certificates, removed }: SnapshotUpdate): Generator<void, void> {
    if (certificates.length === 0 && removed.certificates.length === 0) return
    for (const name of removed.certificates) this.#bindings.delete(name)
    for (const binding of certificates) this.#bindings.set(binding.host, binding)
    const index = new HostIndex<CertificateBinding>()
    for (const [host, binding] of this.#bindings) {
      index.add(host, binding)
      yield
    }
    this.#certificates = index
  }

  *#takeListeners({ listeners, removed }: SnapshotUpdate, changed: ReadonlySet<UpstreamKey>): Generator<void, void> {
    const next = new Map(this.#listeners)
    for (const place of removed.listeners) next.delete(place)
    for (const listener of listeners) {
      const sources = listener.sourceRanges.length > 0 ? createAddressSet(listener.sourceRanges) : undefined
      next.set(placeOf(listener), this.#serveListener(listener, sources))
      yield
    }
    const plain = new Set<UpstreamKey>(this.#listPassthroughs())
    for (const { listener } of next.values()) {
      if (isServiceListener(listener) && listener.layer === 'L4') plain.add(listener.upstream)
    }
    for (const key of this.#plainPools.keys()) if (!plain.has(key)) this.#plainPools.delete(key)
    for (const [place, { listener, table, sources }] of next) {
      const isOther = isServiceListener(listener)
        ? changed.has(listener.upstream)
        : table !== this.#findTable(listener.table)
      if (isOther) next.set(place, this.#serveListener(listener, sources))
      yield
    }
    this.#listeners = next
  }

  *#listPassthroughs(): Iterable<UpstreamKey> {
    for (const { passthrough } of this.#bindings.values()) if (passthrough !== undefined) yield passthrough
  }

  #takePassthroughs(changed: ReadonlySet<UpstreamKey>): void {
    const entries = new Map<UpstreamKey, RelayEntry>()
    for (const key of this.#listPassthroughs()) {
      const label = `passthrough ${key}`
      const before = changed.has(key) ? undefined : this.#passthroughs.get(key)
      const make = () => ({ label, route: serveWhole(label, key, this.#plainPool(key)), sendsProxyHeader: false })
      entries.set(key, before ?? Object.freeze(make()))
    }
    this.#passthroughs = entries
  }

  #serveListener(listener: Listener, sources: AddressSet | undefined): ServedListener {
    if (!isServiceListener(listener)) {
      return Object.freeze({ listener, table: this.#findTable(listener.table), relay: undefined, sources })
    }
    const { id, kind, upstream, layer, sendsProxyHeader } = listener
    const pool = layer === 'L7' ? this.#pool(upstream) : this.#plainPool(upstream)
    const route = serveWhole(`listener ${kind} ${upstream}`, upstream, pool)
    const relay = layer === 'L4' ? Object.freeze({ label: id, route, sendsProxyHeader }) : undefined
    return Object.freeze({ listener, table: Object.freeze({ ...EMPTY_TABLE, fallback: route }), relay, sources })
  }

  #findTable(name: string): ServedTable {
    return this.#tables.get(name)?.table ?? EMPTY_TABLE
  }

  #serve(route: Route): ServedRoute | SplitRoute {
    const { action, match } = route
    if (action.type !== 'split') return this.#serveBackend(route, action)
    const { shares, cookie } = action
    const routes = shares.map((share) => this.#serveBackend(route, share.action, cookie))
    const weights = shares.map(({ weight }) => weight)
    return new SplitRoute(match, routes, weights, cookie)
  }

  /** `cookie` is the name of the one that keeps the clients of the backend. */
  #serveBackend(route: Route, action: BackendAction, cookie?: string): ServedRoute {
    const { owner, match, policy: overrides } = route
    const upstream = this.#findPool(action)
    // Routes of one owner mostly follow each other: they share its name.
    if (owner !== this.#lastOwner) {
      this.#lastOwner = owner
      this.#lastName = printName(owner)
    }
    const labels = Object.freeze({
      ingress: this.#lastName,
      route: findRouteId(route),
      upstream: upstream?.upstream.key ?? '',
    })
    const policy = upstream && this.#policyOf(upstream.upstream, overrides)
    const filters = route.filters && this.#chains.find(route.filters)
    const asked = this.#findAsked(listAsked(route.filters))
    const mark = cookie === undefined ? undefined : this.#mark(action, cookie)
    return Object.freeze({ match, action, overrides, upstream, policy, labels, filters, asked, mark })
  }

  /** Undefined where there is no such Service. */
  #mark(action: BackendAction, cookie: string): ServedRoute['mark'] {
    return action.type === 'forward' ? { cookie, value: this.#registry.markService(findService(action)) } : undefined
  }

  /** The same route, where its upstream changed with its pool as it is now. */
  #serveAgain(route: ServedRoute | SplitRoute, changed: ReadonlySet<UpstreamKey>): ServedRoute | SplitRoute {
    if (!(route instanceof SplitRoute)) return this.#serveBackendAgain(route, changed)
    const routes = route.values.map((each) => this.#serveBackendAgain(each, changed))
    if (routes.every((each, at) => each === route.values[at])) return route
    return new SplitRoute(route.match, routes, route.weights, route.cookie, route)
  }

  #serveBackendAgain(route: ServedRoute, changed: ReadonlySet<UpstreamKey>): ServedRoute {
    const { action, overrides, labels } = route
    const isChanged = action.type === 'forward' && changed.has(action.upstream)
    if (!isChanged && (route.asked === undefined || !intersects(route.asked.keys(), changed))) return route
    const upstream = this.#findPool(action)
    const asked = route.asked && this.#findAsked([...route.asked.keys()])
    return Object.freeze({
      ...route,
      upstream,
      asked,
      policy: upstream && this.#policyOf(upstream.upstream, overrides),
      labels: Object.freeze({ ...labels, upstream: upstream?.upstream.key ?? '' }),
    })
  }

  #findAsked(keys: readonly UpstreamKey[]): AskedPools | undefined {
    return keys.length === 0 ? undefined : new Map(keys.map((key) => [key, this.#pool(key)]))
  }

  #findPool(action: BackendAction): UpstreamPool | undefined {
    return action.type === 'forward' ? this.#pool(action.upstream) : undefined
  }

  #pool(key: UpstreamKey): UpstreamPool | undefined {
    const known = this.#pools.get(key)
    const upstream = this.#upstreams.get(key)
    if (known || !upstream) return known
    const pool = this.#registry.pool(upstream, this.#policyOf(upstream))
    this.#pools.set(key, pool)
    return pool
  }

  /** Undefined as well where nobody may be led there: no route has looked at that before. */
  #plainPool(key: UpstreamKey): UpstreamPool | undefined {
    const upstream = this.#upstreams.get(key)
    if (upstream?.denied !== undefined) return undefined
    if (upstream?.protocol !== 'https') return this.#pool(key)
    const known = this.#plainPools.get(key)
    if (known) return known
    const pool = this.#registry.pool(upstream, this.#policyOf(upstream), true)
    this.#plainPools.set(key, pool)
    return pool
  }

  #policyOf({ policy }: Upstream, routeOverrides?: PolicyOverrides | undefined): UpstreamPolicy {
    const resolved = resolvePolicy(this.#defaults!, policy, routeOverrides)
    if (resolved.requestBuffering === 'all' || resolved.responseBuffering === 'all') this.#buffersBodies = true
    return resolved
  }
}

const ANY_PATH = Object.freeze({ type: 'prefix', path: '/' } as const)

/** Answers 404. */
const EMPTY_TABLE: ServedTable = Object.freeze({
  hosts: new HostIndex<HostRoutes<ServedRoute, ServedHost>>(),
  anyHost: undefined,
  fallback: undefined,
  fallbacks: undefined,
})

function* indexTable({ hosts: compiled, fallback }: CompiledTable): Generator<void, ServedTable> {
  const hosts = new HostIndex<HostRoutes<ServedRoute, ServedHost>>()
  let anyHost: HostRoutes<ServedRoute, ServedHost> | undefined
  for (const [name, { routes }] of compiled) {
    if (name === '') anyHost = routes
    else hosts.add(name, routes)
    yield
  }
  const [only, several] = fallback instanceof SplitRoute ? [undefined, fallback] : [fallback, undefined]
  return Object.freeze({ hosts, anyHost, fallback: only, fallbacks: several })
}

function compileServed(host: ServedHost): HostRoutes<ServedRoute, ServedHost> {
  return compileHost(Object.freeze(host), (route: ServedRoute | SplitRoute) => route)
}

function intersects<T>(few: Iterable<T>, set: ReadonlySet<T>): boolean {
  if (set.size === 0) return false
  for (const each of few) if (set.has(each)) return true
  return false
}

/** The route of all that comes to a port, or by TLS that is passed through. */
function serveWhole(id: string, key: UpstreamKey, upstream: UpstreamPool | undefined): ServedRoute {
  return Object.freeze({
    match: ANY_PATH,
    action: Object.freeze({ type: 'forward', upstream: key, backend: key }),
    overrides: undefined,
    upstream,
    policy: upstream?.policy,
    labels: Object.freeze({ ingress: '', route: id, upstream: upstream ? key : '' }),
    filters: undefined,
    asked: undefined,
    mark: undefined,
  })
}
