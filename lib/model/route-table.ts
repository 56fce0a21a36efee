/** The virtual hosts that a listener serves, with the route for all other requests. */
import type { Route, ShadowedRoute, VirtualHost } from './route.ts'

export type RouteTable = Readonly<{
  /** Stable over reloads. Listeners name the table that they serve: those that name the same one share it. */
  name: string
  /** Exact hosts, then wildcards, then `''`; each group by name. */
  hosts: readonly VirtualHost[]
  /** The default backend for requests that no rule takes; undefined: 404. */
  defaultRoute: Route | undefined
  shadowed: readonly ShadowedRoute[]
}>

/** The name of the table of all Ingresses. */
export const INGRESS_TABLE = 'ingress'

/** Every model has it. */
export function findIngressTable({ tables }: Readonly<{ tables: readonly RouteTable[] }>): RouteTable {
  return findTable(tables, INGRESS_TABLE)!
}

/** The table of a name; undefined where there is none. */
export function findTable(tables: readonly RouteTable[], name: string): RouteTable | undefined {
  return tables.find((table) => table.name === name)
}
