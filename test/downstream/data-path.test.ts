/** The whole data path: real listeners, the real handler, real upstreams, over HTTP/1, HTTP/1 in TLS, and HTTP/2. */

import { type IncomingMessage, request as requestHttp } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import { RequestHandler } from '../../lib/request/handler.ts'
import type { Snapshot } from '../../lib/snapshot/snapshot.ts'
import type { RequestRecord } from '../../lib/telemetry/record.ts'
import { EndpointRegistry } from '../../lib/upstream/choice/registry.ts'
import { makeAdmission } from '../helpers/admission.ts'
import { type Echo, sha256, startEchoUpstream } from '../helpers/echo-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { connectRaw, connectRawTls, findAll, type RawClient } from '../helpers/raw-client.ts'
import { makeSettings } from '../helpers/settings.ts'
import { type ModelWords, makeSnapshot } from '../helpers/snapshot.ts'
import { makeSpools } from '../helpers/spools.ts'
import { until } from '../helpers/until.ts'
import { DoorsAtPort, defaultCertificate } from './start-listener.ts'

type Path = {
  http: DoorsAtPort
  https: DoorsAtPort
  port: number
  tlsPort: number
  upstreamPort: number
  records: RequestRecord[]
  drain(): void
  load(words: ModelWords): void
}

async function startPath(t: Test, changes: Readonly<Record<string, unknown>> = {}): Promise<Path> {
  const upstream = await startEchoUpstream()
  const settings = makeSettings(changes)
  const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
  const records: RequestRecord[] = []
  let snapshot: Snapshot
  const load = (words: ModelWords) => {
    snapshot = makeSnapshot(words, settings, registry)
  }
  load({ upstreams: { web: [upstream.port] }, routes: [{ to: 'web' }] })
  let isDraining = false
  const onFinish = (record: RequestRecord) => void records.push(record)
  const handler = new RequestHandler({
    snapshot: () => snapshot,
    clock: systemClock,
    spools: makeSpools(t),
    onFinish,
    isDraining: () => isDraining,
  })
  const log = pino({ level: 'silent' })
  const options = {
    settings,
    handler,
    onFinish,
    snapshot: () => snapshot,
    certificates: () => snapshot.certificates,
    defaultCertificate: await defaultCertificate(),
    ...makeAdmission(settings, log),
    log,
  }
  const http = new DoorsAtPort({ ...options, name: 'http' })
  const https = new DoorsAtPort({ ...options, name: 'https' })
  t.teardown(async () => {
    await Promise.all([http.close(), https.close(), upstream.close()])
    await registry.close()
  })
  const { port } = await http.listen()
  const tlsPort = (await https.listen()).port
  return {
    http,
    https,
    port,
    tlsPort,
    upstreamPort: upstream.port,
    records,
    load,
    drain: () => {
      isDraining = true
      http.drain()
      https.drain()
    },
  }
}

type Transport = 'plain' | 'TLS'

async function connectBy(t: Test, { port, tlsPort }: Path, transport: Transport): Promise<RawClient> {
  const client = await (transport === 'plain' ? connectRaw(port) : connectRawTls(tlsPort))
  t.teardown(() => client.destroy())
  return client
}

/** A client for each way to speak HTTP/1. */
async function connectBoth(t: Test, path: Path): Promise<[Transport, RawClient][]> {
  return [
    ['plain', await connectBy(t, path, 'plain')],
    ['TLS', await connectBy(t, path, 'TLS')],
  ]
}

t.test('HTTP/1, plain and in TLS: target, header case and order, and body reach the upstream', async (t) => {
  const path = await startPath(t)
  for (const [name, client] of await connectBoth(t, path)) {
    client.send(
      'PROPFIND /a%2Fb//c?x=%zz HTTP/1.1\r\nHost: shop.test:81\r\nX-oDD: 1\r\nContent-Type: no/thing; ;\r\nContent-Length: 4\r\n\r\ncaf\xe9',
    )
    const { status, body } = await client.response()
    t.equal(status, 200, name)
    const echo: Echo = JSON.parse(body.toString())
    t.match(echo, {
      method: 'PROPFIND',
      url: '/a%2Fb//c?x=%zz',
      bodyLength: 4,
      bodyHash: sha256(Buffer.from('caf\xe9', 'latin1')),
    })
    t.ok(echo.headers.includes('X-oDD'))
    t.same(findAll(echo.headers, 'host'), ['shop.test:81'])
    t.same(findAll(echo.headers, 'x-forwarded-proto'), [name === 'TLS' ? 'https' : 'http'])
    t.same(findAll(echo.headers, 'x-forwarded-for'), ['127.0.0.1'])
  }
})

t.test('HTTP/2: the same', async (t) => {
  const { tlsPort, records } = await startPath(t)
  const session = connectH2(t, tlsPort, { tls: true })
  const answer = await requestH2(
    session,
    { ':method': 'POST', ':path': '/a%2Fb//c?x=%zz', ':authority': 'shop.test' },
    { body: 'x'.repeat(300_000) },
  )
  t.equal(answer.status, 200)
  const echo: Echo = JSON.parse(answer.body.toString())
  t.match(echo, { method: 'POST', url: '/a%2Fb//c?x=%zz', bodyLength: 300_000, bodyHash: sha256('x'.repeat(300_000)) })
  t.same(findAll(echo.headers, 'host'), ['shop.test'])
  t.same(findAll(echo.headers, 'x-forwarded-proto'), ['https'])
  t.match(records[0], {
    protocol: 'HTTP/2.0',
    scheme: 'https',
    status: 200,
    bytesIn: 300_000,
    peerAddress: '127.0.0.1',
  })
})

