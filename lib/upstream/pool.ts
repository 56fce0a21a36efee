/** One upstream while its snapshot lives: picks an endpoint for each request. HOT */
import { GatewayError } from '../base/errors.ts'
import { isEligible } from '../model/health.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import type { UpstreamPolicy } from '../service-settings.ts'
import { type Candidate, chooseCandidates } from './candidates.ts'
import type { EndpointState } from './endpoint.ts'
import type { PickContext } from './pick-context.ts'
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

  /** The next endpoint that is not among `tried`; PORTICO_UP_NO_ENDPOINTS, or why their names lead nowhere, when there is none. */
  pick(_context: PickContext, tried: readonly EndpointState[]): EndpointState | GatewayError {
    const candidate =
      tried.length === 0 ? this.#balancer.next() : this.#balancer.another((each) => tried.includes(each.state))
    return candidate?.state.prefer(tried) ?? this.#explainNone(tried)
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
