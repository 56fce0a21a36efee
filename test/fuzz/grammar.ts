/** Makes HTTP/1.1 messages: most of them valid, all of them near it. */
import type { Random } from './random.ts'

const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'PATCH', 'OPTIONS']
const ODD_METHODS = [
  'get',
  'GE',
  'GETS',
  'PROPFIND',
  'QUERY',
  'BAN',
  'VERSION-CONTROL',
  'CONNECT',
  'PRI',
  'G-T',
  'G_T',
  '',
  ' GET',
  '\r\nGET',
  '\nGET',
]

const TARGETS = [
  '/',
  '/a',
  '/a/b/c?d=e&f',
  '/%41%2f',
  '/a;b=c/~d',
  '/?',
  '//a',
  '/a?b?c',
  "/!$&'()*+,-._~:@",
  `/${'p/'.repeat(60)}`,
  '/a[b]|c^d`e{f}"g<h>i\\j',
]
const ODD_TARGETS = [
  '*',
  'http://gw.test/a',
  'gw.test:443',
  '/a#b',
  '/a b',
  '/\xe4',
  '/\x7f',
  '/\t',
  '',
  'a',
  '/a\0',
  '\\a',
  '?a',
  'HTTP/1.1',
]

const ODD_VERSIONS = [
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/1.2',
  'HTTP/0.9',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/01.1',
  'HTTP/1,1',
  'HTTP/1.10',
  'HTTPS/1.1',
  ' HTTP/1.1',
  '',
]

const HOSTS = ['gw.test', 'gw.test:80', '127.0.0.1', '[::1]:8080', 'GW.Test', 'a-b.gw.test.']
const ODD_HOSTS = [
  '',
  ' ',
  'a b',
  'a,b',
  'user@gw.test',
  'gw.test/',
  'gw\t.test',
  '\xe4.test',
  'gw.test:',
  '"',
  'a\x7f',
]

const NAMES = [
  'X-A',
  'x-b',
  'Accept',
  'User-Agent',
  'Cookie',
  'Content-Type',
  'Authorization',
  'If-None-Match',
  'Origin',
  'Referer',
  'Cache-Control',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'x-forwarded-host',
  'X-Forwarded-Prefix',
  'X-Real-IP',
  'Forwarded',
  'X-Request-Id',
  'Via',
  'Sec-Fetch-Mode',
  "!#$%&'*+-.^`|~9",
  '__proto__',
  'constructor',
  'A',
]
const ODD_NAMES = [
  'Connection',
  'X_A',
  'Content_Length',
  'Transfer_Encoding',
  'Content-Lengt',
  'Content-Lengths',
  'Expect',
  'TE',
  'Trailer',
  'Upgrade',
  'Keep-Alive',
  'Proxy-Connection',
  'Proxy-Authorization',
  'HTTP2-Settings',
  'Close',
  '',
  'X A',
  'X-A ',
  ' X-A',
  '\tX-A',
  'X\xe4',
  'X\0A',
  'X(A)',
  '"X"',
  'X\x7f',
  'X-A\x0b',
  'Te',
  'Content-Type',
]

const VALUES = [
  '1',
  'a',
  'text/html, */*;q=0.5',
  'Mozilla/5.0 (X11; Linux)',
  '"quoted, value"',
  'a=b; c=d',
  '',
  'close',
  'chunked',
  '0',
  `${'v'.repeat(300)}`,
  'caf\xe9',
  '\xc3\xa9\xff\x80',
  'a \t b',
  '192.0.2.1, 10.0.0.1',
  'http',
  'abc-123',
  'a:b:c',
  '\x85\xa0',
]
const ODD_VALUES = ['a\0b', 'a\x01', '\x7f', 'a\rb', 'a\nb', 'a\r\n b', '\x0b', '\x0c', 'a\r\n\tb', '\x1b[0m', '\x08']

const BLANKS_BEFORE = [' ', ' ', ' ', '', '\t', '  ', ' \t ']
const BLANKS_BEHIND = ['', '', '', '', ' ', '\t', '  \t']

const LENGTHS = (length: number) => [
  `${length}`,
  `${length}`,
  `0${length}`,
  `00000000000${length}`,
  ` ${length} `,
  `${length}\t`,
]
const ODD_LENGTHS = (length: number) => [
  `+${length}`,
  `-${length}`,
  `0x${length}`,
  `${length},${length}`,
  `${length} ${length}`,
  `${length}.0`,
  `${length}a`,
  `\xb2${length}`,
  '',
  ' ',
  `${length + 1}`,
  `${Math.max(0, length - 1)}`,
  '99999999999999999999',
  '9007199254740993',
  '4294967296',
  `0000000000000000${length}`,
]

