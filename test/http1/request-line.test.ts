import t from 'tap'
import { MALFORMED_LINE, METHOD_TOO_LONG, RequestLine } from '../../lib/http1/request-line.ts'

/** The verdict on bytes that come in pieces: whether the line is over and where, or a negative code, or that it waits for more. */
function read(pieces: readonly string[]): number | 'more' {
  const line = new RequestLine()
  let bytes = Buffer.alloc(0)
  let at = 0
  for (const piece of pieces) {
    bytes = Buffer.concat([bytes, Buffer.from(piece, 'latin1')])
    const end = line.read(bytes, at)
    if (end < 0 || line.isOver) return end
    at = end
  }
  return 'more'
}

const CASES: readonly (readonly [line: string, verdict: number | 'more'])[] = [
  ['GET / HTTP/1.1\r\n', 16],
  ['GET /a?b=%20 HTTP/1.1\r\nHost: a', 23],
  ['\r\n\r\nGET / HTTP/1.0\r\n', 20],
  ['M-SEARCH * HTTP/1.1\r\n', 21],
  ['OPTIONS * HTTP/9.9\r\n', 20],
  ['CONNECT a:443 HTTP/1.1\r\n', 24],
  ['', 'more'],
  ['\r\n', 'more'],
  ['GET', 'more'],
  ['GET ', 'more'],
  ['GET /a', 'more'],
  ['GET /a HTTP/1.1\r', 'more'],
  ['GET  / HTTP/1.1\r\n', MALFORMED_LINE],
  ['GET /  HTTP/1.1\r\n', MALFORMED_LINE],
  ['GET / HTTP/1.1 \r\n', MALFORMED_LINE],
  [' GET / HTTP/1.1\r\n', MALFORMED_LINE],
  ['GET\t/ HTTP/1.1\r\n', MALFORMED_LINE],
  ['GET /a b HTTP/1.1\r\n', MALFORMED_LINE],
  ['GET /\x80 HTTP/1.1\r\n', MALFORMED_LINE],
  ['GET /\x7f HTTP/1.1\r\n', MALFORMED_LINE],
  ['GET / HTTP/1.1\n', MALFORMED_LINE],
  ['GET /\r\n', MALFORMED_LINE],
  ['GET\r\n', MALFORMED_LINE],
  ['GET / http/1.1\r\n', MALFORMED_LINE],
  ['GET / HTTP/1.10\r\n', MALFORMED_LINE],
  ['GET / HTTP/11\r\n', MALFORMED_LINE],
  ['GET / HTTPS/1.1\r\n', MALFORMED_LINE],
  ['SOURCE / ICE/1.0\r\n', MALFORMED_LINE],
  ['GET / RTSP/1.0\r\n', MALFORMED_LINE],
  ['PRI * HTTP/2.0\r\n', MALFORMED_LINE],
  ['\x16\x03\x01', MALFORMED_LINE],
  ['get / HTTP/1.1\r\n', 16],
  ['VERSION-CONTROL / HTTP/1.1\r\n', 28],
  ['DESCRIBE / RTSP/1.0\r\n', MALFORMED_LINE],
  [`${'F'.repeat(64)} / HTTP/1.1\r\n`, 77],
  [`${'F'.repeat(65)} / HTTP/1.1\r\n`, METHOD_TOO_LONG],
  ['F'.repeat(65), METHOD_TOO_LONG],
]

t.test('a request line is judged alike whole and in any pieces', async (t) => {
  for (const [line, verdict] of CASES) {
    t.equal(read([line]), verdict, JSON.stringify(line))
    t.equal(read([...line]), verdict, `${JSON.stringify(line)}, byte by byte`)
    for (let at = 1; at < line.length; at++) {
      if (read([line.slice(0, at), line.slice(at)]) !== verdict) t.fail(`${JSON.stringify(line)}, split at ${at}`)
    }
  }
})

t.test('it tells the method that node:http does not know, and where it ends', async (t) => {
  const line = new RequestLine()
  const bytes = Buffer.from('\r\nVERSION-CONTROL /a HTTP/1.1\r\n')
  t.equal(line.read(bytes.subarray(0, 10), 0), 2)
  t.match(line, { unknownMethod: undefined, unknownEnd: -1 }, 'not before it has come')
  line.read(bytes.subarray(0, 20), 2)
  t.match(line, { unknownMethod: 'VERSION-CONTROL', unknownEnd: 17 })
  line.read(bytes, 20)
  t.match(line, { unknownMethod: 'VERSION-CONTROL', unknownEnd: -1, isOver: true }, 'where it ended once')
  line.reset()
  line.read(Buffer.from('PROPFIND / HTTP/1.1\r\n'), 0)
  t.match(line, { unknownMethod: undefined, unknownEnd: -1, isOver: true })
})

t.test('one line after the other', async (t) => {
  const line = new RequestLine()
  const bytes = Buffer.from('GET / HTTP/1.1\r\nPUT /a HTTP/1.1\r\n')
  t.equal(line.read(bytes, 0), 16)
  t.equal(line.isOver, true)
  line.reset()
  t.equal(line.isOver, false)
  t.equal(line.read(bytes, 16), bytes.length)
  t.equal(line.isOver, true)
})
