/** No client keeps the others from an upstream: slow uploads, slow readers, and more requests than their share; over real sockets. */
import { createHash, randomBytes } from 'node:crypto'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type TcpNetConnectOpts } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { startFaultyUpstream } from '../helpers/faulty-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { type ProxyServer, startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, type RawClient, requestRaw } from '../helpers/raw-client.ts'
import { type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'

// Most of the time is waited.
t.jobs = 4

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Clients are told apart by what a trusted proxy says of them. */
const CLIENTS = { trustedProxies: ['127.0.0.1/32'] }
const get = (client: number, path = '/') =>
  `GET ${path} HTTP/1.1\r\nHost: gw.test\r\nX-Forwarded-For: 192.0.2.${client}\r\n\r\n`
const upload = (client: number) =>
  `POST /upload HTTP/1.1\r\nHost: gw.test\r\nX-Forwarded-For: 192.0.2.${client}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n`

/** Sends on a connection of its own and waits until the gateway has it. */
async function sendOne(t: Test, server: ProxyServer, bytes: string): Promise<RawClient> {
  const before = server.proxy.inFlight
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  client.send(bytes)
  while (server.proxy.inFlight === before) await sleep(1)
  return client
}

const inFlight = (server: ProxyServer) => [...server.registry.states()].reduce((sum, state) => sum + state.inFlight, 0)

async function checkIdle(t: Test, server: ProxyServer): Promise<void> {
  for (let n = 0; n < 500 && (server.proxy.inFlight > 0 || inFlight(server) > 0); n++) await sleep(10)
  t.equal(server.proxy.inFlight, 0)
  t.equal(inFlight(server), 0)
}

/** Answers the requests of one connection, one after the other, when told. */
async function startTold(t: Test) {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  return upstream
}

t.test('a short body holds no endpoint before it is whole', async (t) => {
  const upstream = await startTold(t)
  const server = await startProxy(t, [upstream.port])
  const client = await sendOne(t, server, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
  await sleep(50)
  t.equal(upstream.connections.length, 0)
  t.equal(inFlight(server), 0)
  client.send('def')
  const connection = await upstream.connection(0)
  t.match(await connection.until((text) => text.endsWith('def')), /\r\nContent-Length: 6\r\n\r\nabcdef$/)
  connection.send(OK)
  t.equal((await client.response()).status, 200)
})

t.test('a long upload holds an endpoint from when it is under way', async (t) => {
  const upstream = await startTold(t)
  const server = await startProxy(t, [upstream.port])
  const body = randomBytes(200_000).toString('hex')
  const client = await sendOne(t, server, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
  client.send(body.slice(0, 16_383))
  await sleep(50)
  t.equal(upstream.connections.length, 0)
  client.send(body.slice(16_383, 20_000))
  const connection = await upstream.connection(0)
  await connection.until((text) => text.endsWith(body.slice(19_000, 20_000)))
  client.send(body.slice(20_000))
  const text = await connection.until((text) => text.length >= body.length && text.endsWith(body.slice(-100)))
  t.ok(text.endsWith(body))
  connection.send(OK)
  t.equal((await client.response()).status, 200)
})

t.test('bodies of all lengths around the limits come through, whatever pieces they come in', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const session = connectH2(t, server.h2Port)
  const hashes: string[] = []
  for (const length of [1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 300_000]) {
    const body = randomBytes(length / 2 + 1)
      .toString('hex')
      .slice(0, length)
    const hash = createHash('sha256').update(body).digest('hex')
    hashes.push(hash, hash, hash, hash)
    for (const size of [length, Math.ceil(length / 3), 10_000]) {
      const client = await connectRaw(server.port)
      await client.flush(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`)
      for (let at = 0; at < length; at += size) {
        await client.flush(body.slice(at, at + size))
        await sleep(1)
      }
      const response = await client.response()
      t.equal(response.status, 200, `${length} bytes in pieces of ${size}`)
      client.destroy()
    }
    const h2 = await requestH2(
      session,
      { ':method': 'POST', ':path': '/', 'content-length': length },
      { body: [Buffer.from(body.slice(0, length / 2)), Buffer.from(body.slice(length / 2))] },
    )
    t.equal(h2.status, 200, `${length} bytes over HTTP/2`)
  }
  t.same(
    echo.requests.map(({ bodyHash }) => bodyHash),
    hashes,
  )
  await checkIdle(t, server)
})

t.test('requests of a client that has more go behind those of one that has less', async (t) => {
  const upstream = await startTold(t)
  // Requests that have waited for half of this would turn the order round.
  const settings = { ...CLIENTS, 'upstream.maxRequests': 1, 'upstream.queueTimeout': 60_000 }
  const server = await startProxy(t, [upstream.port], { settings })
  for (const path of ['/a0', '/a1', '/a2', '/a3']) await sendOne(t, server, get(1, path))
  await sendOne(t, server, get(2, '/b0'))
  await sendOne(t, server, get(3, '/c0'))
  await sendOne(t, server, get(2, '/b1'))
  const connection = await upstream.connection(0)
  const order: string[] = []
  for (let n = 1; n <= 7; n++) {
    const head = await connection.head(n)
    order.push(/GET (\/\w+) (?![\s\S]*GET)/.exec(head)?.[1] ?? '')
    connection.send(OK)
  }
  t.same(order, ['/a0', '/b0', '/c0', '/a1', '/b1', '/a2', '/a3'])
  await checkIdle(t, server)
})

t.test('a client that fills the queue leaves places in it to others', async (t) => {
  const upstream = await startTold(t)
  const settings = { ...CLIENTS, 'upstream.maxRequests': 1, 'upstream.maxQueue': 3, 'upstream.queueTimeout': 60_000 }
  const server = await startProxy(t, [upstream.port], { settings })
  await sendOne(t, server, get(1, '/a0'))
  const waiting = [1, 2, 3].map((n) => sendOne(t, server, get(1, `/a${n}`)))
  const [, , last] = await Promise.all(waiting)
  const other = await connectRaw(server.port)
  t.teardown(() => other.destroy())
  other.send(get(2, '/b0'))
  const refused = await server.record()
  t.match(refused, { status: 503, error: 'PORTICO_UP_OVERLOADED', clientAddress: '192.0.2.1', tries: 0 })
  t.ok(last)
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send(OK)
  t.match(await connection.head(2), /GET \/b0 /)
  connection.send(OK)
  t.equal((await other.response()).status, 200)
})

for (const [name, settings] of [
  ['chunked uploads', {}],
  ['long uploads that stop', { 'upstream.requestBuffering': 'none' }],
] as const) {
  t.test(`${name} that hold all places give way to others, and not all of them`, async (t) => {
    const upstream = await startFaultyUpstream(t, () => 'ok')
    const server = await startProxy(t, [upstream.port], {
      settings: { ...CLIENTS, ...settings, 'upstream.maxRequests': 8, 'upstream.queueTimeout': 10_000 },
    })
    const body =
      name === 'chunked uploads' ? upload(1) : upload(1).replace('Transfer-Encoding: chunked', 'Content-Length: 1000')
    const slow: RawClient[] = []
    for (let n = 0; n < 8; n++) slow.push(await sendOne(t, server, body))
    const answers = await Promise.all(Array.from({ length: 20 }, () => requestRaw(server.port, get(2))))
    for (const { status } of answers) t.equal(status, 200)
    const cut = slow.filter(({ text }) => text !== '')
    // On a busy machine some stall so much later that the others' places have served all.
    t.ok(cut.length > 0 && cut.length <= 6, `${cut.length} gave way: a quarter is left to the client`)
    t.equal(inFlight(server), 8 - cut.length)
    for (const client of cut) t.match(client.text, /^HTTP\/1\.1 408 [\s\S]*PORTICO_REQ_TIMEOUT/)
    for (const client of slow) client.destroy()
    await checkIdle(t, server)
  })
}

t.test('so does one that holds the only place', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'ok')
  const server = await startProxy(t, [upstream.port], {
    settings: { ...CLIENTS, 'upstream.maxRequests': 1, 'upstream.queueTimeout': 10_000 },
  })
  const slow = await sendOne(t, server, upload(1))
  t.equal((await requestRaw(server.port, get(2))).status, 200)
  t.match(slow.text, /^HTTP\/1\.1 408 /)
})

t.test('so do long uploads that were slow from the start, however many clients came meanwhile', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'ok')
  const server = await startProxy(t, [upstream.port], {
    settings: { ...CLIENTS, 'upstream.maxRequests': 8, 'upstream.queueTimeout': 10_000 },
  })
  const head = upload(1).replace(/Transfer-Encoding[\s\S]*/, 'Content-Length: 200000\r\n\r\n')
  const slow: RawClient[] = []
  for (let n = 0; n < 8; n++) slow.push(await sendOne(t, server, head + 'a'.repeat(16_000)))
  // So many that those who have nothing are forgotten.
  for (let n = 10; n < 110; n++) t.equal((await requestRaw(server.port, get(n))).status, 200)
  for (const client of slow) client.send('a'.repeat(1000))
  while (inFlight(server) < 8) await sleep(1)
  t.equal((await requestRaw(server.port, get(2))).status, 200)
})

t.test('slow uploads of a client whose places nobody else wants are left alone', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'ok')
  const server = await startProxy(t, [upstream.port], { settings: { ...CLIENTS, 'upstream.maxRequests': 4 } })
  const slow: RawClient[] = []
  for (let n = 0; n < 4; n++) slow.push(await sendOne(t, server, upload(1)))
  t.equal((await requestRaw(server.port, get(1))).status, 503, 'a request of its own waits and is refused')
  await sleep(300)
  for (const client of slow) t.equal(client.text, '')
})

t.test('readers that take nothing and hold all places give way to others', async (t) => {
  const answer = Buffer.alloc(32 * 1024 * 1024, 'x')
  const upstream = await startRawUpstream(async (connection: RawConnection) => {
    const head = await connection.head()
    if (!head.includes('/large')) connection.send(OK)
    else {
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n`)
      connection.socket.write(answer)
    }
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], {
    settings: { ...CLIENTS, 'upstream.maxRequests': 4, 'upstream.queueTimeout': 10_000 },
  })
  for (let n = 0; n < 4; n++) {
    const client = await connectRaw(server.port)
    t.teardown(() => client.destroy())
    client.socket.pause()
    client.send(get(1, '/large'))
  }
  while (inFlight(server) < 4) await sleep(1)
  t.equal((await requestRaw(server.port, get(2))).status, 200)
  t.match(await server.record(), { error: 'PORTICO_REQ_ABORTED', detail: /others wait/, clientAddress: '192.0.2.1' })
})

t.test('one client does not get the last places, whatever it waits for', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'hang')
  const server = await startProxy(t, [upstream.port], {
    settings: { ...CLIENTS, 'upstream.maxRequests': 32, 'upstream.queueTimeout': 60_000 },
  })
  for (let n = 0; n < 32; n++) await sendOne(t, server, get(1))
  await upstream.until(({ heads }) => heads === 30)
  await sleep(20)
  t.equal(upstream.heads, 30, 'a sixteenth is left to others')
  await sendOne(t, server, get(2))
  await upstream.until(({ heads }) => heads === 31)
  t.equal(inFlight(server), 31)
})

