/** The one place where the control side meets the data side: everything a request needs, frozen, swapped whole. */
import type { Clock } from './base/clock.ts'
import type { Diagnostic } from './base/diagnostics.ts'
import type { CertificateBinding } from './model/certificate.ts'
import type { Model } from './model/model.ts'
import type { Route, VirtualHost } from './model/route.ts'
import type { UpstreamKey } from './model/upstream.ts'
import { HostIndex } from './routing/host-index.ts'
import { compileTable, type RoutingTable } from './routing/table.ts'
import type { Settings } from './settings-table.ts'
import type { RouteLabels } from './telemetry/record.ts'
import type { UpstreamPool } from './upstream/pool.ts'
import type { EndpointRegistry } from './upstream/registry.ts'

/** A route with what serves it; made once at build time. */
export type ServedRoute = Readonly<{
  route: Route
  /** Undefined where the route's action is `unavailable`. */
  upstream: UpstreamPool | undefined
  labels: RouteLabels
}>

export type Snapshot = Readonly<{
  generation: number
  /** Milliseconds since the epoch. */
  builtAt: number
  settings: Settings
  model: Model
  table: RoutingTable<ServedRoute, VirtualHost>
  certificates: HostIndex<CertificateBinding>
  /** The pools that a route of this snapshot leads to. */
  pools: readonly UpstreamPool[]
  diagnostics: readonly Diagnostic[]
}>

export type SnapshotInput = {
  readonly generation: number
  readonly settings: Settings
  readonly model: Model
  readonly diagnostics: readonly Diagnostic[]
}

/** Compiles a model. Pools come from the registry, so that what is known of an endpoint outlives the snapshot. */
export function buildSnapshot(input: SnapshotInput, registry: EndpointRegistry, clock: Clock): Snapshot {
  const { generation, settings, model, diagnostics } = input
  const pools = new Map<UpstreamKey, UpstreamPool>()
  const findPool = (key: UpstreamKey): UpstreamPool | undefined => {
    const known = pools.get(key)
    const upstream = model.upstreams.get(key)
    if (known || !upstream) return known
    const pool = registry.pool(upstream)
    pools.set(key, pool)
    return pool
  }
  const table = compileTable(model, (route): ServedRoute => {
    const upstream = route.action.type === 'forward' ? findPool(route.action.upstream) : undefined
    const { namespace, name } = route.ingress
    const labels = Object.freeze({
      ingress: `${namespace}/${name}`,
      route: route.id,
      upstream: upstream?.upstream.key ?? '',
    })
    return Object.freeze({ route, upstream, labels })
  })
  const certificates = new HostIndex(model.certificates.map((binding) => [binding.host, binding] as const))
  return Object.freeze({
    generation,
    builtAt: clock.now(),
    settings,
    model,
    table,
    certificates,
    pools: Object.freeze([...pools.values()]),
    diagnostics,
  })
}
