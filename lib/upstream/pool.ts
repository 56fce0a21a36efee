/** One upstream while its snapshot lives: picks an endpoint for each request. HOT */
import { GatewayError } from '../base/errors.ts'
import type { Endpoint, Upstream } from '../model/upstream.ts'
import type { EndpointState } from './endpoint.ts'
import { type Rotation, RoundRobin } from './round-robin.ts'

type Candidate = Readonly<{ key: string; weight: number; state: EndpointState }>

export class UpstreamPool {
  readonly upstream: Upstream
  /** Beside `upstream.endpoints`, in the same order. */
  readonly states: readonly EndpointState[]
  readonly #balancer: RoundRobin<Candidate>

  constructor(upstream: Upstream, states: readonly EndpointState[], rotation: Rotation) {
    this.upstream = upstream
    this.states = states
    this.#balancer = new RoundRobin(chooseCandidates(upstream.endpoints, states), rotation)
  }

  /** The next endpoint that is not among `tried`; PORTICO_UP_NO_ENDPOINTS when there is none. */
  pick(tried: readonly EndpointState[]): EndpointState | GatewayError {
    const candidate =
      tried.length === 0 ? this.#balancer.next() : this.#balancer.another((each) => tried.includes(each.state))
    return candidate?.state ?? new GatewayError('PORTICO_UP_NO_ENDPOINTS', this.#explainNone(tried))
  }

  #explainNone(tried: readonly EndpointState[]): string {
    const { key, endpoints } = this.upstream
    if (tried.length > 0) return `${key}: every endpoint was tried`
    if (endpoints.length === 0) return `${key} has no endpoints`
    return `${key}: none of ${endpoints.length} endpoints is ready with a weight above 0`
  }
}

/** Ready endpoints; when there is none, those that still serve while they terminate (S26c). */
function chooseCandidates(endpoints: readonly Endpoint[], states: readonly EndpointState[]): readonly Candidate[] {
  const ready: Candidate[] = []
  const fallback: Candidate[] = []
  endpoints.forEach((endpoint, index) => {
    const state = states[index]!
    const candidate = { key: state.key, weight: endpoint.weight, state }
    if (endpoint.ready) ready.push(candidate)
    else if (endpoint.serving && endpoint.terminating) fallback.push(candidate)
  })
  return ready.length > 0 ? ready : fallback
}
