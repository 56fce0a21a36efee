/** The Pods of one namespace by name and by label, so that a Service looks only at Pods that have one of its labels. */
import type { EndpointSlice, Pod, Service } from '../../kubernetes/resource.ts'
import { isSameList } from '../reuse.ts'

const NONE: readonly Pod[] = Object.freeze([])

/** A list that the index before this one gave for the same question, and that has the same members, is given again. */
export class PodIndex {
  readonly byName: ReadonlyMap<string, Pod>
  /** By `key=value`. */
  readonly #byLabel = new Map<string, Pod[]>()
  readonly #subdomains: ReadonlySet<string | undefined>
  /** By what was asked for: the labels of a selector, so that Services that select the same share one list, or slices. */
  readonly #lists = new Map<unknown, readonly Pod[]>()
  readonly #listsBefore: ReadonlyMap<unknown, readonly Pod[]> | undefined

  constructor(pods: readonly Pod[], before?: PodIndex) {
    this.byName = new Map(pods.map((pod) => [pod.meta.name, pod]))
    this.#subdomains = new Set(pods.map(({ subdomain }) => subdomain))
    this.#listsBefore = before === undefined ? undefined : before.#lists
    for (const pod of pods) {
      // A finished Pod is no endpoint (S17).
      if (pod.phase === 'Succeeded' || pod.phase === 'Failed') continue
      for (const label of listLabels(pod.meta.labels)) {
        const group = this.#byLabel.get(label)
        if (group) group.push(pod)
        else this.#byLabel.set(label, [pod])
      }
    }
  }

  /** The Pods whose labels match all of the selector, in their order; an empty selector selects none (S16). */
  select({ selector }: Service): readonly Pod[] {
    const labels = listLabels(selector ?? {}).sort()
    if (labels.length === 0) return NONE
    return this.#keep(labels.join(), () => {
      const groups = labels.map((label) => this.#byLabel.get(label) ?? NONE)
      const smallest = groups.reduce((least, group) => (group.length < least.length ? group : least))
      if (labels.length === 1) return smallest
      const wanted = Object.entries(selector ?? {})
      const found = smallest.filter(({ meta }) => wanted.every(([name, value]) => meta.labels[name] === value))
      // Selectors that say more than is needed share the list with those that do not.
      return found.length === smallest.length ? smallest : found
    })
  }

  /** The Pods that the endpoints of these slices name. */
  listTargets(slices: readonly EndpointSlice[]): readonly Pod[] {
    return this.#keep(slices, () =>
      slices.flatMap(({ endpoints }) => endpoints.flatMap(({ targetName }) => this.byName.get(targetName ?? '') ?? [])),
    )
  }

  /** True if a Pod names this Service as its subdomain. */
  hasSubdomain(service: string): boolean {
    return this.#subdomains.has(service)
  }

  #keep(question: unknown, find: () => readonly Pod[]): readonly Pod[] {
    const known = this.#lists.get(question)
    if (known) return known
    const before = this.#listsBefore?.get(question)
    const found = find()
    const kept = before && isSameList(before, found) ? before : found
    this.#lists.set(question, kept)
    return kept
  }
}

/** Neither `=` nor `,` may stand in a label. */
function listLabels(labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`)
}
