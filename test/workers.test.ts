/** A gateway whose traffic is carried by processes of their own: what they share, and what the death of one costs. */
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { createGateway, StartError } from '../lib/index.ts'
import type { EndpointRow } from '../lib/report/endpoint-view.ts'
import type { WorkerRow } from '../lib/report/views.ts'
import { startGateway } from './bin/process.ts'
import { findFreePort } from './helpers/free-ports.ts'
import { runGateway } from './helpers/running-gateway.ts'
import { until } from './helpers/until.ts'

const INGRESS = (host: string) => `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: ${host}
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
`

/** Counts what it was asked; requests for `/slow` are answered by `finish`. */
async function startUpstream(t: Test) {
  const waiting: ServerResponse[] = []
  const upstream = {
    port: await findFreePort(),
    requests: 0,
    waiting,
    finish: () => {
      for (const response of waiting.splice(0)) response.end('slow')
    },
  }
  const server = createServer((incoming, response) => {
    upstream.requests++
    if (incoming.url === '/slow') waiting.push(response)
    else response.end('quick')
  })
  const open = async () => {
    server.listen(upstream.port, '127.0.0.1')
    await once(server, 'listening')
  }
  const close = async () => {
    server.closeAllConnections()
    if (server.listening) await once(server.close(), 'close')
  }
  await open()
  t.teardown(close)
  return Object.assign(upstream, { open, close })
}

async function start(t: Test, flags: Record<string, string> = {}) {
  const upstream = await startUpstream(t)
  const running = await runGateway(t, INGRESS('a.test'), {
    endpoints: { web: [upstream.port] },
    flags: { workers: '2', 'admin.enabled': 'true', 'admin.port': '0', 'https.enabled': 'false', ...flags },
  })
  return { ...running, upstream, admin: running.gateway.ports.admin ?? 0 }
}

async function ask(port: number, path = '/', host = 'a.test', agent: Agent | false = false): Promise<string> {
  const asked = request({ host: '127.0.0.1', port, path, agent, headers: { host } }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  return `${response.statusCode} ${body}`
}

async function readAdmin<T = unknown>(admin: number, path: string): Promise<T> {
  const answer = await ask(admin, path, 'localhost')
  const body = answer.slice(4)
  return path === '/metrics' ? (body as T) : JSON.parse(body)
}

const listWorkers = (admin: number) => readAdmin<WorkerRow[]>(admin, '/api/v1/workers')

function sumOf(metrics: string, name: string): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

t.test('two workers share a port, and each of them serves', async (t) => {
  const { http, admin } = await start(t)
  const workers = await listWorkers(admin)
  t.match(workers, [
    { worker: 1, state: 'serving', generation: 1, restarts: 0 },
    { worker: 2, state: 'serving', generation: 1, restarts: 0 },
  ])
  t.equal(new Set([process.pid, ...workers.map(({ pid }) => pid)]).size, 3)
  for (const { pid, worker } of workers) {
    // While one is held, what is answered was answered by the other.
    process.kill(pid ?? 0, 'SIGSTOP')
    const asked = Array.from({ length: 30 }, () => ask(http))
    t.equal(await Promise.any(asked), '200 quick', `without worker ${worker}`)
    process.kill(pid ?? 0, 'SIGCONT')
    t.same(new Set(await Promise.all(asked)), new Set(['200 quick']))
  }
})

t.test('a worker killed under load costs only what it was serving, and is replaced', async (t) => {
  const { http, admin, upstream } = await start(t, { 'upstream.tries': '1' })
  const slow = Array.from({ length: 8 }, () => ask(http, '/slow').catch(() => 'cut'))
  await until(() => upstream.waiting.length === 8)
  const [victim, other] = await listWorkers(admin)
  let isOver = false
  const outcomes = new Map<string, number>()
  const load = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const outcome = await ask(http).catch((error: NodeJS.ErrnoException) => error.code ?? error.message)
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
    }),
  )
  await until(() => (outcomes.get('200 quick') ?? 0) > 50)
  process.kill(victim?.pid ?? 0, 'SIGKILL')
  await until(async () =>
    (await listWorkers(admin)).every(
      ({ state, restarts, worker }) => state === 'serving' && restarts === Number(worker === 1),
    ),
  )
  const served = outcomes.get('200 quick') ?? 0
  await until(() => (outcomes.get('200 quick') ?? 0) > served + 50)
  isOver = true
  await load
  outcomes.delete('200 quick')
  const failed = [...outcomes.values()].reduce((sum, count) => sum + count, 0)
  t.ok(failed <= 4, `each of four clients had one request in flight; failed: ${JSON.stringify([...outcomes])}`)
  t.notOk(outcomes.has('ECONNREFUSED'))
  const [first, second] = await listWorkers(admin)
  t.not(first?.pid, victim?.pid)
  t.equal(second?.pid, other?.pid, 'the other was left alone')
  upstream.finish()
  const left = (await Promise.all(slow)).filter((outcome) => outcome === '200 slow').length
  t.ok(left >= 0 && left <= 8)
})