const CODINGS = ['chunked', 'chunked', 'Chunked', 'CHUNKED', ' chunked ', '\tchunked', 'chunked\t']
const ODD_CODINGS = [
  'identity',
  'gzip, chunked',
  'chunked, chunked',
  'chunked, identity',
  'chunked,',
  ',chunked',
  'xchunked',
  'chunkedx',
  'chunke',
  '"chunked"',
  'chunked;q=1',
  'chun\xebed',
  'chunked\0',
  '',
  'chunked\r\n ',
  '\x0bchunked',
]

const CONNECTIONS = ['keep-alive', 'close', 'Keep-Alive', 'CLOSE', 'Close']
const ODD_CONNECTIONS = [
  'close, keep-alive',
  'keep-alive, close',
  'upgrade',
  'X-A',
  'close, X-A',
  ',close',
  'close,',
  'clos',
  'closed',
  ' close ',
  '',
  'keep-alive\t',
  'host',
  'content-length',
  '"close"',
  'transfer-encoding',
  'TE, keep-alive',
]

/** One request; its body is as its framing says, but for once in `often` times. */
export function makeRequest(random: Random, often: number): Buffer {
  const eol = random.mostly(['\r\n'], often * 6, ['\n', '\r', '\r\r\n'])
  const method = random.mostly(METHODS, often * 2, ODD_METHODS)
  const version = random.mostly(['HTTP/1.1'], often * 2, ODD_VERSIONS)
  const lines = [`${method} ${random.mostly(TARGETS, often, ODD_TARGETS)} ${version}`]
  const fields = makeFields(random, often)
  if (!random.oneIn(often * 2))
    put(fields, makeField('Host', random.mostly(HOSTS, often * 2, ODD_HOSTS), random), random)
  if (random.oneIn(often * 4)) put(fields, makeField('Host', random.pick(HOSTS), random), random)
  if (random.oneIn(4))
    put(fields, makeField('Connection', random.mostly(CONNECTIONS, often, ODD_CONNECTIONS), random), random)
  const body = makeBody(random, often, random.oneIn(3) ? 'chunked' : random.oneIn(2) ? 'counted' : 'none', fields)
  return Buffer.from(`${[...lines, ...fields].join(eol)}${eol}${eol}${body}`, 'latin1')
}

const STATUSES = [
  '200',
  '200',
  '200',
  '201',
  '206',
  '204',
  '304',
  '404',
  '500',
  '302',
  '100',
  '103',
  '199',
  '299',
  '599',
]
const ODD_STATUSES = ['101', '0', '20', '2000', '099', '600', '999', '2 0', '+20', '20a', '', ' 200']
const REASONS = [' OK', ' OK', '', ' ', ' Not  Found', ' caf\xe9', ' \t', ' :', ' HTTP/1.1 200 OK']
const ODD_REASONS = ['OK', ' a\0', ' a\rb', ' \x7f', '\tOK', ' a\x01']
const RESPONSE_NAMES = [
  'Content-Type',
  'Server',
  'Date',
  'Set-Cookie',
  'Set-Cookie',
  'ETag',
  'Location',
  'X-A',
  'Vary',
  'Keep-Alive',
  'X-Request-Id',
  'Link',
  'Upgrade',
  'TE',
  'Trailer',
  'Proxy-Authenticate',
  'Proxy-Connection',
  'WWW-Authenticate',
  '__proto__',
  'X_A',
  'close',
  "!#$%&'*+-.^`|~9",
]
const RESPONSE_VALUES = [...VALUES, 'timeout=5', 'timeout=5, max=100', 'websocket', 'X-T', '</a>; rel=preload']

