/** All resources of one configuration, by kind and key; immutable, with a generation. */

import { isDeepStrictEqual } from 'node:util'
import type { DiagnosticList } from '../base/diagnostics.ts'
import { cutSame } from '../base/list.ts'
import { compareText } from '../base/order.ts'
import type { FieldPath, SourcePosition } from '../base/position.ts'
import { printResource, type Resource, type ResourceKind } from './resource.ts'

type OfKind<K extends ResourceKind> = Extract<Resource, { kind: K }>

export type ResourceSet = {
  readonly generation: number
  /**
   * All resources of one kind, ordered by creation time (those without one count as newest), then namespace/name. The order of
   * files never decides.
   */
  all<K extends ResourceKind>(kind: K): readonly OfKind<K>[]
  get<K extends ResourceKind>(kind: K, namespace: string, name: string): OfKind<K> | undefined
  /** Resources with errors, in the same order: for checks and messages, never served. */
  allRefused<K extends ResourceKind>(kind: K): readonly OfKind<K>[]
  getRefused<K extends ResourceKind>(kind: K, namespace: string, name: string): OfKind<K> | undefined
  /** The number of objects. */
  readonly size: number
  /** The position of a field of an object, served or refused; undefined if there is no such object. */
  readonly locate: (owner: ResourceName, field: FieldPath) => SourcePosition | undefined
  /** The labels of an object, served or refused; undefined if there is no such object. */
  readonly labelsOf: (owner: ResourceName) => Readonly<Record<string, string>> | undefined
}

type ResourceName = Readonly<{ kind: string; namespace: string; name: string }>

/** All resources of one kind. */
type Shelf = Readonly<{
  /** Oldest first. */
  list: readonly Resource[]
  /** By namespace, then name. */
  byName: ReadonlyMap<string, ReadonlyMap<string, Resource>>
}>

const EMPTY_SHELF: Shelf = Object.freeze({ list: Object.freeze([]), byName: new Map() })

/**
 * Makes sets of resources again and again; an unchanged kind keeps its list. Among several resources with one kind, namespace and
 * name the first by file and line is kept (I-41).
 */
export class ResourceStore {
  #known: readonly Resource[] = []
  /** The resources with one kind, namespace and name: most often a single one. */
  readonly #groups = new Map<string, readonly Resource[]>()
  /** The keys of groups with more than one. */
  readonly #contested = new Set<string>()
  /** The kept resource of each group, by kind. */
  readonly #shelves = new Map<ResourceKind, Shelf>()

