/** What was found out about texts that clients choose. HOT */
import { flattenText } from './flat-text.ts'

/** Longer texts are found out about each time: few clients send them, and they would fill the memory. */
const LONGEST = 512

type Entry<T> = Readonly<{ text: string; found: T }>

export class TextMemo<T> {
  readonly #known = new Map<string, Entry<T>>()
  /** The text asked for before mostly comes again, and to compare it takes less than to look it up. */
  #last: Entry<T> | undefined = undefined
  readonly #limit: number
  readonly #findOut: (text: string) => T

  /** It begins anew after `limit` texts. Texts are latin1. */
  constructor(limit: number, findOut: (text: string) => T) {
    this.#limit = limit
    this.#findOut = findOut
  }

  find(text: string): T {
    if (this.#last?.text === text) return this.#last.found
    if (text.length > LONGEST) return this.#findOut(text)
    const entry = this.#known.get(text) ?? this.#learn(text)
    this.#last = entry
    return entry.found
  }

  #learn(text: string): Entry<T> {
    // A text cut out of the head of a request would keep the whole head.
    const own = flattenText(text)
    const entry = { text: own, found: this.#findOut(own) }
    if (this.#known.size >= this.#limit) this.#known.clear()
    this.#known.set(own, entry)
    return entry
  }
}
