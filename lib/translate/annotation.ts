/** The annotations of Portico's own domain: which there are, what their values look like, and those that are misspelt. */
import { addOutcome, type DiagnosticList } from '../base/diagnostics.ts'
import { findNearest } from '../base/nearest.ts'
import type { SourcePosition } from '../base/position.ts'
import { soundsSecret, veilPosition } from '../base/veil.ts'
import { FILTERS } from '../filters/registry.ts'
import { BACKUP_ANNOTATION, ENDPOINTS_ANNOTATION, printResource, type Resource } from '../kubernetes/resource.ts'
import { flagName, SETTING_LIST } from '../settings/resolve.ts'
import { ANNOTATION_DOMAIN, explainFormerAnnotation, SERVICE_SETTINGS_BY_ANNOTATION } from '../settings/service.ts'
import type { Schema } from '../settings/setting.ts'
import { describeChoices, describeSetting, describeText } from './annotation-schema.ts'
import { LAYER_ANNOTATION, LAYERS, PROXY_PROTOCOL_ANNOTATION } from './exposure/listener-option.ts'
import { findEquivalents } from './ingress/equivalent.ts'
import { isUsualGuard, looksLikeGuard } from './ingress/foreign-table.ts'
import { HOST_ANNOTATIONS } from './ingress/host-option.ts'
import { ADDRESSES, isCondition, MATCH_ANNOTATIONS } from './ingress/match-annotation.ts'
import { SPLIT_ANNOTATION, SPLIT_SCHEMA } from './ingress/split.ts'
import { SPLIT_COOKIE_ANNOTATION, SPLIT_COOKIE_SCHEMA } from './ingress/split-cookie.ts'

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
        kinds: ['Ingress', 'Service'],
        schema: form?.choices ? describeChoices(about, form.choices) : describeText(about, form?.pattern.source),
      },
    ],
  ),
  ...Object.entries({ ...MATCH_ANNOTATIONS, ...HOST_ANNOTATIONS }).map(([name, schema]): [string, KnownAnnotation] => [
    ANNOTATION_DOMAIN + name,
    { kinds: ['Ingress'], schema },
  ]),
  [SPLIT_ANNOTATION, { kinds: ['Ingress'], schema: SPLIT_SCHEMA }],
  [SPLIT_COOKIE_ANNOTATION, { kinds: ['Ingress'], schema: SPLIT_COOKIE_SCHEMA }],
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

/** Those whose values may hold a secret. */
const SECRET_NAMES: ReadonlySet<string> = new Set(
  FILTERS.flatMap(({ annotations }) => Object.entries(annotations)).flatMap(([name, { form }]) =>
    form?.isSecret ? [ANNOTATION_DOMAIN + name] : [],
  ),
)

/**
 * How an annotation keeps requests away from routes: as a guard, which refuses them, as the condition on clients' addresses, or as
 * another condition.
 */
export type Restriction = 'guard' | 'clients' | 'condition'

/** What an unknown annotation seems to mean. */
type Meaning = Readonly<{
  restriction: Restriction | undefined
  /** The known annotations nearest to it, without the domain. */
  nearest: readonly string[]
}>

/** Words for the addresses of clients, alone or behind `match-`; and those for clients that are kept out. */
const CLIENTS =
  /(?:^|[-._])(?:client|source|src|remote|peer)s?[-._]?(?:ip|addr|address|range|cidr|network)(?:e?s)?(?:[-._]|$)|(?:^|[-._])(?:allow|deny|block|ban|trust)(?:ed)?[-._]?(?:from|ip|source|addr|client|cidr|range)|^(?!.*limit).*(?:allow|deny|block|white|black)-?list/
const DENIED = /(?:^|[-._])(?:deny|block|ban|black)/
const CLIENTS_MATCHED = /^match.*(?:\b|_)(?:ips?|addr\w*|cidrs?|ranges?|clients?|sources?|remote|peers?)(?:\b|_)/

