/**
 * Every unusual request of docs/semantics.md against one running gateway, over HTTP/1 as raw bytes and over HTTP/2 (TLS, ALPN)
 * where it can be said there: the status, which upstream was reached, and the bytes it received.
 */
import { constants } from 'node:http2'
import t, { type Test } from 'tap'
import { connectH2, connectRawH2, H2, type RawH2Client, requestH2 } from './helpers/h2-client.ts'
import { connectRaw, connectRawTls, findAll, type RawResponse } from './helpers/raw-client.ts'
import { type RawConnection, startRawUpstream } from './helpers/raw-upstream.ts'
import { type RunningGateway, runGateway } from './helpers/running-gateway.ts'

const SERVICES = ['root', 'foo', 'exact', 'slash', 'deep', 'admin', 'wild', 'idn', 'every', 'other'] as const
type Name = (typeof SERVICES)[number]

const path = (value: string, service: Name, pathType: string = 'Prefix') =>
  `{path: ${JSON.stringify(value)}, pathType: ${pathType}, backend: {service: {name: ${service}, port: {number: 80}}}}`

const MANIFESTS = `${SERVICES.map((name) => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: 80}]}\n---\n`).join('')}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: pathological}
spec:
  rules:
    - host: a.test
      http:
        paths:
          - ${path('/', 'root')}
          - ${path('/foo', 'foo')}
          - ${path('/exact', 'exact', 'Exact')}
          - ${path('/slash/', 'slash')}
          - ${path('/a/b', 'deep')}
          - ${path('/public/admin', 'admin')}
    - host: only.test
      http: {paths: [${path('/foo', 'foo')}]}
    - host: "*.wild.test"
      http: {paths: [${path('/', 'wild')}]}
    - host: xn--bcher-kva.test
      http: {paths: [${path('/', 'idn')}]}
    - host: b.test
      http: {paths: [${path('/', 'other')}]}
    - http: {paths: [${path('/', 'every')}]}
`

/** Answers with its name and the bytes it received, and speaks back what it hears after an upgrade. */
function mirror(name: string) {
  return async (connection: RawConnection): Promise<void> => {
    for (;;) {
      await connection.head()
      const end = connection.text.indexOf('\r\n\r\n') + 4
      if (end < 4 || connection.isClosed) return
      const head = connection.text.slice(0, end)
      if (/\r\nupgrade: websocket\r\n/i.test(head)) {
        connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
        connection.send(connection.received.subarray(end))
        connection.socket.on('data', (chunk: Buffer) => connection.send(chunk))
        connection.socket.on('end', () => connection.socket.end())
        return
      }
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
      await connection.until((text) => text.length >= end + length)
      const received = connection.received.subarray(0, end + length)
      connection.clear()
      connection.send(`HTTP/1.1 200 OK\r\nX-Echo: ${name}\r\nContent-Length: ${received.length}\r\n\r\n`).send(received)
    }
  }
}

const upstreams = await Promise.all(SERVICES.map(async (name) => [name, await startRawUpstream(mirror(name))] as const))
t.teardown(() => Promise.all(upstreams.map(([, upstream]) => upstream.close())))
const running: RunningGateway = await runGateway(t, MANIFESTS, {
  endpoints: Object.fromEntries(upstreams.map(([name, { port }]) => [name, [port]])),
})

type Received = {
  readonly status: number
  /** The upstream that answered, else the status. */
  readonly by: string | number
  /** Its request line, and its fields: names and values in turn. */
  readonly line: string
  readonly fields: readonly string[]
  readonly body: string
  readonly code: unknown
}

function read(status: number, by: string | undefined, body: Buffer): Received {
  const text = body.toString('latin1')
  if (by === undefined) {
    const code = text.startsWith('{') ? JSON.parse(text).code : undefined
    return { status, by: status, line: '', fields: [], body: text, code }
  }
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [line = '', ...fields] = head.split('\r\n')
  const split = fields.flatMap((field) => [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(': ') + 2)])
  return { status, by, line, fields: split, body: rest.join('\r\n\r\n'), code: undefined }
}

const readRaw = (response: RawResponse): Received => read(response.status, response.header('x-echo'), response.body)

async function send(bytes: string): Promise<Received & { closed: boolean }> {
  const client = await connectRaw(running.http)
  try {
    const response = await client.send(bytes).response()
    if (response.status === 400) await client.closed
    return { ...readRaw(response), closed: client.isClosed }
  } finally {
    client.destroy()
  }
}

const get = (target: string, host: string = 'a.test', fields: string = '') =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`

