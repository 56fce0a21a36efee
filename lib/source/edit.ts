/**
 * Changes annotations in the text of manifests and nothing else: comments, order, quotes, indentation and line ends of all other lines
 * stay as they are.
 */
import { isAlias, isMap, isScalar, type Node, type Pair, parseAllDocuments, visit, type YAMLMap } from 'yaml'

/** An annotation: its name and its value. */
export type Entry = readonly [name: string, value: string]

/** What is to change of the annotations of one object. */
export type AnnotationEdit = Readonly<{
  /** Where the key `metadata` of the object begins; both count from 1. */
  line: number
  column: number
  /** By the name of an annotation: what takes its place, or nothing. */
  replaced: ReadonlyMap<string, readonly Entry[]>
  /** Behind all others. */
  added: readonly Entry[]
}>

/** Why an object cannot be changed here. */
export type EditProblem = Readonly<{ edit: AnnotationEdit; message: string }>

export type EditedText = Readonly<{ text: string; problems: readonly EditProblem[] }>

/** A part of the text and what takes its place. */
type Cut = Readonly<{ start: number; end: number; text: string }>

/** What keeps an object from being changed. */
class Unchangeable extends Error {}

/** The edits that cannot be done are left out, each with the reason. */
export function editAnnotations(text: string, edits: readonly AnnotationEdit[]): EditedText {
  const problems: EditProblem[] = []
  const cuts: Cut[] = []
  const places = findMetadata(text)
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)]
  for (const edit of edits) {
    try {
      const place = places.get(starts[edit.line - 1]! + edit.column - 1)
      if (place === undefined) throw new Unchangeable('its metadata cannot be told apart from other text')
      cuts.push(...new Editor(text, place).edit(edit))
    } catch (error) {
      if (!(error instanceof Unchangeable)) throw error
      problems.push({ edit, message: error.message })
    }
  }
  let edited = text
  for (const { start, end, text: to } of cuts.sort((one, other) => other.start - one.start))
    edited = edited.slice(0, start) + to + edited.slice(end)
  return { text: edited, problems }
}

/** The entry `metadata` of an object. */
type Metadata = Readonly<{ pair: Pair; isShared: boolean }>

/** By the offsets of the keys; none of documents with errors. */
function findMetadata(text: string): ReadonlyMap<number, Metadata> {
  const found = new Map<number, Metadata>()
  const options = { schema: 'failsafe', uniqueKeys: false, logLevel: 'silent', resolveKnownTags: false } as const
  for (const document of parseAllDocuments(text, options)) {
    if (!('errors' in document) || document.errors.length > 0) continue
    visit(document, {
      Pair(_, pair, path) {
        const { key } = pair
        if (!isScalar(key) || key.value !== 'metadata' || !key.range) return
        found.set(key.range[0], { pair, isShared: path.some(hasAnchor) })
      },
    })
  }
  return found
}

function hasAnchor(node: unknown): boolean {
  return typeof node === 'object' && node !== null && 'anchor' in node && node.anchor !== undefined
}

/** An entry of a mapping, with its span. */
type Item = Readonly<{ name: string; value: unknown; start: number; end: number }>

class Editor {
  readonly #text: string
  readonly #eol: string
  readonly #metadata: YAMLMap
  readonly #annotations: Item | undefined

  /** Throws an Unchangeable. */
  constructor(text: string, { pair, isShared }: Metadata) {
    this.#text = text
    this.#eol = text.includes('\r\n') ? '\r\n' : '\n'
    this.#metadata = this.#asMap(pair.value, isShared)
    this.#annotations = this.#list(this.#metadata).find(({ name }) => name === 'annotations')
  }

