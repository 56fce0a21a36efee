/** Redirects that lead back to where they redirect, again and again. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { type NormalPath, normalizePath, type PathPolicy, USUAL_PATHS } from '../../base/path.ts'
import { describeRequest, type PlayedRequest, playFilters } from '../../filters/play.ts'
import { findRedirect } from '../../filters/registry.ts'
import { FilterDraft } from '../../filters/spec.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { GatewayListener } from '../../model/listener.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import { findPathField, type Route, type VirtualHost } from '../../model/route.ts'
import { compileHost, type HostRoutes } from '../../routing/table.ts'
import { findSource } from './nginx/alias.ts'

/** Routes of a host that are tried. */
const MOST_ROUTES = 1_000
/** Browsers follow about twenty redirects. */
const MOST_REDIRECTS = 20

type Routes = HostRoutes<Route, VirtualHost>

type Policies = Readonly<Record<'http' | 'https', PathPolicy>>

/**
 * Reports, once for each Ingress, a redirect of the host after which a client would be redirected on the same host without end. Other
 * hosts are not followed. `listeners` serve the host.
 */
export function reportRedirectLoops(
  virtualHost: VirtualHost,
  listeners: readonly GatewayListener[],
  ingressOf: (owner: ResourceRef) => Ingress,
  diagnostics: DiagnosticList,
): void {
  const redirecting = virtualHost.routes.filter(({ filters }) => findRedirect(filters) !== undefined)
  if (redirecting.length === 0) return
  const routes = compileHost<Route, Route, VirtualHost>(virtualHost, (route) => route)
  const find = (isSecure: boolean) => listeners.find(({ tls }) => tls === isSecure)?.paths ?? USUAL_PATHS
  const policies = { http: find(false), https: find(true) }
  const reported = new Set<readonly FilterConfig[] | undefined>()
  for (const route of redirecting.slice(0, MOST_ROUTES)) {
    if (reported.has(route.filters)) continue
    const loop = findLoop(routes, policies, route)
    if (loop === undefined) continue
    reported.add(route.filters)
    const ingress = ingressOf(route.owner)
    const names = Object.keys(findRedirect(route.filters)?.annotations ?? {}).map((name) => findSource(ingress, name))
    const name = names.find((one) => ingress.meta.annotations[one] !== undefined)
    diagnostics.add('PORTICO_ROUTE_REDIRECT_LOOP', `clients are redirected without end: ${loop.join(' → ')} → …`, {
      position: ingress.origin.locate(name === undefined ? findPathField(route) : ['metadata', 'annotations', name]),
      resource: printResource(ingress),
      help: 'redirect to a URL that none of these routes takes',
    })
  }
}

/** The first URLs of the loop that a request to the path of the route gets into; undefined: it ends. */
function findLoop(routes: Routes, policies: Policies, { match }: Route): readonly string[] | undefined {
  if (match.type === 'regex') return undefined
  const { host } = routes.host
  const hostname = host === '' ? 'any.host' : host.replace('*', 'any')
  for (const scheme of ['http', 'https'] as const) {
    const path = normalizePath(match.path, policies[scheme])
    if (path === undefined) continue
    const urls: string[] = []
    let next: PlayedRequest | undefined = { scheme, hostname, ...describeUrl(hostname, path, '') }
    while (next !== undefined && urls.length < MOST_REDIRECTS) {
      urls.push(`${next.scheme}://${next.authority}${next.target}`)
      next = follow(routes, policies, next)
    }
    if (next !== undefined) return urls.slice(0, 3)
  }
  return undefined
}

function describeUrl(authority: string, path: NormalPath, query: string) {
  return { authority, path, query, target: path.path + query }
}

/** The request that a client would send next; undefined: it is not redirected, or to another host. */
function follow(routes: Routes, policies: Policies, asked: PlayedRequest): PlayedRequest | undefined {
  const request = describeRequest(asked)
  const draft = new FilterDraft(asked.target, asked.authority, '')
  // Which port HTTPS has makes no difference.
  const play = (filters: readonly FilterConfig[] = [], of = request) => playFilters(filters, of, draft, 443).answer
  const route = routes.find(asked.path.matchPath, request)
  const answer = play(routes.host.filters) ?? (route && play(route.filters, { ...request, match: route.match }))
  if (answer?.location === undefined || answer.status < 300 || answer.status > 399) return undefined
  const base = `${asked.scheme}://${asked.authority}`
  const url = URL.canParse(answer.location, base) ? new URL(answer.location, base) : undefined
  if (url === undefined || url.hostname !== asked.hostname) return undefined
  const scheme = url.protocol === 'https:' ? 'https' : 'http'
  const path = normalizePath(url.pathname, policies[scheme])
  if (path === undefined) return undefined
  return { scheme, hostname: asked.hostname, ...describeUrl(url.host, path, url.search) }
}
