/** Several results of a look-up, each for its share of the requests. HOT */

/** 2³² divided by the golden ratio: its multiples modulo 2³² are spread evenly over the range, however many they are. */
const STEP = 0x9e3779b9
const RANGE = 2 ** 32

/**
 * Picks are spread evenly: after any number of them each value is within a few picks of its share, where chance would be off by the
 * square root of the number. Unlike taking turns, they fall into step with no pattern of requests. The first pick is a random one, so
 * that processes and configurations do not all begin with the same value.
 */
export class Split<R> {
  readonly values: readonly R[]
  readonly weights: readonly number[]
  /** Where the part of each value ends within the range. */
  readonly #ends: readonly number[]
  #point: number

  /** Weights are not negative, and at least one is positive. The picks go on from those of `before`. */
  constructor(values: readonly R[], weights: readonly number[], before?: Split<R>) {
    this.values = values
    this.weights = weights
    this.#point = before === undefined ? Math.floor(Math.random() * RANGE) : before.#point
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    let sum = 0
    this.#ends = weights.map((weight) => {
      sum += weight
      return (sum / total) * RANGE
    })
  }

  pick(): R {
    this.#point = (this.#point + STEP) >>> 0
    let at = 0
    while (this.#point >= this.#ends[at]!) at++
    return this.values[at]!
  }
}
