/** Whom each balancer chooses how often, and that none chooses whom it may not. */
import t, { type Test } from 'tap'
import type { Clock } from '../../../lib/base/clock.ts'
import { GatewayError } from '../../../lib/base/errors.ts'
import type { Balancer } from '../../../lib/upstream/choice/balancer/balancer.ts'
import { createBalancer } from '../../../lib/upstream/choice/balancer/create.ts'
import { LeastRequests } from '../../../lib/upstream/choice/balancer/least-requests.ts'
import { Ewma, PowerOfTwo } from '../../../lib/upstream/choice/balancer/power-of-two.ts'
import { Random } from '../../../lib/upstream/choice/balancer/random.ts'
import { Rotation } from '../../../lib/upstream/choice/balancer/round-robin.ts'
import type { EndpointState } from '../../../lib/upstream/endpoint/endpoint.ts'
import { makeSettings } from '../../helpers/settings.ts'
import {
  chiSquareDeviation,
  countKeys,
  createRandom,
  makeCandidate,
  makeCandidates,
  makeMany,
  NOBODY,
  type TestCandidate,
} from './candidate.ts'

const { hash } = makeSettings().upstream
const KINDS = ['round-robin', 'least-requests', 'power-of-two', 'ewma', 'random', 'hash'] as const

function fakeClock(): Clock & { ms: number } {
  return {
    ms: 1_000_000,
    now() {
      return this.ms
    },
    monotonic() {
      return this.ms
    },
  }
}

function create(kind: (typeof KINDS)[number], candidates: readonly TestCandidate[]): Balancer {
  return createBalancer(candidates, { kind, hash, rotation: new Rotation(), clock: fakeClock() })
}

function pickKeys(balancer: Balancer, count: number): (string | undefined)[] {
  return Array.from({ length: count }, () => balancer.pick(NOBODY, [])?.key)
}

/** Requests that come and go, so many under way at once: how many each candidate got. */
function serve(balancer: Balancer, requests: number, atOnce: number, isOver = createRandom(7)): Map<string, number> {
  const underWay: EndpointState[] = []
  const counts = new Map<string, number>()
  for (let request = 0; request < requests; request++) {
    const { key, state } = balancer.pick(NOBODY, [])!
    state.begin()
    underWay.push(state)
    counts.set(key, (counts.get(key) ?? 0) + 1)
    if (underWay.length > atOnce) underWay.splice(Math.floor(isOver() * underWay.length), 1)[0]!.end()
  }
  for (const state of underWay) state.end()
  return counts
}

for (const kind of KINDS) {
  t.test(`${kind}: nobody is chosen who was tried or takes nothing, while others are left`, async (t) => {
    const candidates = makeCandidates({ a: 1, b: 3, c: 9, d: 1 })
    const [a, b, c, d] = candidates.map(({ state }) => state)
    const balancer = create(kind, candidates)
    b!.isClosed = true
    for (let count = 0; count < 200; count++) {
      const picked = balancer.pick(NOBODY, [c!])
      if (picked?.state !== a && picked?.state !== d) t.fail(`chose ${picked?.key}`)
    }
    t.equal(balancer.pick(NOBODY, [a!, c!])?.state, d)
    t.equal(balancer.pick(NOBODY, [a!, c!, d!]), undefined)
    for (const { state } of candidates) state.isClosed = true
    t.equal(balancer.pick(NOBODY, []), undefined)
    t.equal(create(kind, []).pick(NOBODY, []), undefined)
    const [only] = makeCandidates({ only: 5 })
    t.equal(create(kind, [only!]).pick(NOBODY, [])?.key, 'only')
    t.equal(create(kind, [only!]).pick(NOBODY, [only!.state]), undefined)
  })
}

