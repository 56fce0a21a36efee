/** The annotations of Portico's own domain: which there are, and those that are misspelt. */
import type { DiagnosticList } from '../base/diagnostics.ts'
import { findNearest } from '../base/nearest.ts'
import { FILTERS } from '../filters/registry.ts'
import { BACKUP_ANNOTATION, ENDPOINTS_ANNOTATION, printResource, type Resource } from '../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN, explainConstantAnnotation, SERVICE_SETTINGS_BY_ANNOTATION } from '../settings/service.ts'
import { LAYER_ANNOTATION, PROXY_PROTOCOL_ANNOTATION } from './exposure/listener-option.ts'
import { MATCH_ANNOTATIONS } from './ingress/match.ts'
import { SPLIT_ANNOTATION } from './ingress/split.ts'

/** Each annotation with the kinds it stands on. */
const KNOWN: ReadonlyMap<string, readonly string[]> = new Map([
  [ENDPOINTS_ANNOTATION, ['Service']],
  [BACKUP_ANNOTATION, ['EndpointSlice']],
  ...[...SERVICE_SETTINGS_BY_ANNOTATION].map(([name, { route }]): [string, string[]] => [
    name,
    route ? ['Service', 'Ingress'] : ['Service'],
  ]),
  ...FILTERS.flatMap(({ annotations }) => Object.keys(annotations)).map((name): [string, string[]] => [
    ANNOTATION_DOMAIN + name,
    ['Ingress'],
  ]),
  ...MATCH_ANNOTATIONS.map((name): [string, string[]] => [ANNOTATION_DOMAIN + name, ['Ingress']]),
  [SPLIT_ANNOTATION, ['Ingress']],
  [LAYER_ANNOTATION, ['Service']],
  [PROXY_PROTOCOL_ANNOTATION, ['Service']],
])

const NAMES: readonly string[] = [...KNOWN.keys()].map((name) => name.slice(ANNOTATION_DOMAIN.length))

/** Reports annotations under portico.dev/ that mean nothing where they stand. */
export function checkAnnotations(resource: Resource, diagnostics: DiagnosticList): void {
  for (const name of Object.keys(resource.meta.annotations)) {
    if (!name.startsWith(ANNOTATION_DOMAIN)) continue
    const kinds = KNOWN.get(name)
    if (kinds?.includes(resource.kind)) continue
    const position = resource.origin.locateKey(['metadata', 'annotations', name])
    const constant = explainConstantAnnotation(name)
    if (constant) {
      const details = { position, resource: printResource(resource), help: constant.help }
      diagnostics.add('PORTICO_ANN_UNKNOWN', constant.message, details)
      continue
    }
    // The domain, which all share, would count as likeness.
    const nearest = findNearest(name.slice(ANNOTATION_DOMAIN.length), NAMES)
    diagnostics.add(
      'PORTICO_ANN_UNKNOWN',
      kinds ? `annotation "${name}" means nothing on ${resource.kind}` : `unknown annotation "${name}"`,
      {
        position,
        resource: printResource(resource),
        help: kinds
          ? `it belongs on ${kinds.join(' or ')}`
          : nearest
            ? `did you mean "${ANNOTATION_DOMAIN}${nearest}"?`
            : `known are ${ENDPOINTS_ANNOTATION} and the settings under upstream, as portico.dev/balancer`,
      },
    )
  }
}
