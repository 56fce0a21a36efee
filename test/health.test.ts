/** The health of endpoints in a whole gateway, over real sockets: what they do, who gets requests, and what is said of it. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import type { EndpointRow } from '../lib/report/endpoint-view.ts'
import { startGateway } from './bin/process.ts'
import { readMetrics, runGateway } from './helpers/running-gateway.ts'
import { until } from './helpers/until.ts'
import { type Fault, startFaultyServer } from './observe/health/faulty-server.ts'
import { startGrpcHealthServer } from './observe/health/grpc-health-server.ts'

type Annotations = Readonly<Record<string, string>>

function serviceYaml(annotations: Annotations = {}, spec = ''): string {
  const all = Object.entries(annotations).map(([name, value]) => `portico.dev/${name}: "${value}"`)
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {${all.join(', ')}}}
spec: {ports: [{port: 80}]${spec}}
---
`
}

const endpointsOf = (...ports: number[]) => ({ endpoints: ports.map((port) => `127.0.0.1:${port}`).join(', ') })

/** A gateway with its log lines, on what they are about. */
async function start(t: Test, manifests: string, flags: Record<string, string> = {}) {
  const lines: string[] = []
  const log = pino(
    { level: 'info' },
    {
      write: (text: string) => {
        const { msg, endpoint, upstream, reason } = JSON.parse(text)
        if (upstream !== undefined) lines.push(`${msg.split(':')[0]}${endpoint ? ` ${endpoint} (${reason})` : ''}`)
      },
    },
  )
  const running = await runGateway(t, manifests, {
    log,
    flags: {
      'admin.enabled': 'true',
      'admin.port': '0',
      'https.enabled': 'false',
      'log.access': 'false',
      'timeouts.responseHeaders': '100ms',
      'timeouts.upstreamKeepAlive': '0',
      'upstream.tries': '1',
      ...flags,
    },
  })
  return { ...running, lines }
}

