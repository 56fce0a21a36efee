/** A ring of points: a key belongs to the endpoint of the next point at or after the key's hash (Karger et al.; ketama). HOT */
import type { Candidate } from '../candidates.ts'
import { hashText, mixBits } from './text-hash.ts'

/** What a table needs of a candidate. */
export type HashedPlace = Pick<Candidate, 'key' | 'weight'>

/** An order of the candidates that depends on the key. */
export type HashTable = {
  /** Visits candidates by index, first the owner of the key, until `accept` takes one; -1 if it takes none. */
  find(hash: number, accept: (candidate: number) => boolean): number
}

/** Points of an endpoint for each unit of weight, and most points of all endpoints: beyond, the points are halved. */
const POINTS = 160
const MAX_POINTS = 131_072
const SEED = 0x9e3779b9

export class Ring implements HashTable {
  readonly #size: number
  /** The points in ascending order, and in `#owners` the candidate of each. */
  readonly #points: Uint32Array
  readonly #owners: Uint32Array

  constructor(candidates: readonly HashedPlace[]) {
    this.#size = candidates.length
    // An endpoint's number of points depends on its weight alone, so that endpoints which come and go do not move points of others.
    let perWeight = POINTS
    const totalWeight = candidates.reduce((total, { weight }) => total + weight, 0)
    while (totalWeight * perWeight > MAX_POINTS) perWeight /= 2
    const counts = candidates.map(({ weight }) => Math.max(1, Math.round(weight * perWeight)))
    const total = counts.reduce((sum, count) => sum + count, 0)
    // Point and owner are packed into one number: sorting numbers is far faster than sorting pairs.
    const packed = new Float64Array(total)
    const ranks = rankByKey(candidates)
    let at = 0
    candidates.forEach(({ key }, owner) => {
      const base = hashText(key, SEED)
      // The rank makes the same owner win among equal points, whatever the order of the candidates.
      for (let point = 0; point < counts[owner]!; point++) {
        packed[at++] = mixBits(base + Math.imul(point, SEED)) * 2 ** 20 + ranks.rankOf[owner]!
      }
    })
    packed.sort()
    this.#points = new Uint32Array(total)
    this.#owners = new Uint32Array(total)
    for (let index = 0; index < total; index++) {
      const value = packed[index]!
      this.#points[index] = Math.floor(value / 2 ** 20)
      this.#owners[index] = ranks.byRank[value % 2 ** 20]!
    }
  }

  find(hash: number, accept: (candidate: number) => boolean): number {
    const owners = this.#owners
    const count = owners.length
    if (count === 0) return -1
    const start = this.#search(hash)
    const first = owners[start % count]!
    if (accept(first)) return first
    const refused = new Set([first])
    for (let step = 1; step < count && refused.size < this.#size; step++) {
      const owner = owners[(start + step) % count]!
      if (refused.has(owner)) continue
      if (accept(owner)) return owner
      refused.add(owner)
    }
    return -1
  }

  /** The first point at or after this hash. */
  #search(hash: number): number {
    const points = this.#points
    let low = 0
    let high = points.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (points[middle]! < hash) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** An order of the candidates by their keys alone: the rank of each candidate, and the candidate of each rank. */
export function rankByKey(candidates: readonly HashedPlace[]): { rankOf: Uint32Array; byRank: Uint32Array } {
  const byRank = Uint32Array.from(candidates.keys()).sort((one, other) =>
    candidates[one]!.key < candidates[other]!.key ? -1 : 1,
  )
  const rankOf = new Uint32Array(candidates.length)
  byRank.forEach((candidate, rank) => {
    rankOf[candidate] = rank
  })
  return { rankOf, byRank }
}
