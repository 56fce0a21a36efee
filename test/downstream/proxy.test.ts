import { createServer, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { type WebSocket as Client, WebSocket, WebSocketServer } from 'ws'
import { makeCertificate } from '../helpers/certificates.ts'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, connectRawTls, findAll } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'

t.test('over TLS the scheme is https, and HTTP/1 keeps all its checks', async (t) => {
  const certificate = await makeCertificate({ names: ['gw.test'] })
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(
    t,
    { upstreams: { web: [echo.port] }, routes: [{ host: 'gw.test', to: 'web' }], redirect: ['gw.test'] },
    { certificate },
  )
  const client = await connectRawTls(server.tlsPort)
  t.teardown(() => client.destroy())
  const response = await client.send('GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n').response()
  t.equal(response.status, 200, 'no redirect')
  const { headers } = JSON.parse(response.body.toString())
  t.same(findAll(headers, 'x-forwarded-proto'), ['https'])
  t.same(findAll(headers, 'x-forwarded-port'), ['443'])
  t.match(await server.record(), { scheme: 'https', protocol: 'HTTP/1.1' })
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n',
  ]) {
    const bad = await connectRawTls(server.tlsPort)
    t.equal((await bad.send(bytes).response()).status, 400)
    await bad.closed
  }
  const h2 = await requestH2(connectH2(t, server.h2TlsPort, { tls: true }), { ':path': '/', ':authority': 'gw.test' })
  t.same(findAll(JSON.parse(h2.body.toString()).headers, 'x-forwarded-proto'), ['https'])
})

t.test("node's own clients work", async (t) => {
  const certificate = await makeCertificate({ names: ['gw.test'] })
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port], { certificate })
  const post = (send: typeof requestHttp, port: number) =>
    new Promise<string>((resolve, reject) => {
      const request = send(
        { host: '127.0.0.1', port, method: 'POST', path: '/x', rejectUnauthorized: false } as object,
        (response) => {
          let text = ''
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () => resolve(text))
        },
      )
      request.on('error', reject)
      request.end('abc')
    })
  t.match(JSON.parse(await post(requestHttp, server.port)), { bodyLength: 3 })
  t.match(JSON.parse(await post(requestHttps, server.tlsPort)), { bodyLength: 3 })
})

t.test('a WebSocket client and server talk through it, over TLS too', async (t) => {
  const certificate = await makeCertificate({ names: ['gw.test'] })
  const http = createServer()
  const sockets = new WebSocketServer({ server: http, handleProtocols: () => 'b' })
  sockets.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    sockets.close()
    http.close()
  })
  const server = await startProxy(t, [(http.address() as AddressInfo).port], { certificate })
  for (const url of [`ws://127.0.0.1:${server.port}/`, `wss://127.0.0.1:${server.tlsPort}/`]) {
    const client: Client = new WebSocket(url, ['a', 'b'], { rejectUnauthorized: false })
    await new Promise((resolve, reject) => {
      client.once('open', resolve)
      client.once('error', reject)
    })
    t.equal(client.protocol, 'b')
    for (const size of [0, 1, 125, 70_000, 1_048_576]) {
      const sent = Buffer.alloc(size, 'x')
      const received = new Promise<Buffer>((resolve) => client.once('message', (data) => resolve(data as Buffer)))
      client.send(sent)
      t.ok((await received).equals(sent), `${size} bytes`)
    }
    const closed = new Promise<number>((resolve) => client.once('close', resolve))
    client.close(4321, 'bye')
    t.equal(await closed, 4321, 'the close code passes')
  }
})

t.test('SL-33 pipelined requests are served one after the other, in order, without holding all of them', async (t) => {
  let atOnce = 0
  let most = 0
  const upstream = createServer((request, response) => {
    most = Math.max(most, ++atOnce)
    setImmediate(() => {
      atOnce--
      response.end(request.url)
    })
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [(upstream.address() as AddressInfo).port])
  const client = await connectRaw(server.port)
  const count = 1000
  client.send(Array.from({ length: count }, (_, index) => `GET /${index} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
  for (let index = 0; index < count; index++) {
    const { status, body } = await client.response()
    if (status !== 200 || String(body) !== `/${index}`) t.fail(`answer ${index}: ${status} ${body}`)
  }
  t.equal(most, 1)
  t.equal(server.records.length, count)
  client.destroy()
})

t.test('what is pipelined behind an answer that closes the connection is not executed', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const client = await connectRaw(server.port)
  client.send('GET /\\ HTTP/1.1\r\nHost: a\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n')
  t.equal((await client.response()).status, 400)
  await client.closed
  await server.proxy.whenIdle()
  t.same(echo.requests, [])
  t.equal(server.records.length, 1)
  for (const head of ['GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'GET /last HTTP/1.0\r\n\r\n']) {
    const closing = await connectRaw(server.port)
    closing.send(`${head}GET /behind HTTP/1.1\r\nHost: a\r\n\r\n`)
    t.equal((await closing.response()).status, 200, 'the answer itself is not lost')
    await closing.closed
  }
  t.strictSame(
    echo.requests.map(({ url }) => url),
    ['/last', '/last'],
  )
})

t.test('a client that goes away while requests are pipelined leaves nothing behind', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const client = await connectRaw(server.port)
  client.send('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20))
  await upstream.connection(0)
  client.socket.resetAndDestroy()
  await server.proxy.whenIdle()
  t.equal(server.proxy.inFlight, 0)
  t.equal(upstream.connections.length, 1)
})
