import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { Endpoint, EndpointProbe, Upstream } from '../../../lib/model/upstream.ts'
import { HealthObserver } from '../../../lib/observe/health/observer.ts'
import type { Upstreams } from '../../../lib/observe/observation.ts'
import { FakeTime } from '../../helpers/fake-time.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { makeUpstream, type UpstreamWords } from '../../helpers/snapshot.ts'
import { until } from '../../helpers/until.ts'
import { startFaultyServer } from './faulty-server.ts'

type Words = Readonly<Record<string, UpstreamWords>>

function makeUpstreams(words: Words): Upstreams {
  const upstreams = Object.entries(words).map(([name, given]) => makeUpstream(name, given))
  return new Map(upstreams.map((upstream) => [upstream.key, upstream]))
}

/** An observer with the log lines it wrote, under a time that stands still. */
function startObserver(t: Test, words: Words, settings = makeSettings()) {
  const time = new FakeTime()
  const lines: string[] = []
  const log = pino(
    { level: 'info' },
    {
      write: (text: string) => {
        const { level, msg, upstream, endpoint, reason, healthy, ready } = JSON.parse(text)
        const about = endpoint ? `${endpoint} ${reason}` : `${healthy} of ${ready}`
        lines.push(`${level === 40 ? 'warn' : 'info'} ${msg.split(':')[0]} | ${upstream} ${about}`)
      },
    },
  )
  let changes = 0
  const observer = new HealthObserver({ clock: time, log, timers: time, random: () => 0.5 }, () => changes++)
  t.teardown(() => observer.close())
  const state = { upstreams: makeUpstreams(words), settings }
  observer.observe(state.upstreams, settings)
  observer.start()
  return {
    time,
    lines,
    observer,
    changes: () => changes,
    /** What the observer makes of the upstreams, as they are from now on. */
    observe(next: Upstreams = state.upstreams, settings = state.settings): Upstreams {
      state.upstreams = next
      state.settings = settings
      return observer.observe(next, settings)
    },
    get: (name = 'web'): Upstream => observer.observe(state.upstreams, state.settings).get(`default/${name}:80`)!,
    /** `healthy`, `unhealthy`, `ejected` or `-` of each endpoint. */
    states(name = 'web'): string {
      return this.get(name)
        .endpoints.map(({ health }) => health?.state ?? '-')
        .join(' ')
    },
    report: (port: number, name = 'web') =>
      observer.report({ upstream: `default/${name}:80`, host: '127.0.0.1', port, reason: '5 failures in a row' }),
  }
}

/** Two checks every second, of which the third failure counts. */
const CHECK = { 'health.check': 'http', 'health.path': '/healthz', 'health.interval': 1_000, 'health.timeout': 5_000 }

/** Lets the checks of the next second be made, and waits for their results. */
async function makeTurn(started: ReturnType<typeof startObserver>, checks: number, results = checks): Promise<void> {
  await until(() => started.time.pending.filter((ms) => ms <= 1_000).length >= checks)
  const count = (): number =>
    [...started.observer.figures()].reduce((sum, { successes, failures }) => sum + successes + failures, 0)
  const before = count()
  started.time.advance(1_000)
  await until(() => count() >= before + results)
}

t.test('upstreams without checks and troubles are left as they are', async (t) => {
  const { observe, observer } = startObserver(t, { web: { endpoints: [80] } })
  const upstreams = makeUpstreams({ web: { endpoints: [80, 81] } })
  t.equal(observe(upstreams), upstreams)
  t.same([...observer.figures()], [])
})

