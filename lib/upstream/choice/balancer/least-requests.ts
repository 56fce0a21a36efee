/** Chooses the endpoint with the fewest requests under way for its weight; equal endpoints take turns. HOT */
import type { EndpointState, LoadObserver } from '../../endpoint/endpoint.ts'
import type { PickContext } from '../pick-context.ts'
import { type Balancer, type Candidate, isOpen, type RandomSource } from './balancer.ts'
import { watchLoad } from './load-watch.ts'

const NONE = -1

/**
 * A heap of all candidates; each change of `inFlight` moves one of them, and a pick reads the top. Among equally busy candidates the
 * one whose last pick is longest ago comes first, measured by weight (stride scheduling).
 */
export class LeastRequests implements Balancer, LoadObserver {
  readonly #candidates: readonly Candidate[]
  /** The load of each candidate with one more request: requests under way by weight. */
  readonly #load: Float64Array
  /** The time of each candidate's next turn among equally busy ones. */
  readonly #pass: Float64Array
  readonly #heap: Int32Array
  /** The index of each candidate in the heap. */
  readonly #place: Int32Array
  #passNow = 0

  constructor(candidates: readonly Candidate[], random: RandomSource = Math.random) {
    const size = candidates.length
    this.#candidates = candidates
    this.#load = new Float64Array(size)
    this.#pass = new Float64Array(size)
    this.#heap = new Int32Array(size)
    this.#place = new Int32Array(size)
    for (let slot = 0; slot < size; slot++) {
      this.#load[slot] = this.#loadOf(slot)
      // A random start, so that workers and reloads do not all begin with the same endpoint.
      this.#pass[slot] = random() / candidates[slot]!.weight
      this.#heap[slot] = slot
      this.#place[slot] = slot
    }
    for (let at = (size >> 1) - 1; at >= 0; at--) this.#sink(at)
    watchLoad(candidates, this)
  }

  pick(_context: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    const at = this.#findOpen(0, tried)
    if (at === NONE) return undefined
    const slot = this.#heap[at]!
    const candidate = this.#candidates[slot]!
    const pass = Math.max(this.#pass[slot]!, this.#passNow)
    this.#passNow = pass
    this.#pass[slot] = pass + 1 / candidate.weight
    this.#sink(at)
    return candidate
  }

  onLoad(slot: number, delta: number): void {
    this.#load[slot] = this.#loadOf(slot)
    if (delta > 0) this.#sink(this.#place[slot]!)
    else this.#rise(this.#place[slot]!)
  }

  #loadOf(slot: number): number {
    const { state, weight } = this.#candidates[slot]!
    return state.inFlight / weight
  }

  /** The first candidate at or below `at` in the heap that may be chosen. */
  #findOpen(at: number, tried: readonly EndpointState[]): number {
    const heap = this.#heap
    if (at >= heap.length) return NONE
    if (isOpen(this.#candidates[heap[at]!]!, tried)) return at
    const left = this.#findOpen(2 * at + 1, tried)
    const right = this.#findOpen(2 * at + 2, tried)
    if (left === NONE || right === NONE) return Math.max(left, right)
    return this.#isBefore(heap[right]!, heap[left]!) ? right : left
  }

  #isBefore(slot: number, other: number): boolean {
    const load = this.#load[slot]!
    const otherLoad = this.#load[other]!
    return load < otherLoad || (load === otherLoad && this.#pass[slot]! < this.#pass[other]!)
  }

  #sink(start: number): void {
    const heap = this.#heap
    const size = heap.length
    const slot = heap[start]!
    let at = start
    for (;;) {
      const left = 2 * at + 1
      if (left >= size) break
      const right = left + 1
      const child = right < size && this.#isBefore(heap[right]!, heap[left]!) ? right : left
      if (!this.#isBefore(heap[child]!, slot)) break
      this.#put(heap[child]!, at)
      at = child
    }
    this.#put(slot, at)
  }

  #rise(start: number): void {
    const heap = this.#heap
    const slot = heap[start]!
    let at = start
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(slot, heap[parent]!)) break
      this.#put(heap[parent]!, at)
      at = parent
    }
    this.#put(slot, at)
  }

  #put(slot: number, at: number): void {
    this.#heap[at] = slot
    this.#place[slot] = at
  }
}
