import t, { type Test } from 'tap'
import { findFilter } from '../../lib/filters/registry.ts'
import type { FilterRequest } from '../../lib/filters/spec.ts'
import { FakeTime } from '../helpers/fake-time.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { ask, printFiltered, startFiltered } from './filtered.ts'

/** What the filter says to requests of clients, by name: undefined, or the seconds to wait. */
function createLimit(options: { count: number; period: number; burst: number }, processes = 1) {
  const time = new FakeTime()
  const states: object[] = []
  const make = (these: typeof options) => {
    const filter = findFilter('rate-limit').create(these, {
      clock: time,
      processes,
      httpsPort: () => 443,
      warn: () => {},
      shared: <T extends object>(create: () => T) => {
        states[0] ??= create()
        return states[0] as T
      },
    })
    return (client: string): number | undefined => {
      const outcome = filter.request!({ clientNetwork: client } as FilterRequest)
      if (outcome === undefined) return undefined
      t.match(outcome, { code: 'PORTICO_REQ_RATE_LIMITED', status: 429 })
      return (outcome as { retryAfter: number }).retryAfter
    }
  }
  return { time, ask: make(options), make }
}

function countLet(ask: (client: string) => number | undefined, client: string, requests: number): number {
  return Array.from({ length: requests }, () => ask(client)).filter((wait) => wait === undefined).length
}

t.test('a client has its burst, then the rate, and others have theirs', async (t) => {
  const { time, ask } = createLimit({ count: 3, period: 1000, burst: 3 })
  t.equal(countLet(ask, 'a', 10), 3)
  t.equal(ask('a'), 1)
  t.equal(countLet(ask, 'b', 10), 3, 'another client')
  time.advance(333)
  t.equal(countLet(ask, 'a', 10), 0)
  time.advance(1)
  t.equal(countLet(ask, 'a', 10), 1, 'a third of a second later')
  time.advance(60_000)
  t.equal(countLet(ask, 'a', 10), 3, 'never more than the burst')
  let passed = 0
  for (let at = 0; at < 60_000; at += 7) {
    time.advance(7)
    passed += countLet(ask, 'a', 1)
  }
  t.ok(passed >= 178 && passed <= 180, `${passed} in a minute`)
})

t.test('Retry-After is the time after which a request is let through', async (t) => {
  const { time, ask } = createLimit({ count: 10, period: 3_600_000, burst: 1 })
  t.equal(ask('a'), undefined)
  t.equal(ask('a'), 360)
  time.advance(359_000)
  t.equal(ask('a'), 1)
  time.advance(1000)
  t.equal(ask('a'), undefined)
})

t.test('each process takes its part', async (t) => {
  const { time, ask } = createLimit({ count: 4, period: 1000, burst: 4 }, 2)
  t.equal(countLet(ask, 'a', 10), 2)
  time.advance(499)
  t.equal(countLet(ask, 'a', 10), 0)
  time.advance(1)
  t.equal(countLet(ask, 'a', 10), 1)
})

t.test('other numbers go on from what clients have used', async (t) => {
  const { ask, make } = createLimit({ count: 1, period: 3_600_000, burst: 2 })
  t.equal(countLet(ask, 'a', 5), 2)
  const faster = make({ count: 10, period: 1000, burst: 5 })
  t.equal(countLet(faster, 'a', 5), 0)
  t.equal(faster('a'), 1, 'it does not wait for the hours of before')
  t.equal(countLet(faster, 'b', 9), 5)
})

t.test('many clients: those of long ago are forgotten first', async (t) => {
  const { time, ask } = createLimit({ count: 1, period: 3_600_000, burst: 1 })
  t.equal(ask('first'), undefined)
  for (let at = 0; at < 99_990; at++) ask(`x${at}`)
  t.equal(ask('x99989'), 3600)
  t.equal(ask('first'), 3600, 'not before there are too many')
  for (let at = 0; at < 50_000; at++) ask(`y${at}`)
  t.equal(ask('first'), undefined, 'there is a bound')
  t.equal(ask('y49999'), 3600)
  time.advance(3_600_000)
  t.equal(ask('y49999'), undefined)
})

