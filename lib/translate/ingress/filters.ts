/** The filters, and the other options of routes, that an Ingress or a Service has in its annotations and a RoutePolicy in its options; and the filters of hosts. */
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import { FILTERS } from '../../filters/registry.ts'
import type { HostFacts } from '../../filters/spec.ts'
import { type Ingress, printResource, type Service } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import { createRef } from '../../model/resource-ref.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import {
  ANNOTATIONS,
  CLOSED_ROUTES,
  findLostRestriction,
  findMeantRestriction,
  type Restriction,
} from '../annotation.ts'
import { isExposed } from '../exposure/node-port.ts'
import { listLostOptions } from '../route-policy/unknown-option.ts'
import type { ContentFinder } from './content.ts'
import { describeWriting, FilterReader, type Refusal, type UsedContent } from './filter-reader.ts'
import { type FilterMention, type FilterMentions, type FilterOwner, locateValue, NO_MENTIONS } from './mention.ts'
import { readAliases } from './nginx/alias.ts'
import { ROUTE_OPTIONS } from './route-option.ts'

/** What the annotations, or options, of an object come to. */
export type OwnFilters = Readonly<{
  mentions: FilterMentions
  refusals: readonly Refusal[]
  /** The first annotation, or option, of each kind that seems to restrict routes and is not read. */
  lost: Readonly<Partial<Record<Restriction, string>>>
  contents: readonly UsedContent[]
}>

/** An object does not change, and its routes are many. */
const known = new WeakMap<FilterOwner, OwnFilters>()

const GUARD_ANNOTATIONS: ReadonlySet<string> = new Set(
  FILTERS.filter(({ isGuard }) => isGuard).flatMap(({ annotations }) =>
    Object.keys(annotations).map((name) => ANNOTATION_DOMAIN + name),
  ),
)

const NONE: OwnFilters = Object.freeze({
  mentions: NO_MENTIONS,
  refusals: [],
  lost: {},
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

/** What the object says of filters and of other options of routes. */
export function readMentions(owner: FilterOwner): FilterMentions {
  return readOwn(owner).mentions
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
  const { refusals, lost } = readOwn(owner)
  return refusals.find(({ spec }) => spec.isGuard)?.label ?? lost.guard
}

/** True if the object speaks of a filter that guards, whatever it says of it. */
export function isGuarding({ mentions, lost }: OwnFilters): boolean {
  return (
    lost.guard !== undefined ||
    (mentions.size > 0 && FILTERS.some(({ name, isGuard }) => isGuard && mentions.has(name)))
  )
}

/** The first annotation of a filter that guards, whatever it says and misspelt or not; undefined: there is none. */
export function findGuard(ingress: Ingress): string | undefined {
  const { closing, options, hosts } = readAliases(ingress)
  const alias = [...options].find(([option]) => GUARD_ANNOTATIONS.has(ANNOTATION_DOMAIN + option))?.[1].annotation
  const isGuard = (name: string): boolean => GUARD_ANNOTATIONS.has(name) || findMeantRestriction(name) === 'guard'
  const names = Object.keys(ingress.meta.annotations)
  const answering = (hosts.answers ?? hosts.hostAnswers) ? names.find((name) => name.endsWith('-snippet')) : undefined
  return closing ?? alias ?? answering ?? names.find(isGuard)
}

/**
 * Reports a guard of a Service that has open ports of its own: it does not guard these, since filters act on routes of Ingresses alone.
 * `layers` are the filters of the Service and of its policies.
 */
export function checkOwnPorts(service: Service, layers: readonly FilterMentions[], diagnostics: DiagnosticList): void {
  const found = layers.flatMap((layer) => FILTERS.flatMap(({ name, isGuard }) => (isGuard && layer.get(name)) || []))
  const guard = found.find(({ config }) => config !== undefined)
  if (guard?.config === undefined || !isExposed(service)) return
  const { owner, config } = guard
  const why = `${config.name} does not guard the ports of ${printResource(service)} itself: it acts on routes to it`
  diagnostics.add('PORTICO_SVC_UNGUARDED', why, {
    position: locateValue(guard),
    resource: printResource(owner),
    help: 'make it type: ClusterIP without externalIPs, or let what stands before its ports guard them',
    notes: [{ message: 'the Service is here', position: service.origin.locate(['spec', 'type']) }],
  })
}

/** Reports the annotations, or options, that cannot be used. */
export function checkFilters(owner: FilterOwner, diagnostics: DiagnosticList): void {
  const routes = CLOSED_ROUTES[owner.kind]
  for (const { spec, label, field, shown, code, message, help, notes } of readOwn(owner).refusals) {
    diagnostics.add(code, `${label}: ${message}`, {
      severity: 'error',
      position: locateValue({ owner, field, shown }),
      ...(owner.kind !== 'Setting' && { resource: printResource(owner) }),
      help: addOutcome(
        help,
        `until then ${spec.isGuard ? `${routes} answer 503` : `requests pass without ${spec.name}`}`,
      ),
      notes,
    })
  }
}

/** What the object comes to, as of the last call of resolveFilters. */
export function readOwn(owner: FilterOwner): OwnFilters {
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
  const names = new Set(writing.names)
  for (const spec of FILTERS) {
    const first = Object.keys(spec.annotations).find((name) => names.has(name) && writing.read(name) !== undefined)
    if (first === undefined) continue
    const reader = new FilterReader(spec, owner, writing, contents)
    const config = reader.read(ref)
    mentions.set(spec.name, { config, owner, label: writing.label(first), ...reader.place(first) })
    refusals.push(...reader.refusals)
    used.push(...reader.used)
  }
  for (const name of writing.names) {
    const value = ROUTE_OPTIONS.has(name) && isRead(owner, name) ? writing.read(name) : undefined
    if (value === undefined) continue
    const config = Object.freeze({ name, options: Object.freeze({ value }) })
    mentions.set(name, { config, owner, label: writing.label(name), field: writing.field(name), shown: 'line' })
  }
  const lost = findLost(owner)
  if (mentions.size === 0 && Object.keys(lost).length === 0) return NONE
  return { mentions, refusals, lost, contents: used }
}

/** True if a route option means something on the object. */
function isRead({ kind }: FilterOwner, name: string): boolean {
  return kind === 'RoutePolicy' || ANNOTATIONS.get(ANNOTATION_DOMAIN + name)?.kinds.includes(kind) === true
}

/** On a Service every restriction that is not read counts as a guard, and in the settings too: no condition is read there. */
function findLost(owner: FilterOwner): OwnFilters['lost'] {
  const { kind } = owner
  const annotations = kind === 'Setting' ? [] : Object.keys(owner.meta.annotations)
  const found = [
    ...('options' in owner ? listLostOptions(owner) : []),
    ...annotations.map((name) => [findLostRestriction(kind, name), name] as const),
  ]
  const closing = kind === 'Ingress' ? readAliases(owner).closing : undefined
  const lost: Partial<Record<Restriction, string>> = closing === undefined ? {} : { guard: closing }
  for (const [restriction, label] of found) {
    if (restriction === undefined) continue
    lost[kind === 'Service' || kind === 'Setting' ? 'guard' : restriction] ??= label
  }
  return lost
}