type Fields = readonly (readonly [string, string])[]

/** One request over HTTP/2 with its fields as they stand, whatever they are. */
async function sendH2(fields: Fields): Promise<Received> {
  const client = await connectRawH2(running.https, { tls: true })
  try {
    client.headers(1, fields, true)
    return await readH2(client)
  } finally {
    client.socket.destroy()
  }
}

/** Answers are read with node's own client where they are answers; a refusal by frame is status 0. */
async function readH2(client: RawH2Client): Promise<Received> {
  const isEnd = (type: number, flags: number) =>
    type === H2.RST_STREAM || type === H2.GOAWAY || (type <= H2.HEADERS && (flags & H2.END_STREAM) !== 0)
  const last = await client.find(
    ({ type, flags, streamId }) => isEnd(type, flags) && (streamId === 1 || type === H2.GOAWAY),
  )
  const data = client.frames.filter(({ type, streamId }) => type === H2.DATA && streamId === 1)
  const body = Buffer.concat(data.map(({ payload }) => payload))
  if (data.length === 0) return read(last.type === H2.HEADERS ? -1 : 0, undefined, body)
  // The head is HPACK: what the gateway says itself is JSON, all else comes from an upstream.
  const text = body.toString('latin1')
  if (text.startsWith('{')) return read(Number(JSON.parse(text).status), undefined, body)
  return read(200, 'an upstream', body)
}

const headH2 = (path: string, authority: string = 'a.test', more: Fields = []): Fields => [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', path],
  [':authority', authority],
  ...more,
]

type Row = readonly [name: string, target: string, by: Name | number, forwarded?: string]

/** The same rows over both: who answered, and the target the upstream received. */
function testTargets(t: Test, rows: readonly Row[]): void {
  for (const [name, target, by, forwarded] of rows) {
    t.test(`${name}: ${printable(target)} → ${by}`, async (t) => {
      const received = await send(get(target))
      t.equal(received.by, by)
      if (typeof by === 'string') t.equal(received.line, `GET ${forwarded ?? target} HTTP/1.1`)
      else t.ok(received.closed, 'the connection is closed')
      // HTTP/2 carries neither blanks nor what is no path there: refused by frame or by status.
      const over2 = await sendH2(headH2(target))
      if (typeof by === 'string') t.equal(over2.line, `GET ${forwarded ?? target} HTTP/1.1`, 'over HTTP/2')
      else t.ok(over2.status === by || over2.status === 0, `over HTTP/2 (${over2.status})`)
    })
  }
}

