/** From a YAML syntax tree to a plain value and its marks: resolves scalars, aliases and merge keys, within bounds. */
import { isAlias, isMap, isScalar, isSeq, type Pair, type Scalar } from 'yaml'
import { MAX_DEPTH } from './depth.ts'
import { MarkBuilder, type MarkData, type Span } from './marks.ts'
import { resolveScalar } from './scalar.ts'

/** Most values of an expanded document: no object of a cluster has as many, a billion laughs have more. */
const MAX_EXPANDED = 500_000
/** Most values that aliases may repeat for each value written, beyond a small document's. */
const MAX_EXPANSION = 100
/** Most keys that `<<` may add for each value written, beyond a small document's. Adding costs more than repeating. */
const MAX_MERGED = 10
const SMALL = 10_000
const MAX_DUPLICATES = 20

export type ComposeProblem = Readonly<{
  code:
    | 'PORTICO_YAML_SYNTAX'
    | 'PORTICO_YAML_DUPLICATE_KEY'
    | 'PORTICO_YAML_ALIAS_LIMIT'
    | 'PORTICO_YAML_DEPTH'
    | 'PORTICO_YAML_TAG'
  message: string
  /** The text concerned, as written; it follows the message if it may be shown. */
  subject?: string
  span: Span
  help?: string
  /** The span of the first of two duplicates. */
  first?: Span
}>

export type Composed = Readonly<{ value: unknown; marks: MarkData; problems: readonly ComposeProblem[] }>

/** A composed value; `size` and `height` count the targets of aliases as well. */
type Part = { value: unknown; mark: number; size: number; height: number }
type Mapping = Record<string, unknown>

/** `start` is the offset in its file at which the document begins. */
export function composeValue(root: unknown, start: number): Composed {
  const composer = new ValueComposer(start)
  const part = composer.compose(root, undefined, [start, start])
  composer.checkBounds(part)
  return { value: part.value, marks: composer.marks.build(), problems: composer.problems }
}

class ValueComposer {
  readonly marks: MarkBuilder
  readonly problems: ComposeProblem[] = []
  readonly #start: number
  readonly #anchors: Map<string, Part> = new Map()
  /** The marks of the keys of merged mappings, by the mark of the mapping. */
  readonly #mergeable: Map<number, ReadonlyMap<string, number>> = new Map()
  #written = 0
  #merged = 0
  #isOvermerged = false
  #duplicates = 0

  constructor(start: number) {
    this.#start = start
    this.marks = new MarkBuilder(start)
  }

  compose(node: unknown, key: Span | undefined, fallback: Span): Part {
    const span = this.#span(node) ?? fallback
    const mark = this.marks.open(key, span)
    this.#written++
    const part: Part = { value: null, mark, size: 1, height: 1 }
    if (isAlias(node)) this.#composeAlias(node.source, span, part)
    else if (isMap(node)) this.#composeMap(node.items, span, part)
    else if (isSeq(node)) this.#composeList(node.items, span, part)
    else if (isScalar(node)) part.value = this.#scalarValue(node, span)
    this.marks.close(mark)
    if (!isAlias(node) && isAnchored(node)) {
      this.#checkTag(node, span)
      if (node.anchor) this.#anchors.set(node.anchor, part)
    }
    return part
  }

