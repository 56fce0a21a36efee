import t from 'tap'
import { startDoors } from '../doors/request-doors.ts'
import { type Echo, startEchoUpstream } from '../helpers/echo-upstream.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, findAll, requestRaw } from '../helpers/raw-client.ts'
import { answerWith, startRawUpstream } from '../helpers/raw-upstream.ts'

const get = (fields: string) => `GET / HTTP/1.1\r\nHost: gw.test\r\n${fields}\r\n`

async function ask(port: number, bytes: string): Promise<Echo> {
  const response = await requestRaw(port, bytes)
  if (response.status !== 200) throw new Error(`status ${response.status}: ${response.body}`)
  return JSON.parse(response.body.toString())
}

/** A proxy in front of an upstream that always gives this answer. */
async function startAnswering(t: Parameters<typeof startProxy>[0], answer: string) {
  const upstream = await startRawUpstream(answerWith(Buffer.from(answer, 'latin1')))
  t.teardown(() => upstream.close())
  return startProxy(t, [upstream.port])
}

t.test('order, case, number and bytes of request fields are kept', async (t) => {
  const upstream = await startRawUpstream(answerWith('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const sent = 'x-B: 1\r\nX-a: caf\xe9\r\nAccept: a\r\nx-B: 2\r\nCookie: a=1\r\nCookie: b=2\r\nUSER-agent: me\r\n'
  await requestRaw(server.port, get(sent))
  const { text } = await upstream.connection(0)
  t.ok(text.startsWith(`GET / HTTP/1.1\r\nHost: gw.test\r\n${sent}`), text)
})

t.test('order, case, number and bytes of response fields are kept', async (t) => {
  const fields =
    'x-B: 1\r\nSet-Cookie: a=1; Expires=Wed, 01 Jan\r\nX-a: caf\xe9 \xe2\x82\xac\r\nSet-Cookie: b=2\r\nSERVER: mine\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n'
  const server = await startAnswering(t, `HTTP/1.1 299 Fine by m\xe9\r\n${fields}Content-Length: 2\r\n\r\nok`)
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  const text = await client.send(get('')).until((each) => each.endsWith('ok'))
  t.ok(text.startsWith(`HTTP/1.1 299 Fine by m\xe9\r\n${fields}X-Request-Id: `), text)
  t.match(text, '\r\nContent-Length: 2\r\n')
})

t.test('latin1 values reach the client unchanged when there is no body', async (t) => {
  const server = await startAnswering(t, 'HTTP/1.1 204 No Content\r\nX-a: caf\xe9\r\n\r\n')
  t.equal((await requestRaw(server.port, get(''))).header('x-a'), 'caf\xe9')
})

t.test('Server and Date are added where the upstream has none', async (t) => {
  const server = await startAnswering(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  const response = await requestRaw(server.port, get(''))
  t.equal(response.header('server'), 'portico')
  t.match(response.header('date'), /GMT$/)
})

t.test('HD-09 hop-by-hop fields of the request end here', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const { headers } = await ask(
    server.port,
    get(
      'Connection: keep-alive, X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy: http://evil.test\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nTE: gzip\r\nTrailer: X-T\r\nUpgrade: foo\r\nHTTP2-Settings: z\r\nX-Kept: 1\r\n',
    ),
  )
  for (const name of [
    'x-hop',
    'keep-alive',
    // CVE-2016-5385
    'proxy',
    'proxy-connection',
    'proxy-authorization',
    'te',
    'trailer',
    'upgrade',
    'http2-settings',
  ]) {
    t.same(findAll(headers, name), [], name)
  }
  t.same(findAll(headers, 'connection'), [])
  t.same(findAll(headers, 'x-kept'), ['1'])
})

t.test('only trailers pass in TE', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  t.same(findAll((await ask(server.port, get('Connection: TE\r\nTE: gzip, trailers;q=0.5\r\n'))).headers, 'te'), [
    'trailers',
  ])
  t.same(findAll((await ask(server.port, get('TE: xtrailers\r\n'))).headers, 'te'), [])
})

t.test('HD-07 HD-08 Connection cannot remove what the gateway adds or the upstream decides by', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const kept = ['Authorization', 'Content-Type', 'Cookie', 'Range', 'Content-Length', 'Host']
  const own = [
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Real-IP',
    'X-Request-Id',
  ]
  const { headers, bodyLength } = await ask(
    server.port,
    `POST / HTTP/1.1\r\nHost: gw.test\r\nConnection: ${[...kept, ...own].join(', ')}\r\nAuthorization: a\r\nContent-Type: text/plain\r\nCookie: c=1\r\nRange: bytes=0-1\r\nContent-Length: 3\r\n\r\nabc`,
  )
  for (const name of [...kept, ...own]) t.equal(findAll(headers, name).length, 1, name)
  t.equal(bodyLength, 3)
})

