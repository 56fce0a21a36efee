/** Keeps a client with its endpoint, by its address or by a cookie. HOT */
import type { Clock } from '../../base/clock.ts'
import { GatewayError, overloaded } from '../../base/errors.ts'
import { findCookie } from '../../http1/cookie.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { EndpointState } from '../endpoint/endpoint.ts'
import { isOpen } from './balancer/balancer.ts'
import { ConsistentHash } from './balancer/consistent-hash.ts'
import type { Candidate, CandidateTier } from './candidates.ts'
import type { ClientTable } from './client-table.ts'
import type { PickContext } from './pick-context.ts'
import {
  type CookieContext,
  type CookieSigner,
  composeSetCookie,
  isSame,
  nameCookie,
  readId,
} from './session-cookie.ts'

/** What the lines of an answer may depend on. */
export type AnswerContext = Pick<PickContext, 'header'> & CookieContext

export type Affinity = {
  /** The endpoint of this client, undefined where any will do, or why there is none for it. */
  find(context: PickContext, tried: readonly EndpointState[]): Candidate | GatewayError | undefined
  /** One for a client that has none; undefined where the balancer is to choose. */
  assign(context: PickContext, tried: readonly EndpointState[]): Candidate | undefined
  /** What the answer of this endpoint tells the client besides. */
  answerLines(context: AnswerContext, state: EndpointState): string
}

type AffinityPolicy = UpstreamPolicy['affinity']

/** By number of the tier. */
type Place = Readonly<{ candidate: Candidate; tier: number }>

/** True if an endpoint of an earlier tier can be had again, so that clients that were given a later one come back. */
function isSurpassed(tiers: readonly CandidateTier[], tier: number, tried: readonly EndpointState[]): boolean {
  for (let before = 0; before < tier; before++) if (tiers[before]!.some((each) => isOpen(each, tried))) return true
  return false
}

function listPlaces(tiers: readonly CandidateTier[], nameOf: (candidate: Candidate) => string): Map<string, Place> {
  return new Map(
    tiers.flatMap((candidates, tier) =>
      candidates.map((candidate): [string, Place] => [nameOf(candidate), { candidate, tier }]),
    ),
  )
}

/** The endpoints that clients are kept with, though none of them may be chosen at the moment. */
function listKept({ onDead }: AffinityPolicy, ready: readonly EndpointState[]): readonly EndpointState[] {
  return onDead === 'keep' ? ready : []
}

/** An endpoint that only lacks room is waited for. */
function refuse(upstream: UpstreamKey, place: Place | undefined, tried: readonly EndpointState[]): GatewayError {
  if (place && !tried.includes(place.candidate.state)) {
    return overloaded(`${upstream}: the endpoint of this client is full`, 0)
  }
  return new GatewayError('PORTICO_UP_AFFINITY_LOST', `${upstream}: the endpoint of this client cannot be had`)
}

/**
 * `sessionAffinity: ClientIP` (S24). A client that is not remembered gets the endpoint that its address hashes to, so workers that
 * share nothing, and a gateway that was started anew, mostly agree; what is remembered outlives the coming of other endpoints.
 */
export class ClientAffinity implements Affinity {
  readonly #upstream: UpstreamKey
  readonly #policy: AffinityPolicy
  readonly #tiers: readonly CandidateTier[]
  readonly #table: ClientTable
  readonly #clock: Clock
  readonly #places: ReadonlyMap<string, Place>
  /** Keys of endpoints whose clients get no other one. */
  readonly #kept: ReadonlySet<string>
  readonly #hashes: (ConsistentHash | undefined)[] = []

  /** `ready` are the endpoints that are ready, in good health or not. */
  constructor(
    upstream: UpstreamKey,
    policy: AffinityPolicy,
    tiers: readonly CandidateTier[],
    ready: readonly EndpointState[],
    table: ClientTable,
    clock: Clock,
  ) {
    this.#upstream = upstream
    this.#policy = policy
    this.#tiers = tiers
    this.#table = table
    this.#clock = clock
    this.#places = listPlaces(tiers, ({ key }) => key)
    this.#kept = new Set(listKept(policy, ready).map((state) => state.key))
  }