  checkBounds(root: Part): void {
    if (this.#isOvermerged || root.size > Math.min(MAX_EXPANDED, this.#written * MAX_EXPANSION + SMALL)) {
      this.#add('PORTICO_YAML_ALIAS_LIMIT', 'aliases expand to too many values', this.#firstSpan(), {
        help: 'write the repeated parts out, or split the document',
      })
    }
    if (root.height > MAX_DEPTH) {
      this.#add('PORTICO_YAML_DEPTH', `nests deeper than ${MAX_DEPTH} levels`, this.#firstSpan())
    }
  }

  #composeAlias(name: string, span: Span, part: Part): void {
    const target = this.#anchors.get(name)
    if (!target) {
      this.#add('PORTICO_YAML_SYNTAX', 'no anchor stands before the alias', span, {
        subject: `*${name}`,
        help: 'define the anchor first, or quote the text if it is not an alias',
      })
      return
    }
    part.value = target.value
    part.size = target.size
    part.height = target.height
    this.marks.alias(part.mark, this.marks.target(target.mark))
  }

  #composeList(items: readonly unknown[], span: Span, part: Part): void {
    const list: unknown[] = []
    for (const item of items) {
      const child = this.compose(item, undefined, span)
      list.push(child.value)
      include(part, child)
    }
    part.value = list
  }

  #composeMap(items: readonly Pair[], span: Span, part: Part): void {
    const value: Mapping = {}
    const order = new Map<string, number>()
    const merges: Part[] = []
    let isPlain = true
    for (const item of items) {
      const keySpan = this.#span(item.key) ?? span
      if (isScalar(item.key) && item.key.type === 'PLAIN' && item.key.source === '<<') {
        const merged = this.compose(item.value, keySpan, keySpan)
        include(part, merged)
        merges.push(merged)
        continue
      }
      const key = this.#key(item.key, keySpan)
      const child = this.compose(item.value, keySpan, keySpan)
      include(part, child)
      if (key === undefined) continue
      const earlier = order.get(key)
      if (earlier !== undefined) {
        this.#addDuplicate(key, keySpan, items)
        continue
      }
      setField(value, key, child.value)
      order.set(key, child.mark)
      isPlain &&= isAsWritten(item.key, key, keySpan)
    }
    for (const merge of merges) this.#merge(merge, value, order, span)
    if (!isPlain || merges.length > 0) this.marks.children(part.mark, order)
    part.value = value
  }

  /** `<<` adds the keys that the mapping does not have itself (YAML 1.1 merge keys; kubectl honours them). */
  #merge(merge: Part, value: Mapping, order: Map<string, number>, span: Span): void {
    const isList = Array.isArray(merge.value)
    const sources: readonly unknown[] = isList ? (merge.value as unknown[]) : [merge.value]
    const marks = isList ? this.marks.itemsOf(merge.mark, sources.length) : [merge.mark]
    for (const [index, source] of sources.entries()) {
      if (typeof source !== 'object' || source === null || Array.isArray(source)) {
        this.#add('PORTICO_YAML_SYNTAX', 'a merge key "<<" needs a mapping or a list of mappings', span)
        continue
      }
      const children = this.#childrenOf(marks[index] as number, source)
      this.#merged += children.size
      if (this.#merged > this.#written * MAX_MERGED + SMALL) {
        this.#isOvermerged = true
        return
      }
      for (const [key, mark] of children) {
        if (Object.hasOwn(value, key)) continue
        setField(value, key, (source as Mapping)[key])
        order.set(key, mark)
      }
    }
  }

  #childrenOf(mark: number, mapping: object): ReadonlyMap<string, number> {
    const home = this.marks.target(mark)
    const known = this.#mergeable.get(home)
    if (known) return known
    const children = this.marks.childrenOf(home, mapping)
    this.#mergeable.set(home, children)
    return children
  }

  #key(node: unknown, span: Span): string | undefined {
    if (isScalar(node)) return printKey(String(node.value ?? ''), node.type === 'PLAIN')
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source)
      if (typeof target?.value === 'string') return target.value
    }
    if (node === null) return ''
    this.#add('PORTICO_YAML_SYNTAX', 'a key must be a string', span)
    return undefined
  }

  #scalarValue(node: Scalar, span: Span): unknown {
    const text = String(node.value ?? '')
    const tag = node.tag?.replace('tag:yaml.org,2002:', '!!')
    if (tag === '!!str' || tag === '!') return text
    if (tag === undefined) return node.type === 'PLAIN' ? resolveScalar(text) : text
    const value = resolveScalar(text)
    if (SCALAR_TAGS[tag]?.(value) === false) {
      this.#add('PORTICO_YAML_TAG', `the tag ${tag} does not fit`, span, { subject: text })
    }
    return value
  }

  #checkTag(node: { tag?: string | undefined }, span: Span): void {
    const tag = node.tag?.replace('tag:yaml.org,2002:', '!!')
    if (tag === undefined || KNOWN_TAGS.has(tag)) return
    this.#add('PORTICO_YAML_TAG', 'unsupported tag', span, {
      subject: tag,
      help: tag === '!!binary' ? 'write the base64 text as a string, without the tag' : 'leave the tag out',
    })
  }

  #addDuplicate(key: string, span: Span, items: readonly Pair[]): void {
    // Each report costs a walk over the mapping, so only the first few duplicates are reported.
    if (this.#duplicates++ >= MAX_DUPLICATES) return
    const first = items.find((item) => isScalar(item.key) && String(item.key.value ?? '') === key)
    this.#add('PORTICO_YAML_DUPLICATE_KEY', 'duplicate key', span, {
      subject: key,
      help:
        key === 'apiVersion' || key === 'kind'
          ? 'keep one of them; between two objects stands a line with ---'
          : 'keep one of them',
      first: this.#span(first?.key) ?? span,
    })
  }

  #add(
    code: ComposeProblem['code'],
    message: string,
    span: Span,
    more: Pick<ComposeProblem, 'subject' | 'help' | 'first'> = {},
  ): void {
    this.problems.push({ code, message, span, ...more })
  }

  #firstSpan(): Span {
    return [this.#start, this.#start + 1]
  }

  #span(node: unknown): Span | undefined {
    const range = (node as { range?: readonly [number, number, number] | null } | null | undefined)?.range
    return range ? [this.#start + range[0], this.#start + range[1]] : undefined
  }
}

