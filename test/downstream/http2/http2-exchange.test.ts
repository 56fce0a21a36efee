import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { onContained } from '../../../lib/base/contain.ts'
import { Http2Exchange } from '../../../lib/downstream/http2/http2-exchange.ts'
import { setOrigin } from '../../../lib/request/origin.ts'
import { type Echo, sha256, startEchoUpstream } from '../../helpers/echo-upstream.ts'
import { connectH2, connectRawH2, H2, requestH2 } from '../../helpers/h2-client.ts'
import { startProxy } from '../../helpers/proxy-server.ts'
import { findAll } from '../../helpers/raw-client.ts'
import { answerWith, startRawUpstream } from '../../helpers/raw-upstream.ts'

type Tap = Parameters<typeof startProxy>[0]

async function startEchoing(t: Tap, settings: Record<string, unknown> = {}) {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port], { settings })
  return { echo, server, session: connectH2(t, server.h2Port) }
}

const HEAD: readonly (readonly [string, string])[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'gw.test'],
]

t.test('a request over HTTP/2 reaches an HTTP/1.1 upstream', async (t) => {
  const { server, session } = await startEchoing(t)
  const response = await requestH2(session, { ':path': '/a?b', ':authority': 'gw.test:81', 'x-a': '1' })
  t.equal(response.status, 200)
  t.equal(response.headers['x-echo'], 'echo')
  t.equal(response.headers.connection, undefined)
  t.ok(response.headers.date)
  const echo: Echo = JSON.parse(response.body.toString())
  t.match(echo, { method: 'GET', url: '/a?b', httpVersion: '1.1', bodyLength: 0 })
  t.same(findAll(echo.headers, 'host'), ['gw.test:81'])
  t.same(findAll(echo.headers, 'x-forwarded-for'), ['127.0.0.1'])
  t.same(findAll(echo.headers, 'x-forwarded-proto'), ['http'])
  t.same(findAll(echo.headers, 'x-a'), ['1'])
  t.match(await server.record(), {
    protocol: 'HTTP/2.0',
    status: 200,
    authority: 'gw.test:81',
    target: '/a?b',
    error: undefined,
  })
})

t.test('H2-11 a body is known by the stream, not by the fields', async (t) => {
  const { session } = await startEchoing(t)
  const response = await requestH2(session, { ':path': '/', ':method': 'POST', ':authority': 'a' }, { body: 'abc' })
  t.match(JSON.parse(response.body.toString()), { bodyHash: sha256('abc'), bodyLength: 3 })
  const large = Buffer.alloc(3_000_000, 'x')
  const big = await requestH2(
    session,
    { ':path': '/', ':method': 'PUT', ':authority': 'a', 'content-length': large.length },
    { body: large },
  )
  t.match(JSON.parse(big.body.toString()), { bodyHash: sha256(large) })
})

t.test('bodies of every size end, many at once', async (t) => {
  const { session } = await startEchoing(t)
  const sizes = [0, 1, 0, 300_000, 65_535, 65_536, ...Array.from({ length: 40 }, (_, n) => n * 1000)]
  const post = (size: number) =>
    requestH2(session, { ':path': '/', ':method': 'POST', ':authority': 'a' }, { body: Buffer.alloc(size) })
  for (const response of await Promise.all(sizes.map(post))) t.equal(response.status, 200)
  for (const size of sizes.slice(0, 8)) t.equal(JSON.parse((await post(size)).body.toString()).bodyLength, size)
})

t.test('H2-12 split cookies become one line', async (t) => {
  const { session } = await startEchoing(t)
  const response = await requestH2(session, { ':path': '/', ':authority': 'a', cookie: ['a=1', 'b=2', 'c=3'] })
  t.same(findAll(JSON.parse(response.body.toString()).headers, 'cookie'), ['a=1; b=2; c=3'])
})

