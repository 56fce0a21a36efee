/** Routes as frozen, printable data: what one Ingress path means. */
import type { RequestErrorCode } from '../base/errors.ts'
import type { SourcePosition } from '../base/position.ts'
import type { PolicyOverrides } from '../settings/service.ts'
import type { UpstreamKey } from './upstream.ts'

/** `prefix` is per path element (Kubernetes Prefix); `/foo/` and `/foo` mean the same prefix. `path` is in match form (base/path). */
export type PathMatch = Readonly<{ type: 'exact' | 'prefix'; path: string }>

export type RouteAction =
  | Readonly<{ type: 'forward'; upstream: UpstreamKey }>
  /** Not to be served, and what requests are answered: a missing Service or port, an unsupported resource, a guard that cannot be honoured. */
  | Readonly<{ type: 'unavailable'; code: RequestErrorCode; reason: string }>

export type Route = Readonly<{
  /** Stable over reloads: `namespace/ingress|host|pathType path`. */
  id: string
  /** The host of the rule: exact, `*.wildcard`, or `''`. */
  host: string
  match: PathMatch
  /** As the manifest has it, for people: `Prefix`, `Exact`, `ImplementationSpecific`, or `default` for a default backend. */
  pathType: 'Exact' | 'Prefix' | 'ImplementationSpecific' | 'default'
  /** The path as written. */
  path: string
  action: RouteAction
  /** What the backend says, for people: `default/api:80`, `default/api:http`, `StorageBucket default/static`. */
  backend: string
  ingress: Readonly<{ namespace: string; name: string }>
  /** What its Ingress has otherwise than the upstream, where it has anything. */
  policy?: PolicyOverrides | undefined
  position: SourcePosition
  /** Rank among equals: creation time, then namespace/name (lower wins). */
  createdAt: number | undefined
}>

export type VirtualHost = Readonly<{
  /** Exact name, `*.suffix`, or `''` for every other host. */
  host: string
  /** In match order: exact before prefix, longer before shorter. Holds the host's own default backend last, if it has one. */
  routes: readonly Route[]
  /** HTTP requests are answered 308 to HTTPS (a tls section names this host and redirects are on). */
  redirectToHttps: boolean
  /** Where the host is first named. */
  position: SourcePosition
}>

/** A route that lost against another with the same host, path and type; `get routes` and `explain` show it. */
export type ShadowedRoute = Readonly<{ route: Route; winner: Route }>

/** An Ingress of which nothing is served. */
export type LeftOut = Readonly<{
  /** Of its rules; `''` where it speaks for every host. */
  hosts: readonly string[]
  ingress: Route['ingress']
  /** The problem that says why, and where it is. */
  reason: string
  position: SourcePosition
}>
