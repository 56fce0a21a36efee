/** What an upstream can answer, by the path that asks for it. */
import type { Answer } from './recorder.ts'

const large = 'abcdefghijklmnop'.repeat(8192)
const chunk = (content: string) => `${content.length.toString(16)}\r\n${content}\r\n`
const one = (text: string, more: Omit<Answer, 'pieces'> = {}): Answer => ({ pieces: [text], ...more })
const ok = (fields: string, body: string = 'hello') =>
  one(`HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`)

export const UPSTREAM_ANSWERS: Readonly<Record<string, Answer>> = {
  // Whole
  '/counted': ok('Content-Type: text/plain\r\n'),
  '/counted-slowly': { pieces: ['HTTP/1.1 200 OK\r\nContent-Le', 'ngth: 5\r\n', '\r\n', 'he', 'llo'] },
  '/counted-in-bytes': { pieces: [...'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'] },
  '/empty': ok('', ''),
  '/large': ok('', large),
  '/large-slowly': {
    pieces: [`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n`, large.slice(0, 70_000), large.slice(70_000)],
  },
  '/chunked': one(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('hello')}${chunk(' world')}0\r\n\r\n`),
  '/chunked-slowly': {
    pieces: [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      chunk('hello'),
      '6',
      '\r\n wor',
      'ld\r\n0\r',
      '\n\r\n',
    ],
  },
  '/chunked-empty': one('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
  '/chunked-large': {
    pieces: ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', chunk(large), chunk(large), '0\r\n\r\n'],
  },
  '/chunked-extensions': one('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n0;c\r\n\r\n'),
  '/trailers': one(
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n${chunk('hello')}0\r\nX-T: 1\r\nX-U:  caf\xe9 \r\n\r\n`,
  ),
  '/trailers-forbidden': one(
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('hello')}0\r\nSet-Cookie: a=b\r\nX-T: 1\r\n\r\n`,
  ),
  '/until-close': one('HTTP/1.1 200 OK\r\n\r\nhello', { ending: 'fin' }),
  '/until-close-slowly': { pieces: ['HTTP/1.1 200 OK\r\n\r\n', 'he', 'llo'], ending: 'fin' },
  '/until-close-empty': one('HTTP/1.1 200 OK\r\n\r\n', { ending: 'fin' }),
  '/http10': one('HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello', { ending: 'fin' }),
  '/http10-keep-alive': one('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello'),
  '/http10-until-close': one('HTTP/1.0 200 OK\r\n\r\nhello', { ending: 'fin' }),
  '/close': one('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello', { ending: 'fin' }),
  // Statuses
  '/201': one('HTTP/1.1 201 Created\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n'),
  '/204': one('HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n'),
  '/204-length': one('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n'),
  '/204-body': one('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello', { ending: 'fin' }),
  '/205': one('HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n'),
  '/206': one('HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/10\r\nContent-Length: 5\r\n\r\nhello'),
  '/302': one('HTTP/1.1 302 Found\r\nLocation: http://10.0.0.5:8080/x\r\nContent-Length: 0\r\n\r\n'),
  '/304': one('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'),
  '/304-length': one('HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n'),
  '/404': one('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone'),
  '/500': one('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops'),
  '/503-retry': one('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n'),
  '/299': one('HTTP/1.1 299 Odd Enough\r\nContent-Length: 0\r\n\r\n'),
  '/no-reason': one('HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello'),
  '/empty-reason': one('HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello'),
  '/latin1-reason': one('HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 5\r\n\r\nhello'),
  '/blank-reason': one('HTTP/1.1 200  two  blanks \r\nContent-Length: 5\r\n\r\nhello'),
  // Interim answers
  '/100': one('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'),
  '/102': one('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'),
  '/103': {
    pieces: [
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\nX-A: b\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    ],
  },
  '/103-twice': {
    pieces: [
      'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n',
      'HTTP/1.1 103 Early Hints\r\nLink: </b>; rel=preload\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    ],
  },
  '/103-csp': one(
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nContent-Security-Policy: style-src self\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  ),
  '/103-without-link': one('HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
  '/103-odd-link': one(
    'HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  ),
  '/1xx-flood': one(`${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(40)}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`),
  '/101': one('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello'),
  // Fields
  '/dated': ok('Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: mine\r\n'),
  '/cookies': ok('Set-Cookie: a=b\r\nSet-Cookie: c=d; Path=/\r\nset-cookie: e=f\r\n'),
  '/repeated': ok('X-A: 1\r\nVary: a\r\nX-A: 2\r\nVary: b\r\n'),
  '/hop-by-hop': ok(
    'Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=7\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: close\r\nTrailer: X-T\r\n',
  ),
  '/lists-end-to-end': ok(
    'Connection: content-type, set-cookie, x-a\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\nX-A: b\r\n',
  ),
  '/request-id': ok('X-Request-Id: theirs\r\n'),
  '/latin1': ok('X-Latin: caf\xe9\r\nX-Utf8: caf\xc3\xa9\r\n'),
  '/odd-blanks': ok('X-A:b\r\nX-B:   c\t \r\nX-C:\r\nX-D: \r\n'),
  '/odd-names': ok("!#$%&'*+-.^_`|~: a\r\n__proto__: b\r\nconstructor: c\r\n"),
  '/odd-case': ok('content-TYPE: text/plain\r\nSERVER: mine\r\n'),
  '/many-fields': ok(Array.from({ length: 900 }, (_, at) => `X-${at}: ${at}\r\n`).join('')),
  '/long-field': ok(`X-Long: ${'x'.repeat(30_000)}\r\n`),
  '/sse': {
    pieces: [
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
      chunk('data: 1\n\n'),
      chunk('data: 2\n\n'),
      '0\r\n\r\n',
    ],
  },
  // Before the request's body
  '/early': one('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nnope', { early: true }),
  '/early-chunked': one(
    `HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('nope')}0\r\n\r\n`,
    { early: true },
  ),
  // Wrong
  '/nothing': { pieces: [], ending: 'fin' },
  '/reset': { pieces: [], ending: 'reset' },
  '/half-a-head': one('HTTP/1.1 200 OK\r\nContent-Le', { ending: 'fin' }),
  '/half-a-body': one('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', { ending: 'fin' }),
  '/half-a-large-body': one(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length + 1}\r\n\r\n${large}`, {
    ending: 'fin',
  }),
  '/half-a-body-reset': { pieces: ['HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', ''], ending: 'reset' },
  '/half-a-chunk': one('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel', { ending: 'fin' }),
  '/no-last-chunk': one(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('hello')}`, { ending: 'fin' }),
  '/bad-chunk': one('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n'),
  '/bad-chunk-later': { pieces: [`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('hello')}`, 'xyz\r\n'] },
  '/surplus': one('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'),
  '/two-lengths': one('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello'),
  '/length-list': one('HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello'),
  '/length-plus': one('HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello'),
  '/length-and-chunked': one(
    `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('hello')}0\r\n\r\n`,
  ),
  '/gzip-chunked': one(`HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n${chunk('hello')}0\r\n\r\n`),
  '/identity': one('HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello', { ending: 'fin' }),
  '/chunked-in-http10': one(`HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('hello')}0\r\n\r\n`, {
    ending: 'fin',
  }),
  '/bare-lf': one('HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'),
  '/fold': one('HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello'),
  '/nul': one('HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 5\r\n\r\nhello'),
  '/bare-cr': one('HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 5\r\n\r\nhello'),
  '/name-with-blank': one('HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 5\r\n\r\nhello'),
  '/blank-before-colon': one('HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 5\r\n\r\nhello'),
  '/status-99': one('HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello'),
  '/status-600': one('HTTP/1.1 600 Odd\r\nContent-Length: 5\r\n\r\nhello'),
  '/status-2': one('HTTP/1.1 2 Odd\r\nContent-Length: 5\r\n\r\nhello'),
  '/version-2': one('HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello'),
  '/garbage': one('220 mail.test ESMTP\r\n'),
  '/too-many-fields': one(`HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(1500)}Content-Length: 0\r\n\r\n`),
  '/too-long': one(`HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(70_000)}\r\nContent-Length: 0\r\n\r\n`),
}
