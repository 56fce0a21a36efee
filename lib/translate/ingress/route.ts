/** Routes of Ingress paths, and the choice among several routes with the same meaning (I-15, I-37 to I-40). */

import type { DiagnosticList } from '../../base/diagnostics.ts'
import { statusOf } from '../../base/errors.ts'
import { normalizeRulePath } from '../../base/path.ts'
import { findFilter } from '../../filters/registry.ts'
import { type Ingress, type IngressBackend, type IngressPath, printResource } from '../../kubernetes/resource.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import {
  findBackendField,
  findPathField,
  type PathMatch,
  type Route,
  type RouteAction,
  type ShadowedRoute,
} from '../../model/route.ts'
import { compareRank } from '../../routing/rank.ts'
import { readRoutePolicy } from '../service/policy.ts'
import { closeAction, type Resolution, reportBackend } from './backend.ts'
import { findBrokenGuard, readFilters } from './filters.ts'
import type { ForeignAnnotation } from './foreign-table.ts'
import { explainPattern, findPatternSign, isPattern } from './path-pattern.ts'

type WrittenPath = Pick<IngressPath, 'path' | 'pathType'>

const EVERY_PATH: PathMatch = Object.freeze({ type: 'prefix', path: '/' })

/** The route of an Ingress's default backend on a host; `''` is every host. */
export function claimDefault(
  ingress: Ingress,
  owner: ResourceRef,
  host: string,
  { action }: Pick<Resolution, 'action'>,
): Route {
  return createRoute(ingress, {
    owner,
    rule: -1,
    item: -1,
    host,
    match: EVERY_PATH,
    pathType: 'default',
    path: '',
    action,
  })
}

/** The route of a rule's path; undefined, and reported, if no request can match it. `owner` names the Ingress. */
export function claimPath(
  ingress: Ingress,
  owner: ResourceRef,
  rule: Readonly<{ host: string; index: number }>,
  path: IngressPath,
  find: (backend: IngressBackend) => Resolution,
  diagnostics: DiagnosticList,
): Route | undefined {
  const { action, problem } = find(path.backend)
  const match = checkPath(ingress, rule.index, path, isClosed({ action }), diagnostics)
  if (match === undefined) return undefined
  const route = createRoute(ingress, {
    owner,
    rule: rule.index,
    item: path.index,
    host: rule.host,
    match,
    pathType: path.pathType,
    path: path.path,
    action,
  })
  if (problem) reportBackend(problem, ingress, findBackendField(route), diagnostics)
  return route
}

function createRoute(ingress: Ingress, route: Route): Route {
  const policy = readRoutePolicy(ingress)
  const filters = readFilters(ingress)
  const broken = findBrokenGuard(ingress)
  return Object.freeze({
    ...route,
    ...(policy && { policy }),
    ...(filters && { filters }),
    ...(broken && { action: closeFor(route.action, broken) }),
  })
}

