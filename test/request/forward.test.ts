import { randomBytes } from 'node:crypto'
import { createServer, METHODS } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { sha256, startEchoUpstream } from '../helpers/echo-upstream.ts'
import { findFreePort } from '../helpers/free-ports.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, requestRaw } from '../helpers/raw-client.ts'
import { answerWith, type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'

type Tap = Parameters<typeof startProxy>[0]
type Behaviour = (connection: RawConnection, index: number) => void | Promise<void>

const GET = 'GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const post = (framing: string, body = '') => `POST / HTTP/1.1\r\nHost: gw.test\r\n${framing}\r\n\r\n${body}`

async function startBoth(t: Tap, behave: Behaviour, settings: Record<string, unknown> = {}) {
  const upstream = await startRawUpstream(behave)
  t.teardown(() => upstream.close())
  return { upstream, server: await startProxy(t, [upstream.port], { settings }) }
}

async function startEchoing(t: Tap, settings: Record<string, unknown> = {}) {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  return { echo, server: await startProxy(t, [echo.port], { settings }) }
}

t.test('every method reaches the upstream', async (t) => {
  const { server } = await startEchoing(t)
  for (const method of METHODS.filter((each) => !['CONNECT', 'HEAD', 'TRACE'].includes(each))) {
    const response = await requestRaw(server.port, `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`)
    const echo = JSON.parse(response.body.toString())
    t.match(echo, { method, bodyLength: 0 }, method)
    t.notMatch(echo.headers.join(' ').toLowerCase(), 'transfer-encoding', `no body is invented for ${method}`)
  }
})

t.test('bodies arrive whole, whatever the method and framing', async (t) => {
  const { server } = await startEchoing(t)
  const body = randomBytes(100_000)
  for (const method of ['GET', 'DELETE', 'POST', 'PUT', 'PROPFIND']) {
    const head = `${method} / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n`
    const counted = await requestRaw(
      server.port,
      Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]),
    )
    t.match(JSON.parse(counted.body.toString()), { method, bodyHash: sha256(body) }, `${method} counted`)
    const chunked = await requestRaw(
      server.port,
      Buffer.concat([
        Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)};ext=1\r\n`),
        body,
        Buffer.from('\r\n0\r\n\r\n'),
      ]),
    )
    t.match(JSON.parse(chunked.body.toString()), { method, bodyHash: sha256(body) }, `${method} chunked`)
  }
})

t.test('the gateway frames anew', async (t) => {
  const { upstream, server } = await startBoth(t, answerWith(OK))
  await requestRaw(server.port, post('Content-Length: 0003', 'abc'))
  t.match((await upstream.connection(0)).text, /\r\nContent-Length: 3\r\n/)
})

t.test('P22 contradicting or doubtful framing is refused', async (t) => {
  const { echo, server } = await startEchoing(t)
  const cases: [string, string][] = [
    ['Content-Length with Transfer-Encoding', post('Content-Length: 3\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['the other order', post('Transfer-Encoding: chunked\r\nContent-Length: 3', '0\r\n\r\n')],
    ['two lengths', post('Content-Length: 3\r\nContent-Length: 4', 'abcd')],
    ['a list of lengths', post('Content-Length: 3, 3', 'abc')],
    ['a signed length', post('Content-Length: +3', 'abc')],
    ['a hexadecimal length', post('Content-Length: 0x3', 'abc')],
    ['a huge length', post('Content-Length: 99999999999999999999', 'abc')],
    ['a length above what can be counted', post('Content-Length: 9007199254740993', 'abc')],
    ['another coding', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n')],
    ['an unknown coding', post('Transfer-Encoding: xchunked', '0\r\n\r\n')],
    ['chunked twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['Transfer-Encoding in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a bad chunk size', post('Transfer-Encoding: chunked', 'zz\r\n')],
    ['a chunk longer than its size', post('Transfer-Encoding: chunked', '1\r\nabc\r\n0\r\n\r\n')],
    ['a blank before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a folded field', 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n'],
    ['a NUL', 'GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n'],
    ['a bare CR', 'GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n'],
  ]
  for (const [name, bytes] of cases) {
    const client = await connectRaw(server.port)
    const { status } = await client.send(bytes).response()
    t.equal(status, 400, name)
    await client.closed
  }
  t.same(echo.requests, [], 'nothing reached the upstream whole')
  t.equal((await requestRaw(server.port, GET)).status, 200, 'the next client is served')
})

t.test('the same, byte by byte', async (t) => {
  const { server } = await startEchoing(t)
  const client = await connectRaw(server.port)
  await client.sendSlowly(post('Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n'))
  t.match(JSON.parse((await client.response()).body.toString()), { bodyHash: sha256('abc') })
  client.destroy()
})

t.test('P29 Expect: 100-continue is answered when the body is wanted', async (t) => {
  const { server } = await startEchoing(t, { 'limits.bodyBytes': 1000 })
  const client = await connectRaw(server.port)
  client.send(post('Content-Length: 3\r\nExpect: 100-continue'))
  t.equal((await client.response()).status, 100)
  const final = await client.send('abc').response()
  t.match(JSON.parse(final.body.toString()), { bodyHash: sha256('abc') })
  t.match(final.body.toString().toLowerCase(), '"expect","100-continue"', 'by the endpoint')
  client.destroy()
  const refused = await connectRaw(server.port)
  t.equal((await refused.send(post('Content-Length: 3000\r\nExpect: 100-continue')).response()).status, 413)
  await refused.closed
  const unknown = await connectRaw(server.port)
  t.equal((await unknown.send(post('Content-Length: 3\r\nExpect: magic')).response()).status, 417)
  unknown.destroy()
})

t.test('SL-32 the body limit', async (t) => {
  const { upstream, server } = await startBoth(t, () => {}, { 'limits.bodyBytes': 1000 })
  t.equal((await requestRaw(server.port, post('Content-Length: 1001'))).status, 413, 'declared')
  t.same(upstream.connections, [], 'the upstream was not even asked')
  const chunk = `3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`
  const client = await connectRaw(server.port)
  t.equal((await client.send(post('Transfer-Encoding: chunked', chunk)).response()).status, 413, 'chunked')
  await client.closed
  const connection = await upstream.connection(0)
  await connection.ended()
  t.notMatch(connection.text, '0\r\n\r\n', 'never a complete message')
  t.match(await server.record(), { status: 413, error: 'PORTICO_REQ_TOO_LARGE' })
})

t.test('HEAD, 204 and 304 have no body, and keep their lengths', async (t) => {
  const answers: Record<string, string> = {
    HEAD: 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n',
    GET204: 'HTTP/1.1 204 No Content\r\n\r\n',
    GET304: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: "x"\r\n\r\n',
    HEADchunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
  }
  for (const [name, answer] of Object.entries(answers)) {
    const { upstream, server } = await startBoth(t, answerWith(answer))
    const client = await connectRaw(server.port)
    const method = name.slice(0, 4).replace(/\d/, '')
    for (let round = 0; round < 2; round++) {
      const response = await client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`).response({ headOnly: true })
      t.equal(response.status, Number(/\d{3}/.exec(answer.slice(9))), name)
      t.equal(response.header('content-length'), /Content-Length: (\d+)/.exec(answer)?.[1], name)
      t.equal(client.received.length, 0, `${name} has no body`)
    }
    t.equal(upstream.connections.length, 1, `${name} keeps the connection`)
    client.destroy()
  }
})

