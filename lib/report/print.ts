/** A model as text: one line a route, stable, short enough to review. Golden files and reload logs read it. */

import { printEndpointAddress } from '../base/endpoint-address.ts'
import { statusOf } from '../base/errors.ts'
import { printName } from '../base/resource-name.ts'
import { printFilters, redirectsToHttps } from '../filters/registry.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { Model } from '../model/model.ts'
import type { Route, VirtualHost } from '../model/route.ts'
import type { ServiceListener } from '../model/service-listener.ts'
import type { Endpoint } from '../model/upstream.ts'

/** Prints hosts in match order, the default backend, what is shadowed, certificates and listeners; private keys never. */
export function printModel(model: Model): string {
  const lines = model.hosts.flatMap((host) => printHost(model, host))
  lines.push(`default  ${model.defaultRoute === undefined ? '→ 404' : printTarget(model, model.defaultRoute)}`)
  for (const { route, winner } of model.shadowed) {
    lines.push(
      `shadowed  ${printHostName(route.host)}${printPath(route)} → ${route.action.backend}  [${printName(route.owner)}]  by ${printPath(winner)} → ${winner.action.backend}  [${printName(winner.owner)}]`,
    )
  }
  for (const binding of model.certificates) lines.push(printBinding(binding))
  for (const listener of model.listeners) lines.push(`listener ${listener.id} ${printForwarding(model, listener)}`)
  return `${lines.join('\n')}\n`
}

/** `Prefix /api`, or `default`. */
export function printPath(route: Route): string {
  return route.pathType === 'default' ? 'default' : `${route.pathType} ${route.path === '' ? '/' : route.path}`
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

/** `→ default/api:80 → 127.0.0.1:9001`, or the status and reason of a route that cannot be served. */
export function printAction(model: Model, route: Route): string {
  const { action } = route
  if (action.type === 'unavailable') return `→ ${action.backend} → ${statusOf(action.code)} ${action.reason}`
  const upstream = model.upstreams.get(action.upstream)
  const protocol = upstream === undefined || upstream.protocol === 'http' ? '' : `${upstream.protocol} `
  return `→ ${action.backend} → ${protocol}${printEndpoints(upstream?.endpoints ?? [])}`
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
  const sources =
    route.action.type === 'forward'
      ? [...new Set(model.upstreams.get(route.action.upstream)?.endpoints.map(({ sourceName }) => sourceName))]
      : []
  const filters = printFilters(route.filters).map((filter) => `  {${filter}}`)
  return `${printAction(model, route)}${sources.length === 0 ? '' : `  (${sources.join(', ')})`}${filters.join('')}  [${printName(route.owner)}]`
}

function printBinding({ host, certificate, reason }: CertificateBinding): string {
  if (certificate === undefined) return `certificate ${host} → default: ${reason}`
  const names = certificate.subjectAltNames.join(', ') || certificate.commonName
  return `certificate ${host} → ${certificate.name} (${names}; key [redacted])`
}
