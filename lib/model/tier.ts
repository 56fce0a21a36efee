/** The endpoints of an upstream that may get requests, in tiers: a tier is used where no endpoint of the tiers before it can be had. */
import { isInGoodHealth } from './health.ts'
import type { Endpoint, Upstream } from './upstream.ts'

/**
 * Indexes of the endpoints, tier by tier: each is chosen among only where none of the tier before can be had. First those of this
 * place (S26b), then all others, then the backups; in each those that are ready, or where none is those that still serve while
 * they terminate (S26c). Those in bad health are left out, but in panic, unless a backup is well. No tier is empty, and nobody of
 * weight 0 is in one.
 */
export function listTiers({
  endpoints,
  inPanic,
}: Pick<Upstream, 'endpoints' | 'inPanic'>): readonly (readonly number[])[] {
  const weighted: number[] = []
  endpoints.forEach(({ weight }, index) => {
    if (weight > 0) weighted.push(index)
  })
  const good = weighted.filter((index) => isInGoodHealth(endpoints[index]!))
  const usable = chooseUsable(endpoints, good)
  const isBackedUp = usable.length > 0 && usable.every((index) => endpoints[index]!.backup)
  const chosen = inPanic && !isBackedUp ? chooseUsable(endpoints, weighted) : usable
  const tiers: number[][] = [[], [], []]
  for (const index of chosen) tiers[rankOf(endpoints[index]!)]!.push(index)
  return tiers.filter((tier) => tier.length > 0)
}

/** The endpoints that get requests while they can be had. */
export function usableEndpoints(upstream: Upstream): readonly Endpoint[] {
  if (upstream.denied !== undefined) return []
  return (listTiers(upstream)[0] ?? []).map((index) => upstream.endpoints[index]!)
}

function chooseUsable(endpoints: readonly Endpoint[], among: readonly number[]): readonly number[] {
  const ready = among.filter((index) => endpoints[index]!.ready)
  if (ready.length > 0) return ready
  return among.filter((index) => endpoints[index]!.serving && endpoints[index]!.terminating)
}

function rankOf({ backup, distant }: Endpoint): 0 | 1 | 2 {
  return backup ? 2 : distant ? 1 : 0
}