function printable(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`)
}

t.test('paths', async (t) => {
  testTargets(t, [
    ['P1 doubled slashes are merged for matching and forwarded as sent', '//foo', 'foo'],
    ['P1', '/foo//bar', 'foo'],
    ['P1', '//a///b/', 'deep'],
    ['P1', '/exact', 'exact'],
    ['P1', '//exact', 'exact'],
    ['P2 an encoded slash is data', '/a%2Fb', 'root'],
    ['P2', '/a%2fb', 'root'],
    ['P2', '/foo%2Fbar', 'root'],
    ['P2', '/foo/a%2Fb', 'foo'],
    ['P2 and an encoded backslash', '/foo%5Cbar', 'root'],
    ['P2 a backslash is refused', '/foo\\bar', 400],
    ['P3 an encoded unreserved character is that character', '/%66oo', 'foo'],
    ['P3', '/%66%6F%6f/x', 'foo'],
    ['P3', '/exac%74', 'exact'],
    ['P3 a reserved one stays encoded', '/foo%3Fx', 'root'],
    ['P3 encoded twice is decoded once', '/%2566oo', 'root'],
    ['P3 a malformed percent is refused', '/%zz', 400],
    ['P3', '/foo%', 400],
    ['P3', '/foo%2', 400],
    ['P3 NUL is refused', '/foo%00', 400],
    ['P4 dot segments are resolved', '/foo/../a/b', 'deep', '/a/b'],
    ['P4', '/foo/./x', 'foo', '/foo/x'],
    ['P4', '/foo/..', 'root', '/'],
    ['P4', '/foo/.', 'foo', '/foo/'],
    ['P4 encoded ones too', '/foo/%2e%2E/a/b', 'deep', '/a/b'],
    ['P4', '/public/x/%2e./admin', 'admin', '/public/admin'],
    ['P4', '/public/./admin?q=1', 'admin', '/public/admin?q=1'],
    ['P4 climbing above the root is refused', '/..', 400],
    ['P4', '/foo/../../a', 400],
    ['P4', '/%2e%2e/foo', 400],
    ['P4', '/public/..;/admin', 400],
    ['P5 a trailing slash counts for Exact', '/exact/', 'root'],
    ['P5 and not for Prefix', '/foo/', 'foo'],
    ['P5 and is never added', '/slash', 'slash'],
    ['P6 paths are case-sensitive', '/FOO', 'root'],
    ['P6', '/Exact', 'root'],
    ['P18 an empty query stays', '/foo?', 'foo'],
    ['P18 a target that begins with a question mark is refused', '?x', 400],
    ['P19 parameters are ordinary characters', '/foo;x', 'root'],
    ['P19', '/foo/x;a=b', 'foo'],
    ['P20 plus is a plus', '/foo/a+b', 'foo'],
    ['P25 slashes alone match /', '//', 'root'],
    ['P25', '///x', 'root'],
    ['P26 Prefix /slash/ takes /slash', '/slash', 'slash'],
    ['P26', '/slash/x', 'slash'],
    ['P26', '/slashx', 'root'],
  ])
})

t.test('P2 the setting refuses encoded slashes', async (t) => {
  const endpoints = Object.fromEntries(upstreams.map(([name, { port }]) => [name, [port]]))
  const strict = await runGateway(t, MANIFESTS, { endpoints, flags: { 'paths.encodedSlash': 'reject' } })
  for (const target of ['/a%2Fb', '/a%5cb']) {
    const client = await connectRaw(strict.http)
    t.equal((await client.send(get(target)).response()).status, 400)
    client.destroy()
  }
})

t.test('P5 no redirect is made to add a slash', async (t) => {
  t.equal((await send(get('/slash'))).status, 200)
})

t.test('hosts', async (t) => {
  const rows: readonly (readonly [string, string, Name | number])[] = [
    ['P6 hosts are case-insensitive', 'A.Test', 'root'],
    ['P7 the port does not matter', 'a.test:8080', 'root'],
    ['P7 nor with a wildcard', 'x.wild.test:1', 'wild'],
    ['P8 an IPv6 address and port', '[::1]:8080', 'every'],
    ['P8 an IPv6 address', '[::1]', 'every'],
    ['P8 an IPv4 address', '127.0.0.1:80', 'every'],
    ['P9 a trailing dot is the same name', 'a.test.', 'root'],
    ['P9 with a port', 'x.wild.test.:80', 'wild'],
    ['P12 a slash is refused', 'a.test/b', 400],
    ['P12 userinfo is refused', 'u@a.test', 400],
    ['P12 a list is refused', 'a.test, b.test', 400],
    ['P12 a blank is refused', 'a test', 400],
    ['P12 a bad port is refused', 'a.test:x', 400],
    ['P12 an open bracket is refused', '[::1', 400],
    ['P16 punycode', 'xn--bcher-kva.test', 'idn'],
    ['P16 in upper case', 'XN--BCHER-KVA.test', 'idn'],
    ['P17 an underscore below a wildcard', 'a_b.wild.test', 'wild'],
    ['P17 an underscore elsewhere', 'a_b.test', 'every'],
    ['P30 hosts that differ only in case are one', 'a.TEST', 'root'],
  ]
  for (const [name, host, by] of rows) {
    t.test(`${name}: ${host} → ${by}`, async (t) => {
      const received = await send(get('/', host))
      t.equal(received.by, by)
      if (typeof by === 'number') t.ok(received.closed)
      const over2 = await sendH2(headH2('/', host))
      if (typeof by === 'number') {
        t.ok(over2.status === by || over2.status === 0, `over HTTP/2 (${over2.status})`)
        return
      }
      for (const { fields } of [received, over2]) {
        t.same(findAll(fields, 'host'), [host], 'Host is forwarded as sent')
        t.same(findAll(fields, 'x-forwarded-host'), [host])
      }
    })
  }
})

t.test('P7 X-Forwarded-Host has the port too', async (t) => {
  const { fields } = await send(get('/', 'a.test:8080'))
  t.same(findAll(fields, 'x-forwarded-host'), ['a.test:8080'])
  t.same(findAll(fields, 'x-forwarded-port'), ['8080'], 'that of the same URL, also behind a port mapping')
})

t.test('P10 no Host, or two, is refused; HTTP/1.0 without one reaches rules without a host', async (t) => {
  t.equal((await send('GET / HTTP/1.1\r\n\r\n')).by, 400)
  t.equal((await send('GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n')).by, 400)
  t.equal((await send('GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n')).by, 400, 'the same twice')
  t.equal((await send('GET /x HTTP/1.0\r\n\r\n')).by, 'every')
  t.equal((await send('GET /x HTTP/1.0\r\nHost: a.test\r\n\r\n')).by, 'root')
})

t.test('P11 an empty Host is none', async (t) => {
  for (const line of ['Host:', 'Host: ']) t.equal((await send(`GET /x HTTP/1.1\r\n${line}\r\n\r\n`)).by, 400)
})

t.test('P13 the authority of an absolute target overrides Host, and the target is sent in origin form', async (t) => {
  const rows: readonly (readonly [string, Name | number, string?, string?])[] = [
    ['http://b.test/p?q', 'other', '/p?q', 'b.test'],
    ['http://b.test:8080/p', 'other', '/p', 'b.test:8080'],
    ['HTTP://B.test/', 'other', '/', 'B.test'],
    ['http://b.test/x/../p', 'other', '/p', 'b.test'],
    ['http://a.test//foo', 'foo', '//foo', 'a.test'],
    ['http://u@b.test/', 400],
    ['http:///p', 400],
  ]
  for (const [target, by, line, host] of rows) {
    const received = await send(get(target))
    t.equal(received.by, by, target)
    if (typeof by === 'number') continue
    t.equal(received.line, `GET ${line} HTTP/1.1`)
    t.same(findAll(received.fields, 'host'), [host])
  }
  const { fields } = await send(get('https://b.test/p'))
  t.same(findAll(fields, 'x-forwarded-proto'), ['http'], 'the scheme of the target is not believed')
  t.equal((await send(get('http://b.test/', 'bad host'))).by, 400, 'Host is checked all the same')
})

t.test('P14 OPTIONS * is answered here', async (t) => {
  t.equal((await send('OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n')).status, 200)
  t.equal((await send('GET * HTTP/1.1\r\nHost: a.test\r\n\r\n')).by, 400)
  t.equal((await sendH2([[':method', 'OPTIONS'], ...headH2('*').slice(1)])).status, 200, 'over HTTP/2')
  t.equal((await send('OPTIONS /foo HTTP/1.1\r\nHost: a.test\r\n\r\n')).by, 'foo', 'OPTIONS of a path goes on')
})

t.test('P15 CONNECT is 405', async (t) => {
  for (const target of ['a.test:443', '127.0.0.1:22']) {
    t.equal((await send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`)).by, 405)
  }
  const over2 = await sendH2([
    [':method', 'CONNECT'],
    [':authority', 'a.test:443'],
  ])
  t.ok(over2.status === 405 || over2.status === 0, `over HTTP/2 (${over2.status})`)
})

