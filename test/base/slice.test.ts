import t from 'tap'
import { runAtOnce, runInSlices } from '../../lib/base/slice.ts'

function* count(to: number, busyMs = 0): Generator<void, number> {
  for (let n = 0; n < to; n++) {
    const end = performance.now() + busyMs
    while (performance.now() < end);
    yield
  }
  return to
}

t.test('work in slices pauses for other work, and returns its result', async (t) => {
  let turns = 0
  let isDone = false
  const turn = () => {
    turns++
    if (!isDone) setImmediate(turn)
  }
  setImmediate(turn)
  t.equal(await runInSlices(count(20, 2)), 20)
  isDone = true
  t.ok(turns >= 5, `${turns} turns`)
})

t.test('little work is done in one go', async (t) => {
  let turns = 0
  setImmediate(() => turns++)
  t.equal(await runInSlices(count(3)), 3)
  t.equal(turns, 0)
})

t.test('work at once needs no turn', async (t) => {
  t.equal(runAtOnce(count(1_000)), 1_000)
})

t.test('an exception of a step reaches the caller', async (t) => {
  // biome-ignore lint/correctness/useYield: it never gets so far
  const broken = function* (): Generator<void, void> {
    throw new Error('broken by the test')
  }
  await t.rejects(runInSlices(broken()), /broken by the test/)
  t.throws(() => runAtOnce(broken()), /broken by the test/)
})
