import fc from 'fast-check'
import t from 'tap'
import { Rotation, RoundRobin } from '../../../../lib/upstream/choice/balancer/round-robin.ts'
import { countKeys, makeCandidates, makeMany, NOBODY } from '../../balancer/candidate.ts'

const pick = (balancer: RoundRobin, count: number) =>
  Array.from({ length: count }, () => balancer.pick(NOBODY, [])?.key)
const word = (balancer: RoundRobin, count: number) => pick(balancer, count).join('')

t.test('equal weights take turns, fairly over exactly n picks', async (t) => {
  const balancer = new RoundRobin(makeCandidates({ a: 1, b: 1, c: 1 }), new Rotation())
  t.equal(word(balancer, 7), 'abcabca')
  const alike = new RoundRobin(makeCandidates({ a: 5, b: 5 }), new Rotation())
  t.equal(word(alike, 4), 'abab')
})

t.test('weights are met smoothly', async (t) => {
  t.equal(word(new RoundRobin(makeCandidates({ a: 5, b: 1, c: 1 }), new Rotation()), 14), 'abaaacaabaaaca')
  t.equal(word(new RoundRobin(makeCandidates({ a: 3, b: 1 }), new Rotation()), 8), 'aabaaaba')
})

t.test('over a round each weight is met exactly, and at no time is anybody far from its share', async () => {
  const weights = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(weights, fc.nat(3), (weights, rounds) => {
      const candidates = makeMany(weights.length, (index) => weights[index]!)
      const balancer = new RoundRobin(candidates, new Rotation())
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const members = (weight: number) => weights.filter((other) => other === weight).length
      for (let round = 0; round <= rounds; round++) {
        const counts = new Map<string, number>()
        for (let picks = 1; picks <= total; picks++) {
          const key = balancer.pick(NOBODY, [])!.key
          counts.set(key, (counts.get(key) ?? 0) + 1)
          for (const { key, weight } of candidates) {
            const off = Math.abs((counts.get(key) ?? 0) - (picks * weight) / total)
            // Those of one weight share their group's turns; the groups are at most half a turn each away from theirs.
            if (off > 1 + members(weight) / 2 + (new Set(weights).size * weight) / total) return false
          }
        }
        for (const { key, weight } of candidates) if (counts.get(key) !== weight) return false
      }
      return true
    }),
  )
})

t.test('so it is with a thousand endpoints of all weights', async (t) => {
  const candidates = makeMany(1_000, (index) => (index % 100) + 1)
  const balancer = new RoundRobin(candidates, new Rotation())
  const total = candidates.reduce((sum, { weight }) => sum + weight, 0)
  const counts = countKeys(pick(balancer, total))
  t.ok(candidates.every(({ key, weight }) => counts.get(key) === weight))
})

t.test('the rotation goes on when the candidates are replaced', async (t) => {
  const rotation = new Rotation()
  const first = new RoundRobin(makeCandidates({ a: 1, b: 1, c: 1 }), rotation)
  t.equal(word(first, 2), 'ab')
  t.equal(word(new RoundRobin(makeCandidates({ a: 1, b: 1, c: 1 }), rotation), 2), 'ca')
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }),
      fc.nat(40),
      (weights, before) => {
        const candidates = makeMany(weights.length, (index) => weights[index]!)
        const unbroken = pick(new RoundRobin(candidates, new Rotation()), before + 40)
        const rotation = new Rotation()
        const broken = pick(new RoundRobin(candidates, rotation), before)
        broken.push(...pick(new RoundRobin(candidates, rotation), 40))
        return unbroken.join() === broken.join()
      },
    ),
  )
  const weighted = new Rotation()
  pick(new RoundRobin(makeCandidates({ a: 2, b: 1 }), weighted), 3)
  new RoundRobin(makeCandidates({ b: 1 }), weighted)
  t.same([...weighted.turns.keys()], [1], 'what is gone is forgotten')
})

t.test('another try does not change whose turn is next', async (t) => {
  const candidates = makeCandidates({ a: 1, b: 1, c: 1 })
  const [a, b, c] = candidates.map(({ state }) => state)
  const balancer = new RoundRobin(candidates, new Rotation())
  t.equal(balancer.pick(NOBODY, [])?.key, 'a')
  t.equal(balancer.pick(NOBODY, [a!])?.key, 'b')
  t.equal(balancer.pick(NOBODY, [a!, b!])?.key, 'c')
  t.equal(balancer.pick(NOBODY, [a!, b!, c!]), undefined)
  t.equal(balancer.pick(NOBODY, [])?.key, 'b')
})

t.test('an endpoint that takes no requests is passed over, and the others share its turns', async (t) => {
  const candidates = makeCandidates({ a: 1, b: 1, c: 1 })
  const balancer = new RoundRobin(candidates, new Rotation())
  candidates[1]!.state.isClosed = true
  t.equal(word(balancer, 6), 'acacac')
  for (const { state } of candidates) state.isClosed = true
  t.equal(balancer.pick(NOBODY, []), undefined)
  const weighted = makeCandidates({ a: 9, b: 1 })
  weighted[0]!.state.isClosed = true
  t.equal(word(new RoundRobin(weighted, new Rotation()), 3), 'bbb')
})
