/**
 * What a reload spares: a part of the model is made again only where something it is made of is another object than the
 * last time. Unchanged parts keep their identity, so that comparing two models need not look into them.
 */

import { cutSame } from '../base/list.ts'

/** Parts that may be kept in vain. */
const SLACK = 256

type Entry<K, V> = {
  readonly key: K
  inputs: readonly unknown[]
  value: V
  round: number
  /** What was asked for after this in the round before: most likely it is again. */
  next: Entry<K, V> | undefined
}

/** Parts of one sort by key. Each depends on its key and `inputs` alone, diagnostics included. */
export class Memo<K, V> {
  readonly #entries = new Map<K, Entry<K, V>>()
  readonly #isEqual: ((a: V, b: V) => boolean) | undefined
  #round = 0
  #asked = 0
  #first: Entry<K, V> | undefined
  #last: Entry<K, V> | undefined

  /** With `isEqual`, what was made again and is equal keeps its identity all the same. */
  constructor(isEqual?: (a: V, b: V) => boolean) {
    this.#isEqual = isEqual
  }

  /** `make` is given what was made of other inputs before, where that is known. */
  get(key: K, inputs: readonly unknown[], make: (before: V | undefined) => V): V {
    const guess = this.#last === undefined ? this.#first : this.#last.next
    const known = guess?.key === key ? guess : this.#entries.get(key)
    if (known === undefined) {
      const entry = { key, inputs, value: make(undefined), round: -1, next: undefined }
      this.#entries.set(key, entry)
      this.#follow(entry)
      return entry.value
    }
    this.#follow(known)
    if (!isSameList(known.inputs, inputs)) {
      const value = make(known.value)
      if (!this.#isEqual?.(known.value, value)) known.value = value
      known.inputs = inputs
    }
    return known.value
  }

  /** Ends a round: what it did not ask for is forgotten, now or, where there is little of it, with more. */
  sweep(): void {
    if (this.#entries.size > this.#asked + Math.min(this.#asked / 16, SLACK)) {
      for (const [key, { round }] of this.#entries) if (round !== this.#round) this.#entries.delete(key)
    }
    // A round that asked for nothing leaves nothing to begin the next with.
    if (this.#last === undefined) this.#first = undefined
    else this.#last.next = undefined
    this.#round++
    this.#asked = 0
    this.#last = undefined
  }

  #follow(entry: Entry<K, V>): void {
    if (this.#last === undefined) this.#first = entry
    else if (this.#last !== entry) this.#last.next = entry
    this.#last = entry
    if (entry.round === this.#round) return
    entry.round = this.#round
    this.#asked++
  }
}

/** A list made item by item of another: the same item, under the same conditions, stays the same result. */
export class MappedList<T, U> {
  #items: readonly T[] = []
  #results: readonly U[] = []
  #inputs: readonly unknown[] = []

  /** `make` depends on the item and `inputs` alone; it is given what the item came to with other inputs, where that is known. */
  map(items: readonly T[], inputs: readonly unknown[], make: (item: T, before: U | undefined) => U): readonly U[] {
    const before = this.#results
    if (isSameList(this.#inputs, inputs)) {
      const { start, gone, come } = cutSame(this.#items, items)
      if (gone.length > 0 || come.length > 0) {
        const known = new Map(gone.map((item, index) => [item, before[start + index] as U]))
        const made = come.map((item) => known.get(item) ?? make(item, undefined))
        this.#results = before.slice(0, start).concat(made, before.slice(start + gone.length))
      }
    } else {
      const known = new Map(this.#items.map((item, index) => [item, before[index]]))
      const made = items.map((item) => make(item, known.get(item)))
      if (!isSameList(made, before)) this.#results = made
    }
    this.#items = items
    this.#inputs = inputs
    return this.#results
  }
}

/** The items of a list that pass a test; the list is gone through only where one that does came or went. */
export class Sieve<T> {
  readonly #passes: (item: T) => boolean
  #items: readonly T[] = []
  #found: readonly T[] = []

  /** `passes` depends on the item alone. */
  constructor(passes: (item: T) => boolean) {
    this.#passes = passes
  }

  filter(items: readonly T[]): readonly T[] {
    const { gone, come } = cutSame(this.#items, items)
    this.#items = items
    if (gone.some(this.#passes) || come.some(this.#passes)) this.#found = items.filter(this.#passes)
    return this.#found
  }
}

/** Sorts by key, quickly where the keys are those of the last time, or most of them. */
export class KeyOrder {
  readonly #compare: (a: string, b: string) => number
  #before: readonly string[] = []
  /** Which of `#before` comes where in their order. */
  #places: readonly number[] = []

  constructor(compare: (a: string, b: string) => number) {
    this.#compare = compare
  }

  /** Sorts `items`, of which each has a key of its own. */
  sort<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
    const keys = items.map(keyOf)
    if (!isSameList(keys, this.#before)) {
      this.#places = this.#order(keys)
      this.#before = keys
    }
    return this.#places.map((place) => items[place] as T)
  }

  /** Keys known from before go first, in their old order: what is nearly sorted is sorted quickly. */
  #order(keys: readonly string[]): readonly number[] {
    const left = new Map(keys.map((key, index) => [key, index]))
    const places: number[] = []
    for (const place of this.#places) {
      const key = this.#before[place] as string
      const index = left.get(key)
      if (index === undefined) continue
      places.push(index)
      left.delete(key)
    }
    return [...places, ...left.values()].sort((a, b) => this.#compare(keys[a] as string, keys[b] as string))
  }
}

/** The same members in the same order. */
export function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

const NONE: readonly never[] = Object.freeze([])

/** Lists that are kept in great number are most often empty: then it is one and the same. */
export function keepList<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NONE : list
}
