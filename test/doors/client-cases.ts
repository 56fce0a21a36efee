/** What clients send: each case is one connection, from its first byte to its end. */
import { ORDINARY_REQUESTS } from '../fuzz/ordinary.ts'
import { SMUGGLING } from '../fuzz/smuggling.ts'
import { UPSTREAM_ANSWERS } from './upstream-answers.ts'

export type ClientCase = Readonly<{
  name: string
  /** Latin1; the pieces are sent one by one. A number waits for so many final answers in all. */
  pieces: readonly (string | number)[]
  /**
   * What follows: `fin` ends the sending side; a number is of final answers to wait for before one more request, which
   * asks to close the connection; `together` sends that request at once.
   */
  ending: 'fin' | 'together' | number
  /** Answers have no body. */
  headOnly?: boolean
}>

const HOST = 'Host: gw.test\r\n'
const request = (line: string, fields: string = '', body: string = '') =>
  `${line} HTTP/1.1\r\n${HOST}${fields}\r\n${body}`
const counted = (body: string) => `Content-Length: ${body.length}\r\n`
const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const chunk = (content: string) => `${content.length.toString(16)}\r\n${content}\r\n`
const large = '0123456789abcdef'.repeat(10_000)

/** Every answer to every kind of request. */
const ANSWERED: readonly ClientCase[] = Object.keys(UPSTREAM_ANSWERS).flatMap((path): ClientCase[] => [
  { name: `GET ${path}`, pieces: [request(`GET ${path}`)], ending: 1 },
  { name: `HEAD ${path}`, pieces: [request(`HEAD ${path}`)], ending: 'fin', headOnly: true },
  { name: `GET ${path} by HTTP/1.0`, pieces: [`GET ${path} HTTP/1.0\r\n${HOST}\r\n`], ending: 1 },
  { name: `GET ${path} and close`, pieces: [request(`GET ${path}`, 'Connection: close\r\n')], ending: 1 },
  { name: `GET ${path} with TE: trailers`, pieces: [request(`GET ${path}`, 'TE: trailers\r\n')], ending: 1 },
  { name: `POST ${path} counted`, pieces: [request(`POST ${path}`, counted('abc'), 'abc')], ending: 1 },
  { name: `POST ${path} chunked`, pieces: [request(`POST ${path}`, CHUNKED, `${chunk('abc')}0\r\n\r\n`)], ending: 1 },
  {
    name: `GET ${path} in a pipeline`,
    pieces: [request('GET /counted') + request(`GET ${path}`) + request('GET /chunked')],
    ending: 'together',
  },
])

/** A request, and the same with its body on its way. */
const BODIES: readonly ClientCase[] = [
  ['an empty counted body', counted(''), ['']],
  ['a counted body', counted('hello'), ['hello']],
  ['a counted body, slowly', counted('hello'), ['', 'h', 'el', 'lo']],
  ['a large counted body', counted(large), [large]],
  ['a large counted body, slowly', counted(large), ['', large.slice(0, 50_000), large.slice(50_000)]],
  ['chunks', CHUNKED, [`${chunk('hello')}${chunk(' world')}0\r\n\r\n`]],
  ['chunks, slowly', CHUNKED, ['', '5', '\r', '\nhel', 'lo\r\n', '0\r\n', '\r', '\n']],
  ['chunks of each byte', CHUNKED, [`${[...'hello world'].map(chunk).join('')}0\r\n\r\n`]],
  ['a large chunk', CHUNKED, [`${chunk(large)}0\r\n\r\n`]],
  ['no chunk', CHUNKED, ['0\r\n\r\n']],
  ['chunks with extensions', CHUNKED, ['5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n']],
  ['chunks with trailers', CHUNKED, [`${chunk('hello')}0\r\nX-T: 1\r\nX-U:  2 \r\n\r\n`]],
  [
    'chunks with forbidden trailers',
    CHUNKED,
    [`${chunk('hello')}0\r\nHost: evil.test\r\nX-Forwarded-For: 1.1.1.1\r\nX-T: 1\r\n\r\n`],
  ],
  ['a body of CRLF', counted('\r\n\r\n'), ['\r\n\r\n']],
  ['a body of all bytes', counted('\0\x7f\x80\xff\r\n'), ['\0\x7f\x80\xff\r\n']],
].flatMap(([what, fields, pieces]) =>
  ['POST', 'PUT', 'GET', 'DELETE'].map(
    (method): ClientCase => ({
      name: `${method} with ${what}`,
      pieces: [request(`${method} /counted`, fields as string) + pieces![0]!, ...(pieces as string[]).slice(1)],
      ending: 1,
    }),
  ),
)

