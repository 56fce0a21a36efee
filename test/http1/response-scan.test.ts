import t from 'tap'
import { type ScannedResponse, scanResponse } from '../../lib/http1/response-scan.ts'

const scan = (text: string, maxBytes = 65_536) => scanResponse(Buffer.from(text, 'latin1'), 0, maxBytes)

function read(text: string): ScannedResponse {
  const head = scan(text)
  if (typeof head !== 'object') throw new Error(`${JSON.stringify(text)}: ${head}`)
  return head
}

/** A 200 with these lines. */
const withLines = (...lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`

t.test('a head is read, and nothing before its end', async (t) => {
  const text = 'HTTP/1.1 404 Not Found\r\nDate: now\r\nserver: x\r\nContent-Length: 12\r\nX-A: \xe9\r\n\r\n'
  const head = read(`${text}surplus`)
  t.match(head, {
    status: 404,
    reason: 'Not Found',
    lines: 'Date: now\r\nserver: x\r\nX-A: \xe9\r\n',
    contentLength: 12,
    chunked: false,
    hasDate: true,
    hasServer: true,
    upgrade: undefined,
    end: text.length,
    keepAlive: true,
    idleSeconds: Number.POSITIVE_INFINITY,
  })
  for (let end = 0; end < text.length; end++) t.equal(scan(text.slice(0, end)), undefined, `${end} bytes`)
  t.same(scanResponse(Buffer.from(`before${text}`, 'latin1'), 6, 1000), { ...read(text), end: text.length + 6 })
})

t.test('reasons are kept, and may be missing', async (t) => {
  t.equal(read('HTTP/1.1 200\r\n\r\n').reason, '')
  t.equal(read('HTTP/1.1 200 \r\n\r\n').reason, '')
  t.equal(read('HTTP/1.1 200 a b\tc\r\n\r\n').reason, 'a b\tc')
})

t.test('HD-26 status lines that are not exactly HTTP/1 are refused', async (t) => {
  const bad = [
    'HTTP/2.0 200 OK',
    'HTTP/1.2 200 OK',
    'HTTP/0.9 200 OK',
    'HTTP/11 200 OK',
    'http/1.1 200 OK',
    'ICY 200 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 +20 OK',
    'HTTP/1.1 200OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 000 None',
    'HTTP/1.1 099 None',
    'HTTP/1.1 600 None',
    'HTTP/1.1 999 None',
    'HTTP/1.1 200 O\0K',
    'HTTP/1.1 200 O\rK',
    'HTTP/1.1 200 O\nK',
    '\r\nHTTP/1.1 200 OK',
    ' HTTP/1.1 200 OK',
    'SSH-2.0-OpenSSH_9.6',
  ]
  for (const line of bad) t.type(scan(`${line}\r\n\r\n`), 'string', JSON.stringify(line))
  for (const start of ['S', 'HTTP/2', 'HTTP/1.1 2xx O', 'HTTP/1.1 200 OK\nDate']) {
    t.type(scan(start), 'string', `told before the head is complete: ${start}`)
  }
})

t.test('HD-17 field lines that leave room for two readings are refused', async (t) => {
  const bad = [
    'X-A : b',
    'X A: b',
    ': b',
    'X-A',
    ' X-A: b',
    'X-A: b\r\n folded',
    'X-A: b\0',
    'X-A: b\x01',
    'X-A: b\x7f',
    'X-A: b\rX-B: c',
    'X-A: b\nX-B: c',
    'X-(A): b',
    'X-\xe9: b',
    'X-A\t: b',
  ]
  for (const line of bad) t.type(scan(withLines(line)), 'string', JSON.stringify(line))
  t.type(scan('HTTP/1.1 200 OK\r\nX-A: b\r\n\rX'), 'string')
  t.type(scan('HTTP/1.1 200 OK\r\nX-A: b\r\n\n'), 'string')
})

t.test('framing fields are read exactly or refused', async (t) => {
  t.equal(read(withLines('content-length:0')).contentLength, 0)
  t.equal(read(withLines('Content-Length:   007  ')).contentLength, 7)
  t.equal(read(withLines('Content-Length: 999999999999999')).contentLength, 999_999_999_999_999)
  t.match(read(withLines('TRANSFER-encoding: Chunked')), { chunked: true, contentLength: undefined })
  const bad = [
    ['Content-Length: 1', 'Content-Length: 1'],
    ['Content-Length: 1', 'Content-Length: 2'],
    ['Content-Length: 1, 1'],
    ['Content-Length: 1,'],
    ['Content-Length: -1'],
    ['Content-Length: +1'],
    ['Content-Length: 0x1'],
    ['Content-Length: 1 2'],
    ['Content-Length: 1\t'],
    ['Content-Length:'],
    ['Content-Length: 1.0'],
    ['Content-Length: 1000000000000000'],
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 0'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked, chunked'],
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: gzip'],
    ['Transfer-Encoding: identity'],
    ['Transfer-Encoding: chunked\t'],
    ['Transfer-Encoding: xchunked'],
    ['Transfer-Encoding: chunked;q=1'],
    ['Transfer-Encoding:'],
  ]
  for (const lines of bad) t.type(scan(withLines(...lines)), 'string', lines.join(' + '))
  t.type(scan('HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'), 'string', 'chunked in HTTP/1.0')
})

t.test('framing where no body can be', async (t) => {
  t.type(scan('HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n'), 'string')
  t.type(scan('HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n'), 'string')
  t.match(read('HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n'), { contentLength: undefined })
  t.match(read('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n'), { contentLength: undefined, keepAlive: true })
  t.match(read('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n'), { contentLength: undefined, keepAlive: false })
  t.match(read('HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n'), { chunked: false, keepAlive: false })
  t.match(read('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'), { contentLength: 5, keepAlive: true })
})

t.test('HD-10 fields of the hop do not travel on, nor those that Connection lists', async (t) => {
  const head = read(
    withLines(
      'X-A: 1',
      'Connection: keep-alive, X-B ,x-c',
      'Keep-Alive: timeout=5',
      'X-B: 2',
      'Proxy-Connection: keep-alive',
      'Proxy-Authenticate: Basic',
      'Proxy-Authorization: x',
      'TE: trailers',
      'Trailer: X-T',
      'Upgrade: h2c',
      'HTTP2-Settings: x',
      'X-Request-Id: x',
      'X-C: 3',
      'X-D: 4',
      'X-B: 5',
    ),
  )
  t.equal(head.lines, 'X-A: 1\r\nX-D: 4\r\n')
  t.equal(head.upgrade, 'h2c')
  t.equal(head.idleSeconds, 5)
  const kept = read(
    withLines('Connection: date, set-cookie, content-type, server', 'Date: d', 'Server: s', 'Set-Cookie: a'),
  )
  t.match(kept, { lines: 'Date: d\r\nSet-Cookie: a\r\n', hasDate: true, hasServer: false })
})

t.test('HD-14 other lines are kept as they are, in their order', async (t) => {
  const lines = ['Set-Cookie: a', 'x-a: 1', 'Set-Cookie: b', '__proto__: x', 'X-Empty: ', "!#$%&'*+-.^_`|~09aZ: x"]
  t.equal(read(withLines(...lines)).lines, lines.map((line) => `${line}\r\n`).join(''))
})