t.test('P16 a Unicode host in a manifest is refused, and on the wire it matches nothing', async (t) => {
  t.equal((await send(get('/', 'b\xc3\xbccher.test'))).by, 400)
})

t.test('P18 an empty path in absolute form is /', async (t) => {
  t.equal((await send(get('http://b.test'))).line, 'GET / HTTP/1.1')
  t.equal((await send(get('http://b.test?x'))).line, 'GET /?x HTTP/1.1')
  t.equal((await send('GET  HTTP/1.1\r\nHost: a.test\r\n\r\n')).by, 400, 'no target at all')
  const empty = await sendH2(headH2(''))
  t.ok(empty.status === 400 || empty.status === 0, `over HTTP/2 (${empty.status})`)
})

t.test('P20 blanks and control bytes in a target are refused', async (t) => {
  for (const target of ['/foo bar', '/foo\tbar', '/foo\x01', '/foo\x7f', '/foo\x00']) {
    t.equal((await send(get(target))).by, 400, printable(target))
    const over2 = await sendH2(headH2(target))
    t.ok(over2.status === 400 || over2.status === 0, `${printable(target)} over HTTP/2 (${over2.status})`)
  }
})

t.test('P20 bytes above 0x7f are refused', async (t) => {
  for (const target of ['/foo/\xc3\xa4', '/foo/\xff', '/foo?\xff']) {
    // RFC 9112 §3.2: a target holds none of them, and llhttp takes no other.
    t.equal((await send(get(target))).by, 400, printable(target))
    t.equal((await sendH2(headH2(target))).by, 400, `${printable(target)} over HTTP/2`)
  }
})

