/** Routes of Ingress paths, and the choice among several routes with the same meaning (I-15, I-37 to I-40). */

import type { DiagnosticList } from '../../base/diagnostics.ts'
import { statusOf } from '../../base/errors.ts'
import { compareText } from '../../base/order.ts'
import { normalizeRulePath } from '../../base/path.ts'
import type { FieldPath, SourcePosition } from '../../base/position.ts'
import {
  type Ingress,
  type IngressBackend,
  type IngressPath,
  printName,
  printResource,
} from '../../kubernetes/resource.ts'
import type { PathMatch, Route, RouteAction, ShadowedRoute } from '../../model/route.ts'
import type { PolicyOverrides } from '../../settings/service.ts'
import { readRoutePolicy } from '../service/policy.ts'
import { closeResolution, type Resolution, reportBackend } from './backend.ts'
import type { ForeignAnnotation } from './foreign-table.ts'
import { explainPattern, findPatternSign, isPattern } from './path-pattern.ts'

const EVERY_PATH: PathMatch = Object.freeze({ type: 'prefix', path: '/' })

/** A route claimed by an Ingress. There may be very many, so it holds nothing that the Ingress can tell. */
export class IngressRoute implements Route {
  readonly host: string
  readonly match: PathMatch
  readonly ingress: Route['ingress']
  readonly #resolution: Resolution
  readonly #ingress: Ingress
  /** Undefined for the default backend. */
  readonly #path: IngressPath | undefined
  readonly #rule: number

  /** `owner` names the Ingress; `rule` and `path` are the route's place in it, undefined for its default backend. */
  constructor(
    ingress: Ingress,
    owner: Route['ingress'],
    host: string,
    place: Readonly<{ rule: number; path: IngressPath; match: PathMatch }> | undefined,
    resolution: Resolution,
  ) {
    this.host = host
    this.match = place?.match ?? EVERY_PATH
    this.ingress = owner
    this.#resolution = resolution
    this.#ingress = ingress
    this.#path = place?.path
    this.#rule = place?.rule ?? -1
    Object.freeze(this)
  }

  get id(): string {
    const name = printName(this.ingress)
    return this.#path === undefined
      ? `${name}|${this.host}|default`
      : `${name}|${this.host}|${this.pathType} ${this.path}`
  }

  get pathType(): Route['pathType'] {
    return this.#path?.pathType ?? 'default'
  }

  get path(): string {
    return this.#path?.path ?? ''
  }

  get action(): RouteAction {
    return this.#resolution.action
  }

  get backend(): string {
    return this.#resolution.text
  }

  get policy(): PolicyOverrides | undefined {
    return readRoutePolicy(this.#ingress)
  }

  get position(): SourcePosition {
    return this.#ingress.origin.locate(
      this.#path === undefined ? this.backendPath : [...pathAt(this.#rule, this.#path.index), 'path'],
    )
  }

  get createdAt(): number | undefined {
    return this.#ingress.meta.createdAt
  }

