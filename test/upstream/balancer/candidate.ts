/** Candidates of real endpoint states, by name and weight, and what balancers are asked with. */
import { type Clock, systemClock } from '../../../lib/base/clock.ts'
import { DeadlineWatch } from '../../../lib/base/deadline.ts'
import type { Candidate } from '../../../lib/upstream/choice/candidates.ts'
import { ClientShares } from '../../../lib/upstream/choice/client-share.ts'
import type { PickContext } from '../../../lib/upstream/choice/pick-context.ts'
import { RequestQueue } from '../../../lib/upstream/choice/request-queue.ts'
import { EndpointState, type PlaceQueue } from '../../../lib/upstream/endpoint/endpoint.ts'
import { IdlePrivates } from '../../../lib/upstream/transport/private-connections.ts'
import { makeSettings } from '../../helpers/settings.ts'

export const NOBODY: PickContext = { clientAddress: '127.0.0.1', hostname: '', target: '/', header: () => undefined }

const settings = makeSettings()

/** An endpoint state that may be told to take nothing. */
export class SwitchedState extends EndpointState {
  isClosed = false

  override get takes(): boolean {
    return !this.isClosed
  }
}

export type TestCandidate = Candidate & { readonly state: SwitchedState }

export function makeCandidate(key: string, weight: number = 1): TestCandidate {
  return { key, weight, state: new SwitchedState(...describeState(key)) }
}

/** What a state of an endpoint is made with that nothing is connected to. */
export function describeState(
  key: string,
  clock: Clock = systemClock,
  queue: PlaceQueue = new RequestQueue(new ClientShares(), () => clock.monotonic()),
): ConstructorParameters<typeof EndpointState> {
  const identity = {
    key,
    upstream: 'default/web:80',
    protocol: 'http',
    host: '127.0.0.1',
    port: 1,
    name: '',
    serverName: '',
  } as const
  const surroundings = {
    settings: () => settings,
    policy: () => settings.upstream,
    clock,
    watch: new DeadlineWatch(clock),
    idlePrivates: new IdlePrivates(),
    queue,
    onTrouble: () => {},
    tls: () => {
      throw new Error('nothing is connected to')
    },
  }
  return [identity, surroundings]
}

/** `{a: 1, b: 2}`: by name and weight. */
export function makeCandidates(weights: Readonly<Record<string, number>>): readonly TestCandidate[] {
  return Object.entries(weights).map(([key, weight]) => makeCandidate(key, weight))
}

/** So many of weight 1, called `e0`, `e1` … */
export function makeMany(count: number, weightOf: (index: number) => number = () => 1): readonly TestCandidate[] {
  return Array.from({ length: count }, (_, index) => makeCandidate(`e${index}`, weightOf(index)))
}

/** Numbers from 0 up to 1 that are the same in every run (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** How often each key was drawn. */
export function countKeys(keys: Iterable<string | undefined>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(String(key), (counts.get(String(key)) ?? 0) + 1)
  return counts
}

/**
 * Pearson's statistic of counts against what the weights entitle to, by its degrees of freedom in standard deviations above the
 * mean: what is drawn by the weights stays below 4 in all but a few of 100,000 runs.
 */
export function chiSquareDeviation(candidates: readonly Candidate[], counts: ReadonlyMap<string, number>): number {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const weights = candidates.reduce((sum, { weight }) => sum + weight, 0)
  let statistic = 0
  for (const { key, weight } of candidates) {
    const expected = (total * weight) / weights
    statistic += ((counts.get(key) ?? 0) - expected) ** 2 / expected
  }
  const freedom = candidates.length - 1
  return (statistic - freedom) / Math.sqrt(2 * freedom)
}