t.test('HD-11 a Trailer field of the upstream ends nothing', async (t) => {
  const chunked = 'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n'
  const counted = 'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nContent-Length: 2\r\n\r\nok'
  const { server } = await startBoth(t, answerWith(chunked))
  t.same((await requestRaw(server.port, GET)).trailers, ['X-T', '1'], 'HTTP/1.1 gets the trailer')
  t.equal(
    (await requestRaw(server.port, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n')).body.toString(),
    'ok',
    'HTTP/1.0 gets the body',
  )
  const bodiless = await startBoth(
    t,
    answerWith('HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n'),
  )
  const head = await requestRaw(bodiless.server.port, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', { headOnly: true })
  t.equal(head.status, 200)
  const other = await startBoth(t, answerWith(counted))
  t.equal((await requestRaw(other.server.port, GET)).body.toString(), 'ok')
})

t.test('SL-23 trailers pass both ways, without those that name framing or identity', async (t) => {
  const answer =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\nSet-Cookie: a=1\r\n\r\n'
  const { upstream, server } = await startBoth(t, async (connection) => {
    await connection.until((text) => text.includes('X-Up'))
    connection.send(answer)
  })
  const trailers = 'X-Up: 1\r\nAuthorization: x\r\nHost: evil\r\nX-Forwarded-For: 6.6.6.6\r\n'
  const response = await requestRaw(server.port, post('Transfer-Encoding: chunked', `3\r\nabc\r\n0\r\n${trailers}\r\n`))
  t.same(response.trailers, ['X-T', '1'])
  const { text } = await upstream.connection(0)
  t.match(text, /\r\n3\r\nabc\r\n0\r\nX-Up: 1\r\n\r\n$/)
})

t.test('SL-20 interim answers', async (t) => {
  const interim =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Other: 1\r\n\r\n'
  const { server } = await startBoth(t, answerWith(interim + OK))
  const client = await connectRaw(server.port)
  const first = await client.send(GET).response()
  t.equal(first.status, 103, '100 and 102 end here, 103 passes')
  t.equal(first.header('link'), '</a.css>; rel=preload')
  t.equal((await client.response()).status, 200)
  client.destroy()
  t.equal(
    (await requestRaw(server.port, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n')).status,
    200,
    'HTTP/1.0 knows none of them',
  )
  const flood = await startBoth(t, answerWith('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100) + OK))
  const refused = await connectRaw(flood.server.port)
  await refused.send(GET).until((text) => text.includes(' 502 '))
  refused.destroy()
})

t.test('SL-35 HTTP/1.0 clients', async (t) => {
  const { server } = await startBoth(
    t,
    answerWith('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
  )
  const client = await connectRaw(server.port)
  const response = await client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n').response()
  t.equal(response.header('transfer-encoding'), undefined)
  t.equal(response.header('connection'), 'close', 'the end of the body is the end of the connection')
  t.equal(response.body.toString(), 'ok')
  await client.closed
  const counted = await startBoth(t, answerWith(OK))
  const kept = await connectRaw(counted.server.port)
  t.match(
    (await kept.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n').response()).header('connection'),
    'keep-alive',
  )
  t.equal((await kept.send('GET / HTTP/1.0\r\n\r\n').response()).body.toString(), 'ok')
  await kept.closed
})

t.test('SL-08 a client that has sent its FIN gets its response', async (t) => {
  const { upstream, server } = await startBoth(t, () => {})
  const client = await connectRaw(server.port, { allowHalfOpen: true })
  client.send(GET).end()
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send(OK)
  t.equal((await client.response()).body.toString(), 'ok')
  client.destroy()
})

t.test('SL-17 a client that closes without a reset is given up when its answer makes no progress', async (t) => {
  const { upstream, server } = await startBoth(t, () => {})
  const client = await connectRaw(server.port)
  client.send(GET)
  const connection = await upstream.connection(0)
  await connection.head()
  client.destroy()
  await connection.ended()
  t.match(await server.record(), { status: 499, error: 'PORTICO_REQ_ABORTED' })
})

t.test('SL-17 a client that goes away cancels the upstream request', async (t) => {
  const { upstream, server } = await startBoth(t, () => {})
  const client = await connectRaw(server.port)
  client.send(GET)
  const connection = await upstream.connection(0)
  await connection.head()
  client.reset()
  await connection.ended()
  t.match(await server.record(), { status: 499, error: 'PORTICO_REQ_ABORTED', tries: 1 })
  t.equal(server.proxy.inFlight, 0)
})

t.test('SL-16 a client that goes away in the middle of its body', async (t) => {
  for (const [name, bytes] of [
    ['counted', post('Content-Length: 100', 'abc')],
    ['chunked', post('Transfer-Encoding: chunked', '3\r\nabc\r\n')],
  ] as const) {
    for (const leave of ['reset', 'destroy', 'end'] as const) {
      const { upstream, server } = await startBoth(t, () => {}, { 'upstream.requestBuffering': 'none' })
      const client = await connectRaw(server.port)
      client.send(bytes)
      const connection = await upstream.connection(0)
      await connection.until((text) => text.includes('abc'))
      client[leave]()
      await connection.ended()
      t.notMatch(connection.text, '\r\n0\r\n\r\n', `${name}, ${leave}: never a complete message`)
      t.ok((await server.record()).error, `${name}, ${leave}`)
    }
  }
})

t.test('an answer that breaks off breaks the answer to the client', async (t) => {
  const cases: [string, string][] = [
    ['SL-14 with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'],
    ['SL-15 in the middle of a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc'],
    ['SL-15 between chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
  ]
  for (const [name, answer] of cases) {
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      const { upstream, server } = await startBoth(t, () => {})
      const client = await connectRaw(server.port)
      client.send(GET)
      const connection = await upstream.connection(0)
      await connection.head()
      connection.send(answer)
      await client.until((text) => text.includes('abc'))
      connection.socket[leave]()
      await client.closed
      t.notMatch(client.text, '0\r\n\r\n', `${name}, ${leave}`)
      t.match(await server.record(), { status: 200, error: 'PORTICO_UP_TRUNCATED' }, `${name}, ${leave}`)
    }
  }
})

t.test('SL-18 a body that ends with the connection', async (t) => {
  const answer = 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nabc'
  const clean = await startBoth(t, answerWith(answer, { end: true }))
  const response = await requestRaw(clean.server.port, GET)
  t.equal(response.body.toString(), 'abc')
  t.equal(response.complete, true)
  const { upstream, server } = await startBoth(t, () => {})
  for (const version of ['1.1', '1.0']) {
    const client = await connectRaw(server.port)
    client.send(`GET / HTTP/${version}\r\nHost: a\r\n\r\n`)
    const connection = await upstream.connection(upstream.connections.length)
    await connection.head()
    connection.send(answer)
    await client.until((text) => text.includes('abc'))
    connection.socket.resetAndDestroy()
    await client.closed
    t.notMatch(client.text, '0\r\n\r\n')
    if (version === '1.0') t.equal(client.error?.code, 'ECONNRESET', 'HTTP/1.0 can tell it only by a reset')
  }
})

t.test('malformed answers are 502, and their connection is not used again', async (t) => {
  const cases: [string, string][] = [
    ['SL-26 two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    [
      'SL-26 length and chunked',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['SL-27 bare line feeds', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
    ['SL-27 a NUL', 'HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok'],
    ['SL-27 a bare CR', 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok'],
    ['HD-17 a control byte', 'HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok'],
    ['HD-17 a name with a space', 'HTTP/1.1 200 OK\r\nX Y: a\r\nContent-Length: 2\r\n\r\nok'],
    ['HD-23 a large head', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\nContent-Length: 2\r\n\r\nok`],
    ['HD-23 many fields', `HTTP/1.1 200 OK\r\n${'X: a\r\n'.repeat(1500)}Content-Length: 2\r\n\r\nok`],
    ['HD-26 status 99', 'HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['HD-26 status 600', 'HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nok'],
    ['SL-21 101 unasked', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n'],
    ['SL-21 101 without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['no HTTP at all', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ]
  for (const [name, answer] of cases) {
    const { upstream, server } = await startBoth(t, answerWith(answer))
    const response = await requestRaw(server.port, GET)
    t.equal(response.status, 502, name)
    t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_UP_BAD_RESPONSE', name)
    await (await upstream.connection(0)).ended()
  }
})

t.test('HD-26 a status without reason passes', async (t) => {
  const { server } = await startBoth(t, answerWith('HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok'))
  t.equal((await requestRaw(server.port, GET)).status, 200)
})

t.test('SL-24 SL-25 surplus bytes are no answer to the next request', async (t) => {
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'
  const cases: [string, string, string][] = [
    ['a body longer than its length', GET, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok12345'],
    ['a second response', GET, OK + evil],
    ['a body after 204', GET, `HTTP/1.1 204 No Content\r\n\r\n${evil}`],
    ['a body after HEAD', GET.replace('GET', 'HEAD'), `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${evil}`],
  ]
  for (const [name, request, answer] of cases) {
    const { upstream, server } = await startBoth(t, (connection, index) =>
      answerWith(index === 0 ? answer : OK)(connection),
    )
    const first = await requestRaw(server.port, request, { headOnly: true })
    t.ok(first.status < 300, name)
    await (await upstream.connection(0)).ended()
    t.equal((await requestRaw(server.port, GET)).body.toString(), 'ok', name)
    t.equal(upstream.connections.length, 2, `${name}: on a new connection`)
  }
})

t.test('SL-25 bytes that come while a connection is idle close it', async (t) => {
  const { upstream, server } = await startBoth(t, answerWith(OK), { 'timeouts.upstreamKeepAlive': 60_000 })
  await requestRaw(server.port, GET)
  const idle = await upstream.connection(0)
  idle.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
  await idle.ended()
  t.equal((await requestRaw(server.port, GET)).body.toString(), 'ok')
})

t.test('SL-09 a reused connection that turns out to be closed costs no request', async (t) => {
  let requests = 0
  const { upstream, server } = await startBoth(t, async (connection) => {
    await connection.head(1)
    requests++
    connection.send(OK)
    // Closed just as the second request comes in.
    await connection.head(2)
    connection.socket.resetAndDestroy()
  })
  const client = await connectRaw(server.port)
  for (let n = 0; n < 20; n++) t.equal((await client.send(GET).response()).status, 200)
  client.destroy()
  t.equal(requests, 20)
  t.equal(upstream.connections.length, 20)
  t.equal(server.records.at(-1)?.tries, 2)
})

t.test('SL-10 a request that may not be repeated is tried once on a reused connection', async (t) => {
  for (const [method, body] of [
    ['POST', ''],
    ['POST', 'abc'],
    ['PATCH', ''],
    ['PATCH', 'abc'],
  ] as const) {
    const { upstream, server } = await startBoth(t, async (connection) => {
      await connection.head(1)
      connection.send(OK)
      await connection.head(2)
      connection.socket.resetAndDestroy()
    })
    t.equal((await requestRaw(server.port, GET)).status, 200)
    const bytes = `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const response = await requestRaw(server.port, bytes)
    t.equal(response.status, 502, method)
    t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_UP_RESET')
    t.equal(upstream.connections.length, 1, `${method}: exactly one attempt`)
  }
})

t.test('a fresh connection that is closed without an answer is 502, whatever the method', async (t) => {
  const { upstream, server } = await startBoth(
    t,
    async (connection) => {
      await connection.head()
      connection.socket.destroy()
    },
    { 'upstream.tries': 1 },
  )
  t.equal((await requestRaw(server.port, GET)).status, 502)
  t.equal(upstream.connections.length, 1)
})

t.test('SL-12 a 503 of the upstream passes and is asked for once', async (t) => {
  const { upstream, server } = await startBoth(
    t,
    answerWith('HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n'),
  )
  const response = await requestRaw(server.port, GET)
  t.equal(response.status, 503)
  t.equal(response.header('retry-after'), '120')
  t.equal((await upstream.connection(0)).text.split('GET /').length - 1, 1)
})

t.test('SL-11 another endpoint is tried where nothing was sent', async (t) => {
  const { echo } = await startEchoing(t)
  const dead = await findFreePort()
  const server = await startProxy(t, [dead, echo.port])
  for (let n = 0; n < 4; n++) {
    const response = await requestRaw(server.port, post('Content-Length: 3', 'abc'))
    t.match(JSON.parse(response.body.toString()), { bodyHash: sha256('abc') })
  }
  t.same(server.records.map((record) => record.tries).sort(), [1, 1, 2, 2])
  const alone = await startProxy(t, [dead, await findFreePort(), await findFreePort()])
  const refused = await requestRaw(alone.port, GET)
  t.equal(refused.status, 502)
  t.equal(JSON.parse(refused.body.toString()).code, 'PORTICO_UP_CONNECT_REFUSED')
  t.match(await alone.record(), {
    tries: 2,
    error: 'PORTICO_UP_CONNECT_REFUSED',
    detail: /refused.*refused.*\(2 tries\)/,
  })
})

t.test('I-25 no endpoint is 503', async (t) => {
  const server = await startProxy(t, [])
  const response = await requestRaw(server.port, GET)
  t.equal(response.status, 503)
  t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_UP_NO_ENDPOINTS')
  t.ok(response.header('retry-after'))
})

t.test('timeouts', async (t) => {
  const silent = await startBoth(t, () => {}, { 'timeouts.responseHeaders': 150 })
  const response = await requestRaw(silent.server.port, GET)
  t.equal(response.status, 504)
  t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_UP_HEADERS_TIMEOUT')
  await (await silent.upstream.connection(0)).ended()

  for (const requestBuffering of ['short', 'all', 'none']) {
    const settings = { 'timeouts.requestBodyIdle': 150, 'upstream.requestBuffering': requestBuffering }
    const paused = await startBoth(t, () => {}, settings)
    const client = await connectRaw(paused.server.port)
    t.equal((await client.send(post('Content-Length: 10', 'abc')).response()).status, 408, 'SL-03 a body that stops')
    await client.closed
    if (requestBuffering !== 'none') t.equal(paused.upstream.connections.length, 0, 'no endpoint has heard of it')
    else await (await paused.upstream.connection(0)).ended()
  }

  const stalled = await startBoth(t, answerWith('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'), {
    'timeouts.responseIdle': 150,
  })
  const cut = await connectRaw(stalled.server.port)
  await cut.send(GET).closed
  t.match(await stalled.server.record(), { status: 200, error: 'PORTICO_UP_STALLED' })
})

t.test('a slow upload is not cut while it goes on, unless it is slower than limits.uploadRate', async (t) => {
  // 20 bytes at 25 bytes a second take twice the time that a body may pause.
  for (const [uploadRate, requestBuffering, status] of [
    [15, 'short', 200],
    [15, 'none', 200],
    [0, 'none', 200],
    [200, 'short', 408],
    [200, 'none', 408],
  ] as const) {
    const { server } = await startEchoing(t, {
      'timeouts.requestBodyIdle': 400,
      'timeouts.responseHeaders': 400,
      'limits.uploadRate': uploadRate,
      'upstream.requestBuffering': requestBuffering,
    })
    const client = await connectRaw(server.port)
    client.send(post('Content-Length: 20'))
    for (let n = 0; n < 20 && !client.hasEnded; n++) {
      await client.flush('x')
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
    t.equal((await client.response()).status, status, `${uploadRate} bytes a second, ${requestBuffering}`)
    client.destroy()
  }
})

t.test('SL-05 a client that does not read holds up its upstream, then is cut', async (t) => {
  let sent = 0
  const source = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Length': String(200 * 1024 * 1024) })
    const block = Buffer.alloc(65_536)
    const pump = () => {
      while (!response.destroyed && sent < 200 * 1024 * 1024) {
        sent += block.length
        if (!response.write(block)) break
      }
    }
    response.on('drain', pump)
    pump()
  })
  await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve))
  t.teardown(() => source.close())
  const server = await startProxy(t, [(source.address() as AddressInfo).port], {
    settings: { 'timeouts.writeStall': 500 },
  })
  const client = await connectRaw(server.port)
  client.socket.pause()
  client.send(GET)
  const record = await server.record()
  t.match(record, { status: 200, error: 'PORTICO_REQ_ABORTED' })
  t.ok(record.bytesOut < 64 * 1024 * 1024, `${record.bytesOut} bytes were taken`)
  t.equal([...server.registry.states()][0]?.inFlight, 0, 'the endpoint is free again')
  client.destroy()
})

t.test('SL-31 large bodies flow through without being held', async (t) => {
  const size = 256 * 1024 * 1024
  const source = createServer((request, response) => {
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    request.on('end', () => {
      response.writeHead(200, { 'X-Received': String(bytes) })
      let left = size
      const block = Buffer.alloc(65_536)
      const pump = () => {
        while (left > 0) {
          left -= block.length
          if (!response.write(block)) return
        }
        response.end()
      }
      response.on('drain', pump)
      pump()
    })
  })
  await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve))
  t.teardown(() => source.close())
  const server = await startProxy(t, [(source.address() as AddressInfo).port])
  const { connect } = await import('node:net')
  const socket = connect({ port: server.port, host: '127.0.0.1' })
  t.teardown(() => socket.destroy())
  socket.write(post(`Content-Length: ${size}`))
  const block = Buffer.alloc(65_536)
  const before = process.memoryUsage().rss
  let peak = before
  for (let left = size; left > 0; left -= block.length) {
    if (!socket.write(block)) await new Promise((resolve) => socket.once('drain', resolve))
    peak = Math.max(peak, process.memoryUsage().rss)
  }
  let received = 0
  let head = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    if (head === '') head = chunk.toString('latin1')
    received += chunk.length
    peak = Math.max(peak, process.memoryUsage().rss)
    if (received >= size && chunk.includes('\r\n0\r\n\r\n')) break
  }
  t.match(head, `X-Received: ${size}`)
  t.ok(received >= size)
  t.ok(
    peak - before < size,
    `${Math.round((peak - before) / 1048576)} MiB more at the peak, client and upstream included`,
  )
})

t.test('SL-19 an early answer reaches a client that is still sending', async (t) => {
  const answer = 'HTTP/1.1 413 Too Much\r\nContent-Length: 3\r\n\r\nbig'
  const { upstream, server } = await startBoth(t, async (connection) => {
    await connection.head()
    connection.send(answer)
  })
  const client = await connectRaw(server.port)
  client.send(post('Content-Length: 100000000'))
  const sending = (async () => {
    const block = Buffer.alloc(65_536)
    for (let n = 0; n < 200 && !client.isClosed; n++) await client.flush(block)
  })()
  const response = await client.response()
  t.equal(response.status, 413)
  t.equal(response.header('connection'), 'close')
  t.equal(response.body.toString(), 'big')
  await (await upstream.connection(0)).ended()
  client.destroy()
  await sending.catch(() => {})
})

t.test('SL-28 server-sent events are passed on as they come', async (t) => {
  const { upstream, server } = await startBoth(t, () => {})
  const client = await connectRaw(server.port)
  client.send(GET)
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
  await client.until((text) => text.includes('text/event-stream'))
  for (const event of ['one', 'two', 'three']) {
    const data = `data: ${event}\n\n`
    connection.send(`${data.length.toString(16)}\r\n${data}\r\n`)
    await client.until((text) => text.includes(data))
  }
  client.reset()
  await connection.ended()
  t.match(await server.record(), { status: 200, error: 'PORTICO_REQ_ABORTED' })
})

t.test('SL-33 pipelined requests are answered in order', async (t) => {
  const { server } = await startEchoing(t)
  const client = await connectRaw(server.port)
  const paths = Array.from({ length: 200 }, (_, n) => `/${n}`)
  client.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
  for (const path of paths) {
    const { url } = JSON.parse((await client.response()).body.toString())
    if (url !== path) t.fail(`${url} instead of ${path}`)
  }
  t.equal(server.records.length, paths.length)
  client.destroy()
})

t.test('SL-34 garbage behind a request never stands inside its response', async (t) => {
  const { upstream, server } = await startBoth(t, () => {})
  const client = await connectRaw(server.port)
  client.send(GET)
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc')
  await client.until((text) => text.includes('abc'))
  client.send('\x00\x01garbage\r\n\r\n')
  connection.send('def')
  await client.closed
  t.match(client.text, '\r\n\r\nabcdefHTTP/1.1 400 Bad Request\r\n', 'it is answered behind it')
  t.match(await server.record(), { status: 200, bytesOut: 6, error: undefined })
  t.match(await server.record(), { status: 400, error: 'PORTICO_REQ_MALFORMED' })
})

t.test('HD-19 failures name no address', async (t) => {
  const server = await startProxy(t, [await findFreePort()])
  const json = await requestRaw(server.port, 'GET /secret-path HTTP/1.1\r\nHost: gw.test\r\nX-Request-Id: r1\r\n\r\n')
  t.equal(json.header('content-type'), 'application/json; charset=utf-8')
  t.equal(json.header('x-content-type-options'), 'nosniff')
  t.equal(json.header('cache-control'), 'no-store')
  t.same(JSON.parse(json.body.toString()), {
    status: 502,
    code: 'PORTICO_UP_CONNECT_REFUSED',
    message: 'The service refused the connection.',
    requestId: 'r1',
  })
  const html = await requestRaw(server.port, 'GET / HTTP/1.1\r\nHost: gw.test\r\nAccept: text/html,*/*\r\n\r\n')
  t.equal(html.header('content-type'), 'text/html; charset=utf-8')
  t.match(html.body.toString(), 'PORTICO_UP_CONNECT_REFUSED')
  t.notMatch(html.body.toString(), '127.0.0.1')
  const client = await connectRaw(server.port)
  const head = await client.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n').response({ headOnly: true })
  t.equal(head.status, 502)
  t.equal(client.received.length, 0, 'HEAD has no body')
  client.destroy()
})
