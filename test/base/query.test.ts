import fc from 'fast-check'
import t from 'tap'
import { parseParameters } from '../../lib/base/query.ts'

t.test('the first of each name counts, decoded, and no parameter is empty', async (t) => {
  const query = '?a=1&&b&=c&a=2&%61b=x+y%2b&d==&+=%C3%A9&e=%zz%41&f=%ED%A0%80&g=%c0%af+'
  t.same(
    [...parseParameters(query)],
    [
      ['a', '1'],
      ['b', ''],
      ['', 'c'],
      ['ab', 'x y+'],
      ['d', '='],
      [' ', 'é'],
      ['e', '%zz%41'],
      ['f', '%ED%A0%80'],
      ['g', '%c0%af '],
    ],
  )
  for (const none of ['', '?', '?&', '?&&']) t.equal(parseParameters(none).size, 0, none)
})

const PIECES = ['%', 'a', '8', '%41', '%7f', '%80', '%bf', '%c1', '%C2', '%DF', '%e0', '%9f', '%a0', '%ed', '%EF']
const LONG_PIECES = ['%f0', '%8f', '%90', '%f4', '%F5', '%ff', '%e2%82%ac', '%f0%9f%98%80']

t.test('what decodeURIComponent decodes is decoded as it does, and all else stays', async () => {
  const text = fc.array(fc.constantFrom(...PIECES, ...LONG_PIECES), { maxLength: 8 }).map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(text, (text) => parseParameters(`?x=${text}`).get('x') === tryToDecode(text)),
    { numRuns: 5_000 },
  )
})

function tryToDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

t.test('the time is linear, whatever the parameters are', async (t) => {
  // Each takes seconds where each parameter costs an exception, or a search to the end of the query.
  for (const piece of ['&', 'a&', '%&', '%ff&', '+&', '%61&', '%c3%a9&', 'a=&', '%ff', '%61', '%']) {
    const query = `?${piece.repeat(1_000_000 / piece.length)}`
    const before = process.cpuUsage()
    parseParameters(query)
    const { user, system } = process.cpuUsage(before)
    t.ok(user + system < 1_000_000, `${piece}: ${(user + system) / 1000} ms`)
  }
})
