/** Cuts a text into its YAML documents, so that a broken document hides none of the others. */

/** The text of a document: `[start, end)` of the file. */
export type Chunk = Readonly<{ start: number; end: number }>

/** `---` and `...` at the start of a line end a document, even in scalars (YAML 1.2 §9.1.4). */
const MARKER = /^(?:---|\.\.\.)(?=[ \t\r\n]|$)/gm

/** Yields one document after the other, so that the caller can stop early. */
export function* splitDocuments(text: string): Generator<Chunk> {
  for (const chunk of splitMarked(text)) if (chunk.end > chunk.start) yield* splitObjects(text, chunk)
}

function* splitMarked(text: string): Generator<Chunk> {
  let start = 0
  let inDocument = false
  for (const match of text.matchAll(MARKER)) {
    if (match[0] === '...') {
      const lineEnd = text.indexOf('\n', match.index)
      const end = lineEnd === -1 ? text.length : lineEnd + 1
      yield { start, end }
      start = end
      inDocument = false
    } else {
      // Directives (%YAML, %TAG) stand before the marker of the document they belong to.
      if (inDocument || !isDirectives(text, start, match.index)) {
        yield { start, end: match.index }
        start = match.index
      }
      inDocument = true
    }
  }
  yield { start, end: text.length }
}

/** Splits a stream of JSON objects, written one after the other. */
function* splitObjects(text: string, chunk: Chunk): Generator<Chunk> {
  let start = chunk.start
  for (;;) {
    const end = findObjectEnd(text, skipSpace(text, start), chunk.end)
    if (end === undefined) break
    const next = skipSpace(text, end)
    if (next >= chunk.end || text.charCodeAt(next) !== 123) break
    yield { start, end: next }
    start = next
  }
  yield { start, end: chunk.end }
}

/** The parts of a list: the spans of its items, and the text around them. */
export type ListParts = Readonly<{ items: readonly Chunk[]; shell: string }>

/**
 * Splits the document of a list by its lines or brackets, in the form that programs write: `items:` is a field of the document,
 * and each item begins with a dash at one indentation, or is an object in brackets. Undefined if the form is another. Quotes or
 * brackets that span such a line would leave an item broken.
 */
export function splitList(text: string, chunk: Chunk): ListParts | undefined {
  const start = skipSpace(text, chunk.start)
  return text.charCodeAt(start) === 123 ? splitJsonList(text, start, chunk.end) : splitYamlList(text, chunk)
}

const ITEMS_LINE = /^items:[ \t]*\r?\n/gm
const NEXT_ITEM = /\n( *)(?:-[ \r\n]|[^ \r\n#])/g

function splitYamlList(text: string, { start, end }: Chunk): ListParts | undefined {
  ITEMS_LINE.lastIndex = start
  const line = ITEMS_LINE.exec(text)
  if (!line || line.index >= end) return undefined
  const from = line.index + line[0].length
  const items: Chunk[] = []
  let indent: number | undefined
  let to = end
  let item: number | undefined
  NEXT_ITEM.lastIndex = from - 1
  for (let match = NEXT_ITEM.exec(text); match && match.index < end; match = NEXT_ITEM.exec(text)) {
    const [whole, blanks = ''] = match
    const at = match.index + 1 + blanks.length
    // The search goes on at the line's end, since the next match may begin with the line end that closes this one.
    NEXT_ITEM.lastIndex = match.index + whole.length - 1
    const isDash = whole.charAt(1 + blanks.length) === '-' && whole.length > 2 + blanks.length
    indent ??= isDash ? blanks.length : undefined
    if (indent === undefined) return undefined
    if (blanks.length > indent || at >= end) continue
    if (item !== undefined) items.push({ start: item, end: match.index + 1 })
    item = undefined
    if (isDash && blanks.length === indent) item = match.index + 1
    else {
      to = match.index + 1
      break
    }
  }
  if (item !== undefined) items.push({ start: item, end })
  return { items, shell: `${text.slice(start, from)}${text.slice(to, end)}` }
}

function splitJsonList(text: string, start: number, limit: number): ListParts | undefined {
  let open = 0
  for (let at = start; at < limit; at++) {
    const code = text.charCodeAt(at)
    if (code === 34 /* " */) {
      const key = at
      at = findStringEnd(text, at, limit)
      const list = open === 1 && text.startsWith('"items"', key) ? findListStart(text, at + 1) : undefined
      if (list !== undefined) return splitJsonItems(text, start, list, limit)
    } else if (code === 123 || code === 91 /* [ */) open++
    else if (code === 125 /* } */ || code === 93 /* ] */) open--
    else if (code === 39 || code === 35 /* # */) return undefined
  }
  return undefined
}

/** Offset behind the opening bracket of a list that follows the key ending at `end`. */
function findListStart(text: string, end: number): number | undefined {
  const colon = skipSpace(text, end)
  const bracket = skipSpace(text, colon + 1)
  return text.charAt(colon) === ':' && text.charAt(bracket) === '[' ? bracket + 1 : undefined
}

function splitJsonItems(text: string, start: number, from: number, limit: number): ListParts | undefined {
  const items: Chunk[] = []
  for (let at = skipSpace(text, from); ; at = skipSpace(text, at + 1)) {
    const end = findObjectEnd(text, at, limit)
    if (end === undefined) return undefined
    items.push({ start: at, end })
    at = skipSpace(text, end)
    if (text.charAt(at) === ']') return { items, shell: `${text.slice(start, from)}${text.slice(at, limit)}` }
    if (text.charAt(at) !== ',') return undefined
  }
}

/** Offset behind the JSON object that begins at `start`; undefined if there is none, or it is YAML. */
function findObjectEnd(text: string, start: number, limit: number): number | undefined {
  if (text.charCodeAt(start) !== 123 /* { */) return undefined
  let open = 0
  for (let at = start; at < limit; at++) {
    const code = text.charCodeAt(at)
    if (code === 34 /* " */) at = findStringEnd(text, at, limit)
    else if (code === 123 || code === 91 /* [ */) open++
    else if (code === 125 /* } */ || code === 93 /* ] */) open--
    // Single quotes and comments occur only in YAML.
    else if (code === 39 || code === 35 /* # */) return undefined
    if (open === 0) return at + 1
  }
  return undefined
}

/** Offset of the closing quote of a string. */
function findStringEnd(text: string, start: number, limit: number): number {
  for (let at = start + 1; at < limit; at++) {
    const code = text.charCodeAt(at)
    if (code === 92 /* \ */) at++
    else if (code === 34) return at
  }
  return limit
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (at < text.length && isSpace(text.charCodeAt(at))) at++
  return at
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13) || (code > 127 && /\s/.test(String.fromCharCode(code)))
}

function isDirectives(text: string, start: number, end: number): boolean {
  let found = false
  for (let at = start; at < end; ) {
    const lineEnd = text.indexOf('\n', at)
    const next = lineEnd === -1 || lineEnd >= end ? end : lineEnd + 1
    const first = text.charCodeAt(at)
    if (first === 37 /* % */) found = true
    else if (!/^[ \t]*(?:#.*)?\r?\n?$/.test(text.slice(at, next))) return false
    at = next
  }
  return found
}
