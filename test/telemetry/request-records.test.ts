/** What a process keeps of its requests: bounded in number and bytes, failures longer than the rest. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { parseStatusWish } from '../../lib/telemetry/request-query.ts'
import { type FollowedRequests, RequestRecords } from '../../lib/telemetry/request-records.ts'
import { until } from '../helpers/until.ts'
import { makeRecord } from './make-record.ts'

const make = (size: number) => new RequestRecords({ size, slowMs: 1000, redact: () => /^token$/ })

/** At a time of its own, far enough from the others that none is too many for its second. */
const at = (index: number) => ({ id: `r${index}`, startedAt: 1_700_000_000_000 + index * 100, durationMs: 1 })

t.test('failures and slow requests stay while others come and go', (t) => {
  const records = make(10)
  records.observe(makeRecord({ ...at(0), status: 502, error: 'PORTICO_UP_RESET' }), undefined)
  records.observe(makeRecord({ ...at(1), durationMs: 1500 }), undefined)
  records.observe(makeRecord({ ...at(2), status: 499, error: 'PORTICO_REQ_ABORTED' }), undefined)
  records.observe(makeRecord({ ...at(3), durationMs: 5000, tunnel: true }), undefined)
  for (let index = 60; index < 160; index++) records.observe(makeRecord(at(index)), undefined)
  const ids = records.find({}, 1000).map(({ record }) => record.id)
  t.same(
    ids.slice(0, 10),
    Array.from({ length: 10 }, (_, index) => `r${159 - index}`),
  )
  t.same(ids.slice(10), ['r1', 'r2', 'r0'], 'a tunnel is not slow for being long')
  t.same(records.find({}, 2).length, 2)
  t.end()
})

t.test('bytes are bounded, whatever clients send', (t) => {
  const records = make(100)
  const long = 'x'.repeat(100_000)
  for (let index = 0; index < 300; index++) {
    records.observe(makeRecord({ ...at(index), target: `/${long}`, userAgent: long, detail: long }), undefined)
  }
  const kept = records.find({}, 1000)
  const bytes = kept.reduce((sum, { record }) => sum + JSON.stringify(record).length, 0)
  t.ok(kept.length > 10 && kept.length < 100, `${kept.length} kept`)
  t.ok(bytes <= 100 * 1024, `${bytes} bytes`)
  t.equal(kept[0]!.record.id, 'r299', 'the newest is among them')
  t.end()
})

t.test('no more are kept in a second than the work for them allows', (t) => {
  const records = make(10_000)
  const second = 1_700_000_000_000
  for (let index = 0; index < 1000; index++) {
    records.observe(makeRecord({ id: 'good', startedAt: second, durationMs: 1 }), undefined)
    records.observe(makeRecord({ id: 'bad', startedAt: second, durationMs: 1, status: 500 }), undefined)
  }
  t.equal(records.find({ id: 'good' }, 10_000).length, 200)
  t.equal(records.find({ id: 'bad' }, 10_000).length, 500)
  records.observe(makeRecord({ id: 'next', startedAt: second + 1000, durationMs: 1 }), undefined)
  t.equal(records.find({ id: 'next' }, 1).length, 1)
  t.end()
})

t.test('a follower is told of what it wants, and of how many it missed', async (t) => {
  const records = make(10)
  const told: FollowedRequests[] = []
  let go = () => {}
  const end = records.follow({ status: { least: 500, most: 599 } }, (some, then) => {
    told.push(some)
    go = then
  })
  for (let index = 0; index < 500; index++) {
    records.observe(makeRecord({ ...at(index), status: 500 }), undefined)
    records.observe(makeRecord({ ...at(index), status: 200 }), undefined)
  }
  await until(() => told.length === 1)
  t.match(told[0], { requests: { length: 200 }, dropped: 300 })
  records.observe(makeRecord({ ...at(501), status: 500, target: '/?token=x' }), undefined)
  await sleep(250)
  t.equal(told.length, 1, 'nothing more before the last is through')
  go()
  await until(() => told.length === 2)
  t.match(told[1], { requests: [{ record: { target: '/?token=***' } }], dropped: 0 })
  end()
  go()
  records.observe(makeRecord({ ...at(502), status: 500 }), undefined)
  await sleep(250)
  t.equal(told.length, 2)
})

t.test('wishes for a status', (t) => {
  const cases = {
    '404': [404, 404],
    '5xx': [500, 599],
    '4XX': [400, 499],
    '>=400': [400, 599],
    '>400': [401, 599],
    '<400': [0, 399],
    '<=404': [0, 404],
    '200-299': [200, 299],
  }
  for (const [text, [least, most]] of Object.entries(cases)) t.same(parseStatusWish(text), { least, most }, text)
  for (const text of ['', '6xx', '99', '>=400-500', '4x', '>']) t.equal(parseStatusWish(text), undefined, text)
  t.end()
})
