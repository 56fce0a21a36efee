/** Filters that do not fit a route that has them: what they say of its path, or of other routes of its host, is not so. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { normalizePath, USUAL_PATHS } from '../../base/path.ts'
import { describeRequest } from '../../filters/play.ts'
import { findFilter } from '../../filters/registry.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import { findPathField, type Route, type VirtualHost } from '../../model/route.ts'
import { compileHost } from '../../routing/table.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'

/** Reports each fault once for each Ingress. */
export function reportFilterFits(
  virtualHost: VirtualHost,
  ingressOf: (owner: ResourceRef) => Ingress,
  diagnostics: DiagnosticList,
): void {
  const { host, routes } = virtualHost
  const checked = routes.filter(({ filters }) => filters?.some(hasCheck))
  if (checked.length === 0) return
  const compiled = compileHost<Route, Route, VirtualHost>(virtualHost, (route) => route)
  const find = (target: string): readonly FilterConfig[] | undefined => {
    const path = normalizePath(target, USUAL_PATHS)
    if (path === undefined) return undefined
    const asked = { scheme: 'https', authority: host, hostname: host, path, query: '', target } as const
    const route = compiled.find(path.matchPath, describeRequest(asked))
    return route && (route.filters ?? [])
  }
  const reported = new Set<string>()
  for (const route of checked) {
    for (const { name, options } of route.filters!) {
      const fault = findFilter(name).checkRoute?.(options, { host, match: route.match, find })
      if (fault === undefined) continue
      const ingress = ingressOf(route.owner)
      const annotation = ANNOTATION_DOMAIN + fault.annotation
      const resource = printResource(ingress)
      const message = `${annotation}: ${fault.message}`
      if (reported.has(`${resource} ${message}`)) continue
      reported.add(`${resource} ${message}`)
      const isOwn = ingress.meta.annotations[annotation] !== undefined
      const field = isOwn ? ['metadata', 'annotations', annotation] : findPathField(route)
      const position = ingress.origin.locate(field)
      diagnostics.add('PORTICO_ROUTE_FILTER_MISFIT', message, { position, resource, help: fault.help })
    }
  }
}

function hasCheck({ name }: FilterConfig): boolean {
  return findFilter(name).checkRoute !== undefined
}
