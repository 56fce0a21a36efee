/** The same endpoint for the same key, as long as it exists and is not far busier than the others. HOT */
import type { EndpointState, LoadObserver } from '../../endpoint/endpoint.ts'
import type { PickContext } from '../pick-context.ts'
import { type Balancer, type Candidate, isOpen, type RandomSource } from './balancer.ts'
import type { HashKey } from './hash-key.ts'
import { watchLoad } from './load-watch.ts'
import { Maglev } from './maglev.ts'
import { type HashedPlace, type HashTable, Ring } from './ring.ts'
import { hashText } from './text-hash.ts'

export type ConsistentHashOptions = Readonly<{
  key: HashKey
  table: 'ring' | 'maglev'
  /** In percent of the average; 0 means no bound. */
  boundedLoad: number
  /** Endpoints that share the requests of a key. */
  subset: number
}>

const SEED = 0x2f0b4c47
/** With fewer requests at once an endpoint is never passed over: with little traffic the average means nothing. */
const FREE_LOAD = 8
const NONE = -1

function createTable(places: readonly HashedPlace[], table: ConsistentHashOptions['table']): HashTable {
  return table === 'maglev' ? new Maglev(places) : new Ring(places)
}

/** The index of the place that a key belongs to, while none is full or too busy; -1 if there are none. */
export function findOwner(places: readonly HashedPlace[], table: ConsistentHashOptions['table'], key: string): number {
  return createTable(places, table).find(hashText(key, SEED), () => true)
}

/**
 * Consistent hashing with bounded loads (Mirrokni et al.): no endpoint gets more than `boundedLoad` of the average load by weight, with
 * this request counted. An endpoint that is passed over keeps its other keys. Where several endpoints share a key, they are the first
 * of the key's order that may be chosen, and each request goes to the least busy of them by weight; equally busy ones are drawn.
 */
export class ConsistentHash implements Balancer, LoadObserver {
  readonly #candidates: readonly Candidate[]
  readonly #key: HashKey
  readonly #table: HashTable
  readonly #factor: number
  readonly #totalWeight: number
  readonly #subset: number
  readonly #random: RandomSource
  #inFlight = 0
  #tried: readonly EndpointState[] = []
  /** Of the subset of the pick under way: how many were found, how many of these are as idle as the best, and the one to be taken. */
  #found = 0
  #equals = 0
  #best = NONE

  constructor(
    candidates: readonly Candidate[],
    { key, table, boundedLoad, subset }: ConsistentHashOptions,
    random: RandomSource = Math.random,
  ) {
    this.#candidates = candidates
    this.#key = key
    this.#table = createTable(candidates, table)
    this.#subset = subset
    this.#random = random
    this.#factor = boundedLoad === 0 ? 0 : Math.max(1, boundedLoad / 100)
    this.#totalWeight = candidates.reduce((total, { weight }) => total + weight, 0)
    if (this.#factor === 0) return
    for (const { state } of candidates) this.#inFlight += state.inFlight
    watchLoad(candidates, this)
  }

  pick(context: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    return this.pickFor(this.#key(context), tried)
  }

  /** The candidate for this key. */
  pickFor(key: string, tried: readonly EndpointState[]): Candidate | undefined {
    const hash = hashText(key, SEED)
    this.#tried = tried
    // If some candidates do not take requests, all others may be too busy.
    const found = this.#find(hash, this.#accept)
    const at = found === NONE && this.#factor > 0 ? this.#find(hash, this.#acceptBusy) : found
    return this.#candidates[at]
  }

  #find(hash: number, accept: (at: number) => boolean): number {
    if (this.#subset === 1) return this.#table.find(hash, accept)
    this.#found = 0
    this.#best = NONE
    this.#table.find(hash, (at) => accept(at) && this.#compare(at))
    return this.#best
  }

  /** True for the last of the subset. */
  #compare(at: number): boolean {
    const load = this.#loadOf(at)
    const least = this.#best === NONE ? Number.POSITIVE_INFINITY : this.#loadOf(this.#best)
    if (load < least) this.#equals = 1
    else if (load === least) this.#equals++
    if (load < least || (load === least && this.#random() * this.#equals < 1)) this.#best = at
    return ++this.#found === this.#subset
  }

  #loadOf(at: number): number {
    const { state, weight } = this.#candidates[at]!
    return state.inFlight / weight
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
