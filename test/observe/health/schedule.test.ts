import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Check } from '../../../lib/observe/health/check.ts'
import type { HttpProbe } from '../../../lib/observe/health/question.ts'
import { CheckSchedule, type RunningCheck } from '../../../lib/observe/health/schedule.ts'
import { makeCertificate } from '../../helpers/certificates.ts'
import { FakeTime } from '../../helpers/fake-time.ts'
import { until } from '../../helpers/until.ts'
import { startFaultyServer } from './faulty-server.ts'

function makeCheck(port: number, changes: Partial<Check> = {}): Check {
  const probe = {
    type: 'http',
    address: '127.0.0.1',
    port,
    path: '/',
    headers: [],
    tls: undefined,
    statuses: [{ from: 200, to: 399 }],
    followsRedirects: false,
  } as const
  const limits = { interval: 10_000, timeout: 20_000, healthyThreshold: 2, unhealthyThreshold: 3, ...changes }
  return { key: JSON.stringify([probe, limits]), probe, ...limits }
}

/** Without jitter: `random` is a half. */
function startSchedule(t: Test, random: () => number = () => 0.5) {
  const time = new FakeTime()
  const schedule = new CheckSchedule({ clock: time, timers: time, random })
  schedule.start()
  t.teardown(() => schedule.close())
  return { time, schedule }
}

class Listener {
  readonly results: boolean[] = []
  onResult(_check: RunningCheck, isOk: boolean): void {
    this.results.push(isOk)
  }
}

t.test('the first result decides, later ones by the thresholds', async (t) => {
  const server = await startFaultyServer(t, 503)
  const { time, schedule } = startSchedule(t)
  const listener = new Listener()
  const running = schedule.join(makeCheck(server.port), listener)
  t.equal(running.isHealthy, undefined)
  const turn = async (fault: 200 | 503 | 500, milliseconds = 10_000): Promise<boolean | undefined> => {
    server.fault = fault
    const before = listener.results.length
    // The next timer is set a moment after the result.
    await until(() => time.pending.length === 1)
    time.advance(milliseconds)
    await until(() => listener.results.length > before)
    return running.isHealthy
  }
  t.equal(await turn(503, 0), false)
  t.match(running.reason, /^GET \/: 503 since \d\d:\d\d:\d\d$/)
  t.equal(await turn(200), false)
  t.equal(await turn(503), false, 'in a row')
  t.equal(await turn(200), false)
  t.equal(await turn(200), true)
  t.equal(await turn(503), true)
  t.equal(await turn(500), true)
  t.equal(await turn(503), false)
  t.match(running.reason, /^GET \/: 503, 3 times since \d\d:\d\d:\d\d$/)
  t.same(listener.results, [false, true, false, true, true, false, false, false])
})

t.test('a check is made at its interval, and not before', async (t) => {
  const server = await startFaultyServer(t)
  const { time, schedule } = startSchedule(t)
  const listener = new Listener()
  schedule.join(makeCheck(server.port), listener)
  time.advance(0)
  await until(() => time.pending.length === 1)
  t.same(time.pending, [10_000])
  time.advance(9_999)
  t.equal(server.requests.length, 1)
  time.advance(1)
  await until(() => listener.results.length === 2)
})

t.test('an interval varies by a twentieth', async (t) => {
  const server = await startFaultyServer(t)
  for (const [random, expected] of [
    [0, 9_500],
    [1, 10_500],
  ] as const) {
    const { time, schedule } = startSchedule(t, () => random)
    schedule.join(makeCheck(server.port), new Listener())
    time.advance(0)
    await until(() => time.pending.length === 1)
    t.same(time.pending, [expected])
  }
})

t.test('many do not begin at once, and all within their interval', async (t) => {
  let seed = 1
  const { time, schedule } = startSchedule(t, () => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  })
  for (let port = 1; port <= 1_000; port++) schedule.join(makeCheck(port, { interval: 3_000 }), new Listener())
  const { pending } = time
  t.equal(pending.length, 1_000)
  t.equal(pending[0], 0, 'the first at once')
  t.ok(pending.at(-1)! <= 3_000)
  const slots = new Set(pending.map((at) => Math.floor(at / 100)))
  t.ok(slots.size >= 25, 'spread over the time')
})