  /** Equal resources make an equal set, whatever the sets before. `refused` are resources with errors, kept apart. */
  update(
    resources: readonly Resource[],
    generation: number,
    diagnostics: DiagnosticList,
    refused: readonly Resource[],
  ): ResourceSet {
    this.#take(resources)
    for (const key of this.#contested) reportDuplicates(this.#groups.get(key)!, diagnostics)
    const lost = [...this.#contested].flatMap((key) => listLost(this.#groups.get(key)!))
    return new ShelvedResources(generation, new Map(this.#shelves), shelve([...refused, ...lost]))
  }

  /** Updates groups and shelves by the resources that were added and removed. */
  #take(resources: readonly Resource[]): void {
    const { gone: left, come: added } = cutSame(this.#known, resources)
    const old = new Set(left)
    const now = new Set(added)
    const changed = new Map<string, { before: Resource | undefined; members: Set<Resource> }>()
    const change = (resource: Resource): Set<Resource> => {
      const key = keyOf(resource)
      let entry = changed.get(key)
      if (entry === undefined) {
        const members = this.#groups.get(key) ?? []
        entry = { before: members[0], members: new Set(members) }
        changed.set(key, entry)
      }
      return entry.members
    }
    for (const resource of old) if (!now.has(resource)) change(resource).delete(resource)
    for (const resource of now) if (!old.has(resource)) change(resource).add(resource)
    this.#known = resources
    const gone = new Map<ResourceKind, Set<Resource>>()
    const come = new Map<ResourceKind, Resource[]>()
    for (const [key, { before, members }] of changed) {
      const group = sortByPlace([...members])
      const kept = group[0]
      if (group.length === 0) this.#groups.delete(key)
      else this.#groups.set(key, group)
      if (group.length > 1) this.#contested.add(key)
      else this.#contested.delete(key)
      if (kept === before) continue
      if (before !== undefined) (gone.get(before.kind) ?? setDefault(gone, before.kind, new Set())).add(before)
      if (kept !== undefined) (come.get(kept.kind) ?? setDefault(come, kept.kind, [])).push(kept)
    }
    for (const kind of new Set([...gone.keys(), ...come.keys()])) {
      const shelf = this.#shelves.get(kind) ?? EMPTY_SHELF
      this.#shelves.set(kind, changeShelf(shelf, gone.get(kind) ?? new Set(), come.get(kind) ?? []))
    }
  }
}

class ShelvedResources implements ResourceSet {
  readonly generation: number
  readonly size: number
  readonly #served: ReadonlyMap<ResourceKind, Shelf>
  readonly #refused: ReadonlyMap<ResourceKind, Shelf>

  constructor(generation: number, served: ReadonlyMap<ResourceKind, Shelf>, refused: ReadonlyMap<ResourceKind, Shelf>) {
    this.generation = generation
    this.size = [...served.values()].reduce((sum, { list }) => sum + list.length, 0)
    this.#served = served
    this.#refused = refused
    Object.freeze(this)
  }

  readonly locate = (owner: ResourceName, field: FieldPath): SourcePosition | undefined =>
    this.#find(owner)?.origin.locate(field)

  readonly labelsOf = (owner: ResourceName): Readonly<Record<string, string>> | undefined =>
    this.#find(owner)?.meta.labels

  #find({ kind, namespace, name }: ResourceName): Resource | undefined {
    const known = kind as ResourceKind
    return this.get(known, namespace, name) ?? this.getRefused(known, namespace, name)
  }

  all<K extends ResourceKind>(kind: K): readonly OfKind<K>[] {
    return listOf(this.#served, kind)
  }

  get<K extends ResourceKind>(kind: K, namespace: string, name: string): OfKind<K> | undefined {
    return this.#served.get(kind)?.byName.get(namespace)?.get(name) as OfKind<K> | undefined
  }

  allRefused<K extends ResourceKind>(kind: K): readonly OfKind<K>[] {
    return listOf(this.#refused, kind)
  }

  getRefused<K extends ResourceKind>(kind: K, namespace: string, name: string): OfKind<K> | undefined {
    return this.#refused.get(kind)?.byName.get(namespace)?.get(name) as OfKind<K> | undefined
  }
}

function listOf<K extends ResourceKind>(shelves: ReadonlyMap<ResourceKind, Shelf>, kind: K): readonly OfKind<K>[] {
  return (shelves.get(kind) ?? EMPTY_SHELF).list as readonly OfKind<K>[]
}

function shelve(resources: readonly Resource[]): ReadonlyMap<ResourceKind, Shelf> {
  const byKind = new Map<ResourceKind, Resource[]>()
  for (const resource of resources) (byKind.get(resource.kind) ?? setDefault(byKind, resource.kind, [])).push(resource)
  return new Map([...byKind].map(([kind, list]) => [kind, changeShelf(EMPTY_SHELF, new Set(), list)]))
}

/** A copy of the shelf, changed. */
function changeShelf({ list, byName }: Shelf, gone: ReadonlySet<Resource>, come: readonly Resource[]): Shelf {
  const names = new Map(byName)
  const copies = new Map<string, Map<string, Resource>>()
  const namesIn = (namespace: string): Map<string, Resource> =>
    copies.get(namespace) ?? setDefault(copies, namespace, new Map(byName.get(namespace)))
  for (const { meta } of gone) namesIn(meta.namespace).delete(meta.name)
  for (const resource of come) namesIn(resource.meta.namespace).set(resource.meta.name, resource)
  for (const [namespace, copy] of copies) names.set(namespace, copy)
  const left = gone.size === 0 ? list : list.filter((resource) => !gone.has(resource))
  return Object.freeze({ list: Object.freeze(insertSorted(left, come)), byName: names })
}

/** Inserts a few resources one by one, or sorts once for many. */
function insertSorted(list: readonly Resource[], come: readonly Resource[]): Resource[] {
  const all = [...list]
  if (come.length > 100) return all.concat(come).sort(compareAge)
  for (const resource of come) {
    let low = 0
    let high = all.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareAge(all[middle] as Resource, resource) < 0) low = middle + 1
      else high = middle
    }
    all.splice(low, 0, resource)
  }
  return all
}

function setDefault<K, V>(map: Map<K, V>, key: K, value: V): V {
  map.set(key, value)
  return value
}

/** Reports all but the first, with a pointer to it. */
function reportDuplicates([kept, ...others]: readonly Resource[], diagnostics: DiagnosticList): void {
  for (const other of others) {
    diagnostics.add('PORTICO_RES_DUPLICATE', `${printResource(other)} is already defined`, {
      position: placeOf(other),
      resource: printResource(other),
      help:
        other.kind === 'RoutePolicy'
          ? 'this one is left out, and the routes of its targets answer 503 if it guards: give it another name'
          : 'this one is left out: remove it, or give it another name or namespace',
      notes: [{ message: 'the one in use is here', position: placeOf(kept as Resource) }],
    })
  }
}

/** Policies left out for having the name of another. They count as refused, so that what they guard is closed, unless they say the same. */
function listLost([kept, ...others]: readonly Resource[]): readonly Resource[] {
  if (kept?.kind !== 'RoutePolicy') return []
  return others.filter((other) => {
    if (other.kind !== 'RoutePolicy') return false
    return !isDeepStrictEqual([other.targets, other.options], [kept.targets, kept.options])
  })
}

/** The resources without those that have the kind, namespace and name of another that is kept. */
export function keepFirst(resources: readonly Resource[]): readonly Resource[] {
  const groups = new Map<string, Resource[]>()
  for (const resource of resources)
    (groups.get(keyOf(resource)) ?? setDefault(groups, keyOf(resource), [])).push(resource)
  return [...groups.values()].map((group) => sortByPlace(group)[0]!).sort(compareAge)
}

function keyOf({ kind, meta }: Resource): string {
  return `${kind} ${meta.namespace}/${meta.name}`
}

function placeOf(resource: Resource): SourcePosition {
  return resource.origin.locate(['metadata', 'name'])
}

/** Sorts by file and line. Most groups have one member, whose position is not looked up. */
function sortByPlace(resources: Resource[]): readonly Resource[] {
  if (resources.length < 2) return resources
  const placed = resources.map((resource) => ({ resource, place: placeOf(resource) }))
  placed.sort(({ place: a }, { place: b }) => compareText(a.file, b.file) || a.line - b.line || a.column - b.column)
  return placed.map(({ resource }) => resource)
}

function compareAge({ meta: a }: Resource, { meta: b }: Resource): number {
  const older = (a.createdAt ?? Number.POSITIVE_INFINITY) - (b.createdAt ?? Number.POSITIVE_INFINITY)
  return (Number.isNaN(older) ? 0 : older) || compareText(a.namespace, b.namespace) || compareText(a.name, b.name)
}
