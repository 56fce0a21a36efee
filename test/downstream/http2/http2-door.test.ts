/** HTTP/2 over TLS: requests reach the handler, and what one connection may ask for is bounded. */
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2'
import t, { type Test } from 'tap'
import { until } from '../../helpers/until.ts'
import type { Echo } from '../echo-handler.ts'
import { connectRaw, openTls, type Started, type StartOptions, startListener } from '../start-listener.ts'

type Opened = Started & { session: ClientHttp2Session; gone: number[] }

async function open(t: Test, options: StartOptions = {}, client: SecureClientSessionOptions = {}): Promise<Opened> {
  const started = await startListener(t, { name: 'https', ...options })
  return { ...started, ...(await openSession(t, started.port, client)) }
}

async function openSession(
  t: Test,
  port: number,
  client: SecureClientSessionOptions = {},
): Promise<{ session: ClientHttp2Session; gone: number[] }> {
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, ...client })
  const gone: number[] = []
  session.on('error', () => {})
  session.on('goaway', (code) => gone.push(code))
  t.teardown(() => session.destroy())
  await once(session, 'remoteSettings')
  return { session, gone }
}

type Answer = { status: number | undefined; body: string; code: number }

/** Resolves when the stream is closed, however it closed. */
async function finish(stream: ClientHttp2Stream): Promise<Answer> {
  const answer: Answer = { status: undefined, body: '', code: 0 }
  stream.on('error', () => {})
  stream.on('response', (headers) => {
    answer.status = headers[':status']
  })
  stream.setEncoding('utf8').on('data', (text: string) => {
    answer.body += text
  })
  await new Promise((resolve) => stream.once('close', resolve))
  answer.code = stream.rstCode ?? 0
  return answer
}

function send(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<Answer> {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined })
  const answer = finish(stream)
  if (body !== undefined) stream.end(body)
  return answer
}

/** One frame of RFC 9113 §4.1. */
function frame(type: number, flags: number, stream: number, payload: readonly number[]): Buffer {
  return Buffer.from([0, 0, payload.length, type, flags, 0, 0, stream >> 8, stream & 0xff, ...payload])
}

function listFrames(bytes: Buffer): { type: number; payload: Buffer }[] {
  const frames: { type: number; payload: Buffer }[] = []
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    frames.push({ type: bytes.readUInt8(at + 3), payload: bytes.subarray(at + 9, end) })
    at = end
  }
  return frames
}

t.test('a stream reaches the handler as the client sent it, and the connection can be read', async (t) => {
  const { session } = await open(t)
  const { status, body } = await send(
    session,
    { ':method': 'POST', ':path': '/a/./b%2F?x=%zz', 'x-two': ['1', '2'] },
    'abc',
  )
  t.equal(status, 200)
  const echo: Echo = JSON.parse(body)
  t.match(echo, { method: 'POST', url: '/a/./b%2F?x=%zz', body: 'abc', encrypted: true, remoteAddress: '127.0.0.1' })
  t.equal(echo.rawHeaders.filter((name) => name === 'x-two').length, 2)
})

t.test('H2-16 the settings say how much is allowed, and streams beyond it are refused', async (t) => {
  const { session, handler } = await open(
    t,
    { settings: { 'limits.streamsPerConnection': 10, 'limits.headerBytes': 20_000 } },
    { peerMaxConcurrentStreams: 1000 },
  )
  t.match(session.remoteSettings, { maxConcurrentStreams: 10, maxHeaderListSize: 20_000 })
  // Node's client keeps to the limit it was told; a raw count of what the server holds shows that it is one.
  let release = () => {}
  handler.hold = new Promise((resolve) => {
    release = resolve
  })
  const answers = Array.from({ length: 30 }, () => send(session, {}))
  await until(() => handler.inFlight === 10)
  await new Promise((resolve) => session.ping(() => resolve(undefined)))
  t.equal(handler.inFlight, 10)
  release()
  for (const answer of await Promise.all(answers)) t.match(answer.status ?? answer.code, /^(200|7)$/)
  t.ok(handler.seen >= 10)
})

t.test('H2-17 rapid reset is stopped within 200 resets, and an honest client goes on', async (t) => {
  const { session, port, handler, lines } = await open(t)
  const attacker = await openTls(t, port, { ALPNProtocols: ['h2'] })
  let received = Buffer.alloc(0)
  attacker.on('error', () => {}).on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
  // :method GET, :scheme https, :path /, :authority a
  const head = [0x82, 0x87, 0x84, 0x41, 0x01, 0x61]
  const frames = [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, [])]
  for (let id = 1; id < 4000; id += 2) frames.push(frame(1, 5, id, head), frame(3, 0, id, [0, 0, 0, 8]))
  attacker.write(Buffer.concat(frames))
  await new Promise((resolve) => attacker.once('close', resolve))
  const goaway = listFrames(received).find(({ type }) => type === 7)
  t.equal(goaway?.payload.readUInt32BE(4), constants.NGHTTP2_ENHANCE_YOUR_CALM)
  t.ok(handler.seen > 0 && handler.seen <= 200, `${handler.seen} reached the handler`)
  await until(() => handler.inFlight === 0)
  t.equal(lines.filter(({ msg }) => /too many streams were reset/.test(String(msg))).length, 1)
  t.equal((await send(session, {})).status, 200)
})