t.test('P27 H2-07 :authority and host', async (t) => {
  const { echo, server } = await startEchoing(t)
  const cases: [string, (readonly [string, string])[], number][] = [
    [
      'both the same',
      [
        [':authority', 'a.test'],
        ['host', 'A.test'],
      ],
      200,
    ],
    [
      'different',
      [
        [':authority', 'a.test'],
        ['host', 'b.test'],
      ],
      400,
    ],
    ['host alone', [['host', 'a.test']], 200],
    ['userinfo', [[':authority', 'u@a.test']], 400],
  ]
  for (const [name, fields, status] of cases) {
    const client = await connectRawH2(server.h2Port)
    client.headers(1, [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], ...fields], true)
    const frame = await client.find((each) => each.streamId === 1)
    // Newer Nodes refuse some of these in the protocol, before the proxy is asked.
    if (frame.type === H2.RST_STREAM) t.equal(status, 400, `${name}: refused by the protocol`)
    else t.equal((await server.record()).status, status, name)
    client.socket.destroy()
  }
  const nameless = await connectRawH2(server.h2Port)
  nameless.headers(1, HEAD.slice(0, 3), true)
  t.ok(
    await nameless.find(({ type }) => type === H2.RST_STREAM || type === H2.GOAWAY),
    'neither: refused by the protocol',
  )
  nameless.socket.destroy()
  t.equal(echo.requests.length, 2)
})

t.test('a stream that is over before it is handled is answered nothing, and fails nothing', async (t) => {
  const { echo, server } = await startEchoing(t)
  // Node 24 tells of a stream in a later step of the turn in which its connection may have ended.
  const late = createServer()
  late.on('stream', (stream, headers, flags, raw = []) => {
    stream.destroy()
    server.proxy.handle(new Http2Exchange(stream, headers, flags, raw))
  })
  await new Promise<void>((resolve) => late.listen(0, '127.0.0.1', resolve))
  t.teardown(() => late.close())
  const session = connectH2(t, (late.address() as AddressInfo).port)
  const contained: unknown[] = []
  t.teardown(onContained((_place, error) => contained.push(error)))
  // The gateway itself answers TRACE, at once.
  for (const method of ['TRACE', 'GET']) {
    const { status } = await requestH2(session, { ':method': method, ':path': '/', ':authority': 'a.test' })
    t.equal(status, 0, method)
    t.match(await server.record(), { method }, method)
  }
  t.same(contained, [])
  const after = await requestH2(connectH2(t, server.h2Port), { ':path': '/', ':authority': 'a.test' })
  t.equal(after.status, 200)
  t.ok(echo.requests.length > 0)
})

t.test('H2-02 H2-09 H2-10 what HTTP/2 does not allow never reaches the upstream as a request', async (t) => {
  const { echo, server } = await startEchoing(t)
  const cases: [string, (readonly [string, string])[], string | undefined][] = [
    ['connection', [['connection', 'close']], 'abc'],
    ['transfer-encoding', [['transfer-encoding', 'chunked']], 'abc'],
    ['te: gzip', [['te', 'gzip']], 'abc'],
    ['content-length 0 with data', [['content-length', '0']], 'abc'],
    ['content-length too large', [['content-length', '100']], 'abc'],
    ['content-length without data', [['content-length', '41']], ''],
    ['content-length with END_STREAM in the head', [['content-length', '41']], undefined],
    [
      'two lengths',
      [
        ['content-length', '3'],
        ['content-length', '4'],
      ],
      'abc',
    ],
    ['a signed length', [['content-length', '+3']], 'abc'],
  ]
  for (const [name, fields, body] of cases) {
    const client = await connectRawH2(server.h2Port)
    client.headers(1, [...HEAD, ...fields], body === undefined)
    if (body !== undefined) client.data(1, body, true)
    const frame = await client.find((each) => each.streamId === 1 || each.type === H2.GOAWAY)
    t.ok(frame.type === H2.RST_STREAM || frame.type === H2.GOAWAY || frame.type === H2.HEADERS, name)
    client.socket.destroy()
  }
  await server.proxy.whenIdle()
  t.same(echo.requests, [])
})

