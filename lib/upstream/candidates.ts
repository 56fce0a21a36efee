/** The endpoints of an upstream among which a balancer chooses. */
import type { Endpoint } from '../model/upstream.ts'
import type { EndpointState } from './endpoint.ts'

export type Candidate = Readonly<{ key: string; weight: number; state: EndpointState }>

/** Candidates that are chosen among only where none of the tier before can be had. */
export type CandidateTier = readonly Candidate[]

/**
 * Ready endpoints, when there is none those that still serve while they terminate (S26c): first those of this place (S26b), then
 * all others, then the backups. Those in bad health are left out, unless nobody else is left. `states` stand beside `endpoints`.
 * No tier is empty, and nobody of weight 0 is in one.
 */
export function chooseCandidates(
  endpoints: readonly Endpoint[],
  states: readonly EndpointState[],
): readonly CandidateTier[] {
  const weighted: number[] = []
  endpoints.forEach(({ weight }, index) => {
    if (weight > 0) weighted.push(index)
  })
  const ready = weighted.filter((index) => endpoints[index]!.ready)
  const usable =
    ready.length > 0 ? ready : weighted.filter((index) => endpoints[index]!.serving && endpoints[index]!.terminating)
  const good = usable.filter((index) => isGood(endpoints[index]!))
  const tiers: Candidate[][] = [[], [], []]
  for (const index of good.length > 0 ? good : usable) {
    const endpoint = endpoints[index]!
    const state = states[index]!
    tiers[rankOf(endpoint)]!.push({ key: state.key, weight: endpoint.weight, state })
  }
  return tiers.filter((tier) => tier.length > 0)
}

function rankOf({ backup, distant }: Endpoint): 0 | 1 | 2 {
  return backup ? 2 : distant ? 1 : 0
}

function isGood({ health }: Endpoint): boolean {
  return health === undefined || health.state === 'healthy'
}
