/** One upstream while its snapshot lives: its policy, and the choice of an endpoint for each request. HOT */
import { GatewayError, overloaded } from '../../base/errors.ts'
import { isEligible } from '../../model/health.ts'
import { findShortage } from '../../model/shortage.ts'
import type { Upstream, UpstreamKey } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { EndpointState } from '../endpoint/endpoint.ts'
import { type Affinity, type AnswerContext, ClientAffinity, CookieAffinity } from './affinity.ts'
import type { Balancer, Candidate } from './balancer/balancer.ts'
import { createBalancer } from './balancer/create.ts'
import type { CandidateTier } from './candidates.ts'
import type { Circuit } from './circuit.ts'
import type { ClientShares } from './client-share.ts'
import type { PickContext } from './pick-context.ts'
import type { RequestQueue } from './request-queue.ts'
import type { RetryBudget } from './retry-budget.ts'
import { applySlowStart, noteMembers, stepOf } from './slow-start.ts'
import type { UpstreamState } from './upstream-state.ts'

export class UpstreamPool {
  readonly upstream: Upstream
  /** The settings with the overrides of the Service; a route may have further ones. */
  readonly policy: UpstreamPolicy
  /** Beside `upstream.endpoints`, in the same order. */
  readonly states: readonly EndpointState[]
  readonly #state: UpstreamState<UpstreamPool>
  readonly #tiers: readonly CandidateTier[]
  /** One for each tier, made when it is first asked for. */
  #balancers: (Balancer | undefined)[] = []
  readonly #affinity: Affinity | undefined
  /** When the weights of a slow start are to be looked at again, by the monotonic clock. */
  #reweighAt = Number.POSITIVE_INFINITY

  constructor(
    upstream: Upstream,
    policy: UpstreamPolicy,
    states: readonly EndpointState[],
    tiers: readonly CandidateTier[],
    state: UpstreamState<UpstreamPool>,
  ) {
    this.upstream = upstream
    this.policy = policy
    this.states = states
    this.#state = state
    this.#tiers = tiers
    this.#affinity = this.#createAffinity()
  }

  /** Comes into force with its snapshot; all that outlives snapshots goes by it from now on. */
  enter(): void {
    const state = this.#state
    if (state.newestPool === this) return
    noteMembers(this.#tiers, state.endpoints, state.clock.monotonic())
    introduceSiblings(this.#tiers, this.states)
    for (const endpoint of this.states) endpoint.watchLoad(undefined, 0)
    state.enter(
      this,
      this.#tiers.reduce((count, tier) => count + tier.length, 0),
    )
  }

  /** Under which its state is known; of one upstream there may be two. */
  get key(): UpstreamKey {
    return this.#state.key
  }

  /** Whether any endpoint that may be picked has room. */
  get hasRoom(): boolean {
    return this.#tiers.some((tier) => tier.some(({ state }) => state.takes))
  }

  /** Whether a request may go there now. */
  offers(state: EndpointState): boolean {
    return state.takes && this.#tiers.some((tier) => tier.some((candidate) => candidate.state === state))
  }

  /** Who waits for a place at one of the endpoints. */
  get queue(): RequestQueue {
    return this.#state.queue
  }

  /** What its clients have of it. */
  get shares(): ClientShares {
    return this.#state.shares
  }

  get budget(): RetryBudget {
    return this.#state.budget
  }

  /** Undefined where the policy has none. */
  get circuit(): Circuit | undefined {
    return this.#state.circuit
  }

  /** The one of the same upstream that came into force last: what the endpoints are now. */
  get latest(): UpstreamPool {
    return this.#state.newestPool ?? this
  }

  /**
   * The next endpoint that is not among `tried` and has room. PORTICO_UP_OVERLOADED when only room is lacking; when there is none
   * at all PORTICO_UP_NO_ENDPOINTS, or why their names lead nowhere.
   */
  pick(context: PickContext, tried: readonly EndpointState[]): EndpointState | GatewayError {
    if (this.#reweighAt < Number.POSITIVE_INFINITY && this.#state.clock.monotonic() >= this.#reweighAt)
      this.#rebalance()
    const affinity = this.#affinity
    if (affinity !== undefined) {
      const kept = affinity.find(context, tried) ?? affinity.assign(context, tried)
      if (kept !== undefined) return kept instanceof GatewayError ? kept : kept.state
    }
    return this.#balance(context, tried)?.state.prefer(tried) ?? this.#explainNone(tried)
  }

  /** Field lines that the answer of this endpoint gets besides its own, `''` for none. */
  answerLines(context: AnswerContext, endpoint: EndpointState): string {
    return this.#affinity === undefined ? '' : this.#affinity.answerLines(context, endpoint)
  }

  #balance(context: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    for (let tier = 0; tier < this.#tiers.length; tier++) {
      const balancer = this.#balancers[tier] ?? this.#createBalancer(tier)
      const candidate = balancer.pick(context, tried)
      if (candidate !== undefined) return candidate
    }
    return undefined
  }

  /** The weights of a slow start are others by now. */
  #rebalance(): void {
    this.#balancers = []
    this.#reweighAt = Number.POSITIVE_INFINITY
    if (this.#isNewest) for (const endpoint of this.states) endpoint.watchLoad(undefined, 0)
  }

  get #isNewest(): boolean {
    return this.#state.newestPool === this
  }

