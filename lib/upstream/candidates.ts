/** The endpoints of an upstream among which a balancer chooses. */
import { isInGoodHealth } from '../model/health.ts'
import type { Endpoint } from '../model/upstream.ts'
import type { EndpointState } from './endpoint.ts'

export type Candidate = Readonly<{ key: string; weight: number; state: EndpointState }>

/**
 * Ready endpoints in good health, or all ready ones `inPanic`; when there is none, those that still serve while they terminate
 * (S26c). `states` stand beside `endpoints`.
 */
export function chooseCandidates(
  endpoints: readonly Endpoint[],
  states: readonly EndpointState[],
  inPanic: boolean = false,
): readonly Candidate[] {
  const ready: Candidate[] = []
  const fallback: Candidate[] = []
  endpoints.forEach((endpoint, index) => {
    if (!inPanic && !isInGoodHealth(endpoint)) return
    const state = states[index]!
    const candidate = { key: state.key, weight: endpoint.weight, state }
    if (endpoint.ready) ready.push(candidate)
    else if (endpoint.serving && endpoint.terminating) fallback.push(candidate)
  })
  return ready.length > 0 ? ready : fallback
}