/** Bodies that end too soon or are none, against answers that come at different times. */
const BROKEN: readonly ClientCase[] = ['/counted', '/early', '/large'].flatMap((path): ClientCase[] => [
  {
    name: `half a counted body for ${path}`,
    pieces: [request(`POST ${path}`, 'Content-Length: 10\r\n', 'hello')],
    ending: 'fin',
  },
  { name: `half a chunk for ${path}`, pieces: [request(`POST ${path}`, CHUNKED, '5\r\nhel')], ending: 'fin' },
  { name: `no last chunk for ${path}`, pieces: [request(`POST ${path}`, CHUNKED, chunk('hello'))], ending: 'fin' },
  { name: `a bad chunk for ${path}`, pieces: [request(`POST ${path}`, CHUNKED, 'xyz\r\n')], ending: 1 },
  {
    name: `a bad chunk behind a good one for ${path}`,
    pieces: [request(`POST ${path}`, CHUNKED, chunk('hello')), 'xyz\r\n'],
    ending: 1,
  },
  {
    name: `a bad trailer for ${path}`,
    pieces: [request(`POST ${path}`, CHUNKED, `${chunk('hello')}0\r\nX T: 1\r\n\r\n`)],
    ending: 1,
  },
  {
    name: `too many extensions for ${path}`,
    pieces: [request(`POST ${path}`, CHUNKED, `5;${'e'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`)],
    ending: 1,
  },
  {
    name: `too many extensions in many chunks for ${path}`,
    pieces: [request(`POST ${path}`, CHUNKED, `${`1;${'e'.repeat(6000)}\r\na\r\n`.repeat(3)}0\r\n\r\n`)],
    ending: 1,
  },
  {
    name: `too long trailers for ${path}`,
    pieces: [request(`POST ${path}`, CHUNKED, `0\r\n${`X-T: ${'t'.repeat(1000)}\r\n`.repeat(20)}\r\n`)],
    ending: 1,
  },
  {
    name: `too many trailers for ${path}`,
    pieces: [request(`POST ${path}`, CHUNKED, `0\r\n${'X-T: t\r\n'.repeat(150)}\r\n`)],
    ending: 1,
  },
  {
    name: `trailers with underscores for ${path}`,
    pieces: [request(`POST ${path}`, CHUNKED, '0\r\nX_Forwarded_For: 1.1.1.1\r\nX_T: 1\r\nX-T: 2\r\n\r\n')],
    ending: 1,
  },
])

/** Requests that are answered before their body has come: what follows means nothing, whatever it is. */
const EARLY: readonly ClientCase[] = [
  ['an early answer', 'POST /early'],
  ['an early answer in chunks', 'POST /early-chunked'],
  ['a bad path', 'POST /a%zz'],
  ['a fragment', 'POST /a#b'],
  ['TRACE', 'TRACE /counted'],
  ['OPTIONS *', 'OPTIONS *'],
  ['an unavailable service', 'POST /unavailable/a'],
].flatMap(([what, line]): ClientCase[] => {
  const behind = (name: string, fields: string, before: string, pieces: readonly string[]): ClientCase => ({
    name: `${name} behind ${what}`,
    pieces: [request(line!, fields, before), 1, ...pieces],
    ending: 1,
  })
  return [
    behind('the body', counted('abcdef'), '', ['abc', 'def']),
    behind('the rest of the body', counted('abcdef'), 'abc', ['def']),
    behind('the body and a request', counted('abcdef'), 'abc', [
      `def${request('GET /counted')}`,
      request('GET /large'),
    ]),
    behind('a request in place of the body', counted('abcdef'), '', [request('GET /counted')]),
    behind('garbage', counted('abcdef'), 'abcdef', ['\0\x01\x02\r\n\r\n', 'GET  /a HTTP/1.1\r\n\r\n']),
    behind('chunks', CHUNKED, '3\r\nabc\r\n', ['3\r\ndef\r\n', `0\r\n\r\n${request('GET /counted')}`]),
    behind('bad chunks', CHUNKED, '', ['xyz\r\n', request('GET /counted')]),
    behind('too many extensions', CHUNKED, '', [chunk('a').replace('1', `1;${'e'.repeat(17_000)}`), '0\r\n\r\n']),
    behind('too many trailers', CHUNKED, '0\r\n', ['X-T: t\r\n'.repeat(150), `\r\n${request('GET /counted')}`]),
  ]
})