/**
 * How an unknown annotation seems to restrict routes. One that is misspelt, has the name of another controller's guard, or begins as
 * conditions do counts, under a domain near to Portico's too: without it the routes would take more. Undefined: it does not.
 */
export function findMeantRestriction(name: string): Restriction | undefined {
  return findMeaning(name)?.restriction
}

/** The names, without the domain, of the annotations that an unknown one seems to mean. */
export function findMeantNames(name: string): readonly string[] {
  return findMeaning(name)?.nearest ?? []
}

/** The same position, which shows the name alone if the value of an annotation that means nothing there may be a secret. */
export function veilLost(position: SourcePosition, name: string): SourcePosition {
  const mayBeSecret = SECRET_NAMES.has(name) || soundsSecret(name.slice(name.indexOf('/') + 1))
  return mayBeSecret ? veilPosition(position) : position
}

/** True for an annotation under portico.dev/, or under a domain that is a misspelling of it. */
export function isOwnAnnotation(name: string): boolean {
  return findOwnName(name) !== undefined
}

/**
 * How an annotation would restrict routes, and does not where it stands. For an unknown field of a RoutePolicy, `name` is the annotation
 * that the field would be. Undefined: it would not.
 */
export function findLostRestriction(kind: string, name: string): Restriction | undefined {
  if (kind !== 'Ingress' && kind !== 'Service' && kind !== 'RoutePolicy') return undefined
  const kinds = ANNOTATIONS.get(name)?.kinds
  if (kinds === undefined) return findMeantRestriction(name)
  return kinds.includes(kind) ? undefined : restrictionOf(name.slice(ANNOTATION_DOMAIN.length))
}

function restrictionOf(known: string): Restriction | undefined {
  if (GUARD_NAMES.includes(known)) return 'guard'
  if (known === ADDRESSES) return 'clients'
  return isCondition(known) ? 'condition' : undefined
}

/** The name without the domain, which all share and which would count as likeness. */
function findOwnName(name: string): string | undefined {
  if (name.startsWith(ANNOTATION_DOMAIN)) return name.slice(ANNOTATION_DOMAIN.length)
  const end = name.indexOf('/') + 1
  const isNear = Math.abs(end - ANNOTATION_DOMAIN.length) <= 2 && findNearest(name.slice(0, end), [ANNOTATION_DOMAIN])
  return isNear ? name.slice(end) : undefined
}

/** Undefined for a known annotation, and for one of another domain. */
function findMeaning(name: string): Meaning | undefined {
  const own = findOwnName(name)
  if (own === undefined || ANNOTATIONS.has(name) || explainFormerAnnotation(name)) return undefined
  const plain = own.replace(/([a-z0-9])(?=[A-Z])/g, '$1-').toLowerCase()
  const alike = findNearest(plain, NAMES)
  const near = findEquivalents(plain) ?? (alike === undefined ? [] : [alike])
  const [nearest] = near
  const restriction = nearest === undefined ? undefined : restrictionOf(nearest)
  if (isUsualGuard(plain)) return { restriction: 'guard', nearest: restriction === undefined ? [] : near }
  if (CLIENTS_MATCHED.test(plain)) return { restriction: 'clients', nearest: [ADDRESSES] }
  if (restriction !== undefined) return { restriction, nearest: near }
  if (CLIENTS.test(plain)) {
    return { restriction: 'guard', nearest: [DENIED.test(plain) ? 'deny-source-range' : 'allow-source-range'] }
  }
  if (plain.startsWith('match')) return { restriction: 'condition', nearest: near }
  if (nearest !== undefined) return { restriction: undefined, nearest: near }
  const words = plain.split('-')
  const guard = words
    .flatMap((word, at) => [words.slice(at).join('-'), word])
    .map((part) => findNearest(part, GUARD_NAMES))
    .find((one) => one !== undefined)
  if (guard !== undefined) return { restriction: 'guard', nearest: [guard] }
  return { restriction: looksLikeGuard(plain) ? 'guard' : undefined, nearest: [] }
}