/** The status, or why there is none; and what the body says, which is the port of the endpoint. */
async function ask(port: number, path = '/'): Promise<string> {
  const asked = request({ host: '127.0.0.1', port, path, agent: new Agent() }).end()
  try {
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    let body = ''
    for await (const chunk of response.setEncoding('utf8')) body += chunk
    return response.statusCode === 200 ? body : `${response.statusCode}`
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

async function askMany(port: number, times: number): Promise<Map<string, number>> {
  const answers = new Map<string, number>()
  for (let count = 0; count < times; count++) {
    const answer = await ask(port)
    answers.set(answer, (answers.get(answer) ?? 0) + 1)
  }
  return answers
}

async function readEndpoints(admin: number): Promise<readonly EndpointRow[]> {
  return (await fetch(`http://127.0.0.1:${admin}/api/v1/endpoints`)).json() as Promise<readonly EndpointRow[]>
}

const stateOf = async (admin: number, endpoint: number): Promise<EndpointRow | undefined> =>
  (await readEndpoints(admin)).find(({ address }) => address.endsWith(`:${endpoint}`))

const CHECK = { 'health-check': 'http', 'health-path': '/healthz', 'health-interval': '50ms' }

t.test('an endpoint whose check fails gets no requests until it succeeds again', async (t) => {
  const isCheck = (incoming: IncomingMessage) => incoming.url === '/healthz'
  const [one, two] = [await startFaultyServer(t, 'none', isCheck), await startFaultyServer(t)]
  const running = await start(t, serviceYaml({ ...endpointsOf(one.port, two.port), ...CHECK }))
  const { http, admin, lines } = running
  t.same(
    await askMany(http, 4),
    new Map([
      [`${one.port}`, 2],
      [`${two.port}`, 2],
    ]),
  )
  one.fault = 503
  await until(async () => (await stateOf(admin, one.port))?.state === 'unhealthy')
  await until(async () => (await askMany(http, 2)).get(`${two.port}`) === 2)
  t.same(await askMany(http, 4), new Map([[`${two.port}`, 4]]))
  t.match(await stateOf(admin, one.port), {
    state: 'unhealthy',
    reason: /^GET \/healthz: 503, 3 times since \d\d:\d\d:\d\d$/,
    healthSince: /^\d{4}-/,
  })
  const metrics = await readMetrics(running)
  const labels = `upstream="default/web:80",endpoint="127.0.0.1:${one.port}"`
  t.match(metrics, `portico_endpoint_healthy{${labels}} 0`)
  t.match(metrics, `portico_endpoint_healthy{upstream="default/web:80",endpoint="127.0.0.1:${two.port}"} 1`)
  t.match(metrics, new RegExp(`portico_health_checks_total\\{${labels},result="failure"\\} [1-9]`))
  one.fault = 'none'
  await until(async () => (await stateOf(admin, one.port))?.state === 'ready')
  await until(async () => (await askMany(http, 2)).has(`${one.port}`))
  t.match(lines, [
    new RegExp(`^endpoint is unhealthy 127.0.0.1:${one.port} \\(GET /healthz: 503, 3 times`),
    new RegExp(`^endpoint is healthy again 127.0.0.1:${one.port} \\(GET /healthz: 200`),
  ])
  t.equal(lines.length, 2)
})

t.test('endpoints that refuse, hang or flap at their check', async (t) => {
  for (const fault of ['stop', 'hang', 'cut', 'reset'] as const) {
    const [one, two] = [await startFaultyServer(t), await startFaultyServer(t)]
    const annotations = { ...endpointsOf(one.port, two.port), ...CHECK, 'health-timeout': '500ms' }
    const { http, lines } = await start(t, serviceYaml(annotations))
    await until(() => one.requests.length > 0)
    // Two failures are below the threshold.
    one.fault = 500
    const asked = one.requests.length
    await until(() => one.requests.length > asked)
    one.fault = 'none'
    await until(() => one.requests.length > asked + 2)
    t.same(lines, [])
    if (fault === 'stop') await one.stop()
    else one.fault = fault
    await until(() => lines.length === 1)
    t.match(lines[0], /^endpoint is unhealthy/)
    await until(async () => (await askMany(http, 2)).get(`${two.port}`) === 2)
    if (fault === 'stop') await one.restart()
    one.fault = 'none'
    await until(() => lines.length === 2)
    t.match(lines[1], /^endpoint is healthy again/)
  }
})

t.test('a readinessProbe of a Pod, in each of its kinds', async (t) => {
  const web = await startFaultyServer(t)
  const grpc = await startGrpcHealthServer(t)
  for (const [probe, fail] of [
    [
      `{httpGet: {port: ${web.port}, path: /ready}, periodSeconds: 1, failureThreshold: 1}`,
      () => {
        web.fault = 500
      },
    ],
    [
      `{grpc: {port: ${grpc.port}, service: orders}, periodSeconds: 1, failureThreshold: 1}`,
      () => grpc.statuses.set('orders', 2),
    ],
    [`{tcpSocket: {port: ${web.port}}, periodSeconds: 1, failureThreshold: 1}`, () => web.stop()],
  ] as const) {
    web.fault = 'none'
    grpc.statuses.set('orders', 1)
    const pod = `apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec: {containers: [{name: web, readinessProbe: ${probe}}]}
status: {podIP: 127.0.0.1}
`
    const spec = `, selector: {app: web}`
    const manifests = serviceYaml({}, spec).replace('{port: 80}', `{port: 80, targetPort: ${web.port}}`)
    const { http, lines, gateway } = await start(t, manifests + pod)
    t.equal(await ask(http), `${web.port}`)
    await fail()
    await until(() => lines.length === 1)
    await until(async () => (await ask(http)) === '503')
    await gateway.stop()
  }
})

t.test('all unhealthy is 503; with a panic threshold all get requests', async (t) => {
  const isCheck = (incoming: IncomingMessage) => incoming.url === '/healthz'
  const [one, two] = [await startFaultyServer(t, 503, isCheck), await startFaultyServer(t, 503, isCheck)]
  const annotations = { ...endpointsOf(one.port, two.port), ...CHECK }
  const running = await start(t, serviceYaml(annotations))
  const { http, lines, change } = running
  await until(() => lines.length === 2)
  await until(async () => (await ask(http)) === '503')
  await change(serviceYaml({ ...annotations, 'panic-threshold': '40' }))
  t.match(lines[2], /^too few endpoints are in good health/)
  t.same((await askMany(http, 4)).size, 2)
  one.fault = 'none'
  await until(() => lines.length === 5)
  t.match(lines[3], /^endpoint is healthy again/)
  t.match(lines[4], /^enough endpoints are in good health again/)
  await until(async () => (await askMany(http, 2)).get(`${one.port}`) === 2)
  t.match(await readMetrics(running), 'portico_upstream_panics_total{upstream="default/web:80"} 1')
})

const FAULTS: readonly (Fault | 'stop')[] = ['stop', 'cut', 'reset', 'hang']

for (const fault of FAULTS) {
  t.test(`an endpoint with the fault "${fault}" is ejected after five failures in a row, and comes back`, async (t) => {
    const [one, two] = [await startFaultyServer(t), await startFaultyServer(t)]
    const annotations = { ...endpointsOf(one.port, two.port), 'ejection-base-time': '2s' }
    const { http, admin, lines, change } = await start(t, serviceYaml(annotations))
    if (fault === 'stop') await one.stop()
    else one.fault = fault
    let failures = 0
    while (lines.length === 0) if ((await ask(http)) !== `${two.port}`) failures++
    t.equal(failures, 5)
    await until(async () => (await stateOf(admin, one.port))?.state === 'ejected')
    t.match(await stateOf(admin, one.port), {
      reason: /^5 failures in a row, the last PORTICO_UP_\w+; until \d\d:\d\d:\d\d$/,
    })
    // A reload changes nothing of it.
    await change(serviceYaml({ ...annotations, 'max-queue': '5' }))
    t.same(await askMany(http, 4), new Map([[`${two.port}`, 4]]))
    if (fault === 'stop') await one.restart()
    one.fault = 'none'
    await until(async () => (await ask(http)) === `${one.port}`)
    t.match(lines, [/^endpoint is ejected/, /^endpoint is back from its ejection/])
    t.equal(lines.length, 2)
  })
}

t.test('an endpoint that is slow, or answers errors, is not ejected for it; by its error rate it is', async (t) => {
  const [one, two] = [await startFaultyServer(t, 503), await startFaultyServer(t, 'slow')]
  two.slowMs = 20
  const annotations = endpointsOf(one.port, two.port)
  const { http, lines, change } = await start(t, serviceYaml(annotations))
  t.same(
    await askMany(http, 16),
    new Map([
      ['503', 8],
      [`${two.port}`, 8],
    ]),
  )
  t.same(lines, [])
  await change(serviceYaml({ ...annotations, 'ejection-error-rate': '50', 'ejection-minimum-requests': '4' }))
  await until(async () => (await askMany(http, 2)).get(`${two.port}`) === 2)
  t.match(lines, [/^endpoint is ejected .* \(100 % of 4 requests within 10000 ms failed; until/])
})

t.test('a single endpoint is never ejected', async (t) => {
  const one = await startFaultyServer(t, 'cut')
  const { http, lines } = await start(t, serviceYaml(endpointsOf(one.port)))
  t.same(await askMany(http, 12), new Map([['502', 12]]))
  one.fault = 'none'
  t.equal(await ask(http), `${one.port}`)
  t.same(lines, [])
})

t.test('two workers tell of the same endpoint: it is one ejection, for both, and outlives their deaths', async (t) => {
  const [one, two] = [await startFaultyServer(t, 'cut'), await startFaultyServer(t)]
  const file = join(t.testdir({}), 'web.yaml')
  writeFileSync(file, serviceYaml(endpointsOf(one.port, two.port)))
  const settings = [
    'workers=2',
    'upstream.tries=1',
    'log.format=json',
    'log.access=false',
    'timeouts.upstreamKeepAlive=0',
  ]
  const { ports, stdout } = await startGateway(t, [
    'run',
    '-f',
    file,
    ...settings.flatMap((setting) => ['--set', setting]),
  ])
  const linesOf = (message: string): string[] =>
    stdout()
      .split('\n')
      .filter((line) => line.includes(message))
  // At once, so that both workers have had enough of it before either is heard.
  await until(async () => {
    await Promise.all(Array.from({ length: 40 }, () => ask(ports.http)))
    return linesOf('endpoint is ejected').length > 0
  })
  await until(async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(ports.http)))
    return answers.every((answer) => answer === `${two.port}`)
  })
  t.equal(linesOf('endpoint is ejected').length, 1)
  const workers = (await (await fetch(`http://127.0.0.1:${ports.admin}/api/v1/workers`)).json()) as { pid: number }[]
  for (const { pid } of workers) process.kill(pid, 'SIGKILL')
  await until(() => linesOf('worker replaced').length === 2)
  const asked = one.requests.length
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(ports.http)))
  t.same(new Set(answers), new Set([`${two.port}`]))
  t.equal(one.requests.length, asked)
  t.match(await stateOf(ports.admin, one.port), { state: 'ejected' })
})