const SCALAR_TAGS: Readonly<Record<string, (value: unknown) => boolean>> = {
  '!!int': (value) => Number.isInteger(value),
  '!!float': (value) => typeof value === 'number',
  '!!bool': (value) => typeof value === 'boolean',
  '!!null': (value) => value === null,
}
const KNOWN_TAGS: ReadonlySet<string> = new Set(['!', '!!str', '!!map', '!!seq', ...Object.keys(SCALAR_TAGS)])

function include(parent: Part, child: Part): void {
  parent.size += child.size
  parent.height = Math.max(parent.height, child.height + 1)
}

function isAnchored(node: unknown): node is { anchor?: string; tag?: string } {
  return isMap(node) || isSeq(node) || isScalar(node)
}

/** Keys are strings: a key that YAML reads as a boolean or number is printed as that value, so `on` becomes "true". */
function printKey(text: string, isPlain: boolean): string {
  const value = isPlain ? resolveScalar(text) : text
  return typeof value === 'boolean' || Number.isSafeInteger(value) ? String(value) : text
}

/** Sets an own field, also for the name `__proto__`, which would set the prototype. */
function setField(mapping: Mapping, key: string, value: unknown): void {
  if (key !== '__proto__') mapping[key] = value
  else Object.defineProperty(mapping, key, { value, writable: true, enumerable: true, configurable: true })
}

/** True if marks alone can find the key: the text shows it as it reads, quoted or not, and JavaScript keeps its order. */
function isAsWritten(node: unknown, key: string, [start, end]: Span): boolean {
  if (!isScalar(node) || String(node.value ?? '') !== key || isWholeNumber(key)) return false
  return end - start === key.length + (node.type === 'PLAIN' ? 0 : 2)
}

/** True for keys like "8080", which JavaScript lists first, whatever the document's order. */
function isWholeNumber(key: string): boolean {
  const first = key.charCodeAt(0)
  return first >= 48 && first <= 57 && /^\d+$/.test(key)
}