t.test('so many probes run at once, and no more; nobody is forgotten', async (t) => {
  const server = await startFaultyServer(t, 'hang')
  const { time, schedule } = startSchedule(t)
  const listeners = Array.from({ length: 300 }, (_, index) => {
    const listener = new Listener()
    // Different intervals make different checks.
    schedule.join(makeCheck(server.port, { interval: 10_000 + index }), listener)
    return listener
  })
  time.advance(5_000)
  await until(() => server.requests.length >= 128)
  t.equal(await server.connections(), 128)
  server.fault = 'none'
  await server.stop()
  await until(() => listeners.every(({ results }) => results.length === 1))
})

t.test('equal checks are made once, for as long as anybody listens', async (t) => {
  const server = await startFaultyServer(t)
  const { time, schedule } = startSchedule(t)
  const [one, two] = [new Listener(), new Listener()]
  const running = schedule.join(makeCheck(server.port), one)
  t.equal(schedule.join(makeCheck(server.port), two), running)
  time.advance(0)
  await until(() => one.results.length === 1)
  t.same(two.results, [true])
  t.equal(server.requests.length, 1)
  schedule.leave(running, one)
  t.equal(schedule.size, 1)
  schedule.leave(running, two)
  t.equal(schedule.size, 0)
  await until(() => time.pending.length === 0)
})

t.test('nothing is left when it is closed, whatever is under way', async (t) => {
  const server = await startFaultyServer(t, 'hang')
  const { time, schedule } = startSchedule(t)
  const listener = new Listener()
  schedule.join(makeCheck(server.port), listener)
  schedule.join(makeCheck(server.port, { interval: 60_000 }), listener)
  time.advance(0)
  await until(() => server.requests.length === 1)
  schedule.close()
  await until(async () => (await server.connections()) === 0)
  t.same(time.pending, [])
  t.same(listener.results, [])
})

t.test('what is joined before the start begins with it', async (t) => {
  const server = await startFaultyServer(t)
  const time = new FakeTime()
  const schedule = new CheckSchedule({ clock: time, timers: time })
  t.teardown(() => schedule.close())
  const listener = new Listener()
  schedule.join(makeCheck(server.port), listener)
  t.same(time.pending, [])
  schedule.start()
  time.advance(0)
  await until(() => listener.results.length === 1)
})

t.test('authorities of a file are forgotten with the last check that goes by it', async (t) => {
  const pem = await makeCertificate({ names: ['web.test'] })
  const server = createServer({ key: pem.key, cert: pem.certificate }, (_request, response) => response.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  const caFile = join(t.testdir({ 'ca.pem': pem.certificate }), 'ca.pem')
  const plain = makeCheck((server.address() as AddressInfo).port)
  const probe = { ...plain.probe, tls: { serverName: 'web.test', verify: true, caFile } } as HttpProbe
  const checks = ['first', 'second'].map((key) => ({ ...plain, key, probe }))
  const { time, schedule } = startSchedule(t)
  const ask = async (check: Check): Promise<[() => void, boolean | undefined]> => {
    const listener = new Listener()
    const running = schedule.join(check, listener)
    time.advance(1_000)
    await until(() => listener.results.length === 1)
    return [() => schedule.leave(running, listener), running.isHealthy]
  }
  const [[leaveFirst, first], [leaveSecond, second]] = [await ask(checks[0]!), await ask(checks[1]!)]
  t.same([first, second], [true, true])
  rmSync(caFile)
  leaveFirst()
  await new Promise(setImmediate)
  const [leaveThird, third] = await ask(checks[0]!)
  t.equal(third, true, 'the last good ones, while another check goes by them')
  leaveSecond()
  leaveThird()
  await new Promise(setImmediate)
  const [, fourth] = await ask(checks[0]!)
  t.equal(fourth, false)
})