t.test('H2-18 resets that a client provokes from the server are bounded alike', async (t) => {
  const { session, port, handler } = await open(t)
  handler.hold = new Promise(() => {})
  const attacker = await openTls(t, port, { ALPNProtocols: ['h2'] })
  attacker.on('error', () => {}).resume()
  const head = [0x82, 0x87, 0x84, 0x41, 0x01, 0x61]
  attacker.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, [])]))
  const frames: Buffer[] = []
  // A WINDOW_UPDATE of nothing is a stream error: the server resets the stream.
  for (let id = 1; id < 4000; id += 2) frames.push(frame(1, 5, id, head), frame(8, 0, id, [0, 0, 0, 0]))
  attacker.write(Buffer.concat(frames))
  await new Promise((resolve) => attacker.once('close', resolve))
  t.ok(handler.seen <= 200, `${handler.seen} reached the handler`)
  handler.hold = undefined
  t.equal((await send(session, {})).status, 200)
})

t.test('a page left in the middle of a hundred requests does not end the connection', async (t) => {
  const { session, handler, gone } = await open(t)
  handler.hold = new Promise(() => {})
  const streams = Array.from({ length: 90 }, () => session.request({ ':path': '/image' }))
  for (const stream of streams) stream.on('error', () => {})
  await until(() => handler.inFlight === 90)
  for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL)
  await until(() => handler.inFlight === 0)
  handler.hold = undefined
  t.equal((await send(session, {})).status, 200)
  t.same(gone, [])
})

t.test('H2-27, H2-28 a head with far too many fields, or too large, never reaches the handler', async (t) => {
  const { session, handler } = await open(t, { settings: { 'limits.headerCount': 20, 'limits.headerBytes': 4096 } })
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`x-${index}`, '1']))
  t.equal((await send(session, many)).code, constants.NGHTTP2_ENHANCE_YOUR_CALM)
  t.equal((await send(session, { 'x-large': 'x'.repeat(5000) })).code, constants.NGHTTP2_ENHANCE_YOUR_CALM)
  t.equal(handler.seen, 0)
  t.equal((await send(session, { 'x-fine': 'x' })).status, 200)
})

t.test('H2-29 a connection without streams is closed after the keep-alive time, PINGs or not', async (t) => {
  const { session, gone } = await open(t, { settings: { 'timeouts.keepAlive': 200 } })
  t.equal((await send(session, {})).status, 200)
  const pings = setInterval(() => {
    if (!session.destroyed) session.ping(() => {})
  }, 50)
  t.teardown(() => clearInterval(pings))
  await once(session, 'close')
  t.same(gone, [constants.NGHTTP2_NO_ERROR])
})

t.test('a stream that is quiet for longer than the keep-alive time keeps its connection', async (t) => {
  const { session, handler } = await open(t, {
    settings: { 'timeouts.keepAlive': 100, 'timeouts.requestHeaders': 100 },
  })
  let release = () => {}
  handler.hold = new Promise((resolve) => {
    release = resolve
  })
  const answer = send(session, {})
  await until(() => handler.inFlight === 1)
  await new Promise((resolve) => setTimeout(resolve, 300))
  release()
  t.equal((await answer).status, 200)
})

t.test('SL-01 a connection that never begins a stream is closed in the time for a head', async (t) => {
  const { session } = await open(t, { settings: { 'timeouts.requestHeaders': 200 } })
  await once(session, 'close')
  const { port } = await startListener(t, { name: 'https', settings: { 'timeouts.requestHeaders': 200 } })
  const silent = await openTls(t, port, { ALPNProtocols: ['h2'] })
  silent.resume()
  await once(silent, 'close')
  t.pass('both closed')
})

t.test('SL-01 a head that never ends, and a client that does not hang up, are cut', async (t) => {
  const { port, listener, handler } = await startListener(t, {
    name: 'https',
    settings: { 'timeouts.requestHeaders': 200, 'timeouts.keepAlive': 200 },
  })
  const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, [])])
  const head = [0x82, 0x87, 0x84, 0x41, 0x01, 0x61]
  const cases: Record<string, Buffer[]> = {
    'HEADERS without END_HEADERS': [frame(1, 1, 1, [0x82])],
    'CONTINUATION without end': [frame(1, 1, 1, [0x82]), frame(9, 0, 1, [0x87])],
    'such a head behind a whole request': [frame(1, 5, 1, head), frame(1, 1, 3, [0x82])],
    'nothing after the preface': [],
  }
  for (const [name, frames] of Object.entries(cases)) {
    // It keeps its own side open, and goes on reading.
    const client = await openTls(t, port, { ALPNProtocols: ['h2'], allowHalfOpen: true } as object)
    client.on('error', () => {}).resume()
    client.write(Buffer.concat([preface, ...frames]))
    await until(() => listener.connections === 0)
    t.pass(name)
  }
  t.equal(handler.seen, 1)
})

