/** A model as text: one line a route, stable, short enough to review. Golden files and reload logs read it. */

import { printEndpointAddress } from '../base/endpoint-address.ts'
import { statusOf } from '../base/errors.ts'
import { printName } from '../base/resource-name.ts'
import { printFilters, redirectsToHttps } from '../filters/registry.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import { isServiceListener, placeOf, type ServiceListener } from '../model/listener.ts'
import type { Model } from '../model/model.ts'
import type { Route, VirtualHost } from '../model/route.ts'
import type { RouteTable } from '../model/route-table.ts'
import type { Endpoint } from '../model/upstream.ts'
import { compileConditions } from '../routing/predicates.ts'
import { printSettingValue } from '../settings/print-value.ts'
import { type PolicyOverrides, SERVICE_SETTINGS_BY_NAME } from '../settings/service.ts'
import { printBoundHost } from './certificate-view.ts'
import { type DescribedShare, describeShares } from './shares.ts'

/**
 * Prints hosts in match order, the default backend, what is shadowed, certificates and the listeners of Services; private keys
 * never. With several tables, each has its name above it, and the listeners of the gateway are printed with the names of theirs.
 */
export function printModel(model: Model): string {
  const { tables, certificates, listeners } = model
  const isOne = tables.length === 1
  const lines = tables.flatMap((table) => [...(isOne ? [] : [`table ${table.name}`]), ...printTable(model, table)])
  for (const binding of certificates) lines.push(printBinding(binding))
  for (const listener of listeners) {
    if (isServiceListener(listener)) lines.push(`listener ${listener.id} ${printForwarding(model, listener)}`)
    else if (!isOne) lines.push(`listener ${listener.id} ${placeOf(listener)} → table ${listener.table}`)
  }
  return `${lines.join('\n')}\n`
}

function printTable(model: Model, { hosts, defaultRoute, shadowed }: RouteTable): readonly string[] {
  const lines = hosts.flatMap((host) => printHost(model, host))
  lines.push(`default  ${defaultRoute === undefined ? '→ 404' : printTarget(model, defaultRoute)}`)
  for (const { route, winner } of shadowed) {
    lines.push(
      `shadowed  ${printHostName(route.host)}${printPath(route)}${printConditions(route)
        .map((condition) => `  if ${condition}`)
        .join(
          '',
        )} → ${route.action.backend}  [${printName(route.owner)}]  by ${printPath(winner)} → ${winner.action.backend}  [${printName(winner.owner)}]`,
    )
  }
  return lines
}

/** `Prefix /api`, or `default`. */
export function printPath(route: Route): string {
  return route.pathType === 'default' ? 'default' : `${route.pathType} ${route.path === '' ? '/' : route.path}`
}

/** What a route asks of requests besides host and path, for people: `header x-env: staging`, `priority 10`. */
export function printConditions({ match }: Pick<Route, 'match'>): readonly string[] {
  const { type, conditions, priority } = match
  return [
    ...(type === 'regex' ? ['regular expression'] : []),
    ...compileConditions(conditions).map(({ text }) => text),
    ...(conditions?.unread ? ['what cannot be read'] : []),
    ...(priority === undefined ? [] : [`priority ${priority}`]),
  ]
}

/** `*` for the host of rules without one. */
export function printHostName(host: string): string {
  return host === '' ? '* ' : `${host} `
}

/** `127.0.0.1:3000;weight=2;backup (not ready)`: what is usual goes without saying. */
export function printEndpoint(endpoint: Endpoint): string {
  const { host, port, weight, ready, serving, terminating, backup, distant } = endpoint
  const state = terminating ? ' (terminating)' : ready ? '' : serving ? ' (not ready, serving)' : ' (not ready)'
  return `${printEndpointAddress(host, port)}${weight === 1 ? '' : `;weight=${weight}`}${backup ? ';backup' : ''}${distant ? ' (distant)' : ''}${state}`
}

/** Endpoints in their order, by commas. */
export function printEndpoints(endpoints: readonly Endpoint[]): string {
  return endpoints.length === 0 ? 'no endpoints' : endpoints.map(printEndpoint).join(', ')
}