  edit({ replaced, added }: AnnotationEdit): readonly Cut[] {
    const { value } = this.#annotations ?? {}
    const isNull = isScalar(value) && value.type === 'PLAIN' && /^(?:null|~)?$/i.test(String(value.value ?? ''))
    const isThere = this.#annotations !== undefined && !isNull
    if (!isThere) {
      if (replaced.size > 0) throw new Unchangeable('its annotations stand elsewhere')
      return added.length === 0 ? [] : [this.#begin(added)]
    }
    const map = this.#asMap(value, false)
    const items = this.#list(map)
    for (const name of replaced.keys()) {
      const own = items.filter((item) => item.name === name)
      if (own.length === 0) throw new Unchangeable(`${name} comes from an anchor (<<) that other objects share`)
      if (own.length > 1) throw new Unchangeable(`${name} stands there twice`)
      if (hasAnchor(own[0]!.value)) throw new Unchangeable(`the value of ${name} has an anchor, which others may use`)
    }
    if (map.flow) return [this.#editFlow(map, items, replaced, added)]
    return this.#editBlock(items, replaced, added)
  }

  /** The mapping, which nothing else uses. */
  #asMap(node: unknown, isShared: boolean): YAMLMap {
    if (isAlias(node)) throw new Unchangeable('it is an alias of what another object has')
    if (!isMap(node)) throw new Unchangeable('it is no mapping')
    if (isShared || hasAnchor(node)) throw new Unchangeable('it has an anchor, which others may use')
    return node
  }

  #list(map: YAMLMap): readonly Item[] {
    const items: Item[] = []
    for (const { key, value } of map.items) {
      if (!isScalar(key) || !key.range) continue
      const [start, keyEnd] = key.range
      const end = Math.max(keyEnd, (value as Node | null)?.range?.[1] ?? 0)
      const before = this.#text.slice(items.at(-1)?.end ?? map.range![0], start).replace(/#.*/g, '')
      if (/[?&!]/.test(before)) throw new Unchangeable('a key is written with "?", a tag or an anchor')
      // The last line end of a block of text is not of the entry.
      items.push({ name: String(key.value), value, start, end: start + this.#text.slice(start, end).trimEnd().length })
    }
    return items
  }

  #indentOf(start: number): string {
    return ' '.repeat(start - this.#text.lastIndexOf('\n', start - 1) - 1)
  }

  /** The first annotations of the object. */
  #begin(added: readonly Entry[]): Cut {
    const [first] = this.#list(this.#metadata)
    if (this.#metadata.flow || first === undefined) {
      const flow = `{${added.map((entry) => printFlow(entry, this.#isJson(this.#metadata))).join(', ')}}`
      const key = this.#isJson(this.#metadata) ? '"annotations"' : 'annotations'
      if (this.#annotations !== undefined) {
        const { start, end } = this.#annotations
        return { start, end, text: `${key}: ${flow}` }
      }
      if (first === undefined) throw new Unchangeable('its metadata is empty')
      return {
        start: first.end,
        end: first.end,
        text: `${this.#findSeparator(this.#list(this.#metadata))}${key}: ${flow}`,
      }
    }
    const indent = this.#indentOf(first.start)
    const lines = ['annotations:', ...added.map((entry) => `${indent}  ${printBlock(entry)}`)]
    if (this.#annotations !== undefined) {
      const { start, end } = this.#annotations
      return { start, end, text: lines.join(this.#eol) }
    }
    const at = this.#lineEnd(first.end)
    return { start: at, end: at, text: `${this.#eol}${indent}${lines.join(this.#eol)}` }
  }

  #editBlock(
    items: readonly Item[],
    replaced: ReadonlyMap<string, readonly Entry[]>,
    added: readonly Entry[],
  ): readonly Cut[] {
    const indent = this.#indentOf(items[0]!.start)
    const join = (entries: readonly Entry[]): string => entries.map(printBlock).join(`${this.#eol}${indent}`)
    const isEmptied = added.length === 0 && items.every(({ name }) => replaced.get(name)?.length === 0)
    if (isEmptied) return this.#empty(items)
    const last = items.at(-1)!
    const cuts = items.flatMap(({ name, start, end }): Cut[] => {
      const entries = replaced.get(name)
      if (entries === undefined) return []
      return entries.length > 0 ? [{ start, end, text: join(entries) }] : [this.#cutLines(start, end)]
    })
    if (added.length === 0) return cuts
    const at = this.#lineEnd(last.end)
    return [...cuts, { start: at, end: at, text: `${this.#eol}${indent}${join(added)}` }]
  }

  /** Comments among the annotations stay. */
  #empty(items: readonly Item[]): readonly Cut[] {
    const { start } = this.#annotations!
    const end = items.at(-1)!.end
    let rest = this.#text.slice(start, end)
    for (const item of [...items].reverse()) {
      rest = rest.slice(0, item.start - start) + rest.slice(item.end - start)
    }
    if (!rest.includes('#')) return [this.#cutLines(start, end)]
    const colon = this.#text.indexOf(':', start) + 1
    return [{ start: colon, end: colon, text: ' {}' }, ...items.map((item) => this.#cutLines(item.start, item.end))]
  }

  /** All lines of an entry of a block, with a comment behind it. */
  #cutLines(start: number, end: number): Cut {
    const first = this.#text.lastIndexOf('\n', start - 1) + 1
    const next = this.#text.indexOf('\n', end)
    if (this.#text.slice(first, start).trim() === '')
      return { start: first, end: next === -1 ? this.#text.length : next + 1, text: '' }
    throw new Unchangeable('its first annotation stands behind something else on its line')
  }

  #lineEnd(at: number): number {
    const next = this.#text.indexOf('\n', at)
    if (next === -1) return this.#text.length
    return this.#text[next - 1] === '\r' ? next - 1 : next
  }

  #editFlow(
    map: YAMLMap,
    items: readonly Item[],
    replaced: ReadonlyMap<string, readonly Entry[]>,
    added: readonly Entry[],
  ): Cut {
    const isJson = this.#isJson(map)
    const [open, close] = [map.range![0] + 1, map.range![1] - 1]
    const print = (entry: Entry): string => printFlow(entry, isJson)
    if (items.length === 0) return { start: open, end: close, text: added.map(print).join(', ') }
    const usual = this.#findSeparator(items)
    let text = ''
    let separator = ''
    for (const [index, { name, start, end }] of items.entries()) {
      const entries = replaced.get(name)
      const piece = entries === undefined ? this.#text.slice(start, end) : entries.map(print).join(usual)
      if (piece !== '') text += text === '' ? piece : separator + piece
      const next = items[index + 1]?.start
      if (next !== undefined) separator = this.#text.slice(end, next)
    }
    for (const entry of added) text += (text === '' ? '' : usual) + print(entry)
    if (text === '') return { start: open, end: close, text: '' }
    return { start: items[0]!.start, end: items.at(-1)!.end, text }
  }

  /** What stands between the entries of a flow mapping. */
  #findSeparator([first, second]: readonly Item[]): string {
    const between = first && second ? this.#text.slice(first.end, second.start) : ''
    return /^\s*,\s*$/.test(between) ? between : ', '
  }

  #isJson(map: YAMLMap): boolean {
    const [first] = this.#list(map)
    return first !== undefined && this.#text[first.start] === '"'
  }
}

/** Text that needs no quotes, but for words that YAML 1.1 or 1.2 reads as something else. */
const PLAIN = /^(?:[A-Za-z/][\w./-]*|\d+(?:ms|s|m|h|[KMG]i))$/
const NO_TEXT = /^(?:true|false|yes|no|on|off|y|n|null|~)$/i

function printBlock([name, value]: Entry): string {
  const isPlain = PLAIN.test(value) && !NO_TEXT.test(value)
  return `${name}: ${isPlain ? value : JSON.stringify(value)}`
}

function printFlow([name, value]: Entry, isJson: boolean): string {
  return `${isJson ? JSON.stringify(name) : name}: ${JSON.stringify(value)}`
}
