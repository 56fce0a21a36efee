/** The servers that filters ask beside requests, with where the objects name them. */
import type { FieldPath } from '../../base/position.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { Route } from '../../model/route.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import type { ContentName, ContentProblem } from './content.ts'
import type { FilterOwner, Shown } from './mention.ts'

export type AskedServer = Readonly<{
  upstream: UpstreamKey
  /** Undefined: no Service stands for it, but a URL. */
  service: ContentName | undefined
  /** The host of the URL seems to mean a Service, and is the name of none; undefined: it does not. */
  doubt: ContentProblem | undefined
  /** For people: what holds as long as it cannot answer. */
  outcome: string
  /** Where the object names it. */
  owner: FilterOwner
  label: string
  field: FieldPath
  /** What diagnostics may show of it. */
  shown: Shown
}>

const known = new WeakMap<FilterConfig, readonly AskedServer[]>()

/** Keeps what the filter asks, for as long as there is the filter. */
export function keepAsked(filter: FilterConfig, servers: readonly AskedServer[]): void {
  known.set(filter, servers)
}

/** What the filter asks. */
export function findAsked(filter: FilterConfig): readonly AskedServer[] {
  return known.get(filter) ?? []
}

/** The filters of the routes of all lists that ask servers, each once. */
export function listAsking(lists: Iterable<readonly Pick<Route, 'filters'>[]>): readonly FilterConfig[] {
  const asking = new Set<FilterConfig>()
  const seen = new Set<Route['filters']>()
  for (const routes of lists) {
    for (const { filters } of routes) {
      if (filters === undefined || seen.has(filters)) continue
      seen.add(filters)
      for (const filter of filters) if (filter.upstreams !== undefined) asking.add(filter)
    }
  }
  return [...asking]
}
