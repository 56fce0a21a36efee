/** Lets so many operations run at once; those beyond wait for their turn, in the order in which they came. */
export class Turns {
  readonly #limit: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Calls `run` when it is its turn. */
  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limit) this.#running++
    // An operation that ends hands its place over.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await run()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  /** What waits now never runs. */
  drop(): void {
    this.#waiting.length = 0
  }
}
