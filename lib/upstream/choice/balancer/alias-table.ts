/** Draws by weight at constant cost (Vose's alias method). HOT */
import type { RandomSource } from './balancer.ts'

export class AliasTable {
  readonly #random: RandomSource
  /** The share of each slot that belongs to its own entry; the rest belongs to its alias. */
  readonly #own: Float64Array
  readonly #alias: Int32Array

  /** All weights must be above 0. */
  constructor(weights: readonly number[], random: RandomSource) {
    const size = weights.length
    this.#random = random
    this.#own = new Float64Array(size)
    this.#alias = new Int32Array(size)
    let total = 0
    for (const weight of weights) total += weight
    const small: number[] = []
    const large: number[] = []
    weights.forEach((weight, at) => {
      this.#own[at] = (weight * size) / total
      this.#alias[at] = at
      if (this.#own[at]! < 1) small.push(at)
      else large.push(at)
    })
    while (small.length > 0 && large.length > 0) {
      const poor = small.pop()!
      const rich = large.at(-1)!
      this.#alias[poor] = rich
      this.#own[rich] = this.#own[rich]! + this.#own[poor]! - 1
      if (this.#own[rich]! < 1) small.push(large.pop()!)
    }
    // The remaining slots would be full without rounding errors.
    for (const at of [...small, ...large]) this.#own[at] = 1
  }

  /** Draws an index in proportion to the weights; -1 if the table is empty. */
  draw(): number {
    const size = this.#own.length
    if (size === 0) return -1
    const drawn = this.#random() * size
    const at = Math.floor(drawn)
    return drawn - at < this.#own[at]! ? at : this.#alias[at]!
  }
}
