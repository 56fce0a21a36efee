import t from 'tap'
import { compareText } from '../../lib/base/order.ts'
import { KeyOrder, MappedList, Memo, Sieve } from '../../lib/translate/reuse.ts'

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

t.test('parts that are no longer asked for are forgotten', async (t) => {
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

t.test('what was forgotten in a round that asked for nothing is made once', async (t) => {
  const memo = new Memo<string, object>()
  const ask = (key: string) => memo.get(key, [], () => ({}))
  const first = ask('a')
  ask('b')
  memo.sweep()
  memo.sweep()
  const again = ask('a')
  t.not(again, first)
  t.equal(ask('a'), again)
  memo.sweep()
  t.equal(ask('a'), again)
})

t.test('an equal part keeps the earlier object, if asked for', async (t) => {
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

t.test('a list is made again where an item is another, and all of it on other conditions', async (t) => {
  const list = new MappedList<string, { item: string; turn: number }>()
  let turn = 0
  const make = (item: string) => ({ item, turn })
  const map = (items: string, input: unknown) => {
    turn++
    return list.map([...items], [input], (item, before) =>
      before?.item === item && input === 'same' ? before : make(item),
    )
  }
  const first = map('abcd', 1)
  t.equal(map('abcd', 1), first)
  const second = map('axcdb', 1)
  t.same(
    second.map(({ item }) => item),
    ['a', 'x', 'c', 'd', 'b'],
  )
  for (const [index, was] of [0, undefined, 2, 3, 1].entries()) {
    if (was === undefined) t.equal(second[index]?.turn, turn)
    else t.equal(second[index], first[was], 'it keeps its identity in another place')
  }
  t.equal(map('axcdb', 'same'), second, 'made again and equal')
  t.not(map('axcdb', 2)[0], second[0])
  t.same(map('', 2), [])
})

t.test('a sieve holds the passing items, in order', async (t) => {
  const sieve = new Sieve<number>((item) => item > 9)
  t.same(sieve.filter([1, 10, 2]), [10])
  const found = sieve.filter([1, 10, 3, 4])
  t.equal(sieve.filter([1, 10, 3, 5]), found, 'nothing that passes came or went')
  t.same(sieve.filter([11, 1, 10, 5]), [11, 10])
  t.same(sieve.filter([10, 1, 11]), [10, 11])
  t.same(sieve.filter([]), [])
})
