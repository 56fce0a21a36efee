/** The origin of one document: answers where a field stands from its marks and the text they point into. */
import type { FieldPath, Origin, SourcePosition } from '../base/position.ts'
import type { SourceLines } from './lines.ts'
import { type MarkData, MarkTable } from './marks.ts'

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
    return key ? this.#lines.position(...key) : this.#lines.position(start, end)
  }

  locateKey(path: FieldPath): SourcePosition {
    const { mark, found } = this.#marks.find(path)
    const key = found ? this.#marks.keySpan(mark) : undefined
    return key ? this.#lines.position(...key) : this.locate(path)
  }
}
