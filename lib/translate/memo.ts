/**
 * What a reload spares: a part of the model is made again only where something it is made of is another object than the
 * last time. Unchanged parts keep their identity, so whoever compares two models need not look into them.
 */

type Entry<V> = { inputs: readonly unknown[]; value: V; round: number }

/** Parts of one sort by key. Each depends on its key and `inputs` alone, diagnostics included. */
export class Memo<K, V> {
  readonly #entries = new Map<K, Entry<V>>()
  readonly #isEqual: ((a: V, b: V) => boolean) | undefined
  #round = 0
  #asked = 0

  /** With `isEqual`, what was made again and is equal keeps its identity all the same. */
  constructor(isEqual?: (a: V, b: V) => boolean) {
    this.#isEqual = isEqual
  }

  get(key: K, inputs: readonly unknown[], make: () => V): V {
    const known = this.#entries.get(key)
    if (known === undefined) {
      const value = make()
      this.#entries.set(key, { inputs, value, round: this.#round })
      this.#asked++
      return value
    }
    if (known.round !== this.#round) {
      known.round = this.#round
      this.#asked++
    }
    if (!isSameList(known.inputs, inputs)) {
      const value = make()
      if (!this.#isEqual?.(known.value, value)) known.value = value
      known.inputs = inputs
    }
    return known.value
  }

  /** Ends a round: what it did not ask for is forgotten. */
  sweep(): void {
    if (this.#asked < this.#entries.size) {
      for (const [key, { round }] of this.#entries) if (round !== this.#round) this.#entries.delete(key)
    }
    this.#round++
    this.#asked = 0
  }
}

/** Sorts keys quickly that are mostly those of the last time: in their old order they need little more sorting. */
export class KeyOrder {
  readonly #compare: (a: string, b: string) => number
  #last: readonly string[] = []

  constructor(compare: (a: string, b: string) => number) {
    this.#compare = compare
  }

  sort(keyed: ReadonlyMap<string, unknown>): readonly string[] {
    const keys = this.#last.filter((key) => keyed.has(key))
    if (keys.length < keyed.size) {
      const known = new Set(keys)
      for (const key of keyed.keys()) if (!known.has(key)) keys.push(key)
    }
    this.#last = keys.sort(this.#compare)
    return keys
  }
}

/** The same members in the same order. */
export function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}
