/** Admits so many in a second. HOT */
export class SecondGate {
  readonly #most: number
  #second = 0
  #count = 0

  constructor(most: number) {
    this.#most = most
  }

  /** `now` in milliseconds since the epoch. */
  admits(now: number): boolean {
    const second = Math.floor(now / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#count = 0
    }
    return ++this.#count <= this.#most
  }
}