t.test('requests above the rate are answered with 429 at every door, and never reach an endpoint', async (t) => {
  const doors = await startFiltered(t, { 'rate-limit': '2/h', 'rate-limit-burst': '5' })
  const statuses: Record<string, number[]> = { lane: [], node: [] }
  for (const door of doors.names) {
    const gateway = door.startsWith('node') ? 'node' : 'lane'
    const { length } = statuses[gateway]!
    for (let round = 0; round < (length === 0 ? 6 : 1); round++) {
      const answer = await ask(doors, door, { method: 'POST', body: 'upload' })
      statuses[gateway]!.push(answer.status)
      if (answer.status === 200) continue
      t.same(answer.upstream, [], door)
      t.equal(JSON.parse(answer.body).code, 'PORTICO_REQ_RATE_LIMITED')
      t.ok(Number(answer.field('retry-after')[0]) > 1700, door)
    }
    t.equal((await ask(doors, door, { host: 'gw.test' })).status, 200, 'other Ingresses have no limit')
  }
  t.same(statuses, { lane: [200, 200, 200, 200, 200, 429, 429, 429], node: [200, 200, 200, 200, 200, 429, 429] })
})

async function start(t: Test, annotations: Record<string, string>, flags: Record<string, string> = {}) {
  const running = await runGateway(t, printFiltered(annotations), {
    endpoints: endpointsOf(await startEchoes(t, 'web')),
    flags,
  })
  return {
    running,
    /** The status of one request on a connection of its own. */
    ask: async (localAddress: string) => {
      const client = await connectRaw(running.http, { localAddress })
      const { status } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
      client.destroy()
      return status
    },
  }
}

t.test('what a client has used stays used over reloads', async (t) => {
  const limit = { 'rate-limit': '1/h', 'rate-limit-burst': '2' }
  const { running, ask } = await start(t, limit)
  t.same([await ask('127.0.0.1'), await ask('127.0.0.1'), await ask('127.0.0.1')], [200, 200, 429])
  await running.change(printFiltered({ ...limit, 'request-headers-set': 'X-A: b' }))
  t.equal(await ask('127.0.0.1'), 429)
  t.equal(await ask('127.0.0.2'), 200, 'another client')
  await running.change(printFiltered({}))
  t.equal(await ask('127.0.0.1'), 200, 'without the limit')
})

t.test('workers share the limit', async (t) => {
  const { ask } = await start(
    t,
    { 'rate-limit': '4/h', 'rate-limit-burst': '4' },
    { workers: '2', 'https.enabled': 'false' },
  )
  let passed = 0
  for (let round = 0; round < 40; round++) if ((await ask('127.0.0.1')) === 200) passed++
  t.ok(passed >= 2 && passed <= 4, `${passed} of 40`)
})

t.test('a limit that cannot be used closes its routes', async (t) => {
  for (const annotations of [
    { 'rate-limit': '' },
    { 'rate-limit': '0/s' },
    { 'rate-limit': '10' },
    { 'rate-limit': '10/d' },
    { 'rate-limit': '-1/s' },
    { 'rate-limit': '10000000/s' },
    { 'rate-limit': '1/s', 'rate-limit-burst': '0' },
    { 'rate-limit': '1/s', 'rate-limit-burst': '1.5' },
    { 'rate-limit-burst': '5' },
  ]) {
    const doors = await startFiltered(t, annotations)
    const { status, body, upstream } = await ask(doors, 'lane', {})
    t.match({ status, upstream }, { status: 503, upstream: [] }, JSON.stringify(annotations))
    t.equal(JSON.parse(body).code, 'PORTICO_GW_GUARD_INVALID')
  }
})