t.test('HD-10 hop-by-hop fields of the response end here', async (t) => {
  const server = await startAnswering(
    t,
    'HTTP/1.1 200 OK\r\nConnection: X-Int, keep-alive\r\nX-Int: 1\r\nKeep-Alive: timeout=999\r\nProxy-Authenticate: x\r\nProxy-Connection: x\r\nTE: x\r\nTrailer: X-T\r\nUpgrade: h2c\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n',
  )
  const response = await requestRaw(server.port, get(''))
  for (const name of ['x-int', 'proxy-authenticate', 'proxy-connection', 'te', 'trailer', 'upgrade']) {
    t.same(response.all(name), [], name)
  }
  t.notMatch(response.header('keep-alive'), '999')
  t.equal(response.header('x-kept'), '1')
})

t.test('HD-01 P24 what a client says of itself is dropped', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const claims = [
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Prefix',
    'X-Real-IP',
    'Forwarded',
    'True-Client-IP',
    'CF-Connecting-IP',
    'X-Original-URL',
  ]
  const { headers } = await ask(server.port, get(claims.map((name) => `${name}: 6.6.6.6\r\n`).join('')))
  t.notMatch(headers.join('\n'), '6.6.6.6')
  t.same(findAll(headers, 'x-forwarded-for'), ['127.0.0.1'])
  t.same(findAll(headers, 'x-real-ip'), ['127.0.0.1'])
  t.same(findAll(headers, 'x-forwarded-proto'), ['http'])
  t.same(findAll(headers, 'x-forwarded-host'), ['gw.test'])
  t.same(findAll(headers, 'x-forwarded-port'), ['80'], 'that of a URL with this host')
  t.same(findAll(headers, 'forwarded'), [])
})

t.test('HD-02 a trusted proxy is believed, and its chain is appended to', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port], { settings: { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] } })
  const { headers } = await ask(
    server.port,
    get(
      'X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX-Forwarded-For: 10.0.0.5\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer.test\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /p\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=1.2.3.4\r\n',
    ),
  )
  t.same(findAll(headers, 'x-forwarded-for'), ['6.6.6.6, 1.2.3.4, 10.0.0.5, 127.0.0.1'])
  t.same(findAll(headers, 'x-real-ip'), ['1.2.3.4'], 'the right-most that is not trusted')
  t.same(findAll(headers, 'x-forwarded-proto'), ['https'])
  t.same(findAll(headers, 'x-forwarded-host'), ['outer.test'])
  t.same(findAll(headers, 'x-forwarded-port'), ['443'])
  t.same(findAll(headers, 'x-forwarded-prefix'), ['/p'])
  t.same(findAll(headers, 'forwarded'), ['for=1.2.3.4'])
  t.match(await server.record(), { clientAddress: '1.2.3.4', peerAddress: '127.0.0.1' })
})

t.test('HD-06 Forwarded is sent where asked for', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port], { settings: { forwardedHeader: true } })
  const { headers } = await ask(server.port, 'GET / HTTP/1.1\r\nHost: gw.test:81\r\nForwarded: for=6.6.6.6\r\n\r\n')
  t.same(findAll(headers, 'forwarded'), ['for=127.0.0.1;host="gw.test:81";proto=http'])
})