t.test('while no worker is up the gateway is not ready, and connections wait for the next', async (t) => {
  const { http, admin } = await start(t, { workers: '1' })
  const [victim] = await listWorkers(admin)
  const statuses = new Set<string>()
  process.kill(victim?.pid ?? 0, 'SIGKILL')
  const asked = ask(http)
  await until(async () => {
    const answer = await ask(admin, '/readyz', 'localhost')
    statuses.add(answer.slice(0, 3))
    if (answer.startsWith('503')) t.match(answer, 'no worker serves')
    return statuses.has('503') && answer.startsWith('200')
  })
  t.equal(await asked, '200 quick')
})

t.test('a reload is in force in all workers when it resolves', async (t) => {
  const { gateway, http, admin, change } = await start(t, { workers: '3' })
  await change(INGRESS('b.test'))
  t.same(
    (await listWorkers(admin)).map(({ generation }) => generation),
    [2, 2, 2],
  )
  const answers = await Promise.all(Array.from({ length: 30 }, () => ask(http, '/', 'b.test')))
  t.same(new Set(answers), new Set(['200 quick']))
  t.match(await ask(http), /^404 /)
  t.equal(gateway.served.generation, 2)
})

t.test('a worker that takes the place of another has what was reloaded since the start', async (t) => {
  const { http, admin, change } = await start(t, { workers: '1' })
  await change(INGRESS('b.test'))
  const [victim] = await listWorkers(admin)
  process.kill(victim?.pid ?? 0, 'SIGKILL')
  await until(async () =>
    (await listWorkers(admin)).every(({ restarts, state }) => restarts === 1 && state === 'serving'),
  )
  t.match(await listWorkers(admin), [{ generation: 2 }])
  t.equal(await ask(http, '/', 'b.test'), '200 quick')
})

t.test('a stop waits for what any worker has in flight, and nothing is lost', async (t) => {
  const { gateway, http, upstream } = await start(t)
  const slow = Array.from({ length: 12 }, () => ask(http, '/slow'))
  await until(() => upstream.waiting.length === 12)
  const stopped = gateway.stop()
  await until(() =>
    ask(http).then(
      () => false,
      (error) => error.code === 'ECONNREFUSED',
    ),
  )
  upstream.finish()
  t.same(new Set(await Promise.all(slow)), new Set(['200 slow']))
  t.equal(await stopped, 'clean')
})

t.test('what does not end is cut at the deadline, in all workers; a second stop does not wait for it', async (t) => {
  for (const isHurried of [false, true]) {
    const { gateway, http, upstream } = await start(t, { 'timeouts.drain': isHurried ? '1h' : '200ms' })
    const slow = Array.from({ length: 6 }, () => ask(http, '/slow').catch(() => 'cut'))
    await until(() => upstream.waiting.length === 6)
    const stopped = gateway.stop()
    if (isHurried) void gateway.stop()
    t.equal(await stopped, 'forced')
    t.same(new Set(await Promise.all(slow)), new Set(['cut']))
  }
})

t.test('metrics and endpoint figures are those of all workers, and never go back', async (t) => {
  const { http, admin } = await start(t)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const count = async () => sumOf(await readAdmin<string>(admin, '/metrics'), 'portico_requests_total')
  for (let index = 0; index < 20; index++) await ask(http)
  await ask(http, '/', 'a.test', agent)
  const metrics = await readAdmin<string>(admin, '/metrics')
  t.equal(sumOf(metrics, 'portico_requests_total'), 21)
  t.equal(sumOf(metrics, 'portico_request_duration_seconds_count'), 21)
  t.equal(sumOf(metrics, 'portico_requests_in_flight'), 0)
  t.ok(sumOf(metrics, 'portico_connections') >= 1)
  t.equal(sumOf(metrics, 'portico_worker_up'), 2)
  t.ok(sumOf(metrics, 'portico_worker_resident_memory_bytes') > 10_000_000)
  t.match(await readAdmin(admin, '/api/v1/endpoints'), [{ live: { requests: 21, inFlight: 0, failures: 0 } }])
  for (const { pid, worker } of await listWorkers(admin)) {
    process.kill(pid ?? 0, 'SIGKILL')
    await until(async () => {
      t.ok((await count()) >= 21)
      return (await listWorkers(admin)).every(
        (each) => each.state === 'serving' && each.restarts === Number(each.worker <= worker),
      )
    })
  }
  await ask(http)
  t.equal(await count(), 22)
  t.match(await readAdmin(admin, '/api/v1/endpoints'), [{ live: { requests: 22 } }])
  t.equal(sumOf(await readAdmin<string>(admin, '/metrics'), 'portico_worker_restarts_total'), 2)
})

