/** PROXY headers of real connections: at HTTP, HTTPS and Services' ports, and towards endpoints. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { composeProxyHeader, readProxyOpening } from '../../lib/base/proxy-protocol.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { connectRaw, RawClient } from '../helpers/raw-client.ts'
import { answerWith, startRawUpstream } from '../helpers/raw-upstream.ts'
import { type StartedTraffic, startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'
import { defaultCertificate } from './start-listener.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const PATH = {
  source: { address: '192.0.2.7', port: 50_000 },
  destination: { address: '198.51.100.9', port: 443 },
}
const SETTINGS = {
  'http.address': '127.0.0.1',
  'http.port': 0,
  'https.address': '127.0.0.1',
  'https.port': 0,
  'http.proxyProtocol': 'required',
  'https.proxyProtocol': 'required',
  trustedProxies: ['127.0.0.1'],
}

async function startBackend(t: Test) {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  return upstream
}

/** HTTP and HTTPS that want a header, before one endpoint. */
async function startBoth(t: Test, changes: Readonly<Record<string, unknown>> = {}) {
  const backend = await startBackend(t)
  const started = await startTraffic(
    t,
    { upstreams: { web: [backend.port] }, routes: [{ to: 'web' }] },
    { ...SETTINGS, ...changes },
    { defaultCertificate: await defaultCertificate() },
  )
  const http = (await started.traffic.listen('http')).port
  const https = (await started.traffic.listen('https')).port
  return { ...started, backend, http, https }
}

async function open(t: Test, port: number, options: { localAddress?: string } = {}) {
  const client = await connectRaw(port, { allowHalfOpen: true, ...options })
  t.teardown(() => client.destroy())
  return client
}

const request = (path = '/') => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`
const lastRequest = ({ lines }: StartedTraffic) => lines.findLast(({ msg }) => msg === 'request')

for (const version of ['v1', 'v2'] as const) {
  t.test(`${version}: the header's client is who upstream and log hear of`, async (t) => {
    const started = await startBoth(t)
    const client = await open(t, started.http)
    client.send(Buffer.concat([composeProxyHeader(version, PATH), Buffer.from(request())]))
    t.equal((await client.response()).status, 200)
    client.send(request('/again'))
    t.equal((await client.response()).status, 200)
    const served = await started.backend.connection(0)
    const head = await served.head(2)
    t.match(head, /X-Forwarded-For: 192\.0\.2\.7\r\n[\s\S]*X-Forwarded-Port: 443\r\n[\s\S]*X-Real-IP: 192\.0\.2\.7\r\n/)
    t.match(lastRequest(started), { client: '192.0.2.7', peer: '192.0.2.7', target: '/again' })
  })

  t.test(`${version}: what is said in fields counts by the header's client, not by who sent the header`, async (t) => {
    const fields = 'X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: b.test:444\r\n'
    const forwarded = 'Forwarded: for=1.2.3.4;host="b.test:444"\r\n'
    for (const [trusted, said] of [
      ['192.0.2.7', fields],
      ['192.0.2.7', forwarded],
      ['192.0.2.8', fields],
      ['192.0.2.8', forwarded],
    ] as const) {
      const started = await startBoth(t, { trustedProxies: ['127.0.0.1', trusted] })
      const client = await open(t, started.http)
      const get = `GET / HTTP/1.1\r\nHost: a.test\r\n${said}\r\n`
      client.send(Buffer.concat([composeProxyHeader(version, PATH), Buffer.from(get)]))
      t.equal((await client.response()).status, 200)
      const head = await (await started.backend.connection(0)).head(1)
      const isBelieved = trusted === PATH.source.address
      t.match(head, isBelieved ? 'X-Forwarded-For: 1.2.3.4, 192.0.2.7\r\n' : 'X-Forwarded-For: 192.0.2.7\r\n')
      t.match(head, isBelieved ? 'X-Forwarded-Host: b.test:444\r\n' : 'X-Forwarded-Host: a.test\r\n')
      t.match(head, `X-Forwarded-Port: ${isBelieved ? 444 : 443}\r\n`, 'else the port that the header names')
    }
  })

  t.test(`${version}: in any pieces, as slowly as a request head may come`, async (t) => {
    const { http } = await startBoth(t)
    const client = await open(t, http)
    await client.sendSlowly(composeProxyHeader(version, PATH).toString('latin1') + request())
    t.equal((await client.response()).status, 200)
  })

  t.test(`${version}: the header comes before the TLS handshake`, async (t) => {
    const started = await startBoth(t)
    const socket = connect({ port: started.https, host: '127.0.0.1' })
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    socket.write(composeProxyHeader(version, PATH))
    const secured = connectTls({ socket, rejectUnauthorized: false, servername: 'a.test', ALPNProtocols: ['http/1.1'] })
    const client = new RawClient(secured)
    await once(secured, 'secureConnect')
    client.send(request())
    t.equal((await client.response()).status, 200)
    t.match(
      await (await started.backend.connection(0)).head(),
      /X-Forwarded-For: 192\.0\.2\.7\r\nX-Forwarded-Proto: https\r\n/,
    )
    t.match(lastRequest(started), { client: '192.0.2.7' })
  })
}

