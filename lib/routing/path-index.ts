/** Finds the entry of a path: exact goes before prefix, a longer prefix before a shorter (I-12 to I-16). Built once, then only read. */
import type { PathMatch } from '../model/route.ts'

/** An element in the tree of all prefixes. */
type Node<T> = { value: T | undefined; children: Map<string, Node<T>> | undefined }

export class PathIndex<T> {
  readonly #exact = new Map<string, T>()
  readonly #root: Node<T> = { value: undefined, children: undefined }

  /** Entries come in match order: of two equal matches the first stays. Paths are in match form (base/path). */
  constructor(entries: Iterable<readonly [PathMatch, T]>) {
    for (const [match, value] of entries) {
      if (match.type === 'prefix') this.#plant(match.path, value)
      else if (!this.#exact.has(match.path)) this.#exact.set(match.path, value)
    }
  }

  /** `path` is in match form; an empty element in it is none of any entry. The cost is the depth of the matching prefixes (P36). */
  find(path: string): T | undefined {
    const exact = this.#exact.size === 0 ? undefined : this.#exact.get(path)
    if (exact !== undefined) return exact
    let found = this.#root.value
    let children = this.#root.children
    let start = 1
    while (children !== undefined && start < path.length) {
      const slash = path.indexOf('/', start)
      const end = slash < 0 ? path.length : slash
      const child = children.get(path.slice(start, end))
      if (child === undefined) break
      if (child.value !== undefined) found = child.value
      children = child.children
      start = end + 1
    }
    return found
  }

  /** A slash at the end of a prefix has no meaning (I-13). */
  #plant(path: string, value: T): void {
    let node = this.#root
    for (const segment of path.split('/')) {
      if (segment === '') continue
      node.children ??= new Map()
      let child = node.children.get(segment)
      if (child === undefined) {
        child = { value: undefined, children: undefined }
        node.children.set(segment, child)
      }
      node = child
    }
    node.value ??= value
  }
}
