/**
 * Where each value of a document stands: a table in document order beside the plain value, a fraction of the size of
 * the syntax tree, which is not kept.
 */
import type { FieldPath } from '../base/position.ts'

/** Cells of one value: key start and end (-1 where it has none), value start and end, first mark after its children. */
const STRIDE = 5

export type Span = readonly [start: number, end: number]

export class MarkTable {
  readonly #cells: Int32Array
  readonly #aliases: ReadonlyMap<number, number>
  readonly #children: ReadonlyMap<number, ReadonlyMap<string, number>>
  /** The item of a list found last: lists are mostly read front to back. */
  #lastItem: { list: number; index: number; mark: number } | undefined

  constructor(
    cells: Int32Array,
    aliases: ReadonlyMap<number, number>,
    children: ReadonlyMap<number, ReadonlyMap<string, number>>,
  ) {
    this.#cells = cells
    this.#aliases = aliases
    this.#children = children
  }

  /** Walks `path` through `value` as far as it goes: the mark reached, and whether that was the whole path. */
  find(value: unknown, path: FieldPath): { mark: number; found: boolean } {
    let mark = 0
    let at = value
    for (const step of path) {
      const child = typeof at === 'object' && at !== null ? this.#child(at, mark, step) : -1
      if (child === -1) return { mark, found: false }
      at = (at as Record<string | number, unknown>)[step]
      mark = child
    }
    return { mark, found: true }
  }

  valueSpan(mark: number): Span {
    return [this.#cell(mark, 2), this.#cell(mark, 3)]
  }

  /** Undefined for list items and the document itself. */
  keySpan(mark: number): Span | undefined {
    const start = this.#cell(mark, 0)
    return start === -1 ? undefined : [start, this.#cell(mark, 1)]
  }

  #child(parent: object, parentMark: number, step: string | number): number {
    const home = this.#aliases.get(parentMark) ?? parentMark
    if (Array.isArray(parent)) {
      const index = Number(step)
      return Number.isInteger(index) && index >= 0 && index < parent.length ? this.#item(home, index) : -1
    }
    const key = String(step)
    if (!Object.hasOwn(parent, key)) return -1
    const known = this.#children.get(home)?.get(key)
    if (known !== undefined) return known
    let mark = home + 1
    for (const name of Object.keys(parent)) {
      if (name === key) return mark
      mark = this.#cell(mark, 4)
    }
    return -1
  }

  #item(list: number, index: number): number {
    const last = this.#lastItem
    let at = 0
    let mark = list + 1
    if (last && last.list === list && last.index <= index) {
      at = last.index
      mark = last.mark
    }
    for (; at < index; at++) mark = this.#cell(mark, 4)
    this.#lastItem = { list, index, mark }
    return mark
  }

  #cell(mark: number, column: number): number {
    return this.#cells[mark * STRIDE + column] as number
  }
}

/** Collects marks while a document is read, parents before children. */
export class MarkBuilder {
  readonly #cells: number[] = []
  readonly #aliases: Map<number, number> = new Map()
  readonly #children: Map<number, ReadonlyMap<string, number>> = new Map()

  open(key: Span | undefined, value: Span): number {
    const mark = this.#cells.length / STRIDE
    this.#cells.push(key ? key[0] : -1, key ? key[1] : -1, value[0], value[1], mark + 1)
    return mark
  }

  close(mark: number): void {
    this.#cells[mark * STRIDE + 4] = this.#cells.length / STRIDE
  }

  /** The children of `mark` are those of `target`. */
  alias(mark: number, target: number): void {
    this.#aliases.set(mark, target)
  }

  target(mark: number): number {
    return this.#aliases.get(mark) ?? mark
  }

  /** The marks of the children of a finished mapping, by key. */
  childrenOf(mark: number, mapping: object): ReadonlyMap<string, number> {
    const home = this.target(mark)
    const known = this.#children.get(home)
    if (known) return known
    const found = new Map<string, number>()
    let child = home + 1
    for (const key of Object.keys(mapping)) {
      found.set(key, child)
      child = this.#cells[child * STRIDE + 4] as number
    }
    return found
  }

  itemsOf(mark: number, count: number): readonly number[] {
    const found: number[] = []
    let child = this.target(mark) + 1
    for (let i = 0; i < count; i++) {
      found.push(child)
      child = this.#cells[child * STRIDE + 4] as number
    }
    return found
  }

  /** For mappings whose keys JavaScript gives in another order than the document: merge keys, whole numbers. */
  children(mark: number, children: ReadonlyMap<string, number>): void {
    this.#children.set(mark, children)
  }

  build(): MarkTable {
    return new MarkTable(Int32Array.from(this.#cells), this.#aliases, this.#children)
  }
}
