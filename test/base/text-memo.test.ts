import t from 'tap'
import { TextMemo } from '../../lib/base/text-memo.ts'

/** Tells of each text whether it is short, undefined where it is empty; and which texts it was asked about. */
function createMemo(limit: number) {
  const asked: string[] = []
  const memo = new TextMemo(limit, (text) => {
    asked.push(text)
    return text === '' ? undefined : text.length < 3
  })
  return { memo, asked }
}

t.test('a text is found out about once', async (t) => {
  const { memo, asked } = createMemo(10)
  t.strictSame(
    ['gzip', 'br', 'gzip', 'br'].map((text) => memo.find(text)),
    [false, true, false, true],
  )
  t.strictSame(asked, ['gzip', 'br'])
})

t.test('so is one of which there is nothing to tell', async (t) => {
  const { memo, asked } = createMemo(10)
  t.equal(memo.find(''), undefined)
  t.equal(memo.find(''), undefined)
  t.strictSame(asked, [''])
})

t.test('it begins anew at its limit', async (t) => {
  const { memo, asked } = createMemo(2)
  for (const text of ['a', 'b', 'a', 'c', 'c', 'a']) memo.find(text)
  t.strictSame(asked, ['a', 'b', 'c', 'a'])
})

t.test('long texts are not kept, and keep no other out', async (t) => {
  const { memo, asked } = createMemo(2)
  const long = 'a'.repeat(513)
  for (const text of ['a', 'b', long, long, 'a', 'b']) memo.find(text)
  t.strictSame(asked, ['a', 'b', long, long])
})
