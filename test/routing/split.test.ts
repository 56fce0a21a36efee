import fc from 'fast-check'
import t from 'tap'
import { Split } from '../../lib/routing/split.ts'

/** A request without cookies. */
const NOBODY = { header: () => undefined }

/** The largest difference, at any time, between what a value got and its share. */
function findDrift(weights: readonly number[], picks: number): number {
  const split = new Split(
    weights.map((_, index) => index),
    weights,
  )
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const counts = weights.map(() => 0)
  let most = 0
  for (let n = 1; n <= picks; n++) {
    counts[split.pick(NOBODY)]!++
    for (const [index, weight] of weights.entries()) {
      most = Math.max(most, Math.abs(counts[index]! - (n * weight) / total))
    }
  }
  return most
}

t.test('each value gets its share, at any time within a few picks', async (t) => {
  for (const weights of [
    [90, 10],
    [50, 50],
    [99.5, 0.5],
    [1, 1, 1],
    [0, 100],
    [100, 0],
    [60, 30, 10],
  ]) {
    const drift = findDrift(weights, 100_000)
    t.ok(drift < 6, `${weights}: ${drift}`)
  }
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 5 }), (weights) =>
        t.ok(findDrift(weights, 3_000) < 6),
      ),
      { numRuns: 200 },
    ),
  )
})

t.test('a weight of 0 is never picked', async (t) => {
  for (const weights of [
    [0, 1, 0],
    [1, 0],
    [0, 1],
  ]) {
    const split = new Split(weights, weights)
    const picked = new Set(Array.from({ length: 10_000 }, () => split.pick(NOBODY)))
    t.same([...picked], [1])
  }
})

t.test('picks that alternate get the same shares: nothing falls into step', async (t) => {
  const split = new Split(['a', 'b'], [50, 50])
  const counts = { a: 0, b: 0 }
  for (let n = 0; n < 10_000; n++) {
    counts[split.pick(NOBODY) as 'a' | 'b']++
    split.pick(NOBODY)
  }
  t.ok(Math.abs(counts.a - counts.b) < 30, JSON.stringify(counts))
})

t.test('a split goes on with the picks of the one before it', async (t) => {
  let split = new Split(['a', 'b'], [75, 25])
  let few = 0
  for (let n = 0; n < 1_000; n++) {
    if (split.pick(NOBODY) === 'b') few++
    split = new Split(split.values, split.weights, { before: split })
  }
  t.ok(Math.abs(few - 250) < 6, `${few}`)
})

t.test('a cookie keeps a client with its value, unless that gets nothing or has no mark', async (t) => {
  const cookie = { name: 'v', marks: ['A', 'B', 'C', undefined] }
  const split = new Split(['a', 'b', 'c', 'd'], [80, 10, 0, 10], { cookie })
  const pick = (field: string) => new Set(Array.from({ length: 100 }, () => split.pick({ header: () => field })))
  t.same([...pick('v=A')], ['a'])
  t.same([...pick('x=1; v="B"')], ['b'])
  for (const field of ['v=C', 'v=D', 'v=', 'V=A', 'w=A', '']) t.same([...pick(field)].sort(), ['a', 'b', 'd'], field)
  const { length } = Array.from({ length: 1000 }, () => split.pick(NOBODY)).filter((value) => value === 'a')
  t.ok(Math.abs(length - 800) < 6, 'clients with cookies take nothing from the shares of others')
})
