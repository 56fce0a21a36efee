import t from 'tap'
import { compareText } from '../../lib/base/order.ts'
import { KeyOrder, Memo } from '../../lib/translate/memo.ts'

t.test('a part is made again where an input is another object, and nowhere else', async (t) => {
  const memo = new Memo<string, object>()
  const make = () => ({})
  const [one, other] = [{}, {}]
  const first = memo.get('a', [one, undefined], make)
  t.equal(memo.get('a', [one, undefined], make), first)
  memo.sweep()
  t.equal(memo.get('a', [one, undefined], make), first)
  t.not(memo.get('a', [other, undefined], make), first)
  t.not(memo.get('b', [one, undefined], make), first)
})

t.test('parts are found in whatever order they are asked for', async (t) => {
  const memo = new Memo<number, number>()
  let made = 0
  const ask = (key: number) =>
    memo.get(key, [], () => {
      made++
      return key * 2
    })
  for (const keys of [[1, 2, 3], [3, 1, 2, 3], [2], [2, 4, 3, 1], [1, 2, 3, 4]]) {
    t.same(
      keys.map(ask),
      keys.map((key) => key * 2),
    )
    memo.sweep()
  }
  t.ok(made >= 4)
})

t.test('what nobody asks for any more is forgotten', async (t) => {
  const memo = new Memo<number, object>()
  const first = memo.get(0, [], () => ({}))
  for (let round = 0; round < 2; round++) {
    memo.sweep()
    for (let key = 1; key < 2_000; key++) memo.get(round * 10_000 + key, [], () => ({}))
  }
  memo.sweep()
  t.not(
    memo.get(0, [], () => ({})),
    first,
  )
})

t.test('what is made again and equal stays what it was, where that is asked for', async (t) => {
  const memo = new Memo<string, { text: string }>((a, b) => a.text === b.text)
  const first = memo.get('a', [{}], () => ({ text: 'x' }))
  t.equal(
    memo.get('a', [{}], () => ({ text: 'x' })),
    first,
  )
  t.same(
    memo.get('a', [{}], () => ({ text: 'y' })),
    { text: 'y' },
  )
})

t.test('keys are in order whatever came and went', async (t) => {
  const order = new KeyOrder(compareText)
  for (const keys of ['cab', 'cab', 'cabd', 'dxb', '', 'bxda', 'zyx']) {
    t.equal(order.sort([...keys], (key) => key).join(''), [...keys].sort().join(''), keys)
  }
})