/** What requests are answered in place of `action`, since the annotation promises what cannot be kept. */
function closeFor({ backend }: RouteAction, annotation: string): RouteAction {
  const reason = `the annotation ${annotation} cannot be used`
  return Object.freeze({ type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID', reason, backend })
}

/** The same route, closed for `guard`; itself if it is closed already. */
export function closeRoute(route: Route, guard: ForeignAnnotation): Route {
  if (isClosed(route)) return route
  const { pathType, match, action } = route
  const wider = pathType === 'default' ? match : (widenMatch({ pathType, path: route.path }) ?? match)
  return Object.freeze({ ...route, match: wider, action: closeAction(action, guard) })
}

/** The match of a rule's path, closed or not; undefined, and reported, if no request can match it. */
export function checkPath(
  ingress: Ingress,
  rule: number,
  path: IngressPath,
  isClosed: boolean,
  diagnostics: DiagnosticList,
): PathMatch | undefined {
  const match = isClosed ? widenMatch(path) : findMatch(path)
  if (match === undefined) {
    diagnostics.add('PORTICO_ROUTE_UNREACHABLE', `path "${path.path}" can never match: no request has this form`, {
      position: ingress.origin.locate(findPathField({ rule, item: path.index })),
      resource: printResource(ingress),
      help: 'requests arrive here with dot segments resolved and well-formed percent-encodings only',
    })
  } else if (path.pathType === 'ImplementationSpecific') warnOfPattern(path, ingress, rule, diagnostics)
  return match
}

/** The match of a path; undefined if no request can match it. An empty ImplementationSpecific path matches every path. */
function findMatch({ path, pathType }: WrittenPath): PathMatch | undefined {
  const normal = normalizeRulePath(path === '' ? '/' : path)
  if (normal === undefined) return undefined
  return Object.freeze({ type: pathType === 'Exact' ? 'exact' : 'prefix', path: normal === path ? path : normal })
}

/**
 * The match of a closed path. If the path is a pattern, every request that it may mean must be closed: it then matches all paths
 * below its literal first elements.
 */
function widenMatch({ path, pathType }: WrittenPath): PathMatch | undefined {
  const pattern = path.replace(/^\^/, '')
  const first = findPatternSign(pattern)
  if (first < 0 || pathType === 'Exact') return findMatch({ path: pattern, pathType })
  const stem = pattern.slice(0, first)
  const isWhole = /^(?:\((?:\?:)?\/|\$)/.test(pattern.slice(first))
  const parent = isWhole ? stem : stem.slice(0, stem.lastIndexOf('/') + 1)
  return findMatch({ path: hasAlternatives(pattern) ? '/' : parent, pathType: 'Prefix' })
}

/** True for alternatives outside of groups: they need not have a common beginning. */
function hasAlternatives(pattern: string): boolean {
  let depth = 0
  for (const sign of pattern) {
    if (sign === '(') depth++
    else if (sign === ')') depth--
    else if (sign === '|' && depth === 0) return true
  }
  return false
}

function isClosed({ action }: Pick<Route, 'action'>): boolean {
  if (action.type !== 'unavailable') return false
  return action.code === 'PORTICO_GW_GUARD_UNSUPPORTED' || action.code === 'PORTICO_GW_GUARD_INVALID'
}

/** The routes of one host in match order, and the routes that lost. */
export type SettledRoutes = Readonly<{ routes: readonly Route[]; shadowed: readonly ShadowedRoute[] }>

/**
 * Settles the claims on one host. They come in order of rank: older Ingresses first, then by namespace/name, then as listed. Among
 * prefixes with the same meaning, one with a trailing slash is the longer, and Prefix goes before ImplementationSpecific (I-15);
 * if these are equal too, the first stays (I-37). A closed pattern never loses. `ingressOf` is asked
 * only where routes conflict.
 */
export function settleRoutes(
  claims: readonly Route[],
  ingressOf: (owner: ResourceRef) => Ingress,
  diagnostics: DiagnosticList,
): SettledRoutes {
  const winners = new Map<string, Route>()
  const contested: [Route, string][] = []
  for (const claim of claims) {
    const key = meaningOf(claim)
    const holder = winners.get(key)
    if (holder === undefined || precedence(claim) < precedence(holder)) winners.set(key, claim)
    if (holder !== undefined) contested.push([precedence(claim) < precedence(holder) ? holder : claim, key])
  }
  const shadowed = contested.map(([route, key]) => {
    const conflict = { route, winner: winners.get(key)! }
    reportConflict(conflict, ingressOf(route.owner), ingressOf(conflict.winner.owner), diagnostics)
    return Object.freeze(conflict)
  })
  const isSettled =
    shadowed.length === 0 && claims.every((claim, at) => at === 0 || compareRank(claims[at - 1]!, claim) <= 0)
  return { routes: isSettled ? claims : Object.freeze([...winners.values()].sort(compareRank)), shadowed }
}

/** A text that is equal for routes that match the same requests. */
function meaningOf({ pathType, match }: Route): string {
  const { type, path, conditions } = match
  const asked = conditions === undefined ? '' : ` ${JSON.stringify(conditions)}`
  if (pathType === 'default') return `default${asked}`
  return `${type} ${type === 'prefix' && path.endsWith('/') ? path.slice(0, -1) : path}${asked}`
}

function precedence(route: Route): number {
  const { pathType, match, path } = route
  if (pathType !== 'Exact' && isClosed(route) && isPattern(path)) return -1
  if (match.type === 'exact' || pathType === 'default') return 0
  const shorter = match.path.endsWith('/') ? 0 : 2
  return shorter + Number(pathType === 'ImplementationSpecific')
}

function reportConflict(
  { route, winner }: ShadowedRoute,
  ingress: Ingress,
  holder: Ingress,
  diagnostics: DiagnosticList,
): void {
  const guard = findLostGuard(route, winner)
  const same = guard === undefined && sameAction(route.action, winner.action)
  const host = route.host === '' ? 'every host' : `host "${route.host}"`
  const isDefault = route.pathType === 'default'
  const claim = isDefault ? `the default backend of ${host}` : `${host} and path "${route.path}" (${route.pathType})`
  const rest = holder === ingress ? 'claimed twice in this Ingress' : `already defined in ${printResource(holder)}`
  diagnostics.add(
    isDefault ? 'PORTICO_ROUTE_DEFAULT_CONFLICT' : 'PORTICO_ROUTE_CONFLICT',
    `${claim} ${isDefault ? 'is' : 'are'} ${rest}`,
    {
      // If both lead to the same upstream, nothing is lost.
      ...(same && { severity: 'info' as const }),
      ...(guard !== undefined && { severity: 'error' as const }),
      position: ingress.origin.locate(findPathField(route)),
      resource: printResource(ingress),
      help: same
        ? 'both lead to the same backend: leave one out'
        : `${describeLoss(route, winner)}${guard === undefined ? '' : `, and its ${guard} guards nothing`}: ${explainPrecedence(route, winner, ingress, holder)}`,
      notes: [
        {
          message: `${winner.pathType === 'default' ? 'it' : `${winner.pathType} "${winner.path}"`} wins`,
          position: holder.origin.locate(findPathField(winner)),
        },
      ],
    },
  )
}

function describeLoss({ action: lost }: Route, { action }: Route): string {
  return action.type === 'forward'
    ? `requests go to ${action.backend}, not to ${lost.backend}`
    : `requests are answered ${statusOf(action.code)} and do not go to ${lost.backend}`
}

function explainPrecedence(loser: Route, winner: Route, ingress: Ingress, holder: Ingress): string {
  if (precedence(winner) < 0 && precedence(loser) >= 0) return 'a path that is a pattern and closed goes first'
  if (precedence(loser) !== precedence(winner)) {
    return winner.path.endsWith('/') && !loser.path.endsWith('/')
      ? 'the longer path wins'
      : 'Prefix goes before ImplementationSpecific'
  }
  if (ingress.meta.createdAt !== holder.meta.createdAt) return 'the older Ingress wins'
  const isSame = printResource(ingress) === printResource(holder)
  return isSame ? 'the first one wins' : 'with equal age the first by namespace/name wins'
}

/** A filter that guards the route and not the one that takes its place. */
function findLostGuard({ filters = [] }: Route, winner: Route): string | undefined {
  const kept = new Set((winner.filters ?? []).map((filter) => JSON.stringify(filter)))
  return filters.find((filter) => findFilter(filter.name).isGuard && !kept.has(JSON.stringify(filter)))?.name
}

function sameAction(a: RouteAction, b: RouteAction): boolean {
  return a.type === 'forward' && b.type === 'forward' && a.upstream === b.upstream
}

/** Warns of a pattern: other controllers read ImplementationSpecific as a regular expression or a glob. */
function warnOfPattern(
  { path, index }: IngressPath,
  ingress: Ingress,
  rule: number,
  diagnostics: DiagnosticList,
): void {
  if (!isPattern(path)) return
  diagnostics.add(
    'PORTICO_ROUTE_IMPLEMENTATION_SPECIFIC',
    `path "${path}" is not a pattern here: ImplementationSpecific is matched as Prefix, each character as it is`,
    {
      severity: 'warning',
      position: ingress.origin.locate(findPathField({ rule, item: index })),
      resource: printResource(ingress),
      help: explainPattern(path),
    },
  )
}
