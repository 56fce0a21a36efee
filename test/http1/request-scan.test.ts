/** The scanner by itself: what it takes and how it reads it, what it declines, and that it reads as the other doors do. */
import t from 'tap'
import { GatewayError } from '../../lib/base/errors.ts'
import { readFields } from '../../lib/downstream/fields.ts'
import { DECLINED, PARTIAL, RequestHead, type ScanLimits, scanRequest } from '../../lib/http1/request-scan.ts'
import { makeSettings } from '../helpers/settings.ts'

const LIMITS: ScanLimits = { headerBytes: 32_768, headerCount: 100 }

function scan(text: string, limits: ScanLimits = LIMITS): RequestHead | typeof PARTIAL | typeof DECLINED {
  return scanRequest(Buffer.from(text, 'latin1'), 0, limits)
}

/** A GET of `/` with these field lines behind Host. */
function head(lines: string, method: string = 'GET', target: string = '/'): string {
  return `${method} ${target} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`
}

/** Names and values as node:http would give them. */
function rawHeaders(text: string): string[] {
  return text
    .split('\r\n')
    .slice(1, -2)
    .flatMap((line) => [
      line.slice(0, line.indexOf(':')),
      line.slice(line.indexOf(':') + 1).replace(/^[\t ]+|[\t ]+$/g, ''),
    ])
}

const ORDINARY = [
  'User-Agent: curl/8.0\r\nAccept: */*\r\n',
  'Connection: keep-alive\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, br\r\nCookie: a=b; c=d\r\n',
  'connection: CLOSE\r\nCOOKIE: a\r\ncookie: b\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 007\r\nContent-Type: text/plain\r\n',
  'Transfer-Encoding: Chunked\r\nContent-Type: text/plain\r\n',
  'X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n',
  'X-Forwarded-Prefix: /a\r\nTrue-Client-IP: 1.1.1.1\r\nX-Original-URL: /b\r\nAfter: 1\r\n',
  'X-Request-Id: abc\r\nAccept: a\r\nAccept: b\r\nUser-Agent: first\r\nUser-Agent: second\r\n',
  'Authorization: Basic x\r\nIf-Match: "a"\r\nOrigin: null\r\nSec-WebSocket-Version: 13\r\n',
  'X-Latin: caf\xe9\r\nX-Tab: a\tb\r\nX-Empty:\r\nX-Empty-Too: \r\nX-Wide:   a  \t\r\nX-Near:a\r\nX-Trail: a \r\n',
  'A: 1\r\nX-Near:a\r\nB: 2\r\nConnection: close\r\nX-Near:b\r\nContent-Length: 1\r\nC: 3\r\n',
  "!#$%&'*+-.^`|~09azAZ: token\r\n",
]

t.test('every door sums the fields up in the same way', async (t) => {
  const settings = makeSettings()
  for (const lines of ORDINARY) {
    for (const text of [
      head(lines),
      `GET / HTTP/1.1\r\n${lines}host:  a.test:81 \r\n\r\n`,
      `GET / HTTP/1.1\r\nFirst: 1\r\nHOST: [::1]:81\r\n${lines}\r\n`,
    ]) {
      const scanned = scan(text)
      if (!(scanned instanceof RequestHead)) {
        t.fail(`not taken: ${JSON.stringify(text)}`)
        continue
      }
      const read = readFields(rawHeaders(text), 'HTTP/1.1', settings)
      if (read instanceof GatewayError) throw read
      t.same(scanned.fields, read, JSON.stringify(text))
      t.equal(scanned.end, text.length)
    }
  }
})

t.test('method, target, and whether the connection goes on', async (t) => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const scanned = scan(head('', method, '/a%2Fb//..?x=%zz&"<>\\^`{|}[]'))
    t.match(scanned, { method, target: '/a%2Fb//..?x=%zz&"<>\\^`{|}[]', keepAlive: true })
  }
  t.match(scan(head('Connection: close\r\n')), { keepAlive: false })
  t.match(scan(head('Connection: Keep-Alive\r\n')), { keepAlive: true })
})

t.test('a head that begins anywhere in the bytes, with more behind it', async (t) => {
  const first = head('X-Near:a\r\nAccept: b\r\n', 'POST', '/first')
  const bytes = Buffer.from(`${first}${head('Content-Length: 3\r\n', 'PUT', '/second')}abc`, 'latin1')
  t.match(scanRequest(bytes, 0, LIMITS), { target: '/first', end: first.length })
  t.match(scanRequest(bytes, first.length, LIMITS), {
    target: '/second',
    end: bytes.length - 3,
    fields: { contentLength: 3, lines: 'Host: a\r\n' },
  })
})

t.test('every beginning of a head is partial', async (t) => {
  for (const lines of ORDINARY) {
    const text = head(lines, 'OPTIONS')
    const beginnings = Array.from(text, (_, end) => text.slice(0, end))
    t.same(
      beginnings.filter((beginning) => scan(beginning) !== PARTIAL),
      [],
    )
  }
})

