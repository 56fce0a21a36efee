/** Retries and limits as manifests say them, through a whole gateway: annotations, the log, metrics, and worker processes. */
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { startFaultyUpstream } from './helpers/faulty-upstream.ts'
import { connectRaw, requestRaw } from './helpers/raw-client.ts'
import { startRawUpstream } from './helpers/raw-upstream.ts'
import { readMetrics, runGateway } from './helpers/running-gateway.ts'
import { until } from './helpers/until.ts'

const get = (path = '/') => `GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`

const manifests = (service: Record<string, string>, ingress: Record<string, string> = {}) => `
apiVersion: v1
kind: Service
metadata: {name: web, annotations: ${JSON.stringify(service)}}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: plain}
spec:
  rules:
    - {host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: own, annotations: ${JSON.stringify(ingress)}}
spec:
  rules:
    - {host: a.test, http: {paths: [{path: /own, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}
`

/** Samples of one metric that hold `part`. */
const pick = (text: string, name: string, part = '') =>
  text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(part))

for (const workers of ['0', '1']) {
  const run = (t: Test, port: number, text: string, log?: Parameters<typeof runGateway>[2]) =>
    runGateway(t, text, {
      endpoints: { web: [port] },
      flags: { workers, 'admin.enabled': 'true', 'admin.port': '0', 'https.enabled': 'false' },
      ...log,
    })

  t.test(`workers ${workers}: an Ingress has its own policy, and a reload changes it`, async (t) => {
    const upstream = await startFaultyUpstream(t, () => 503)
    const own = { 'portico.dev/retry-conditions': '503', 'portico.dev/tries': '3', 'portico.dev/retry-backoff': '1ms' }
    const gateway = await run(t, upstream.port, manifests({ 'portico.dev/tries': '1' }, own))
    const ask = async (path: string) => {
      const before = upstream.heads
      t.equal((await requestRaw(gateway.http, get(path))).status, 503)
      return upstream.heads - before
    }
    t.equal(await ask('/'), 1)
    t.equal(await ask('/own'), 3)
    t.same(pick(await readMetrics(gateway), 'portico_upstream_retries_total'), [
      'portico_upstream_retries_total{ingress="default/own",service="default/web:80",reason="status",result="failed"} 1',
      'portico_upstream_retries_total{ingress="default/own",service="default/web:80",reason="status",result="answered"} 1',
    ])
    await gateway.change(manifests({ 'portico.dev/tries': '1' }, { ...own, 'portico.dev/tries': '2' }))
    t.equal(await ask('/own'), 2)
    await gateway.change(manifests({ 'portico.dev/tries': '1' }))
    t.equal(await ask('/own'), 1)
  })

  t.test(`workers ${workers}: a Service has its own tunnelIdle, and so has an Ingress for its routes`, async (t) => {
    const upstream = await startRawUpstream(async (connection) => {
      await connection.head()
      connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n')
    })
    t.teardown(() => upstream.close())
    const open = async (port: number, path: string) => {
      const client = await connectRaw(port)
      t.teardown(() => client.destroy())
      client.send(`GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n`)
      t.equal((await client.response({ headOnly: true })).status, 101)
      return client
    }
    const idle = (time: string) => ({ 'portico.dev/timeouts-tunnel-idle': time })
    const annotated = await run(t, upstream.port, manifests(idle('300ms'), idle('10m')))
    const set = await runGateway(t, manifests(idle('10m')), {
      endpoints: { web: [upstream.port] },
      flags: { workers, 'https.enabled': 'false', services: 'default/web:timeouts.tunnelIdle=300ms' },
    })
    const patient = await open(annotated.http, '/own')
    await Promise.all([annotated, set].map(async ({ http }) => (await open(http, '/')).closed))
    patient.send('still here')
    const connection = await upstream.connection(0)
    await connection.until((seen) => seen.endsWith('still here'))
    t.equal(connection.hasEnded, false, 'that of the Ingress holds')
  })

  t.test(`workers ${workers}: a circuit that opens shows in the metrics`, async (t) => {
    const upstream = await startFaultyUpstream(t, () => 'reset')
    const text = manifests({ 'portico.dev/circuit-error-rate': '50', 'portico.dev/circuit-minimum-requests': '2' })
    const gateway = await run(t, upstream.port, text)
    t.same(pick(await readMetrics(gateway), 'portico_upstream_circuit'), [])
    t.equal((await requestRaw(gateway.http, get())).status, 502)
    const refused = await requestRaw(gateway.http, get())
    t.equal(refused.status, 503)
    t.equal(refused.header('retry-after'), '5')
    t.same(pick(await readMetrics(gateway), 'portico_upstream_circuit'), [
      'portico_upstream_circuit{service="default/web:80",state="open"} 1',
    ])
    t.same(pick(await readMetrics(gateway), 'portico_request_errors_total', 'CIRCUIT'), [
      'portico_request_errors_total{code="PORTICO_UP_CIRCUIT_OPEN"} 1',
    ])
  })
}

t.test('each flip of a circuit is logged once, with the reason', async (t) => {
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  let isBroken = true
  const upstream = await startFaultyUpstream(t, () => (isBroken ? 500 : 'ok'))
  const text = manifests({
    'portico.dev/circuit-error-rate': '50',
    'portico.dev/circuit-minimum-requests': '3',
    'portico.dev/circuit-open-time': '50ms',
  })
  const gateway = await runGateway(t, text, {
    endpoints: { web: [upstream.port] },
    flags: { 'log.access': 'false' },
    log,
  })
  for (let n = 0; n < 3; n++) await requestRaw(gateway.http, get())
  isBroken = false
  const askUntilAnswered = async () => {
    while ((await requestRaw(gateway.http, get())).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 10))
  }
  for (let n = 0; n < 3; n++) await askUntilAnswered()
  t.same(
    lines.filter(({ worker_pid: pid }) => pid === process.pid).map(({ level, service, msg }) => [level, service, msg]),
    [
      [40, 'default/web:80', 'the circuit of default/web:80 is open: 3 of 3 tries failed; no requests for 0.05 s'],
      [30, 'default/web:80', 'the circuit of default/web:80 is half-open: its time is over'],
      [30, 'default/web:80', 'the circuit of default/web:80 is closed: 3 tries were answered well'],
    ],
  )
})

t.test('GETs outlive endpoints that are killed and come back', async (t) => {
  const start = () => startFaultyUpstream(t, (_request, index) => (index % 7 === 3 ? 'close' : 'ok'))
  const upstreams = [await start(), await start(), await start()]
  const gateway = await runGateway(t, manifests({}), { endpoints: { web: upstreams.map(({ port }) => port) } })
  let isOver = false
  const statuses = new Map<number, number>()
  const answers = Array.from({ length: 8 }, () => 0)
  const walk = async (_: number, walker: number) => {
    const client = await connectRaw(gateway.http)
    t.teardown(() => client.destroy())
    while (!isOver) {
      const { status } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      answers[walker]!++
    }
  }
  const walks = answers.map(walk)
  // A request has two tries: on a busy machine it could meet two kills, if each did not wait for the requests of the one before.
  const goOn = async () => {
    const before = [...answers]
    await new Promise((resolve) => setTimeout(resolve, 100))
    await until(() => answers.every((count, walker) => count > before[walker]!))
  }
  for (let round = 0; round < 9; round++) {
    const victim = upstreams[round % 3]!
    await victim.kill()
    await goOn()
    await victim.open()
    await goOn()
  }
  isOver = true
  await Promise.all(walks)
  t.same([...statuses.keys()], [200], `${statuses.get(200)} answers`)
})