/**
 * `→ default/api:80 → 127.0.0.1:9001`, or the status and reason of a route that cannot be served. Of several backends:
 * `→ default/api:80=9 → 127.0.0.1:9001 | default/next:80=1 → 127.0.0.1:9002`.
 */
export function printAction(model: Model, { action }: Route): string {
  const isSplit = action.type === 'split'
  const shares = describeShares(model, action).map(
    (share) => `${share.action.backend}${isSplit ? `=${share.weight}` : ''} → ${printShareTarget(share)}`,
  )
  return `→ ${shares.join(' | ')}`
}

function printShareTarget({ action, upstream }: DescribedShare): string {
  if (action.type === 'unavailable') return `${statusOf(action.code)} ${action.reason}`
  const protocol = upstream === undefined || upstream.protocol === 'http' ? '' : `${upstream.protocol} `
  return `${protocol}${printEndpoints(upstream?.endpoints ?? [])}`
}

/** `default/web:80/TCP`: the Service's port, whatever address it is opened on. */
export function printListenerName({ id }: ServiceListener): string {
  return id.split(' ')[1] ?? id
}

/** `L4`, `L7 with TLS`, `L4 after a PROXY header from 10.0.0.0/8`: what is usual goes without saying. */
export function printListenerManner({ layer, tls, proxyProtocol, sourceRanges }: ServiceListener): string {
  const proxy = proxyProtocol ? ' after a PROXY header' : ''
  const from = sourceRanges.length === 0 ? '' : ` from ${sourceRanges.join(', ')}`
  return `${layer}${tls ? ' with TLS' : ''}${proxy}${from}`
}

/** The RoutePolicies that say more of a route than filters, for people: `RoutePolicy default/beta (matchHeaders, priority)`. */
export function printPolicies({ policies = [] }: Pick<Route, 'policies'>): readonly string[] {
  return policies.map(({ policy, options }) => `${policy.kind} ${printName(policy)} (${options.join(', ')})`)
}

/** The settings in which a Service or an Ingress differs from the defaults: `bodyLimit: 10Ki`. */
export function printOverrides(own: PolicyOverrides): readonly string[] {
  return Object.entries(own).map(([name, value]) => {
    const setting = SERVICE_SETTINGS_BY_NAME.get(name)
    return `${name}: ${setting ? printSettingValue(setting, value) : String(value)}`
  })
}

/** `→ L4 → default/web:80 → 127.0.0.1:3000` */
export function printForwarding(model: Model, listener: ServiceListener): string {
  const endpoints = printEndpoints(model.upstreams.get(listener.upstream)?.endpoints ?? [])
  return `→ ${printListenerManner(listener)} → ${listener.upstream} → ${endpoints}`
}

function printHost(model: Model, host: VirtualHost): string[] {
  const title = `host ${host.host === '' ? '*' : host.host}${redirectsToHttps(host) ? '  redirects to https' : ''}`
  const paths = host.routes.map(printPath)
  const width = Math.min(40, Math.max(0, ...paths.map((path) => path.length)))
  return [title, ...host.routes.map((route, index) => `  ${paths[index]!.padEnd(width)}  ${printTarget(model, route)}`)]
}

function printTarget(model: Model, route: Route): string {
  const endpoints = describeShares(model, route.action).flatMap(({ upstream }) => upstream?.endpoints ?? [])
  const sources = [...new Set(endpoints.map(({ sourceName }) => sourceName))]
  const filters = printFilters(route).map((filter) => `  {${filter}}`)
  const conditions = printConditions(route).map((condition) => `  if ${condition}`)
  return `${printAction(model, route)}${sources.length === 0 ? '' : `  (${sources.join(', ')})`}${conditions.join('')}${filters.join('')}  [${printName(route.owner)}]`
}

function printBinding({ host, certificate, passthrough, reason }: CertificateBinding): string {
  if (passthrough !== undefined) return `certificate ${host} → none: ${reason}`
  if (certificate === undefined) return `certificate ${host} → default: ${reason}`
  const names = certificate.subjectAltNames.join(', ') || certificate.commonName
  return `certificate ${printBoundHost(host)} → ${certificate.name} (${names}; key [redacted])`
}
