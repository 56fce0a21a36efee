/** The metrics of a whole gateway: what its traffic comes to, and that Prometheus' own tool finds no fault with them. */
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer as createHttpServer, get, request } from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as tlsConnect } from 'node:tls'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { findFreePort } from './helpers/free-ports.ts'
import { connectH2, requestH2 } from './helpers/h2-client.ts'
import { connectRaw } from './helpers/raw-client.ts'
import { type RunningGateway, readMetrics, runGateway } from './helpers/running-gateway.ts'
import { until } from './helpers/until.ts'

/** Answers each request with 3000 bytes, and takes any upgrade: a WebSocket as it is, another one as an echo. */
async function startHttp(t: Test): Promise<number> {
  const server = createHttpServer((incoming, response) => {
    incoming.resume().on('end', () => response.end('x'.repeat(3_000)))
  })
  const webSockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (incoming, socket, head) => {
    socket.on('error', () => {})
    if (incoming.headers.upgrade === 'websocket') {
      webSockets.handleUpgrade(incoming, socket, head, (webSocket) =>
        webSocket.on('message', (text) => webSocket.send(text)),
      )
      return
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.on('data', (bytes: Buffer) => void socket.write(Buffer.concat([bytes, bytes])))
    socket.on('end', () => socket.end())
  })
  return listen(t, server)
}

/** Answers twice what it is sent. */
async function startTcp(t: Test): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => void socket.write(Buffer.concat([bytes, bytes])))
  })
  return listen(t, server)
}

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function startUdp(t: Test): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (bytes, from) => socket.send(Buffer.concat([bytes, bytes]), from.port, from.address))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  return socket.address().port
}

async function start(t: Test, workers: string) {
  const [http, tcp, udp] = await Promise.all([startHttp(t), startTcp(t), startUdp(t)])
  const port = await findFreePort()
  const service = (name: string, endpoint: number, protocol: string) => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, annotations: {portico.dev/endpoints: "127.0.0.1:${endpoint}"}}
spec: {type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: ${port}, protocol: ${protocol}}]}
`
  const manifests = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:${http}"}}
spec: {ports: [{port: 80}]}
${service('db', tcp, 'TCP')}${service('dns', udp, 'UDP')}`
  const running = await runGateway(t, manifests, {
    flags: {
      'admin.enabled': 'true',
      'admin.port': '0',
      'loadBalancers.address': '127.0.0.1',
      'timeouts.datagramIdle': '100ms',
      workers,
    },
  })
  return { running, port }
}

const sampleOf = (page: string, sample: string) =>
  Number(
    page
      .split('\n')
      .find((line) => line.startsWith(`${sample} `))
      ?.slice(sample.length + 1),
  )

async function untilCounted(running: RunningGateway, counts: Readonly<Record<string, number>>): Promise<void> {
  await until(async () => {
    const page = await readMetrics(running)
    return Object.entries(counts).every(([sample, value]) => sampleOf(page, sample) === value)
  })
}

for (const workers of ['0', '1']) {
  t.test(`bytes from and to clients are counted, and tunnels while they are open; workers: ${workers}`, async (t) => {
    const { running, port } = await start(t, workers)
    const web = '{ingress="default/web",service="default/web:80"}'
    const where = { host: '127.0.0.1', port: running.http, agent: false } as const

    const [answer] = await once(get(where), 'response')
    t.equal((await text(answer)).length, 3_000)
    const [other] = await once(request({ ...where, method: 'POST' }).end('y'.repeat(1_234)), 'response')
    await text(other)
    await untilCounted(running, {
      [`portico_request_body_bytes_total${web}`]: 1_234,
      [`portico_response_body_bytes_total${web}`]: 6_000,
      portico_tunnels_open: 0,
    })

    const [, socket] = await once(
      request({ ...where, headers: { connection: 'upgrade', upgrade: 'echo' } }).end(),
      'upgrade',
    )
    socket.write('hello')
    await once(socket, 'data')
    await untilCounted(running, { portico_tunnels_open: 1 })
    socket.end()
    await once(socket.resume(), 'close')
    await untilCounted(running, {
      [`portico_request_body_bytes_total${web}`]: 1_239,
      [`portico_response_body_bytes_total${web}`]: 6_010,
      portico_tunnels_open: 0,
    })

    const open = async () => {
      const webSocket = new WebSocket(`ws://127.0.0.1:${running.http}/`)
      await once(webSocket, 'open')
      return webSocket
    }
    const webSockets = [await open(), await open()]
    await untilCounted(running, { portico_tunnels_open: 2 })
    webSockets[0]?.send('hello')
    t.equal(String((await once(webSockets[0] as WebSocket, 'message'))[0]), 'hello')
    webSockets[0]?.close()
    await untilCounted(running, { portico_tunnels_open: 1 })
    webSockets[1]?.terminate()
    await untilCounted(running, { portico_tunnels_open: 0 })

    const client = connect(port, '127.0.0.1')
    client.write('seventy')
    await once(client, 'data')
    client.end()
    const datagrams = createSocket('udp4')
    datagrams.send('four', port, '127.0.0.1')
    await once(datagrams, 'message')
    datagrams.close()
    client.destroy()
    const [tcp, udp] = ['db', 'dns'].map((name) => {
      const transport = name === 'dns' ? '/UDP' : '/TCP'
      return `{listener="LoadBalancer default/${name}:${port}${transport} 127.0.0.1:${port}"}`
    })
    await untilCounted(running, {
      [`portico_listener_received_bytes_total${tcp}`]: 7,
      [`portico_listener_sent_bytes_total${tcp}`]: 14,
      [`portico_listener_received_bytes_total${udp}`]: 4,
      [`portico_listener_sent_bytes_total${udp}`]: 8,
    })
  })
}

