/** What is nearest to a request that no rule takes, for the log: the hosts, or the paths of its host. */
import { findNearest } from '../base/nearest.ts'
import type { RouteMatch } from '../model/route.ts'
import { findHost, type RoutingTable } from './table.ts'

/** Hosts and routes that are looked at, and those that are named. */
const MOST_LOOKED_AT = 2_000
const MOST_NAMED = 3

type Asked = Readonly<{ hostname: string; path: Readonly<{ matchPath: string }> | undefined }>
type Routes = Readonly<{ host: string; routes: readonly Readonly<{ match: RouteMatch }>[] }>

/** `no rule has the host shpo.test; nearest: shop.test`, `no path of shop.test matches; nearest: prefix /cart, exact /car` */
export function describeNearest<R, H extends Routes>(
  table: RoutingTable<R, H> | undefined,
  { hostname, path }: Asked,
): string {
  if (table === undefined) return 'no listener in force serves rules here'
  const found = findHost(table, hostname)
  if (found === undefined) {
    const names: string[] = []
    for (const name of table.hosts.names()) if (names.push(name) >= MOST_LOOKED_AT) break
    return `no rule has the host ${hostname}${printNearest(chooseHosts(hostname, names))}`
  }
  const { host, routes } = found.host
  const asked = path?.matchPath ?? ''
  const near = routes
    .slice(0, MOST_LOOKED_AT)
    .map(({ match }) => [match, countShared(match.path, asked)] as const)
    .filter(([, shared]) => shared > 1)
    .sort(([, a], [, b]) => b - a)
    .map(([{ type, path, conditions }]) => `${type} ${path}${conditions === undefined ? '' : ' with conditions'}`)
  return `no path of ${host === '' ? 'the rules for every host' : host} matches${printNearest([...new Set(near)])}`
}

/** The nearest by spelling, then those of the same domain. */
function chooseHosts(hostname: string, names: readonly string[]): readonly string[] {
  const nearest = findNearest(hostname, names)
  const domain = hostname.slice(hostname.indexOf('.') + 1)
  const related = domain.includes('.') ? names.filter((name) => name === domain || name.endsWith(`.${domain}`)) : []
  return [...new Set([...(nearest === undefined ? [] : [nearest]), ...related])]
}

function countShared(word: string, other: string): number {
  let length = 0
  while (length < word.length && word[length] === other[length]) length++
  return length
}

function printNearest(names: readonly string[]): string {
  return names.length === 0 ? '' : `; nearest: ${names.slice(0, MOST_NAMED).join(', ')}`
}
