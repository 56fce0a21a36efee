/** What filters remember of one request until it ends, or of one connection until it is closed. HOT */

/** Each filter of a route has keys of its own. */
export class NoteKey<T> {
  /** Never there: it ties the key to the type of its notes. */
  declare readonly value: T
}

/** There are so few of them that they are gone through one by one, which costs less than a table of weak references. */
export class Notes {
  /** Keys and values in turn. */
  readonly #entries: unknown[] = []

  get<T>(key: NoteKey<T>): T | undefined {
    const at = this.#entries.indexOf(key)
    return at < 0 ? undefined : (this.#entries[at + 1] as T)
  }

  set<T>(key: NoteKey<T>, value: T): void {
    const at = this.#entries.indexOf(key)
    if (at < 0) this.#entries.push(key, value)
    else this.#entries[at + 1] = value
  }
}
