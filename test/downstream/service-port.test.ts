/** Ports of Services that speak HTTP: every request goes to the one upstream, through the doors, limits and records of all others. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import type { ModelWords } from '../helpers/snapshot.ts'
import { startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'
import { defaultCertificate, openTls } from './start-listener.ts'

async function startEcho(t: Test, name: string) {
  const upstream = await startEchoUpstream({ name })
  t.teardown(() => upstream.close())
  return upstream
}

const HTTP = { to: 'web', port: 0, layer: 'L7' } as const
const HTTPS = { ...HTTP, tls: true } as const
/** A host that is sent to HTTPS at the HTTP listener. */
const ELSEWHERE = { redirect: ['a.test'], routes: [{ host: 'a.test', to: 404 }] } as const

async function start(t: Test, words: ModelWords, changes: Readonly<Record<string, unknown>> = {}) {
  return startTraffic(t, words, changes, { defaultCertificate: await defaultCertificate() })
}

async function ask(t: Test, port: number, head: string) {
  const client = await connectRaw(port)
  t.teardown(() => client.destroy())
  client.send(head)
  const response = await client.response()
  client.destroy()
  return response
}

t.test('S14 requests of any host go to the upstream, balanced one by one, and none is redirected', async (t) => {
  const [one, two] = [await startEcho(t, 'one'), await startEcho(t, 'two')]
  const upstreams = { web: [one.port, two.port] }
  const { port, traffic, lines, result } = await start(t, { upstreams, listeners: [HTTP], ...ELSEWHERE })
  const client = await connectRaw(port)
  t.teardown(() => client.destroy())
  const names: (string | undefined)[] = []
  for (const host of ['a.test', 'b.test', '127.0.0.1', 'a.test']) {
    client.send(`GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const response = await client.response()
    t.equal(response.status, 200)
    names.push(response.header('x-echo'))
  }
  t.same(names, ['one', 'two', 'one', 'two'])
  await until(() => lines.filter(({ msg }) => msg === 'request').length === 4)
  t.match(
    lines.find(({ msg }) => msg === 'request'),
    { route: 'listener NodePort default/web:80', service: 'default/web:80', status: 200, scheme: 'http' },
  )
  t.same([...traffic.connections()], [['NodePort default/web:80/TCP 127.0.0.1:0', 1]])
  t.equal(result('served'), 1)
})

t.test('what every request is held to holds there too', async (t) => {
  const echo = await startEcho(t, 'echo')
  const { port } = await start(t, { upstreams: { web: [echo.port] }, listeners: [HTTP] }, { 'limits.bodyBytes': 3 })
  t.equal((await ask(t, port, 'GET / HTTP/1.1\r\n\r\n')).status, 400)
  t.equal((await ask(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')).status, 400)
  t.equal((await ask(t, port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour')).status, 413)
  const forged = 'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n'
  const response = await ask(t, port, forged)
  t.match(response.body.toString(), /x-forwarded-for","127\.0\.0\.1"/i)
  t.notMatch(response.body.toString(), /1\.2\.3\.4/)
})

t.test('with TLS there is a certificate, HTTP/1.1 and HTTP/2', async (t) => {
  const echo = await startEcho(t, 'echo')
  const { port, lines } = await start(t, { upstreams: { web: [echo.port] }, listeners: [HTTPS], ...ELSEWHERE })
  const socket = await openTls(t, port, { servername: 'a.test', ALPNProtocols: ['http/1.1'] })
  t.equal(socket.getPeerCertificate().subject.CN, 'portico default certificate')
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
  let text = ''
  for await (const chunk of socket.setEncoding('latin1')) text += chunk
  t.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  const session = connectH2(t, port, { tls: true })
  const answer = await requestH2(session, { ':path': '/', ':authority': 'b.test' })
  t.equal(answer.status, 200)
  await until(() => lines.filter(({ msg }) => msg === 'request').length === 2)
  t.match(
    lines.filter(({ msg }) => msg === 'request'),
    [
      { protocol: 'HTTP/1.1', scheme: 'https', route: 'listener NodePort default/web:80' },
      { protocol: 'HTTP/2.0', scheme: 'https', route: 'listener NodePort default/web:80' },
    ],
  )
})

t.test('WebSockets work, with and without TLS', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)))
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
  })
  const { port: backend } = server.address() as { port: number }
  for (const [scheme, listener] of [
    ['ws', HTTP],
    ['wss', HTTPS],
  ] as const) {
    const { port, traffic } = await start(t, { upstreams: { web: [backend] }, listeners: [listener] })
    const socket = new WebSocket(`${scheme}://127.0.0.1:${port}/chat`, { rejectUnauthorized: false })
    t.teardown(() => socket.terminate())
    await once(socket, 'open')
    socket.send('hello')
    const [data] = await once(socket, 'message')
    t.equal(String(data), 'echo hello')
    t.equal(traffic.inFlight, 1)
    socket.close()
    await once(socket, 'close')
    await until(() => traffic.inFlight === 0)
  }
})

t.test('a port becomes another kind while it is open; connections that are there go on', async (t) => {
  const echo = await startEcho(t, 'echo')
  const other = await startEcho(t, 'other')
  const upstreams = { web: [echo.port], other: [other.port] }
  const { port, load, result } = await start(t, { upstreams, listeners: [{ to: 'web', port: 0 }] })
  const request = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
  const bare = await connectRaw(port)
  t.teardown(() => bare.destroy())
  bare.send(request)
  t.equal((await bare.response()).header('x-request-id'), undefined, 'bytes alone')
  await load({ upstreams, listeners: [HTTP] })
  const served = await connectRaw(port)
  t.teardown(() => served.destroy())
  served.send(request)
  t.type((await served.response()).header('x-request-id'), 'string', 'a request')
  bare.send(request)
  t.equal((await bare.response()).header('x-request-id'), undefined)

  await load({ upstreams, listeners: [{ ...HTTP, to: 'other' }] })
  served.send(request)
  t.equal((await served.response()).header('x-echo'), 'other', 'the next request goes to what is in force')
  await load({ upstreams, listeners: [HTTPS] })
  const secured = await openTls(t, port)
  t.equal(secured.authorized, false)
  await load({ upstreams, listeners: [] })
  served.send(request)
  t.equal((await served.response()).status, 404)
  t.equal(result('served'), 2)
})

t.test('at a drain requests end with the connection', async (t) => {
  const echo = await startEcho(t, 'echo')
  const { port, traffic } = await start(t, { upstreams: { web: [echo.port] }, listeners: [HTTP] })
  const idle = await connectRaw(port)
  const busy = await connectRaw(port)
  busy.send('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\n')
  await until(() => traffic.inFlight === 1)
  traffic.drain()
  await idle.closed
  busy.send('four')
  t.equal((await busy.response()).header('connection'), 'close')
  t.equal(await traffic.finish(5_000), 0)
})

t.test('without the default certificate a port that ends TLS resets, and says why', async (t) => {
  const { port, lines, result } = await startTraffic(t, { upstreams: { web: [] }, listeners: [HTTPS] })
  await t.rejects(openTls(t, port))
  t.equal(result('failed'), 1)
  t.match(lines[0], { level: 40, msg: /need the default certificate/ })
})
