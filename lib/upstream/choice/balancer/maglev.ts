/** Maglev's table (Eisenbud et al., NSDI 2016, §3.4): every endpoint has its share of the slots, give or take one. HOT */
import { type HashedPlace, type HashTable, rankByKey } from './ring.ts'
import { hashText, mixBits } from './text-hash.ts'

/** Sizes of the table, both prime. The large one takes ten times as long to fill, and is for numbers of endpoints too large for the small one. */
const SMALL = 65_537
const LARGE = 655_373
const MAX_IN_SMALL = 2_000
const OFFSET_SEED = 0x51ed270b
const SKIP_SEED = 0x2545f491

export class Maglev implements HashTable {
  readonly #size: number
  readonly #table: Uint16Array | Uint32Array

  constructor(candidates: readonly HashedPlace[]) {
    this.#size = candidates.length
    this.#table = fill(candidates, candidates.length <= MAX_IN_SMALL ? SMALL : LARGE)
  }

  find(hash: number, accept: (candidate: number) => boolean): number {
    const table = this.#table
    if (this.#size === 0) return -1
    const start = hash % table.length
    const first = table[start]!
    if (accept(first)) return first
    const refused = new Set([first])
    // Visits further slots in an order that depends on the key, so that the keys of one endpoint spread over all others.
    for (let step = 1; step < table.length && refused.size < this.#size; step++) {
      const candidate = table[mixBits(hash + step) % table.length]!
      if (refused.has(candidate)) continue
      if (accept(candidate)) return candidate
      refused.add(candidate)
    }
    return -1
  }
}

/** Each candidate in turn takes the next free slot of its own permutation. Candidates below the largest weight skip some of their turns. */
function fill(candidates: readonly HashedPlace[], size: number): Uint16Array | Uint32Array {
  const free = candidates.length
  const table = (size === SMALL ? new Uint16Array(size) : new Uint32Array(size)).fill(free)
  if (candidates.length === 0) return table
  const { byRank } = rankByKey(candidates)
  const largest = candidates.reduce((most, { weight }) => Math.max(most, weight), 0)
  const next = Uint32Array.from(candidates, ({ key }) => hashText(key, OFFSET_SEED) % size)
  const skip = Uint32Array.from(candidates, ({ key }) => (hashText(key, SKIP_SEED) % (size - 1)) + 1)
  const owed = new Float64Array(candidates.length)
  let filled = 0
  for (;;) {
    for (const candidate of byRank) {
      owed[candidate] = owed[candidate]! + candidates[candidate]!.weight / largest
      if (owed[candidate]! < 1) continue
      owed[candidate] = owed[candidate]! - 1
      const stride = skip[candidate]!
      let place = next[candidate]!
      while (table[place] !== free) {
        place += stride
        if (place >= size) place -= size
      }
      table[place] = candidate
      next[candidate] = place
      filled++
      if (filled === size) return table
    }
  }
}