t.test('an endpoint that fails its check is unhealthy until it succeeds; each flip is logged once', async (t) => {
  const [one, two] = [await startFaultyServer(t), await startFaultyServer(t)]
  const started = startObserver(t, { web: { endpoints: [one.port, two.port], policy: CHECK } })
  const { lines, changes } = started
  t.equal(started.states(), '- -', 'not known yet is good')
  await makeTurn(started, 2)
  t.equal(started.states(), '- -')
  t.equal(changes(), 0, 'what is well says nothing')
  one.fault = 503
  await makeTurn(started, 2)
  await makeTurn(started, 2)
  t.equal(started.states(), '- -')
  await makeTurn(started, 2)
  t.equal(started.states(), 'unhealthy -')
  const before = started.get()
  t.match(before.endpoints[0]!.health!.reason, /^GET \/healthz: 503, 3 times since /)
  t.equal(before.endpoints[0]!.health!.since, started.time.now())
  await makeTurn(started, 2)
  t.equal(started.get(), before, 'the same objects while nothing changes')
  one.fault = 'none'
  await makeTurn(started, 2)
  t.equal(started.states(), 'healthy -')
  t.equal(changes(), 2)
  t.match(lines, [
    /^warn endpoint is unhealthy \| default\/web:80 127\.0\.0\.1:\d+ GET \/healthz: 503, 3 times since/,
    /^info endpoint is healthy again \| default\/web:80 127\.0\.0\.1:\d+ GET \/healthz: 200 since/,
  ])
  t.equal(lines.length, 2)
  t.match(
    [...started.observer.figures()],
    [
      { endpoint: `127.0.0.1:${one.port}`, isHealthy: true, ejections: 0, successes: 2, failures: 4 },
      { endpoint: `127.0.0.1:${two.port}`, isHealthy: true, successes: 6, failures: 0 },
    ],
  )
})

t.test('all probes of a Pod have to succeed, and are shared between its ports', async (t) => {
  const [main, sidecar] = [await startFaultyServer(t), await startFaultyServer(t)]
  const probe = (port: number): EndpointProbe => ({
    type: 'http',
    host: '',
    port,
    path: '/',
    scheme: 'HTTP',
    headers: [],
    service: '',
    interval: 1_000,
    timeout: 5_000,
    healthyThreshold: 1,
    unhealthyThreshold: 1,
  })
  const probes = [probe(main.port), probe(sidecar.port)]
  const started = startObserver(t, {
    web: { endpoints: [{ port: 1, probes }] },
    metrics: { endpoints: [{ port: 2, probes }] },
  })
  await makeTurn(started, 2, 4)
  t.equal(main.requests.length, 1)
  t.equal(sidecar.requests.length, 1)
  sidecar.fault = 500
  await makeTurn(started, 2, 4)
  await until(() => started.lines.length === 2)
  t.equal(started.states('web'), 'unhealthy')
  t.equal(started.states('metrics'), 'unhealthy')
  sidecar.fault = 'none'
  main.fault = 500
  await makeTurn(started, 2, 4)
  await until(() => main.requests.length === 3 && sidecar.requests.length === 3)
  t.equal(started.states('web'), 'unhealthy')
})

t.test('what is known outlives reloads, other fields, and a moment out of sight', async (t) => {
  const [one, two] = [await startFaultyServer(t, 503), await startFaultyServer(t)]
  const words = { web: { endpoints: [one.port, two.port], policy: CHECK } }
  const started = startObserver(t, words)
  await makeTurn(started, 2)
  const { health } = started.get().endpoints[0]!
  t.match(health, { state: 'unhealthy' })
  const healthNow = (): Endpoint['health'] => started.get().endpoints.find(({ port }) => port === one.port)?.health
  started.observe(makeUpstreams({ web: { ...words.web, protocol: 'https' } }))
  t.equal(healthNow(), health, 'another protocol')
  started.observe(makeUpstreams({ web: { ...words.web, policy: { ...CHECK, 'health.path': '/other' } } }))
  t.equal(healthNow(), health, 'another path, until it has answered')
  started.observe(makeUpstreams({ web: { endpoints: [two.port], policy: CHECK } }))
  started.time.advance(30_000)
  started.observe(makeUpstreams(words))
  t.equal(healthNow(), health, 'gone for half a minute')
  started.observe(makeUpstreams({}))
  started.observe(makeUpstreams(words))
  t.equal(healthNow(), health, 'with its upstream')
  t.equal(started.lines.length, 1, 'and none of that was a flip')
  started.observe(makeUpstreams({}))
  started.time.advance(60_000)
  started.observe()
  t.same(started.time.pending, [], 'nothing runs for what is gone')
  started.observe(makeUpstreams(words))
  t.equal(healthNow(), undefined, 'forgotten after a minute')
  started.observe(makeUpstreams({ web: { ...words.web, policy: { ...CHECK, 'health.check': 'none' } } }))
  t.equal(started.states(), '- -')
  t.same(started.time.pending, [])
})