  #createBalancer(tier: number): Balancer {
    const { clock } = this.#state
    const { balancer, hash, slowStart } = this.policy
    const candidates = this.#tiers[tier]!
    const now = clock.monotonic()
    const weighed = balancer === 'hash' ? candidates : applySlowStart(candidates, slowStart, now)
    if (weighed !== candidates) this.#reweighAt = Math.min(this.#reweighAt, now + stepOf(slowStart))
    const created = createBalancer(weighed, {
      // The counts of an endpoint are told to one balancer alone, which is that of the newest snapshot.
      kind: this.#isNewest || balancer !== 'least-requests' ? balancer : 'power-of-two',
      hash: this.#isNewest ? hash : { ...hash, boundedLoad: 0 },
      rotation: this.#state.rotationOf(tier),
      clock,
    })
    this.#balancers[tier] = created
    return created
  }

  #createAffinity(): Affinity | undefined {
    const { key, clients, signer, clock } = this.#state
    const { affinity } = this.policy
    switch (affinity.type) {
      case 'client-ip':
        return new ClientAffinity(key, affinity, this.#tiers, this.#listReady(), clients, clock)
      case 'cookie':
        return new CookieAffinity(key, affinity, this.#tiers, this.#listReady(), signer)
      default:
        return undefined
    }
  }

  #listReady(): readonly EndpointState[] {
    const { endpoints } = this.upstream
    return this.states.filter((_state, index) => isEligible(endpoints[index]!))
  }

  #explainNone(tried: readonly EndpointState[]): GatewayError {
    const { key } = this.upstream
    const isFull = this.#tiers.some((tier) => tier.some(({ state }) => !state.takes && !tried.includes(state)))
    if (isFull) return overloaded(`${key}: every endpoint is full`, 0)
    const shortage = findShortage(this.upstream)
    if (!shortage) return new GatewayError('PORTICO_UP_NO_ENDPOINTS', `${key}: every endpoint was tried`)
    const { code, reason } = shortage
    // A name that leads nowhere says itself which it is.
    return new GatewayError(code, code === 'PORTICO_UP_NO_ENDPOINTS' ? `${key}: ${reason}` : reason)
  }
}

/** Of the addresses of one name, those that may have requests know of each other. */
function introduceSiblings(tiers: readonly CandidateTier[], states: readonly EndpointState[]): void {
  const named = new Map<string, EndpointState[]>()
  for (const tier of tiers) {
    for (const { state } of tier) {
      const { name, port } = state.identity
      if (name === '') continue
      const siblings = named.get(`${name} ${port}`)
      if (siblings) siblings.push(state)
      else named.set(`${name} ${port}`, [state])
    }
  }
  for (const state of states) {
    const { name, port } = state.identity
    if (name !== '') state.meet(named.get(`${name} ${port}`) ?? [])
  }
}
