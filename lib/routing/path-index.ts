/** Finds what belongs to a path: exact above prefix, longer prefix above shorter (I-12 to I-16). Built once, then only read. */
import type { PathMatch } from '../model/route.ts'

/** A path element that some prefix goes through. */
type Node<T> = { value: T | undefined; children: Map<string, Node<T>> | undefined }

export class PathIndex<T> {
  readonly #exact = new Map<string, T>()
  readonly #root: Node<T> = { value: undefined, children: undefined }

  /** Of two equal matches the first stays: entries come in match order. Paths are in match form (base/path). */
  constructor(entries: Iterable<readonly [PathMatch, T]>) {
    for (const [match, value] of entries) {
      if (match.type === 'prefix') this.#plant(match.path, value)
      else if (!this.#exact.has(match.path)) this.#exact.set(match.path, value)
    }
  }

  /** `path` is in match form: it begins with `/` and holds no `//`. Costs the depth of the prefixes it runs along. */
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

  /** A slash at the end of a prefix says nothing (I-13). */
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