t.test('a check that is switched off takes its verdict along', async (t) => {
  const [one, two] = [await startFaultyServer(t, 503), await startFaultyServer(t)]
  const endpoints = [one.port, two.port]
  const started = startObserver(t, { web: { endpoints, policy: CHECK } })
  await makeTurn(started, 2)
  t.equal(started.states(), 'unhealthy -')
  started.observe(makeUpstreams({ web: { endpoints, policy: { 'health.check': 'none' } } }))
  t.equal(started.states(), 'healthy -')
  t.match(started.lines[1], /healthy again .* it is not checked any more/)
})

t.test('a check that takes the place of another says why the endpoint is unhealthy now', async (t) => {
  const [one, two] = [await startFaultyServer(t, 503), await startFaultyServer(t)]
  const endpoints = [one.port, two.port]
  const started = startObserver(t, { web: { endpoints, policy: CHECK } })
  await makeTurn(started, 2)
  started.observe(makeUpstreams({ web: { endpoints, policy: { ...CHECK, 'health.path': '/other' } } }))
  t.match(started.get().endpoints[0]!.health!.reason, /^GET \/healthz: 503/, 'until it was asked')
  await makeTurn(started, 2)
  t.match(started.get().endpoints[0]!.health!.reason, /^GET \/other: 503/)
  const told = started.lines.length
  t.equal(told, 2)
  await makeTurn(started, 2)
  t.equal(started.lines.length, told)
})

t.test('where ejection is switched off the ejected come back', async (t) => {
  const endpoints = [1, 2, 3]
  for (const off of [{ 'ejection.maxShare': 0 }, { 'ejection.consecutiveFailures': 0 }]) {
    const started = startObserver(t, { web: { endpoints } })
    started.report(1)
    t.equal(started.states(), 'ejected - -')
    started.observe(makeUpstreams({ web: { endpoints, policy: { 'ejection.baseTime': 60_000 } } }))
    t.equal(started.states(), 'ejected - -', 'not by any other change')
    started.observe(makeUpstreams({ web: { endpoints, policy: off } }))
    t.equal(started.states(), 'healthy - -')
    t.match(started.lines[1], /back from its ejection .* ejection is switched off/)
  }
})

t.test('ejections grow, are capped, and shrink again with good time', async (t) => {
  const started = startObserver(t, { web: { endpoints: [1, 2, 3] } })
  const { time, observer } = started
  const eject = (): number => {
    started.report(1)
    t.equal(started.states(), 'ejected - -')
    return time.pending[0]!
  }
  const lengths: number[] = []
  for (let count = 0; count < 12; count++) {
    lengths.push(eject())
    time.advance(lengths.at(-1)! - 1)
    t.equal(started.states(), 'ejected - -')
    time.advance(1)
    t.equal(started.states(), 'healthy - -')
  }
  t.same(
    lengths.map((ms) => ms / 30_000),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10],
  )
  time.advance(10_000 * 9)
  t.equal(eject() / 30_000, 4, 'nine intervals of ten seconds take nine off')
  t.match([...observer.figures()], [{ endpoint: '127.0.0.1:1', isHealthy: false, ejections: 13 }])
  t.equal(started.lines.length, 25)
  t.match(started.lines.slice(0, 2), [
    /^warn endpoint is ejected \| default\/web:80 127\.0\.0\.1:1 5 failures in a row; until \d\d:\d\d:\d\d$/,
    /^info endpoint is back from its ejection \| default\/web:80 127\.0\.0\.1:1 its 30 s are over$/,
  ])
})

t.test('told by several at once, it is one ejection', async (t) => {
  const started = startObserver(t, { web: { endpoints: [1, 2] } })
  started.report(1)
  started.report(1)
  started.report(1)
  t.equal(started.lines.length, 1)
  t.same(started.time.pending, [30_000])
  started.report(99)
  started.report(1, 'nothing')
  t.equal(started.lines.length, 1, 'what is not there is not ejected')
})

