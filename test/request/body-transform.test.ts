/** Bodies that pass the streams of filters, in both directions and through the doors: whole, held, or seen to be cut. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type Duplex, PassThrough, Transform } from 'node:stream'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { onContained } from '../../lib/base/contain.ts'
import { GatewayError } from '../../lib/base/errors.ts'
import type { Filter } from '../../lib/filters/spec.ts'
import { sha256 } from '../helpers/echo-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { type ProxyServer, startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, requestRaw } from '../helpers/raw-client.ts'
import { answerWith, type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'
import type { ModelWords } from '../helpers/snapshot.ts'
import { until } from '../helpers/until.ts'

/** Of 64 KiB each: more than the kernel holds of two connections. */
const PIECES = 500
const GET = 'GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n'

/** Sends chunks as fast as they are read, and tells the number of each before it is sent. */
async function* sendPieces(socket: Socket): AsyncGenerator<number> {
  const piece = chunk([randomBytes(65_536)]).subarray(0, -5)
  for (let count = 1; count <= PIECES && !socket.destroyed; count++) {
    yield count
    if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve))
  }
}

/** Every byte is another one, and the pieces are others: after a while, or at once. */
function flip(later: boolean): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const half = chunk.length >> 1
      const give = (): void => {
        if (half > 0) this.push(flipped(chunk.subarray(0, half)))
        done(null, flipped(chunk.subarray(half)))
      }
      if (later) setImmediate(give)
      else give()
    },
  })
}

const flipped = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte) => byte ^ 0x55))

/** Remembers the streams that it made. */
function createFilter(
  create: () => Duplex,
  directions: readonly ('requestBody' | 'responseBody')[] = ['requestBody', 'responseBody'],
): { filter: Filter; streams: Duplex[] } {
  const streams: Duplex[] = []
  const make = (): Duplex => {
    const stream = create()
    streams.push(stream)
    return stream
  }
  return { filter: Object.fromEntries(directions.map((direction) => [direction, () => ({ stream: make })])), streams }
}

async function startWith(
  t: Test,
  filters: readonly Filter[],
  behave: (connection: RawConnection, index: number) => void | Promise<void>,
  settings: Record<string, unknown> = {},
  words: ModelWords = {},
) {
  const upstream = await startRawUpstream(behave)
  t.teardown(() => upstream.close())
  const server = await startProxy(
    t,
    { upstreams: { web: [upstream.port] }, routes: [{ to: 'web' }], filters, ...words },
    { settings },
  )
  return { upstream, server }
}

function chunk(pieces: readonly Buffer[], trailers: string = ''): Buffer {
  const framed = pieces.flatMap((piece) => [
    Buffer.from(`${piece.length.toString(16)}\r\n`),
    piece,
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...framed, Buffer.from(`0\r\n${trailers}\r\n`)])
}

