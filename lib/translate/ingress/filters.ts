/** The filters that an Ingress or a Service has in its annotations and a RoutePolicy in its options, and those of hosts. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { freezeDeep } from '../../base/freeze.ts'
import type { FieldPath, SourcePosition } from '../../base/position.ts'
import { veilPosition } from '../../base/veil.ts'
import { FILTERS } from '../../filters/registry.ts'
import { type Content, type FilterSpec, type HostFacts, readFilter, type SecretContent } from '../../filters/spec.ts'
import { type Ingress, printResource, type RoutePolicy, type Service } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import { createRef } from '../../model/resource-ref.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { CLOSED_ROUTES, findIdleGuard, findMeantRestriction, isOwnAnnotation } from '../annotation.ts'
import { isExposed } from '../exposure/node-port.ts'
import { findOptionName, OPTIONS, readOption, renameAnnotations } from '../route-policy/option.ts'
import { findLostOption } from '../route-policy/unknown-option.ts'
import type { ContentFinder, ContentName, ContentProblem } from './content.ts'

type Refusal = Readonly<{
  spec: FilterSpec
  /** The value may hold a secret. */
  isSecret: boolean
  /** For people: `portico.dev/rate-limit`, or of a policy `spec.rateLimit`. */
  label: string
  field: FieldPath
}> &
  ContentProblem

/** An object that annotations refer to, with the input on which its contents depend. */
type UsedContent = ContentName & Readonly<{ input: unknown }>

/** The filters that the settings have for all routes. */
export type RouteDefaults = Readonly<{
  kind: 'Setting'
  meta: Readonly<{ namespace: ''; name: string }>
  options: Readonly<Record<string, unknown>>
  /** Finds nothing where the settings stand in no document. */
  origin: Readonly<{ locate: (field: FieldPath) => SourcePosition | undefined }>
}>

/** The objects that filters are written on, and the settings. */
export type FilterOwner = Ingress | Service | RoutePolicy | RouteDefaults

/** What an object says of one filter. */
export type FilterMention = Readonly<{
  /** Undefined: the filter does nothing there, or cannot be used. */
  config: FilterConfig | undefined
  owner: FilterOwner
  /** Where the owner first speaks of the filter. */
  field: FieldPath
}>

/** By the names of the filters that an object speaks of. */
export type FilterMentions = ReadonlyMap<string, FilterMention>

/** What the annotations, or options, of an object come to. */
export type OwnFilters = Readonly<{
  mentions: FilterMentions
  refusals: readonly Refusal[]
  /** An unknown annotation, or option, that seems to mean a guard; undefined: there is none. */
  misspeltGuard: string | undefined
  contents: readonly UsedContent[]
}>

/** An object does not change, and its routes are many. */
const known = new WeakMap<FilterOwner, OwnFilters>()

const GUARD_ANNOTATIONS: ReadonlySet<string> = new Set(
  FILTERS.filter(({ isGuard }) => isGuard).flatMap(({ annotations }) =>
    Object.keys(annotations).map((name) => ANNOTATION_DOMAIN + name),
  ),
)

export const NO_MENTIONS: FilterMentions = new Map()

const NONE: OwnFilters = Object.freeze({
  mentions: NO_MENTIONS,
  refusals: [],
  misspeltGuard: undefined,
  contents: [],
})

/**
 * Reads the filters of an object with the contents of ConfigMaps and Secrets that they have now. The same result for as long as all of that
 * is the same; the functions below answer from it until this is called again.
 */
export function resolveFilters(owner: FilterOwner, contents: ContentFinder): OwnFilters {
  const before = known.get(owner)
  if (before?.contents.every((one) => contents.findInput(one) === one.input)) return before
  const read = readAll(owner, contents)
  known.set(owner, read)
  return read
}

/** What the object says of filters. */
export function readMentions(owner: FilterOwner): FilterMentions {
  return read(owner).mentions
}

/** In the order in which they act; undefined: none. */
export function readHostFilters(host: HostFacts): readonly FilterConfig[] | undefined {
  const filters = FILTERS.flatMap(({ name, ofHosts }) => {
    const options = ofHosts?.read(host)
    return options === undefined ? [] : [Object.freeze({ name, options: Object.freeze(options) })]
  })
  return filters.length === 0 ? undefined : Object.freeze(filters)
}

