/** Hosts whose TLS is not terminated here (SSL passthrough): a connection goes, as it is, to the Service of the path `/`. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { findFilter } from '../../filters/registry.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { CertificateBinding } from '../../model/certificate.ts'
import { NAME_FIELD, type ResourceRef } from '../../model/resource-ref.ts'
import { findPathField, type Route, type VirtualHost } from '../../model/route.ts'
import { isClosed } from './backend.ts'
import type { HostOptions } from './host-option.ts'
import { findSource } from './nginx/alias.ts'

type Claim = Readonly<{ ingress: Ingress; options: HostOptions; owner: ResourceRef; routes: readonly Route[] }>

/**
 * The binding of a host whose TLS is passed through; undefined: it ends here. `claims` come oldest first: the Ingress that named the host decides, since others, of whatever
 * namespace, could take connections that are not theirs. What keeps that from being done is reported.
 */
export function findPassthrough(
  { host, routes, filters = [] }: VirtualHost,
  claims: readonly Claim[],
  diagnostics: DiagnosticList,
): CertificateBinding | undefined {
  const claim = claims.find(({ options }) => options.passesTls)
  if (claim === undefined) return undefined
  const [first] = claims
  const { ingress, owner } = claim
  const refuse = (message: string, help: string): undefined => {
    const { annotations } = ingress.meta
    const source = findSource(ingress, 'tls-passthrough')
    const path = annotations[source] === undefined ? NAME_FIELD : ['metadata', 'annotations', source]
    diagnostics.add(
      'PORTICO_ROUTE_PASSTHROUGH',
      `TLS of ${host === '' ? '*' : host} is not passed through: ${message}`,
      {
        position: ingress.origin.locate(path),
        resource: printResource(ingress),
        help,
      },
    )
    return undefined
  }
  if (host === '') return refuse('the rule has no host', 'write the host that clients name in the TLS handshake')
  if (host.startsWith('*'))
    return refuse('the host is a wildcard, which others may have hosts below', 'write the hosts out')
  if (claim !== first) {
    return refuse(`${printResource(first!.ingress)} named the host first, and does not say so`, 'say it there')
  }
  const isOwn = (route: Route): boolean => route.owner.namespace === owner.namespace
  const route = routes.find(
    (one) => one.owner === owner && one.path === '/' && isWhole(one) && one.match.conditions === undefined,
  )
  if (route === undefined) {
    const help = 'add the path / of type Prefix without conditions, whose Service is to get the connections'
    return refuse('the Ingress has no path /', help)
  }
  // Nobody reads the requests: what keeps some of them out cannot be done. What others guard is not asked by TLS at all.
  const own = routes.filter(isOwn)
  const guards = [...filters, ...own.flatMap((one) => one.filters ?? [])].flatMap(({ name }) =>
    findFilter(name).isGuard || name === 'maintenance' ? [name] : [],
  )
  if (guards.length > 0) {
    const names = [...new Set(guards)].join(' and ')
    return refuse(`${names} could not act on what nobody reads`, 'take it out, or let TLS end at the gateway')
  }
  if (own.some(isClosed))
    return refuse('a path of the host is closed, since a guard of it cannot be done', 'mend the guard')
  const { action } = route
  // That the Service cannot be reached is told already.
  if (action.type === 'unavailable') return undefined
  if (action.type !== 'forward') return refuse('its path / leads to no single Service', 'name one Service')
  const { upstream } = action
  return Object.freeze({
    host,
    certificate: undefined,
    passthrough: upstream,
    reason: `TLS is passed through to ${upstream}`,
    owner,
    field: Object.freeze(findPathField(route)),
  })
}

/** True for a path that stands for all below it. */
function isWhole({ pathType }: Route): boolean {
  return pathType === 'Prefix' || pathType === 'ImplementationSpecific'
}
