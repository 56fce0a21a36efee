/** What filters remember of one request until it ends, or of one connection until it is closed. HOT */

/** Each filter of a route has keys of its own. */
export class NoteKey<T> {
  /** Never there: it ties the key to the type of its notes. */
  declare readonly value: T
}

/** There are so few of them that they are gone through one by one, which costs less than a table of weak references. */
export class Notes {
  /** The first note needs no list, and mostly there is no other. */
  #key: NoteKey<unknown> | undefined = undefined
  #value: unknown = undefined
  /** Keys and values of the others in turn. */
  #others: unknown[] | undefined = undefined

  get<T>(key: NoteKey<T>): T | undefined {
    if (this.#key === key) return this.#value as T
    const at = this.#others?.indexOf(key) ?? -1
    return at < 0 ? undefined : (this.#others![at + 1] as T)
  }

  set<T>(key: NoteKey<T>, value: T): void {
    this.#key ??= key
    if (this.#key === key) {
      this.#value = value
      return
    }
    this.#others ??= []
    const at = this.#others.indexOf(key)
    if (at < 0) this.#others.push(key, value)
    else this.#others[at + 1] = value
  }
}
