/** The same endpoint for the same key, as long as it is there and not far busier than the others. HOT */
import type { EndpointState, LoadObserver } from '../../endpoint/endpoint.ts'
import type { PickContext } from '../pick-context.ts'
import { type Balancer, type Candidate, isOpen } from './balancer.ts'
import type { HashKey } from './hash-key.ts'
import { watchLoad } from './load-watch.ts'
import { Maglev } from './maglev.ts'
import { type HashTable, Ring } from './ring.ts'
import { hashText } from './text-hash.ts'

export type ConsistentHashOptions = Readonly<{
  key: HashKey
  table: 'ring' | 'maglev'
  /** In percent of the average; 0 is no bound. */
  boundedLoad: number
}>

const SEED = 0x2f0b4c47
/** Below so many requests at once an endpoint is not passed over: with little traffic the average says nothing. */
const FREE_LOAD = 8

/**
 * With bounded loads (Mirrokni et al.): no endpoint gets more than `boundedLoad` of the average of all by weight, the request
 * counted; who is passed over keeps all its other keys.
 */
export class ConsistentHash implements Balancer, LoadObserver {
  readonly #candidates: readonly Candidate[]
  readonly #key: HashKey
  readonly #table: HashTable
  readonly #factor: number
  readonly #totalWeight: number
  #inFlight = 0
  #tried: readonly EndpointState[] = []

  constructor(candidates: readonly Candidate[], { key, table, boundedLoad }: ConsistentHashOptions) {
    this.#candidates = candidates
    this.#key = key
    this.#table = table === 'maglev' ? new Maglev(candidates) : new Ring(candidates)
    this.#factor = boundedLoad === 0 ? 0 : Math.max(1, boundedLoad / 100)
    this.#totalWeight = candidates.reduce((total, { weight }) => total + weight, 0)
    if (this.#factor === 0) return
    for (const { state } of candidates) this.#inFlight += state.inFlight
    watchLoad(candidates, this)
  }

  pick(context: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    return this.pickFor(this.#key(context), tried)
  }

  /** The one for this key. */
  pickFor(key: string, tried: readonly EndpointState[]): Candidate | undefined {
    const hash = hashText(key, SEED)
    this.#tried = tried
    // All may be too busy at once where some are passed over for another reason.
    const found = this.#table.find(hash, this.#accept)
    const at = found < 0 && this.#factor > 0 ? this.#table.find(hash, this.#acceptBusy) : found
    return this.#candidates[at]
  }

  onLoad(_slot: number, delta: number): void {
    this.#inFlight += delta
  }

  #accept = (at: number): boolean => {
    const candidate = this.#candidates[at]!
    return isOpen(candidate, this.#tried) && (this.#factor === 0 || !this.#isBusy(candidate))
  }

  #acceptBusy = (at: number): boolean => isOpen(this.#candidates[at]!, this.#tried)

  #isBusy({ state, weight }: Candidate): boolean {
    if (state.inFlight < FREE_LOAD) return false
    return state.inFlight >= Math.ceil((this.#factor * (this.#inFlight + 1) * weight) / this.#totalWeight)
  }
}
