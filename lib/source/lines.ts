/** The lines of one text: turns offsets into positions for people. */
import type { SourcePosition } from '../base/position.ts'
import { PRIVATE_KEY, veilPosition } from '../base/veil.ts'
import type { Span } from './marks.ts'

const EXCERPT_LIMIT = 200

export class SourceLines {
  readonly file: string
  readonly text: string
  #starts: Int32Array | undefined
  /** The spans of private keys, in whole lines. */
  #privateKeys: readonly Span[] | undefined

  constructor(file: string, text: string) {
    this.file = file
    this.text = text
  }

  /**
   * The position of the span `[start, end)`, cut to its first line. The excerpt shows nothing outside of `within`, so nothing of
   * other documents or objects on the same line.
   */
  position(start: number, end: number, within?: Span): SourcePosition {
    const line = this.#lineAt(start)
    const starts = this.#lineStarts()
    const lineStart = starts[line] as number
    const nextStart = line + 1 < starts.length ? (starts[line + 1] as number) : this.text.length
    let lineEnd = nextStart
    while (lineEnd > lineStart && isLineBreak(this.text.charCodeAt(lineEnd - 1))) lineEnd--
    const spanEnd = Math.max(Math.min(end, lineEnd), start)
    const column = start - lineStart + 1
    const length = Math.max(1, this.text.slice(start, spanEnd).trimEnd().length)
    const [from, to] = within ? this.#cutOthers(lineStart, lineEnd, start, within) : [lineStart, lineEnd]
    const first = from + cutFrom(start - from, to - from)
    const position: SourcePosition = Object.freeze({
      file: this.file,
      line: line + 1,
      column,
      length,
      excerpt: this.text.slice(first, Math.min(to, first + EXCERPT_LIMIT)),
      ...(first > lineStart && { excerptColumn: start - first + 1 }),
    })
    return this.#isInPrivateKey(lineStart, lineEnd) ? veilPosition(position) : position
  }

  /** The part of a line within `[from, to)`, with the blanks before it and a comment behind it. */
  #cutOthers(lineStart: number, lineEnd: number, start: number, [from, to]: Span): Span {
    const isBefore = from > lineStart && from <= start && !this.#isBlank(lineStart, from, /^[\s-]*$/)
    const isAfter = to < lineEnd && to > start && !this.#isBlank(to, lineEnd, /^[ \t]*(?:#.*)?$/)
    return [isBefore ? from : lineStart, isAfter ? to : lineEnd]
  }

  #isBlank(start: number, end: number, pattern: RegExp): boolean {
    return end - start <= EXCERPT_LIMIT && pattern.test(this.text.slice(start, end))
  }

  #isInPrivateKey(lineStart: number, lineEnd: number): boolean {
    this.#privateKeys ??= findPrivateKeys(this.text)
    return this.#privateKeys.some(([start, end]) => start < lineEnd && end > lineStart)
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

const MAX_PRIVATE_KEYS = 1_000
const BEGIN = '-----BEGIN'
const END = '-----END'

/** The spans of private keys. A text with very many counts as one whole key. */
function findPrivateKeys(text: string): readonly Span[] {
  const found: Span[] = []
  const pattern = new RegExp(PRIVATE_KEY, 'g')
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    if (found.length === MAX_PRIVATE_KEYS) return [[0, text.length]]
    const end = match[0].startsWith(BEGIN) ? text.indexOf(END, match.index) : match.index
    pattern.lastIndex = end === -1 ? text.length : end + END.length
    found.push([match.index, pattern.lastIndex])
  }
  return found
}

/** The start of the excerpt of a long line, so that the span is in sight. */
function cutFrom(spanOffset: number, lineLength: number): number {
  if (lineLength <= EXCERPT_LIMIT || spanOffset < EXCERPT_LIMIT / 2) return 0
  return Math.min(spanOffset - EXCERPT_LIMIT / 2, lineLength - EXCERPT_LIMIT)
}

function isLineBreak(code: number): boolean {
  return code === 10 || code === 13
}
