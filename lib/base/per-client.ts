/** Something for each client (base/client-network), kept while there is anything in it. HOT */

/** So many are looked through for empty ones, the first time. */
const FIRST_SWEEP = 64

export class PerClient<T extends { readonly isEmpty: boolean }> {
  readonly #create: () => T
  #byClient = new Map<string, T>()
  #sweepAt = FIRST_SWEEP

  constructor(create: () => T) {
    this.#create = create
  }

  /** An empty one may be another object the next time. */
  find(client: string): T {
    let found = this.#byClient.get(client)
    if (found === undefined) {
      if (this.#byClient.size >= this.#sweepAt) this.#sweep()
      found = this.#create()
      this.#byClient.set(client, found)
    }
    return found
  }

  values(): Iterable<T> {
    return this.#byClient.values()
  }

  /** Into a new table: one from which most was deleted keeps what was in it alive until a full collection. */
  #sweep(): void {
    const used = [...this.#byClient].filter(([, each]) => !each.isEmpty)
    this.#byClient = new Map(used)
    this.#sweepAt = FIRST_SWEEP + 2 * used.length
  }
}

/** How many of something a client has. */
export class ClientCount {
  value: number = 0

  get isEmpty(): boolean {
    return this.value === 0
  }
}
