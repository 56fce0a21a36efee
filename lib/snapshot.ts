/** The one place where the control side meets the data side: everything a request needs, frozen, swapped whole. */
import type { Diagnostic } from './base/diagnostics.ts'
import type { CertificateBinding } from './model/certificate.ts'
import type { Model } from './model/model.ts'
import type { Route, VirtualHost } from './model/route.ts'
import type { HostIndex } from './routing/host-index.ts'
import type { RoutingTable } from './routing/table.ts'
import type { Settings } from './settings-table.ts'
import type { UpstreamPool } from './upstream/pool.ts'

/** A route with what serves it; made once at build time. */
export type ServedRoute = Readonly<{
  route: Route
  /** Undefined where the route's action is `unavailable`. */
  upstream: UpstreamPool | undefined
}>

export type Snapshot = Readonly<{
  generation: number
  /** Milliseconds since the epoch. */
  builtAt: number
  settings: Settings
  model: Model
  table: RoutingTable<ServedRoute, VirtualHost>
  certificates: HostIndex<CertificateBinding>
  diagnostics: readonly Diagnostic[]
}>