t.test(
  'H2-09 H2-10 a field that makes a request malformed resets its stream, also where the parser lets it through',
  async (t) => {
    const { echo, server } = await startEchoing(t)
    let added: readonly string[] = []
    const lax = createServer()
    lax.prependListener('connection', (socket) => setOrigin(socket, { place: 'http', path: undefined }))
    lax.on('stream', (stream, headers, flags, raw = []) => {
      server.proxy.handle(new Http2Exchange(stream, headers, flags, [...raw, ...added]))
    })
    await new Promise<void>((resolve) => lax.listen(0, '127.0.0.1', resolve))
    t.teardown(() => lax.close())
    const session = connectH2(t, (lax.address() as AddressInfo).port)
    for (const field of [
      ['connection', 'close'],
      ['keep-alive', 'timeout=5'],
      ['proxy-connection', 'close'],
      ['transfer-encoding', 'chunked'],
      ['upgrade', 'h2c'],
      ['te', 'gzip'],
      ['te', ''],
      ['X-A', 'b'],
      ['', 'b'],
      ['x a', 'b'],
      ['x:a', 'b'],
      ['x\0', 'b'],
      ['x-a', 'a\0b'],
      ['x-a', 'a\rb'],
      ['x-a', 'a\r\nb: c'],
      ['x-a', ' b'],
      ['x-a', 'b\t'],
    ]) {
      added = field
      const response = await requestH2(session, { ':path': '/', ':authority': 'gw.test' })
      t.match(response, { status: 0, rstCode: H2.PROTOCOL_ERROR }, JSON.stringify(field))
      t.match(await server.record(), { status: 400, error: 'PORTICO_REQ_MALFORMED' })
    }
    t.same(echo.requests, [])
    added = ['te', 'trailers']
    t.equal((await requestH2(session, { ':path': '/', ':authority': 'gw.test' })).status, 200, 'the connection goes on')
    session.destroy()
  },
)

t.test('H2-20 H2-21 H2-22 an upload that is not finished is never delivered as finished', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const endings: [string, (client: Awaited<ReturnType<typeof connectRawH2>>) => void][] = [
    ...[0, 1, 2, 8].map(
      (code) => [`RST_STREAM ${code}`, (client) => client.reset(1, code)] as (typeof endings)[number],
    ),
    ['the connection ends', (client) => client.socket.end()],
    ['the connection is reset', (client) => client.socket.resetAndDestroy()],
    ['GOAWAY, then the end', (client) => client.frame(H2.GOAWAY, 0, 0, Buffer.alloc(8)).socket.end()],
  ]
  for (const [index, [name, leave]] of endings.entries()) {
    const client = await connectRawH2(server.h2Port)
    client.headers(1, [...HEAD, ['content-type', 'text/plain']], false).data(1, 'abc', false)
    const connection = await upstream.connection(index)
    await connection.until((text) => text.includes('abc'))
    leave(client)
    await connection.ended()
    t.notMatch(connection.text, '0\r\n\r\n', name)
    t.match(await server.record(), { status: 499, error: 'PORTICO_REQ_ABORTED' }, name)
    client.socket.destroy()
  }
})

t.test('H2-23 an answer that breaks off ends in RST_STREAM, not END_STREAM', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc')
    setImmediate(() => connection.socket.end())
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const response = await requestH2(connectH2(t, server.h2Port), { ':path': '/', ':authority': 'a' })
  t.not(response.rstCode, 0)
  t.match(await server.record(), { status: 200, error: 'PORTICO_UP_TRUNCATED' })
})