const FIELDS: readonly (readonly [name: string, fields: string])[] = [
  ['an empty value', 'X-A:\r\n'],
  ['blanks about a value', 'X-A: \t b \t\r\n'],
  ['no blank before a value', 'X-A:b\r\n'],
  ['latin1', 'X-A: caf\xe9 \xff\r\n'],
  ['the same field three times', 'X-A: 1\r\nx-a: 2\r\nX-A: 3\r\n'],
  ['Accept twice', 'Accept: text/html\r\nAccept: text/plain\r\n'],
  ['two cookies', 'Cookie: a=b\r\nCookie: c=d\r\n'],
  ['User-Agent twice', 'User-Agent: one\r\nUser-Agent: two\r\n'],
  ['Authorization twice', 'Authorization: a\r\nAuthorization: b\r\n'],
  ['Content-Type twice', 'Content-Type: a\r\nContent-Type: b\r\n'],
  ['Origin twice', 'Origin: a\r\nOrigin: b\r\n'],
  ['odd names', "!#$%&'*+-.^`|~: 1\r\n__proto__: 2\r\nconstructor: 3\r\n"],
  ['an underscore', 'X_A: 1\r\nContent_Length: 9\r\n'],
  ['X-Forwarded-For', 'X-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.2\r\n'],
  ['X-Forwarded-For twice', 'X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n'],
  [
    'all claims',
    'X-Forwarded-Proto: https\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Port: 9\r\nX-Forwarded-Prefix: /a\r\nForwarded: for=192.0.2.1\r\nTrue-Client-IP: 192.0.2.1\r\nX-Original-URL: /b\r\n',
  ],
  ['a request id', 'X-Request-Id: mine-1\r\n'],
  ['a long request id', `X-Request-Id: ${'i'.repeat(500)}\r\n`],
  ['a request id twice', 'X-Request-Id: a\r\nX-Request-Id: b\r\n'],
  [
    'hop-by-hop fields',
    'Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: gzip\r\n',
  ],
  [
    'Connection lists what stays',
    'Connection: authorization, cookie, x-request-id\r\nAuthorization: a\r\nCookie: b\r\nX-Request-Id: c\r\n',
  ],
  ['Connection: close', 'Connection: close\r\n'],
  ['Connection: Close with blanks', 'Connection:  Close \r\n'],
  ['Connection: keep-alive', 'Connection: keep-alive\r\n'],
  ['Connection of nothing', 'Connection:\r\n'],
  ['Connection twice', 'Connection: keep-alive\r\nConnection: close\r\n'],
  ['Via', 'Via: 1.1 other\r\n'],
  ['Max-Forwards', 'Max-Forwards: 0\r\n'],
  ['100 fields', Array.from({ length: 99 }, (_, at) => `X-${at}: ${at}\r\n`).join('')],
  ['101 fields', Array.from({ length: 100 }, (_, at) => `X-${at}: ${at}\r\n`).join('')],
  ['a long value', `X-A: ${'x'.repeat(20_000)}\r\n`],
  ['a head that is too large', `X-A: ${'x'.repeat(40_000)}\r\n`],
  ['Range', 'Range: bytes=0-1\r\nIf-Range: "a"\r\n'],
  ['If-None-Match twice', 'If-None-Match: "a"\r\nIf-None-Match: "b"\r\n'],
  ['Accept: text/html', 'Accept: text/html\r\n'],
  ['Upgrade-Insecure-Requests', 'Upgrade-Insecure-Requests: 1\r\n'],
  [
    'Upgrade: websocket',
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n',
  ],
  ['Upgrade: h2c', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'],
  ['Upgrade without Connection', 'Upgrade: websocket\r\n'],
  ['Expect: 100-continue', 'Expect: 100-continue\r\n'],
  ['Expect of something else', 'Expect: more\r\n'],
]

const PECULIAR: readonly ClientCase[] = FIELDS.flatMap(([name, fields]): ClientCase[] => [
  { name: `a GET with ${name}`, pieces: [request('GET /counted', fields)], ending: 1 },
  {
    name: `a GET to no route with ${name}`,
    pieces: [request('GET /none', fields).replace('gw.test', 'none.test')],
    ending: 1,
  },
  { name: `a POST with ${name}`, pieces: [request('POST /counted', fields + counted('abc'), 'abc')], ending: 1 },
])

const TARGETS: readonly ClientCase[] = [
  '/',
  '/a/../b',
  '/a/./b',
  '/%2e%2e/b',
  '/a//b',
  '//b',
  '/a%2fb',
  '/a%5cb',
  '/a%00',
  '/a%zz',
  '/a%',
  '/\\a',
  '/a;b=c',
  '/a?b=%zz#',
  '/a?b?c',
  '/a?\x80',
  '/caf%C3%A9',
  '/caf\xe9',
  '/a|b{c}',
  '/a"b<c>',
  '/a?b[]=c',
  '/a?%00',
  '*',
  'http://gw.test/counted',
  'http://gw.test:80/a?b',
  'https://gw.test/a',
  'http://other.test/a',
  'http://',
  'ftp://gw.test/',
  'gw.test:80',
  `/${'a'.repeat(15_000)}`,
  `/${'a'.repeat(17_000)}`,
  `/?${'a'.repeat(40_000)}`,
  `/${'a/'.repeat(2000)}`,
].map(
  (target): ClientCase => ({
    name: `the target ${target.slice(0, 40)}`,
    pieces: [request(`GET ${target}`)],
    ending: 1,
  }),
)

const HOSTS: readonly ClientCase[] = [
  'gw.test',
  'GW.TEST',
  'gw.test.',
  'gw.test:80',
  'gw.test:8080',
  'gw.test:',
  'gw.test:99999',
  'none.test',
  '',
  '127.0.0.1',
  '[::1]',
  '[::1',
  'a b',
  'a,b',
  'user@gw.test',
  'gw.test/',
  'gw.test?',
  'xn--bcher-kva.test',
  'b\xfccher.test',
  'gw_x.test',
  '-gw.test',
  `${'a'.repeat(300)}.test`,
  '"',
  'https',
  '*.gw.test',
  'secure.test',
].map(
  (host): ClientCase => ({
    name: `the host ${host.slice(0, 40)}`,
    pieces: [`GET /counted HTTP/1.1\r\nHost: ${host}\r\n\r\n`],
    ending: 1,
  }),
)

const METHODS: readonly ClientCase[] = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'QUERY',
  'LINK',
  'M-SEARCH',
  'FOO',
  'VERSION-CONTROL',
  'get',
  'G',
  'PRI',
].map(
  (method): ClientCase => ({
    name: `the method ${method}`,
    pieces: [request(`${method} /counted`)],
    ending: 1,
    headOnly: method === 'HEAD',
  }),
)

