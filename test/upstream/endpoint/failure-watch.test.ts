import t from 'tap'
import { GatewayError, type RequestErrorCode } from '../../../lib/base/errors.ts'
import { resolvePolicy } from '../../../lib/settings/policy.ts'
import { FailureWatch } from '../../../lib/upstream/endpoint/failure-watch.ts'
import { FakeTime } from '../../helpers/fake-time.ts'
import { makeSettings } from '../../helpers/settings.ts'

function startWatch(policy: Record<string, unknown> = {}) {
  const time = new FakeTime()
  const merged = resolvePolicy(makeSettings().upstream, policy)
  const troubles: string[] = []
  const watch = new FailureWatch(
    time,
    () => merged,
    (reason) => troubles.push(reason),
  )
  const fail = (code: RequestErrorCode, times = 1): void => {
    for (let count = 0; count < times; count++) watch.failure(new GatewayError(code))
  }
  return { time, troubles, watch, fail }
}

t.test('failures in a row are told once, and once more after as many again', async (t) => {
  const { troubles, fail } = startWatch()
  fail('PORTICO_UP_RESET', 4)
  t.same(troubles, [])
  fail('PORTICO_UP_CONNECT_REFUSED')
  t.same(troubles, ['5 failures in a row, the last PORTICO_UP_CONNECT_REFUSED'])
  fail('PORTICO_UP_RESET', 4)
  t.equal(troubles.length, 1)
  fail('PORTICO_UP_HEADERS_TIMEOUT')
  t.equal(troubles.length, 2)
})

t.test('an answer ends the row, whatever its status', async (t) => {
  const { troubles, watch, fail } = startWatch()
  for (const status of [200, 404, 500, 503]) {
    fail('PORTICO_UP_CONNECT_REFUSED', 4)
    watch.answer(status)
  }
  fail('PORTICO_UP_CONNECT_REFUSED', 4)
  t.same(troubles, [])
})

t.test('answers that break off are failures although their heads came', async (t) => {
  const { troubles, watch, fail } = startWatch()
  const breakOff = (times: number): void => {
    for (let count = 0; count < times; count++) {
      watch.answer(200)
      fail('PORTICO_UP_TRUNCATED')
    }
  }
  breakOff(4)
  watch.answer(200)
  watch.end()
  breakOff(4)
  t.same(troubles, [])
  breakOff(1)
  t.same(troubles, ['5 failures in a row, the last PORTICO_UP_TRUNCATED'])
})

t.test('what is not the fault of the endpoint does not count', async (t) => {
  const { troubles, fail } = startWatch({ 'ejection.errorRate': 1, 'ejection.minimumRequests': 1 })
  for (const code of [
    'PORTICO_UP_OVERLOADED',
    'PORTICO_UP_NAME_UNRESOLVED',
    'PORTICO_UP_ADDRESS_DENIED',
    'PORTICO_REQ_ABORTED',
    'PORTICO_REQ_TIMEOUT',
  ] as const) {
    fail(code, 10)
  }
  t.same(troubles, [])
})

t.test('0 switches it off', async (t) => {
  const { troubles, fail } = startWatch({ 'ejection.consecutiveFailures': 0 })
  fail('PORTICO_UP_RESET', 100)
  t.same(troubles, [])
})

t.test('the error rate of enough requests within the interval', async (t) => {
  const { time, troubles, watch, fail } = startWatch({ 'ejection.errorRate': 50, 'ejection.consecutiveFailures': 0 })
  for (let count = 0; count < 9; count++) {
    watch.answer(200)
    fail('PORTICO_UP_RESET')
  }
  watch.answer(503)
  t.same(troubles, [], '19 requests say nothing')
  fail('PORTICO_UP_RESET')
  t.same(troubles, ['55 % of 20 requests within 10000 ms failed'])
  fail('PORTICO_UP_RESET', 19)
  t.equal(troubles.length, 1, 'counted from the beginning again')
  time.advance(10_000)
  fail('PORTICO_UP_RESET', 19)
  t.equal(troubles.length, 1, 'and in the next interval')
  fail('PORTICO_UP_RESET')
  t.equal(troubles.length, 2)
})

t.test('which answers count in it', async (t) => {
  for (const [answers, expected] of [
    [undefined, '502 503 504'],
    ['none', ''],
    ['gateway', '502 503 504'],
    ['5xx', '500 501 502 503 504 505'],
  ] as const) {
    const counted = [200, 404, 429, 499, 500, 501, 502, 503, 504, 505].filter((status) => {
      const { troubles, watch } = startWatch({
        'ejection.errorRate': 100,
        'ejection.minimumRequests': 1,
        ...(answers && { 'ejection.answers': answers }),
      })
      watch.answer(status)
      return troubles.length === 1
    })
    t.equal(counted.join(' '), expected, answers ?? 'default')
  }
})
