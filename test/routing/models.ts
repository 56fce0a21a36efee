/** Tables for routing tests, from lines of host, path type and path. */
import type { Route, VirtualHost } from '../../lib/model/route.ts'
import { INGRESS_TABLE, type RouteTable } from '../../lib/model/route-table.ts'

export type RouteLine = readonly [host: string, pathType: Route['pathType'], path: string]

const owner = { kind: 'Ingress', namespace: 'default', name: 'web' }

/** A route whose backend tells it apart. */
export function createRoute([host, pathType, path]: RouteLine, name: string = `${pathType} ${path}`): Route {
  return {
    owner,
    rule: 0,
    item: 0,
    host,
    match: { type: pathType === 'Exact' ? 'exact' : 'prefix', path: pathType === 'default' ? '/' : path },
    pathType,
    path,
    action: { type: 'forward', upstream: 'default/web:80', backend: name },
  }
}

export function createTable(lines: readonly RouteLine[], defaultRoute?: Route): RouteTable {
  const byHost = new Map<string, Route[]>()
  for (const line of lines) {
    const routes = byHost.get(line[0])
    if (routes === undefined) byHost.set(line[0], [createRoute(line)])
    else routes.push(createRoute(line))
  }
  const hosts: VirtualHost[] = [...byHost].map(([host, routes]) => ({
    host,
    routes,
    owner,
    rule: 0,
  }))
  return { name: INGRESS_TABLE, hosts, defaultRoute, shadowed: [] }
}