  /** The same route, closed for `guard`; itself if it is closed already. */
  close(guard: ForeignAnnotation): IngressRoute {
    if (isClosed(this)) return this
    const path = this.#path
    const match = path && widenMatch(path)
    const place = path && match && { rule: this.#rule, path, match }
    return new IngressRoute(this.#ingress, this.ingress, this.host, place, closeResolution(this.#resolution, guard))
  }

  /** The result for its backend. */
  get resolution(): Resolution {
    return this.#resolution
  }

  /** The Ingress that claims it. */
  get source(): Ingress {
    return this.#ingress
  }

  /** The path of its backend in the Ingress. */
  get backendPath(): FieldPath {
    return this.#path === undefined ? ['spec', 'defaultBackend'] : [...pathAt(this.#rule, this.#path.index), 'backend']
  }
}

/** The route that a rule's path claims; undefined, and reported, if no request can match it. */
export function claimPath(
  ingress: Ingress,
  owner: Route['ingress'],
  rule: Readonly<{ host: string; index: number }>,
  path: IngressPath,
  find: (backend: IngressBackend) => Resolution,
  diagnostics: DiagnosticList,
): IngressRoute | undefined {
  const resolution = find(path.backend)
  const match = checkPath(ingress, rule.index, path, isClosed(resolution), diagnostics)
  if (match === undefined) return undefined
  if (resolution.problem) {
    reportBackend(resolution.problem, ingress, [...pathAt(rule.index, path.index), 'backend'], diagnostics)
  }
  return new IngressRoute(ingress, owner, rule.host, { rule: rule.index, path, match }, resolution)
}

/** The match of a rule's path, closed or not; undefined, and reported, if no request can match it. */
export function checkPath(
  ingress: Ingress,
  rule: number,
  path: IngressPath,
  isClosed: boolean,
  diagnostics: DiagnosticList,
): PathMatch | undefined {
  const at = pathAt(rule, path.index)
  const match = isClosed ? widenMatch(path) : findMatch(path)
  if (match === undefined) {
    diagnostics.add('PORTICO_ROUTE_UNREACHABLE', `path "${path.path}" can never match: no request has this form`, {
      position: ingress.origin.locate([...at, 'path']),
      resource: printResource(ingress),
      help: 'requests arrive here with dot segments resolved and well-formed percent-encodings only',
    })
  } else if (path.pathType === 'ImplementationSpecific') warnOfPattern(path.path, ingress, at, diagnostics)
  return match
}

/** The match of a path; undefined if no request can match it. An empty ImplementationSpecific path matches every path. */
export function findMatch({ path, pathType }: IngressPath): PathMatch | undefined {
  const normal = normalizeRulePath(path === '' ? '/' : path)
  if (normal === undefined) return undefined
  return Object.freeze({ type: pathType === 'Exact' ? 'exact' : 'prefix', path: normal === path ? path : normal })
}

/**
 * The match of a closed path. If the path is a pattern, every request that it may mean must be closed: it then matches all paths
 * below its literal first elements.
 */
export function widenMatch({ path, pathType, ...rest }: IngressPath): PathMatch | undefined {
  const pattern = path.replace(/^\^/, '')
  const first = findPatternSign(pattern)
  if (first < 0 || pathType === 'Exact') return findMatch({ path: pattern, pathType, ...rest })
  const stem = pattern.slice(0, first)
  const isWhole = /^(?:\((?:\?:)?\/|\$)/.test(pattern.slice(first))
  const parent = isWhole ? stem : stem.slice(0, stem.lastIndexOf('/') + 1)
  return findMatch({ path: hasAlternatives(pattern) ? '/' : parent, pathType: 'Prefix', ...rest })
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
  return action.type === 'unavailable' && action.code === 'PORTICO_GW_GUARD_UNSUPPORTED'
}

function pathAt(rule: number, path: number): FieldPath {
  return ['spec', 'rules', rule, 'http', 'paths', path]
}

/** The claims in force on one host, in match order, and the routes that lost. */
export type SettledClaims = Readonly<{ claims: readonly IngressRoute[]; shadowed: readonly ShadowedRoute[] }>

/**
 * Settles the claims on one host. They come in order of rank: older Ingresses first, then by namespace/name, then as listed. Among
 * prefixes with the same meaning, one with a trailing slash is the longer, and Prefix goes before ImplementationSpecific (I-15);
 * if these are equal too, the first stays (I-37). A closed pattern never loses.
 */
export function settleClaims(claims: readonly IngressRoute[], diagnostics: DiagnosticList): SettledClaims {
  const winners = new Map<string, IngressRoute>()
  const contested: [IngressRoute, string][] = []
  for (const claim of claims) {
    const key = meaningOf(claim)
    const holder = winners.get(key)
    if (holder === undefined || precedence(claim) < precedence(holder)) winners.set(key, claim)
    if (holder !== undefined) contested.push([precedence(claim) < precedence(holder) ? holder : claim, key])
  }
  const shadowed = contested.map(([loser, key]) => {
    const winner = winners.get(key)!
    reportConflict(loser, winner, diagnostics)
    return Object.freeze({ route: loser, winner })
  })
  return { claims: [...winners.values()].sort(compareMatch), shadowed }
}

/** Exact before prefix, longer before shorter, the default backend last. */
function compareMatch(a: Route, b: Route): number {
  return (
    Number(a.pathType === 'default') - Number(b.pathType === 'default') ||
    Number(a.match.type === 'prefix') - Number(b.match.type === 'prefix') ||
    b.match.path.length - a.match.path.length ||
    compareText(a.match.path, b.match.path)
  )
}

/** A text that is equal for routes that match the same requests. */
function meaningOf({ pathType, match }: Route): string {
  if (pathType === 'default') return 'default'
  if (match.type === 'exact') return `exact ${match.path}`
  return `prefix ${match.path.endsWith('/') ? match.path.slice(0, -1) : match.path}`
}

function precedence(route: Route): number {
  const { pathType, match, path } = route
  if (pathType !== 'Exact' && isClosed(route) && isPattern(path)) return -1
  if (match.type === 'exact' || pathType === 'default') return 0
  const shorter = match.path.endsWith('/') ? 0 : 2
  return shorter + Number(pathType === 'ImplementationSpecific')
}

function reportConflict(loser: IngressRoute, winner: IngressRoute, diagnostics: DiagnosticList): void {
  const route: Route = loser
  const same = sameAction(route.action, winner.action)
  const holder = `${printResource(winner.source)}`
  const host = route.host === '' ? 'every host' : `host "${route.host}"`
  const isDefault = route.pathType === 'default'
  const claim = isDefault ? `the default backend of ${host}` : `${host} and path "${route.path}" (${route.pathType})`
  const rest = winner.source === loser.source ? 'claimed twice in this Ingress' : `already defined in ${holder}`
  diagnostics.add(
    isDefault ? 'PORTICO_ROUTE_DEFAULT_CONFLICT' : 'PORTICO_ROUTE_CONFLICT',
    `${claim} ${isDefault ? 'is' : 'are'} ${rest}`,
    {
      // If both lead to the same upstream, nothing is lost.
      ...(same && { severity: 'info' as const }),
      position: route.position,
      resource: printResource(loser.source),
      help: same
        ? 'both lead to the same backend: leave one out'
        : `${describeLoss(route, winner)}: ${explainPrecedence(route, winner)}`,
      notes: [
        {
          message: `${winner.pathType === 'default' ? 'it' : `${winner.pathType} "${winner.path}"`} wins`,
          position: winner.position,
        },
      ],
    },
  )
}

function describeLoss({ backend: lost }: Route, { action, backend }: Route): string {
  return action.type === 'forward'
    ? `requests go to ${backend}, not to ${lost}`
    : `requests are answered ${statusOf(action.code)} and do not go to ${lost}`
}

function explainPrecedence(loser: Route, winner: Route): string {
  if (precedence(winner) < 0 && precedence(loser) >= 0) return 'a path that is a pattern and closed goes first'
  if (precedence(loser) !== precedence(winner)) {
    return winner.path.endsWith('/') && !loser.path.endsWith('/')
      ? 'the longer path wins'
      : 'Prefix goes before ImplementationSpecific'
  }
  if (loser.createdAt !== winner.createdAt) return 'the older Ingress wins'
  const sameIngress = loser.ingress.namespace === winner.ingress.namespace && loser.ingress.name === winner.ingress.name
  return sameIngress ? 'the first one wins' : 'with equal age the first by namespace/name wins'
}

function sameAction(a: RouteAction, b: RouteAction): boolean {
  return a.type === 'forward' && b.type === 'forward' && a.upstream === b.upstream
}

/** Warns of a pattern: other controllers read ImplementationSpecific as a regular expression or a glob. */
function warnOfPattern(path: string, ingress: Ingress, at: FieldPath, diagnostics: DiagnosticList): void {
  if (!isPattern(path)) return
  diagnostics.add(
    'PORTICO_ROUTE_IMPLEMENTATION_SPECIFIC',
    `path "${path}" is not a pattern here: ImplementationSpecific is matched as Prefix, each character as it is`,
    {
      severity: 'warning',
      position: ingress.origin.locate([...at, 'path']),
      resource: printResource(ingress),
      help: explainPattern(path),
    },
  )
}