t.test('an IPv4 client is known by its IPv4 address, however the header spells it', async (t) => {
  const started = await startBoth(t)
  const spellings = ['::ffff:192.0.2.7', '::FFFF:192.0.2.7', '::ffff:c000:207', '0:0:0:0:0:FFFF:C000:0207']
  const headers: Buffer[] = spellings.map((from) => Buffer.from(`PROXY TCP6 ${from} 2001:db8::1 1 443\r\n`))
  const destination = { address: '2001:db8::1', port: 443 }
  headers.push(composeProxyHeader('v2', { source: { address: '192.0.2.7', port: 1 }, destination }))
  for (const header of headers) {
    const client = await open(t, started.http)
    client.send(Buffer.concat([header, Buffer.from(request())]))
    t.equal((await client.response()).status, 200)
    t.match(lastRequest(started), { client: '192.0.2.7', peer: '192.0.2.7' }, String(header))
    client.destroy()
  }
  const client = await open(t, started.http)
  client.send(`PROXY TCP6 2001:DB8:0:0::7 2001:db8::1 1 443\r\n${request()}`)
  t.equal((await client.response()).status, 200)
  t.match(lastRequest(started), { client: '2001:db8::7' })
})

t.test('LOCAL and UNKNOWN leave the connection its own ends', async (t) => {
  const { http, backend } = await startBoth(t)
  for (const [index, version] of (['v1', 'v2'] as const).entries()) {
    const client = await open(t, http)
    client.send(Buffer.concat([composeProxyHeader(version, undefined), Buffer.from(request())]))
    t.equal((await client.response()).status, 200)
    client.destroy()
    await until(() => backend.connections.length > 0)
    const head = await backend.connections[0]!.head(index + 1)
    t.match(head.split('\r\n\r\n')[index], /X-Forwarded-For: 127\.0\.0\.1\r\n/)
  }
})

t.test('what follows the header is judged as ever, whichever door it goes to', async (t) => {
  const { http } = await startBoth(t)
  const client = await open(t, http)
  // The fast lane leaves this to node:http.
  client.send(`${composeProxyHeader('v1', PATH)}GET / HTTP/1.1\r\nHost: a.test\r\nX-Folded: a\r\n b\r\n\r\n`)
  t.equal((await client.response()).status, 400)
  const other = await open(t, http)
  other.send(`${composeProxyHeader('v1', PATH)}POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello`)
  t.equal((await other.response()).status, 200)
})

t.test('connections without a header, with a broken one, or cut in it are cut without an answer', async (t) => {
  const { http, https, backend, lines } = await startBoth(t)
  const header = composeProxyHeader('v2', PATH)
  const garbage = [
    request(),
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n',
    'PROXY TCP4 nobody 5.6.7.8 1 2\r\n',
    Buffer.concat([header.subarray(0, 12), Buffer.from([0x31]), header.subarray(13)]),
    Buffer.alloc(20_000, 'PROXY '),
  ]
  for (const port of [http, https]) {
    for (const bytes of garbage) {
      const client = await open(t, port)
      client.send(bytes)
      await client.until(() => client.hasEnded).catch(() => {})
      t.equal(client.received.length, 0)
    }
    const cut = await open(t, port)
    cut.send(header.subarray(0, 20))
    cut.end()
    await cut.closed
    t.equal(cut.received.length, 0)
  }
  t.equal(backend.connections.length, 0)
  t.match(
    lines.find(({ reason }) => reason === 'no PROXY header'),
    { listener: 'http', level: 40 },
  )
})

t.test('only trustedProxies may say on whose behalf they connect; without any, nobody', async (t) => {
  const { http, backend, load, lines } = await startBoth(t)
  const words = { upstreams: { web: [backend.port] }, routes: [{ to: 'web' }] }
  const isServed = async (localAddress: string) => {
    const client = await open(t, http, { localAddress })
    client.send(`${composeProxyHeader('v1', PATH)}${request()}`)
    const { status } = await client.response().catch(() => ({ status: 0 }))
    client.destroy()
    return status === 200
  }
  t.equal(await isServed('127.0.0.1'), true)
  t.equal(await isServed('127.0.0.2'), false)
  await load(words, { ...SETTINGS, trustedProxies: [] })
  t.equal(await isServed('127.0.0.1'), false)
  t.equal(lines.filter(({ reason }) => reason === 'the peer is not in trustedProxies').length, 1, 'it is logged once')
  await load(words, { ...SETTINGS, 'http.proxyProtocol': 'none' })
  const plain = await open(t, http, { localAddress: '127.0.0.2' })
  plain.send(request())
  t.equal((await plain.response()).status, 200, 'the setting is in force at a reload')
})

