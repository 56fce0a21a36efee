/** Clients and endpoints that go while the gateway does not read from them: nothing of theirs is held for longer than 5 s. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { makeCertificate, makeModelCertificate } from '../helpers/certificates.ts'
import { FAST_LANE } from '../helpers/fast-lane.ts'
import { keepChild } from '../helpers/kept-child.ts'
import { type ProxyServerOptions, startProxy } from '../helpers/proxy-server.ts'
import type { UpstreamWords } from '../helpers/snapshot.ts'
import { fill, readQueues } from '../helpers/socket-queues.ts'
import { startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'

const HANDSHAKE =
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const COUNTED = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n'
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const PIECE = Buffer.alloc(32_768, 'x')
const CHUNK = Buffer.concat([Buffer.from('8000\r\n'), PIECE, Buffer.from('\r\n')])

/** HTTP/2: a GET, and more PINGs than one read brings. Node's session may miss the end of a connection that fails as it answers them. */
const PINGS = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('000000040000000000', 'hex'),
  Buffer.from('000006010500000001828784410161', 'hex'),
  ...Array.from({ length: 3000 }, () => Buffer.from('0000080600000000000102030405060708', 'hex')),
])

const NEVER_ACCEPTS = `
  const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
    process.exit()
  })`

/** HTTP/2: an upload under way, and DATA of a stream that was never begun. Node 20 may then neither send its GOAWAY nor read on. */
const BROKEN = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('000000040000000000000000040100000000', 'hex'),
  Buffer.from('000006010400000001838784410161', 'hex'),
  Buffer.from('00000100000000000164', 'hex'),
  Buffer.from('00000100000000010564', 'hex'),
])

/** HTTP/2: windows as large as can be, and a GET. */
const WIDE_OPEN = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('00000604000000000000047fffffff', 'hex'),
  Buffer.from('0000040800000000007fff0000', 'hex'),
  Buffer.from('000006010500000001828784410161', 'hex'),
])

/** How a client leaves. */
const LEAVE = {
  'by FIN': (socket: Socket) => socket.end(),
  'by close': (socket: Socket) => socket.destroy(),
  'by RST': (socket: Socket) => socket.resetAndDestroy(),
} as const
type Leaving = keyof typeof LEAVE
const LEAVINGS = Object.keys(LEAVE) as Leaving[]

/** What a client that has gone may be held for, and what a busy machine adds to that. */
const RELEASED_MS = 5_000
const BUSY_MS = 3_000

const LINUX = process.platform === 'linux'
// Most of the time is waited.
t.jobs = 8
// What none of the doors of HTTP/1.1 has to do with is tested once, where the fast lane is on.
t.setTimeout(300_000)

type Endpoint = { readonly port: number; readonly sockets: Socket[] }

type Watched = {
  readonly proxy: { readonly inFlight: number }
  readonly registry: { states(): Iterable<{ readonly inFlight: number }> }
}

/** Gives each of its connections to `serve`, unread; they are as they come. */
async function startEndpoint(t: Test, serve: (socket: Socket) => void = () => {}): Promise<Endpoint> {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, sockets }
}

/** Reads the head of a request, answers, and reads no more. */
function answerWith(text: string): (socket: Socket) => void {
  return (socket) => {
    socket.once('data', () => {
      socket.pause()
      socket.write(text)
    })
    socket.resume()
  }
}

/** A port whose connections all wait to be accepted, more than there may be: the next ones are not answered at all. */
async function startFullPort(t: Test): Promise<number> {
  const child = keepChild(spawn(process.execPath, ['--eval', NEVER_ACCEPTS], { stdio: ['ignore', 'pipe', 'inherit'] }))
  t.teardown(() => child.kill())
  const [text] = await once(child.stdout, 'data')
  const port = Number(text)
  for (let count = 0; count < 4; count++) {
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {})
    t.teardown(() => socket.destroy())
  }
  await sleep(100)
  return port
}

/** A client that reads, and whose socket ends one direction at a time. */
async function open(t: Test, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket.resume()
}

