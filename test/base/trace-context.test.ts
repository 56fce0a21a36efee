import t from 'tap'
import {
  isInShare,
  makeId,
  printTraceparent,
  readB3,
  readB3Fields,
  readTraceparent,
} from '../../lib/base/trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const parent = { traceId: TRACE, spanId: SPAN, isSampled: true }

t.test('traceparent (W3C Trace Context §3.2, §4.3)', async (t) => {
  t.same(readTraceparent(`00-${TRACE}-${SPAN}-01`), parent)
  t.same(readTraceparent(`00-${TRACE}-${SPAN}-00`), { ...parent, isSampled: false })
  t.same(readTraceparent(`00-${TRACE}-${SPAN}-03`), parent, 'other flags do not matter')
  t.same(readTraceparent(`cc-${TRACE}-${SPAN}-01`), parent, 'a later version')
  t.same(readTraceparent(`cc-${TRACE}-${SPAN}-01-what-it-adds`), parent)
  for (const wrong of [
    '',
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    `0-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ]) {
    t.equal(readTraceparent(wrong), undefined, wrong)
  }
  t.equal(printTraceparent(TRACE, SPAN, false), `00-${TRACE}-${SPAN}-00`)
})

t.test('B3', async (t) => {
  t.same(readB3(`${TRACE}-${SPAN}-1-05e3ac9a4f6e3b90`), parent)
  t.same(readB3(`${TRACE}-${SPAN}-d`), parent, 'debug')
  t.same(readB3(`${TRACE}-${SPAN}`), { ...parent, isSampled: undefined }, 'the decision is left to others')
  t.same(readB3(`${SPAN}-${SPAN}-0`), { traceId: `${'0'.repeat(16)}${SPAN}`, spanId: SPAN, isSampled: false })
  for (const wrong of ['0', '1', 'd', `${TRACE}`, `${TRACE}-x`, `${'0'.repeat(32)}-${SPAN}-1`]) {
    t.equal(readB3(wrong), undefined, wrong)
  }
  t.same(readB3Fields(TRACE.toUpperCase(), SPAN, 'true'), parent)
  t.same(readB3Fields(TRACE, SPAN, '0', '1'), parent, 'debug goes before the state')
  t.equal(readB3Fields(TRACE, ''), undefined)
})

t.test('ids are random and never zero; a share is taken by the id', async (t) => {
  const ids = new Set(Array.from({ length: 2_000 }, () => makeId(8)))
  t.equal(ids.size, 2_000)
  t.ok([...ids].every((id) => /^[0-9a-f]{16}$/.test(id)))
  const traces = Array.from({ length: 4_000 }, () => makeId(16))
  const taken = traces.filter((id) => isInShare(id, 0.25)).length
  t.ok(taken > 800 && taken < 1_200, `${taken} of 4,000 at 25 %`)
  t.ok(traces.every((id) => isInShare(id, 1) && !isInShare(id, 0)))
})
