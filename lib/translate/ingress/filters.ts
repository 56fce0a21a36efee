/** The filters of an Ingress's routes, from its annotations, and those of hosts. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { freezeDeep } from '../../base/freeze.ts'
import { FILTERS } from '../../filters/registry.ts'
import { type Content, type FilterSpec, type HostFacts, readFilter, type SecretContent } from '../../filters/spec.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { findIdleGuard, findMeantRestriction, isOwnAnnotation } from '../annotation.ts'
import type { ContentFinder, ContentName, ContentProblem } from './content.ts'

type Refusal = Readonly<{ spec: FilterSpec; annotation: string }> & ContentProblem

/** A ConfigMap or Secret that annotations refer to, with the input on which its contents depend. */
export type UsedContent = ContentName & Readonly<{ input: unknown }>

/** What the annotations of an Ingress come to. */
export type IngressFilters = Readonly<{
  /** In the order in which they act; undefined: none. */
  filters: readonly FilterConfig[] | undefined
  refusals: readonly Refusal[]
  /** An unknown annotation that seems to mean a guard; undefined: there is none. */
  misspeltGuard: string | undefined
  contents: readonly UsedContent[]
}>

/** An Ingress does not change, and its routes are many. */
const known = new WeakMap<Ingress, IngressFilters>()

const GUARD_ANNOTATIONS: ReadonlySet<string> = new Set(
  FILTERS.filter(({ isGuard }) => isGuard).flatMap(({ annotations }) =>
    Object.keys(annotations).map((name) => ANNOTATION_DOMAIN + name),
  ),
)

const NONE: IngressFilters = Object.freeze({
  filters: undefined,
  refusals: [],
  misspeltGuard: undefined,
  contents: [],
})

/**
 * Reads the filters of an Ingress with the contents of ConfigMaps and Secrets that they have now. The same object for as long as all of that
 * is the same; the functions below answer from it until this is called again.
 */
export function resolveFilters(ingress: Ingress, contents: ContentFinder): IngressFilters {
  const before = known.get(ingress)
  if (before?.contents.every((one) => contents.findInput(one) === one.input)) return before
  const read = readAll(ingress, contents)
  known.set(ingress, read)
  return read
}

/** All its routes share the list. */
export function readFilters(ingress: Ingress): readonly FilterConfig[] | undefined {
  return read(ingress).filters
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
export function findBrokenGuard(ingress: Ingress): string | undefined {
  const { refusals, misspeltGuard } = read(ingress)
  return refusals.find(({ spec }) => spec.isGuard)?.annotation ?? misspeltGuard
}

/** The first annotation of a filter that guards, whatever it says and misspelt or not; undefined: there is none. */
export function findGuard({ meta }: Ingress): string | undefined {
  return Object.keys(meta.annotations).find(
    (name) => GUARD_ANNOTATIONS.has(name) || findMeantRestriction(name) === 'guard',
  )
}

/** Reports the annotations that cannot be used. */
export function checkFilters(ingress: Ingress, diagnostics: DiagnosticList): void {
  for (const { spec, annotation, code, message, help, notes } of read(ingress).refusals) {
    const end = help.endsWith('?') ? ' ' : '; '
    diagnostics.add(code, `${annotation}: ${message}`, {
      severity: 'error',
      position: ingress.origin.locate(['metadata', 'annotations', annotation]),
      resource: printResource(ingress),
      help: `${help}${end}${spec.isGuard ? 'until then the routes of this Ingress answer 503' : `until then requests pass without ${spec.name}`}`,
      notes,
    })
  }
}

function read(ingress: Ingress): IngressFilters {
  return known.get(ingress) ?? readAll(ingress, undefined)
}

/** Without `contents` there are none: an Ingress that is refused has no use for them. */
function readAll(ingress: Ingress, contents: ContentFinder | undefined): IngressFilters {
  const { annotations, namespace } = ingress.meta
  if (!Object.keys(annotations).some(isOwnAnnotation)) return NONE
  const filters: FilterConfig[] = []
  const refusals: Refusal[] = []
  const used: UsedContent[] = []
  for (const spec of FILTERS) {
    const text = (name: string): string | undefined => annotations[ANNOTATION_DOMAIN + name]?.trim()
    const add = (name: string, problem: ContentProblem): void => {
      refusals.push({ spec, annotation: ANNOTATION_DOMAIN + name, ...problem })
    }
    const refuse = (name: string, message: string, help: string): void =>
      add(name, { code: 'PORTICO_ANN_VALUE', message, help, notes: [] })
    const use = (name: ContentName): void => {
      used.push({ ...name, input: contents?.findInput(name) })
    }
    const content = (name: string): Content | undefined => {
      const written = text(name)
      if (written === undefined || contents === undefined) return undefined
      const [owner = '', key = ''] = written.split('/')
      use({ kind: 'ConfigMap', namespace, name: owner })
      const found = contents.find(namespace, owner, key)
      if ('bytes' in found) return found
      add(name, found)
      return undefined
    }
    const secret = (name: string): SecretContent | undefined => {
      const owner = text(name)
      if (owner === undefined || contents === undefined) return undefined
      use({ kind: 'Secret', namespace, name: owner })
      const found = contents.findSecret(namespace, owner)
      if ('values' in found) return found
      add(name, found)
      return undefined
    }
    const options = readFilter(spec, { text, content, secret, refuse })
    if (options !== undefined) filters.push(freezeDeep({ name: spec.name, options }))
  }
  const misspeltGuard = findIdleGuard(ingress)
  if (filters.length + refusals.length + used.length === 0 && misspeltGuard === undefined) return NONE
  return { filters: filters.length === 0 ? undefined : Object.freeze(filters), refusals, misspeltGuard, contents: used }
}