/** What promises to refuse requests and cannot be used, so that the routes are closed: an annotation or an option; undefined: none. */
export function findBrokenGuard(owner: FilterOwner): string | undefined {
  const { refusals, misspeltGuard } = read(owner)
  return refusals.find(({ spec }) => spec.isGuard)?.label ?? misspeltGuard
}

/** True if the object speaks of a filter that guards, whatever it says of it. */
export function isGuarding({ mentions, misspeltGuard }: OwnFilters): boolean {
  return misspeltGuard !== undefined || FILTERS.some(({ name, isGuard }) => isGuard && mentions.has(name))
}

/** The first annotation of a filter that guards, whatever it says and misspelt or not; undefined: there is none. */
export function findGuard({ meta }: Ingress): string | undefined {
  return Object.keys(meta.annotations).find(
    (name) => GUARD_ANNOTATIONS.has(name) || findMeantRestriction(name) === 'guard',
  )
}

/**
 * Reports a guard of a Service that clients of its own ports pass by, since filters act on routes of Ingresses alone. `layers` are
 * what is said of its filters.
 */
export function checkOwnPorts(service: Service, layers: readonly FilterMentions[], diagnostics: DiagnosticList): void {
  const found = layers.flatMap((layer) => FILTERS.flatMap(({ name, isGuard }) => (isGuard && layer.get(name)) || []))
  const guard = found.find(({ config }) => config !== undefined)
  if (guard?.config === undefined || !isExposed(service)) return
  const { owner, field, config } = guard
  const why = `${config.name} does not guard the ports of ${printResource(service)} itself: it acts on routes to it`
  diagnostics.add('PORTICO_SVC_UNGUARDED', why, {
    position: owner.origin.locate(field),
    resource: printResource(owner),
    help: 'make it type: ClusterIP without externalIPs, or let what stands before its ports guard them',
    notes: [{ message: 'the Service is here', position: service.origin.locate(['spec', 'type']) }],
  })
}

/** Reports the annotations, or options, that cannot be used. */
export function checkFilters(owner: FilterOwner, diagnostics: DiagnosticList): void {
  const routes = CLOSED_ROUTES[owner.kind]
  for (const { spec, isSecret, label, field, code, message, help, notes } of read(owner).refusals) {
    const end = help.endsWith('?') ? ' ' : '; '
    const position = owner.origin.locate(field)
    diagnostics.add(code, `${label}: ${message}`, {
      severity: 'error',
      position: position && isSecret ? veilPosition(position) : position,
      ...(owner.kind !== 'Setting' && { resource: printResource(owner) }),
      help: `${help}${end}${spec.isGuard ? `until then ${routes} answer 503` : `until then requests pass without ${spec.name}`}`,
      notes,
    })
  }
}

function read(owner: FilterOwner): OwnFilters {
  return known.get(owner) ?? readAll(owner, undefined)
}

/** How an object writes what filters read by the names of annotations without the domain. */
type Writing = Readonly<{
  text: (name: string) => string | undefined
  label: (name: string) => string
  field: (name: string) => FieldPath
  /** The code of a value that cannot be used. */
  code: ContentProblem['code']
  /** What is said of annotations, in the words of the object. */
  rename: (text: string) => string
  /** Why there is no text for a value. */
  findFault: (name: string) => Pick<ContentProblem, 'message' | 'help'> | undefined
}>

function describeAnnotations(annotations: Readonly<Record<string, string>>): Writing {
  return {
    text: (name) => annotations[ANNOTATION_DOMAIN + name]?.trim(),
    label: (name) => ANNOTATION_DOMAIN + name,
    field: (name) => ['metadata', 'annotations', ANNOTATION_DOMAIN + name],
    code: 'PORTICO_ANN_VALUE',
    rename: (text) => text,
    findFault: () => undefined,
  }
}

/** `prefix` is the field that has the options. */
function describeOptions(
  options: Readonly<Record<string, unknown>>,
  prefix: string,
  code: ContentProblem['code'],
): Writing {
  const find = (name: string) => {
    const option = findOptionName(name)
    return Object.hasOwn(options, option) ? readOption(options[option], OPTIONS.get(option)) : undefined
  }
  return {
    text: (name) => {
      const found = find(name)
      // A value without a text is refused; it speaks of the filter all the same.
      return typeof found === 'object' ? '' : found
    },
    label: (name) => `${prefix}.${findOptionName(name)}`,
    field: (name) => [prefix, findOptionName(name)],
    code,
    rename: renameAnnotations,
    findFault: (name) => {
      const found = find(name)
      return typeof found === 'object' ? found : undefined
    },
  }
}

