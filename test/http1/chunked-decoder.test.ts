import t from 'tap'
import {
  ChunkedDecoder,
  EXTENSIONS_TOO_LARGE,
  INVALID,
  MORE,
  TRAILERS_TOO_LARGE,
} from '../../lib/http1/chunked-decoder.ts'

type Decoded = { result: number; content: string; trailers: readonly string[] }

/** Decodes `text` in pieces of `size` bytes. `result`: the index of the end in all of it, or the last code. */
function decode(text: string, size: number = Number.POSITIVE_INFINITY): Decoded {
  const decoder = new ChunkedDecoder()
  let content = ''
  for (let at = 0; at < text.length; at += size) {
    const piece = Buffer.from(text.slice(at, at + size), 'latin1')
    const result = decoder.decode(piece, 0)
    content += decoder.data?.toString('latin1') ?? ''
    if (result !== MORE) return { result: result < 0 ? result : at + result, content, trailers: decoder.trailers }
  }
  return { result: MORE, content, trailers: decoder.trailers }
}

t.test('chunks are joined, whatever the pieces they come in', async (t) => {
  const cases: [string, string, readonly string[]][] = [
    ['0\r\n\r\n', '', []],
    ['5\r\nhello\r\n0\r\n\r\n', 'hello', []],
    ['5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n', 'hello world', []],
    ['1\r\n\r\r\n1\r\n\n\r\n000\r\n\r\n', '\r\n', []],
    ['0000000000005\r\n12345\r\n0\r\n\r\n', '12345', []],
    ['A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n', '0123456789abcdefghij', []],
    ['5;a\r\nhello\r\n0;b=c;d="e;\\"f"\r\n\r\n', 'hello', []],
    [
      '2\r\nok\r\n0\r\nX-One: 1\r\nX-Two:  two words \t\r\nX-Three:\r\n\r\n',
      'ok',
      ['X-One', '1', 'X-Two', 'two words', 'X-Three', ''],
    ],
    ['2\r\nok\r\n0\r\nX: \xe9\xa0\r\n\r\n', 'ok', ['X', '\xe9\xa0']],
  ]
  for (const [text, content, trailers] of cases) {
    for (let size = 1; size <= text.length; size++) {
      t.same(decode(text, size), { result: text.length, content, trailers }, `${JSON.stringify(text)} by ${size}`)
    }
  }
})

t.test('bytes behind the message are neither used nor changed', async (t) => {
  const decoder = new ChunkedDecoder()
  const bytes = Buffer.from('head3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\nGET / HTTP/1.1', 'latin1')
  const end = decoder.decode(bytes, 4)
  t.equal(bytes.toString('latin1', end), 'GET / HTTP/1.1')
  t.equal(decoder.data?.toString(), 'abcdef')
  t.equal(bytes.toString('latin1', 0, 4), 'head')
})

t.test('a decoder can be used for one message after the other, also after one that was broken off', async (t) => {
  const decoder = new ChunkedDecoder()
  for (const broken of ['5;ext="', '5\r\nab', '0\r\nName: val', '0\r\nA: b\r\n\r', 'x']) {
    decoder.decode(Buffer.from(broken, 'latin1'), 0)
    decoder.reset()
    t.equal(decoder.decode(Buffer.from('2\r\nok\r\n0\r\nT: v\r\n\r\n'), 0), 18, broken)
    t.equal(decoder.data?.toString(), 'ok')
    t.same(decoder.trailers, ['T', 'v'])
    decoder.reset()
  }
  t.same(decoder.trailers, [])
  t.equal(decoder.data, undefined)
})

