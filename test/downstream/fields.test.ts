import t from 'tap'
import { GatewayError } from '../../lib/base/errors.ts'
import { type Protocol, readFields } from '../../lib/downstream/fields.ts'
import type { RequestFields } from '../../lib/http1/request-fields.ts'
import { makeSettings } from '../helpers/settings.ts'

/** From lines `Name: value`. */
function read(
  lines: readonly string[],
  protocol: Protocol = 'HTTP/1.1',
  settings: Readonly<Record<string, unknown>> = {},
): RequestFields | GatewayError {
  const headers = lines.flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
  return readFields(headers, protocol, makeSettings(settings))
}

function accept(...given: Parameters<typeof read>): RequestFields {
  const fields = read(...given)
  if (fields instanceof GatewayError) throw fields
  return fields
}

function refuse(...given: Parameters<typeof read>): string | undefined {
  const fields = read(...given)
  return fields instanceof GatewayError ? fields.code : undefined
}

t.test('what travels on stands in lines as it was sent, in that order', async (t) => {
  const { lines, host } = accept(['x-B: 1', 'HOST: a.test', 'X-a: caf\xe9', 'x-B: 2', 'empty: '])
  t.equal(lines, 'x-B: 1\r\nHOST: a.test\r\nX-a: caf\xe9\r\nx-B: 2\r\nempty: \r\n')
  t.equal(host, 'a.test')
})

t.test('HD-09 what concerns the hop, its framing and the gateway itself is not among them', async (t) => {
  const fields = accept([
    'Host: a.test',
    'Connection: X-Hop, close, authorization',
    'X-Hop: 1',
    'Keep-Alive: timeout=9',
    'Proxy-Connection: x',
    'Proxy-Authorization: y',
    'TE: gzip, trailers',
    'Trailer: X-T',
    'Upgrade: foo',
    'HTTP2-Settings: z',
    'Transfer-Encoding: Chunked',
    'Expect: 100-continue',
    'X-Request-Id: r1',
    'Authorization: a',
    'User-Agent: first',
    'User-Agent: second',
    'Accept: text/html',
  ])
  t.equal(
    fields.lines,
    'Host: a.test\r\nAuthorization: a\r\nUser-Agent: first\r\nUser-Agent: second\r\nAccept: text/html\r\n',
  )
  t.match(fields, {
    chunked: true,
    contentLength: undefined,
    acceptsTrailers: true,
    expect: '100-continue',
    requestId: 'r1',
    userAgent: 'first',
    accept: 'text/html',
    claims: undefined,
  })
})

t.test('HD-01 claims stand apart', async (t) => {
  const { lines, claims } = accept([
    'X-Forwarded-For: 1.1.1.1',
    'x-forwarded-for: 2.2.2.2',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: h',
    'X-Forwarded-Prefix: /p',
    'X-Real-IP: 3.3.3.3',
    'Forwarded: for=a',
    'Forwarded: for=b',
    'CF-Connecting-IP: 4.4.4.4',
  ])
  t.equal(lines, '')
  t.same(claims, {
    forwardedFor: '1.1.1.1, 2.2.2.2',
    forwardedProto: 'https',
    forwardedHost: 'h',
    forwardedPort: undefined,
    realIp: '3.3.3.3',
    forwarded: 'for=a, for=b',
    lines: 'X-Forwarded-Prefix: /p\r\nCF-Connecting-IP: 4.4.4.4\r\n',
  })
})

t.test('HD-08 a claim that Connection lists ends here; who the client is, is read all the same', async (t) => {
  const { claims } = accept([
    'Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Prefix, Forwarded',
    'X-Forwarded-For: 1.1.1.1',
    'X-Forwarded-Host: h',
    'X-Forwarded-Prefix: /p',
    'CF-Connecting-IP: 4.4.4.4',
    'Forwarded: for=a',
  ])
  t.match(claims, {
    forwardedFor: '1.1.1.1',
    forwardedHost: 'h',
    forwarded: 'for=a',
    lines: 'CF-Connecting-IP: 4.4.4.4\r\n',
  })
})