t.test('random draws by the weights, and not in any order', async (t) => {
  for (const seed of [1, 2, 3]) {
    const candidates = makeMany(20, (index) => (index % 5) + 1)
    const keys = pickKeys(new Random(candidates, createRandom(seed)), 100_000)
    t.ok(chiSquareDeviation(candidates, countKeys(keys)) < 4, 'follows the weights')
    const pairs = makeMany(20 * 20, (at) => candidates[Math.floor(at / 20)]!.weight * candidates[at % 20]!.weight)
    const named = countKeys(
      keys.slice(1).map((key, at) => `e${Number(keys[at]!.slice(1)) * 20 + Number(key!.slice(1))}`),
    )
    t.ok(chiSquareDeviation(pairs, named) < 4, 'what follows does not depend on what was')
  }
})

t.test('random among the few that are left is by the weights too', async (t) => {
  const candidates = makeMany(50, (index) => index + 1)
  for (const { state, weight } of candidates) state.isClosed = weight > 3
  const counts = countKeys(pickKeys(new Random(candidates, createRandom(5)), 60_000))
  t.ok(chiSquareDeviation(candidates.slice(0, 3), counts) < 4)
  t.equal(counts.size, 3)
})

t.test('least requests: idle endpoints have their turns by weight, exactly', async (t) => {
  const equal = makeMany(7)
  const keys = pickKeys(new LeastRequests(equal), 70)
  for (let at = 0; at + 7 <= 70; at += 7) t.equal(new Set(keys.slice(at, at + 7)).size, 7)
  const weighted = makeCandidates({ a: 5, b: 2, c: 1 })
  const counts = countKeys(pickKeys(new LeastRequests(weighted), 8_000))
  for (const { key, weight } of weighted) t.ok(Math.abs(counts.get(key)! - weight * 1_000) <= 2, `${key} by its weight`)
})

t.test('least requests: what is under way stands by the weights, at any load', async (t) => {
  for (const atOnce of [3, 40, 400]) {
    const candidates = makeCandidates({ a: 4, b: 2, c: 1, d: 1 })
    const balancer = new LeastRequests(candidates)
    for (let request = 0; request < atOnce; request++) balancer.pick(NOBODY, [])!.state.begin()
    for (const { key, state, weight } of candidates) {
      t.ok(Math.abs(state.inFlight - (atOnce * weight) / 8) <= 2, `${key} has ${state.inFlight} of ${atOnce}`)
    }
  }
})

t.test('least requests: is always as a look at all of them would have it', async (t) => {
  const random = createRandom(11)
  const candidates = makeMany(30, (index) => (index % 3) + 1)
  for (const { state } of candidates) for (let count = random() * 5; count > 1; count--) state.begin()
  const balancer = new LeastRequests(candidates, random)
  const mistakes: number[] = []
  for (let step = 0; step < 20_000; step++) {
    const { state } = candidates[Math.floor(random() * 30)]!
    if (random() < 0.5 && state.inFlight > 0) state.end()
    else state.begin()
    state.isClosed = random() < 0.2
    const open = candidates.filter(({ state }) => state.takes)
    const least = Math.min(...open.map(({ state, weight }) => state.inFlight / weight))
    const picked = balancer.pick(NOBODY, [])!
    if (picked.state.inFlight / picked.weight !== least) mistakes.push(step)
  }
  t.same(mistakes, [])
})

t.test('least requests: a slow endpoint gets few', async (t) => {
  const candidates = makeMany(4)
  const [slow] = candidates
  for (let count = 0; count < 10; count++) slow!.state.begin()
  const counts = serve(new LeastRequests(candidates), 10_000, 12)
  t.notOk(counts.get('e0'), 'ten are stuck there, so the others have fewer all along')
})

t.test('power of two: far more even than random, without looking at all', async (t) => {
  const spread = (make: (candidates: readonly TestCandidate[]) => Balancer): number => {
    const candidates = makeMany(100)
    const balancer = make(candidates)
    for (let request = 0; request < 1_000; request++) balancer.pick(NOBODY, [])!.state.begin()
    return Math.max(...candidates.map(({ state }) => state.inFlight))
  }
  const two = spread((candidates) => new PowerOfTwo(candidates, createRandom(3)))
  const one = spread((candidates) => new Random(candidates, createRandom(3)))
  t.ok(two <= 13, `at most ${two} where 10 are the average`)
  t.ok(one > two + 3, `random: ${one}`)
})

