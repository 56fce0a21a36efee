/** The annotations of Portico's own domain: which there are, what their values look like, and those that are misspelt. */
import type { DiagnosticList } from '../base/diagnostics.ts'
import { findNearest } from '../base/nearest.ts'
import { FILTERS } from '../filters/registry.ts'
import { BACKUP_ANNOTATION, ENDPOINTS_ANNOTATION, printResource, type Resource } from '../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN, explainConstantAnnotation, SERVICE_SETTINGS_BY_ANNOTATION } from '../settings/service.ts'
import type { Schema } from '../settings/setting.ts'
import { describeChoices, describeSetting, describeText } from './annotation-schema.ts'
import { LAYER_ANNOTATION, LAYERS, PROXY_PROTOCOL_ANNOTATION } from './exposure/listener-option.ts'
import { isCondition, MATCH_ANNOTATIONS, type MatchAnnotation } from './ingress/match-annotation.ts'
import { SPLIT_ANNOTATION, SPLIT_SCHEMA } from './ingress/split.ts'

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
  ...Object.entries(MATCH_ANNOTATIONS).map(([name, schema]): [string, KnownAnnotation] => [
    ANNOTATION_DOMAIN + name,
    { kinds: ['Ingress'], schema },
  ]),
  [SPLIT_ANNOTATION, { kinds: ['Ingress'], schema: SPLIT_SCHEMA }],
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
const GUARD_NAMES: readonly string[] = FILTERS.filter(({ isGuard }) => isGuard).flatMap((spec) =>
  Object.keys(spec.annotations),
)

/**
 * The annotation of a guard that an unknown annotation seems to mean, so that the routes of its Ingress are closed; undefined: none.
 * A part of the name is enough, as in `portico.dev/basic-auth`.
 */
export function findMeantGuard(name: string): string | undefined {
  const nearest = findMeant(name)
  return nearest !== undefined && GUARD_NAMES.includes(nearest) ? ANNOTATION_DOMAIN + nearest : undefined
}

/** The condition, without the domain, that an unknown annotation seems to mean; undefined: none. */
export function findMeantCondition(name: string): MatchAnnotation | undefined {
  const nearest = findMeant(name)
  return nearest !== undefined && isCondition(nearest) ? nearest : undefined
}

/**
 * An annotation that promises to guard and cannot: a misspelt one, or one on a Service, where no filter is read. The routes of the
 * Ingress, or to the Service, are closed. Undefined: there is none.
 */
export function findIdleGuard({ kind, meta }: Resource): string | undefined {
  return Object.keys(meta.annotations).find((name) => isIdleGuard(kind, name))
}

function isIdleGuard(kind: string, name: string): boolean {
  if (kind !== 'Ingress' && kind !== 'Service') return false
  const isKnown = kind === 'Service' && GUARD_NAMES.some((guard) => name === ANNOTATION_DOMAIN + guard)
  return isKnown || findMeantGuard(name) !== undefined
}

/** The known name that an unknown annotation seems to mean, without the domain, which all share and which would count as likeness. */
function findMeant(name: string): string | undefined {
  if (!name.startsWith(ANNOTATION_DOMAIN) || ANNOTATIONS.has(name) || explainConstantAnnotation(name)) return undefined
  const own = name.slice(ANNOTATION_DOMAIN.length)
  const nearest = findNearest(own, NAMES)
  if (nearest !== undefined) return nearest
  const words = own.split('-')
  return words
    .flatMap((word, at) => [words.slice(at).join('-'), word])
    .map((part) => findNearest(part, GUARD_NAMES))
    .find((guard) => guard !== undefined)
}

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
    const nearest = findMeant(name)
    const isMissed =
      isIdleGuard(resource.kind, name) || (resource.kind === 'Ingress' && findMeantCondition(name) !== undefined)
    const routes = resource.kind === 'Ingress' ? 'the routes of this Ingress' : 'the routes to this Service'
    const outcome = isMissed ? `until then ${routes} answer 503` : ''
    diagnostics.add(
      'PORTICO_ANN_UNKNOWN',
      kinds ? `annotation "${name}" means nothing on ${resource.kind}` : `unknown annotation "${name}"`,
      {
        ...(isMissed && { severity: 'error' as const }),
        position,
        resource: printResource(resource),
        help: kinds
          ? `it belongs on ${kinds.join(' or ')}${isMissed ? `; ${outcome}` : ''}`
          : nearest
            ? `did you mean "${ANNOTATION_DOMAIN}${nearest}"?${isMissed ? ` ${outcome}` : ''}`
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
