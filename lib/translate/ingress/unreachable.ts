/** Paths of routes that no listener lets through, since its path policy gives them another form or refuses them. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { isReachable, normalizePath, type PathPolicy, WIDEST_PATHS } from '../../base/path.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import { findPathField, type Route, type VirtualHost } from '../../model/route.ts'
import { findPatternStem, findSample } from './path-pattern.ts'

/** `policies` are those of the listeners that serve the host, one at least. */
export function reportUnreachable(
  { routes }: VirtualHost,
  policies: readonly PathPolicy[],
  ingressOf: (owner: ResourceRef) => Ingress,
  diagnostics: DiagnosticList,
): void {
  for (const route of routes) {
    const sample = findSampleOf(route)
    if (sample === undefined || isReachable(sample, policies)) continue
    // No policy lets it through: that is told of the path by itself (route.ts).
    if (!isReachable(sample, [WIDEST_PATHS])) continue
    const ingress = ingressOf(route.owner)
    diagnostics.add('PORTICO_ROUTE_UNREACHABLE', `path "${route.path}" can never match: no request has this form`, {
      position: ingress.origin.locate(findPathField(route)),
      resource: printResource(ingress),
      help: advise(route, policies),
    })
  }
}

/** A path in match form that policies differ about; undefined: all let it through. */
function findSampleOf({ match: { type, path } }: Route): string | undefined {
  if (type === 'regex') return findSample(path)
  return path.includes('%') ? path : undefined
}

function advise({ match: { type, path } }: Route, policies: readonly PathPolicy[]): string {
  const stem = type === 'regex' ? findPatternStem(path) : path
  const forms = policies.flatMap((policy) => normalizePath(stem, policy)?.matchPath ?? [])
  const [form] = forms
  if (form !== undefined)
    return `write ${form} in place of ${stem}: the settings under paths bring requests into this form`
  return 'the settings refuse requests with an encoded slash or backslash: paths.encodedSlash'
}
