/** Routes of Ingress paths, and the choice among several routes with the same meaning (I-15, I-37 to I-40). */

import type { DiagnosticList } from '../../base/diagnostics.ts'
import { statusOf } from '../../base/errors.ts'
import { isReachable, normalizeRulePath, WIDEST_PATHS } from '../../base/path.ts'
import { CASELESS, findPatternFault } from '../../base/pattern.ts'
import { findFilter } from '../../filters/registry.ts'
import { type Ingress, type IngressPath, printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import {
  findBackendField,
  findPathField,
  type PathMatch,
  type Route,
  type RouteAction,
  type RouteMatch,
  type ShadowedRoute,
} from '../../model/route.ts'
import { compareRank } from '../../routing/rank.ts'
import { closeAction, isClosed, reportBackend } from './backend.ts'
import { isSameFilter, listFilters, mergeLayers } from './filter-layers.ts'
import type { ForeignAnnotation } from './foreign-table.ts'
import type { RouteTerms } from './match.ts'
import { MAX_PRIORITY } from './match-annotation.ts'
import {
  explainPattern,
  findPatternSign,
  findPatternStem,
  findSample,
  hasAlternatives,
  isPattern,
} from './path-pattern.ts'
import type { RouteBackend } from './route-backend.ts'

type WrittenPath = Pick<IngressPath, 'path' | 'pathType'>

const EVERY_PATH: PathMatch = Object.freeze({ type: 'prefix', path: '/' })

/** The route of an Ingress's default backend on a host; `''` is every host. */
export function claimDefault(owner: ResourceRef, host: string, backend: RouteBackend): Route {
  const route: Route = {
    owner,
    rule: -1,
    item: -1,
    host,
    match: EVERY_PATH,
    pathType: 'default',
    path: '',
    action: backend.action,
  }
  return createRoute(route, backend, backend.terms.priority)
}

/**
 * The route of an Ingress's default backend for requests that no rule of any Ingress takes. They have one place to go to, so with
 * conditions it takes none of them; where it guards, or answers under conditions (`hasAnswers`), it is closed for all of them.
 */
export function claimRest(
  ingress: Ingress,
  owner: ResourceRef,
  backend: RouteBackend,
  hasAnswers: boolean,
  diagnostics: DiagnosticList,
): Route | undefined {
  const { conditions } = backend.terms
  const guards = backend.terms.guards || hasAnswers
  if (conditions === undefined && !hasAnswers) return claimDefault(owner, '', backend)
  if (ingress.rules.length === 0) {
    diagnostics.add('PORTICO_ROUTE_DEFAULT_CONDITIONS', 'a default backend for all hosts cannot have conditions', {
      position: ingress.origin.locate(['spec', 'defaultBackend']),
      resource: printResource(ingress),
      help: `write a rule with path: / and pathType: Prefix in its place; until then it ${guards ? 'answers 503' : 'takes no requests'}`,
    })
  }
  if (!guards) return undefined
  const reason = 'a default backend for all hosts cannot have conditions'
  return claimDefault(owner, '', { ...backend, action: closeFor(backend.action, reason) })
}

/** The route of a rule's path; undefined, and reported, if no request can match it, or if its expression has a fault. */
export function claimPath(
  ingress: Ingress,
  owner: ResourceRef,
  rule: Readonly<{ host: string; index: number }>,
  path: IngressPath,
  backend: RouteBackend,
  diagnostics: DiagnosticList,
): Route | undefined {
  const { action, problem, terms } = backend
  const isFaulty = findFaultyPattern(terms, path) !== undefined
  const isLost = terms.broken !== undefined || (isFaulty && terms.guards)
  const match = checkPath(ingress, rule.index, path, terms, isClosed({ action }) || isLost, diagnostics)
  if (match === undefined) return undefined
  if (problem) {
    const field = findBackendField({ rule: rule.index, item: path.index })
    reportBackend(problem, ingress, field, diagnostics)
  }
  const route: Route = {
    owner,
    rule: rule.index,
    item: path.index,
    host: rule.host,
    match,
    pathType: path.pathType,
    path: path.path,
    action: isFaulty ? closeFor(action, 'the path is no regular expression') : action,
  }
  // Nobody knows how long a path that cannot be read is: a guard goes before all that it may mean.
  const goesFirst = isFaulty && (terms.guards || isClosed({ action }))
  return createRoute(route, backend, goesFirst ? MAX_PRIORITY : terms.priority)
}

function createRoute(
  route: Route,
  { layers, broken, terms, policy, policies }: RouteBackend,
  priority: number | undefined,
): Route {
  const filters = listFilters(mergeLayers(layers))
  const reason = broken ?? terms.broken
  const { owner, rule, item, host, pathType, path } = route
  // With a spread, V8 gives each frozen object a hidden class of its own, which takes 290 bytes.
  const made: { -readonly [Field in keyof Route]: Route[Field] } = {
    owner,
    rule,
    item,
    host,
    match: extendMatch(route.match, terms.conditions, priority),
    pathType,
    path,
    action: reason ? closeFor(route.action, reason) : route.action,
  }
  if (policy) made.policy = policy
  if (filters) made.filters = filters
  if (policies) made.policies = policies
  return Object.freeze(made)
}

function extendMatch(match: PathMatch, conditions: RouteMatch['conditions'], priority: number | undefined): RouteMatch {
  if (conditions === undefined && priority === undefined) return match
  return Object.freeze({ ...match, ...(conditions && { conditions }), ...(priority !== undefined && { priority }) })
}

/** What requests are answered in place of `action`, since the Ingress promises what cannot be kept. */
function closeFor({ backend }: RouteAction, reason: string): RouteAction {
  return Object.freeze({ type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID', reason, backend })
}

/** The same route, closed for `guard`; itself if it is closed already. */
export function closeRoute(route: Route, guard: ForeignAnnotation): Route {
  if (isClosed(route)) return route
  const { pathType, match, action } = route
  const isKnown = pathType === 'default' || match.type === 'regex'
  const wider = isKnown
    ? match
    : extendMatch(widenMatch({ pathType, path: route.path }) ?? match, match.conditions, match.priority)
  return Object.freeze({ ...route, match: wider, action: closeAction(action, guard) })
}

/** The match of a rule's path, closed or not; undefined, and reported, if no request can match it. */
export function checkPath(
  ingress: Ingress,
  rule: number,
  path: IngressPath,
  terms: RouteTerms,
  isClosed: boolean,
  diagnostics: DiagnosticList,
): PathMatch | undefined {
  const fault = findFaultyPattern(terms, path)
  if (fault !== undefined) {
    diagnostics.add('PORTICO_ROUTE_PATTERN', `path "${path.path}" is no regular expression: ${fault}`, {
      position: ingress.origin.locate(findPathField({ rule, item: path.index })),
      resource: printResource(ingress),
      help: `write an expression of RE2, as in "/v[0-9]+/"; until then the route ${terms.guards || isClosed ? 'answers 503' : 'takes no requests'}`,
    })
    return isClosed ? widenMatch(path) : undefined
  }
  if (isExpression(terms, path)) {
    checkPatternForm(ingress, rule, path, diagnostics)
    return Object.freeze({ type: 'regex', path: terms.patterns === 'host' ? ignoreCase(path.path) : path.path })
  }
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

/** Reports an expression that begins with what no path in match form begins with, whatever policy a listener has. */
function checkPatternForm(
  ingress: Ingress,
  rule: number,
  { path, index }: IngressPath,
  diagnostics: DiagnosticList,
): void {
  const sample = findSample(path)
  if (sample === undefined || isReachable(sample, [WIDEST_PATHS])) return
  const stem = findPatternStem(path)
  const normal = normalizeRulePath(stem)
  diagnostics.add('PORTICO_ROUTE_UNREACHABLE', `path "${path}" can never match: no request has this form`, {
    position: ingress.origin.locate(findPathField({ rule, item: index })),
    resource: printResource(ingress),
    help:
      normal === undefined
        ? 'requests arrive here with dot segments resolved and well-formed percent-encodings only'
        : `write ${normal} in place of ${stem}: expressions see paths in their normal form`,
  })
}

/** Why the path is no regular expression where it should be one; undefined: it is, or need not be. */
function findFaultyPattern(terms: RouteTerms, path: WrittenPath): string | undefined {
  return isExpression(terms, path) ? findPatternFault(path.path) : undefined
}

function isExpression({ patterns }: RouteTerms, { pathType }: WrittenPath): boolean {
  return patterns === 'host' || (patterns === 'specific' && pathType === 'ImplementationSpecific')
}

/** An empty path matches every path. */
function ignoreCase(path: string): string {
  return CASELESS + (path === '' ? '/' : path)
}

/**
 * The same route on a host whose paths are all regular expressions; itself where it is one already, where it has no path, and where its
 * path is no expression.
 */
export function makeExpression(route: Route): Route {
  const { match, pathType, path } = route
  if (pathType === 'default' || match.path.startsWith(CASELESS) || findPatternFault(path) !== undefined) return route
  return Object.freeze({ ...route, match: Object.freeze({ ...match, type: 'regex', path: ignoreCase(path) }) })
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

/** The routes of one host in match order, and the routes that lost. */
export type SettledRoutes = Readonly<{ routes: readonly Route[]; shadowed: readonly ShadowedRoute[] }>

/**
 * Settles the claims on one host. They come in order of rank: older Ingresses first, then by namespace/name, then as listed. Among
 * routes with the same meaning, a higher priority goes first; one with a trailing slash is the longer, and Prefix goes before
 * ImplementationSpecific (I-15); if these are equal too, the first stays (I-37). A closed pattern never loses. `ingressOf` is asked
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
    const goesFirst = holder === undefined || comparePrecedence(claim, holder) < 0
    if (goesFirst) winners.set(key, claim)
    if (holder !== undefined) contested.push([goesFirst ? holder : claim, key])
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

/** Of routes with one meaning; negative where `a` goes first. */
function comparePrecedence(a: Route, b: Route): number {
  return (
    Number(isClosedPattern(b)) - Number(isClosedPattern(a)) ||
    (b.match.priority ?? 0) - (a.match.priority ?? 0) ||
    shortness(a) - shortness(b)
  )
}

function isClosedPattern(route: Route): boolean {
  return route.pathType !== 'Exact' && isClosed(route) && isPattern(route.path)
}

function shortness({ pathType, match }: Route): number {
  if (match.type !== 'prefix' || pathType === 'default') return 0
  return (match.path.endsWith('/') ? 0 : 2) + Number(pathType === 'ImplementationSpecific')
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
  return action.type === 'unavailable'
    ? `requests are answered ${statusOf(action.code)} and do not go to ${lost.backend}`
    : `requests go to ${action.backend}, not to ${lost.backend}`
}

function explainPrecedence(loser: Route, winner: Route, ingress: Ingress, holder: Ingress): string {
  if (isClosedPattern(winner) && !isClosedPattern(loser)) return 'a path that is a pattern and closed goes first'
  if (winner.match.priority !== loser.match.priority) return 'the higher priority wins'
  if (shortness(loser) !== shortness(winner)) {
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
  const isKept = (filter: FilterConfig) => winner.filters?.some((one) => isSameFilter(one, filter))
  return filters.find((filter) => findFilter(filter.name).isGuard && !isKept(filter))?.name
}

/** True if both forward requests to the same backends. */
export function sameAction(a: RouteAction, b: RouteAction): boolean {
  if (a.type === 'split') return b.type === 'split' && a.backend === b.backend
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
