/** Cuts a text into its YAML documents, so that a broken one hides none of the others. */

/** A document's text: `[start, end)` of the file. */
export type Chunk = Readonly<{ start: number; end: number }>

/** `---` and `...` at the start of a line end a document wherever they stand, in scalars too (YAML 1.2 §9.1.4). */
const MARKER = /^(?:---|\.\.\.)(?=[ \t\r\n]|$)/gm

export function splitDocuments(text: string): readonly Chunk[] {
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