t.test('a head that is not plain is declined at its first unusual byte', async (t) => {
  const texts: Record<string, string> = {
    'HTTP/1.0': 'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
    'HTTP/1.2': 'GET / HTTP/1.2',
    'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    TLS: '\x16\x03\x01',
    'an empty line before it': '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'an unknown method': 'PROPFIND /',
    'a method in lower case': 'get / ',
    'a method that only begins like one': 'GETS / ',
    CONNECT: 'CONNECT a:1 HTTP/1.1\r\n',
    'absolute-form': 'GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n',
    'asterisk-form': 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    'a fragment': 'GET /# ',
    'two spaces': 'GET  / HTTP/1.1\r\n',
    'a tab': 'GET\t/ HTTP/1.1\r\n',
    'a space in the target': 'GET /a b HTTP/1.1\r\n',
    'a byte above ASCII in the target': 'GET /\xe9 HTTP/1.1\r\n',
    'a control byte in the target': 'GET /\x01 HTTP/1.1\r\n',
    'bare LF behind the request line': 'GET / HTTP/1.1\nHost: a\n\n',
    'bare CR behind the request line': 'GET / HTTP/1.1\rHost',
    'bare LF in the fields': 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n',
    'bare CR in a value': head('X: a\rb\r\n'),
    'NUL in a value': head('X: a\0b\r\n'),
    'DEL in a value': head('X: a\x7fb\r\n'),
    'obs-fold': head('X: a\r\n b\r\n'),
    'a space before the colon': head('X : a\r\n'),
    'an empty name': head(': a\r\n'),
    'no colon': head('X\r\n'),
    'an underscore': head('X_Y: a\r\n'),
    'a byte above ASCII in a name': head('X\xe9: a\r\n'),
    'no Host': 'GET / HTTP/1.1\r\nX: a\r\n\r\n',
    'two Hosts': head('Host: b\r\n'),
    'an empty Host': 'GET / HTTP/1.1\r\nHost: \r\n\r\n',
    'a space in Host': 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
    'a signed length': head('Content-Length: +1\r\n'),
    'an empty length': head('Content-Length: \r\n'),
    'a list of lengths': head('Content-Length: 1, 1\r\n'),
    'a hexadecimal length': head('Content-Length: 0x1\r\n'),
    'a length of 16 digits': head('Content-Length: 1000000000000000\r\n'),
    'two equal lengths': head('Content-Length: 1\r\nContent-Length: 1\r\n'),
    'a length with spaces around it': head('Content-Length:  1 \r\n'),
    'both framings': head('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'),
    'both framings, the other way round': head('Transfer-Encoding: chunked\r\nContent-Length: 1\r\n'),
    'two codings': head('Transfer-Encoding: gzip, chunked\r\n'),
    'chunked twice': head('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'),
    identity: head('Transfer-Encoding: identity\r\n'),
    'nearly chunked': head('Transfer-Encoding: xchunked\r\n'),
    'chunked with a tab': head('Transfer-Encoding: chunked\t\r\n'),
    'more than one option in Connection': head('Connection: keep-alive, close\r\n'),
    'Connection twice': head('Connection: close\r\nConnection: close\r\n'),
    'a listed field': head('Connection: x\r\n'),
    'a field called as an option': head('Connection: close\r\nClose: 1\r\n'),
    Upgrade: head('Upgrade: websocket\r\n'),
    Expect: head('Expect: 100-continue\r\n'),
    TE: head('TE: trailers\r\n'),
    Trailer: head('Trailer: X\r\n'),
    'Keep-Alive': head('Keep-Alive: timeout=5\r\n'),
    'Proxy-Connection': head('Proxy-Connection: close\r\n'),
    'Proxy-Anything': head('PROXY-Anything: x\r\n'),
    'HTTP2-Settings': head('HTTP2-Settings: x\r\n'),
    'Authorization twice': head('Authorization: a\r\nauthorization: a\r\n'),
    'Content-Type twice': head('Content-Type: a\r\nContent-Type: b\r\n'),
    'X-Request-Id twice': head('X-Request-Id: a\r\nX-Request-Id: b\r\n'),
    'X-Forwarded-For twice': head('X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n'),
    'Forwarded twice': head('Forwarded: a\r\nForwarded: b\r\n'),
  }
  for (const [name, text] of Object.entries(texts)) t.equal(scan(text), DECLINED, name)
})

t.test('no byte is accepted in a place where it is forbidden', async (t) => {
  const places: [string, (byte: string) => string, (code: number) => boolean][] = [
    ['target', (byte) => head('', 'GET', `/a${byte}b`), (code) => code > 0x20 && code < 0x7f && code !== 0x23],
    [
      'name',
      (byte) => head(`a${byte}b: c\r\n`),
      (code) => /[\w!#$%&'*+.^`|~:-]/.test(String.fromCharCode(code)) && code !== 0x5f,
    ],
    ['value', (byte) => head(`a: b${byte}c\r\n`), (code) => code === 9 || (code >= 0x20 && code !== 0x7f)],
    ['host', (byte) => `GET / HTTP/1.1\r\nHost: a${byte}b\r\n\r\n`, (code) => code > 0x20 && code < 0x7f],
  ]
  for (const [place, compose, isAllowed] of places) {
    const codes = Array.from({ length: 256 }, (_, code) => code)
    const taken = codes.filter((code) => scan(compose(String.fromCharCode(code))) instanceof RequestHead)
    t.same(taken, codes.filter(isAllowed), place)
  }
})

t.test('limits: as large and as many as allowed are taken, more is declined, also while it is coming', async (t) => {
  const text = head('X: y\r\n')
  t.type(scan(text, { headerBytes: text.length, headerCount: 2 }), RequestHead)
  t.equal(scan(text, { headerBytes: text.length - 1, headerCount: 2 }), DECLINED)
  t.equal(scan(text, { headerBytes: text.length, headerCount: 1 }), DECLINED)
  t.equal(scan(`GET /${'a'.repeat(2000)}`, { headerBytes: 1024, headerCount: 100 }), DECLINED)
  t.equal(scan(head('X: y').slice(0, 40), { headerBytes: 1024, headerCount: 100 }), PARTIAL)
  const many = head('X:y\r\n'.repeat(999))
  const scanned = scan(many, { headerBytes: 100_000, headerCount: 1000 })
  t.match(scanned, { fields: { lines: `Host: a\r\n${'X: y\r\n'.repeat(999)}` } })
})
