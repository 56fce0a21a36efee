/** The lines of one text: turns offsets into positions a person can follow. */
import type { SourcePosition } from '../base/position.ts'

const EXCERPT_LIMIT = 200

export class SourceLines {
  readonly file: string
  readonly text: string
  #starts: Int32Array | undefined

  constructor(file: string, text: string) {
    this.file = file
    this.text = text
  }

  /** Position of the span `[start, end)`; what goes beyond its first line is left out. */
  position(start: number, end: number): SourcePosition {
    const line = this.#lineAt(start)
    const starts = this.#lineStarts()
    const lineStart = starts[line] as number
    const nextStart = line + 1 < starts.length ? (starts[line + 1] as number) : this.text.length
    let lineEnd = nextStart
    while (lineEnd > lineStart && isLineBreak(this.text.charCodeAt(lineEnd - 1))) lineEnd--
    const spanEnd = Math.max(Math.min(end, lineEnd), start)
    const column = start - lineStart + 1
    const length = Math.max(1, this.text.slice(start, spanEnd).trimEnd().length)
    const cut = cutFrom(start - lineStart, lineEnd - lineStart)
    return Object.freeze({
      file: this.file,
      line: line + 1,
      column,
      length,
      excerpt: this.text.slice(lineStart + cut, Math.min(lineEnd, lineStart + cut + EXCERPT_LIMIT)),
      ...(cut > 0 && { excerptColumn: column - cut }),
    })
  }

  #lineAt(offset: number): number {
    const starts = this.#lineStarts()
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] as number) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  #lineStarts(): Int32Array {
    if (this.#starts) return this.#starts
    let count = 1
    for (let at = 0; at < this.text.length; at++) if (this.text.charCodeAt(at) === 10) count++
    const starts = new Int32Array(count)
    for (let at = 0, line = 1; line < count; at++) if (this.text.charCodeAt(at) === 10) starts[line++] = at + 1
    this.#starts = starts
    return this.#starts
  }
}

/** Where the excerpt of a long line begins, so that the span is in sight. */
function cutFrom(spanOffset: number, lineLength: number): number {
  if (lineLength <= EXCERPT_LIMIT || spanOffset < EXCERPT_LIMIT / 2) return 0
  return Math.min(spanOffset - EXCERPT_LIMIT / 2, lineLength - EXCERPT_LIMIT)
}

function isLineBreak(code: number): boolean {
  return code === 10 || code === 13
}
