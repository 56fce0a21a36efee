/** The filters that an Ingress or a Service has in its annotations and a RoutePolicy in its options, and those of hosts. */
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import type { FieldPath } from '../../base/position.ts'
import { veilPosition } from '../../base/veil.ts'
import { FILTERS } from '../../filters/registry.ts'
import type { HostFacts } from '../../filters/spec.ts'
import { type Ingress, printResource, type Service } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import { createRef } from '../../model/resource-ref.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { CLOSED_ROUTES, findIdleGuard, findMeantRestriction } from '../annotation.ts'
import { isExposed } from '../exposure/node-port.ts'
import { findLostOption } from '../route-policy/unknown-option.ts'
import type { ContentFinder } from './content.ts'
import { describeWriting, type FilterOwner, FilterReader, type Refusal, type UsedContent } from './filter-reader.ts'

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
 * Reads the filters of an object, with what the ConfigMaps, Secrets and Services that it names hold now. It gives the same result until
 * one of them changes. The functions below use the result of the last call.
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
 * Reports a guard of a Service that has open ports of its own: it does not guard these, since filters act on routes of Ingresses alone.
 * `layers` are the filters of the Service and of its policies.
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
    const position = owner.origin.locate(field)
    diagnostics.add(code, `${label}: ${message}`, {
      severity: 'error',
      position: position && isSecret ? veilPosition(position) : position,
      ...(owner.kind !== 'Setting' && { resource: printResource(owner) }),
      help: addOutcome(
        help,
        `until then ${spec.isGuard ? `${routes} answer 503` : `requests pass without ${spec.name}`}`,
      ),
      notes,
    })
  }
}

function read(owner: FilterOwner): OwnFilters {
  return known.get(owner) ?? readAll(owner, undefined)
}

/** Without `contents` nothing is looked up: an object that is refused has no use for it. */
function readAll(owner: FilterOwner, contents: ContentFinder | undefined): OwnFilters {
  const writing = describeWriting(owner)
  if (writing === undefined) return NONE
  const mentions = new Map<string, FilterMention>()
  const refusals: Refusal[] = []
  const used: UsedContent[] = []
  const ref = createRef(owner)
  for (const spec of FILTERS) {
    const first = Object.keys(spec.annotations).find((name) => writing.read(name) !== undefined)
    if (first === undefined) continue
    const reader = new FilterReader(spec, owner, writing, contents)
    mentions.set(spec.name, { config: reader.read(ref), owner, field: writing.field(first) })
    refusals.push(...reader.refusals)
    used.push(...reader.used)
  }
  const misspeltGuard =
    ('options' in owner ? findLostOption(owner) : undefined) ??
    (owner.kind === 'Setting' ? undefined : findIdleGuard(owner))
  if (mentions.size === 0 && misspeltGuard === undefined) return NONE
  return { mentions, refusals, misspeltGuard, contents: used }
}
