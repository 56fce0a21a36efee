/** Cuts a text into its YAML documents, so that a broken one hides none of the others. */

/** A document's text: `[start, end)` of the file. */
export type Chunk = Readonly<{ start: number; end: number }>

/** `---` and `...` at the start of a line end a document wherever they stand, in scalars too (YAML 1.2 §9.1.4). */
const MARKER = /^(?:---|\.\.\.)(?=[ \t\r\n]|$)/gm

export function splitDocuments(text: string): readonly Chunk[] {
  return splitMarked(text).flatMap((chunk) => splitObjects(text, chunk))
}

function splitMarked(text: string): readonly Chunk[] {
  const chunks: Chunk[] = []
  let start = 0
  let inDocument = false
  for (const match of text.matchAll(MARKER)) {
    if (match[0] === '...') {
      const lineEnd = text.indexOf('\n', match.index)
      const end = lineEnd === -1 ? text.length : lineEnd + 1
      chunks.push({ start, end })
      start = end
      inDocument = false
    } else {
      // Directives (%YAML, %TAG) stand before the marker of the document they belong to.
      if (inDocument || !isDirectives(text, start, match.index)) {
        chunks.push({ start, end: match.index })
        start = match.index
      }
      inDocument = true
    }
  }
  chunks.push({ start, end: text.length })
  return chunks.filter((chunk) => chunk.end > chunk.start)
}

/** JSON objects written one after the other, as a stream of them is. */
function splitObjects(text: string, chunk: Chunk): readonly Chunk[] {
  const chunks: Chunk[] = []
  let start = chunk.start
  for (;;) {
    const end = findObjectEnd(text, skipSpace(text, start), chunk.end)
    if (end === undefined) break
    const next = skipSpace(text, end)
    if (next >= chunk.end || text.charCodeAt(next) !== 123) break
    chunks.push({ start, end: next })
    start = next
  }
  return [...chunks, { start, end: chunk.end }]
}

/** Offset after the JSON object that begins at `start`; undefined: none does, or it is YAML. */
function findObjectEnd(text: string, start: number, limit: number): number | undefined {
  if (text.charCodeAt(start) !== 123 /* { */) return undefined
  let open = 0
  for (let at = start; at < limit; at++) {
    const code = text.charCodeAt(at)
    if (code === 34 /* " */) at = findStringEnd(text, at, limit)
    else if (code === 123 || code === 91 /* [ */) open++
    else if (code === 125 /* } */ || code === 93 /* ] */) open--
    // Single quotes and comments are YAML's.
    else if (code === 39 || code === 35 /* # */) return undefined
    if (open === 0) return at + 1
  }
  return undefined
}

/** Offset of the quote that closes the string. */
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
  while (at < text.length && /\s/.test(text.charAt(at))) at++
  return at
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
