/** Tells of trouble once, until there is none. */
export class Trouble {
  readonly #tell: (reason: string) => void
  #isTold = false

  constructor(tell: (reason: string) => void) {
    this.#tell = tell
  }

  meet(error: Error): void {
    if (!this.#isTold) this.#tell(error.message)
    this.#isTold = true
  }

  end(): void {
    this.#isTold = false
  }
}
