import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runProbe } from '../../../lib/observe/health/probe.ts'
import type { HttpProbe, Probe } from '../../../lib/observe/health/question.ts'
import { makeCertificate } from '../../helpers/certificates.ts'
import { until } from '../../helpers/until.ts'
import { startFaultyServer } from './faulty-server.ts'
import { startGrpcHealthServer } from './grpc-health-server.ts'

const READY = [{ from: 200, to: 399 }]

function http(port: number, changes: Partial<HttpProbe> = {}): HttpProbe {
  return {
    type: 'http',
    address: '127.0.0.1',
    port,
    path: '/healthz',
    headers: [],
    tls: undefined,
    statuses: READY,
    followsRedirects: false,
    ...changes,
  }
}

const ask = (probe: Probe, timeoutMs = 5_000) => runProbe(probe, timeoutMs, new AbortController())

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('http: the status decides', async (t) => {
  const server = await startFaultyServer(t)
  for (const [status, isOk] of [
    [200, true],
    [204, true],
    [301, true],
    [399, true],
    [400, false],
    [500, false],
    [503, false],
  ] as const) {
    server.fault = status
    t.same(await ask(http(server.port)), { isOk, detail: `GET /healthz: ${status}` })
  }
  server.fault = 401
  t.match(await ask(http(server.port, { statuses: [{ from: 401, to: 401 }] })), { isOk: true })
  server.fault = 200
  t.match(await ask(http(server.port, { statuses: [{ from: 401, to: 401 }] })), { isOk: false })
  await until(async () => (await server.connections()) === 0)
})

t.test('http: a 101 that nobody asked for is an answer like any other, not one that is waited for', async (t) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nmore'))
  })
  const port = await listen(t, server)
  t.same(await ask(http(port), 1_000), { isOk: false, detail: 'GET /healthz: 101' })
  await once(server.close(), 'close')
})

t.test('http: what is sent', async (t) => {
  const server = await startFaultyServer(t)
  await ask(http(server.port, { path: '/a b?c=d&e' }))
  await ask(
    http(server.port, {
      path: 'relative',
      headers: [
        ['Host', 'shop.test'],
        ['X-Check', '1'],
        ['x-check', '2'],
        ['User-Agent', 'me'],
      ],
    }),
  )
  await ask(http(server.port, { path: '//other.test/x' }))
  t.match(server.requests, [
    {
      method: 'GET',
      url: '/a%20b?c=d&e',
      headers: {
        host: `127.0.0.1:${server.port}`,
        'user-agent': 'portico-health',
        accept: '*/*',
        connection: 'close',
      },
    },
    { url: '/relative', headers: { host: 'shop.test', 'x-check': '1, 2', 'user-agent': 'me' } },
    { url: '//other.test/x' },
  ])
})

t.test('http: an endpoint that refuses, cuts, resets, hangs or is slow', async (t) => {
  const server = await startFaultyServer(t, 'cut')
  t.match(await ask(http(server.port)), { isOk: false, detail: /^GET \/healthz: (connection reset|socket hang up)$/ })
  server.fault = 'reset'
  t.match(await ask(http(server.port)), { isOk: false, detail: /^GET \/healthz: (connection reset|aborted)$/ })
  server.fault = 'hang'
  t.same(await ask(http(server.port), 50), { isOk: false, detail: 'GET /healthz: no answer within 50 ms' })
  server.fault = 'slow'
  server.slowMs = 20
  t.match(await ask(http(server.port)), { isOk: true })
  await until(async () => (await server.connections()) === 0)
  await server.stop()
  t.same(await ask(http(server.port)), { isOk: false, detail: 'GET /healthz: connection refused' })
})

t.test('http: a body without end is read no further than it takes', async (t) => {
  const port = await listen(
    t,
    createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      const more = (): void => {
        while (socket.writable && socket.write(`1000\r\n${'x'.repeat(4096)}\r\n`)) {}
      }
      socket.on('drain', more)
      more()
    }),
  )
  t.same(await ask(http(port)), { isOk: true, detail: 'GET /healthz: 200' })
})

t.test('http: what is no HTTP, and a head without end', async (t) => {
  const garbage = await listen(
    t,
    createTcpServer((socket) => socket.on('error', () => {}).end('220 smtp.test ESMTP\r\n')),
  )
  t.match(await ask(http(garbage)), { isOk: false })
  const long = await listen(
    t,
    createTcpServer((socket) => socket.on('error', () => {}).write(`HTTP/1.1 200 OK\r\na: ${'x'.repeat(100_000)}`)),
  )
  t.match(await ask(http(long)), { isOk: false, detail: /overflow/i })
})