t.test('LC-05 a client that reads late gets all of an answer that ends in the drain', async (t) => {
  const { port, handler, listener } = await startListener(t, { name: 'https' })
  const size = 12_000_000
  handler.serve = (exchange) => {
    exchange.sendHead({ status: 200, reason: '', lines: '', contentLength: undefined, close: false, trailers: false })
    exchange.write(Buffer.alloc(size))
    exchange.end([])
  }
  const client = await openTls(t, port, { ALPNProtocols: ['h2'] })
  const large = [0x3f, 0xff, 0xff, 0xff]
  client.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(4, 0, 0, [0, 4, ...large]), // SETTINGS_INITIAL_WINDOW_SIZE
      frame(8, 0, 0, large),
      frame(1, 5, 1, [0x82, 0x87, 0x84, 0x41, 0x01, 0x61]),
    ]),
  )
  await until(() => handler.seen === 1)
  listener.drain()
  // Longer than a connection that is over may stay, in which nothing is read.
  await new Promise((resolve) => setTimeout(resolve, 2500))
  const chunks: Buffer[] = []
  client.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(client, 'close')
  const data = listFrames(Buffer.concat(chunks)).filter(({ type }) => type === 0)
  t.equal(
    data.reduce((sum, { payload }) => sum + payload.length, 0),
    size,
  )
})

t.test('H2-30 a drain says GOAWAY, lets streams finish, takes no new ones, and closes', async (t) => {
  const { session, handler, listener, gone } = await open(t)
  let release = () => {}
  handler.hold = new Promise((resolve) => {
    release = resolve
  })
  const answers = Array.from({ length: 10 }, () => send(session, {}))
  await until(() => handler.inFlight === 10)
  const closed = once(session, 'close')
  listener.drain()
  await until(() => gone.length > 0)
  t.same(gone, [constants.NGHTTP2_NO_ERROR])
  t.match(await refusalOf(session), /GOAWAY|INVALID_SESSION/)
  release()
  for (const { status } of await Promise.all(answers)) t.equal(status, 200)
  await closed
  t.equal(handler.seen, 10)
  await listener.close()
})

/** The error code a new request meets; older Nodes throw it, newer ones emit it. */
async function refusalOf(session: ClientHttp2Session): Promise<string> {
  try {
    const stream = session.request({ ':path': '/new' })
    const [error] = await once(stream, 'error')
    return error.code
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? ''
  }
}

t.test('LC-02 an idle connection closes when the drain begins', async (t) => {
  const { session, listener } = await open(t)
  t.equal((await send(session, {})).status, 200)
  const closed = once(session, 'close')
  listener.drain()
  await closed
  await listener.close()
  t.equal(listener.connections, 0)
})

t.test('close cuts streams that do not end', async (t) => {
  const { session, handler, listener } = await open(t)
  handler.hold = new Promise(() => {})
  const answer = send(session, {})
  await until(() => handler.inFlight === 1)
  await listener.close()
  t.equal((await answer).status, undefined)
  t.equal(listener.connections, 0)
  await until(() => handler.inFlight === 0)
})

t.test('a client that shuts down its side, in the handshake or in HTTP/2, is let go at once', async (t) => {
  const { port, listener, handler } = await startListener(t, { name: 'https' })
  const early = await connectRaw(t, port, true)
  await until(() => listener.connections === 1)
  early.socket.end()
  await early.closed
  const late = await openTls(t, port, { ALPNProtocols: ['h2'], allowHalfOpen: true } as object)
  late.on('error', () => {}).resume()
  late.end()
  await new Promise((resolve) => late.once('close', resolve))
  await until(() => listener.connections === 0)
  t.equal(handler.seen, 0)
})

t.test('bytes that are not HTTP/2 close their connection alone', async (t) => {
  const { session, port } = await open(t)
  for (const bytes of [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x08\x06\0\0\0\0\x01garbage.',
  ]) {
    const bad = await openTls(t, port, { ALPNProtocols: ['h2'] })
    bad.on('error', () => {}).resume()
    bad.write(bytes, 'latin1')
    await once(bad, 'close')
  }
  t.equal((await send(session, {})).status, 200)
})

t.test('H2-24 a window that overflows ends the connection, and others go on', async (t) => {
  const { session, port } = await open(t)
  for (let index = 0; index < 20; index++) {
    const bad = await openTls(t, port, { ALPNProtocols: ['h2'] })
    bad.on('error', () => {}).resume()
    bad.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    bad.write(Buffer.concat([frame(4, 0, 0, []), frame(8, 0, 0, [0x7f, 0xff, 0xff, 0xff])]))
    await once(bad, 'close')
  }
  t.equal((await send(session, {})).status, 200)
})

t.test('a thousand streams over one connection are all answered', async (t) => {
  const { session } = await open(t)
  const counts = new Map<number | undefined, number>()
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => send(session, { ':method': 'POST' }, 'x'.repeat(3000))),
    )
    for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1)
  }
  t.same([...counts], [[200, 1000]])
})