t.test('H2-13 trailers pass both ways and are never merged into the fields', async (t) => {
  const answer =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\nContent-Type: x\r\n\r\n'
  const upstream = await startRawUpstream(async (connection) => {
    await connection.until((text) => text.includes('x-up'))
    connection.send(answer)
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const response = await requestH2(
    connectH2(t, server.h2Port),
    { ':path': '/', ':method': 'POST', ':authority': 'a', te: 'trailers' },
    { body: 'abc', trailers: { 'x-up': '1', authorization: 'x' } },
  )
  t.equal(response.body.toString(), 'ok')
  t.match(response.trailers, { 'grpc-status': '0' })
  t.equal(response.trailers['content-type'], undefined)
  const { text } = await upstream.connection(0)
  t.match(text, /\r\nTE: trailers\r\n/)
  t.match(text, /\r\n0\r\nx-up: 1\r\n\r\n$/)
})

t.test('H2-14 Expect, 103 and statuses without a body', async (t) => {
  const { session } = await startEchoing(t)
  const expecting = await requestH2(
    session,
    { ':path': '/', ':method': 'POST', ':authority': 'a', expect: '100-continue' },
    { body: 'abc' },
  )
  t.equal(expecting.status, 200)
  const upstream = await startRawUpstream(
    answerWith(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
    ),
  )
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const response = await requestH2(connectH2(t, server.h2Port), { ':path': '/', ':authority': 'a' })
  t.equal(response.status, 304)
  t.equal(response.headers.etag, '"x"')
  t.match(response.interim, [{ ':status': 103, link: '</a.css>; rel=preload' }])
})

t.test('repeated fields of a response stay apart, single ones stay single', async (t) => {
  const upstream = await startRawUpstream(
    answerWith(
      Buffer.from(
        'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Type: a\r\nContent-Type: b\r\nX-L: caf\xe9\r\nConnection: x\r\nContent-Length: 2\r\n\r\nok',
        'latin1',
      ),
    ),
  )
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const response = await requestH2(connectH2(t, server.h2Port), { ':path': '/', ':authority': 'a' })
  t.same(response.headers['set-cookie'], ['a=1', 'b=2'])
  t.equal(response.headers['content-type'], 'a')
  t.equal(response.headers['x-l'], 'caf\xe9')
  t.equal(response.headers.connection, undefined)
})

t.test('SL-32 the body limit holds without a content-length', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], { settings: { 'limits.bodyBytes': 1000 } })
  const response = await requestH2(
    connectH2(t, server.h2Port),
    { ':path': '/', ':method': 'POST', ':authority': 'a' },
    { body: 'x'.repeat(1001) },
  )
  t.equal(response.status, 413)
  const connection = await upstream.connection(0)
  await connection.ended()
  t.notMatch(connection.text, '0\r\n\r\n')
})

t.test('an early answer ends the stream without an error while the upload goes on', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const client = await connectRawH2(server.h2Port)
  client.headers(1, HEAD, false).data(1, 'abc', false)
  const end = await client.find((frame) => frame.type === H2.RST_STREAM && frame.streamId === 1)
  t.equal(end.payload.readUInt32BE(), H2.NO_ERROR)
  t.equal(client.frames.find((frame) => frame.type === H2.DATA)?.payload.toString(), 'no')
  client.socket.destroy()
  t.match(await server.record(), { status: 403, error: undefined })
})

t.test('a path in another form is refused', async (t) => {
  const { server, echo } = await startEchoing(t)
  for (const path of ['*', 'http://evil/', 'x', '/a#b', '/a/../../b']) {
    const client = await connectRawH2(server.h2Port)
    client.headers(
      1,
      [
        [':method', 'GET'],
        [':scheme', 'http'],
        [':path', path],
        [':authority', 'a'],
      ],
      true,
    )
    const frame = await client.find((each) => each.streamId === 1 || each.type === H2.GOAWAY)
    t.not(frame.type, H2.DATA, path)
    client.socket.destroy()
  }
  await server.proxy.whenIdle()
  t.same(echo.requests, [])
})

t.test('CONNECT is refused', async (t) => {
  const { session } = await startEchoing(t)
  const response = await requestH2(session, { ':method': 'CONNECT', ':authority': 'a:443' })
  t.equal(response.status, 405)
})