function describeWriting(owner: FilterOwner): Writing | undefined {
  if (owner.kind === 'RoutePolicy') return describeOptions(owner.options, 'spec', 'PORTICO_RES_FIELD_VALUE')
  if (owner.kind === 'Setting') return describeOptions(owner.options, 'routes', 'PORTICO_SET_FIELD_VALUE')
  const { annotations } = owner.meta
  return Object.keys(annotations).some(isOwnAnnotation) ? describeAnnotations(annotations) : undefined
}

/** Without `contents` there are none: an object that is refused has no use for them. */
function readAll(owner: FilterOwner, contents: ContentFinder | undefined): OwnFilters {
  const writing = describeWriting(owner)
  if (writing === undefined) return NONE
  const { namespace } = owner.meta
  const { text } = writing
  const mentions = new Map<string, FilterMention>()
  const ref = createRef(owner)
  const refusals: Refusal[] = []
  const used: UsedContent[] = []
  for (const spec of FILTERS) {
    const names = Object.keys(spec.annotations)
    const [first] = names.filter((name) => text(name) !== undefined)
    if (first === undefined) continue
    const add = (name: string, problem: ContentProblem): void => {
      const isSecret = spec.annotations[name]?.form?.isSecret === true
      refusals.push({ spec, isSecret, label: writing.label(name), field: writing.field(name), ...problem })
    }
    const refuse = (name: string, message: string, help: string): void =>
      add(name, { code: writing.code, message: writing.rename(message), help: writing.rename(help), notes: [] })
    /** An object that a value names; undefined where there is none that can be looked for. */
    const refer = (name: string, object: ContentName): ContentFinder | undefined => {
      if (owner.kind === 'Setting') {
        refuse(name, 'the settings cannot refer to an object', 'write the text itself, or a RoutePolicy')
        return undefined
      }
      if (contents !== undefined) used.push({ ...object, input: contents.findInput(object) })
      return contents
    }
    const content = (name: string, written: string | undefined = text(name)): Content | undefined => {
      if (written === undefined) return undefined
      const [object = '', key = ''] = written.split('/')
      const found = refer(name, { kind: 'ConfigMap', namespace, name: object })?.find(namespace, object, key)
      if (found === undefined) return undefined
      if ('bytes' in found) return found
      add(name, found)
      return undefined
    }
    const upstreams: UpstreamKey[] = []
    const upstream = (name: string): UpstreamKey | undefined => {
      const written = text(name)
      if (written === undefined) return undefined
      const [service = '', port] = written.split(':')
      const found = refer(name, { kind: 'Service', namespace, name: service })?.findUpstream(namespace, service, port)
      if (typeof found === 'string') upstreams.push(found)
      else if (found !== undefined) add(name, found)
      return typeof found === 'string' ? found : undefined
    }
    const secret = (name: string): SecretContent | undefined => {
      const object = text(name)
      if (object === undefined) return undefined
      const found = refer(name, { kind: 'Secret', namespace, name: object })?.findSecret(namespace, object)
      if (found === undefined || 'values' in found) return found
      add(name, found)
      return undefined
    }
    const before = refusals.length
    for (const name of names) {
      const fault = writing.findFault(name)
      if (fault !== undefined) refuse(name, fault.message, fault.help)
    }
    const options =
      refusals.length === before ? readFilter(spec, { text, content, upstream, secret, refuse }) : undefined
    const config =
      options && freezeDeep({ name: spec.name, options, owner: ref, ...(upstreams.length > 0 && { upstreams }) })
    mentions.set(spec.name, { config, owner, field: writing.field(first) })
  }
  const misspeltGuard =
    ('options' in owner ? findLostOption(owner) : undefined) ??
    (owner.kind === 'Setting' ? undefined : findIdleGuard(owner))
  if (mentions.size === 0 && misspeltGuard === undefined) return NONE
  return { mentions, refusals, misspeltGuard, contents: used }
}
