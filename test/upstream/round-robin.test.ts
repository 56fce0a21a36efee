import t from 'tap'
import { Rotation, RoundRobin } from '../../lib/upstream/round-robin.ts'

const candidates = (weights: Readonly<Record<string, number>>) =>
  Object.entries(weights).map(([key, weight]) => ({ key, weight }))

const pick = (balancer: RoundRobin<{ key: string; weight: number }>, count: number) =>
  Array.from({ length: count }, () => balancer.next()?.key).join('')

t.test('equal weights take turns, fairly over exactly n picks', async (t) => {
  const balancer = new RoundRobin(candidates({ a: 1, b: 1, c: 1 }), new Rotation())
  t.equal(pick(balancer, 7), 'abcabca')
  const alike = new RoundRobin(candidates({ a: 5, b: 5 }), new Rotation())
  t.equal(pick(alike, 4), 'abab')
})

t.test("weights are met smoothly, as nginx's algorithm does", async (t) => {
  const balancer = new RoundRobin(candidates({ a: 5, b: 1, c: 1 }), new Rotation())
  t.equal(pick(balancer, 14), 'aabacaaaabacaa')
})

t.test('weight 0 is never picked', async (t) => {
  const rotation = new Rotation()
  t.equal(pick(new RoundRobin(candidates({ a: 0, b: 1, c: 2 }), rotation), 6).includes('a'), false)
  t.equal(new RoundRobin(candidates({ a: 0 }), rotation).next(), undefined)
  t.equal(new RoundRobin([], rotation).next(), undefined)
})

t.test('the rotation goes on when the candidates are replaced', async (t) => {
  const rotation = new Rotation()
  const first = new RoundRobin(candidates({ a: 1, b: 1, c: 1 }), rotation)
  t.equal(pick(first, 2), 'ab')
  t.equal(pick(new RoundRobin(candidates({ a: 1, b: 1, c: 1 }), rotation), 2), 'ca')
  const weighted = new Rotation()
  t.equal(pick(new RoundRobin(candidates({ a: 2, b: 1 }), weighted), 1), 'a')
  t.equal(pick(new RoundRobin(candidates({ a: 2, b: 1 }), weighted), 2), 'ba')
  new RoundRobin(candidates({ b: 1, c: 2 }), weighted)
  t.same([...weighted.current.keys()], ['b'], 'what is gone is forgotten')
})

t.test('another try does not change whose turn is next', async (t) => {
  const balancer = new RoundRobin(candidates({ a: 1, b: 1, c: 1 }), new Rotation())
  t.equal(balancer.next()?.key, 'a')
  t.equal(balancer.another(({ key }) => key === 'a')?.key, 'b')
  t.equal(balancer.another(({ key }) => key !== 'c')?.key, 'c')
  t.equal(
    balancer.another(() => true),
    undefined,
  )
  t.equal(balancer.next()?.key, 'b')
})
