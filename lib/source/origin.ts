/** The origin of one document: answers where a field stands from its marks and the text they point into. */
import type { FieldPath, Origin, SourcePosition } from '../base/position.ts'
import type { SourceLines } from './lines.ts'
import { type MarkData, MarkTable } from './marks.ts'

export function createOrigin(lines: SourceLines, marks: MarkData): Origin {
  return new DocumentOrigin(lines, new MarkTable(marks, lines.text))
}

class DocumentOrigin implements Origin {
  readonly #lines: SourceLines
  readonly #marks: MarkTable

  constructor(lines: SourceLines, marks: MarkTable) {
    this.#lines = lines
    this.#marks = marks
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