for (const workers of ['0', '2']) {
  t.test(`an endpoint that refuses everything is failing, until it answers; workers: ${workers}`, async (t) => {
    const { http, admin, upstream } = await start(t, { workers })
    await ask(http)
    const show = async () => (await readAdmin<EndpointRow[]>(admin, '/api/v1/endpoints'))[0]!
    t.match(await show(), { state: 'ready', reason: '' })
    await upstream.close()
    for (let index = 0; index < 8; index++) t.match(await ask(http), /^502 /)
    const { state, reason } = await show()
    t.equal(state, 'failing')
    t.match(reason, /^\d+ failures in a row, the last PORTICO_UP_CONNECT_REFUSED at \d\d:\d\d:\d\d$/)
    t.ok(Number.parseInt(reason, 10) >= 8)
    await upstream.open()
    await ask(http)
    t.match(await show(), { state: 'ready', reason: '', live: { lastFailure: 'PORTICO_UP_CONNECT_REFUSED' } })
  })
}

t.test('LC-11 a port in use refuses the start, whoever has it', async (t) => {
  const taken = await startUpstream(t)
  const other = await start(t)
  for (const port of [taken.port, other.http]) {
    const gateway = await createGateway({
      sources: ['-'],
      stdin: INGRESS('a.test'),
      environment: {},
      flags: {
        workers: '2',
        'http.port': String(port),
        'http.address': '127.0.0.1',
        'https.enabled': 'false',
        'admin.enabled': 'false',
        'log.level': 'silent',
      },
    })
    const error = await gateway.start().catch((reason: unknown) => reason)
    t.ok(error instanceof StartError)
    t.match(error, { message: `port ${port} is already in use on 127.0.0.1`, help: /--http-port/ })
    t.equal(await gateway.stop(), 'clean')
  }
  t.equal(await ask(other.http), '200 quick')
})

const RUN = ['run', '-f', 'web.yaml', '--workers', '2', '--no-https', '--http-address', '127.0.0.1']

async function startProcess(t: Test, ...words: readonly string[]) {
  const upstream = await startUpstream(t)
  const cwd = t.testdir({ 'web.yaml': INGRESS('a.test') })
  const endpoints = ['--endpoints', `default/web=127.0.0.1:${upstream.port}`]
  const gateway = await startGateway(t, [...RUN, ...endpoints, ...words], { cwd })
  const pids = (await listWorkers(gateway.ports.admin)).map(({ pid }) => pid ?? 0)
  t.teardown(() => {
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  return { ...gateway, upstream, pids }
}

t.test('signals of the terminal reach all processes, and mean one drain', async (t) => {
  const { ports, child, ended, upstream, pids, says } = await startProcess(t)
  const slow = Array.from({ length: 4 }, () => ask(ports.http, '/slow'))
  await until(() => upstream.waiting.length === 4)
  for (const pid of pids) for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.kill(pid, signal)
  child.kill('SIGTERM')
  await says('draining')
  upstream.finish()
  t.same(new Set(await Promise.all(slow)), new Set(['200 slow']))
  t.equal(await ended, 0)
  t.same(pids.map(isAlive), [false, false])
})

t.test('a stop does not wait for a reload that a hung worker holds up', async (t) => {
  const { ports, child, ended, pids } = await startProcess(t)
  const generations = async () => (await listWorkers(ports.admin)).map(({ generation }) => generation)
  process.kill(pids[0] ?? 0, 'SIGSTOP')
  child.kill('SIGHUP')
  await until(async () => (await generations())[1] === 2)
  t.same(await generations(), [1, 2])
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  t.same(pids.map(isAlive), [false, false])
})

t.test('SIGUSR1 opens no debugger, in no process', async (t) => {
  const { child, ended, pids, says, stderr } = await startProcess(t)
  for (const pid of [...pids, child.pid ?? 0]) process.kill(pid, 'SIGUSR1')
  child.kill('SIGHUP')
  await says('configuration reloaded')
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  t.notMatch(stderr(), 'Debugger')
})

t.test('when the control process is killed its workers end what they have begun, and go', async (t) => {
  const { ports, child, upstream, pids } = await startProcess(t)
  const slow = ask(ports.http, '/slow')
  await until(() => upstream.waiting.length === 1)
  child.kill('SIGKILL')
  await until(() =>
    ask(ports.http).then(
      () => false,
      (error) => error.code === 'ECONNREFUSED',
    ),
  )
  upstream.finish()
  t.equal(await slow, '200 slow')
  await until(() => !pids.some(isAlive))
  t.pass('no process is left')
})

t.test('lines of two workers do not mix, and a killed worker is told', async (t) => {
  const { ports, child, ended, stdout, pids, says } = await startProcess(t)
  const path = `/${'x'.repeat(500)}`
  for (let round = 0; round < 4; round++) await Promise.all(Array.from({ length: 50 }, () => ask(ports.http, path)))
  // A worker that is killed takes with it what it has not written yet.
  await until(() => stdout().split(path).length > 200)
  process.kill(pids[0] ?? 0, 'SIGKILL')
  await says('worker replaced')
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  const lines = stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.equal(lines.filter(({ target }) => target === path).length, 200)
  t.match(
    lines.find(({ msg }) => /^worker ended/.test(msg)),
    { level: 'error', worker: 1, worker_pid: pids[0], signal: 'SIGKILL', restarts: 1 },
  )
})
