/** The one place where the control side meets the data side: everything a request needs, frozen, swapped whole. */

import { isDeepStrictEqual } from 'node:util'
import { type AddressSet, createAddressSet } from '../base/cidr.ts'
import { printName } from '../base/resource-name.ts'
import type { FilterChain, FilterChains } from '../filters/chain.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { ResourceRef } from '../model/resource-ref.ts'
import { findRouteId, type Route, type RouteAction, type RouteMatch } from '../model/route.ts'
import { placeOf, type ServiceListener } from '../model/service-listener.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import { HostIndex } from '../routing/host-index.ts'
import { compileHost, type HostRoutes, type RoutingTable } from '../routing/table.ts'
import { resolvePolicy } from '../settings/policy.ts'
import type { PolicyOverrides, UpstreamPolicy } from '../settings/service.ts'
import type { Settings } from '../settings/table.ts'
import type { RouteLabels } from '../telemetry/record.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointRegistry } from '../upstream/choice/registry.ts'
import { listUpstreams, type SnapshotUpdate } from './update.ts'

/** A route with its upstream; made once at build time. Of the route itself it has what requests need: there may be 100,000. */
export type ServedRoute = Readonly<{
  match: RouteMatch
  action: RouteAction
  overrides: PolicyOverrides | undefined
  /** Undefined where the route's action is `unavailable`. */
  upstream: UpstreamPool | undefined
  /** The policy of the pool with the overrides; undefined where there is no pool. */
  policy: UpstreamPolicy | undefined
  labels: RouteLabels
  /** Undefined: it has no filters. */
  filters: FilterChain | undefined
}>

export type ServedHost = Readonly<{
  host: string
  /** They act before a route is found; undefined: there are none. */
  filters: FilterChain | undefined
  routes: readonly ServedRoute[]
}>

/** A port that a Service opens, with its route; made once at build time. */
export type ServedListener = Readonly<{
  listener: ServiceListener
  /** Takes every request and every connection. */
  route: ServedRoute
  /** The clients that are let in; undefined: all. */
  sources: AddressSet | undefined
}>

export type Snapshot = Readonly<{
  generation: number
  /** Milliseconds since the epoch. */
  builtAt: number
  settings: Settings
  table: RoutingTable<ServedRoute, ServedHost>
  certificates: HostIndex<CertificateBinding>
  /** By place. */
  listeners: ReadonlyMap<string, ServedListener>
  /** The pools that a route or a listener of this snapshot leads to. */
  pools: readonly UpstreamPool[]
}>

/** A host as it was compiled last, and the upstreams that its routes lead to. */
type CompiledHost = {
  routes: HostRoutes<ServedRoute, ServedHost>
  readonly upstreams: ReadonlySet<UpstreamKey>
}

/**
 * Builds one snapshot from the other: hosts and pools that an update leaves alone are taken over as they are, so a change of
 * one file costs little among 100,000 routes. Pools come from the registry, so that what is known of an endpoint outlives
 * them.
 */
export class SnapshotBuilder {
  readonly #registry: EndpointRegistry
  readonly #chains: FilterChains
  readonly #hosts = new Map<string, CompiledHost>()
  readonly #upstreams = new Map<UpstreamKey, Upstream>()
  readonly #pools = new Map<UpstreamKey, UpstreamPool>()
  /** Of https upstreams, for those who pass bytes on. */
  readonly #plainPools = new Map<UpstreamKey, UpstreamPool>()
  readonly #bindings = new Map<string, CertificateBinding>()
  #certificates = new HostIndex<CertificateBinding>()
  /** Another map where anything in it is another. */
  #listeners: ReadonlyMap<string, ServedListener> = new Map()
  #settings: Settings | undefined
  /** `upstream` of the settings: the same object for as long as it says the same. */
  #defaults: UpstreamPolicy | undefined
  #lastOwner: ResourceRef | undefined
  #lastName = ''

  constructor(registry: EndpointRegistry, chains: FilterChains) {
    this.#registry = registry
    this.#chains = chains
  }

