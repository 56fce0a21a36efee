import type { ResourceRef } from './resource-ref.ts'
import type { UpstreamKey } from './upstream.ts'

/** A feature that is applied to the requests of a route. */
export type FilterConfig = Readonly<{
  /** Its spec's (filters/registry). */
  name: string
  /** Plain data that its spec has read and checked. */
  options: FilterOptions
  /** The object that has the filter. Its routes share what the filter remembers. Undefined: a filter of hosts. */
  owner?: ResourceRef
  /** The upstreams that it asks; undefined: none. */
  upstreams?: readonly UpstreamKey[]
}>

export type FilterOptions = Readonly<Record<string, unknown>>
