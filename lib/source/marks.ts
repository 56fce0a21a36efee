/**
 * Marks: the offsets of each value of a document, in a table in document order. Together with the text they answer for positions,
 * and take a fraction of the memory of the values and the syntax tree, which are not kept.
 */
import type { FieldPath } from '../base/position.ts'

/**
 * The cells of one value: key start and end (0 without a key), value start and end, first mark after its children. Offsets count
 * from 1 at the start of the document, so that those of most documents fit into 16 bits.
 */
const STRIDE = 5

/** Lists and mappings with more children than this get an index at the first search beyond them. */
const INDEXED = 32

export type Span = readonly [start: number, end: number]

/** The content of a table: plain data, which may come from another thread. */
export type MarkData = Readonly<{
  cells: Uint16Array | Int32Array
  /** The offset of the document in the text of its file. */
  start: number
  /** The mark of an alias's target, by the mark of the alias; undefined if there are no aliases. */
  aliases: ReadonlyMap<number, number> | undefined
  /** The children of mappings whose keys differ from the text; undefined if there are none. */
  children: ReadonlyMap<number, ReadonlyMap<string, number>> | undefined
}>

export function countValues({ cells }: MarkData): number {
  return cells.length / STRIDE
}

export class MarkTable {
  readonly #data: MarkData
  readonly #text: string
  /** For long lists: the mark of each item whose index is a multiple of INDEXED. */
  #items: Map<number, readonly number[]> | undefined
  /** For large mappings: the mark of each key. */
  #keys: Map<number, ReadonlyMap<string, number>> | undefined

  /** `text` is the text of the whole file. */
  constructor(data: MarkData, text: string) {
    this.#data = data
    this.#text = text
  }

  /** Follows `path` as far as it exists: the mark reached, and whether that is the whole path. */
  find(path: FieldPath): { mark: number; found: boolean } {
    let mark = 0
    for (const step of path) {
      const child = this.#child(mark, step)
      if (child === -1) return { mark, found: false }
      mark = child
    }
    return { mark, found: true }
  }

  valueSpan(mark: number): Span {
    return [this.#place(mark, 2), this.#place(mark, 3)]
  }

  /** Undefined for list items and the document itself. */
  keySpan(mark: number): Span | undefined {
    return this.#hasKey(mark) ? [this.#place(mark, 0), this.#place(mark, 1)] : undefined
  }

  #child(parent: number, step: string | number): number {
    const home = this.#data.aliases?.get(parent) ?? parent
    const known = this.#data.children?.get(home)
    if (known) return known.get(String(step)) ?? -1
    const first = home + 1
    const end = this.#cell(home, 4)
    if (first === end) return -1
    return this.#hasKey(first) ? this.#entry(first, end, String(step)) : this.#item(home, end, Number(step))
  }

  #entry(first: number, end: number, key: string): number {
    const keys = this.#keys?.get(first)
    if (keys) return keys.get(key) ?? -1
    let mark = first
    for (let seen = 0; mark < end; seen++) {
      if (seen === INDEXED) return this.#indexKeys(first, end).get(key) ?? -1
      if (this.#isKey(mark, key)) return mark
      mark = this.#cell(mark, 4)
    }
    return -1
  }

  /** Compares the key in the text, quoted or not. Keys that differ from the text are among the known children. */
  #isKey(mark: number, key: string): boolean {
    const start = this.#place(mark, 0)
    const quotes = this.#place(mark, 1) - start - key.length
    return (quotes === 0 || quotes === 2) && this.#text.startsWith(key, start + quotes / 2)
  }

  #indexKeys(first: number, end: number): ReadonlyMap<string, number> {
    const keys = new Map<string, number>()
    for (let mark = first; mark < end; mark = this.#cell(mark, 4)) {
      const [start, stop] = [this.#place(mark, 0), this.#place(mark, 1)]
      // No unquoted key begins with a quote.
      const isQuoted = /["']/.test(this.#text.charAt(start))
      keys.set(isQuoted ? this.#text.slice(start + 1, stop - 1) : this.#text.slice(start, stop), mark)
    }
    this.#keys ??= new Map()
    this.#keys.set(first, keys)
    return keys
  }

  #item(list: number, end: number, index: number): number {
    if (!Number.isInteger(index) || index < 0) return -1
    let mark = list + 1
    if (index >= INDEXED) {
      const items = this.#items?.get(list) ?? this.#indexItems(list, end)
      mark = items[Math.floor(index / INDEXED)] ?? end
    }
    for (let at = index % INDEXED; at > 0 && mark < end; at--) mark = this.#cell(mark, 4)
    return mark >= end ? -1 : mark
  }

  #indexItems(list: number, end: number): readonly number[] {
    const items: number[] = []
    let count = 0
    for (let mark = list + 1; mark < end; mark = this.#cell(mark, 4)) if (count++ % INDEXED === 0) items.push(mark)
    this.#items ??= new Map()
    this.#items.set(list, items)
    return items
  }

  #hasKey(mark: number): boolean {
    return this.#cell(mark, 0) !== 0
  }

  #place(mark: number, column: number): number {
    return this.#data.start + this.#cell(mark, column) - 1
  }

  #cell(mark: number, column: number): number {
    return this.#data.cells[mark * STRIDE + column] as number
  }
}

/** Collects marks while a document is read, parents before children. */
export class MarkBuilder {
  readonly #cells: number[] = []
  readonly #aliases: Map<number, number> = new Map()
  readonly #children: Map<number, ReadonlyMap<string, number>> = new Map()
  readonly #start: number
  #highest = 0

  /** `start` is the offset of the document in the text of its file; no span begins before. */
  constructor(start: number) {
    this.#start = start
  }

  open(key: Span | undefined, value: Span): number {
    const mark = this.#cells.length / STRIDE
    const base = this.#start - 1
    this.#cells.push(key ? key[0] - base : 0, key ? key[1] - base : 0, value[0] - base, value[1] - base, mark + 1)
    this.#highest = Math.max(this.#highest, key ? key[1] - base : 0, value[1] - base, mark + 1)
    return mark
  }

  close(mark: number): void {
    this.#cells[mark * STRIDE + 4] = this.#cells.length / STRIDE
  }

  /** Gives the alias at `mark` the children of `target`. */
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

  /**
   * For mappings whose keys differ from the text (merged, aliased, escaped), or which JavaScript lists in another order than the
   * document (whole numbers).
   */
  children(mark: number, children: ReadonlyMap<string, number>): void {
    this.#children.set(mark, children)
  }

  build(): MarkData {
    const cells = this.#highest < 65_536 ? Uint16Array.from(this.#cells) : Int32Array.from(this.#cells)
    const aliases = this.#aliases.size > 0 ? this.#aliases : undefined
    const children = this.#children.size > 0 ? this.#children : undefined
    return { cells, start: this.#start, aliases, children }
  }
}
