/** Requests that servers judge differently: every door gives them the same answer, the strict one. */
import t, { type Test } from 'tap'
import { connectRaw, connectRawTls } from '../helpers/raw-client.ts'
import { ONE_ROUTE, type RunningGateway, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { type DoorRequest, type Outcome, startDoors } from './request-doors.ts'

const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'
const PROTOCOL_ERROR = 'reset 1'

type Case = readonly [
  name: string,
  request: DoorRequest,
  /** A status of the gateway's own, or what the upstream gets. */
  expected: number | readonly string[],
  /** Of HTTP/2, where it has another way to say the same: one of these. */
  byHttp2?: readonly (string | number)[],
]

/** What RFC 9113 §8.1.1 calls malformed; node:http2 answers some of it from version to version. */
const RESET = [PROTOCOL_ERROR]

async function expectAlike(t: Test, cases: readonly Case[], flags: Readonly<Record<string, string>> = {}) {
  const { names, play } = await startDoors(t, flags)
  for (const [name, request, expected, byHttp2] of cases) {
    const outcomes: Outcome[] = []
    for (const door of names) {
      const outcome = await play(door, request)
      if (door === 'HTTP/2' && byHttp2?.includes(outcome.answer)) {
        t.same(outcome.upstream, [], `${name}, ${door}: ${outcome.answer}`)
        continue
      }
      outcomes.push(outcome)
      if (typeof expected === 'number') t.match(outcome, { answer: expected, upstream: [] }, `${name}, ${door}`)
      else t.match(outcome, { answer: 200, upstream: expected }, `${name}, ${door}`)
    }
    const { code } = outcomes[0]!
    const byHttp1 = outcomes.slice(0, 4)
    t.same(byHttp1, Array(4).fill(outcomes[0]), `${name}: all that HTTP/1 says is the same`)
    // llhttp refuses targets by itself, in its own words.
    if (code !== 'PORTICO_REQ_MALFORMED') t.same(outcomes, Array(outcomes.length).fill(outcomes[0]), name)
  }
}

const post = (trailers: readonly (readonly [string, string])[]): DoorRequest => ({
  method: 'POST',
  fields: [['te', 'trailers']],
  body: 'abc',
  trailers,
})
const many = (count: number, value: string) => Array.from({ length: count }, (_, at) => [`x-${at}`, value] as const)
const POSTED = ['POST /a HTTP/1.1', 'te: trailers', 'abc']

t.test('trailers: how many and how much', async (t) => {
  await expectAlike(t, [
    ['one', post([['x-t', '1']]), [...POSTED, 'x-t: 1']],
    ['a hundred', post(many(100, '1')), [...POSTED, ...many(100, '1').map(([name]) => `${name}: 1`)]],
    ['a hundred and one', post(many(101, '1')), 431],
    // Beyond twice the limit node:http2 gives the stream up.
    ['a hundred and fifty', post(many(150, '1')), 431],
    ['16 KiB to the byte', post([['x-t', 't'.repeat(16_377)]]), [...POSTED, `x-t: ${'t'.repeat(16_377)}`]],
    ['one byte more', post([['x-t', 't'.repeat(16_378)]]), 431],
    ['20 kB in one', post([['x-t', 't'.repeat(20_000)]]), 431],
    ['20 kB in twenty', post(many(20, 't'.repeat(1000))), 431],
  ])
})

t.test('trailers: what they may not say', async (t) => {
  const silent = [
    'x-forwarded-for',
    'x-forwarded-anything',
    'x-real-ip',
    'forwarded',
    'host',
    'authorization',
    'cookie',
    'content-type',
    'content-encoding',
    'expect',
    'max-forwards',
    'x-request-id',
    'x_forwarded_for',
    'x_forwarded-proto',
    'transfer_encoding',
    'host_',
  ]
  await expectAlike(t, [
    ...silent.map((name): Case => [name, post([[name, '1']]), POSTED]),
    // What would frame the body anew, or say where the connection goes, is an attack.
    ...['content-length', 'transfer-encoding', 'connection', 'proxy-connection'].map(
      (name): Case => [name, post([[name, '1']]), 400, RESET],
    ),
    // HTTP/2 forbids these; in HTTP/1 they concern a connection, and go no further.
    ...['keep-alive', 'upgrade'].map((name): Case => [name, post([[name, '1']]), POSTED, RESET]),
  ])
})

t.test('trailers: underscores, kept or refused', async (t) => {
  const sent = post([
    ['x_t', '1'],
    ['x_forwarded_for', '2'],
    ['content_length', '3'],
    ['x-u', '4'],
  ])
  await expectAlike(t, [['kept', sent, [...POSTED, 'x_t: 1', 'x-u: 4']]], { underscoresInHeaders: 'keep' })
  await expectAlike(t, [['dropped', sent, [...POSTED, 'x-u: 4']]], { underscoresInHeaders: 'drop' })
  await expectAlike(t, [['refused', sent, 400]], { underscoresInHeaders: 'reject' })
})

t.test('targets', async (t) => {
  const get = (target: string): DoorRequest => ({ target })
  const reaches = (target: string): Case => [target, get(target), [`GET ${target} HTTP/1.1`]]
  const refused = (name: string, target: string): Case => [name, get(target), 400]
  const malformed = (name: string, target: string): Case => [name, get(target), 400, RESET]
  await expectAlike(t, [
    reaches('/a?b=c&d'),
    reaches('/caf%C3%A9?%E9'),
    reaches('/a"b<c>d|e^f`g{h}'),
    reaches('/a?"<>|^`{}\\'),
    refused('bytes above ASCII in the path', '/caf\xc3\xa9'),
    refused('a byte of 0x80 in the path', '/\x80'),
    refused('a byte of 0xff in the path', '/a\xff/b'),
    refused('bytes above ASCII in the query', '/a?caf\xc3\xa9'),
    refused('a byte of 0x80 in the query', '/a?\x80'),
    refused('a fragment', '/a#b'),
    refused('a fragment in the query', '/a?b#c'),
    refused('a backslash in the path', '/a\\b'),
    refused('an encoded NUL', '/a%00'),
    refused('a malformed percent', '/a%zz'),
    refused('a climb above the root', '/../a'),
    malformed('a blank in the path', '/a b'),
    malformed('a blank in the query', '/a?b c'),
    malformed('a tab', '/a\tb'),
    malformed('a NUL', '/a\0b'),
    malformed('a control byte', '/a\x01b'),
    malformed('a control byte in the query', '/a?\x1f'),
    malformed('a DEL', '/a\x7fb'),
    malformed('no slash', 'a'),
    malformed('an asterisk', '*'),
    malformed('nothing', ''),
  ])
})

t.test('a scheme that is not served', async (t) => {
  const { play } = await startDoors(t)
  const refused = { answer: 400, code: 'PORTICO_REQ_BAD_TARGET', upstream: [] }
  t.match(await play('HTTP/2', { scheme: 'ftp' }), refused, ':scheme')
  for (const door of ['lane', 'node:http']) t.match(await play(door, { target: 'ftp://gw.test/a' }), refused, door)
  for (const scheme of ['http', 'https']) t.match(await play('HTTP/2', { scheme }), { answer: 200 }, scheme)
})

t.test('hosts', async (t) => {
  const to = (host: string | null): DoorRequest => ({ host })
  await expectAlike(t, [
    ['an ordinary one', to('gw.test'), ['GET /a HTTP/1.1']],
    ['with a port', to('gw.test:8080'), ['GET /a HTTP/1.1']],
    ['with an underscore', to('gw_x.test'), ['GET /a HTTP/1.1']],
    ['an empty one', to(''), 400, RESET],
    ['none', to(null), 400, RESET],
    ['userinfo', to('user@gw.test'), 400, RESET],
    ['bytes above ASCII', to('g\xfc.test'), 400, RESET],
    ['a blank', to('a b'), 400, RESET],
    ['a control byte', to('a\x01b'), 400, RESET],
    ['a list', to('a,b'), 400],
    ['a path', to('gw.test/a'), 400, RESET],
    ['a port out of range', to('gw.test:99999'), 400],
    ['half an address', to('[::1'), 400],
  ])
  const { play } = await startDoors(t)
  const withHost = (host: string | null, value: string): DoorRequest => ({ host, fields: [['host', value]] })
  t.match(await play('HTTP/2', withHost(null, 'gw.test')), { answer: 200 }, 'HTTP/2 may say it in the field')
  t.match(await play('HTTP/2', withHost(null, '')), { answer: PROTOCOL_ERROR }, 'an empty field in HTTP/2')
  t.match(await play('HTTP/2', withHost('gw.test', '')), { answer: PROTOCOL_ERROR }, 'an empty field beside it')
  t.match(await play('HTTP/2', withHost('gw.test', 'other.test')), { answer: 400 }, 'another one beside it')
})

t.test('methods', async (t) => {
  const by = (method: string, target: string = '/a'): DoorRequest => ({ method, target })
  await expectAlike(t, [
    ['OPTIONS', by('OPTIONS'), ['OPTIONS /a HTTP/1.1']],
    ['PROPFIND', by('PROPFIND'), ['PROPFIND /a HTTP/1.1']],
    ['M-SEARCH', by('M-SEARCH'), ['M-SEARCH /a HTTP/1.1']],
    ...[
      'VERSION-CONTROL',
      'UPDATEREDIRECTREF',
      'PURGE',
      'BAN',
      'QUERY',
      'SOURCE',
      'FOO',
      'get',
      'head',
      'Post',
      'GETS',
      'G',
      "!#$%&'*+-.^_`|~09azAZ",
      'F'.repeat(64),
    ].flatMap((method): Case[] => [
      [method, by(method), [`${method} /a HTTP/1.1`]],
      [`${method} with a body`, { ...by(method), body: 'abc' }, [`${method} /a HTTP/1.1`, 'abc']],
    ]),
    ['TRACE', by('TRACE'), 405],
    ['TRACE in small letters', by('trace'), 405],
    ['one that is too long', by('F'.repeat(65)), 405],
    ['one that is much too long', by('F'.repeat(2000)), 405],
    ['the beginning of HTTP/2', by('PRI'), 400, [405]],
    ['CONNECT', by('CONNECT', 'gw.test:443'), 405],
    ['a blank in it', by('G T'), 400, RESET],
    ['a control byte in it', by('G\x01T'), 400, RESET],
    ['bytes above ASCII in it', by('G\xe9T'), 400, RESET],
  ])
  const { names, play } = await startDoors(t)
  for (const door of names) {
    for (const method of ['TRACE', 'CONNECT', 'F'.repeat(65)]) {
      const { allow } = await play(door, by(method, method === 'CONNECT' ? 'gw.test:443' : '/a'))
      t.equal(allow, ALLOW, `${method} is told what is allowed, ${door}`)
    }
    const wide = await play(door, by('OPTIONS', '*'))
    t.same(wide, { answer: 200, allow: ALLOW, contentLength: '0', upstream: [] }, `OPTIONS * is answered, ${door}`)
    const toNobody = { ...by('OPTIONS', '*'), host: '' }
    t.ok([400, PROTOCOL_ERROR].includes((await play(door, toNobody)).answer), `not without a host, ${door}`)
  }
})

t.test('fields', async (t) => {
  const having = (name: string, value: string): DoorRequest => ({ fields: [[name, value]] })
  const reaches = (name: string, value: string): Case => [
    `${name}: ${JSON.stringify(value)}`,
    having(name, value),
    ['GET /a HTTP/1.1', `${name}: ${value}`],
  ]
  const GET = ['GET /a HTTP/1.1']
  await expectAlike(t, [
    reaches('x-a', 'b'),
    reaches('x-a', 'caf\xe9 \x80'),
    reaches('x-a', 'b\tc'),
    reaches("!#$%&'*+-.^`|~", 'b'),
    ['an underscore', having('x_a', 'b'), GET],
    ['two lengths', { fields: many(2, '0').map(() => ['content-length', '0'] as const) }, 400, RESET],
    ['a length of letters', having('content-length', 'x'), 400, RESET],
    ['101 of them', { fields: many(101, 'b') }, 431],
    // HTTP/1 may say these; of HTTP/2 they make a malformed request (RFC 9113 §8.2.2).
    ['connection', having('connection', 'keep-alive'), GET, RESET],
    ['keep-alive', having('keep-alive', '5'), GET, RESET],
    ['proxy-connection', having('proxy-connection', 'keep-alive'), GET, RESET],
    ['te', having('te', 'gzip'), GET, RESET],
    // CGI programs take it for a setting of their own (CVE-2016-5385).
    ['proxy', having('proxy', 'http://evil.test'), GET],
  ])
  const { names, play } = await startDoors(t)
  for (const [what, name, value] of [
    ['a NUL in a value', 'x-a', 'a\0b'],
    ['a bare CR in a value', 'x-a', 'a\rb'],
    ['a control byte in a value', 'x-a', 'a\x01b'],
    ['a DEL in a value', 'x-a', 'a\x7fb'],
    ['a blank in a name', 'x a', 'b'],
    ['a NUL in a name', 'x\0a', 'b'],
    ['bytes above ASCII in a name', 'x\xe9', 'b'],
    ['no name', '', 'b'],
  ] as const) {
    for (const door of names) {
      const outcome = await play(door, having(name, value))
      // node:http2 drops the field, and tells nobody.
      if (door === 'HTTP/2') t.match(outcome, { answer: 200, upstream: GET }, `${what} goes no further, ${door}`)
      else t.match(outcome, { answer: 400, upstream: [] }, `${what}, ${door}`)
    }
  }
  for (const [what, fields] of [
    ['upper case', [['X-A', 'b']]],
    [
      'a pseudo-header field behind others',
      [
        ['x-a', 'b'],
        [':path', '/b'],
      ],
    ],
    ['an unknown pseudo-header field', [[':a', 'b']]],
    ['a pseudo-header field of answers', [[':status', '200']]],
    ['a pseudo-header field twice', [[':path', '/b']]],
    ['transfer-encoding', [['transfer-encoding', 'chunked']]],
    ['upgrade', [['upgrade', 'h2c']]],
    ['te of more than trailers', [['te', 'trailers, gzip']]],
  ] as const) {
    t.match(await play('HTTP/2', { fields }), { answer: PROTOCOL_ERROR, upstream: [] }, `${what} resets the stream`)
  }
})

const HOST = 'Host: gw.test\r\n'
const chunked = (body: string) => `POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${body}`
const chunks = (count: number, extension: string) => `${`1;${extension}\r\na\r\n`.repeat(count)}0\r\n\r\n`

/** What HTTP/1 alone can say: bytes, and the status of the last answer. */
const ONLY_HTTP1: readonly (readonly [name: string, bytes: string, status: number])[] = [
  ['16 KiB of extensions', chunked(chunks(4, 'e'.repeat(4095))), 200],
  ['one byte more', chunked(chunks(4, 'e'.repeat(4095)).replace('0\r\n\r\n', '0;a\r\n\r\n')), 413],
  ['too much in one extension', chunked(chunks(1, 'e'.repeat(17_000))), 413],
  ['too much in four', chunked(chunks(4, 'e'.repeat(9000))), 413],
  ['too much in thousands', chunked(chunks(5000, 'eeee')), 413],
  ['two blanks before the target', `GET  /a HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['two blanks behind the target', `GET /a  HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['a tab before the target', `GET\t/a HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['a blank behind the version', `GET /a HTTP/1.1 \r\n${HOST}\r\n`, 400],
  ['Icecast', `SOURCE /a ICE/1.0\r\n${HOST}\r\n`, 400],
  ['RTSP with a method of HTTP', `GET /a RTSP/1.0\r\n${HOST}\r\n`, 400],
  ['RTSP with another one of HTTP', `OPTIONS /a RTSP/1.1\r\n${HOST}\r\n`, 400],
  ['RTSP with a method of its own', `DESCRIBE /a RTSP/1.0\r\n${HOST}\r\n`, 400],
  ['no version', `GET /a\r\n${HOST}\r\n`, 400],
  ['HTTP/1.2', `GET /a HTTP/1.2\r\n${HOST}\r\n`, 400],
  ['HTTP/2.0', `GET /a HTTP/2.0\r\n${HOST}\r\n`, 400],
  ['a version in small letters', `GET /a http/1.1\r\n${HOST}\r\n`, 400],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['a handshake of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ['OPTIONS * by HTTP/1.0', 'OPTIONS * HTTP/1.0\r\n\r\n', 200],
  ['HTTP/1.0 without a host', 'GET /a HTTP/1.0\r\n\r\n', 200],
  ['HTTP/1.0 with an empty one', 'GET /a HTTP/1.0\r\nHost:\r\n\r\n', 400],
  ['an empty host of blanks', 'GET /a HTTP/1.1\r\nHost: \t \r\n\r\n', 400],
  ['an empty host under an absolute target', 'GET http://gw.test/a HTTP/1.1\r\nHost:\r\n\r\n', 400],
  ['TRACE with a body', `TRACE /a HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\na`, 405],
]

/** What comes before, and leads the connection to the one door or the other. */
const BEFORE: readonly (readonly [name: string, bytes: string])[] = [
  ['alone', ''],
  ['behind a plain request', `GET /a HTTP/1.1\r\n${HOST}\r\n`],
  ['behind an unusual request', `GET /a HTTP/1.1\r\n${HOST}TE: trailers\r\n\r\n`],
  ['behind a chunked body', chunked('1\r\na\r\n0\r\nX-T: 1\r\n\r\n')],
]

t.test('what HTTP/1 alone can say', async (t) => {
  const { web } = await startEchoes(t, 'web')
  const start = (enabled: string) =>
    runGateway(t, ONE_ROUTE, { endpoints: { web: [web.port] }, flags: { 'fastLane.enabled': enabled } })
  const doors: readonly (readonly [string, RunningGateway])[] = [
    ['lane', await start('true')],
    ['node:http', await start('false')],
  ]
  for (const [door, gateway] of doors) {
    for (const [name, bytes, status] of ONLY_HTTP1) {
      for (const [before, first] of BEFORE) {
        t.equal(await lastStatus(gateway, first, [bytes]), status, `${name}, ${before}, ${door}`)
      }
      t.equal(await lastStatus(gateway, '', [bytes], true), status, `${name}, over TLS, ${door}`)
      if (bytes.length > 1000) continue
      t.equal(await lastStatus(gateway, '', [...bytes]), status, `${name}, byte by byte, ${door}`)
    }
  }
})

/** Of the answer to `pieces`; `first` is a request that is answered before. */
async function lastStatus(gateway: RunningGateway, first: string, pieces: readonly string[], tls = false) {
  const client = tls ? await connectRawTls(gateway.https) : await connectRaw(gateway.http)
  if (first !== '' && (await client.send(first).response()).status !== 200) return 'the first one failed'
  for (const piece of pieces) {
    if (client.hasEnded) break
    await client.flush(piece)
  }
  const { status } = await client.response()
  client.destroy()
  return status
}
