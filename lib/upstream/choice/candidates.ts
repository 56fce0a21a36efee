/** The endpoints of an upstream among which a balancer chooses. */
import { listTiers } from '../../model/tier.ts'
import type { Upstream } from '../../model/upstream.ts'
import type { EndpointState } from '../endpoint/endpoint.ts'

export type Candidate = Readonly<{ key: string; weight: number; state: EndpointState }>

/** Candidates that are chosen among only where none of the tier before can be had. */
export type CandidateTier = readonly Candidate[]

/** The tiers of the model; `states` stand beside the upstream's endpoints. */
export function chooseCandidates(upstream: Upstream, states: readonly EndpointState[]): readonly CandidateTier[] {
  return listTiers(upstream).map((tier) =>
    tier.map((index): Candidate => {
      const state = states[index]!
      return { key: state.key, weight: upstream.endpoints[index]!.weight, state }
    }),
  )
}