t.test('P21 a target too long is 414, a head too large 431', async (t) => {
  const long = `/${'a'.repeat(16_300)}`
  t.equal((await send(get(long))).line, `GET ${long} HTTP/1.1`, 'below the limit')
  t.match(await send(get(`/${'a'.repeat(17_000)}`)), { status: 414, code: 'PORTICO_REQ_TARGET_TOO_LONG' })
  t.equal((await send(get('/', 'a.test', `X-Large: ${'x'.repeat(40_000)}\r\n`))).status, 431)
  const many = Array.from({ length: 200 }, (_, index) => `X-${index}: 1\r\n`).join('')
  t.equal((await send(get('/', 'a.test', many))).status, 431, 'too many fields')
  const session = connectH2(t, running.https, { tls: true })
  const status = await new Promise((resolve, reject) => {
    const stream = session.request({ ':path': `/${'a'.repeat(17_000)}`, ':authority': 'a.test' })
    stream.on('response', (headers) => resolve(headers[constants.HTTP2_HEADER_STATUS]))
    stream.on('error', reject)
    stream.resume()
  })
  t.equal(status, 414, 'over HTTP/2')
})

t.test('P22 Content-Length beside Transfer-Encoding is refused, and nothing is smuggled', async (t) => {
  const smuggled = 'GET /public/admin HTTP/1.1\r\nHost: a.test\r\n\r\n'
  const admin = upstreams.find(([name]) => name === 'admin')![1]
  const before = admin.connections.length
  for (const fields of [
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 5',
    'Content-Length: 5\r\nContent-Length: 6',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, gzip',
  ]) {
    const client = await connectRaw(running.http)
    client.send(`POST /foo HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n\r\n0\r\n\r\n${smuggled}`)
    t.equal((await client.response()).status, 400, fields)
    await client.closed
    t.equal(client.text, '', 'there is one answer, then the connection is closed')
  }
  t.equal(admin.connections.length, before)
})

t.test('P23 names with an underscore are dropped', async (t) => {
  const { by, fields } = await send(get('/foo', 'a.test', 'X_Foo: 1\r\nX-Foo: 2\r\nX_Forwarded_For: 6.6.6.6\r\n'))
  t.equal(by, 'foo')
  t.same(findAll(fields, 'x_foo'), [])
  t.same(findAll(fields, 'x-foo'), ['2'])
  t.notMatch(fields.join('\n'), '6.6.6.6')
  const over2 = await sendH2(headH2('/foo', 'a.test', [['x_foo', '1']]))
  t.equal(over2.status, 200)
  t.same(findAll(over2.fields, 'x_foo'), [], 'over HTTP/2')
})

t.test('P24 what a client says of itself is overwritten', async (t) => {
  const claims = [
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Real-IP',
    'Forwarded',
  ]
  const over1 = await send(get('/', 'a.test', claims.map((name) => `${name}: 6.6.6.6\r\n`).join('')))
  const over2 = await sendH2(
    headH2(
      '/',
      'a.test',
      claims.map((name) => [name.toLowerCase(), '6.6.6.6'] as const),
    ),
  )
  for (const [{ fields }, scheme] of [
    [over1, 'http'],
    [over2, 'https'],
  ] as const) {
    t.notMatch(fields.join('\n'), '6.6.6.6')
    t.same(findAll(fields, 'x-forwarded-for'), ['127.0.0.1'])
    t.same(findAll(fields, 'x-real-ip'), ['127.0.0.1'])
    t.same(findAll(fields, 'x-forwarded-proto'), [scheme])
    t.same(findAll(fields, 'x-forwarded-host'), ['a.test'])
  }
})