/** What a chunked message holds, and the trailers behind it; undefined while it is not whole. */
function dechunk(bytes: Buffer): { body: Buffer; trailers: string } | undefined {
  const pieces: Buffer[] = []
  for (let at = bytes.indexOf('\r\n\r\n') + 4; ; ) {
    const end = bytes.indexOf('\r\n', at)
    const size = end < 0 ? Number.NaN : Number.parseInt(bytes.toString('latin1', at, end), 16)
    if (Number.isNaN(size)) return undefined
    if (size === 0) {
      const close = bytes.indexOf('\r\n\r\n', end)
      return close < 0 ? undefined : { body: Buffer.concat(pieces), trailers: bytes.toString('latin1', end + 2, close) }
    }
    pieces.push(bytes.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
}

/** Echoes chunked bodies, with their trailers. */
async function echo(connection: RawConnection): Promise<void> {
  for (;;) {
    let whole: ReturnType<typeof dechunk>
    await connection.until(() => {
      whole = dechunk(connection.received)
      return whole !== undefined
    })
    if (whole === undefined) return
    connection.clear()
    const trailers = whole.trailers === '' ? '' : `${whole.trailers}\r\n`
    connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    connection.send(whole.body.length === 0 ? `0\r\n${trailers}\r\n` : chunk([whole.body], trailers))
  }
}

/** Bytes that a stream holds are no more than it was given at once. */
function checkHeld(t: Test, streams: readonly Duplex[]): void {
  for (const { readableLength, writableLength } of streams)
    t.ok(readableLength + writableLength <= 4 * 65_536, `${readableLength} and ${writableLength} bytes are held`)
}

/** Reads a socket on until the bytes end so, and keeps none of them. */
function countBytes(socket: Socket, end: string): Promise<number> {
  let [bytes, tail] = [0, '']
  socket.removeAllListeners('data')
  return new Promise((resolve) => {
    socket.on('data', (piece: Buffer) => {
      bytes += piece.length
      tail = (tail + piece.toString('latin1', Math.max(0, piece.length - end.length))).slice(-end.length)
      if (tail === end) resolve(bytes)
    })
    socket.resume()
  })
}

/** Waits until a count does not grow any more. */
async function settle(count: () => number): Promise<void> {
  for (let last = -1; last !== count(); ) {
    last = count()
    await sleep(200)
  }
}

function checkIdle(t: Test, server: ProxyServer): void {
  t.equal(server.proxy.inFlight, 0, 'no request is under way')
  for (const state of server.registry.states()) t.equal(state.inFlight, 0, `none at ${state.label}`)
}

t.test('bodies of all sizes and chunkings pass several streams whole, with their trailers', async (t) => {
  // There and back each byte is flipped twice in each direction, but for the last stream.
  const filters = [createFilter(() => flip(true)), createFilter(() => flip(false)), createFilter(() => flip(true))]
  const { server } = await startWith(
    t,
    filters.map(({ filter }) => filter),
    echo,
  )
  const session = connectH2(t, server.h2Port)
  const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 70_000 }))
  await fc.assert(
    fc.asyncProperty(fc.array(size, { minLength: 1, maxLength: 8 }), fc.boolean(), async (sizes, isCounted) => {
      const pieces = sizes.map((each) => randomBytes(each))
      const body = Buffer.concat(pieces)
      const head = 'POST / HTTP/1.1\r\nHost: gw.test\r\nTE: trailers\r\nConnection: TE\r\n'
      const client = await connectRaw(server.port)
      client.send(`${head}${isCounted ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked'}\r\n\r\n`)
      if (isCounted) for (const piece of pieces) await client.flush(piece)
      else client.send(chunk(pieces, 'X-Sum: 7\r\n'))
      const answer = await client.response()
      client.destroy()
      if (!answer.complete || sha256(answer.body) !== sha256(body)) throw new Error(`HTTP/1.1: ${answer.body.length}`)
      const same = isCounted ? '' : 'X-Sum,7'
      if (answer.trailers.join() !== same) throw new Error(`trailers ${answer.trailers.join()}`)
      if (answer.header('content-length') !== undefined) throw new Error('a length is declared')
      const stream = await requestH2(
        session,
        { ':method': 'POST', ':path': '/', ':authority': 'gw.test' },
        { body: pieces },
      )
      if (stream.rstCode !== 0 || sha256(stream.body) !== sha256(body)) throw new Error(`HTTP/2: ${stream.body.length}`)
    }),
    { numRuns: 40 },
  )
  checkIdle(t, server)
  for (const { streams } of filters) t.ok(streams.every(({ destroyed }) => destroyed))
})

t.test('endpoint and client are told of bytes that they get: framing and counts are new', async (t) => {
  const drop = new Set<Duplex>()
  const double = (): Duplex => {
    const stream = new Transform({ transform: (piece, _, done) => done(null, Buffer.concat([piece, piece])) })
    drop.add(stream)
    return stream
  }
  const body = 'x'.repeat(1000)
  const { server, upstream } = await startWith(
    t,
    [createFilter(double).filter],
    answerWith(`HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${body}`),
  )
  const answer = await requestRaw(server.port, 'PUT / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 3\r\n\r\nabc')
  t.equal(answer.body.length, 2000)
  t.same(answer.all('content-length'), [])
  t.same(answer.all('transfer-encoding'), ['chunked'])
  t.match(await server.record(), { bytesIn: 3, bytesOut: 2000, status: 200 })
  const text = (await upstream.connection(0)).text
  t.notMatch(text, /content-length/i)
  t.equal(dechunk(Buffer.from(text, 'latin1'))?.body.toString(), 'abcabc')
  const old = await connectRaw(server.port)
  old.send('GET / HTTP/1.0\r\nHost: gw.test\r\n\r\n')
  await until(() => old.hasEnded)
  t.match(old.text, /^HTTP\/1\.1 200 OK\r\n/)
  t.equal(old.text.split('\r\n\r\n')[1]?.length, 2000, 'the end of the connection is the end for HTTP/1.0')
  t.equal(old.error, undefined)
})

