/** What an endpoint that has just joined gets of its share: a tenth at first, then more with time, all of it in the end. */
import type { Candidate, CandidateTier } from './candidates.ts'
import type { EndpointState } from './endpoint.ts'

const FIRST_SHARE = 0.1
/** Weights are counted in hundredths meanwhile. */
const SCALE = 100
const STEPS = 20
const MIN_STEP_MS = 20

/**
 * Notes who joined now, by the monotonic clock, and who is no candidate any more of `all` that were. Where nobody stayed there is
 * nobody to spare the newcomers, so they count as having been there for ever.
 */
export function noteMembers(tiers: readonly CandidateTier[], all: Iterable<EndpointState>, now: number): void {
  const members = new Set(tiers.flatMap((tier) => tier.map(({ state }) => state)))
  let stayed = false
  for (const state of all) {
    if (!members.has(state)) state.joinedAt = undefined
    else if (state.joinedAt !== undefined) stayed = true
  }
  const joinedAt = stayed ? now : Number.NEGATIVE_INFINITY
  for (const state of members) state.joinedAt ??= joinedAt
}

/** The tier with weights as they are now; the tier itself where everybody gets all of it, as with a `slowStart` of 0 ms. */
export function applySlowStart(tier: CandidateTier, slowStart: number, now: number): CandidateTier {
  if (slowStart === 0 || !tier.some(({ state }) => isSlow(state, slowStart, now))) return tier
  return tier.map((candidate): Candidate => {
    const { state, weight } = candidate
    const age = isSlow(state, slowStart, now) ? (now - state.joinedAt!) / slowStart : 1
    const share = FIRST_SHARE + (1 - FIRST_SHARE) * age
    return { ...candidate, weight: Math.max(1, Math.round(weight * SCALE * share)) }
  })
}

/** How long the weights of a slow start may stand, milliseconds. */
export function stepOf(slowStart: number): number {
  return Math.max(MIN_STEP_MS, slowStart / STEPS)
}

function isSlow({ joinedAt }: EndpointState, slowStart: number, now: number): boolean {
  return joinedAt !== undefined && now - joinedAt < slowStart
}
