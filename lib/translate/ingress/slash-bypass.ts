/** Guards that a doubled slash gets past, where a listener does not merge slashes. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { compileBeginning } from '../../base/pattern.ts'
import { findFilter } from '../../filters/registry.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { GatewayListener } from '../../model/listener.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import { findPathField, type Route, type VirtualHost } from '../../model/route.ts'
import { isClosed } from './backend.ts'
import { isSameFilter } from './filter-layers.ts'
import { findSample } from './path-pattern.ts'

/** Guarded routes of a host that are looked at. */
const MOST_ROUTES = 1_000

/**
 * Reports, once for each Ingress, that a request with a doubled slash in a guarded path goes to another route, which lacks the guard and
 * is served: an endpoint that merges slashes serves the guarded path then. `listeners` serve the host, and `rest` is the route of requests
 * that no rule takes.
 */
export function reportSlashBypasses(
  { routes }: VirtualHost,
  rest: Route | undefined,
  listeners: readonly GatewayListener[],
  ingressOf: (owner: ResourceRef) => Ingress,
  diagnostics: DiagnosticList,
): void {
  const open = listeners.filter(({ paths }) => paths.mergeSlashes === 'never')
  if (open.length === 0) return
  const all = rest === undefined ? routes : [...routes, rest]
  const guarded = routes.filter((route) => isClosed(route) || listGuards(route).length > 0)
  const reported = new Set<ResourceRef>()
  for (const route of guarded.slice(0, MOST_ROUTES)) {
    if (reported.has(route.owner)) continue
    const bypass = findBypass(route, all)
    if (bypass === undefined) continue
    const { path, next } = bypass
    reported.add(route.owner)
    const ingress = ingressOf(route.owner)
    const ids = open.map(({ id }) => id).join(' and ')
    const where = next.pathType === 'default' ? 'the default backend' : `path "${next.path}"`
    diagnostics.add(
      'PORTICO_ROUTE_SLASH_BYPASS',
      `requests to "${path}" get past the guard of "${route.path}" on ${ids}: ${where} takes them`,
      {
        position: ingress.origin.locate(findPathField(route)),
        resource: printResource(ingress),
        help: 'set mergeSlashes of this listener to match or always in the settings, unless no endpoint merges slashes itself',
      },
    )
  }
}

function listGuards({ filters = [] }: Route): readonly FilterConfig[] {
  return filters.filter(({ name }) => findFilter(name).isGuard)
}

/** A request that goes to another route, in order of rank, and that route. */
function findBypass(route: Route, routes: readonly Route[]): Readonly<{ path: string; next: Route }> | undefined {
  for (const path of listDoubled(route)) {
    for (const next of routes) {
      if (!takes(next, path)) continue
      if (isServedWithout(next, route)) return { path, next }
      if (next.match.conditions === undefined) break
    }
  }
  return undefined
}

/** The path of the route with one of its slashes doubled, for each of them; none where no path of it is known. */
function listDoubled({ match: { type, path } }: Route): readonly string[] {
  const known = (type === 'regex' ? findSample(path) : path) ?? ''
  const stem = known.endsWith('/') ? known.slice(0, -1) : known
  return Array.from(stem.matchAll(/\//g), ({ index }) => `${stem.slice(0, index)}/${stem.slice(index)}`)
}

function takes({ match, pathType }: Route, path: string): boolean {
  if (pathType === 'default') return true
  if (match.type === 'regex') return compileBeginning(match).begins(path)
  const stem = match.path.endsWith('/') ? match.path : `${match.path}/`
  return match.type === 'prefix' && path.startsWith(stem)
}

/** True if `other` is served, and does not have all guards of the route. */
function isServedWithout(other: Route, route: Route): boolean {
  if (other.action.type === 'unavailable') return false
  const { filters = [] } = other
  return isClosed(route) || listGuards(route).some((guard) => !filters.some((filter) => isSameFilter(filter, guard)))
}