t.test('P27 over HTTP/2 :authority and host must agree', async (t) => {
  t.equal((await sendH2(headH2('/', 'a.test', [['host', 'a.test']]))).status, 200, 'both the same')
  const differing = await sendH2(headH2('/', 'a.test', [['host', 'b.test']]))
  t.ok(differing.status === 400 || differing.status === 0, `differing (${differing.status})`)
  const [method, scheme, target] = headH2('/')
  const alone = await sendH2([method!, scheme!, target!, ['host', 'b.test']])
  t.same(findAll(alone.fields, 'host'), ['b.test'], 'host alone')
})

t.test('P28 an upgrade to WebSocket passes through, byte for byte', async (t) => {
  for (const [scheme, client] of [
    ['http', await connectRaw(running.http)],
    ['https', await connectRawTls(running.https, { servername: 'a.test' })],
  ] as const) {
    t.teardown(() => client.destroy())
    client.send(
      get(
        '/foo/../slash/ws',
        'a.test',
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
      ),
    )
    const response = await client.response({ headOnly: true })
    t.equal(response.status, 101, scheme)
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    client.send(bytes)
    await client.until((text) => text.length >= bytes.length)
    t.ok(client.received.equals(bytes))
    const slash = upstreams.find(([name]) => name === 'slash')![1]
    t.match(slash.connections.at(-1)?.text, /^GET \/slash\/ws HTTP\/1\.1\r\n/)
    client.destroy()
  }
})

t.test('P29 Expect: 100-continue is answered by the endpoint, before the body', async (t) => {
  const client = await connectRaw(running.http)
  t.teardown(() => client.destroy())
  client.send('POST /foo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
  t.equal((await client.response()).status, 100)
  const { by, fields, body } = readRaw(await client.send('abc').response())
  t.same([by, body], ['foo', 'abc'])
  t.same(findAll(fields, 'expect'), ['100-continue'])
  const old = await connectRaw(running.http)
  t.teardown(() => old.destroy())
  old.send('POST /foo HTTP/1.0\r\nHost: a.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc')
  const answer = await old.response()
  t.equal(answer.status, 200, 'a client of HTTP/1.0 gets no 100')
  t.same(findAll(readRaw(answer).fields, 'expect'), [], 'and cannot expect one')
  const over2 = await requestH2(
    connectH2(t, running.https, { tls: true }),
    { ':method': 'POST', ':path': '/foo', ':authority': 'a.test', 'content-length': 3, expect: '100-continue' },
    { body: 'abc' },
  )
  t.equal(over2.status, 200)
  t.same(
    over2.interim.map((fields) => fields[':status']),
    [100],
    'over HTTP/2 too',
  )
  t.match(over2.body.toString(), /\r\n\r\nabc$/)
})

t.test('P30 a manifest cannot have hosts that differ only in case', async (t) => {
  const second = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: upper}
spec: {rules: [{host: A.test, http: {paths: [${path('/', 'other')}]}}]}
`
  const endpoints = Object.fromEntries(upstreams.map(([name, { port }]) => [name, [port]]))
  const both = await runGateway(t, MANIFESTS + second, { endpoints })
  t.match(
    both.gateway.configuration.diagnostics.map(({ message }) => message),
    [/^spec\.rules\[0\]\.host: Invalid value: "A\.test"/],
  )
  const client = await connectRaw(both.http)
  t.teardown(() => client.destroy())
  t.equal(readRaw(await client.send(get('/')).response()).by, 'root')
})

t.test('no request of all these harmed the next', async (t) => {
  t.equal((await send(get('/foo'))).by, 'foo')
  t.equal((await sendH2(headH2('/foo'))).line, 'GET /foo HTTP/1.1')
  t.equal(running.gateway.inFlight, 0)
})
