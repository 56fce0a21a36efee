/** The last lines of the gateway's own log, for `portico logs`: those of requests are too many, and stand in the access log. */
import { ACCESS_MESSAGE, CONNECTION_MESSAGE } from './access-log.ts'

/** Most lines, and most characters of all of them together. */
const MOST_LINES = 1_000
const MOST_CHARACTERS = 1_048_576

/** A line as it was logged, JSON, with its number: the first of the process is 1. */
type Line = Readonly<{ number: number; text: string }>

/** pino writes the message last. */
const PASSED_OVER = [ACCESS_MESSAGE, CONNECTION_MESSAGE].map((message) => `"msg":${JSON.stringify(message)}}\n`)

export class RecentLines {
  #lines: Line[] = []
  #characters = 0
  #number = 0

  /** `line` is JSON, and ends with a line feed. */
  add(line: string): void {
    if (PASSED_OVER.some((end) => line.endsWith(end)) || line.length > MOST_CHARACTERS) return
    this.#lines.push({ number: ++this.#number, text: line.trimEnd() })
    this.#characters += line.length
    if (this.#lines.length > MOST_LINES || this.#characters > MOST_CHARACTERS) this.#forget()
  }

  /** The number of the last line; 0 before the first. */
  get last(): number {
    return this.#number
  }

  /** The lines behind that number which are still known; all of them where it is of a process before this one. */
  after(number: number): readonly string[] {
    const from = number > this.#number ? 0 : number
    return this.#lines.filter((line) => line.number > from).map(({ text }) => text)
  }

  /** A quarter at once, so that a line seldom costs more than itself. */
  #forget(): void {
    const kept = this.#lines.slice(Math.ceil(this.#lines.length / 4))
    this.#lines = kept
    this.#characters = kept.reduce((sum, { text }) => sum + text.length + 1, 0)
  }
}