/** One response, interim ones before it at times; its body is as its framing says, but for once in `often` times. */
export function makeResponse(random: Random, often: number): Buffer {
  const eol = random.mostly(['\r\n'], often * 6, ['\n', '\r', '\r\r\n'])
  const version = random.mostly(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'], often * 2, ODD_VERSIONS)
  const status = random.mostly(STATUSES, often * 2, ODD_STATUSES)
  const reason = random.mostly(REASONS, often * 2, ODD_REASONS)
  const fields = makeFields(random, often, RESPONSE_NAMES, RESPONSE_VALUES)
  if (random.oneIn(4))
    put(fields, makeField('Connection', random.mostly(CONNECTIONS, often, ODD_CONNECTIONS), random), random)
  const isBodiless = /^(1..|204|304)$/.test(status)
  const framing =
    isBodiless && !random.oneIn(often)
      ? 'none'
      : random.pick(['counted', 'counted', 'chunked', 'chunked', 'none'] as const)
  let body = makeBody(random, often, framing, fields)
  if (framing === 'none' && !isBodiless) body = random.pick(['', 'abc', '0\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n'])
  const head = Buffer.from(`${[`${version} ${status}${reason}`, ...fields].join(eol)}${eol}${eol}${body}`, 'latin1')
  return random.oneIn(8) ? Buffer.concat([Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'), head]) : head
}

/** A chunked body, with extensions and trailers. */
export function makeChunked(random: Random, often: number): string {
  let body = ''
  for (let left = random.below(4); left > 0; left--) {
    const length = random.mostly([1, 2, 5, 16, 17, 255], 100, [4096, 70_000])
    const size = random.pick([length.toString(16), length.toString(16).toUpperCase(), `000${length.toString(16)}`])
    const odd = [
      `${size} `,
      ` ${size}`,
      `+${size}`,
      `0x${size}`,
      `${size}g`,
      '',
      `${size}\t`,
      `-${size}`,
      'ffffffffffffffffff',
      `${(length + 1).toString(16)}`,
    ]
    body += `${random.mostly([size], often, odd)}${makeExtension(random, often)}${makeEol(random, often)}`
    body += `${makeContent(random, length)}${makeEol(random, often)}`
  }
  body += `${random.pick(['0', '0', '000'])}${makeExtension(random, often)}${makeEol(random, often)}`
  for (let left = random.oneIn(4) ? random.below(4) : 0; left > 0; left--) {
    body += `${random.pick(makeFields(random, often, NAMES, VALUES, 1))}${makeEol(random, often)}`
  }
  return body + makeEol(random, often)
}

function makeExtension(random: Random, often: number): string {
  if (!random.oneIn(5)) return ''
  const odd = [
    ';',
    ' ;a',
    ';a ',
    '; a',
    ';a = b',
    ';a="',
    ';a="b',
    ';a="b"c',
    ';a="\r\n"',
    ';\0',
    ';a=\xe4',
    ';="b"',
    ';a=',
    ';;',
    ';a="\\\n"',
    ';a="\xe4"',
    `;${'e'.repeat(17_000)}`,
    ';\n',
  ]
  return random.mostly(
    [';a', ';a=b', ';a="b c"', ';a=b;c', ';a="\\""', `;${'e'.repeat(500)}`, ';a=""', ';a;b="\\\\"'],
    often,
    odd,
  )
}

function makeEol(random: Random, often: number): string {
  return random.mostly(['\r\n'], often * 6, ['\n', '\r', '\r\r\n', '\n\r', '', ' \r\n'])
}

function makeBody(random: Random, often: number, framing: 'none' | 'counted' | 'chunked', fields: string[]): string {
  const length = random.mostly([0, 1, 5, 17, 300], 100, [20_000])
  if (random.oneIn(often * 3)) put(fields, `Content-Length: ${length}`, random)
  if (random.oneIn(often * 3)) put(fields, 'Transfer-Encoding: chunked', random)
  if (framing === 'counted') {
    const value = random.mostly(LENGTHS(length), often, ODD_LENGTHS(length))
    put(
      fields,
      `${random.pick(['Content-Length', 'content-length', 'CONTENT-LENGTH'])}:${random.pick(BLANKS_BEFORE)}${value}`,
      random,
    )
    return makeContent(random, random.oneIn(often) ? random.below(2 * length + 1) : length)
  }
  if (framing === 'none') return ''
  const coding = random.mostly(CODINGS, often, ODD_CODINGS)
  put(
    fields,
    `${random.pick(['Transfer-Encoding', 'transfer-encoding'])}:${random.pick(BLANKS_BEFORE)}${coding}`,
    random,
  )
  return makeChunked(random, often)
}

/** Bytes that look like framing, now and then. */
function makeContent(random: Random, length: number): string {
  const unit = random.pick(['abcdefgh', '0\r\n\r\n', '\r\n', '\0\xff\x80\n', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'])
  return unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
}

function makeFields(
  random: Random,
  often: number,
  names: readonly string[] = NAMES,
  values: readonly string[] = VALUES,
  count: number = random.below(7),
): string[] {
  return Array.from({ length: count }, () =>
    makeField(random.mostly(names, often * 3, ODD_NAMES), random.mostly(values, often * 3, ODD_VALUES), random),
  )
}

function makeField(name: string, value: string, random: Random): string {
  return random.oneIn(3)
    ? `${name}:${random.pick(BLANKS_BEFORE)}${value}${random.pick(BLANKS_BEHIND)}`
    : `${name}: ${value}`
}

function put(fields: string[], field: string, random: Random): void {
  fields.splice(random.below(fields.length + 1), 0, field)
}