t.test('no more than the share is out at once, and never the last', async (t) => {
  const endpoints = [1, 2, 3, 4, 5, 6]
  const eject = (policy: Record<string, unknown>, ports = endpoints, list: UpstreamWords['endpoints'] = endpoints) => {
    const started = startObserver(t, { web: { endpoints: list, policy } })
    for (const port of ports) started.report(port)
    return started.states()
  }
  t.equal(eject({}), 'ejected ejected ejected - - -')
  t.equal(eject({ 'ejection.maxShare': 34 }), 'ejected ejected - - - -')
  t.equal(eject({ 'ejection.maxShare': 1 }), 'ejected - - - - -', 'one at least')
  t.equal(eject({ 'ejection.maxShare': 0 }), '- - - - - -')
  t.equal(eject({ 'ejection.maxShare': 100 }), 'ejected ejected ejected ejected ejected -')
  t.equal(eject({}, [1], [1]), '-', 'the only one')
  t.equal(eject({}, [1], [1, { port: 2, ready: false }]), '- -', 'the only one that is ready')
  t.equal(eject({}, [1], [1, { port: 2, weight: 0 }]), '- -', 'the only one with a weight')
})

t.test('an endpoint that is left alone comes back at once', async (t) => {
  const started = startObserver(t, { web: { endpoints: [1, 2] } })
  started.report(1)
  started.observe(makeUpstreams({ web: { endpoints: [1] } }))
  t.equal(started.states(), 'healthy')
  t.match(started.lines[1], /back from its ejection .* it is the only endpoint/)
})

t.test('a check that succeeds brings an ejected endpoint back', async (t) => {
  const [one, two] = [await startFaultyServer(t), await startFaultyServer(t)]
  const started = startObserver(t, { web: { endpoints: [one.port, two.port], policy: CHECK } })
  await makeTurn(started, 2)
  started.report(one.port)
  t.equal(started.states(), 'ejected -')
  await makeTurn(started, 2)
  t.equal(started.states(), 'healthy -')
  t.match(started.lines[1], /back from its ejection .* its check succeeds: /)
})

t.test('one that is unhealthy is not ejected besides', async (t) => {
  const [one, two] = [await startFaultyServer(t, 503), await startFaultyServer(t)]
  const started = startObserver(t, { web: { endpoints: [one.port, two.port], policy: CHECK } })
  await makeTurn(started, 2)
  started.report(one.port)
  t.equal(started.states(), 'unhealthy -')
  started.report(two.port)
  t.equal(started.states(), 'unhealthy -', 'nor the last that is well')
})

t.test('panic begins below the threshold and ends at it', async (t) => {
  const servers = await Promise.all([503, 503, 200, 200].map((status) => startFaultyServer(t, status as 503 | 200)))
  const endpoints = servers.map(({ port }) => port)
  const started = startObserver(t, { web: { endpoints, policy: { ...CHECK, panicThreshold: 50 } } })
  await makeTurn(started, 4)
  t.equal(started.states(), 'unhealthy unhealthy - -')
  t.equal(started.get().inPanic, undefined, 'a half is enough')
  servers[2]!.fault = 'cut'
  for (let turn = 0; turn < 3; turn++) await makeTurn(started, 4)
  t.equal(started.states(), 'unhealthy unhealthy unhealthy -')
  t.equal(started.get().inPanic, true)
  t.same([...started.observer.panics()], [['default/web:80', 1]])
  await makeTurn(started, 4)
  servers[0]!.fault = 'none'
  await makeTurn(started, 4)
  t.equal(started.get().inPanic, undefined)
  const panics = started.lines.filter((line) => !line.includes('endpoint is'))
  t.same(panics, [
    'warn too few endpoints are in good health | default/web:80 1 of 4',
    'info enough endpoints are in good health again | default/web:80 2 of 4',
  ])
  started.observe(undefined, makeSettings({ 'upstream.panicThreshold': 100 }))
  t.equal(started.get().inPanic, undefined, 'its own threshold counts')
})

t.test('nothing is left when it is closed', async (t) => {
  const server = await startFaultyServer(t, 'hang')
  const started = startObserver(t, { web: { endpoints: [server.port, 1, 2], policy: CHECK } })
  started.time.advance(1_000)
  await until(() => server.requests.length === 1)
  started.report(1)
  started.observer.close()
  await until(async () => started.time.pending.length === 0 && (await server.connections()) === 0)
})