t.test('space around values is made one space in front', async (t) => {
  const { lines } = read(withLines('A:b', 'B:  c', 'C: d ', 'D:\te\t', 'E:', 'F: g  h', 'G: \xa0x\xa0'))
  t.equal(lines, 'A: b\r\nB: c\r\nC: d\r\nD: e\r\nE: \r\nF: g  h\r\nG: \xa0x\xa0\r\n')
})

t.test('whether the connection stays', async (t) => {
  const stays = (version: string, ...lines: string[]) =>
    read(`HTTP/${version} 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`).keepAlive
  t.equal(stays('1.1'), true)
  t.equal(stays('1.1', 'Connection: close'), false)
  t.equal(stays('1.1', 'connection: Keep-Alive, CLOSE'), false)
  t.equal(stays('1.1', 'Connection: keep-alive', 'Connection: close'), false)
  t.equal(stays('1.1', 'Connection: x'), true)
  t.equal(stays('1.0'), false)
  t.equal(stays('1.0', 'Connection: keep-alive'), true)
  t.equal(stays('1.0', 'Connection: keep-alive, close'), false)
  t.equal(read(withLines('Keep-Alive: max=100, timeout=20')).idleSeconds, 20)
  t.equal(read(withLines('Keep-Alive: max=100')).idleSeconds, Number.POSITIVE_INFINITY)
})

t.test('HD-23 count and size are bounded', async (t) => {
  const lines = (count: number) => withLines(...Array.from({ length: count }, (_, n) => `X-${n}: v`))
  t.type(scan(lines(1000)), 'object')
  t.type(scan(lines(1001)), 'string')
  const text = withLines(`X-A: ${'x'.repeat(500)}`)
  t.type(scan(text, text.length), 'object')
  t.type(scan(text, text.length - 1), 'string')
  t.equal(scan(text.slice(0, 300), 300), undefined)
  t.type(scan(text.slice(0, 301), 300), 'string')
  t.type(scan(`${text}body`, text.length), 'object')
})
