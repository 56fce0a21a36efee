/** State of a filter that outlives reloads for as long as it is made of the same. */
export class Kept<T> {
  #kept: Readonly<{ source: string; state: T }> | undefined

  /** `source` says what the state is made of: another one has state made anew. */
  find(source: string, make: () => T): T {
    if (this.#kept?.source !== source) this.#kept = { source, state: make() }
    return this.#kept.state
  }
}