t.test('SL-20 an interim answer can hold anything: hints pass, the rest does no harm', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    const fields =
      'Link: </a.css>; rel=preload\r\nConnection: x-secret\r\nKeep-Alive: 1\r\nETag: 1\r\nETag: 2\r\nX-Secret: y\r\n'
    connection.send(`HTTP/1.1 103 Early Hints\r\n${fields}\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`)
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const response = await requestH2(connectH2(t, server.h2Port), { ':path': '/', ':authority': 'a' })
  t.equal(response.status, 200)
  t.match(response.interim, [{ ':status': 103, link: '</a.css>; rel=preload' }])
  t.notOk(Object.hasOwn(response.interim[0]!, 'x-secret'))
})

t.test('fields that HTTP/2 sends once are no failure when an upstream repeats them', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    const twice = 'X-Content-Type-Options: nosniff\r\nAccess-Control-Max-Age: 1\r\nReferer: a\r\n'.repeat(2)
    connection.send(`HTTP/1.1 200 OK\r\n${twice}Content-Length: 2\r\n\r\nok`)
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const response = await requestH2(connectH2(t, server.h2Port), { ':path': '/', ':authority': 'a' })
  t.match(response, { status: 200, headers: { 'x-content-type-options': 'nosniff' } })
})

t.test('SL-18 an answer that ends with a reset is never delivered as whole', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.socket.write('HTTP/1.1 200 OK\r\n\r\npart', () =>
      setTimeout(() => connection.socket.resetAndDestroy(), 20),
    )
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const response = await requestH2(connectH2(t, server.h2Port), { ':path': '/', ':authority': 'a' })
  t.not(response.rstCode, 0)
  t.match(await server.record(), { status: 200, error: 'PORTICO_UP_TRUNCATED' })
})

t.test('methods that nobody may pass on are refused, however they are written', async (t) => {
  const { echo, server } = await startEchoing(t)
  for (const method of ['connect', 'trace', 'TRACE', 'PRI', 'F'.repeat(65)]) {
    const client = await connectRawH2(server.h2Port)
    client.headers(1, [[':method', method], ...HEAD.slice(1)], true)
    t.match(await server.record(), { status: 405, error: 'PORTICO_REQ_METHOD_NOT_ALLOWED' }, method)
    client.socket.destroy()
  }
  t.same(echo.requests, [])
})

t.test('a client that takes nothing of an answer the gateway made is cut', async (t) => {
  const server = await startProxy(t, { upstreams: {}, routes: [] }, { settings: { 'timeouts.writeStall': 200 } })
  const client = await connectRawH2(server.h2Port)
  // SETTINGS_INITIAL_WINDOW_SIZE 0: no DATA may be sent.
  client.frame(H2.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]))
  client.headers(1, HEAD, true)
  t.match(await server.record(), { status: 404 })
  t.equal(server.proxy.inFlight, 0)
  client.socket.destroy()
})

t.test('a client that takes nothing is cut for answers of a head alone too', async (t) => {
  let tellStalled = () => {}
  const stalled = new Promise<void>((resolve) => {
    tellStalled = resolve
  })
  const upstream = await startRawUpstream(async (connection) => {
    if ((await connection.head()).startsWith('HEAD')) {
      await stalled
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n')
      return
    }
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n').send(Buffer.alloc(67_108_864))
    // Nothing moves any more when nothing has for a while, on a busy machine too.
    for (let left = -1, still = 0; still < 10; ) {
      still = left === connection.socket.writableLength ? still + 1 : 0
      left = connection.socket.writableLength
      await pause(50)
    }
    tellStalled()
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], { settings: { 'timeouts.writeStall': 2_000 } })
  const client = await connectRawH2(server.h2Port)
  // The largest windows, so that TCP is what stops.
  client.frame(H2.SETTINGS, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]))
  client.frame(H2.WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0, 0, 0]))
  client.socket.pause()
  client.headers(1, [[':method', 'GET'], ...HEAD.slice(1)], true)
  for (const stream of [3, 5]) client.headers(stream, [[':method', 'HEAD'], ...HEAD.slice(1)], true)
  for (let record = 0; record < 3; record++) {
    t.match(await server.record(), { status: 200, error: 'PORTICO_REQ_ABORTED' })
  }
  t.equal(server.proxy.inFlight, 0)
  client.socket.destroy()
})
