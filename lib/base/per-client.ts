/** One entry for each client (base/client-network), kept until it is empty. HOT */
import { flattenText } from './flat-text.ts'

/** The table is swept for empty entries when it first has this many. */
const FIRST_SWEEP = 64

export class PerClient<T extends { readonly isEmpty: boolean }> {
  readonly #create: () => T
  #byClient = new Map<string, T>()
  #sweepAt = FIRST_SWEEP

  constructor(create: () => T) {
    this.#create = create
  }

  /** The client's entry. Do not keep it: once empty it may be replaced by another object. */
  find(client: string): T {
    let found = this.#byClient.get(client)
    if (found === undefined) {
      if (this.#byClient.size >= this.#sweepAt) this.#sweep()
      found = this.#create()
      // A text cut out of the head of a request would keep the whole head.
      this.#byClient.set(flattenText(client), found)
    }
    return found
  }

  values(): Iterable<T> {
    return this.#byClient.values()
  }

  /** Copies the entries in use into a new table: a table with many deletions keeps the deleted entries alive until a full collection. */
  #sweep(): void {
    const used = [...this.#byClient].filter(([, each]) => !each.isEmpty)
    this.#byClient = new Map(used)
    this.#sweepAt = FIRST_SWEEP + 2 * used.length
  }
}

/** The counter of one client. */
export class ClientCount {
  value: number = 0

  get isEmpty(): boolean {
    return this.value === 0
  }
}
