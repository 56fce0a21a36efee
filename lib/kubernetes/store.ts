/** All resources of one configuration, by kind and key; immutable, with a generation. */

import type { DiagnosticList } from '../base/diagnostics.ts'
import { compareText } from '../base/order.ts'
import type { SourcePosition } from '../base/position.ts'
import { printResource, type Resource, type ResourceKind, type Service } from './resource.ts'

type OfKind<K extends ResourceKind> = Extract<Resource, { kind: K }>

export type ResourceSet = {
  readonly generation: number
  /**
   * All of one kind, ordered by creation time where given (those without one count as newest), then namespace/name: file
   * order never decides.
   */
  all<K extends ResourceKind>(kind: K): readonly OfKind<K>[]
  get<K extends ResourceKind>(kind: K, namespace: string, name: string): OfKind<K> | undefined
  /** Those that have errors, in the same order: for checks and messages, never to be served. */
  allRefused<K extends ResourceKind>(kind: K): readonly OfKind<K>[]
  getRefused<K extends ResourceKind>(kind: K, namespace: string, name: string): OfKind<K> | undefined
  /** How many objects there are in all. */
  readonly size: number
}

type Shelf = {
  readonly byKey: ReadonlyMap<string, Resource>
  readonly byKind: ReadonlyMap<ResourceKind, readonly Resource[]>
}

/**
 * Puts resources together, and `refused`, those that have errors, apart from them. Of several with one kind, namespace and name the first by file and line is kept; a Service
 * that asks for a nodePort of an older one is refused.
 */
export function createResourceSet(
  resources: readonly Resource[],
  generation: number,
  diagnostics: DiagnosticList,
  refused: readonly Resource[] = [],
): ResourceSet {
  const distinct = [...keepFirst(resources, diagnostics)]
  const clashing = findPortClashes(distinct.filter(isService).sort(compareAge), diagnostics)
  const served = shelve(distinct.filter((resource) => !clashing.has(resource)))
  const rest = shelve([...refused, ...clashing])
  const all = <K extends ResourceKind>(shelf: Shelf, kind: K) => (shelf.byKind.get(kind) ?? []) as readonly OfKind<K>[]
  const get = <K extends ResourceKind>(shelf: Shelf, kind: K, namespace: string, name: string) =>
    shelf.byKey.get(`${kind} ${namespace}/${name}`) as OfKind<K> | undefined
  return Object.freeze({
    generation,
    size: served.byKey.size,
    all: <K extends ResourceKind>(kind: K) => all(served, kind),
    get: <K extends ResourceKind>(kind: K, namespace: string, name: string) => get(served, kind, namespace, name),
    allRefused: <K extends ResourceKind>(kind: K) => all(rest, kind),
    getRefused: <K extends ResourceKind>(kind: K, namespace: string, name: string) => get(rest, kind, namespace, name),
  })
}

function shelve(resources: readonly Resource[]): Shelf {
  const byKey = new Map<string, Resource>()
  const byKind = new Map<ResourceKind, Resource[]>()
  for (const resource of resources) {
    byKey.set(keyOf(resource), resource)
    const list = byKind.get(resource.kind)
    if (list) list.push(resource)
    else byKind.set(resource.kind, [resource])
  }
  for (const list of byKind.values()) Object.freeze(list.sort(compareAge))
  return { byKey, byKind }
}

/** One resource a key; the others are reported, with a pointer to the one that is kept. */
function keepFirst(resources: readonly Resource[], diagnostics: DiagnosticList): Iterable<Resource> {
  const groups = new Map<string, Resource[]>()
  for (const resource of resources) {
    const key = keyOf(resource)
    const group = groups.get(key)
    if (group) group.push(resource)
    else groups.set(key, [resource])
  }
  return [...groups.values()].map((group) => {
    if (group.length === 1) return group[0] as Resource
    const [kept, ...others] = group.toSorted((a, b) => comparePositions(placeOf(a), placeOf(b))) as [Resource]
    for (const other of others as readonly Resource[]) {
      diagnostics.add('PORTICO_RES_DUPLICATE', `${printResource(other)} is already defined`, {
        position: placeOf(other),
        resource: printResource(other),
        help: 'this one is left out: remove it, or give it another name or namespace',
        notes: [{ message: 'the one in use is here', position: placeOf(kept) }],
      })
    }
    return kept
  })
}

/** Services whose nodePort an older one holds, by protocol (S35). `services` come oldest first. */
function findPortClashes(services: readonly Service[], diagnostics: DiagnosticList): ReadonlySet<Resource> {
  const holders = new Map<string, { service: Service; position: SourcePosition }>()
  const refused = new Set<Resource>()
  for (const service of services) {
    let clashes = false
    for (const { index, nodePort, protocol } of service.ports) {
      const holder = nodePort === undefined ? undefined : holders.get(`${protocol} ${nodePort}`)
      if (!holder) continue
      clashes = true
      const message = `spec.ports[${index}].nodePort: Invalid value: ${nodePort}: provided port is already allocated`
      diagnostics.add('PORTICO_RES_FIELD_VALUE', message, {
        position: service.origin.locate(['spec', 'ports', index, 'nodePort']),
        resource: printResource(service),
        help: 'leave nodePort out to have one allocated',
        notes: [{ message: `${printResource(holder.service)} has it`, position: holder.position }],
      })
    }
    if (clashes) {
      refused.add(service)
      continue
    }
    for (const { index, nodePort, protocol } of service.ports) {
      if (nodePort === undefined) continue
      const position = service.origin.locate(['spec', 'ports', index, 'nodePort'])
      holders.set(`${protocol} ${nodePort}`, { service, position })
    }
  }
  return refused
}

function isService(resource: Resource): resource is Service {
  return resource.kind === 'Service'
}

function keyOf({ kind, meta }: Resource): string {
  return `${kind} ${meta.namespace}/${meta.name}`
}

function placeOf(resource: Resource): SourcePosition {
  return resource.origin.locate(['metadata', 'name'])
}

function comparePositions(a: SourcePosition, b: SourcePosition): number {
  return compareText(a.file, b.file) || a.line - b.line || a.column - b.column
}

function compareAge({ meta: a }: Resource, { meta: b }: Resource): number {
  const older = (a.createdAt ?? Number.POSITIVE_INFINITY) - (b.createdAt ?? Number.POSITIVE_INFINITY)
  return (Number.isNaN(older) ? 0 : older) || compareText(a.namespace, b.namespace) || compareText(a.name, b.name)
}
