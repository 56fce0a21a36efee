/** How many there were of the last while, and of how many of them something holds. Costs a count, whatever its length. HOT */

/** The window moves in steps of this part of its length. */
const STEPS = 10

export class SlidingWindow {
  readonly #stepMs: number
  readonly #allBy: number[] = new Array<number>(STEPS).fill(0)
  readonly #someBy: number[] = new Array<number>(STEPS).fill(0)
  #step = 0
  #place = 0
  #all = 0
  #some = 0

  constructor(lengthMs: number) {
    this.#stepMs = lengthMs / STEPS
  }

  /** As of the last `turn`. */
  get all(): number {
    return this.#all
  }

  /** As of the last `turn`. */
  get some(): number {
    return this.#some
  }

  /** Lets go of what is too long ago; `now` by the monotonic clock. */
  turn(now: number): void {
    const step = Math.floor(now / this.#stepMs)
    if (step !== this.#step) this.#move(step)
  }

  countAll(): void {
    this.#all++
    this.#allBy[this.#place]!++
  }

  countSome(): void {
    this.#some++
    this.#someBy[this.#place]!++
  }

  #move(step: number): void {
    for (let left = Math.min(step - this.#step, STEPS); left > 0; left--) {
      const place = (this.#place + 1) % STEPS
      this.#place = place
      this.#all -= this.#allBy[place]!
      this.#some -= this.#someBy[place]!
      this.#allBy[place] = 0
      this.#someBy[place] = 0
    }
    this.#step = step
  }
}
