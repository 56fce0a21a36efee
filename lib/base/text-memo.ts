/** What was found out about texts that clients choose. HOT */
import { flattenText } from './flat-text.ts'

/** Longer texts are found out about each time: few clients send them, and they would fill the memory. */
const LONGEST = 512

export class TextMemo<T> {
  readonly #known = new Map<string, T>()
  readonly #limit: number
  readonly #findOut: (text: string) => T

  /** It begins anew after `limit` texts. Texts are latin1. */
  constructor(limit: number, findOut: (text: string) => T) {
    this.#limit = limit
    this.#findOut = findOut
  }

  find(text: string): T {
    const known = this.#known.get(text)
    if (known !== undefined || this.#known.has(text)) return known as T
    if (text.length > LONGEST) return this.#findOut(text)
    // A text cut out of the head of a request would keep the whole head.
    const own = flattenText(text)
    const found = this.#findOut(own)
    if (this.#known.size >= this.#limit) this.#known.clear()
    this.#known.set(own, found)
    return found
  }
}
