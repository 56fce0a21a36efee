/** Smooth weighted round robin (nginx's algorithm): each pick in proportion to the weights, spread as evenly as they allow. HOT */

type Candidate = Readonly<{ key: string; weight: number }>

/** What one upstream's rotation remembers from pick to pick and from snapshot to snapshot; shared by all its pools. */
export class Rotation {
  /** How many picks were made among equal weights. */
  turn: number = 0
  /** For unequal weights: nginx's current_weight by endpoint. */
  readonly current: Map<string, number> = new Map()
}

/** Chooses among fixed candidates; those of weight 0 are never chosen. */
export class RoundRobin<T extends Candidate> {
  readonly #candidates: readonly T[]
  readonly #rotation: Rotation
  readonly #equal: boolean

  constructor(candidates: readonly T[], rotation: Rotation) {
    this.#candidates = candidates.filter((candidate) => candidate.weight > 0)
    this.#rotation = rotation
    const weight = this.#candidates[0]?.weight
    this.#equal = this.#candidates.every((candidate) => candidate.weight === weight)
    const keys = new Set(this.#candidates.map((candidate) => candidate.key))
    for (const key of rotation.current.keys()) if (!keys.has(key)) rotation.current.delete(key)
  }

  get size(): number {
    return this.#candidates.length
  }

  /** The next candidate; undefined if there is none. */
  next(): T | undefined {
    return this.#equal ? this.#nextEqual() : this.#nextWeighted()
  }

  /** A candidate for another try of the same request, where `skip` is false. Turns nobody's order: the next request gets whom it would have got. */
  another(skip: (candidate: T) => boolean): T | undefined {
    const candidates = this.#candidates
    for (let step = 0; step < candidates.length; step++) {
      const candidate = candidates[(this.#rotation.turn + step) % candidates.length]!
      if (!skip(candidate)) return candidate
    }
    return undefined
  }

  #nextEqual(): T | undefined {
    const rotation = this.#rotation
    const candidate = this.#candidates[rotation.turn % this.#candidates.length]
    rotation.turn = (rotation.turn + 1) % Number.MAX_SAFE_INTEGER
    return candidate
  }

  #nextWeighted(): T | undefined {
    const { current } = this.#rotation
    let best: T | undefined
    let bestWeight = Number.NEGATIVE_INFINITY
    let total = 0
    for (const candidate of this.#candidates) {
      const weight = (current.get(candidate.key) ?? 0) + candidate.weight
      current.set(candidate.key, weight)
      total += candidate.weight
      if (weight > bestWeight) {
        best = candidate
        bestWeight = weight
      }
    }
    if (best) current.set(best.key, bestWeight - total)
    return best
  }
}
