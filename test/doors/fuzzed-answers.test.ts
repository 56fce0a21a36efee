/** Requests made and damaged at random, through both doors: the answers are the same. */
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { makeRequest } from '../fuzz/grammar.ts'
import { mutate } from '../fuzz/mutation.ts'
import { Random } from '../fuzz/random.ts'
import { print } from '../fuzz/target.ts'
import type { ClientCase } from './client-cases.ts'
import { play, startSide } from './side.ts'

const COUNT = Number(process.env.PORTICO_TEST_FUZZ_COUNT ?? 300)

// Many connections, one after the other.
t.setTimeout(300_000)

t.test('made and damaged requests are answered alike', async (t) => {
  const seed = Number(process.env.PORTICO_TEST_FUZZ_SEED ?? Date.now() % 0x1_0000_0000)
  t.comment(`seed ${seed}`)
  const [lane, node] = await Promise.all([startSide(t, true, {}), startSide(t, false, {})])
  const random = new Random(seed)
  let answered = 0
  for (let tried = 0; tried < COUNT; tried++) {
    const bytes = mutate(makeRequest(random, random.pick([10, 40, 400])), random.below(3), random)
    // Whether an answer has a body is for the reader to know.
    if (bytes.includes('HEAD')) continue
    const each: ClientCase = { name: '', pieces: [bytes.toString('latin1')], ending: 'together' }
    const [byLane, byNode] = await Promise.all([play(lane, each, false), play(node, each, false)])
    if (!isDeepStrictEqual(byLane, byNode)) t.same(byLane, byNode, print(each.pieces[0]))
    if (byLane.upstream.length > 0) answered++
  }
  t.ok(answered > COUNT / 10, `${answered} of ${COUNT} reached the upstream`)
})