t.test('http: redirects to the same host are followed, as the kubelet does; others are an answer', async (t) => {
  let location = '/next'
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.url}`)
    if (request.url === '/next') response.writeHead(500).end()
    else response.writeHead(302, { location }).end()
  })
  const port = await listen(t, server)
  t.match(await ask(http(port, { followsRedirects: true })), { isOk: false, detail: 'GET /healthz: 500' })
  t.same(asked.splice(0), ['/healthz', '/next'])
  t.match(await ask(http(port)), { isOk: true, detail: 'GET /healthz: 302' })
  t.same(asked.splice(0), ['/healthz'])
  location = 'http://elsewhere.test/'
  t.match(await ask(http(port, { followsRedirects: true })), { isOk: true, detail: 'GET /healthz: 302' })
  location = '/healthz'
  asked.length = 0
  t.match(await ask(http(port, { followsRedirects: true })), { isOk: false, detail: 'GET /healthz: 10 redirects' })
  t.equal(asked.length, 11)
})

t.test('http over TLS: verified only where that is asked for', async (t) => {
  const pem = await makeCertificate({ names: ['web.default.svc'] })
  const names: unknown[] = []
  const server = createTlsServer({ key: pem.key, cert: pem.certificate }, (_request, response) => response.end('well'))
  server.on('secureConnection', (socket) => names.push(socket.servername))
  const port = await listen(t, server)
  const caFile = join(t.testdir({}), 'ca.pem')
  writeFileSync(caFile, pem.certificate)
  const check = (serverName: string, verify: boolean, caFile: string) =>
    ask(http(port, { tls: { serverName, verify, caFile, secret: undefined } }))
  t.match(await check('', false, ''), { isOk: true }, 'as the kubelet')
  t.match(await check('web.default.svc', true, ''), { isOk: false, detail: /self[- ]signed|verify/ })
  t.match(await check('web.default.svc', true, caFile), { isOk: true })
  t.match(await check('api.default.svc', true, caFile), { isOk: false, detail: /does not match/ })
  writeFileSync(caFile, (await makeCertificate({ names: ['other.default.svc'] })).certificate)
  t.match(await check('web.default.svc', true, caFile), { isOk: false }, 'the file is followed')
  t.equal(names[0], false)
  t.ok(names.includes('web.default.svc'))
})

t.test('tcp: whether a connection is accepted', async (t) => {
  const server = await startFaultyServer(t)
  const probe = { type: 'tcp', address: '127.0.0.1', port: server.port } as const
  t.same(await ask(probe), { isOk: true, detail: `connect to port ${server.port}: accepted` })
  await until(async () => (await server.connections()) === 0)
  await server.stop()
  t.same(await ask(probe), { isOk: false, detail: `connect to port ${server.port}: connection refused` })
})

t.test('grpc: the health service of the reference implementation', async (t) => {
  const { port, statuses, asked } = await startGrpcHealthServer(t)
  const check = (service = '') => ask({ type: 'grpc', address: '127.0.0.1', port, service })
  t.same(await check(), { isOk: true, detail: 'gRPC health: SERVING' })
  statuses.set('', 2)
  t.same(await check(), { isOk: false, detail: 'gRPC health: NOT_SERVING' })
  statuses.set('orders', 1).set('broken', 0)
  t.same(await check('orders'), { isOk: true, detail: 'gRPC health of orders: SERVING' })
  t.same(await check('broken'), { isOk: false, detail: 'gRPC health of broken: UNKNOWN' })
  t.same(await check('nothing'), { isOk: false, detail: 'gRPC health of nothing: NOT_FOUND' })
  t.same(asked, ['', '', 'orders', 'broken', 'nothing'])
})

t.test('grpc: servers that have no health service, or are none', async (t) => {
  const other = await startGrpcHealthServer(t, false)
  const check = (port: number, timeoutMs = 5_000) =>
    ask({ type: 'grpc', address: '127.0.0.1', port, service: '' }, timeoutMs)
  t.same(await check(other.port), { isOk: false, detail: 'gRPC health: UNIMPLEMENTED' })
  const server = createHttp2Server()
  server.on('stream', (stream) => {
    stream.respond({ ':status': 404 })
    stream.end()
  })
  t.same(await check(await listen(t, server as unknown as Server)), {
    isOk: false,
    detail: 'gRPC health: HTTP status 404',
  })
  const http1 = await startFaultyServer(t)
  t.match(await check(http1.port), { isOk: false })
  const silent = await listen(
    t,
    createTcpServer((socket) => socket.on('error', () => {})),
  )
  t.same(await check(silent, 50), { isOk: false, detail: 'gRPC health: no answer within 50 ms' })
  await http1.stop()
  t.same(await check(http1.port), { isOk: false, detail: 'gRPC health: connection refused' })
})

t.test('a probe that is given up leaves nothing open', async (t) => {
  const server = await startFaultyServer(t, 'hang')
  const abort = new AbortController()
  const asked = runProbe(http(server.port), 60_000, abort)
  await until(() => server.requests.length === 1)
  abort.abort()
  t.match(await asked, { isOk: false })
  await until(async () => (await server.connections()) === 0)
})
