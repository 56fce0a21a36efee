/** The annotations of Portico's own domain: which there are, what their values look like, and those that are misspelt. */
import type { DiagnosticList } from '../base/diagnostics.ts'
import { findNearest } from '../base/nearest.ts'
import { FILTERS } from '../filters/registry.ts'
import { BACKUP_ANNOTATION, ENDPOINTS_ANNOTATION, printResource, type Resource } from '../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN, explainConstantAnnotation, SERVICE_SETTINGS_BY_ANNOTATION } from '../settings/service.ts'
import type { Schema } from '../settings/setting.ts'
import { describeChoices, describeSetting, describeText } from './annotation-schema.ts'
import { LAYER_ANNOTATION, LAYERS, PROXY_PROTOCOL_ANNOTATION } from './exposure/listener-option.ts'

type KnownAnnotation = Readonly<{
  /** On which it stands. */
  kinds: readonly string[]
  /** JSON Schema of its values, which are strings. */
  schema: Schema
}>

/** By their whole names. */
export const ANNOTATIONS: ReadonlyMap<string, KnownAnnotation> = new Map([
  [
    ENDPOINTS_ANNOTATION,
    {
      kinds: ['Service'],
      schema: describeText(
        'Endpoints of the Service, host:port with commas between, each with ;weight=2 and the like behind it.',
      ),
    },
  ],
  [
    BACKUP_ANNOTATION,
    {
      kinds: ['EndpointSlice'],
      schema: describeChoices('"true": the endpoints get requests only if no others can be used.', ['true', 'false']),
    },
  ],
  ...[...SERVICE_SETTINGS_BY_ANNOTATION].map(([name, setting]): [string, KnownAnnotation] => [
    name,
    { kinds: setting.route ? ['Service', 'Ingress'] : ['Service'], schema: describeSetting(setting) },
  ]),
  ...FILTERS.flatMap(({ annotations }) => Object.entries(annotations)).map(
    ([name, { about, form }]): [string, KnownAnnotation] => [
      ANNOTATION_DOMAIN + name,
      {
        kinds: ['Ingress'],
        schema: form?.choices ? describeChoices(about, form.choices) : describeText(about, form?.pattern.source),
      },
    ],
  ),
  [
    LAYER_ANNOTATION,
    {
      kinds: ['Service'],
      schema: describeChoices('How connections to the ports of the Service are carried.', LAYERS),
    },
  ],
  [
    PROXY_PROTOCOL_ANNOTATION,
    {
      kinds: ['Service'],
      schema: describeChoices('"true": connections to the ports of the Service begin with a PROXY header.', [
        'true',
        'false',
      ]),
    },
  ],
])

const NAMES: readonly string[] = [...ANNOTATIONS.keys()].map((name) => name.slice(ANNOTATION_DOMAIN.length))

/** Reports annotations under portico.dev/ that mean nothing where they stand. */
export function checkAnnotations(resource: Resource, diagnostics: DiagnosticList): void {
  for (const name of Object.keys(resource.meta.annotations)) {
    if (!name.startsWith(ANNOTATION_DOMAIN)) continue
    const kinds = ANNOTATIONS.get(name)?.kinds
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

/**
 * The JSON Schema of a manifest as far as Portico's own annotations go. Other fields, kinds and annotations pass, so that it
 * may stand beside the schema of Kubernetes.
 */
export function createAnnotationsSchema(): Schema {
  const kinds = [...new Set([...ANNOTATIONS.values()].flatMap((one) => one.kinds))]
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://portico.dev/schema/v1alpha1/annotations.json',
    title: "Portico's annotations of Kubernetes objects",
    type: ['object', 'null'],
    properties: { items: { type: ['array', 'null'], items: { $ref: '#' } } },
    allOf: kinds.map((kind) => ({
      if: { properties: { kind: { const: kind } }, required: ['kind'] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { properties: { metadata: { properties: { annotations: describeAnnotations(kind) } } } },
    })),
  }
}

function describeAnnotations(kind: string): Schema {
  const own = [...ANNOTATIONS].filter(([, { kinds }]) => kinds.includes(kind))
  return {
    type: ['object', 'null'],
    propertyNames: { anyOf: [{ enum: own.map(([name]) => name) }, { not: { pattern: `^${ANNOTATION_DOMAIN}` } }] },
    properties: Object.fromEntries(own.map(([name, { schema }]) => [name, schema])),
  }
}
