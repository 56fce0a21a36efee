/** Conditions on clients' addresses that keep nobody away, since another route serves the same to all. */
import { isDeepStrictEqual } from 'node:util'
import type { DiagnosticList } from '../../base/diagnostics.ts'
import type { FieldPath } from '../../base/position.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { RouteConditions } from '../../model/conditions.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import { findPathField, type Route, type VirtualHost } from '../../model/route.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { isSameFilter } from './filter-layers.ts'
import { ADDRESSES } from './match-annotation.ts'
import { sameAction } from './route.ts'

const ANNOTATION: FieldPath = ['metadata', 'annotations', ANNOTATION_DOMAIN + ADDRESSES]
/** Routes with such conditions that are looked at in a host. */
const MOST_ROUTES = 1_000

/**
 * Reports, once for each Ingress, that requests of clients it does not name go to the same backend, with the same filters and settings,
 * by the next route: the condition changes nothing. Where it changes something it may be there to choose, and not to protect.
 */
export function reportFallThrough(
  { routes }: VirtualHost,
  ingressOf: (owner: ResourceRef) => Ingress,
  diagnostics: DiagnosticList,
): void {
  const restricted = routes.filter(({ match }) => match.conditions?.clientAddresses !== undefined)
  const reported = new Set<ResourceRef>()
  for (const route of restricted.slice(0, MOST_ROUTES)) {
    if (reported.has(route.owner)) continue
    const next = findNext(routes, route)
    if (next === undefined || !servesTheSame(route, next)) continue
    reported.add(route.owner)
    const ingress = ingressOf(route.owner)
    const holder = ingressOf(next.owner)
    const where = next.pathType === 'default' ? 'the default backend' : `path "${next.path}"`
    diagnostics.add(
      'PORTICO_ROUTE_ADDRESS_FALLS_THROUGH',
      `${ADDRESSES} keeps nobody away from "${route.path}": ${where} of ${printResource(holder)} serves all other clients the same`,
      {
        // A RoutePolicy may have the condition.
        position: isOwn(ingress) ? ingress.origin.locateKey(ANNOTATION) : ingress.origin.locate(findPathField(route)),
        resource: printResource(ingress),
        help: 'to refuse them, write portico.dev/allow-source-range in its place (docs/filters.md)',
        notes: [{ message: 'they go here', position: holder.origin.locate(findPathField(next)) }],
      },
    )
  }
}

/** The route that takes a request to the path of `route` if only its client is another; undefined: that cannot be told, or there is none. */
function findNext(routes: readonly Route[], { match }: Route): Route | undefined {
  if (match.type === 'regex') return undefined
  const { clientAddresses: _, ...rest } = match.conditions ?? {}
  for (const next of routes) {
    const { clientAddresses, ...asked } = next.match.conditions ?? {}
    // Who is left is not known where a route names all addresses of a family.
    if (clientAddresses?.some((range) => range.endsWith('/0'))) return undefined
    if (clientAddresses !== undefined) continue
    if (next.match.type === 'regex') return undefined
    if (!takesPath(next, match.path)) continue
    return isImplied(asked, rest) ? next : undefined
  }
  return undefined
}

function isOwn({ meta }: Ingress): boolean {
  return Object.hasOwn(meta.annotations, ANNOTATION_DOMAIN + ADDRESSES)
}

function takesPath({ match: { type, path } }: Route, asked: string): boolean {
  if (asked === path) return true
  const stem = path.endsWith('/') ? path : `${path}/`
  return type === 'prefix' && `${asked}/`.startsWith(stem)
}

/** True if every request that meets `given` meets `asked`, which has some of the same conditions or none. */
function isImplied(asked: RouteConditions, given: RouteConditions): boolean {
  return Object.entries(asked).every(([name, value]) => isDeepStrictEqual(value, given[name as keyof RouteConditions]))
}

function hasSameFilters(some: readonly FilterConfig[], others: readonly FilterConfig[]): boolean {
  return some.length === others.length && some.every((filter, at) => isSameFilter(filter, others[at]!))
}

function servesTheSame(a: Route, b: Route): boolean {
  // What a filter makes of a path may depend on the path of the route.
  const isSameFiltered = a.filters === undefined || a.match.path === b.match.path
  return (
    sameAction(a.action, b.action) &&
    isSameFiltered &&
    hasSameFilters(a.filters ?? [], b.filters ?? []) &&
    isDeepStrictEqual(a.policy, b.policy)
  )
}
