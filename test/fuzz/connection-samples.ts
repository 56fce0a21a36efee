/** HTTP/1 connections that clients have every reason to make, each as the bytes that it sends: what is mutated, cut and split. */
import { ORDINARY_REQUESTS } from './ordinary.ts'
import { SMUGGLING } from './smuggling.ts'

const HOST = 'Host: a.test\r\n'
const get = (target: string, fields: string = '') => `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`
const counted = (target: string, body: string, fields: string = '') =>
  `POST ${target} HTTP/1.1\r\n${HOST}${fields}Content-Length: ${body.length}\r\n\r\n${body}`
const chunked = (target: string, body: string, fields: string = '') =>
  `POST ${target} HTTP/1.1\r\n${HOST}${fields}Transfer-Encoding: chunked\r\n\r\n${body}`
const websocket = (target: string, fields: string = '') =>
  get(
    target,
    `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${fields}`,
  )
const old = (target: string, fields: string = '') => `GET ${target} HTTP/1.0\r\n${HOST}${fields}\r\n`

/** A masked text frame and a close frame. */
const FRAMES = '\x81\x85\x01\x02\x03\x04\x69\x67\x6f\x68\x6e\x88\x82\x00\x00\x00\x00\x03\xe8'

/** Answers that are odd in themselves stand behind `/answer/NUMBER` (connection-endpoints.ts); `@` becomes a number. */
export const GATEWAY_SAMPLES: readonly string[] = [
  get('/echo/a'),
  get('/echo/a?n=100', 'Connection: close\r\n'),
  get('/echo/a', 'Connection: keep-alive, X\r\nX: 1\r\n'),
  get('/echo/a', 'Keep-Alive: 1\r\n'),
  `HEAD /echo/head?n=100 HTTP/1.1\r\n${HOST}\r\n`,
  `HEAD /counted HTTP/1.1\r\n${HOST}Connection: keep-alive\r\n\r\n`,
  `DELETE /echo/a HTTP/1.1\r\n${HOST}\r\n`,
  counted('/echo/b', 'hello'),
  counted('/echo/b', ''),
  counted('/echo/b', 'x'.repeat(3000), 'Content-Type: text/plain\r\n'),
  chunked('/echo/c', '5\r\nhello\r\n0\r\n\r\n'),
  chunked(
    '/echo/c',
    '5;a=b;c="d e"\r\nhello\r\n6;f\r\n world\r\n0;g\r\nX-T: 1\r\nX-U: 2\r\n\r\n',
    'Trailer: X-T, X-U\r\n',
  ),
  chunked('/echo/c', '0\r\n\r\n'),
  // Interim answers, and none
  counted('/echo/e', 'hello', 'Expect: 100-continue\r\n'),
  chunked('/echo/e', '5\r\nhello\r\n0\r\n\r\n', 'Expect: 100-continue\r\n'),
  counted('/early', 'hello', 'Expect: 100-continue\r\n'),
  counted('/echo/e', 'hello', 'Expect: 200-ok\r\n'),
  get('/interim'),
  // Answers that come before the body, and what lingers behind them
  counted('/early', 'x'.repeat(200)),
  chunked('/early', '5\r\nhello\r\n0\r\n\r\n'),
  counted('/early-close', 'x'.repeat(200)),
  `${counted('/early', 'hello')}${get('/echo/after')}${websocket('/ws')}`,
  `${counted('/early-close', 'hello')}${get('/echo/after')}${websocket('/ws')}${FRAMES}`,
  `POST /echo/refused HTTP/1.1\r\n${HOST}Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello${get('/echo/after')}${websocket('/ws')}`,
  `POST /echo/refused HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello${get('/echo/after')}${websocket('/ws')}`,
  // Upgrades
  websocket('/ws') + FRAMES,
  `${get('/echo/a')}${websocket('/ws')}${FRAMES}`,
  `${websocket('/echo/no-upgrade')}${get('/echo/after')}`,
  `${websocket('/ws-refused')}${get('/echo/after')}`,
  `${websocket('/ws-other')}${FRAMES}`,
  `${websocket('/ws-silent')}${FRAMES}`,
  websocket('/ws', 'Content-Length: 5\r\n') + FRAMES,
  `${get('/echo/h2c', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n')}${get('/echo/after')}`,
  `${get('/echo/x', 'Connection: Upgrade\r\nUpgrade: foo\r\n')}${get('/echo/after')}`,
  // HTTP/1.0
  old('/echo/old'),
  `${old('/echo/old', 'Connection: keep-alive\r\n')}${old('/counted')}`,
  `POST /echo/old HTTP/1.0\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
  // Targets
  `GET http://a.test/echo/absolute?q HTTP/1.1\r\n${HOST}\r\n`,
  'GET https://b.test/echo/absolute HTTP/1.1\r\nHost: a.test\r\n\r\n',
  `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`,
  `OPTIONS /echo/o HTTP/1.1\r\n${HOST}\r\n`,
  `TRACE /echo/t HTTP/1.1\r\n${HOST}\r\n`,
  'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n',
  `${get('/echo/a')}CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n${FRAMES}`,
  get('/echo/%2e%2e/%2F;a=b//c/../d?e#f'),
  get('/nowhere'),
  // Pipelines
  get('/echo/1') + get('/counted') + get('/chunked') + get('/none'),
  counted('/echo/1', 'hello') + chunked('/echo/2', '5\r\nhello\r\n0\r\n\r\n') + get('/echo/3'),
  `${get('/reset')}${get('/echo/after')}`,
  `${get('/slow')}${get('/echo/2')}${get('/slow')}${get('/echo/4')}`,
  `\r\n\r\n${get('/echo/1')}\r\n${get('/echo/2', 'Connection: close\r\n')}${get('/echo/3')}`,
  Array.from({ length: 30 }, (_, at) => get(`/echo/${at}`)).join(''),
  // Endpoints that misbehave
  get('/reset'),
  get('/cut'),
  counted('/reset', 'hello'),
  `PUT /reset HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`,
  get('/large'),
  get('/silent'),
  get('/answer/@'),
  get('/answer/@') + get('/answer/@') + get('/echo/after'),
  counted('/answer/@', 'hello') + get('/echo/after'),
  `HEAD /answer/@ HTTP/1.1\r\n${HOST}\r\n${get('/echo/after')}`,
  `${get('/redirected', 'Accept: text/html\r\nCookie: a=b; c=d\r\nX-Forwarded-For: 192.0.2.1\r\nX_Forwarded_For: 192.0.2.2\r\nForwarded: for=192.0.2.3\r\nX-Request-Id: abc\r\n')}`,
]

/** What else goes into the random connections. */
export const OTHER_SAMPLES: readonly string[] = [...ORDINARY_REQUESTS, ...SMUGGLING.map(([, bytes]) => bytes)]