  find({ clientAddress }: PickContext, tried: readonly EndpointState[]): Candidate | GatewayError | undefined {
    const { timeout, clients, onDead } = this.#policy
    const now = this.#clock.monotonic()
    const key = this.#table.find(clientAddress, now, timeout)
    if (key === undefined) return undefined
    const place = this.#places.get(key)
    if (!place || !isOpen(place.candidate, tried)) {
      return onDead === 'refuse' || this.#kept.has(key) ? refuse(this.#upstream, place, tried) : undefined
    }
    if (place.tier > 0 && isSurpassed(this.#tiers, place.tier, tried)) return undefined
    this.#table.use(clientAddress, key, now, timeout, clients)
    return place.candidate
  }

  assign({ clientAddress }: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    for (let tier = 0; tier < this.#tiers.length; tier++) {
      const candidate = this.#hash(tier).pickFor(clientAddress, tried)
      if (!candidate) continue
      const { timeout, clients } = this.#policy
      this.#table.use(clientAddress, candidate.key, this.#clock.monotonic(), timeout, clients)
      return candidate
    }
    return undefined
  }

  answerLines(): string {
    return ''
  }

  #hash(tier: number): ConsistentHash {
    let hash = this.#hashes[tier]
    if (!hash) {
      hash = new ConsistentHash(this.#tiers[tier]!, { key: () => '', table: 'ring', boundedLoad: 0, subset: 1 })
      this.#hashes[tier] = hash
    }
    return hash
  }
}

/** By a cookie that names the endpoint; who comes without one goes where the balancer says, and gets it with the answer. */
export class CookieAffinity implements Affinity {
  readonly #upstream: UpstreamKey
  readonly #policy: AffinityPolicy
  readonly #tiers: readonly CandidateTier[]
  readonly #signer: CookieSigner
  readonly #name: string
  readonly #places: ReadonlyMap<string, Place>
  /** Ids of endpoints whose clients get no other one. */
  readonly #kept: ReadonlySet<string>

  /** `ready` are the endpoints that are ready, in good health or not. */
  constructor(
    upstream: UpstreamKey,
    policy: AffinityPolicy,
    tiers: readonly CandidateTier[],
    ready: readonly EndpointState[],
    signer: CookieSigner,
  ) {
    this.#upstream = upstream
    this.#policy = policy
    this.#tiers = tiers
    this.#signer = signer
    this.#name = nameCookie(policy.cookie, upstream)
    this.#places = listPlaces(tiers, ({ state }) => readId(signer.valueOf(state)))
    this.#kept = new Set(listKept(policy, ready).map((state) => readId(signer.valueOf(state))))
  }

  find(context: PickContext, tried: readonly EndpointState[]): Candidate | GatewayError | undefined {
    const value = findCookie(context.header('cookie'), this.#name)
    if (value === undefined) return undefined
    const place = this.#places.get(readId(value))
    if (!place) return this.#explainGone(value)
    if (!isSame(value, this.#signer.valueOf(place.candidate.state))) return undefined
    if (!isOpen(place.candidate, tried)) {
      return this.#refuses(value) ? refuse(this.#upstream, place, tried) : undefined
    }
    return place.tier > 0 && isSurpassed(this.#tiers, place.tier, tried) ? undefined : place.candidate
  }

  assign(): undefined {
    return undefined
  }

  answerLines(context: AnswerContext, state: EndpointState): string {
    const value = this.#signer.valueOf(state)
    const sent = findCookie(context.header('cookie'), this.#name)
    if (sent !== undefined && isSame(sent, value)) return ''
    return composeSetCookie(this.#name, value, this.#policy.cookie, context)
  }

  /** Who made it up gets what everybody gets. */
  #explainGone(value: string): GatewayError | undefined {
    if (!this.#refuses(value) || this.#signer.check(value) === undefined) return undefined
    return refuse(this.#upstream, undefined, [])
  }

  /** True if a client gets no other endpoint than the one that this value names. */
  #refuses(value: string): boolean {
    return this.#policy.onDead === 'refuse' || this.#kept.has(readId(value))
  }
}
