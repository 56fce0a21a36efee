import t from 'tap'
import { joinLines, splitLines, trimSpace } from '../../lib/http1/field-line.ts'

t.test('lines become names and values in turn, and lines again', async (t) => {
  const lines = 'A: b\r\nSet-Cookie: a=b: c\r\nE: \r\nset-cookie: \xa0x\r\n'
  const pairs = ['A', 'b', 'Set-Cookie', 'a=b: c', 'E', '', 'set-cookie', '\xa0x']
  t.same(splitLines(lines), pairs)
  t.equal(joinLines(pairs), lines)
  t.same(splitLines('A:b\r\nB: \t c \r\n'), ['A', 'b', 'B', 'c'])
  t.same(splitLines(''), [])
  t.equal(joinLines([]), '')
})

t.test('only spaces and tabs are trimmed', async (t) => {
  t.equal(trimSpace(' \t a b\t '), 'a b')
  t.equal(trimSpace('\xa0a\x0b'), '\xa0a\x0b')
  t.equal(trimSpace(' \t'), '')
})