function send(socket: Socket, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve) => socket.write(bytes, () => resolve()))
}

/** A WebSocket, once the endpoint has agreed to it. */
async function openTunnel(t: Test, port: number): Promise<Socket> {
  const client = await open(t, port)
  client.write(HANDSHAKE)
  await once(client, 'data')
  return client
}

/** An HTTPS listener before an endpoint that answers nothing. */
async function startHttps(t: Test) {
  const endpoint = await startEndpoint(t)
  const words = { upstreams: { web: [endpoint.port] }, routes: [{ to: 'web' }] }
  const defaultCertificate = await makeModelCertificate({ names: ['localhost'] }, 'default')
  const { traffic } = await startTraffic(t, words, { 'https.port': 0 }, { defaultCertificate })
  const { port } = await traffic.listen('https')
  return { traffic, port }
}

async function openTls(port: number) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const secure = connectTls({ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false })
  for (const each of [socket, secure]) each.on('error', () => {})
  await once(secure, 'secureConnect')
  return { socket, secure }
}

/** Uploads more than anybody takes, over HTTP/2. */
async function upload(port: number, isSecure: boolean): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  await once(socket, 'connect')
  const session = isSecure
    ? connectHttp2('https://127.0.0.1', {
        createConnection: () => connectTls({ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false }),
      })
    : connectHttp2('http://127.0.0.1', { createConnection: () => socket })
  session.on('error', () => {})
  const stream = session.request({ ':method': 'POST' }, { endStream: false })
  stream.on('error', () => {})
  stream.write(Buffer.alloc(16_777_216))
  return socket
}

function inFlightOf(registry: Watched['registry']): number {
  return [...registry.states()].reduce((sum, { inFlight }) => sum + inFlight, 0)
}

/**
 * Waits until only `left` requests are there. A long turn of the event loop counts as a short one: on a busy machine the
 * gateway, which is in this process, has no more time than this has.
 */
async function expectReleased(t: Test, { proxy, registry }: Watched, left: number = 0): Promise<void> {
  let waited = 0
  for (let last = performance.now(); proxy.inFlight > left && waited < 2 * RELEASED_MS; ) {
    await sleep(10)
    const now = performance.now()
    waited += Math.min(now - last, 20)
    last = now
  }
  t.equal(proxy.inFlight, left, 'no request and no tunnel is held')
  t.equal(inFlightOf(registry), left, 'no endpoint has one')
  t.ok(waited < RELEASED_MS + BUSY_MS, 'within 5 s')
}

function start(t: Test, endpoint: Endpoint, policy: UpstreamWords['policy'] = {}, options: ProxyServerOptions = {}) {
  const upstreams = { web: { endpoints: [endpoint.port], policy } }
  return startProxy(t, { upstreams, routes: [{ to: 'web' }] }, options)
}