t.test('a header must come within timeouts.requestHeaders', async (t) => {
  const { http } = await startBoth(t, { 'timeouts.requestHeaders': 100 })
  const client = await open(t, http)
  client.send('PROXY TCP4 ')
  await client.until(() => client.hasEnded).catch(() => {})
  t.ok(client.hasEnded)
})

t.test('source ranges of a Service go by the client that the header names', async (t) => {
  const backend = await startBackend(t)
  const listeners = [{ to: 'web', port: 0, proxyProtocol: true, sourceRanges: ['192.0.2.0/24'] }]
  const { port, result, lines } = await startTraffic(t, { upstreams: { web: [backend.port] }, listeners }, SETTINGS)
  const client = await open(t, port)
  client.send(`${composeProxyHeader('v1', PATH)}${request()}`)
  t.equal((await client.response()).status, 200)
  t.notMatch((await backend.connection(0)).text, /PROXY/, 'the endpoint gets what came behind it')
  client.end()
  backend.connections[0]?.socket.end()
  await until(() => lines.some(({ msg }) => msg === 'connection'))
  t.match(
    lines.find(({ msg }) => msg === 'connection'),
    { client: '192.0.2.7', bytes_in: request().length },
  )
  const stranger = await open(t, port)
  stranger.send(`${composeProxyHeader('v1', { ...PATH, source: { address: '203.0.113.1', port: 1 } })}${request()}`)
  await stranger.closed
  t.equal(result('refused_source'), 1)
  const plain = await open(t, port)
  plain.send(request())
  await plain.until(() => plain.hasEnded).catch(() => {})
  t.equal(result('refused_header'), 1)
})

for (const version of ['v1', 'v2'] as const) {
  t.test(
    `${version}: an endpoint that wants it hears of the client, before all else of a TCP connection`,
    async (t) => {
      const backend = await startRawUpstream(() => {})
      t.teardown(() => backend.close())
      const upstreams = { web: { endpoints: [backend.port], proxyProtocol: version } }
      const { port } = await startTraffic(t, { upstreams, listeners: [{ to: 'web', port: 0 }] })
      const client = await open(t, port, { localAddress: '127.0.0.5' })
      client.send('hello')
      const served = await backend.connection(0)
      await served.until((text) => text.endsWith('hello'))
      const opening = readProxyOpening(served.received)
      t.match(opening, {
        path: {
          source: { address: '127.0.0.5', port: client.socket.localPort },
          destination: { address: '127.0.0.1', port },
        },
      })
      t.equal(opening.kind === 'header' && served.text.slice(opening.length), 'hello')
    },
  )

  t.test(`${version}: over HTTP each client has connections of its own`, async (t) => {
    const backend = await startRawUpstream(answerWith(OK))
    t.teardown(() => backend.close())
    const upstreams = { web: { endpoints: [backend.port], proxyProtocol: version } }
    const settings = { 'http.address': '127.0.0.1', 'http.port': 0 }
    const { traffic } = await startTraffic(t, { upstreams, routes: [{ to: 'web' }] }, settings)
    const { port } = await traffic.listen('http')
    const clients = [
      await open(t, port, { localAddress: '127.0.0.5' }),
      await open(t, port, { localAddress: '127.0.0.6' }),
    ]
    for (const [index, client] of clients.entries()) {
      client.send(request())
      t.equal((await client.response()).status, 200)
      const opening = readProxyOpening(backend.connections[index]!.received)
      t.match(opening, { path: { source: { address: `127.0.0.${5 + index}`, port: client.socket.localPort } } })
      t.ok(opening.kind === 'header' && backend.connections[index]!.text.slice(opening.length).startsWith('GET / '))
      await backend.connections[index]!.ended()
    }
  })
}

t.test('to an https endpoint the header comes before the TLS handshake', async (t) => {
  const pem = await makeCertificate({ names: ['web.default.svc'] })
  const openings: unknown[] = []
  const secureContext = createSecureContext({ cert: pem.certificate, key: pem.key })
  const server = createServer((socket) => {
    socket.once('data', (bytes: Buffer) => {
      const opening = readProxyOpening(bytes)
      openings.push(opening)
      socket.pause()
      if (opening.kind === 'header' && opening.length < bytes.length) socket.unshift(bytes.subarray(opening.length))
      const secured = new TLSSocket(socket, { isServer: true, secureContext })
      secured.on('error', () => {})
      secured.on('data', () => secured.write(OK))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const endpoints = [(server.address() as { port: number }).port]
  const { traffic } = await startTraffic(
    t,
    { upstreams: { web: { endpoints, protocol: 'https', proxyProtocol: 'v2' } }, routes: [{ to: 'web' }] },
    { 'http.address': '127.0.0.1', 'http.port': 0, 'upstream.verifyTls': false },
  )
  const client = await open(t, (await traffic.listen('http')).port)
  client.send(request())
  t.equal((await client.response()).status, 200)
  t.match(openings, [{ kind: 'header', path: { source: { address: '127.0.0.1', port: client.socket.localPort } } }])
})
