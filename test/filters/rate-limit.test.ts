import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { FilterChains } from '../../lib/filters/chain.ts'
import { Notes } from '../../lib/filters/notes.ts'
import { findFilter } from '../../lib/filters/registry.ts'
import type { FilterRequest } from '../../lib/filters/spec.ts'
import { FakeTime } from '../helpers/fake-time.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { ask, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

type Rate = Readonly<{ count: number; period: number; burst: number; by?: string }>

/** What the filter says to requests of clients, by name: undefined, or the seconds to wait. `first` and the other limits hold at once. */
function createLimit(first: Rate, processes = 1, ...others: readonly Rate[]) {
  const time = new FakeTime()
  const states: object[] = []
  const make = (...rates: readonly Rate[]) => {
    const limits = rates.map((rate) => ({ by: 'client', ...rate }))
    const filter = findFilter('rate-limit').create(
      { limits, exempt: undefined, tellsAlways: false, status: undefined },
      {
        clock: time,
        processes,
        httpsPort: () => 443,
        warn: () => {},
        shared: <T extends object>(create: () => T) => {
          states[0] ??= create()
          return states[0] as T
        },
      },
    )
    return (client: string, fields: Readonly<Record<string, string>> = {}): number | undefined => {
      const header = (name: string) => fields[name]
      const outcome = filter.request!({
        clientNetwork: client,
        route: 'a.test/',
        header,
        notes: new Notes(),
      } as FilterRequest)
      if (outcome === undefined) return undefined
      t.match(outcome, { code: 'PORTICO_REQ_RATE_LIMITED', status: 429 })
      return (outcome as { retryAfter: number }).retryAfter
    }
  }
  return { time, ask: make(first, ...others), make }
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

t.test('many keys: those not asked about for longest are forgotten first', async (t) => {
  const { time, ask } = createLimit({ count: 1, period: 3_600_000, burst: 1 })
  t.equal(ask('first'), undefined)
  t.equal(ask('silent'), undefined)
  for (let at = 0; at < 99_980; at++) ask(`x${at}`)
  t.equal(ask('x99979'), 3600)
  t.equal(ask('first'), 3600, 'not before there are too many')
  for (let at = 0; at < 50_000; at++) ask(`y${at}`)
  t.equal(ask('first'), 3600, 'whoever asks again and again is not forgotten')
  t.equal(ask('silent'), undefined, 'there is a bound')
  t.equal(ask('y49999'), 3600)
  time.advance(3_600_000)
  t.equal(ask('y49999'), undefined)
})

t.test('several limits hold at once, and what one refuses none counts', async (t) => {
  const { time, ask } = createLimit(
    { count: 2, period: 1000, burst: 2 },
    1,
    { count: 5, period: 3_600_000, burst: 5 },
    { count: 8, period: 3_600_000, burst: 8, by: 'all' },
  )
  t.equal(countLet(ask, 'a', 9), 2)
  time.advance(1000)
  t.equal(countLet(ask, 'a', 9), 2)
  time.advance(1000)
  t.equal(countLet(ask, 'a', 9), 1, 'five in an hour')
  t.equal(ask('a'), 718, 'the longest time counts')
  t.equal(countLet(ask, 'b', 9), 2)
  time.advance(1000)
  t.equal(countLet(ask, 'b', 9), 1, 'eight of all')
})

t.test('requests are counted by what the limit says', async (t) => {
  const rate = { count: 1, period: 3_600_000, burst: 1 }
  const header = createLimit({ ...rate, by: 'header:X-Key' }).ask
  t.equal(header('a', { 'x-key': '1' }), undefined)
  t.equal(header('b', { 'x-key': '1' }), 3600, 'whoever sends it')
  t.equal(header('b', { 'x-key': '2' }), undefined)
  const long = 'k'.repeat(5000)
  t.equal(header('c', { 'x-key': long }), undefined)
  t.equal(header('c', { 'x-key': `${long}2` }), undefined)
  t.equal(header('c', { 'x-key': long }), 3600)
  t.equal(header('a'), undefined)
  t.equal(header('a'), 3600, 'without the field the client counts')
  t.equal(header('b'), undefined)
  t.equal(header('c', { 'x-key': 'client a' }), undefined, 'no value is taken for a client')
  const cookie = createLimit({ ...rate, by: 'cookie:session' }).ask
  t.equal(cookie('a', { cookie: 'x=1; session=1' }), undefined)
  t.equal(cookie('b', { cookie: 'session="1"' }), 3600)
  t.equal(cookie('b', { cookie: 'session=2' }), undefined)
  for (const by of ['route', 'all']) {
    const { ask } = createLimit({ ...rate, by })
    t.same([ask('a'), ask('b')], [undefined, 3600], by)
  }
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

t.test('what a client has used stays used over a reload after the garbage is collected', async (t) => {
  setFlagsFromString('--expose-gc')
  const collectGarbage: () => void = runInNewContext('gc')
  const chains = new FilterChains({ clock: new FakeTime(), processes: 1, httpsPort: () => 443, warn: () => {} })
  const reload = () => {
    const limits = [{ count: 1, period: 1_000, burst: 1, by: 'client' }]
    const options = { limits, exempt: undefined, tellsAlways: false }
    const owner = { kind: 'Ingress', namespace: 'default', name: 'web' }
    const configs = [{ name: 'rate-limit', options, owner }]
    const [limit] = chains.find(configs).ofRequest
    return { configs, ask: () => limit!.request({ clientNetwork: '192.0.2.1', notes: new Notes() } as FilterRequest) }
  }
  const before = reload()
  t.equal(before.ask(), undefined)
  // What a WeakRef has made stays until the end of the task.
  await setImmediate()
  collectGarbage()
  t.match(reload().ask(), { code: 'PORTICO_REQ_RATE_LIMITED' })
  t.equal(before.configs.length, 1, 'the routes from before the reload are still there')
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

t.test(
  'of all workers together no more pass than the limit and one a worker, whatever the worker that a client comes to',
  async (t) => {
    const { ask } = await start(
      t,
      { 'rate-limit': '6/h', 'rate-limit-burst': '6', 'rate-limit-by': 'all' },
      { workers: '2', 'https.enabled': 'false' },
    )
    const statuses = await Promise.all(Array.from({ length: 60 }, (_, at) => ask(`127.0.0.${1 + (at % 20)}`)))
    const passed = statuses.filter((status) => status === 200).length
    t.ok(passed >= 3 && passed <= 6, `${passed} of 60`)
  },
)

t.test('a refusal tells of the limits as the draft of the IETF has it, at every door', async (t) => {
  const doors = await startFiltered(t, {
    'rate-limit': '100/s, 2/h',
    'rate-limit-by': 'client, header:X-Key',
    'rate-limit-burst': '100, 1',
  })
  for (const door of doors.names) {
    const fields = [['x-key', door]] as const
    const first = await ask(doors, door, { fields })
    t.same([first.status, first.field('ratelimit'), first.field('ratelimit-policy')], [200, [], []], door)
    const { status, field } = await ask(doors, door, { fields })
    t.equal(status, 429, door)
    t.same(field('ratelimit-policy'), ['"100/s a client";q=100;w=1, "2/h a value of the header X-Key";q=2;w=3600'])
    t.match(
      field('ratelimit'),
      [/^"100\/s a client";r=\d+, "2\/h a value of the header X-Key";r=0;t=(1799|1800)$/],
      door,
    )
    t.equal(field('retry-after')[0], /t=(\d+)$/.exec(field('ratelimit')[0]!)?.[1])
  }
})

t.test('all answers tell of the limits where they are to, and an exempt client has none', async (t) => {
  const doors = await startFiltered(t, { 'rate-limit': '3/h', 'rate-limit-burst': '3', 'rate-limit-fields': 'always' })
  for (const r of [2, 1, 0]) {
    const { status, field } = await ask(doors, 'lane', {})
    const told = r === 0 ? /^"3\/h a client";r=0;t=1(199|200)$/ : new RegExp(`^"3/h a client";r=${r}$`)
    t.match([status, field('ratelimit')], [200, [told]])
  }
  t.equal((await ask(doors, 'HTTP/2', {})).status, 429)
  const exempt = await startFiltered(t, {
    'rate-limit': '1/h',
    'rate-limit-exempt': '127.0.0.0/8',
    'rate-limit-fields': 'always',
  })
  for (const door of exempt.names) {
    for (let round = 0; round < 3; round++) {
      const { status, field } = await ask(exempt, door, {})
      t.same([status, field('ratelimit')], [200, []], door)
    }
  }
})

t.test("an endpoint's own 429 is left alone", async (t) => {
  const answer = { pieces: ['HTTP/1.1 429 Too Many Requests\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n'] }
  const doors = await startFiltered(t, { 'rate-limit': '100/s' }, '/', '', { '/': answer })
  const { field } = await ask(doors, 'lane', { target: '/' })
  t.same([field('ratelimit'), field('retry-after')], [[], ['9']])
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
    { 'rate-limit': '1/s,' },
    { 'rate-limit': '1/s, 2/m', 'rate-limit-burst': '1, 2, 3' },
    { 'rate-limit': '1/s, 2/m', 'rate-limit-by': 'client, all, route' },
    { 'rate-limit': Array.from({ length: 9 }, () => '1/s').join() },
    { 'rate-limit': '1/s', 'rate-limit-by': 'user' },
    { 'rate-limit': '1/s', 'rate-limit-by': 'header:' },
    { 'rate-limit': '1/s', 'rate-limit-by': 'header:X-Forwarded-For' },
    { 'rate-limit': '1/s', 'rate-limit-by': 'header:X_Forwarded_For' },
    { 'rate-limit': '1/s', 'rate-limit-by': 'header:Host' },
    { 'rate-limit': '1/s', 'rate-limit-exempt': '10.0.0.0/40' },
    { 'rate-limit': '1/s', 'rate-limit-fields': 'never' },
    { 'rate-limit-exempt': '10.0.0.0/8' },
  ]) {
    const { route, diagnostics } = translateFiltered(annotations)
    const label = JSON.stringify(annotations)
    t.match(route?.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, label)
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', position: { line: 4 } }], label)
  }
  const doors = await startFiltered(t, { 'rate-limit': '1/s', 'rate-limit-by': 'user' })
  for (const door of doors.names) {
    const { status, body, upstream } = await ask(doors, door, {})
    t.match({ status, upstream }, { status: 503, upstream: [] }, door)
    t.equal(JSON.parse(body).code, 'PORTICO_GW_GUARD_INVALID')
  }
})

t.test('a status of its own takes the place of 429, at every door', async (t) => {
  for (const status of [400, 413, 503, 599]) {
    const doors = await startFiltered(t, {
      'rate-limit': '1/h',
      'rate-limit-by': 'header:X-Door',
      'rate-limit-status': String(status),
    })
    for (const door of doors.names) {
      const request = { fields: [['x-door', door]] as const }
      t.equal((await ask(doors, door, request)).status, 200, door)
      const refused = await ask(doors, door, request)
      t.equal(refused.status, status, door)
      t.match(JSON.parse(refused.body), { status, code: 'PORTICO_REQ_RATE_LIMITED' }, door)
      t.match([refused.field('retry-after'), refused.field('ratelimit')], [[/^3[56]\d\d$/], [/;r=0;t=3/]], door)
    }
  }
})

t.test('a refusal keeps the connection, whatever its status', async (t) => {
  const running = await runGateway(t, printFiltered({ 'rate-limit': '1/h', 'rate-limit-status': '400' }), {
    endpoints: endpointsOf(await startEchoes(t, 'web')),
  })
  const client = await connectRaw(running.http)
  for (const expected of [200, 400, 400]) {
    const { status } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    t.equal(status, expected)
  }
})

t.test('a status of the limits that is none of an error closes the routes', async (t) => {
  for (const [limit, value] of [
    ['rate-limit', '1/s'],
    ['concurrency-limit', '1'],
  ] as const) {
    for (const status of ['200', '399', '600', '4', 'x', '']) {
      const { route, diagnostics } = translateFiltered({ [limit]: value, [`${limit}-status`]: status })
      t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message: /no status of an error/ }], status)
      t.match(route?.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, status)
    }
    const { diagnostics } = translateFiltered({ [`${limit}-status`]: '503' })
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message: /it says nothing without/ }])
  }
})