for (const leaving of LEAVINGS) {
  t.test(`WebSockets to an endpoint that does not read, left ${leaving}`, { skip: !LINUX }, async (t) => {
    const endpoint = await startEndpoint(t, answerWith(SWITCH))
    const server = await start(t, endpoint)
    const clients = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const client = await openTunnel(t, server.port)
        await fill(server.port, client.localPort!, () => send(client, PIECE))
        return client
      }),
    )
    t.equal(server.proxy.inFlight, 3)
    t.equal(inFlightOf(server.registry), 3)
    for (const client of clients) LEAVE[leaving](client)
    await expectReleased(t, server)
    const isCut = ({ remotePort = 0 }: Socket) => readQueues(endpoint.port, remotePort) === undefined
    t.ok(endpoint.sockets.every(isCut), 'the connections to the endpoint are cut')
  })

  for (const [body, head, piece] of [
    ['counted', COUNTED, PIECE],
    ['chunked', CHUNKED, CHUNK],
  ] as const) {
    t.test(`${body} uploads to an endpoint that does not read, left ${leaving}`, { skip: !LINUX }, async (t) => {
      const endpoint = await startEndpoint(t)
      const certificate = await makeCertificate({ names: ['localhost'] })
      const server = await start(t, endpoint, {}, { certificate })
      const sockets = await Promise.all(
        [server.port, server.port, server.tlsPort, server.tlsPort].map(async (port) => {
          const transport = await open(t, port)
          const client =
            port === server.port ? transport : connectTls({ socket: transport.pause(), rejectUnauthorized: false })
          client.on('error', () => {})
          if (client !== transport) await once(client, 'secureConnect')
          client.write(head)
          await fill(port, transport.localPort!, () => send(client, piece))
          return transport
        }),
      )
      t.equal(server.proxy.inFlight, 4)
      for (const socket of sockets) LEAVE[leaving](socket)
      await expectReleased(t, server)
      t.same(
        server.records.filter(({ status }) => status !== 499 && status !== 400),
        [],
      )
    })
  }

  if (FAST_LANE) {
    t.test(`connections with uploads over HTTP/2 and TLS, left ${leaving}`, { skip: !LINUX }, async (t) => {
      const endpoint = await startEndpoint(t)
      const words = { upstreams: { web: [endpoint.port] }, routes: [{ to: 'web' }] }
      const settings = { 'https.port': 0, 'timeouts.keepAlive': 200, 'timeouts.writeStall': 500 }
      const defaultCertificate = await makeModelCertificate({ names: ['localhost'] }, 'default')
      const { traffic } = await startTraffic(t, words, settings, { defaultCertificate })
      const { port } = await traffic.listen('https')
      const sockets = await Promise.all(Array.from({ length: 4 }, () => upload(port, true)))
      await until(() => endpoint.sockets.length === 4)
      await sleep(500)
      t.equal(traffic.connections().get('https'), 4)
      for (const socket of sockets) LEAVE[leaving](socket)
      await until(() => traffic.connections().get('https') === 0)
      t.equal(traffic.inFlight, 0)
    })

    t.test(`connections with requests before many PINGs over TLS, left ${leaving}`, { skip: !LINUX }, async (t) => {
      const { traffic, port } = await startHttps(t)
      for (let count = 0; count < 8; count++) {
        const { socket, secure } = await openTls(port)
        secure.write(PINGS)
        await new Promise(setImmediate)
        LEAVE[leaving](socket)
      }
      await until(() => traffic.connections().get('https') === 0 && traffic.inFlight === 0)
      t.pass('none is held')
    })
  }
  t.test(
    `broken connections of HTTP/2 over TLS with requests under way, left ${leaving}`,
    { skip: !LINUX },
    async (t) => {
      const { traffic, port } = await startHttps(t)
      for (let count = 0; count < 8; count++) {
        const { socket, secure } = await openTls(port)
        secure.write(BROKEN)
        await sleep(20)
        LEAVE[leaving](socket)
      }
      await until(() => traffic.connections().get('https') === 0 && traffic.inFlight === 0)
      t.pass('none is held')
    },
  )

  t.test(`upgrades that are not answered, left ${leaving}`, { skip: !LINUX }, async (t) => {
    const server = await start(t, await startEndpoint(t))
    const clients = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const client = await open(t, server.port)
        // Frames may follow at once.
        await send(client, HANDSHAKE + (index % 2 === 0 ? '' : 'x'.repeat(20_000)))
        return client
      }),
    )
    await until(() => inFlightOf(server.registry) === 8)
    for (const client of clients) LEAVE[leaving](client)
    await expectReleased(t, server)
  })

  t.test(`uploads that wait for an endpoint with room, left ${leaving}`, { skip: !LINUX }, async (t) => {
    const endpoint = await startEndpoint(t)
    const server = await start(t, endpoint, { maxRequests: 1, queueTimeout: 60_000 })
    const first = await open(t, server.port)
    first.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => endpoint.sockets.length === 1)
    const clients = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const client = await open(t, server.port)
        client.write(COUNTED)
        await fill(server.port, client.localPort!, () => send(client, PIECE))
        return client
      }),
    )
    // On a busy machine a connection may be full before the gateway has come to read it.
    await until(() => server.proxy.inFlight === 5)
    for (const client of clients) LEAVE[leaving](client)
    await expectReleased(t, server, 1)
    first.destroy()
    await expectReleased(t, server)
  })

  t.test(`a pipelined request behind one that is not answered, left ${leaving}`, { skip: !LINUX }, async (t) => {
    const endpoint = await startEndpoint(t)
    const server = await start(t, endpoint)
    const client = await open(t, server.port)
    client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => endpoint.sockets.length === 1)
    LEAVE[leaving](client)
    await expectReleased(t, server)
  })

  if (FAST_LANE) {
    t.test(
      `connections of a Service's port whose endpoint does not read, left ${leaving}`,
      { skip: !LINUX },
      async (t) => {
        const endpoint = await startEndpoint(t)
        const { port, traffic } = await startTraffic(t, {
          upstreams: { web: [endpoint.port] },
          listeners: [{ to: 'web', port: 0 }],
        })
        const clients = await Promise.all(
          Array.from({ length: 4 }, async () => {
            const client = await open(t, port)
            await fill(port, client.localPort!, () => send(client, PIECE))
            return client
          }),
        )
        t.equal(traffic.inFlight, 4)
        for (const client of clients) LEAVE[leaving](client)
        await expectReleased(t, { proxy: traffic, registry: { states: () => traffic.endpoints() } })
      },
    )
  }
}