t.test('in overload the newest go first, so that those who are served are served in time', async (t) => {
  const upstream = await startTold(t)
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.maxRequests': 1, 'upstream.queueTimeout': 1_000 },
  })
  const plain = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
  await sendOne(t, server, plain('/holder'))
  await sendOne(t, server, plain('/old'))
  await sleep(600)
  await sendOne(t, server, plain('/newer'))
  await sendOne(t, server, plain('/newest'))
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send(OK)
  t.match(await connection.head(2), /GET \/newest /)
  connection.send(OK)
  t.match(await connection.head(3), /GET \/newer /)
})

t.test('a short answer leaves its endpoint at once, though the client takes nothing', async (t) => {
  const upstream = await startRawUpstream(async (connection: RawConnection) => {
    await connection.head()
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n${'x'.repeat(60_000)}`)
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const session = connectHttp2(`http://127.0.0.1:${server.h2Port}`, { settings: { initialWindowSize: 0 } })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  await new Promise((resolve) => stream.once('response', resolve))
  for (let n = 0; n < 200 && inFlight(server) > 0; n++) await sleep(10)
  t.equal(inFlight(server), 0)
  t.equal(server.proxy.inFlight, 1, 'the answer is still under way')
})

t.test('a client has so many requests at once and no more', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'hang')
  const server = await startProxy(t, [upstream.port], { settings: { 'limits.requestsPerClient': 2 } })
  const first = await sendOne(t, server, get(1))
  const second = await sendOne(t, server, get(1))
  const refused = await requestRaw(server.port, get(1))
  t.equal(refused.status, 429)
  t.equal(refused.header('retry-after'), '1')
  t.match(JSON.parse(refused.body.toString()), { code: 'PORTICO_REQ_TOO_MANY' })
  first.destroy()
  while (server.proxy.inFlight > 1) await sleep(1)
  const third = await sendOne(t, server, get(1))
  for (const client of [second, third]) client.destroy()
  await checkIdle(t, server)
})