/** What `promtool check metrics` finds fault with, as far as it may befall us. */
function findFaults(page: string): string[] {
  const faults: string[] = []
  const helps = new Set([...page.matchAll(/^# HELP (\S+) \S/gm)].map(([, name]) => name))
  for (const [, name = '', type = ''] of page.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const fault = (what: string) => faults.push(`${name}: ${what}`)
    if (!helps.has(name)) fault('no help text')
    if (type === 'counter' && !name.endsWith('_total')) fault('a counter should end in _total')
    if (type !== 'counter' && name.endsWith('_total')) fault('only a counter should end in _total')
    if (type !== 'histogram' && /_(bucket|count|sum)$/.test(name)) fault('the suffix is one of histograms')
    if (/_(gauge|counter|histogram|summary)(_|$)/.test(name)) fault('the type is in the name')
    if (/:|[a-z][A-Z]/.test(name)) fault('colon or camel case')
    if (/_(milliseconds|ms|minutes|hours|kilobytes|kb|megabytes|bits|percent)(_|$)/.test(name)) fault('no base unit')
  }
  return faults
}

const hasPromtool = spawnSync('promtool', ['--version']).status === 0

t.test('promtool finds no fault', async (t) => {
  const { running } = await start(t, '1')
  const { host, port } = { host: '127.0.0.1', port: running.http }
  const [answer] = await once(get({ host, port, agent: false }), 'response')
  await text(answer)
  const page = await readMetrics(running)
  t.match(page, /^portico_endpoint_requests_total\{/m)
  t.same(findFaults(page), [])
  t.test('promtool check metrics', { skip: !hasPromtool && 'promtool is not installed' }, async (t) => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' })
    t.equal(status, 0, stdout + stderr)
  })
})

t.test(
  'handshakes are counted by version, and failures by their reason; a filter that refuses by its name',
  async (t) => {
    const { running } = await start(t, '1')
    const session = connectH2(t, running.https, { tls: true })
    t.equal((await requestH2(session, { ':path': '/', ':authority': 'web.test' })).status, 200)
    const plain = await connectRaw(running.https)
    await plain.send('GET / HTTP/1.1\r\nHost: web.test\r\n\r\n').response()
    plain.destroy()
    const old = tlsConnect({
      host: '127.0.0.1',
      port: running.https,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    await once(old, 'error')
    await untilCounted(running, {
      'portico_tls_handshakes_total{version="TLSv1.3",kind="full"}': 1,
      'portico_tls_handshake_failures_total{reason="plain_http"}': 1,
      'portico_tls_handshake_failures_total{reason="version"}': 1,
      portico_http2_streams_open: 0,
    })
    const page = await readMetrics(running)
    t.match(page, /^portico_worker_memory_bytes\{worker="1",kind="heap_used"\} \d+$/m)
    t.match(page, /^portico_worker_event_loop_delay_seconds\{worker="1",stat="p99"\} [\d.e-]+$/m)
  },
)

t.test('Accept decides the form, and OpenMetrics has the trace id of a request', async (t) => {
  const { running } = await start(t, '1')
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const headers = { traceparent: `00-${trace}-b7ad6b7169203331-01` }
  const [answer] = await once(get({ host: '127.0.0.1', port: running.http, agent: false, headers }), 'response')
  await text(answer)
  const where = `http://127.0.0.1:${running.gateway.ports.admin}/metrics`
  const scrape = (accept: string) => fetch(where, { headers: { accept } })
  await until(async () => /trace_id/.test(await (await scrape('application/openmetrics-text')).text()))
  const open = await scrape('application/openmetrics-text; version=1.0.0')
  t.match(open.headers.get('content-type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8')
  const page = await open.text()
  t.match(page, `# {trace_id="${trace}"}`)
  t.match(page, /\n# EOF\n$/)
  const plain = await scrape('text/plain')
  t.match(plain.headers.get('content-type'), 'text/plain; version=0.0.4')
  t.notMatch(await plain.text(), /trace_id|# EOF/)
})