t.test('a stop ends the checks', async (t) => {
  const [one, two] = [await startFaultyServer(t, 'hang'), await startFaultyServer(t)]
  const annotations = { ...endpointsOf(one.port, two.port), ...CHECK, 'health-timeout': '5m' }
  const { gateway } = await start(t, serviceYaml(annotations))
  await until(() => one.requests.length === 1 && two.requests.length > 1)
  await gateway.stop()
  await until(async () => (await one.connections()) + (await two.connections()) === 0)
  const asked = two.requests.length
  // Several intervals.
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.equal(two.requests.length, asked)
})

/** Answers `/slow` when it is told to, and echoes over WebSockets. */
async function startDraining(t: Test) {
  const waiting: (() => void)[] = []
  const server = createServer((incoming, response) => {
    const answer = () => response.end(`${(server.address() as AddressInfo).port}`)
    if (incoming.url === '/slow') waiting.push(answer)
    else answer()
  })
  new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (data) => socket.send(`${data}`)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, waiting }
}

const sliceYaml = (...endpoints: string[]) => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: PORT}]
endpoints: [${endpoints.join(', ')}]
---
`

for (const [how, isRemoved] of [
  ['terminates', false],
  ['is taken out of the manifest', true],
] as const) {
  t.test(`an endpoint that ${how} drains: no new requests, and what is under way goes on`, async (t) => {
    const [old, next] = [await startDraining(t), await startDraining(t)]
    const slices = (...lists: [port: number, conditions: string][]) =>
      lists
        .map(([port, conditions], index) =>
          sliceYaml(`{addresses: [127.0.0.1], conditions: {${conditions}}}`)
            .replace('PORT', `${port}`)
            .replace('web-1', `web-${index}`),
        )
        .join('')
    const { http, change } = await start(t, serviceYaml() + slices([old.port, 'ready: true']), {
      'timeouts.responseHeaders': '60s',
      'timeouts.upstreamKeepAlive': '4s',
    })
    const client = new WebSocket(`ws://127.0.0.1:${http}/`)
    t.teardown(() => client.terminate())
    await once(client, 'open')
    const slow = ask(http, '/slow')
    await until(() => old.waiting.length === 1)
    const gone = isRemoved ? [] : ([[old.port, 'ready: false, serving: true, terminating: true']] as [number, string][])
    await change(serviceYaml() + slices([next.port, 'ready: true'], ...gone))
    t.same(await askMany(http, 4), new Map([[`${next.port}`, 4]]))
    client.send('still there')
    const [message] = await once(client, 'message')
    t.equal(`${message}`, 'still there')
    old.waiting[0]?.()
    t.equal(await slow, `${old.port}`)
    client.send('and now')
    t.equal(`${(await once(client, 'message'))[0]}`, 'and now')
  })
}