t.test('requests that come through a trusted proxy count for their own clients', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'hang')
  const server = await startProxy(t, [upstream.port], { settings: { ...CLIENTS, 'limits.requestsPerClient': 1 } })
  await sendOne(t, server, get(1))
  await sendOne(t, server, get(2))
  t.equal((await requestRaw(server.port, get(2))).status, 429)
  const ipv6 = (address: string) => `GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${address}\r\n\r\n`
  await sendOne(t, server, ipv6('2001:db8:1:2::1'))
  t.equal((await requestRaw(server.port, ipv6('2001:db8:1:2:3::9'))).status, 429, 'one network is one client')
  await sendOne(t, server, ipv6('2001:db8:1:3::1'))
  await sendOne(t, server, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await sendOne(t, server, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  t.equal(server.proxy.inFlight, 6, 'the proxy itself counts as nobody')
})

t.test(
  'a reader may be slow, but has to take something',
  { skip: process.platform !== 'linux' && 'the kernel tells what a client took on Linux alone' },
  async (t) => {
    const answer = Buffer.alloc(32 * 1024 * 1024, 'x')
    const upstream = await startRawUpstream(async (connection: RawConnection) => {
      await connection.head()
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\n\r\n`)
      connection.socket.write(answer)
    })
    t.teardown(() => upstream.close())
    /** Takes so many bytes every 50 ms: little of what the kernels hold, so that nothing can be written meanwhile. */
    const read = async (bytes: number) => {
      const server = await startProxy(t, [upstream.port], { settings: { 'timeouts.writeStall': 6_000 } })
      const socket = connect({ port: server.port, host: '127.0.0.1', highWaterMark: 1024 } as TcpNetConnectOpts)
      t.teardown(() => socket.destroy())
      socket.on('error', () => {})
      socket.pause()
      socket.write(get(1))
      for (let n = 0; n < 180 && server.records.length === 0; n++) {
        socket.read(bytes)
        await sleep(50)
      }
      return server.records.map(({ error }) => error)
    }
    const [slow, tooSlow] = await Promise.all([read(65_536), read(2)])
    t.same(slow, [], 'nobody is cut')
    t.same(tooSlow, ['PORTICO_REQ_ABORTED'])
  },
)