/** What is closed for a guard of an object that cannot be used, by the kind of the object. */
export const CLOSED_ROUTES = {
  Ingress: 'the routes of this Ingress',
  Service: 'the routes to this Service',
  RoutePolicy: 'the routes of its targets',
  Setting: 'all routes',
}

/** Reports annotations under portico.dev/, or under a domain near to it, that mean nothing where they stand. */
export function checkAnnotations(resource: Resource, diagnostics: DiagnosticList): void {
  const { kind } = resource
  for (const name of Object.keys(resource.meta.annotations)) {
    if (!isOwnAnnotation(name)) continue
    const kinds = ANNOTATIONS.get(name)?.kinds
    if (kinds?.includes(kind)) continue
    const position = veilLost(resource.origin.locateKey(['metadata', 'annotations', name]), name)
    const former = explainFormerAnnotation(name)
    if (former) {
      const details = { position, resource: printResource(resource), help: former.help }
      diagnostics.add('PORTICO_ANN_UNKNOWN', former.message, details)
      continue
    }
    const isMissed = findLostRestriction(kind, name) !== undefined
    const help = kinds ? `it belongs on ${kinds.join(' or ')}` : explainUnknown(kind, name)
    const routes = CLOSED_ROUTES[kind as keyof typeof CLOSED_ROUTES]
    diagnostics.add(
      'PORTICO_ANN_UNKNOWN',
      kinds ? `annotation "${name}" means nothing on ${kind}` : `unknown annotation "${name}"`,
      {
        ...(isMissed && { severity: 'error' as const }),
        position,
        resource: printResource(resource),
        help: isMissed ? addOutcome(help, `until then ${routes} answer 503`) : help,
      },
    )
  }
}

function explainUnknown(kind: string, name: string): string {
  const { restriction, nearest = [] } = findMeaning(name) ?? {}
  // One that stands on this kind is more likely to be meant.
  const here = NAMES.filter((one) => ANNOTATIONS.get(ANNOTATION_DOMAIN + one)?.kinds.includes(kind))
  const own = restriction === undefined && nearest.length < 2 ? findNearest(findOwnName(name) ?? name, here) : undefined
  const meant = own === undefined ? nearest : [own]
  if (meant.length === 0)
    return explainSettingOfAll(name) ?? TAKES[kind] ?? 'nothing under portico.dev/ has a meaning here'
  const question = `did you mean ${meant.map((one) => `"${ANNOTATION_DOMAIN}${one}"`).join(' and ')}?`
  const kinds = ANNOTATIONS.get(ANNOTATION_DOMAIN + meant[0])?.kinds ?? []
  return kinds.includes(kind) ? question : `${question} It belongs on ${kinds.join(' or ')}`
}

/** What to write for an unknown annotation that has the name of a setting of the whole gateway; undefined: it has none. */
export function explainSettingOfAll(name: string): string | undefined {
  const own = findOwnName(name)
  // A single word, as `port`, may mean anything.
  if (own?.includes('-') !== true) return undefined
  const named = SETTING_LIST.filter((setting) => `-${flagName(setting.name)}`.endsWith(`-${own}`)).map(
    (one) => one.name,
  )
  const [shortest] = named.sort((one, other) => one.length - other.length)
  return shortest === undefined
    ? undefined
    : `it is a setting of the whole gateway: ${shortest}, or ${flagName(shortest)}`
}

/** What a kind takes, for annotations that are not like any. */
const TAKES: Readonly<Record<string, string>> = {
  Ingress:
    'an Ingress takes filters, as portico.dev/redirect-host (docs/filters.md), conditions, as portico.dev/match-headers (docs/routing.md), and limits, as portico.dev/tries (docs/retries-and-limits.md)',
  Service: `a Service takes ${ENDPOINTS_ANNOTATION}, the settings under upstream, as portico.dev/balancer, and filters, as portico.dev/maintenance (docs/filters.md)`,
  EndpointSlice: `an EndpointSlice takes ${BACKUP_ANNOTATION}`,
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
