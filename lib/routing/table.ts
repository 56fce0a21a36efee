/** The compiled routing table: immutable, and a look-up costs the depth of the path, not the number of routes. */
import type { Model } from '../model/model.ts'
import type { PathMatch, Route, VirtualHost } from '../model/route.ts'
import { HostIndex } from './host-index.ts'
import { PathIndex } from './path-index.ts'

/** The routes of one virtual host, compiled. */
export type HostRoutes<R, H> = {
  readonly host: H
  /** `path` in match form (base/path). Undefined: the default backend, if any, takes it (I-17). */
  find(path: string): R | undefined
}

export type RoutingTable<R, H> = {
  /** Exact host, then wildcard; when neither is known, the routes for every host (I-9, I-10). */
  readonly hosts: HostIndex<HostRoutes<R, H>>
  readonly anyHost: HostRoutes<R, H> | undefined
  /** What serves requests that no rule takes (I-22, I-24); undefined: 404. */
  readonly fallback: R | undefined
}

/** Compiles a model; `serve` makes, once for each route, what a look-up gives back. */
export function compileTable<R>(model: Model, serve: (route: Route) => R): RoutingTable<R, VirtualHost> {
  const compiled = model.hosts.map((host) => compileHost<Route, R, VirtualHost>(host, serve))
  return Object.freeze({
    hosts: new HostIndex(compiled.filter(({ host }) => host.host !== '').map((routes) => [routes.host.host, routes])),
    anyHost: compiled.find(({ host }) => host.host === ''),
    fallback: model.defaultRoute && serve(model.defaultRoute),
  })
}

/** The one host whose routes decide, with `hostname` in the normal form of base; undefined: none names it. */
export function findHost<R, H>(table: RoutingTable<R, H>, hostname: string): HostRoutes<R, H> | undefined {
  return table.hosts.find(hostname) ?? table.anyHost
}

/**
 * What serves a path, in match form, of the host that was found. A host that is known answers for all its paths: those of
 * a less specific host are not consulted (I-10), only the default backend.
 */
export function findInHost<R, H>(
  table: RoutingTable<R, H>,
  host: HostRoutes<R, H> | undefined,
  path: string,
): R | undefined {
  return host?.find(path) ?? table.fallback
}

/** Both steps, for who needs nothing of the host. */
export function findRoute<R, H>(table: RoutingTable<R, H>, hostname: string, path: string): R | undefined {
  return findInHost(table, findHost(table, hostname), path)
}

/** Compiles one host; `serve` makes, once for each route, what a look-up gives back. */
export function compileHost<A extends { readonly match: PathMatch }, R, H extends { readonly routes: readonly A[] }>(
  host: H,
  serve: (route: A) => R,
): HostRoutes<R, H> {
  const paths = new PathIndex(host.routes.map((route) => [route.match, serve(route)] as const))
  return Object.freeze({ host, find: (path: string) => paths.find(path) })
}
