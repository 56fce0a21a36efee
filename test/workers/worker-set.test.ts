/** What becomes of workers that hang, die again and again, or run into a bug. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import type { GatewayListener } from '../../lib/model/listener.ts'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'
import { WorkerSet, type WorkerSetOptions } from '../../lib/workers/worker-set.ts'
import { startGateway } from '../bin/process.ts'
import { keepChild } from '../helpers/kept-child.ts'
import { makeSettings } from '../helpers/settings.ts'
import { makeGatewayListener, makeModel } from '../helpers/snapshot.ts'
import { chooseFolder } from '../helpers/spools.ts'
import { until } from '../helpers/until.ts'

const settings = makeSettings({ 'log.level': 'silent' })

/** `http` is the only listener. */
async function startWorkers(
  t: Test,
  port: number,
  options: Partial<WorkerSetOptions> = {},
  http: GatewayListener = makeGatewayListener('http'),
) {
  const lines: Record<string, unknown>[] = []
  const workers = new WorkerSet({
    size: 1,
    settings,
    clock: systemClock,
    log: pino({}, { write: (line: string) => lines.push(JSON.parse(line)) }),
    counts: new RequestCounts(),
    defaultCertificate: undefined,
    ticketSecret: Buffer.alloc(32),
    affinitySecret: Buffer.alloc(32),
    dataFolder: chooseFolder(t),
    logLinesDropped: () => 0,
    ...options,
  })
  t.teardown(() => workers.close())
  const model = { ...makeModel({ upstreams: { web: [port] }, routes: [{ to: 'web' }] }), listeners: [http] }
  await workers.start({ generation: 1, builtAt: 0, settings, model })
  return { workers, lines, http: workers.ports.http ?? 0 }
}

async function startUpstream(t: Test): Promise<number> {
  const server = createServer((_request, response) => response.end('hello'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function get(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text()
}

t.test('a worker that hangs is killed and replaced; its connections go to the next', async (t) => {
  // Fifteen ticks: three seconds, where a worker is heard of every second.
  const { workers, lines, http } = await startWorkers(t, await startUpstream(t), { tickMs: 200 })
  const [before] = workers.workers()
  process.kill(before?.pid ?? 0, 'SIGSTOP')
  t.equal(await get(http), 'hello')
  const [after] = workers.workers()
  t.match(after, { restarts: 1, isUp: true })
  t.not(after?.pid, before?.pid)
  t.match(lines[0], { msg: /^worker does not answer/, worker: 1, worker_pid: before?.pid })
})

t.test('a worker that dies again and again waits longer each time, and then serves', async (t) => {
  const { workers, lines, http } = await startWorkers(t, await startUpstream(t))
  for (let death = 1; death <= 4; death++) {
    process.kill(workers.workers()[0]?.pid ?? 0, 'SIGKILL')
    await until(() => workers.workers()[0]?.restarts === death && workers.isUp)
  }
  t.same(
    lines.flatMap(({ delay_ms }) => delay_ms ?? []),
    [0, 100, 200, 400],
  )
  t.equal(await get(http), 'hello')
})

t.test('a successor that dies as soon as it serves is not told as one that took the place', async (t) => {
  const { workers, lines } = await startWorkers(t, await startUpstream(t))
  for (let death = 1; death <= 3; death++) {
    // At once, before it has said that what it serves is up to date.
    await until(() => workers.isUp)
    process.kill(workers.workers()[0]?.pid ?? 0, 'SIGKILL')
    await until(() => workers.workers()[0]?.restarts === death)
  }
  await until(() => lines.at(-1)?.msg === 'worker replaced')
  const ended: unknown[] = []
  for (const { msg, worker_pid: pid } of lines) {
    if (msg === 'worker replaced') t.ok(pid !== undefined && !ended.includes(pid), 'it has not been told to have ended')
    else ended.push(pid)
  }
})

t.test('while the system gives no process another try follows, and the log says why', async (t) => {
  const { workers, lines, http } = await startWorkers(t, await startUpstream(t))
  // More than Linux hands to a process in one variable: E2BIG.
  process.env.PORTICO_TEST_TOO_MUCH = 'x'.repeat(200_000)
  t.teardown(() => delete process.env.PORTICO_TEST_TOO_MUCH)
  process.kill(workers.workers()[0]?.pid ?? 0, 'SIGKILL')
  await until(() => lines.length === 3)
  delete process.env.PORTICO_TEST_TOO_MUCH
  t.equal(await get(http), 'hello')
  t.match(lines.slice(0, 3), [{ signal: 'SIGKILL' }, { reason: /E2BIG/ }, { reason: /E2BIG/ }])
  t.match(workers.workers(), [{ isUp: true, restarts: 3 }])
})

t.test('CPU time of a place does not go back when another process takes it', async (t) => {
  const { workers, http } = await startWorkers(t, await startUpstream(t))
  const [first] = workers.workers()
  await get(http)
  await workers.refresh()
  const before = workers.workers()[0]?.cpuSeconds ?? 0
  t.ok(before > 0)
  process.kill(first?.pid ?? 0, 'SIGKILL')
  await until(() => {
    const [now] = workers.workers()
    if ((now?.cpuSeconds ?? 0) < before) t.fail('it went back')
    return workers.isUp && now?.pid !== first?.pid
  })
  await workers.refresh()
  t.ok((workers.workers()[0]?.cpuSeconds ?? 0) > before)
})

t.test('workers that cannot listen refuse the start with the reason', async (t) => {
  const first = await startWorkers(t, 1)
  const busy = makeGatewayListener('http', { port: first.http })
  await t.rejects(startWorkers(t, 1, { size: 2 }, busy), { message: /^port \d+ is already in use/ })
})

const MANIFEST = (port: number) => `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  defaultBackend: {service: {name: web, port: {number: 80}}}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {portico.dev/endpoints: "127.0.0.1:${port}"}
spec: {ports: [{port: 80}]}
`

t.test('a program given with -e is not run by its workers', async (t) => {
  const module = pathToFileURL(join(import.meta.dirname, '../../lib/index.js')).href
  const flags = JSON.stringify({
    'http.port': '0',
    'http.address': '127.0.0.1',
    'https.enabled': 'false',
    'admin.enabled': 'false',
    'log.level': 'silent',
  })
  const program = `import { createGateway } from ${JSON.stringify(module)}
console.log('begun')
const gateway = await createGateway({ sources: ['-'], stdin: ${JSON.stringify(MANIFEST(1))}, environment: {}, flags: ${flags} })
await gateway.start()
console.log((await fetch('http://127.0.0.1:' + gateway.ports.http)).status, await gateway.stop())`
  const words = ['--input-type=module', '-e', program]
  const child = keepChild(spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] }))
  t.teardown(() => child.kill('SIGKILL'))
  t.equal(await text(child.stdout), 'begun\n502 clean\n')
})