t.test('HD-12 names with an underscore, by the setting', async (t) => {
  const sent = ['X_Foo: 1', 'Content_Length: 5', 'X_Real_IP: 6.6.6.6']
  t.equal(accept(sent).lines, '')
  t.equal(refuse(sent, 'HTTP/1.1', { underscoresInHeaders: 'reject' }), 'PORTICO_REQ_BAD_HEADER')
  t.equal(accept(sent, 'HTTP/1.1', { underscoresInHeaders: 'keep' }).lines, 'X_Foo: 1\r\n')
})

t.test('HTTP/2: Cookie becomes one line, fields of the connection are refused', async (t) => {
  const sent = ['cookie: a=1', 'x: 1', 'cookie: b=2', 'te: trailers']
  t.equal(accept(sent, 'HTTP/2.0').lines, 'x: 1\r\ncookie: a=1; b=2\r\n')
  t.equal(accept(sent).lines, 'cookie: a=1\r\nx: 1\r\ncookie: b=2\r\n', 'HTTP/1.1 leaves them as they are')
  for (const line of ['connection: close', 'transfer-encoding: chunked', 'te: gzip', 'keep-alive: 1', 'upgrade: x']) {
    t.equal(refuse([line], 'HTTP/2.0'), 'PORTICO_REQ_MALFORMED', line)
  }
})

t.test('doubtful framing and repeated fields are refused', async (t) => {
  const cases: [string[], string][] = [
    [['Content-Length: 1', 'Content-Length: 1'], 'PORTICO_REQ_BAD_HEADER'],
    [['Host: a', 'Host: a'], 'PORTICO_REQ_BAD_HEADER'],
    [['Content-Length: +1'], 'PORTICO_REQ_BAD_FRAMING'],
    [['Content-Length: 1234567890123456'], 'PORTICO_REQ_BAD_FRAMING'],
    [['Transfer-Encoding: gzip, chunked'], 'PORTICO_REQ_BAD_FRAMING'],
    [['Transfer-Encoding: chunked', 'Content-Length: 1'], 'PORTICO_REQ_BAD_FRAMING'],
  ]
  for (const [lines, code] of cases) t.equal(refuse(lines), code, lines.join(', '))
  t.equal(refuse(['Transfer-Encoding: chunked'], 'HTTP/1.0'), 'PORTICO_REQ_BAD_FRAMING')
})

t.test('what no HTTP/1.1 head can hold is refused, whichever parser let it through', async (t) => {
  for (const value of ['a\r\nX: 1', 'a\nb', 'a\0', '\x7f', '\u0100']) {
    t.equal(refuse([`x: ${value}`], 'HTTP/2.0'), 'PORTICO_REQ_MALFORMED', JSON.stringify(value))
    t.equal(refuse([`x: ${value}`], 'HTTP/1.1'), 'PORTICO_REQ_BAD_HEADER', JSON.stringify(value))
  }
  for (const name of ['a b', '', 'a:b']) {
    t.match(readFields([name, '1'], 'HTTP/2.0', makeSettings()), { code: 'PORTICO_REQ_MALFORMED' }, name)
    t.match(readFields([name, '1'], 'HTTP/1.1', makeSettings()), { code: 'PORTICO_REQ_BAD_HEADER' }, name)
  }
  for (const [name, value] of [
    ['X', '1'],
    ['x', ' 1'],
    ['x', '1\t'],
  ] as const) {
    t.match(
      readFields([name, value], 'HTTP/2.0', makeSettings()),
      { code: 'PORTICO_REQ_MALFORMED' },
      `${name}: ${value}`,
    )
  }
})

t.test('HD-15 number and size', async (t) => {
  const many = Array.from({ length: 101 }, (_, n) => `x-${n}: 1`)
  t.equal(refuse(many), 'PORTICO_REQ_HEADERS_TOO_LARGE')
  t.equal(refuse(many.slice(1)), undefined)
  t.equal(
    refuse([`x: ${'a'.repeat(2000)}`], 'HTTP/1.1', { 'limits.headerBytes': 1024 }),
    'PORTICO_REQ_HEADERS_TOO_LARGE',
  )
})