  /** To be run to its end (base/slice) before another is begun. The pools of the snapshot are still to enter. */
  *build(update: SnapshotUpdate): Generator<void, Snapshot> {
    const { generation, builtAt, settings = this.#settings, defaultRoute } = update
    if (!settings) throw new Error('the first update brings the settings')
    const changed = yield* this.#takeUpstreams(update, settings)
    yield* this.#takeHosts(update, changed)
    yield* this.#takeCertificates(update)
    yield* this.#takeListeners(update, changed)

    const hosts = new HostIndex<HostRoutes<ServedRoute, ServedHost>>()
    let anyHost: HostRoutes<ServedRoute, ServedHost> | undefined
    for (const [name, { routes }] of this.#hosts) {
      if (name === '') anyHost = routes
      else hosts.add(name, routes)
      yield
    }
    const fallback = defaultRoute && this.#serve(defaultRoute)
    const pools = Object.freeze([...this.#pools.values(), ...this.#plainPools.values()])
    const listeners = this.#listeners
    const table = Object.freeze({ hosts, anyHost, fallback })
    return Object.freeze({ generation, builtAt, settings, table, certificates: this.#certificates, listeners, pools })
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

  /** Compiles the hosts that came, and again those that lead to an upstream that changed. */
  *#takeHosts({ hosts, removed }: SnapshotUpdate, changed: ReadonlySet<UpstreamKey>): Generator<void, void> {
    for (const name of removed.hosts) this.#hosts.delete(name)
    const come = new Set<string>()
    for (const { host, filters: configs, routes } of hosts) {
      const filters = configs && this.#chains.find(configs, `host ${host}`)
      const served = { host, filters, routes: routes.map((route) => this.#serve(route)) }
      this.#hosts.set(host, { routes: compileServed(served), upstreams: listUpstreams(routes) })
      come.add(host)
      yield
    }
    for (const [name, entry] of changed.size === 0 ? [] : this.#hosts) {
      if (!come.has(name) && intersects(entry.upstreams, changed)) {
        const { host } = entry.routes
        entry.routes = compileServed({ ...host, routes: host.routes.map((route) => this.#serveAgain(route, changed)) })
      }
      yield
    }
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
    const plain = new Set<UpstreamKey>()
    for (const { listener } of next.values()) if (listener.layer === 'L4') plain.add(listener.upstream)
    for (const key of this.#plainPools.keys()) if (!plain.has(key)) this.#plainPools.delete(key)
    for (const [place, { listener, sources }] of changed.size === 0 ? [] : next) {
      if (changed.has(listener.upstream)) next.set(place, this.#serveListener(listener, sources))
      yield
    }
    this.#listeners = next
  }

  #serveListener(listener: ServiceListener, sources: AddressSet | undefined): ServedListener {
    const { kind, upstream: key, layer } = listener
    const upstream = layer === 'L7' ? this.#pool(key) : this.#plainPool(key)
    const route: ServedRoute = Object.freeze({
      match: ANY_PATH,
      action: Object.freeze({ type: 'forward', upstream: key, backend: key }),
      overrides: undefined,
      upstream,
      policy: upstream?.policy,
      labels: Object.freeze({ ingress: '', route: `listener ${kind} ${key}`, upstream: upstream ? key : '' }),
      filters: undefined,
    })
    return Object.freeze({ listener, route, sources })
  }

  #serve(route: Route): ServedRoute {
    const { owner, match, action, policy: overrides } = route
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
    const filters = route.filters && this.#chains.find(route.filters, this.#lastName)
    return Object.freeze({ match, action, overrides, upstream, policy, labels, filters })
  }

  /** The same route, where its upstream changed with its pool as it is now. */
  #serveAgain(route: ServedRoute, changed: ReadonlySet<UpstreamKey>): ServedRoute {
    const { action, overrides, labels } = route
    if (action.type !== 'forward' || !changed.has(action.upstream)) return route
    const upstream = this.#findPool(action)
    return Object.freeze({
      ...route,
      upstream,
      policy: upstream && this.#policyOf(upstream.upstream, overrides),
      labels: Object.freeze({ ...labels, upstream: upstream?.upstream.key ?? '' }),
    })
  }

  #findPool(action: RouteAction): UpstreamPool | undefined {
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

  #plainPool(key: UpstreamKey): UpstreamPool | undefined {
    const upstream = this.#upstreams.get(key)
    if (upstream?.protocol !== 'https') return this.#pool(key)
    const known = this.#plainPools.get(key)
    if (known) return known
    const pool = this.#registry.pool(upstream, this.#policyOf(upstream), true)
    this.#plainPools.set(key, pool)
    return pool
  }

  #policyOf({ policy }: Upstream, routeOverrides?: PolicyOverrides | undefined): UpstreamPolicy {
    return resolvePolicy(this.#defaults!, policy, routeOverrides)
  }
}

const ANY_PATH = Object.freeze({ type: 'prefix', path: '/' } as const)

function compileServed(host: ServedHost): HostRoutes<ServedRoute, ServedHost> {
  return compileHost(Object.freeze(host), (route: ServedRoute) => route)
}

function intersects<T>(few: ReadonlySet<T>, set: ReadonlySet<T>): boolean {
  if (set.size === 0) return false
  for (const each of few) if (set.has(each)) return true
  return false
}
