/** Where parts of a model stand in the manifests. */
import { printPosition, type SourcePosition } from '../base/position.ts'
import { findFilter } from '../filters/registry.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { FilterConfig } from '../model/filter.ts'
import type { ServiceListener } from '../model/listener.ts'
import { type Locate, NAME_FIELD, type ResourceRef } from '../model/resource-ref.ts'
import { findHostField, findPathField, type Route, type VirtualHost } from '../model/route.ts'
import { ANNOTATION_DOMAIN } from '../settings/service.ts'

/** The path of a route. */
export function locateRoute(route: Route, locate: Locate): SourcePosition | undefined {
  return locate(route.owner, findPathField(route))
}

/** The host, where it is named first. */
export function locateHost(host: VirtualHost, locate: Locate): SourcePosition | undefined {
  return locate(host.owner, findHostField(host))
}

/**
 * The line that asks for a filter: the last of its annotations, or the name of an object that has the filter without annotations. An
 * annotation of ingress-nginx has another name: then it is the line of the key `annotations`. Filters of settings have no line.
 */
export function locateFilter({ name, owner }: FilterConfig, locate: Locate): SourcePosition | undefined {
  if (owner === undefined) return undefined
  if (owner.kind !== 'Ingress' && owner.kind !== 'Service') return locate(owner, NAME_FIELD)
  const places = Object.keys(findFilter(name).annotations).map((annotation) =>
    locate(owner, ['metadata', 'annotations', `${ANNOTATION_DOMAIN}${annotation}`]),
  )
  // A field that is not there has the place of the one around it, which stands before it.
  return places.reduce((last, place) => (place && (!last || place.line > last.line) ? place : last), undefined)
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
