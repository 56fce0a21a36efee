/** The compiled routing table: immutable, and a look-up costs the depth of the path, not the number of routes. */
import type { HostIndex } from './host-index.ts'

/** The routes of one virtual host, compiled. */
export type HostRoutes<R, H> = {
  readonly host: H
  /** `path` in match form (base/path). Undefined: the default backend, if any, takes it (I-17). */
  find(path: string): R | undefined
}

export type RoutingTable<R, H> = {
  /** Exact host, then wildcard; when neither is known, the routes for every host (I-9, I-10). */
  readonly hosts: HostIndex<HostRoutes<R, H>>
  readonly anyHost: HostRoutes<R, H> | undefined
  /** What serves requests that no rule takes (I-22, I-24); undefined: 404. */
  readonly fallback: R | undefined
}
