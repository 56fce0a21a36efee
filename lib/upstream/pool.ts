/** One upstream while its snapshot lives: picks an endpoint for each request. HOT */
import { GatewayError } from '../base/errors.ts'
import type { Upstream } from '../model/upstream.ts'
import type { UpstreamPolicy } from '../service-settings.ts'
import { type Candidate, chooseCandidates } from './candidates.ts'
import type { Circuit } from './circuit.ts'
import type { EndpointState } from './endpoint.ts'
import type { PickContext } from './pick-context.ts'
import { overloaded, type RequestQueue } from './request-queue.ts'
import type { RetryBudget } from './retry-budget.ts'
import { RoundRobin } from './round-robin.ts'
import type { UpstreamState } from './upstream-state.ts'

export class UpstreamPool {
  readonly upstream: Upstream
  /** Beside `upstream.endpoints`, in the same order. */
  readonly states: readonly EndpointState[]
  readonly #state: UpstreamState
  readonly #balancer: RoundRobin<Candidate>

  constructor(upstream: Upstream, states: readonly EndpointState[], state: UpstreamState) {
    this.upstream = upstream
    this.states = states
    this.#state = state
    this.#balancer = new RoundRobin(chooseCandidates(upstream.endpoints, states), state.rotation)
  }

  get policy(): UpstreamPolicy {
    return this.#state.policy
  }

  /** Who waits for a place at one of the endpoints. */
  get queue(): RequestQueue {
    return this.#state.queue
  }

  get budget(): RetryBudget {
    return this.#state.budget
  }

  /** Undefined where the policy has none. */
  get circuit(): Circuit | undefined {
    return this.#state.circuit
  }

  /** The one of the same upstream that was made last: what the endpoints are now. */
  get latest(): UpstreamPool {
    return this.#state.pool ?? this
  }

  /**
   * The next endpoint that is not among `tried` and has room. PORTICO_UP_OVERLOADED when only room is lacking,
   * PORTICO_UP_NO_ENDPOINTS when there is none at all.
   */
  pick(_context: PickContext, tried: readonly EndpointState[]): EndpointState | GatewayError {
    const balancer = this.#balancer
    if (tried.length === 0) {
      const next = balancer.next()
      if (next === undefined) return new GatewayError('PORTICO_UP_NO_ENDPOINTS', this.#explainNone(tried))
      if (next.state.takes) return next.state
    }
    const another = balancer.another(({ state }) => !state.takes || tried.includes(state))
    if (another) return another.state
    const isFull = balancer.another(({ state }) => tried.includes(state)) !== undefined
    if (isFull) return overloaded(`${this.upstream.key}: every endpoint is full`, 0)
    return new GatewayError('PORTICO_UP_NO_ENDPOINTS', this.#explainNone(tried))
  }

  #explainNone(tried: readonly EndpointState[]): string {
    const { key, endpoints } = this.upstream
    if (tried.length > 0) return `${key}: every endpoint was tried`
    if (endpoints.length === 0) return `${key} has no endpoints`
    return `${key}: none of ${endpoints.length} endpoints is ready with a weight above 0`
  }
}
