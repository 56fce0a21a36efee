/** The filters that an Ingress or a Service has in its annotations, and those of hosts. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { freezeDeep } from '../../base/freeze.ts'
import type { FieldPath } from '../../base/position.ts'
import { FILTERS } from '../../filters/registry.ts'
import { type Content, type FilterSpec, type HostFacts, readFilter, type SecretContent } from '../../filters/spec.ts'
import { type Ingress, printResource, type Service } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import { createRef } from '../../model/resource-ref.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { findIdleGuard, findMeantRestriction, isOwnAnnotation } from '../annotation.ts'
import type { ContentFinder, ContentName, ContentProblem } from './content.ts'

type Refusal = Readonly<{ spec: FilterSpec; annotation: string }> & ContentProblem

/** An object that annotations refer to, with the input on which its contents depend. */
type UsedContent = ContentName & Readonly<{ input: unknown }>

/** The objects that filters are written on. */
export type FilterOwner = Ingress | Service

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

/** What the annotations of an object come to. */
export type OwnFilters = Readonly<{
  mentions: FilterMentions
  refusals: readonly Refusal[]
  /** An unknown annotation that seems to mean a guard; undefined: there is none. */
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

/** The annotation that promises to refuse requests and cannot be used, so that the routes are closed; undefined: none. */
export function findBrokenGuard(owner: FilterOwner): string | undefined {
  const { refusals, misspeltGuard } = read(owner)
  return refusals.find(({ spec }) => spec.isGuard)?.annotation ?? misspeltGuard
}

/** The first annotation of a filter that guards, whatever it says and misspelt or not; undefined: there is none. */
export function findGuard({ meta }: Ingress): string | undefined {
  return Object.keys(meta.annotations).find(
    (name) => GUARD_ANNOTATIONS.has(name) || findMeantRestriction(name) === 'guard',
  )
}

/** Reports the annotations that cannot be used. */
export function checkFilters(owner: FilterOwner, diagnostics: DiagnosticList): void {
  const routes = owner.kind === 'Ingress' ? 'the routes of this Ingress' : 'the routes to this Service'
  for (const { spec, annotation, code, message, help, notes } of read(owner).refusals) {
    const end = help.endsWith('?') ? ' ' : '; '
    diagnostics.add(code, `${annotation}: ${message}`, {
      severity: 'error',
      position: owner.origin.locate(['metadata', 'annotations', annotation]),
      resource: printResource(owner),
      help: `${help}${end}${spec.isGuard ? `until then ${routes} answer 503` : `until then requests pass without ${spec.name}`}`,
      notes,
    })
  }
}

function read(owner: FilterOwner): OwnFilters {
  return known.get(owner) ?? readAll(owner, undefined)
}

/** Without `contents` there are none: an object that is refused has no use for them. */
function readAll(owner: FilterOwner, contents: ContentFinder | undefined): OwnFilters {
  const { annotations, namespace } = owner.meta
  if (!Object.keys(annotations).some(isOwnAnnotation)) return NONE
  const mentions = new Map<string, FilterMention>()
  const ref = createRef(owner)
  const refusals: Refusal[] = []
  const used: UsedContent[] = []
  for (const spec of FILTERS) {
    const text = (name: string): string | undefined => annotations[ANNOTATION_DOMAIN + name]?.trim()
    const add = (name: string, problem: ContentProblem): void => {
      refusals.push({ spec, annotation: ANNOTATION_DOMAIN + name, ...problem })
    }
    const refuse = (name: string, message: string, help: string): void =>
      add(name, { code: 'PORTICO_ANN_VALUE', message, help, notes: [] })
    const use = (object: ContentName): void => {
      used.push({ ...object, input: contents?.findInput(object) })
    }
    const content = (name: string, written: string | undefined = text(name)): Content | undefined => {
      if (written === undefined || contents === undefined) return undefined
      const [object = '', key = ''] = written.split('/')
      use({ kind: 'ConfigMap', namespace, name: object })
      const found = contents.find(namespace, object, key)
      if ('bytes' in found) return found
      add(name, found)
      return undefined
    }
    const upstreams: UpstreamKey[] = []
    const upstream = (name: string): UpstreamKey | undefined => {
      const written = text(name)
      if (written === undefined || contents === undefined) return undefined
      const [service = '', port] = written.split(':')
      use({ kind: 'Service', namespace, name: service })
      const found = contents.findUpstream(namespace, service, port)
      if (typeof found === 'string') upstreams.push(found)
      else add(name, found)
      return typeof found === 'string' ? found : undefined
    }
    const secret = (name: string): SecretContent | undefined => {
      const object = text(name)
      if (object === undefined || contents === undefined) return undefined
      use({ kind: 'Secret', namespace, name: object })
      const found = contents.findSecret(namespace, object)
      if ('values' in found) return found
      add(name, found)
      return undefined
    }
    const options = readFilter(spec, { text, content, upstream, secret, refuse })
    const [first] = Object.keys(spec.annotations).filter((name) => text(name) !== undefined)
    if (first === undefined) continue
    const config =
      options && freezeDeep({ name: spec.name, options, owner: ref, ...(upstreams.length > 0 && { upstreams }) })
    mentions.set(spec.name, { config, owner, field: ['metadata', 'annotations', ANNOTATION_DOMAIN + first] })
  }
  const misspeltGuard = findIdleGuard(owner)
  if (mentions.size === 0 && misspeltGuard === undefined) return NONE
  return { mentions, refusals, misspeltGuard, contents: used }
}
