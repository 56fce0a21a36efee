import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { makeCertificate } from '../helpers/certificates.ts'
import { type ConnectionAuthUpstream, startConnectionAuthUpstream } from '../helpers/connection-auth-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { type ProxyServer, startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, connectRawTls } from '../helpers/raw-client.ts'
import { startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'

type Answer = Readonly<{ status: number; challenges: readonly string[]; body: string }>
type Ask = Readonly<{ authorization?: string; method?: string; path?: string; host?: string; field?: string }>
type Client = { ask(what?: Ask): Promise<Answer>; close(): void }
type Ports = Pick<ProxyServer, 'port' | 'tlsPort' | 'h2Port'>
type Connect = (t: Test, ports: Ports) => Promise<Client>

function overHttp1(isSecure: boolean): Connect {
  return async (_t, { port, tlsPort }) => {
    const raw = isSecure ? await connectRawTls(tlsPort) : await connectRaw(port)
    return {
      async ask({ authorization, method = 'GET', path = '/', host = 'a', field } = {}) {
        const fields = `${authorization ? `Authorization: ${authorization}\r\n` : ''}${field ? `${field}\r\n` : ''}`
        const body = method === 'POST' ? 'Content-Length: 2\r\n\r\nhi' : '\r\n'
        const response = await raw.send(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}${body}`).response()
        return { status: response.status, challenges: response.all('www-authenticate'), body: response.body.toString() }
      },
      close: () => raw.destroy(),
    }
  }
}

async function overHttp2(t: Test, { h2Port }: Ports): Promise<Client> {
  const session = connectH2(t, h2Port)
  return {
    async ask({ authorization, method = 'GET', path = '/', host = 'a' } = {}) {
      const fields = { ':method': method, ':path': path, ':authority': host, ...(authorization && { authorization }) }
      const response = await requestH2(session, fields, method === 'POST' ? { body: 'hi' } : {})
      const challenges = [response.headers['www-authenticate'] ?? []].flat()
      return { status: response.status, challenges, body: response.body.toString() }
    },
    close: () => session.destroy(),
  }
}

const DOORS: Readonly<Record<string, Connect>> = {
  'HTTP/1.1': overHttp1(false),
  'HTTP/1.1 over TLS': overHttp1(true),
  'HTTP/2': overHttp2,
}

/** The three requests of a handshake; gives the last answer. */
async function authenticate(client: Client, user: string, what: Ask = {}): Promise<Answer> {
  await client.ask(what)
  const { challenges } = await client.ask({ ...what, authorization: 'NTLM hello' })
  const nonce = challenges[0]?.split(' ')[1]
  return client.ask({ ...what, authorization: `NTLM ${user}:${nonce}` })
}

async function startTwo(t: Test, settings: Readonly<Record<string, unknown>> = {}) {
  const certificate = await makeCertificate({ names: ['a'] })
  const upstreams = [await startConnectionAuthUpstream(t), await startConnectionAuthUpstream(t)] as const
  const server = await startProxy(
    t,
    upstreams.map(({ port }) => port),
    { certificate, settings },
  )
  return { server, upstreams }
}

function countOpen(upstreams: readonly ConnectionAuthUpstream[]): number {
  return upstreams.reduce((sum, { open }) => sum + open.size, 0)
}

for (const [door, connect] of Object.entries(DOORS)) {
  t.test(`${door}: a connection that authenticated its client is that one's alone`, async (t) => {
    const { server, upstreams } = await startTwo(t)
    const alice = await connect(t, server)
    const stranger = await connect(t, server)
    const known = await authenticate(alice, 'alice')
    t.match(known, { status: 200, body: /^\d+ alice$/ }, 'all three requests of the handshake came over one connection')
    for (let n = 0; n < 6; n++) {
      t.match(await stranger.ask(), { status: 401, body: /nobody/ }, 'a stranger is nobody')
      t.match(await stranger.ask({ method: 'POST' }), { status: 401, body: /nobody/ })
      t.same(await alice.ask(), known, 'later requests go over the same connection, whoever has his turn')
      t.same(await alice.ask({ method: 'POST' }), known)
    }
    t.match(await authenticate(stranger, 'bob'), { status: 200, body: /^\d+ bob$/ }, 'two at a time')
    t.same(await alice.ask(), known)
    alice.close()
    stranger.close()
    await until(() => countOpen(upstreams) === 0)
    t.pass('and it is closed with its client')
  })

  t.test(`${door}: a known client whose connection the endpoint closes is a stranger again`, async (t) => {
    const { server, upstreams } = await startTwo(t)
    const client = await connect(t, server)
    t.match(await authenticate(client, 'alice'), { status: 200 })
    for (const upstream of upstreams) upstream.closeKnown()
    t.match(await client.ask(), { status: 401, body: /nobody/ }, 'no failure, and another connection')
    t.match(await authenticate(client, 'alice'), { status: 200, body: /alice/ })
    client.close()
  })
}

const MARKS: readonly (readonly [
  name: string,
  fields: readonly string[],
  authorization: string,
  isPrivate: boolean,
])[] = [
  ['NTLM', ['WWW-Authenticate', 'NTLM'], '', true],
  ['Negotiate in another case', ['www-AUTHENTICATE', 'nEGOTIATE'], '', true],
  ['one of several lines', ['WWW-Authenticate', 'Basic realm="x"', 'WWW-Authenticate', 'NTLM'], '', true],
  ['one of a list', ['WWW-Authenticate', 'Basic realm="x", Negotiate oRs=, Digest nonce="y"'], '', true],
  ['a step of it', ['WWW-Authenticate', 'NTLM TlRMTVNTUAAC='], '', true],
  ['Proxy-Authenticate', ['Proxy-Authenticate', 'Negotiate'], '', true],
  ['credentials alone', [], 'negotiate YII=', true],
  ['credentials of NTLM alone', [], 'NTLM\tTlRM', true],
  ['Basic', ['WWW-Authenticate', 'Basic realm="ntlm-like"'], 'Basic eA==', false],
  ['a scheme that only begins so', ['WWW-Authenticate', 'NTLM2 x'], 'Negotiated x', false],
]

for (const [door, connect] of Object.entries(DOORS)) {
  t.test(`${door}: what makes a connection private`, async (t) => {
    const certificate = await makeCertificate({ names: ['a'] })
    for (const [name, fields, authorization, isPrivate] of MARKS) {
      const upstream = await startConnectionAuthUpstream(t, fields)
      const server = await startProxy(t, [upstream.port], { certificate })
      const client = await connect(t, server)
      const stranger = await connect(t, server)
      await client.ask(authorization === '' ? {} : { authorization })
      await stranger.ask()
      t.equal(upstream.open.size, isPrivate ? 2 : 1, name)
      client.close()
      stranger.close()
    }
  })
}

t.test('at the port of a Service too', async (t) => {
  const upstream = await startConnectionAuthUpstream(t)
  const { port } = await startTraffic(t, {
    upstreams: { web: [upstream.port] },
    listeners: [{ to: 'web', port: 0, layer: 'L7' }],
  })
  const ports = { port, tlsPort: 0, h2Port: 0 }
  const alice = await overHttp1(false)(t, ports)
  const stranger = await overHttp1(false)(t, ports)
  const known = await authenticate(alice, 'alice')
  t.match(known, { status: 200, body: /alice/ })
  t.match(await stranger.ask(), { status: 401 })
  t.same(await alice.ask(), known)
  alice.close()
  stranger.close()
  await until(() => upstream.open.size === 0)
})

t.test('a client that moves to the door for all else takes its connection along', async (t) => {
  const { server } = await startTwo(t)
  const client = await overHttp1(false)(t, server)
  const known = await authenticate(client, 'alice')
  t.same(await client.ask({ field: 'Keep-Alive: 5' }), known, 'a request that the fast lane does not read')
  t.same(await client.ask(), known)
  client.close()
})

t.test('it waits for its client longer than others wait for anybody', async (t) => {
  const { server, upstreams } = await startTwo(t, { 'timeouts.upstreamKeepAlive': 100 })
  const alice = await overHttp1(false)(t, server)
  const known = await authenticate(alice, 'alice')
  await sleep(1200)
  t.equal(countOpen(upstreams), 1)
  t.same(await alice.ask({ method: 'POST' }), known, 'also where the request may not be repeated')
  alice.close()
})

t.test('a reload leaves it, and an endpoint that goes takes it along', async (t) => {
  const { server, upstreams } = await startTwo(t)
  const client = await overHttp1(false)(t, server)
  const known = await authenticate(client, 'alice')
  const ports = upstreams.map(({ port }) => port)
  const load = (endpoints: number[]) => server.load({ upstreams: { web: endpoints }, routes: [{ to: 'web' }] })
  load([...ports].reverse())
  t.same(await client.ask(), known)
  const index = upstreams.findIndex(({ open }) => [...open].length > 0)
  load(ports.filter((_, at) => at !== index))
  t.match(await client.ask(), { status: 401 })
  load(ports.filter((_, at) => at !== index))
  await until(() => upstreams[index]!.open.size === 0)
  t.pass('the connection to it is closed')
  client.close()
})

t.test('one client connection has few of them', async (t) => {
  const services = await Promise.all(Array.from({ length: 10 }, () => startConnectionAuthUpstream(t)))
  const server = await startProxy(t, {
    upstreams: Object.fromEntries(services.map(({ port }, at) => [`s${at}`, [port]])),
    routes: services.map((_, at) => ({ host: `s${at}.test`, to: `s${at}` })),
  })
  const client = await overHttp1(false)(t, server)
  for (let at = 0; at < services.length; at++) {
    t.match(await authenticate(client, 'alice', { host: `s${at}.test` }), { status: 200 })
  }
  await until(() => countOpen(services) === 4)
  t.match(await client.ask({ host: 's9.test' }), { status: 200 }, 'those used last are left')
  t.match(await client.ask({ host: 's0.test' }), { status: 401 })
  client.close()
  await until(() => countOpen(services) === 0)
})

t.test('those that wait for their clients make room for others', async (t) => {
  const upstream = await startConnectionAuthUpstream(t)
  const policy = { maxConnections: 2 }
  const server = await startProxy(t, {
    upstreams: { web: { endpoints: [upstream.port], policy } },
    routes: [{ to: 'web' }],
  })
  const clients = await Promise.all([0, 1, 2, 3].map(() => overHttp1(false)(t, server)))
  for (const client of clients) t.match(await authenticate(client, 'alice'), { status: 200, body: /alice/ })
  t.equal(upstream.open.size, 2)
  t.match(await clients[3]!.ask(), { status: 200 })
  t.match(await clients[0]!.ask(), { status: 401 }, 'who lost it is asked anew')
  for (const client of clients) client.close()
  await until(() => upstream.open.size === 0)
})

t.test('an endpoint that wants to hear of the client by PROXY protocol authenticates it too', async (t) => {
  const upstream = await startConnectionAuthUpstream(t)
  // It takes the line in front, and passes the rest on.
  const front = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (first: Buffer) => {
      const inner = connectTcp(upstream.port, '127.0.0.1')
      inner.on('error', () => {})
      inner.write(first.subarray(first.indexOf('\r\n') + 2))
      socket.pipe(inner).pipe(socket)
    })
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  t.teardown(() => front.close())
  const { port } = front.address() as AddressInfo
  const server = await startProxy(t, {
    upstreams: { web: { endpoints: [port], proxyProtocol: 'v1' } },
    routes: [{ to: 'web' }],
  })
  const alice = await overHttp1(false)(t, server)
  const stranger = await overHttp1(false)(t, server)
  t.match(await authenticate(alice, 'alice'), { status: 200, body: /alice/ })
  t.match(await stranger.ask(), { status: 401 })
  t.match(await alice.ask(), { status: 200, body: /alice/ })
  alice.close()
  stranger.close()
  await until(() => upstream.open.size === 0)
})
