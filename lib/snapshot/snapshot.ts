/** The one place where the control side meets the data side: everything a request needs, frozen, swapped whole. */

import { type AddressSet, createAddressSet } from '../base/cidr.ts'
import type { Clock } from '../base/clock.ts'
import { runAtOnce } from '../base/slice.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { Model } from '../model/model.ts'
import { placeOf } from '../model/service-listener.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import { HostIndex } from '../routing/host-index.ts'
import { compileHost, type HostRoutes, type RoutingTable } from '../routing/table.ts'
import type { Settings } from '../settings/table.ts'
import type { RouteLabels } from '../telemetry/record.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointRegistry } from '../upstream/choice/registry.ts'
import { findRoutePolicy, type PolicySource } from '../upstream/choice/route-policy.ts'
import {
  diffLive,
  type LiveHost,
  type LiveListener,
  type LiveRoute,
  listUpstreams,
  type SnapshotUpdate,
  selectLive,
} from './update.ts'

/** A route with what serves it; made once at build time. */
export type ServedRoute = Readonly<{
  route: LiveRoute
  /** Undefined where the route's action is `unavailable`. */
  upstream: UpstreamPool | undefined
  /** How its requests are served there; undefined as the upstream. */
  policy: PolicySource | undefined
  labels: RouteLabels
}>

/** A port that a Service opens, with what serves it; made once at build time. */
export type ServedListener = Readonly<{
  listener: LiveListener
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
  table: RoutingTable<ServedRoute, LiveHost>
  certificates: HostIndex<CertificateBinding>
  /** By place. */
  listeners: ReadonlyMap<string, ServedListener>
  /** The pools that a route or a listener of this snapshot leads to. */
  pools: readonly UpstreamPool[]
}>

/** A host with its routes as compiled last, and the upstreams these lead to. */
type CompiledHost = {
  readonly host: LiveHost
  compiled: HostRoutes<ServedRoute, LiveHost> | undefined
  readonly upstreams: ReadonlySet<UpstreamKey>
}

/**
 * Builds one snapshot from the other: hosts and pools that an update leaves alone are taken over as they are, so a change of
 * one file costs little among 100,000 routes. Pools come from the registry, so that what is known of an endpoint outlives
 * them.
 */
export class SnapshotBuilder {
  readonly #registry: EndpointRegistry
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
  #lastIngress: LiveRoute['ingress'] | undefined
  #lastName = ''

  constructor(registry: EndpointRegistry) {
    this.#registry = registry
  }

  /** To be run to its end (base/slice) before another is begun. The registry must know the new settings already. */
  *build(update: SnapshotUpdate): Generator<void, Snapshot> {
    const { generation, builtAt, settings = this.#settings, defaultRoute } = update
    if (!settings) throw new Error('the first update brings the settings')
    const changed = yield* this.#takeUpstreams(update, settings)
    yield* this.#takeHosts(update)
    yield* this.#takeCertificates(update)
    yield* this.#takeListeners(update, changed)

    const hosts = new HostIndex<HostRoutes<ServedRoute, LiveHost>>()
    let anyHost: HostRoutes<ServedRoute, LiveHost> | undefined
    const serve = (route: LiveRoute) => this.#serve(route)
    for (const [name, entry] of this.#hosts) {
      if (!entry.compiled || intersects(entry.upstreams, changed)) entry.compiled = compileHost(entry.host, serve)
      if (name === '') anyHost = entry.compiled
      else hosts.add(name, entry.compiled)
      yield
    }
    const fallback = defaultRoute && serve(defaultRoute)
    // Limits that the settings changed hold from now on, also for whoever waits.
    if (update.settings) for (const pool of this.#pools.values()) void pool.policy
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
    for (const key of changed) {
      this.#pools.delete(key)
      yield
    }
    this.#settings = settings
    return changed
  }

  *#takeHosts({ hosts, removed }: SnapshotUpdate): Generator<void, void> {
    for (const name of removed.hosts) this.#hosts.delete(name)
    for (const host of hosts) {
      this.#hosts.set(host.host, { host, compiled: undefined, upstreams: listUpstreams(host.routes) })
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
    for (const key of changed) this.#plainPools.delete(key)
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

  #serveListener(listener: LiveListener, sources: AddressSet | undefined): ServedListener {
    const { kind, upstream: key, service, layer } = listener
    const upstream = layer === 'L7' ? this.#pool(key) : this.#plainPool(key)
    const route: LiveRoute = Object.freeze({
      id: `listener ${kind} ${key}`,
      match: ANY_PATH,
      action: Object.freeze({ type: 'forward', upstream: key }),
      ingress: service,
    })
    const labels = Object.freeze({ ingress: '', route: route.id, upstream: upstream ? key : '' })
    return Object.freeze({ listener, route: Object.freeze({ route, upstream, policy: upstream, labels }), sources })
  }

  #serve(route: LiveRoute): ServedRoute {
    const { id, action, ingress, policy } = route
    const upstream = action.type === 'forward' ? this.#pool(action.upstream) : undefined
    // Routes of one Ingress mostly follow each other: they share its name.
    if (ingress !== this.#lastIngress) {
      this.#lastIngress = ingress
      this.#lastName = `${ingress.namespace}/${ingress.name}`
    }
    const labels = Object.freeze({
      ingress: this.#lastName,
      route: id,
      upstream: upstream?.upstream.key ?? '',
    })
    return Object.freeze({ route, upstream, policy: upstream && findRoutePolicy(upstream, policy), labels })
  }

  #pool(key: UpstreamKey): UpstreamPool | undefined {
    const known = this.#pools.get(key)
    const upstream = this.#upstreams.get(key)
    if (known || !upstream) return known
    const pool = this.#registry.pool(upstream)
    this.#pools.set(key, pool)
    return pool
  }

  #plainPool(key: UpstreamKey): UpstreamPool | undefined {
    const upstream = this.#upstreams.get(key)
    if (upstream?.protocol !== 'https') return this.#pool(key)
    const known = this.#plainPools.get(key)
    if (known) return known
    const pool = this.#registry.pool(upstream, true)
    this.#plainPools.set(key, pool)
    return pool
  }
}

const ANY_PATH = Object.freeze({ type: 'prefix', path: '/' } as const)

function intersects<T>(few: ReadonlySet<T>, set: ReadonlySet<T>): boolean {
  if (set.size === 0) return false
  for (const each of few) if (set.has(each)) return true
  return false
}

/** Compiles a model at once, for whoever has no snapshot before it. */
export function buildSnapshot(
  input: Readonly<{ generation: number; settings: Settings; model: Model }>,
  registry: EndpointRegistry,
  clock: Clock,
): Snapshot {
  const served = { ...input, builtAt: clock.now(), diagnostics: [] }
  return runAtOnce(new SnapshotBuilder(registry).build(diffLive(undefined, selectLive(served))))
}
