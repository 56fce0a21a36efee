/** Where parts of a model stand in the manifests. */
import { printPosition, type SourcePosition } from '../base/position.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { ServiceListener } from '../model/listener.ts'
import { type Locate, NAME_FIELD, type ResourceRef } from '../model/resource-ref.ts'
import { findHostField, findPathField, type Route, type VirtualHost } from '../model/route.ts'

/** The path of a route. */
export function locateRoute(route: Route, locate: Locate): SourcePosition | undefined {
  return locate(route.owner, findPathField(route))
}

/** The host, where it is named first. */
export function locateHost(host: VirtualHost, locate: Locate): SourcePosition | undefined {
  return locate(host.owner, findHostField(host))
}

/** The name of a Service. */
export function locateService(
  { namespace, name }: Pick<ResourceRef, 'namespace' | 'name'>,
  locate: Locate,
): SourcePosition | undefined {
  return locate({ kind: 'Service', namespace, name }, NAME_FIELD)
}

/** Where a Service's port, or a certificate for a host, is asked for. */
export function locateField(
  { owner, field }: Pick<ServiceListener | CertificateBinding, 'owner' | 'field'>,
  locate: Locate,
): SourcePosition | undefined {
  return locate(owner, field)
}

/** `file:line:column`, `''` where it is not known. */
export function printPlace(position: SourcePosition | undefined): string {
  return position === undefined ? '' : printPosition(position)
}
