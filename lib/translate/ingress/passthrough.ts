/** Hosts whose TLS is not terminated here (SSL passthrough): a connection goes, as it is, to the Service of the path `/`. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { findFilter } from '../../filters/registry.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { TlsPassthrough } from '../../model/certificate.ts'
import { findPathField, type VirtualHost } from '../../model/route.ts'
import { isClosed } from './backend.ts'
import type { HostOptions } from './host-option.ts'
import { findSource } from './nginx/alias.ts'

type Claim = Readonly<{ ingress: Ingress; options: HostOptions }>

/** Undefined: the TLS of the host ends here; where an Ingress has it otherwise, that is reported. */
export function findPassthrough(
  { host, routes, filters = [] }: VirtualHost,
  claims: readonly Claim[],
  diagnostics: DiagnosticList,
): TlsPassthrough | undefined {
  const claim = claims.find(({ options }) => options.passesTls)
  if (claim === undefined) return undefined
  const refuse = (message: string, help: string): undefined => {
    const annotation = findSource(claim.ingress, 'tls-passthrough')
    diagnostics.add(
      'PORTICO_ROUTE_PASSTHROUGH',
      `TLS of ${host === '' ? '*' : host} is not passed through: ${message}`,
      {
        position: claim.ingress.origin.locate(['metadata', 'annotations', annotation]),
        resource: printResource(claim.ingress),
        help,
      },
    )
    return undefined
  }
  if (host === '') return refuse('the rule has no host', 'write the host that clients name in the TLS handshake')
  const route = routes.find(({ match, pathType }) => match.path === '/' && pathType !== 'default')
  if (route === undefined) return refuse('it has no path /', 'add the path /, whose Service is to get the connections')
  const { action, owner, match } = route
  // That there is no such Service is told already.
  if (action.type === 'unavailable' && !isClosed(route)) return undefined
  // Nobody reads the requests: what keeps some of them out cannot be done.
  const guards = [...filters, ...(route.filters ?? [])].filter(({ name }) => findFilter(name).isGuard)
  if (isClosed(route) || guards.length > 0 || match.conditions !== undefined) {
    const what =
      guards.length > 0 ? guards.map(({ name }) => name).join(' and ') : 'its path / has conditions, or is closed'
    return refuse(`${what} could not be done`, 'take it out, or let TLS end at the gateway')
  }
  if (action.type !== 'forward') return refuse('its path / leads to no single Service', 'name one Service')
  return Object.freeze({ host, upstream: action.upstream, owner, field: Object.freeze(findPathField(route)) })
}
