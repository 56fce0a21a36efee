/**
 * Numbers and addresses that are allocated to Services. An allocation stays as long as its Service, and some days longer: a file
 * that breaks for a while must not change ports. A new allocation is searched from a number derived from the Service's name, so
 * that most Services get the same number again even without a record.
 */

/** `goneAt`: the time when its Service disappeared, in milliseconds since the epoch. */
export type Allocation = Readonly<{ value: string; goneAt?: number }>

/** Allocations by purpose: `NodePort default/web:80`, `ClusterIP default/web`. Values are numbers or addresses, as text. */
export type Allocations = ReadonlyMap<string, Allocation>

export type AllocationKind = 'NodePort' | 'ClusterIP' | 'LoadBalancer'

export const NO_ALLOCATIONS: Allocations = new Map()

/** Milliseconds for which the allocation of a missing Service is kept. */
const KEEP_GONE_MS = 7 * 86_400_000
/** Most allocations kept for missing Services: those that disappeared last. */
const MAX_GONE = 4096

/** Numbers from 0 to `size`. Those below `band` are left for manifests that write them, as long as there are others (S34). */
export class NumberSpace {
  readonly size: number
  readonly #band: number
  readonly #taken = new Set<number>()
  /** Searches without a result. They need no repetition, since no number becomes free while numbers are handed out. */
  readonly #exhausted = new Set<number>()

  constructor(size: number, band: number) {
    this.size = size
    this.#band = band
  }

  has(number: number): boolean {
    return number >= 0 && number < this.size
  }

  isTaken(number: number): boolean {
    return this.#taken.has(number)
  }

  take(number: number): void {
    this.#taken.add(number)
  }

  /** Takes a free number; reserved numbers and those of the band come last. Undefined if none is free. */
  find(key: string, reserved: ReadonlySet<number>): number | undefined {
    const free = (number: number): boolean => !this.#taken.has(number)
    const unreserved = (number: number): boolean => !this.#taken.has(number) && !reserved.has(number)
    const upper = [this.#band, this.size - this.#band] as const
    const lower = [0, this.#band] as const
    for (const [index, [[from, size], isFree]] of (
      [
        [upper, unreserved],
        [upper, free],
        [lower, unreserved],
        [lower, free],
      ] as const
    ).entries()) {
      if (size === 0 || this.#exhausted.has(index)) continue
      const start = hash(key) % size
      for (let step = 0; step < size; step++) {
        const number = from + ((start + step) % size)
        if (!isFree(number)) continue
        this.#taken.add(number)
        return number
      }
      this.#exhausted.add(index)
    }
    return undefined
  }
}

/** The size of the band of low numbers that is left for manifests: this part of the space, 16 to `most` (S34). */
export function findStaticBand(size: number, part: number, most: number): number {
  return size <= 16 ? 0 : Math.min(Math.max(16, Math.floor(size / part)), most)
}

/** The notation of the numbers of a space. */
export type Notation = Readonly<{ print: (number: number) => string; parse: (value: string) => number | undefined }>

/** The record of allocations: the earlier ones, and those of the present configuration. */
export class Ledger {
  readonly #before: Allocations
  readonly #now = new Map<string, Allocation>()
  /** The number of unchanged entries in `#now`. */
  #same = 0

  constructor(before: Allocations) {
    this.#before = before
  }

  /**
   * Gives each name a number of its own: its earlier number if that is free, or a free one, in the order of the names. Names
   * without a number are missing in the result.
   */
  allocate(
    kind: AllocationKind,
    names: readonly string[],
    space: NumberSpace,
    { print, parse }: Notation,
  ): ReadonlyMap<string, number> {
    const found = new Map<string, number>()
    const left: string[] = []
    for (const name of names) {
      const key = `${kind} ${name}`
      const known = this.#before.get(key)
      const number = known === undefined ? undefined : parse(known.value)
      if (known === undefined || number === undefined || !space.has(number) || space.isTaken(number)) {
        left.push(name)
        continue
      }
      space.take(number)
      found.set(name, number)
      if (known.goneAt === undefined) this.#same++
      this.#now.set(key, known.goneAt === undefined ? known : { value: known.value })
    }
    if (left.length === 0) return found
    const reserved = this.#findReserved(kind, new Set(names), parse)
    for (const name of left) {
      const number = space.find(name, reserved)
      if (number === undefined) continue
      found.set(name, number)
      this.#now.set(`${kind} ${name}`, { value: print(number) })
    }
    return found
  }

  /** The allocations to keep for the next time; the same object as before if unchanged. `now` is in milliseconds since the epoch. */
  close(now: number): Allocations {
    if (this.#same === this.#now.size && this.#same === this.#before.size) return this.#before
    const gone: [string, Allocation & { goneAt: number }][] = []
    let isChanged = this.#same < this.#now.size
    for (const [key, { value, goneAt }] of this.#before) {
      if (this.#now.has(key)) continue
      isChanged ||= goneAt === undefined
      if (now - (goneAt ?? now) < KEEP_GONE_MS) gone.push([key, { value, goneAt: goneAt ?? now }])
      else isChanged = true
    }
    if (!isChanged && gone.length <= MAX_GONE) return this.#before
    if (gone.length > MAX_GONE) gone.sort(([, a], [, b]) => b.goneAt - a.goneAt)
    return new Map([...this.#now, ...gone.slice(0, MAX_GONE)])
  }

  /** The numbers reserved for names that are missing at present. */
  #findReserved(kind: AllocationKind, names: ReadonlySet<string>, parse: Notation['parse']): ReadonlySet<number> {
    const reserved = new Set<number>()
    const prefix = `${kind} `
    for (const [key, { value }] of this.#before) {
      if (!key.startsWith(prefix) || names.has(key.slice(prefix.length))) continue
      const number = parse(value)
      if (number !== undefined) reserved.add(number)
    }
    return reserved
  }
}

/** FNV-1a of 32 bits, with a final mix that spreads names which differ only in their last letter. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  return (value ^ (value >>> 13)) >>> 0
}
