/** Hosts that no rule has, and that lead to the routes of one that a rule has, or redirect there (SA, WW of docs/ingress-nginx.md). */
import { freezeDeep } from '../../base/freeze.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { Route, VirtualHost } from '../../model/route.ts'
import { isClosed } from './backend.ts'
import type { HostOptions } from './host-option.ts'
import { makeFilter } from './made-filter.ts'

const WWW = 'www.'

/** A host that is to be there unless a rule has it. */
export type WantedHost = Readonly<{ name: string; isRedirect: boolean }>

/** What the Ingresses of a host, the oldest first, want beside it: of their aliases those of the first that has some (SA3). */
export function listWanted(host: string, claims: readonly Readonly<{ options: HostOptions }>[]): readonly WantedHost[] {
  const { aliases = [] } = claims.find(({ options }) => options.aliases.length > 0)?.options ?? {}
  const wanted = aliases.map((name) => ({ name, isRedirect: false }))
  // WW4
  if (host === '' || host.startsWith('*') || !claims.some(({ options }) => options.hasWww)) return wanted
  const name = host.startsWith(WWW) ? host.slice(WWW.length) : WWW + host
  return [...wanted, { name, isRedirect: true }]
}

/** `filters` are those of the host itself; a redirect keeps the scheme. */
export function createHost(
  { name, isRedirect }: WantedHost,
  virtualHost: VirtualHost,
  filters: readonly FilterConfig[] | undefined,
): VirtualHost {
  const { owner, rule, host } = virtualHost
  const routes = isRedirect ? createRedirect(virtualHost, name, host) : virtualHost.routes
  return Object.freeze({ host: name, routes, ...(filters && !isRedirect && { filters }), owner, rule })
}

/** The endpoints of the route see no request. */
function createRedirect({ routes, owner, rule }: VirtualHost, from: string, to: string): readonly Route[] {
  const open = routes.find((route) => !isClosed(route)) ?? routes[0]
  if (open === undefined) return []
  const redirect = makeFilter('redirect', { 'redirect-host': to, 'redirect-code': '308' })!
  const route: Route = {
    owner,
    rule,
    item: open.item,
    host: from,
    match: { type: 'prefix', path: '/' },
    pathType: 'Prefix',
    path: '/',
    action: open.action,
    filters: [redirect],
  }
  return freezeDeep([route])
}
