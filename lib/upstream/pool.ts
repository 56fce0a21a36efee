/** One upstream while its snapshot lives: picks an endpoint for each request. HOT */
import { GatewayError } from '../base/errors.ts'
import { isEligible } from '../model/health.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
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
    this.#balancer = new RoundRobin(chooseCandidates(upstream.endpoints, states, upstream.inPanic), state.rotation)
  }

  /** Under which its state is known; of one upstream there may be two. */
  get key(): UpstreamKey {
    return this.#state.key
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
   * The next endpoint that is not among `tried` and has room. PORTICO_UP_OVERLOADED when only room is lacking; when there is none
   * at all PORTICO_UP_NO_ENDPOINTS, or why their names lead nowhere.
   */
  pick(_context: PickContext, tried: readonly EndpointState[]): EndpointState | GatewayError {
    const balancer = this.#balancer
    if (tried.length === 0) {
      const next = balancer.next()
      if (next === undefined) return this.#explainNone(tried)
      if (next.state.takes) return next.state.prefer(tried)
    }
    const another = balancer.another(({ state }) => !state.takes || tried.includes(state))
    if (another) return another.state.prefer(tried)
    const isFull = balancer.another(({ state }) => tried.includes(state)) !== undefined
    if (isFull) return overloaded(`${this.upstream.key}: every endpoint is full`, 0)
    return this.#explainNone(tried)
  }

  #explainNone(tried: readonly EndpointState[]): GatewayError {
    const { key, endpoints, unresolved = [] } = this.upstream
    const explain = (why: string): GatewayError => new GatewayError('PORTICO_UP_NO_ENDPOINTS', `${key}${why}`)
    if (tried.length > 0) return explain(': every endpoint was tried')
    // A name that may yet lead somewhere says more than one that leads where it must not.
    const lost = unresolved.find(({ code }) => code === 'PORTICO_UP_NAME_UNRESOLVED') ?? unresolved[0]
    if (lost) return new GatewayError(lost.code, lost.reason)
    if (endpoints.length === 0) return explain(' has no endpoints')
    const eligible = endpoints.filter(isEligible)
    const [first] = eligible
    if (!first) return explain(`: none of ${endpoints.length} endpoints is ready with a weight above 0`)
    const { label } = this.states[endpoints.indexOf(first)]!
    const why = `${label}: ${first.health?.reason}`
    return explain(`: none of ${eligible.length} ready endpoints is in good health (${why})`)
  }
}