t.test('Expect: 100-continue is answered before the body comes', async (t) => {
  const path = await startPath(t)
  for (const [name, client] of await connectBoth(t, path)) {
    client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
    t.equal((await client.response()).status, 100, name)
    client.send('hello')
    t.match(JSON.parse((await client.response()).body.toString()), { bodyHash: sha256('hello') }, name)
  }
})

t.test('what a client gets wrong is answered by the proxy, and is in the records', async (t) => {
  const path = await startPath(t, { 'limits.headerBytes': 4096, 'timeouts.requestHeaders': 300 })
  const cases: [string, string, number][] = [
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['garbage', 'garbage\r\n\r\n', 400],
    ['both framings', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
    ['a head too large', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(5000)}\r\n\r\n`, 431],
    ['too many fields', `GET / HTTP/1.1\r\nHost: a\r\n${'a:b\r\n'.repeat(200)}\r\n`, 431],
    ['an unknown expectation', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n', 417],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 405],
    ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['a head that never ends', 'GET / HTTP/1.1\r\nHost: a\r\n', 408],
  ]
  for (const [name, bytes, status] of cases) {
    for (const transport of ['plain', 'TLS'] as const) {
      const before = path.records.length
      const client = await connectBy(t, path, transport)
      client.send(bytes)
      t.equal((await client.response()).status, status, `${name}, ${transport}`)
      client.destroy()
      await until(() => path.records.length !== before)
      t.equal(path.records.length, before + 1, `${name}, ${transport}: one record`)
    }
  }
})

t.test('P21 the client and the log are told which limit a head is beyond', async (t) => {
  const path = await startPath(t, { 'limits.headerBytes': 4096, 'limits.headerCount': 20 })
  const cases: [string, string, RegExp, string][] = [
    ['bytes', `X: ${'x'.repeat(5000)}`, /they may have at most 4 KiB\./, 'more than limits.headerBytes (4096 bytes)'],
    [
      'far more bytes',
      `X: ${'x'.repeat(90_000)}`,
      /they may have at most 4 KiB\./,
      'more than limits.headerBytes (4096 bytes)',
    ],
    ['fields', 'a: b\r\n'.repeat(20).trimEnd(), /there may be 20 fields\./, 'more than limits.headerCount (20)'],
  ]
  for (const [name, fields, sentence, detail] of cases) {
    for (const transport of ['plain', 'TLS'] as const) {
      const before = path.records.length
      const client = await connectBy(t, path, transport)
      client.send(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n`)
      const response = await client.response()
      t.equal(response.status, 431, `${name}, ${transport}`)
      t.match(response.body.toString(), sentence)
      client.destroy()
      await until(() => path.records.length !== before)
      t.match(path.records.at(-1), { status: 431, detail }, name)
    }
  }
  const trailers = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
  const client = await connectBy(t, path, 'plain')
  const response = await client.send(trailers).response()
  t.match(response.body.toString(), /trailers of the request are too large: there may be 100 of them, with 16 KiB/)
  client.destroy()
})

t.test('ordinary clients on kept-alive connections: thousands of requests, no failure', async (t) => {
  const { port, tlsPort, records } = await startPath(t)
  const ask = (secure: boolean, index: number) =>
    new Promise<number | undefined>((resolve, reject) => {
      const options = { port: secure ? tlsPort : port, host: '127.0.0.1', path: `/${index}`, method: 'POST' }
      const done = (response: IncomingMessage) => response.resume().on('end', () => resolve(response.statusCode))
      const call = secure ? requestHttps({ ...options, rejectUnauthorized: false }, done) : requestHttp(options, done)
      call.on('error', reject).end('x'.repeat(index))
    })
  const session = connectHttp2(`https://127.0.0.1:${tlsPort}`, { rejectUnauthorized: false })
  t.teardown(() => session.destroy())
  const statuses = new Map<number | undefined, number>()
  for (let round = 0; round < 40; round++) {
    const answers = await Promise.all([
      ...Array.from({ length: 20 }, (_, index) => ask(false, index)),
      ...Array.from({ length: 20 }, (_, index) => ask(true, index)),
      ...Array.from({ length: 20 }, async () => (await requestH2(session, { ':path': '/' })).status),
    ])
    for (const status of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  t.same([...statuses], [[200, 2400]])
  t.equal(records.length, 2400)
})

t.test('LC-01, H2-30 a drain: what is in flight ends well, and is told that it is the last', async (t) => {
  const path = await startPath(t)
  const session = connectH2(t, path.tlsPort, { tls: true })
  const clients = await connectBoth(t, path)
  for (const [, client] of clients) client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe')
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  stream.write('he')
  await until(() => path.http.connections + path.https.connections >= 3)
  await new Promise((resolve) => session.ping(resolve))
  for (const [, client] of clients) await client.flush('l')
  path.drain()
  const status = new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])))
  stream.end('llo')
  stream.resume()
  t.equal(await status, 200)
  for (const [name, client] of clients) {
    client.send('lo')
    const answer = await client.response()
    t.equal(answer.status, 200, name)
    t.same(answer.all('connection'), ['close'], name)
    await client.closed
  }
  await Promise.all([path.http.close(), path.https.close()])
  t.equal(path.http.connections + path.https.connections, 0)
})

t.test('resets at any moment do no harm', async (t) => {
  const path = await startPath(t)
  const heads = [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf',
    'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n',
    'GET / HT',
  ]
  for (let round = 0; round < 10; round++) {
    for (const head of heads) {
      for (const [, client] of await connectBoth(t, path)) {
        client.send(head)
        if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
        const socket: Socket = client.socket
        socket.destroy()
        await client.closed
      }
    }
  }
  const client = await connectRaw(path.port)
  t.teardown(() => client.destroy())
  t.equal((await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').response()).status, 200)
})
