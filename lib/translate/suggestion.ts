/** "Did you mean", within a budget: thousands of dangling references among thousands of names must not cost a search each. */
import { findNearest } from '../base/nearest.ts'
import { printName } from '../base/resource-name.ts'

/** Names compared before no more suggestions are made; about a second of work. */
const BUDGET = 1_000_000

export class Suggestions {
  #left: number = BUDGET

  /** The known name nearest to `word`, where one is near and the budget allows to look. */
  find(word: string, known: readonly string[]): string | undefined {
    this.#left -= known.length
    return this.#left < 0 ? undefined : findNearest(word, known)
  }
}

/** Names by namespace, and a namespace by name, of all objects of one kind. */
export class NameIndex {
  readonly #names = new Map<string, string[]>()
  readonly #namespaces = new Map<string, string>()

  constructor(objects: Iterable<{ meta: { namespace: string; name: string } }>) {
    for (const { meta } of objects) {
      const names = this.#names.get(meta.namespace)
      if (names === undefined) this.#names.set(meta.namespace, [meta.name])
      else names.push(meta.name)
      if (!this.#namespaces.has(meta.name)) this.#namespaces.set(meta.name, meta.namespace)
    }
  }

  in(namespace: string): readonly string[] {
    return this.#names.get(namespace) ?? []
  }

  /** A namespace that has an object of this name. */
  namespaceOf(name: string): string | undefined {
    return this.#namespaces.get(name)
  }
}

/** The `namespace/name` of an object that has nearly this one; undefined: there is none. */
export function findNearestObject(
  name: string,
  objects: readonly Readonly<{ meta: Readonly<{ namespace: string; name: string }> }>[],
): string | undefined {
  return findNearest(
    name,
    objects.map(({ meta }) => printName(meta)),
  )
}