t.test('HD-12 P23 names with an underscore', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const fields = 'X_Foo: 1\r\nX_Forwarded_For: 6.6.6.6\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n'
  const dropping = await startProxy(t, [echo.port])
  t.notMatch((await ask(dropping.port, get(fields))).headers.join(' '), '_')
  const rejecting = await startProxy(t, [echo.port], { settings: { underscoresInHeaders: 'reject' } })
  t.equal((await requestRaw(rejecting.port, get(fields))).status, 400)
  const keeping = await startProxy(t, [echo.port], { settings: { underscoresInHeaders: 'keep' } })
  const { headers } = await ask(keeping.port, get(fields))
  t.same(findAll(headers, 'x_foo'), ['1'])
  t.notMatch(headers.join(' '), '6.6.6.6', 'but none that CGI-like upstreams read as a field of the gateway')
})

t.test('HD-13 repeated fields of which there can be only one', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  for (const name of ['Authorization', 'Content-Type', 'If-Match', 'Origin', 'Content-Length', 'Host']) {
    const response = await requestRaw(server.port, get(`${name}: 0\r\n${name}: 0\r\n`))
    t.equal(response.status, 400, name)
  }
  t.same(echo.requests, [])
})

t.test('HD-15 number and size of fields', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port], { settings: { 'limits.headerBytes': 8192 } })
  const many = (count: number) => get(Array.from({ length: count }, (_, n) => `x-${n}: 1\r\n`).join(''))
  t.equal((await requestRaw(server.port, many(99))).status, 200, '100 with Host')
  t.equal((await requestRaw(server.port, many(100))).status, 431)
  t.equal((await requestRaw(server.port, many(1500))).status, 431)
  t.equal((await requestRaw(server.port, get(`x: ${'a'.repeat(9000)}\r\n`))).status, 431, 'above the setting')
  t.equal(
    (await requestRaw(server.port, get(`x: ${'a'.repeat(70_000)}\r\n`))).status,
    431,
    'above what the parser takes',
  )
})

t.test('HD-15 the client is told how many fields there may be, at every door', async (t) => {
  const doors = await startDoors(t, { 'limits.headerCount': '20' })
  const fields = Array.from({ length: 25 }, (_, index) => [`x-${index}`, '1'] as const)
  for (const door of doors.names) {
    const { status, body } = await doors.ask(door, { fields })
    t.equal(status, 431, door)
    t.match(body, /The request headers are too large: there may be 20 fields\./, door)
  }
})

t.test('HD-16 names that mean something to JavaScript mean nothing here', async (t) => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const fields = names.map((name) => `${name}: x\r\n`).join('')
  const server = await startAnswering(t, `HTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`)
  const response = await requestRaw(server.port, get(fields))
  t.equal(response.status, 200)
  for (const name of names) t.equal(response.header(name), 'x', name)
})

t.test('HD-20 X-Request-Id is kept where it is harmless, else made anew, and returned', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const exchange = async (field: string) => {
    const response = await requestRaw(server.port, get(field))
    const seen = findAll(JSON.parse(response.body.toString()).headers, 'x-request-id')
    t.same(seen, [response.header('x-request-id')], 'one id for upstream and client')
    return seen[0]!
  }
  t.equal(await exchange('X-Request-Id: abc-1.2_3\r\n'), 'abc-1.2_3')
  t.match(await exchange(''), /^[0-9a-f]{32}$/)
  for (const bad of ['a'.repeat(129), 'a"b', 'a b', '%0d%0a', '']) {
    t.match(await exchange(`X-Request-Id: ${bad}\r\n`), /^[0-9a-f]{32}$/, `not ${bad.slice(0, 10)}`)
  }
  const records = server.records.map(({ id }) => id)
  t.equal(records[0], 'abc-1.2_3')
  t.equal(new Set(records).size, records.length)
})

t.test("an upstream's own X-Request-Id does not replace the request's", async (t) => {
  const server = await startAnswering(t, 'HTTP/1.1 200 OK\r\nX-Request-Id: other\r\nContent-Length: 0\r\n\r\n')
  t.same((await requestRaw(server.port, get('X-Request-Id: mine\r\n'))).all('x-request-id'), ['mine'])
})

t.test('HD-24 Location is not touched', async (t) => {
  const server = await startAnswering(
    t,
    'HTTP/1.1 302 Found\r\nLocation: http://10.0.0.5:8080/x\r\nContent-Length: 0\r\n\r\n',
  )
  t.equal((await requestRaw(server.port, get(''))).header('location'), 'http://10.0.0.5:8080/x')
})
