/** The filters of an Ingress's routes, from its annotations. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { FILTERS } from '../../filters/registry.ts'
import type { AnnotationReader, FilterSpec } from '../../filters/spec.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'

type Refusal = Readonly<{ spec: FilterSpec; annotation: string; message: string; help: string }>

type Read = Readonly<{
  /** In the order in which they act; undefined: none. */
  filters: readonly FilterConfig[] | undefined
  refusals: readonly Refusal[]
}>

/** An Ingress does not change, and its routes are many. */
const known = new WeakMap<Ingress, Read>()

const GUARD_ANNOTATIONS: ReadonlySet<string> = new Set(
  FILTERS.filter(({ isGuard }) => isGuard).flatMap(({ annotations }) =>
    Object.keys(annotations).map((name) => ANNOTATION_DOMAIN + name),
  ),
)

const NONE: Read = Object.freeze({ filters: undefined, refusals: [] })

/** All its routes share the list. */
export function readFilters(ingress: Ingress): readonly FilterConfig[] | undefined {
  return read(ingress).filters
}

/** The annotation of a filter that promises to refuse requests and cannot be used, so that the routes are closed; undefined: none. */
export function findBrokenGuard(ingress: Ingress): string | undefined {
  return read(ingress).refusals.find(({ spec }) => spec.isGuard)?.annotation
}

/** The first annotation of a filter that guards, whatever it says; undefined: there is none. */
export function findGuard({ meta }: Ingress): string | undefined {
  return Object.keys(meta.annotations).find((name) => GUARD_ANNOTATIONS.has(name))
}

/** Reports the annotations that cannot be used. */
export function checkFilters(ingress: Ingress, diagnostics: DiagnosticList): void {
  for (const { spec, annotation, message, help } of read(ingress).refusals) {
    diagnostics.add('PORTICO_ANN_VALUE', `${annotation}: ${message}`, {
      position: ingress.origin.locate(['metadata', 'annotations', annotation]),
      resource: printResource(ingress),
      help: spec.isGuard ? `${help}; until then the routes of this Ingress answer 503` : help,
    })
  }
}

function read(ingress: Ingress): Read {
  let found = known.get(ingress)
  if (found === undefined) {
    found = readAll(ingress)
    known.set(ingress, found)
  }
  return found
}

function readAll({ meta }: Ingress): Read {
  const { annotations } = meta
  if (!Object.keys(annotations).some((name) => name.startsWith(ANNOTATION_DOMAIN))) return NONE
  const filters: FilterConfig[] = []
  const refusals: Refusal[] = []
  for (const spec of FILTERS) {
    const before = refusals.length
    const reader: AnnotationReader = {
      text: (name) => annotations[ANNOTATION_DOMAIN + name]?.trim(),
      refuse: (name, message, help) => {
        refusals.push({ spec, annotation: ANNOTATION_DOMAIN + name, message, help })
      },
    }
    const options = spec.read(reader)
    // A filter that is half understood might do what nobody meant.
    if (options !== undefined && refusals.length === before)
      filters.push(Object.freeze({ name: spec.name, options: Object.freeze(options) }))
  }
  if (filters.length === 0 && refusals.length === 0) return NONE
  return { filters: filters.length === 0 ? undefined : Object.freeze(filters), refusals }
}