t.test('H1.6 whatever is not exactly the grammar is refused', async (t) => {
  const bad = [
    ['no size', '\r\nabc\r\n0\r\n\r\n'],
    ['no size, an extension', ';a\r\n'],
    ['a sign', '+5\r\nhello\r\n'],
    ['a negative size', '-1\r\n'],
    ['0x', '0x5\r\nhello\r\n'],
    ['a space in front', ' 5\r\nhello\r\n'],
    ['a space behind', '5 \r\nhello\r\n'],
    ['a tab behind', '5\t\r\nhello\r\n'],
    ['a size in another base', 'g\r\n'],
    ['a size with an underscore', '1_0\r\n'],
    ['a size that is not exact', '10000000000000\r\n'],
    ['a size that overflows', 'ffffffffffffffff5\r\nhello\r\n'],
    ['a bare LF behind the size', '5\nhello\r\n'],
    ['a bare CR behind the size', '5\rhello\r\n'],
    ['CR CR LF', '5\r\r\nhello\r\n'],
    ['a bare LF behind the data', '5\r\nhello\n0\r\n\r\n'],
    ['a bare CR behind the data', '5\r\nhello\r0\r\n\r\n'],
    ['data longer than its size', '5\r\nhello!\r\n0\r\n\r\n'],
    ['data shorter than its size', '5\r\nhell\r\n0\r\n\r\n'],
    ['an extension without name', '5;\r\nhello\r\n'],
    ['a space in an extension', '5; a\r\nhello\r\n'],
    ['a space before an extension', '5 ;a\r\nhello\r\n'],
    ['an extension without value', '5;a=\r\nhello\r\n'],
    ['a bare LF in an extension', '5;a\nhello\r\n'],
    ['a bare LF in a quoted string', '5;a="\n"\r\nhello\r\n'],
    ['NUL in a quoted string', '5;a="\0"\r\nhello\r\n'],
    ['an escaped CR', '5;a="\\\r\n"\r\nhello\r\n'],
    ['something behind a quoted string', '5;a="b"c\r\nhello\r\n'],
    ['a bare LF at the end', '0\r\n\n'],
    ['a bare LF behind the last chunk', '0\n\r\n'],
    ['a trailer without colon', '0\r\nName\r\n\r\n'],
    ['a trailer without name', '0\r\n: v\r\n\r\n'],
    ['a space before the colon', '0\r\nName : v\r\n\r\n'],
    ['a folded trailer', '0\r\nName: v\r\n more\r\n\r\n'],
    ['NUL in a trailer', '0\r\nName: \0\r\n\r\n'],
    ['a bare LF in a trailer', '0\r\nName: v\n\r\n'],
    ['a bare CR in a trailer', '0\r\nName: v\rw\r\n\r\n'],
    ['Content-Length as trailer', '0\r\ncontent-LENGTH: 5\r\n\r\n'],
    ['Transfer-Encoding as trailer', '0\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a NUL', '\0'],
  ] as const
  for (const [what, text] of bad) {
    for (const size of [1, text.length]) t.equal(decode(text, size).result, INVALID, `${what}, by ${size}`)
  }
})

t.test('an unfinished message is never taken for a whole', async (t) => {
  const text = '5;a="b"\r\nhello\r\n0\r\nName: v\r\n\r\n'
  for (let end = 0; end < text.length; end++) t.equal(decode(text.slice(0, end)).result, MORE, `${end} bytes`)
})

t.test('extensions and trailers are bounded over the whole message', async (t) => {
  const chunk = `1;a=${'x'.repeat(1000)}\r\n.\r\n`
  t.equal(decode(`${chunk.repeat(16)}0\r\n\r\n`).content, '.'.repeat(16))
  t.equal(decode(`${chunk.repeat(17)}0\r\n\r\n`).result, EXTENSIONS_TOO_LARGE)
  t.equal(decode(`0\r\n${'a: b\r\n'.repeat(100)}\r\n`).trailers.length, 200)
  t.equal(decode(`0\r\n${'a: b\r\n'.repeat(101)}\r\n`).result, TRAILERS_TOO_LARGE)
  t.equal(decode(`0\r\na: ${'b'.repeat(17_000)}\r\n\r\n`, 100).result, TRAILERS_TOO_LARGE)
  t.equal(decode(`0\r\n${'a'.repeat(17_000)}: b\r\n\r\n`, 100).result, TRAILERS_TOO_LARGE)
})