t.test('power of two: idle endpoints are drawn by their weights', async (t) => {
  const candidates = makeMany(10)
  const counts = countKeys(pickKeys(new PowerOfTwo(candidates, createRandom(9)), 100_000))
  t.ok(chiSquareDeviation(candidates, counts) < 4)
  const weighted = makeCandidates({ a: 4, b: 1, c: 1, d: 1, e: 1 })
  const served = serve(new PowerOfTwo(weighted, createRandom(9)), 80_000, 80)
  t.ok(Math.abs(served.get('a')! - 40_000) < 3_000, `a has half the weight and ${served.get('a')} of 80,000`)
})

t.test('ewma: the faster an endpoint answers, the more it gets; none starves', async (t) => {
  const clock = fakeClock()
  const candidates = makeCandidates({ fast: 1, middling: 1, slow: 1 })
  const balancer = new Ewma(candidates, clock, createRandom(13))
  const ms: Readonly<Record<string, number>> = { fast: 5, middling: 25, slow: 200 }
  const counts = new Map<string, number>()
  const underWay: { candidate: TestCandidate; until: number }[] = []
  for (let request = 0; request < 20_000; request++) {
    clock.ms += 2
    for (const each of underWay.filter(({ until }) => until <= clock.ms)) {
      each.candidate.state.end()
      each.candidate.state.recordAnswer(200, ms[each.candidate.key]!)
      underWay.splice(underWay.indexOf(each), 1)
    }
    const candidate = balancer.pick(NOBODY, []) as TestCandidate
    candidate.state.begin()
    underWay.push({ candidate, until: clock.ms + ms[candidate.key]! })
    counts.set(candidate.key, (counts.get(candidate.key) ?? 0) + 1)
  }
  t.ok(counts.get('fast')! > 2 * counts.get('middling')!, JSON.stringify([...counts]))
  t.ok(counts.get('middling')! > 4 * (counts.get('slow') ?? 0))
  t.ok((counts.get('slow') ?? 0) > 0, 'what is known of it fades, so it is asked again')
})

t.test('ewma: failures count as slow, however fast they come; unknown ones are as good as the other', async (t) => {
  const clock = fakeClock()
  const candidates = makeCandidates({ good: 1, failing: 1 })
  const [good, failing] = candidates.map(({ state }) => state)
  const balancer = new Ewma(candidates, clock, createRandom(1))
  const share = () => countKeys(pickKeys(balancer, 1_000)).get('failing') ?? 0
  good!.recordAnswer(200, 10)
  t.ok(Math.abs(share() - 500) < 80, 'nothing is known of it')
  failing!.recordAnswer(503, 1)
  t.equal(share(), 0, 'a fast 503')
  const other = makeCandidate('other')
  const pair = new Ewma([candidates[0]!, other], clock, createRandom(1))
  other.state.recordFailure(new GatewayError('PORTICO_UP_CONNECT_REFUSED'))
  t.notOk(countKeys(pickKeys(pair, 1_000)).get('other'), 'a refused connection')
  clock.ms += 60_000
  good!.recordAnswer(200, 10)
  t.ok(share() > 0, 'after a minute it is asked again')
})

t.test('hash: one key is one endpoint', async (t: Test) => {
  const candidates = makeMany(10)
  const balancer = create('hash', candidates)
  for (const address of ['192.0.2.1', '2001:db8::1', '']) {
    const context = { ...NOBODY, clientAddress: address }
    const keys = new Set(Array.from({ length: 50 }, () => balancer.pick(context, [])?.key))
    t.equal(keys.size, 1)
  }
})