/** Runs a gateway whose worker fails at SIGUSR2, as the module `bug` says, until another worker has served and all has ended. */
async function outliveBug(t: Test, bug: string) {
  const cwd = t.testdir({ 'web.yaml': MANIFEST(await startUpstream(t)) })
  const words = ['run', '-f', 'web.yaml', '--no-https', '--http-address', '127.0.0.1']
  const gateway = await startGateway(t, words, { cwd, nodeFlags: ['--import', bug] })
  const list = await fetch(`http://127.0.0.1:${gateway.ports.admin}/api/v1/workers`)
  const [worker] = (await list.json()) as { pid: number }[]
  process.kill(worker?.pid ?? 0, 'SIGUSR2')
  await gateway.says('worker replaced')
  t.equal(await get(gateway.ports.http), 'hello')
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.ended, 0)
  return gateway
}

t.test('after a bug in a worker another takes its place, and the log has the stack', async (t) => {
  const bug = `data:text/javascript,if (process.send) process.on('SIGUSR2', () => { throw new Error('boom') })`
  const gateway = await outliveBug(t, bug)
  const lines = gateway
    .stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.match(
    lines.find(({ msg }) => /a bug/.test(msg)),
    { level: 'error', msg: /^uncaught exception in a worker/, err: { message: 'boom', stack: /at / } },
  )
  t.match(
    lines.find(({ msg }) => /^worker ended/.test(msg)),
    { code: 1, signal: null },
  )
})

t.test('a bug that is in the way of the end too does not keep a worker', async (t) => {
  const bugs = `data:text/javascript,if (process.send) process.on('SIGUSR2', () => {
    process.memoryUsage = () => { process.send({ type: 'reported' }); throw new Error('again') };
    throw new Error('boom')
  })`
  await outliveBug(t, bugs)
})

t.test('a log level that changes is in force in the workers too', async (t) => {
  const level = (name: string) =>
    `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nlog: {level: ${name}}\n`
  const cwd = t.testdir({ 'web.yaml': MANIFEST(await startUpstream(t)), 'portico.yaml': level('info') })
  const words = ['run', '-f', '.', '--no-https', '--http-address', '127.0.0.1', '--no-watch', '--workers', '2']
  const gateway = await startGateway(t, words, { cwd })
  const reload = async (name: string, generation: number) => {
    writeFileSync(`${cwd}/portico.yaml`, level(name))
    gateway.child.kill('SIGHUP')
    for (;;) {
      const list = await fetch(`http://127.0.0.1:${gateway.ports.admin}/api/v1/workers`)
      const workers = (await list.json()) as { generation: number }[]
      if (workers.every((worker) => worker.generation === generation)) return
      await sleep(20)
    }
  }
  await reload('silent', 2)
  for (let index = 0; index < 10; index++) await get(gateway.ports.http)
  await reload('info', 3)
  await get(gateway.ports.http)
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.ended, 0)
  const requests = gateway
    .stdout()
    .split('\n')
    .filter((line) => line.includes('"msg":"request"'))
  t.equal(requests.length, 1)
})