t.test('what has no body is left alone', async (t) => {
  const { filter, streams } = createFilter(() => flip(false))
  const answers = ['HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n']
  for (const bytes of [...answers, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']) {
    const { server } = await startWith(t, [filter], answerWith(bytes))
    const answer = await requestRaw(server.port, GET)
    t.same(answer.all('transfer-encoding'), [], bytes)
  }
  const { server } = await startWith(t, [filter], answerWith('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n'))
  const answer = await requestRaw(server.port, GET.replace('GET', 'HEAD'), { headOnly: true })
  t.same(answer.all('content-length'), [], 'HEAD declares no other length than GET')
  t.same(streams, [])
})

t.test('what follows a switch of protocols is left alone', async (t) => {
  const { filter, streams } = createFilter(() => flip(false))
  const { server } = await startWith(t, [filter], async (connection) => {
    await connection.head()
    connection.clear()
    connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    await connection.until((text) => text.length === 4)
    connection.send(connection.received)
  })
  const client = await connectRaw(server.port)
  client.send('GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  t.equal((await client.response({ headOnly: true })).status, 101)
  client.send('ping')
  await client.until((text) => text === 'ping')
  client.destroy()
  t.same(streams, [])
})

t.test('answers of the gateway itself pass too', async (t) => {
  const { filter, streams } = createFilter(() => flip(false), ['responseBody'])
  const body = Buffer.from('y'.repeat(300_000))
  const respond = { request: () => ({ status: 403, lines: '', body }) }
  const { server } = await startWith(t, [filter, respond], () => {})
  const answer = await requestRaw(server.port, GET)
  t.equal(answer.status, 403)
  t.ok(answer.body.equals(flipped(body)))
  t.match(await server.record(), { status: 403, bytesOut: body.length })
  const head = await requestRaw(server.port, GET.replace('GET', 'HEAD'), { headOnly: true })
  t.same(head.all('content-length'), [])
  t.equal(streams.length, 1)
  const session = connectH2(t, server.h2Port)
  const stream = await requestH2(session, { ':path': '/', ':authority': 'gw.test' })
  t.ok(stream.body.equals(flipped(body)))
})

t.test('an answer that is cut is seen to be cut, whatever the streams hold', async (t) => {
  const heads = [
    'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n',
  ]
  for (const head of heads) {
    const { filter, streams } = createFilter(() => flip(true))
    const { server } = await startWith(t, [filter], async (connection) => {
      await connection.head()
      connection.send(head).send('z'.repeat(2000))
      await sleep(20)
      connection.socket.resetAndDestroy()
    })
    const answer = await requestRaw(server.port, GET)
    t.equal(answer.status, 200)
    t.equal(answer.complete, false, head)
    t.match(await server.record(), { error: 'PORTICO_UP_TRUNCATED' })
    const session = connectH2(t, server.h2Port)
    const stream = await requestH2(session, { ':path': '/', ':authority': 'gw.test' })
    t.not(stream.rstCode, 0, 'HTTP/2')
    const old = await connectRaw(server.port)
    old.send('GET / HTTP/1.0\r\nHost: gw.test\r\n\r\n')
    await until(() => old.isClosed)
    t.equal(old.error?.code, 'ECONNRESET', 'HTTP/1.0 is told by a reset')
    t.ok(streams.every(({ destroyed }) => destroyed))
    checkIdle(t, server)
  }
})

t.test('a stream that fails cuts the answer', async (t) => {
  const unhear = onContained(() => {})
  t.teardown(unhear)
  const faults: Record<string, () => Duplex> = {
    'an error': () => new Transform({ transform: (_chunk, _, done) => done(new Error('broken')) }),
    'a throw': () =>
      new Transform({
        transform() {
          throw new Error('thrown')
        },
      }),
    'an early end': () =>
      new Transform({
        transform(chunk, _, done) {
          this.push(chunk)
          this.push(null)
          done()
        },
      }),
    'an end without a word': () =>
      new Transform({
        transform() {
          this.destroy()
        },
      }),
  }
  for (const [name, create] of Object.entries(faults)) {
    const { filter, streams } = createFilter(create, ['responseBody'])
    const { server } = await startWith(t, [filter], async (connection) => {
      await connection.head()
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n').send('z'.repeat(2000))
    })
    const answer = await requestRaw(server.port, GET).catch(() => undefined)
    t.not(answer?.complete, true, name)
    t.match(await server.record(), { error: 'PORTICO_GW_UNEXPECTED' }, name)
    t.ok(streams[0]?.destroyed)
    checkIdle(t, server)
  }
})

t.test('a stream that ends while another before it has not taken all looks cut', async (t) => {
  // The first stops to read with its input whole behind it; the second only sees that it ends.
  const first = (): Duplex =>
    new Transform({
      transform() {
        this.push('some')
        setTimeout(() => this.push(null), 20)
      },
    })
  const filters = [createFilter(() => new PassThrough(), ['responseBody']), createFilter(first, ['responseBody'])]
  const { server } = await startWith(
    t,
    filters.map(({ filter }) => filter),
    answerWith('HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n1234567'),
  )
  t.equal((await requestRaw(server.port, GET)).complete, false)
  t.match(await server.record(), { error: 'PORTICO_GW_UNEXPECTED' })
  checkIdle(t, server)
})

t.test('a filter that throws costs its request alone', async (t) => {
  const bug = (): never => {
    throw new Error('a bug')
  }
  t.teardown(onContained(() => {}))
  const { filter, streams } = createFilter(() => new PassThrough())
  for (const broken of [{ responseBody: bug }, { responseBody: () => ({ stream: bug }) }]) {
    const { server } = await startWith(
      t,
      [broken, filter],
      answerWith('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
    )
    const client = await connectRaw(server.port)
    client.send(GET)
    await until(() => client.hasEnded)
    t.not((await client.response().catch(() => undefined))?.complete, true)
    t.match(await server.record(), { error: 'PORTICO_GW_UNEXPECTED' })
    checkIdle(t, server)
  }
  for (const broken of [{ requestBody: bug }, { requestBody: () => ({ stream: bug }) }]) {
    const { server, upstream } = await startWith(t, [broken, filter], () => {})
    const put = 'PUT / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 2\r\n\r\nok'
    t.equal((await requestRaw(server.port, put)).status, 500)
    t.match(await server.record(), { error: 'PORTICO_GW_UNEXPECTED' })
    t.equal(upstream.connections.length, 0)
    checkIdle(t, server)
  }
  t.ok(streams.every(({ destroyed }) => destroyed))
})

t.test('an endpoint may answer before it has the body', async (t) => {
  let release: (() => void) | undefined
  const { filter, streams } = createFilter(
    () =>
      new Transform({
        transform(piece, _, done) {
          release = () => done(null, piece)
        },
      }),
    ['requestBody'],
  )
  const { server, upstream } = await startWith(t, [filter], async (connection) => {
    await connection.head()
    await until(() => release !== undefined)
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const client = await connectRaw(server.port)
  client.send('PUT / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 3\r\n\r\nabc')
  t.equal((await client.response()).body.toString(), 'ok')
  t.ok(streams[0]?.destroyed)
  release?.()
  await (await upstream.connection(0)).ended()
  t.equal(dechunk((await upstream.connection(0)).received), undefined)
  const record = await server.record()
  t.equal(record.error, undefined)
  client.destroy()
  checkIdle(t, server)
})

t.test('a stream that fails refuses the request, and the endpoint sees it cut', async (t) => {
  const { filter } = createFilter(
    () =>
      new Transform({
        transform(piece: Buffer, _, done) {
          if (piece.includes('!')) done(new GatewayError('PORTICO_REQ_BAD_CODING', 'as the test wants it'))
          else if (piece.includes('?')) done(new Error('a bug'))
          else done(null, piece)
        },
      }),
    ['requestBody'],
  )
  for (const [last, status, error] of [
    ['!', 400, 'PORTICO_REQ_BAD_CODING'],
    ['?', 500, 'PORTICO_GW_UNEXPECTED'],
  ] as const) {
    const { server, upstream } = await startWith(t, [filter], () => {})
    const client = await connectRaw(server.port)
    client.send('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 6\r\n\r\nabcde')
    const connection = await upstream.connection(0)
    await connection.until((text) => text.includes('abcde'))
    client.send(last)
    t.equal((await client.response()).status, status)
    client.destroy()
    await connection.ended()
    t.equal(dechunk(connection.received), undefined, 'the body has no end')
    t.match(await server.record(), { status, error })
    checkIdle(t, server)
  }
})

t.test('who leaves takes the streams along', async (t) => {
  const { filter, streams } = createFilter(() => flip(true))
  const { server, upstream } = await startWith(t, [filter], async (connection) => {
    await connection.head()
    if (connection.text.startsWith('GET'))
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n').send('z'.repeat(2000))
  })
  const reader = await connectRaw(server.port)
  reader.send(GET)
  await reader.until((text) => text.length > 1000)
  reader.reset()
  await until(() => streams.length === 1 && streams[0]!.destroyed)
  const writer = await connectRaw(server.port)
  writer.send('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 100\r\n\r\nabc')
  const connection = await upstream.connection(1)
  await connection.until((text) => text.includes('\r\n\r\n3\r\n') || text.includes('\r\n\r\n1\r\n'))
  writer.reset()
  await until(() => streams.length === 2 && streams[1]!.destroyed)
  await connection.ended()
  t.equal(dechunk(connection.received), undefined, 'the endpoint sees no end')
  await until(() => server.proxy.inFlight === 0)
  checkIdle(t, server)
})

t.test('a client that does not read holds the streams, and they hold the endpoint', async (t) => {
  let given = 0
  const { filter, streams } = createFilter(() => new PassThrough(), ['responseBody'])
  const { server } = await startWith(t, [filter], async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for await (const count of sendPieces(connection.socket)) given = count
    connection.send('0\r\n\r\n')
  })
  const client = await connectRaw(server.port)
  client.socket.pause()
  client.send(GET)
  await settle(() => given)
  t.ok(given < PIECES - 10, `the endpoint could not get rid of ${given} of ${PIECES} pieces`)
  checkHeld(t, streams)
  t.ok((await countBytes(client.socket, '\r\n0\r\n\r\n')) >= PIECES * 65_536)
})

t.test('an endpoint that does not read holds the streams, and they hold the client', async (t) => {
  const { filter, streams } = createFilter(() => new PassThrough(), ['requestBody'])
  const { server, upstream } = await startWith(t, [filter], (connection) => {
    connection.socket.pause()
  })
  const client = await connectRaw(server.port)
  client.send('POST / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n')
  const piece = chunk([randomBytes(65_536)]).subarray(0, -5)
  let sent = 0
  const write = async (): Promise<void> => {
    while (sent < PIECES) {
      sent++
      await client.flush(piece)
    }
  }
  const writing = write()
  await settle(() => sent)
  checkHeld(t, streams)
  t.ok(sent < PIECES - 10, `the client could not get rid of ${PIECES - sent} of ${PIECES} pieces`)
  const connection = await upstream.connection(0)
  const counted = countBytes(connection.socket, '\r\n0\r\n\r\n')
  await writing
  client.send('0\r\n\r\n')
  t.ok((await counted) >= PIECES * 65_536)
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  t.equal((await client.response()).status, 200)
})

t.test('a stream of HTTP/2 that is not read holds the endpoint, and is held by one that does not read', async (t) => {
  let given = 0
  const { filter, streams } = createFilter(() => new PassThrough())
  const { server, upstream } = await startWith(t, [filter], async (connection, index) => {
    if (index === 1) {
      connection.socket.pause()
      return
    }
    await connection.head()
    connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for await (const count of sendPieces(connection.socket)) given = count
    connection.socket.end('0\r\n\r\n')
  })
  const session = connectH2(t, server.h2Port)
  const reader = session.request({ ':path': '/', ':authority': 'gw.test' })
  await settle(() => given)
  t.ok(given < PIECES - 10, `the endpoint could not get rid of ${given} of ${PIECES} pieces`)
  checkHeld(t, streams)
  let length = 0
  reader.on('data', (piece: Buffer) => {
    length += piece.length
  })
  await once(reader, 'close')
  t.equal(length, PIECES * 65_536)
  const writer = session.request({ ':method': 'POST', ':path': '/', ':authority': 'gw.test' })
  let sent = 0
  const writing = (async () => {
    for (; sent < PIECES; sent++) await new Promise((resolve) => writer.write(randomBytes(65_536), resolve))
    writer.end()
  })()
  await settle(() => sent)
  t.ok(sent < PIECES - 10, `the client could not get rid of ${PIECES - sent} of ${PIECES} pieces`)
  checkHeld(t, streams)
  const connection = await upstream.connection(1)
  const counted = countBytes(connection.socket, '\r\n0\r\n\r\n')
  await writing
  t.ok((await counted) >= PIECES * 65_536)
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const [head] = await once(writer, 'response')
  t.equal(head[':status'], 200)
})

t.test('a body is transformed once, and sent again as it became', async (t) => {
  const { filter, streams } = createFilter(() => flip(true), ['requestBody'])
  const bodies: (Buffer | undefined)[] = []
  const { server } = await startWith(
    t,
    [filter],
    async (connection, index) => {
      let whole: ReturnType<typeof dechunk>
      await connection.until(() => {
        whole = dechunk(connection.received)
        return whole !== undefined
      })
      bodies.push(whole?.body)
      if (index === 0) connection.socket.resetAndDestroy()
      else connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    },
    { 'upstream.tries': 2 },
  )
  const body = randomBytes(5000)
  const head = `PUT / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: ${body.length}\r\n\r\n`
  const answer = await requestRaw(server.port, Buffer.concat([Buffer.from(head), body]))
  t.equal(answer.status, 200)
  t.equal(streams.length, 1)
  t.equal(bodies.length, 2)
  for (const each of bodies) t.ok(each?.equals(flipped(body)))
  t.match(await server.record(), { tries: 2, bytesIn: 5000 })
})

t.test('limits count what the client sends, and 100 (Continue) is asked for as ever', async (t) => {
  const double = (): Duplex =>
    new Transform({ transform: (piece, _, done) => done(null, Buffer.concat([piece, piece])) })
  const { filter } = createFilter(double, ['requestBody'])
  const { server } = await startWith(t, [filter], echo, { 'limits.bodyBytes': 1000 })
  const put = (body: Buffer) =>
    requestRaw(
      server.port,
      Buffer.concat([Buffer.from('PUT / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n'), body]),
    )
  const fits = await put(chunk([randomBytes(500), randomBytes(500)]))
  t.equal(fits.status, 200)
  t.equal(fits.body.length, 2000)
  t.equal((await put(chunk([randomBytes(500), randomBytes(501)]))).status, 413)
  const client = await connectRaw(server.port)
  client.send('PUT / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
  await client.until((text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  client.clear()
  t.equal((await client.send('abc').response()).body.toString(), 'abcabc')
  client.destroy()
})

t.test('a request that is under way keeps its streams when the configuration changes', async (t) => {
  const { filter, streams } = createFilter(() => flip(true))
  const { server, upstream } = await startWith(t, [filter], () => {})
  const client = await connectRaw(server.port)
  client.send('PUT / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 6\r\n\r\nabc')
  const connection = await upstream.connection(0)
  await connection.until((text) => text.includes('\r\n\r\n'))
  server.load({ upstreams: { web: [upstream.port] }, routes: [{ to: 'web' }] })
  client.send('def')
  await connection.until(() => dechunk(connection.received) !== undefined)
  t.ok(dechunk(connection.received)?.body.equals(flipped(Buffer.from('abcdef'))))
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nuvw')
  await client.until((text) => text.includes('\r\n\r\n'))
  await nextTurn()
  connection.send('xyz')
  t.ok((await client.response()).body.equals(flipped(Buffer.from('uvwxyz'))))
  t.equal(streams.length, 2)
  client.destroy()
})
