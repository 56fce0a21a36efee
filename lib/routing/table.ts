/** The compiled routing table: immutable. A look-up costs the depth of the path, not the number of routes (P36). */
import type { Route, RouteMatch, VirtualHost } from '../model/route.ts'
import type { RouteTable } from '../model/route-table.ts'
import { HostIndex } from './host-index.ts'
import { PathIndex } from './path-index.ts'
import type { RoutedRequest } from './predicates.ts'
import { isPlain, RankedRoutes } from './ranked-routes.ts'
import { Split } from './split.ts'

/** The routes of one virtual host, compiled. */
export type HostRoutes<R, H> = {
  readonly host: H
  /** `path` is in match form (base/path). Undefined if no route matches: the default backend then takes the request (I-17). */
  find(path: string, request: RoutedRequest): R | undefined
}

export type RoutingTable<R, H> = {
  /** Exact host, then wildcard. If neither matches, `anyHost` holds the routes for every host (I-9, I-10). */
  readonly hosts: HostIndex<HostRoutes<R, H>>
  readonly anyHost: HostRoutes<R, H> | undefined
  /** The route of requests that no rule takes (I-22, I-24); undefined means 404. */
  readonly fallback: R | undefined
  /** In place of `fallback`, where it has several values for a share of the requests each. */
  readonly fallbacks: Split<R> | undefined
}

/** Compiles a table. `serve` is called once for each route, and makes the result of look-ups. */
export function compileTable<R>(
  { hosts, defaultRoute }: Pick<RouteTable, 'hosts' | 'defaultRoute'>,
  serve: (route: Route) => R,
): RoutingTable<R, VirtualHost> {
  const compiled = hosts.map((host) => compileHost<Route, R, VirtualHost>(host, serve))
  return Object.freeze({
    hosts: new HostIndex(compiled.filter(({ host }) => host.host !== '').map((routes) => [routes.host.host, routes])),
    anyHost: compiled.find(({ host }) => host.host === ''),
    fallback: defaultRoute && serve(defaultRoute),
    fallbacks: undefined,
  })
}

/** The host whose routes decide; undefined if none matches. `hostname` is in normal form (base/hostname). */
export function findHost<R, H>(table: RoutingTable<R, H>, hostname: string): HostRoutes<R, H> | undefined {
  return table.hosts.find(hostname) ?? table.anyHost
}

/**
 * The route of a path, in match form, within the host that was found; of several values of a route the one that is picked for this
 * request. Paths of less specific hosts are not consulted (I-10); only the default backend can take the request then.
 */
export function findInHost<R, H>(
  table: RoutingTable<R, H>,
  host: HostRoutes<R, H> | undefined,
  path: string,
  request: RoutedRequest,
): R | undefined {
  return host?.find(path, request) ?? table.fallbacks?.pick(request) ?? table.fallback
}

/** Finds host and route in one step. */
export function findRoute<R, H>(
  table: RoutingTable<R, H>,
  hostname: string,
  path: string,
  request: RoutedRequest,
): R | undefined {
  return findInHost(table, findHost(table, hostname), path, request)
}

/**
 * Compiles one host, whose routes come in order of rank. `serve` is called once for each route, and makes the result of look-ups, or
 * several results for a share of the requests each. Where paths alone decide, nothing else is looked at.
 */
export function compileHost<A extends { readonly match: RouteMatch }, R, H extends { readonly routes: readonly A[] }>(
  host: H,
  serve: (route: A) => R | Split<R>,
): HostRoutes<R, H> {
  const entries = host.routes.map((route) => [route.match, serve(route)] as const)
  const find = compileFind(entries)
  // Hosts without such routes pay nothing for them.
  if (!entries.some(([, served]) => served instanceof Split)) return Object.freeze({ host, find: find as Find<R> })
  return Object.freeze({ host, find: (path: string, request: RoutedRequest) => pick(find(path, request), request) })
}

type Find<R> = (path: string, request: RoutedRequest) => R | undefined

function compileFind<R>(entries: readonly (readonly [RouteMatch, R])[]): Find<R> {
  if (entries.every(([match]) => isPlain(match))) {
    const paths = new PathIndex(entries)
    return (path) => paths.find(path)
  }
  const routes = new RankedRoutes(entries)
  return (path, request) => routes.find(path, request)
}

function pick<R>(found: R | Split<R> | undefined, request: RoutedRequest): R | undefined {
  return found instanceof Split ? found.pick(request) : found
}
