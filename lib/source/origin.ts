/** The origin of one document: answers where a field stands from its marks and the text they point into. */
import type { FieldPath, Origin, SourcePosition } from '../base/position.ts'
import type { SourceLines } from './lines.ts'
import { type MarkData, MarkTable, type Span } from './marks.ts'

export class DocumentOrigin implements Origin {
  #lines: SourceLines
  #data: MarkData
  #marks: MarkTable

  constructor(lines: SourceLines, marks: MarkData) {
    this.#lines = lines
    this.#data = marks
    this.#marks = new MarkTable(marks, lines.text)
  }

  /** Where the document begins in the text of its file. */
  get start(): number {
    return this.#data.start
  }

  /** The same document on the same lines of a later text: what it answers stays, and the earlier text need not. */
  move(lines: SourceLines, start: number): void {
    this.#lines = lines
    this.#data = { ...this.#data, start }
    this.#marks = new MarkTable(this.#data, lines.text)
  }

  get file(): string {
    return this.#lines.file
  }

  locate(path: FieldPath): SourcePosition {
    const { mark, found } = this.#marks.find(path)
    const [start, end] = this.#marks.valueSpan(mark)
    // An empty value and a missing field are both shown at the key of what is there.
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

  #position([start, end]: Span, path: FieldPath): SourcePosition {
    return this.#lines.position(start, end, this.#marks.valueSpan(this.#marks.find(objectPath(path)).mark))
  }
}

/** The object that a field is in: the document, or an item of a list of objects. */
function objectPath(path: FieldPath): FieldPath {
  let length = 0
  while (path[length] === 'items' && typeof path[length + 1] === 'number') length += 2
  return path.slice(0, length)
}
