/** Routes as frozen, printable data: what one Ingress path means. */

import type { RequestErrorCode } from '../base/errors.ts'
import type { FieldPath } from '../base/position.ts'
import { printName } from '../base/resource-name.ts'
import type { PolicyOverrides } from '../settings/service.ts'
import type { RouteConditions } from './conditions.ts'
import type { FilterConfig } from './filter.ts'
import type { ResourceRef } from './resource-ref.ts'
import type { UpstreamKey } from './upstream.ts'

/**
 * `prefix` is per path element (Kubernetes Prefix); `/foo/` and `/foo` mean the same prefix. `path` is in match form (base/path). Of
 * `regex` it is the expression that the match form of a request's path begins with (base/pattern).
 */
export type PathMatch = Readonly<{ type: 'exact' | 'prefix' | 'regex'; path: string }>

/** The requests that a route takes, if none that goes before it does (routing/rank). */
export type RouteMatch = PathMatch &
  Readonly<{
    /** Undefined: every request to the path. */
    conditions?: RouteConditions
    /** Undefined: 0. Never 0 otherwise. */
    priority?: number
  }>

export type ForwardAction = Readonly<{
  type: 'forward'
  upstream: UpstreamKey
  /** What the manifest says, for people: `default/api:80`, `default/api:http`. */
  backend: string
}>

/** Not to be served, and what requests are answered: a missing Service or port, an unsupported resource, a guard that cannot be honoured. */
export type UnavailableAction = Readonly<{
  type: 'unavailable'
  code: RequestErrorCode
  reason: string
  /** As above; also `StorageBucket default/static`. */
  backend: string
}>

/** What the requests to one backend come to. */
export type BackendAction = ForwardAction | UnavailableAction

/** A backend of several, and how many of the requests it gets: `weight` of the sum of all weights. */
export type Share = Readonly<{
  /** A whole number; 0: none. */
  weight: number
  action: BackendAction
}>

/** Each request goes to one of several backends. At least one weight is not 0. */
export type SplitAction = Readonly<{
  type: 'split'
  shares: readonly Share[]
  /** The name of the cookie that keeps clients with the backend that they were given; undefined: they are not kept. */
  cookie?: string
  /** `default/web:80=90, default/next:80=10`, and ` (kept by the cookie canary)` behind it. */
  backend: string
}>

/** Routes that refer to the same backend share their action. Redirects and fixed answers are filters, not actions. */
export type RouteAction = BackendAction | SplitAction

/** There may be 100,000 of them: a route holds nothing that its owner or a function of it can tell. */
export type Route = Readonly<{
  /** The object that says so; its routes share the reference. */
  owner: ResourceRef
  /** Index of the rule in the owner, and of the path in the rule; both -1 for the owner's default backend. */
  rule: number
  item: number
  /** The host of the rule: exact, `*.wildcard`, or `''`. */
  host: string
  match: RouteMatch
  /** As the manifest has it, for people: `Prefix`, `Exact`, `ImplementationSpecific`, or `default` for a default backend. */
  pathType: 'Exact' | 'Prefix' | 'ImplementationSpecific' | 'default'
  /** The path as written. */
  path: string
  action: RouteAction
  /** The settings that the owner and its RoutePolicies have for it, where they have any; routes share them. */
  policy?: PolicyOverrides
  /** The RoutePolicies that say more of it than filters; routes share them. */
  policies?: readonly PolicyShare[]
  /** What is done to its requests, in that order; its owner's routes share them. */
  filters?: readonly FilterConfig[]
}>

/** What a RoutePolicy says of a route beside filters: the names of its options, `matchMethods`. */
export type PolicyShare = Readonly<{ policy: ResourceRef; options: readonly string[] }>

export type VirtualHost = Readonly<{
  /** Exact name, `*.suffix`, or `''` for every other host. */
  host: string
  /** In order of rank (routing/rank): the host's own default backends are the last. */
  routes: readonly Route[]
  /** What is done to its requests before a route is found, in that order; hosts share them. */
  filters?: readonly FilterConfig[]
  /** The object that names the host first, and the index of its rule. */
  owner: ResourceRef
  rule: number
}>

/** A route that lost against another with the same host, path, type and conditions; `get routes` and `explain` show it. */
export type ShadowedRoute = Readonly<{ route: Route; winner: Route }>

/** Names a route over reloads: `namespace/ingress|host|pathType path`. */
export function findRouteId({
  owner,
  host,
  pathType,
  path,
}: Pick<Route, 'owner' | 'host' | 'pathType' | 'path'>): string {
  // Joined, the text is one string; a template would keep it as a tree of its parts.
  return [printName(owner), host, pathType === 'default' ? pathType : `${pathType} ${path}`].join('|')
}

/** What an id of a route says. */
export function readRouteId(id: string): Readonly<{ ingress: string; host: string; path: string }> {
  const [, ingress = '', host = '', path = ''] = /^([^|]*)\|([^|]*)\|(.*)$/s.exec(id) ?? []
  return { ingress, host, path: path === 'default' ? '' : path.slice(path.indexOf(' ') + 1) }
}

/** The backends of a route and their weights; most routes have one. */
export function listShares(action: RouteAction): readonly Share[] {
  return action.type === 'split' ? action.shares : [{ weight: 1, action }]
}

/** The Service of a backend, by which a cookie names the backend, whatever its port: `default/web`. */
export function findService({ upstream }: ForwardAction): string {
  return upstream.slice(0, upstream.indexOf(':'))
}

/** Where the route's path stands in its owner; for a default backend, where that does. */
export function findPathField({ rule, item }: Pick<Route, 'rule' | 'item'>): FieldPath {
  return rule < 0 ? DEFAULT_BACKEND : ['spec', 'rules', rule, 'http', 'paths', item, 'path']
}

/** Where the route's backend stands in its owner. */
export function findBackendField({ rule, item }: Pick<Route, 'rule' | 'item'>): FieldPath {
  return rule < 0 ? DEFAULT_BACKEND : ['spec', 'rules', rule, 'http', 'paths', item, 'backend']
}

/** Where the host stands in the owner that names it first. */
export function findHostField({ rule }: Pick<VirtualHost, 'rule'>): FieldPath {
  return ['spec', 'rules', rule, 'host']
}

const DEFAULT_BACKEND: FieldPath = Object.freeze(['spec', 'defaultBackend'])