if (FAST_LANE) {
  t.test(
    "a connection of a Service's port whose endpoint does not accept, left by FIN",
    { skip: !LINUX },
    async (t) => {
      const endpoint = await startFullPort(t)
      const words = { upstreams: { web: [endpoint] }, listeners: [{ to: 'web', port: 0 }] }
      const { port, traffic } = await startTraffic(t, words, { 'timeouts.connect': 60_000 })
      const client = await open(t, port)
      await send(client, 'query')
      await until(() => traffic.inFlight === 1)
      client.end()
      await expectReleased(t, { proxy: traffic, registry: { states: () => traffic.endpoints() } })
    },
  )
}

t.test('an upload that waits for another try, left by FIN', { skip: !LINUX }, async (t) => {
  const endpoint = await startEndpoint(t, (socket) => {
    socket.once('data', () => socket.resetAndDestroy())
    socket.resume()
  })
  const server = await start(t, endpoint, {
    requestBuffering: 'none',
    tries: 3,
    'retry.backoff': 600_000,
    'retry.maxBackoff': 600_000,
  })
  const client = await open(t, server.port)
  client.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(500)}`)
  await until(() => endpoint.sockets.length === 1 && inFlightOf(server.registry) === 0)
  await send(client, 'y'.repeat(200))
  client.end()
  await expectReleased(t, server)
})

// The other direction

for (const [kind, request, answer] of [
  ['an answer', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n'],
  ['a tunnel', HANDSHAKE, SWITCH],
] as const) {
  t.test(`${kind} of an endpoint that is gone, for a client that does not read`, { skip: !LINUX }, async (t) => {
    const endpoint = await startEndpoint(t, answerWith(answer))
    const server = await start(t, endpoint)
    const client = await open(t, server.port)
    client.write(request)
    await once(client, 'data')
    client.pause()
    const [socket] = endpoint.sockets as [Socket]
    await fill(socket.remotePort!, endpoint.port, () => send(socket, PIECE))
    t.equal(server.proxy.inFlight, 1)
    socket.resetAndDestroy()
    await expectReleased(t, server)
    const { error } = await server.record()
    t.equal(error, kind === 'an answer' ? 'PORTICO_UP_TRUNCATED' : undefined)
  })
}

// Tunnels of which one side has ended

if (FAST_LANE) {
  for (const first of ['client', 'endpoint'] as const) {
    t.test(`a tunnel that its ${first} has ended goes on as long as bytes flow`, async (t) => {
      const endpoint = await startEndpoint(t, answerWith(SWITCH))
      const server = await start(t, endpoint, {}, { settings: { 'timeouts.halfClosed': 1_000 } })
      const client = await openTunnel(t, server.port)
      const [other] = endpoint.sockets as [Socket]
      other.resume()
      const [ended, goesOn] = first === 'client' ? [client, other] : [other, client]
      let received = ''
      ended.on('data', (chunk: Buffer) => {
        received += chunk
      })
      ended.end('last')
      await once(goesOn, 'end')
      for (let index = 0; index < 10; index++) {
        await sleep(300)
        await send(goesOn, String(index))
      }
      goesOn.end()
      await once(ended, 'end')
      t.equal(received, '0123456789')
      await expectReleased(t, server)
    })

    t.test(`a tunnel that its ${first} has ended is cut when nothing moves`, { skip: !LINUX }, async (t) => {
      const endpoint = await startEndpoint(t, answerWith(SWITCH))
      const server = await start(t, endpoint)
      const client = await openTunnel(t, server.port)
      const [other] = endpoint.sockets as [Socket]
      other.resume()
      const [ended, goesOn] = first === 'client' ? [client, other] : [other, client]
      ended.end()
      await once(goesOn, 'end')
      await sleep(1_500)
      t.equal(server.proxy.inFlight, 1, 'not before its time')
      await expectReleased(t, server)
      await until(() => ended.closed)
      t.pass('whoever has ended is cut, and not told of an end')
    })
  }

  t.test('a connection of a Service that its client has ended: as long as bytes flow, and no longer', async (t) => {
    const endpoint = await startEndpoint(t, (socket) => socket.resume())
    const settings = { 'timeouts.halfClosed': 1_000 }
    const words = { upstreams: { web: [endpoint.port] }, listeners: [{ to: 'web', port: 0 }] }
    const { port, traffic } = await startTraffic(t, words, settings)
    const client = await open(t, port)
    client.end('query')
    await until(() => endpoint.sockets.length === 1)
    const [other] = endpoint.sockets as [Socket]
    await until(() => other.readableEnded)
    let received = ''
    client.on('data', (chunk: Buffer) => {
      received += chunk
    })
    for (let index = 0; index < 8; index++) {
      await sleep(300)
      await send(other, String(index))
    }
    t.equal(traffic.inFlight, 1)
    const lastAt = performance.now()
    await until(() => traffic.inFlight === 0 || performance.now() > lastAt + 15_000)
    t.equal(traffic.inFlight, 0)
    t.equal(received, '01234567')
  })

  t.test(
    'bytes that an ended tunnel still holds reach an endpoint that takes them slowly',
    { skip: !LINUX },
    async (t) => {
      const endpoint = await startEndpoint(t, answerWith(SWITCH))
      const server = await start(t, endpoint, {}, { settings: { 'timeouts.halfClosed': 2_000 } })
      const client = await openTunnel(t, server.port)
      let sent = 0
      await fill(server.port, client.localPort!, async () => {
        await send(client, PIECE)
        sent += PIECE.length
      })
      client.end()
      const [other] = endpoint.sockets as [Socket]
      let received = 0
      let piece: Buffer | null = null
      // Whatever the kernel has is far more than is taken in the time that the tunnel may stand still.
      for (let round = 0; round < 20; round++) {
        await sleep(200)
        piece = other.read(65_536) ?? other.read()
        received += piece?.length ?? 0
      }
      t.equal(server.proxy.inFlight, 1)
      other.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      other.resume()
      await until(() => other.readableEnded)
      t.equal(received, sent)
      other.end()
      await expectReleased(t, server)
    },
  )

  t.test(
    'a tunnel whose side takes nothing is cut after writeStall, a quiet one is not',
    { skip: !LINUX },
    async (t) => {
      const endpoint = await startEndpoint(t, answerWith(SWITCH))
      const server = await start(t, endpoint, {}, { settings: { 'timeouts.writeStall': 1_000 } })
      const [full, quiet] = (await Promise.all(
        [0, 1].map(async () => {
          const client = await openTunnel(t, server.port)
          return client
        }),
      )) as [Socket, Socket]
      await fill(server.port, full.localPort!, () => send(full, PIECE))
      await until(() => full.closed)
      await sleep(2_000)
      t.equal(server.proxy.inFlight, 1)
      t.notOk(quiet.closed)
      quiet.resetAndDestroy()
      await expectReleased(t, server)
    },
  )
}

t.test('an upload of which an endpoint takes nothing once it has begun its answer', { skip: !LINUX }, async (t) => {
  const endpoint = await startEndpoint(t, answerWith('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'))
  const server = await start(t, endpoint, { requestBuffering: 'none' }, { settings: { 'timeouts.writeStall': 1_000 } })
  const client = await open(t, server.port)
  client.write(COUNTED)
  await once(client, 'data')
  await fill(server.port, client.localPort!, () => send(client, PIECE))
  await until(() => client.closed)
  await expectReleased(t, server)
  t.equal((await server.record()).error, 'PORTICO_UP_STALLED')
})

// A reset behind bytes

t.test('a reset that comes with bytes is passed on as a reset', async (t) => {
  const endpoint = await startEndpoint(t, (socket) => {
    socket.once('data', async () => {
      await send(socket, 'half of it')
      socket.resetAndDestroy()
    })
    socket.resume()
  })
  const { port, traffic } = await startTraffic(t, {
    upstreams: { web: [endpoint.port] },
    listeners: [{ to: 'web', port: 0 }],
  })
  for (let round = 0; round < 20; round++) {
    const client = await open(t, port)
    client.write('query')
    let wasReset = false
    client.on('error', () => {
      wasReset = true
    })
    // What comes with bytes is told as an end.
    client.on('end', () => {
      wasReset = (client as Socket & { _handle: { getpeername(into: object): number } })._handle.getpeername({}) < 0
    })
    await until(() => client.closed || client.readableEnded)
    t.ok(wasReset)
    client.destroy()
  }
  await until(() => traffic.inFlight === 0)
})

t.test('an answer that lasts until the connection ends is not whole where a reset ends it', async (t) => {
  const endpoint = await startEndpoint(t, (socket) => {
    socket.once('data', async () => {
      await send(socket, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it')
      socket.resetAndDestroy()
    })
    socket.resume()
  })
  const server = await start(t, endpoint)
  for (let round = 0; round < 20; round++) {
    const client = await open(t, server.port)
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    let received = ''
    client.on('data', (chunk: Buffer) => {
      received += chunk
    })
    await Promise.race([once(client, 'close'), once(client, 'end')])
    t.notMatch(received, /0\r\n\r\n$/)
    t.not((await server.record()).error, undefined)
    client.destroy()
  }
})

t.test('a client of HTTP/2 over TLS that reads nothing for a while gets all of its answer', async (t) => {
  const size = 16 * 2 ** 20
  const endpoint = createHttpServer((_request, response) => response.end(Buffer.alloc(size))).listen(0, '127.0.0.1')
  await once(endpoint, 'listening')
  t.teardown(() => endpoint.close())
  const words = { upstreams: { web: [(endpoint.address() as AddressInfo).port] }, routes: [{ to: 'web' }] }
  const defaultCertificate = await makeModelCertificate({ names: ['localhost'] }, 'default')
  const { traffic } = await startTraffic(t, words, { 'https.port': 0 }, { defaultCertificate })
  const { port } = await traffic.listen('https')
  const { secure } = await openTls(port)
  t.teardown(() => secure.destroy())
  let received = 0
  secure.on('data', (bytes: Buffer) => {
    received += bytes.length
  })
  secure.pause()
  secure.write(WIDE_OPEN)
  await sleep(2_000)
  secure.write(Buffer.from('0000080600000000000102030405060708', 'hex'))
  await sleep(2_000)
  t.equal(traffic.inFlight, 1)
  secure.resume()
  await until(() => received > size)
  t.pass('all of it came')
})
