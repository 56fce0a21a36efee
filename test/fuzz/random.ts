/** Random choices that their seed repeats. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** An integer from 0 to below `limit` (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * limit)
  }

  /** True once in `often` times. */
  oneIn(often: number): boolean {
    return this.below(often) === 0
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!
  }

  /** Mostly the first list; once in `often` times the second. */
  mostly<T>(usual: readonly T[], often: number, odd: readonly T[]): T {
    return this.pick(this.oneIn(often) ? odd : usual)
  }

  /** `bytes` in up to `most` pieces, which may be empty of sense but not of bytes. */
  split(bytes: Buffer, most: number): Buffer[] {
    const cuts = new Set([0, bytes.length])
    for (let left = this.below(most); left > 0; left--) cuts.add(this.below(bytes.length + 1))
    const sorted = [...cuts].sort((a, b) => a - b)
    return sorted.slice(1).map((end, at) => bytes.subarray(sorted[at], end))
  }
}