const CONNECTIONS: readonly ClientCase[] = [
  { name: 'nothing at all', pieces: [], ending: 'fin' },
  { name: 'an empty line', pieces: ['\r\n'], ending: 'fin' },
  { name: 'half a request line', pieces: ['GET /cou'], ending: 'fin' },
  { name: 'half a head', pieces: [`GET /counted HTTP/1.1\r\n${HOST}X-A: b`], ending: 'fin' },
  { name: 'half a head that is refused later', pieces: [`GET /counted HTTP/1.1\r\n${HOST}X A`], ending: 'fin' },
  { name: 'a request and FIN', pieces: [request('GET /counted')], ending: 'fin' },
  { name: 'a request for much and FIN', pieces: [request('GET /large-slowly')], ending: 'fin' },
  { name: 'a request and half of another, and FIN', pieces: [`${request('GET /counted')}GET /cou`], ending: 'fin' },
  { name: 'a request byte by byte', pieces: [...request('GET /counted', 'X-A: b\r\n')], ending: 1 },
  { name: 'a POST byte by byte', pieces: [...request('POST /counted', counted('hello'), 'hello')], ending: 1 },
  {
    name: 'a chunked POST byte by byte',
    pieces: [...request('POST /counted', CHUNKED, `${chunk('hello')}0\r\nX-T: 1\r\n\r\n`)],
    ending: 1,
  },
  { name: 'two requests, one after the other', pieces: [request('GET /counted'), request('GET /chunked')], ending: 2 },
  { name: 'a pipeline of twenty', pieces: [request('GET /counted').repeat(20)], ending: 20 },
  { name: 'a pipeline of slow answers and FIN', pieces: [request('GET /counted-in-bytes').repeat(5)], ending: 'fin' },
  { name: 'a pipeline of two hundred and FIN', pieces: [request('GET /counted').repeat(200)], ending: 'fin' },
  {
    name: 'a pipeline of bodies',
    pieces: [
      (
        request('POST /counted', counted('abc'), 'abc') + request('POST /counted', CHUNKED, `${chunk('abc')}0\r\n\r\n`)
      ).repeat(5),
    ],
    ending: 10,
  },
  {
    name: 'a pipeline of plain and odd requests',
    pieces: [
      request('GET /counted') +
        request('PROPFIND /counted') +
        request('GET /counted') +
        request('GET /counted', 'TE: trailers\r\n'),
    ],
    ending: 4,
  },
  {
    name: 'a pipeline with a bad one in it',
    pieces: [`${request('GET /counted')}GET /a b c HTTP/1.1\r\n\r\n${request('GET /counted')}`],
    ending: 2,
  },
  {
    name: 'a pipeline with a close in it',
    pieces: [request('GET /counted') + request('GET /counted', 'Connection: close\r\n') + request('GET /counted')],
    ending: 2,
  },
  {
    name: 'a pipeline behind an early answer',
    pieces: [request('POST /early', counted('abcdef'), 'abc'), `def${request('GET /counted')}`],
    ending: 1,
  },
  {
    name: 'a pipeline by HTTP/1.0',
    pieces: [`GET /counted HTTP/1.0\r\nConnection: keep-alive\r\n${HOST}\r\n`.repeat(2)],
    ending: 2,
  },
  {
    name: 'a keep-alive by HTTP/1.0',
    pieces: [`GET /counted HTTP/1.0\r\nConnection: keep-alive\r\n${HOST}\r\n`],
    ending: 1,
  },
  { name: 'HTTP/1.0 without Host', pieces: ['GET /counted HTTP/1.0\r\n\r\n'], ending: 1 },
  {
    name: 'Expect by HTTP/1.0',
    pieces: [`POST /counted HTTP/1.0\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`],
    ending: 1,
  },
  {
    name: 'a body behind Expect',
    pieces: [request('POST /counted', `Expect: 100-continue\r\n${counted('abc')}`), 'abc'],
    ending: 1,
  },
  {
    name: 'no body behind Expect',
    pieces: [request('POST /early', `Expect: 100-continue\r\n${counted('abc')}`)],
    ending: 1,
  },
  { name: 'an unavailable service', pieces: [request('GET /unavailable/a')], ending: 1 },
  {
    name: 'an unavailable service and a body',
    pieces: [request('POST /unavailable/a', counted(large), large)],
    ending: 1,
  },
  { name: 'a refusing service', pieces: [request('GET /refusing/a')], ending: 1 },
  { name: 'a refusing service and a body', pieces: [request('POST /refusing/a', counted('abc'), 'abc')], ending: 1 },
  { name: 'a redirect to https', pieces: ['GET /a?b HTTP/1.1\r\nHost: secure.test\r\n\r\n'], ending: 1 },
  {
    name: 'a redirect to https with a body',
    pieces: ['POST /a?b HTTP/1.1\r\nHost: secure.test\r\nContent-Length: 3\r\n\r\nabc'],
    ending: 1,
  },
  { name: 'HEAD that is refused', pieces: [request('HEAD /a%zz')], ending: 'fin', headOnly: true },
  {
    name: 'HEAD to no route',
    pieces: [request('HEAD /a').replace('gw.test', 'none.test')],
    ending: 'fin',
    headOnly: true,
  },
  { name: 'a TLS handshake', pieces: ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'], ending: 'fin' },
  { name: 'garbage', pieces: ['\0\x01\x02\x03\r\n\r\n'], ending: 1 },
]

const ORDINARY: readonly ClientCase[] = ORDINARY_REQUESTS.map(
  (text): ClientCase => ({
    name: `an ordinary ${text.slice(0, text.indexOf(' HTTP/')).slice(0, 40)}`,
    pieces: [text],
    ending: 1,
    headOnly: text.startsWith('HEAD'),
  }),
)

const SMUGGLED: readonly ClientCase[] = SMUGGLING.flatMap(([name, text]): ClientCase[] => [
  { name: `${name}, a request behind it`, pieces: [text], ending: 'together' },
  { name: `${name}, FIN behind it`, pieces: [text], ending: 'fin' },
])

export const CLIENT_CASES: readonly ClientCase[] = [
  ...ORDINARY,
  ...METHODS,
  ...TARGETS,
  ...HOSTS,
  ...PECULIAR,
  ...BODIES,
  ...BROKEN,
  ...EARLY,
  ...CONNECTIONS,
  ...SMUGGLED,
  ...ANSWERED,
]
