/** What an endpoint that has just joined gets of its share: a tenth at first, then more with time, all of it in the end. */

import type { EndpointState } from '../endpoint/endpoint.ts'
import type { Candidate, CandidateTier } from './candidates.ts'

const FIRST_SHARE = 0.1
/** Weights are counted in hundredths meanwhile. */
const SCALE = 100
const STEPS = 20
const MIN_STEP_MS = 20

/**
 * Notes who joined now, by the monotonic clock, and who of `all` is no candidate any more. Where nobody stayed there is nobody to
 * spare the newcomers, so they count as having been there for ever.
 */
export function noteMembers(
  tiers: readonly CandidateTier[],
  all: ReadonlyMap<string, EndpointState>,
  now: number,
): void {
  let count = 0
  let stayed = false
  for (const tier of tiers) {
    count += tier.length
    for (const { state } of tier) stayed ||= state.joinedAt !== undefined
  }
  const joinedAt = stayed ? now : Number.NEGATIVE_INFINITY
  for (const tier of tiers) for (const { state } of tier) state.joinedAt ??= joinedAt
  if (count === all.size) return
  const members = new Set(tiers.flatMap((tier) => tier.map(({ state }) => state)))
  for (const state of all.values()) if (!members.has(state)) state.joinedAt = undefined
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
