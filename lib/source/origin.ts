/** The origin of one document: finds the position of a field by the document's marks and text. */
import type { FieldPath, Origin, SourcePosition } from '../base/position.ts'
import { composeValue } from './compose.ts'
import type { SourceLines } from './lines.ts'
import { type MarkData, MarkTable, type Span } from './marks.ts'
import { parseSyntax } from './syntax.ts'

export class DocumentOrigin implements Origin {
  #lines: SourceLines
  #data: MarkData
  #marks: MarkTable

  constructor(lines: SourceLines, marks: MarkData) {
    this.#lines = lines
    this.#data = marks
    this.#marks = new MarkTable(marks, lines.text)
  }

  /** The offset of the document in the text of its file. */
  get start(): number {
    return this.#data.start
  }

  /** Moves the document to the same lines of a later text. All answers stay the same, and the earlier text can be freed. */
  move(lines: SourceLines, start: number): void {
    this.#lines = lines
    this.#data = { ...this.#data, start }
    this.#marks = new MarkTable(this.#data, lines.text)
  }

  get file(): string {
    return this.#lines.file
  }

  locate(path: FieldPath, line?: number): SourcePosition {
    const { mark, found } = this.#marks.find(path)
    const [start, end] = this.#marks.valueSpan(mark)
    const span = line !== undefined && found ? findBlockLine(this.#lines.text, [start, end], line) : undefined
    if (span !== undefined) return this.#position(span, path)
    // An empty value is shown at its key, a missing field at the key of its nearest ancestor.
    const key = found && end > start ? undefined : this.#marks.keySpan(mark)
    return this.#position(key ?? [start, end], path)
  }

  locateKey(path: FieldPath): SourcePosition {
    const { mark, found } = this.#marks.find(path)
    const key = found ? this.#marks.keySpan(mark) : undefined
    return key ? this.#position(key, path) : this.locate(path)
  }

  hides(): boolean {
    return false
  }

  read(path: FieldPath): unknown {
    const [, end] = this.#marks.valueSpan(0)
    // An item of a list stands behind its dash.
    const text = this.#lines.text.slice(this.start, end).replace(/^( *)-(?=\s)/, '$1 ')
    let value: unknown = composeValue(parseSyntax(text).contents, 0).value
    for (const step of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
      value = (value as Record<string | number, unknown>)[step]
    }
    return value
  }

  #position([start, end]: Span, path: FieldPath): SourcePosition {
    return this.#lines.position(start, end, this.#marks.valueSpan(this.#marks.find(objectPath(path)).mark))
  }
}

/** The text of a line, counted from 1, of a literal block scalar; undefined: this is none, or has no such line. */
function findBlockLine(text: string, [start, end]: Span, line: number): Span | undefined {
  if (text[start] !== '|') return undefined
  let at = start
  for (let count = 0; count < line; count++) {
    at = text.indexOf('\n', at) + 1
    if (at === 0 || at >= end) return undefined
  }
  const next = text.indexOf('\n', at)
  const lineEnd = next < 0 || next > end ? end : next
  while (at < lineEnd - 1 && text[at] === ' ') at++
  return [at, lineEnd]
}

/** The path of the object that holds a field: the document, or an item of a list of objects. */
function objectPath(path: FieldPath): FieldPath {
  let length = 0
  while (path[length] === 'items' && typeof path[length + 1] === 'number') length += 2
  return path.slice(0, length)
}
