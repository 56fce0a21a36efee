import t from 'tap'
import { parsePortRange, printPortRange } from '../../lib/base/port-range.ts'

t.test('a range is two ports, or one', async (t) => {
  t.same(parsePortRange('30000-32767'), { first: 30_000, last: 32_767 })
  t.same(parsePortRange(' 1 - 65535 '), { first: 1, last: 65_535 })
  t.same(parsePortRange('80'), { first: 80, last: 80 })
  t.equal(printPortRange({ first: 1, last: 2 }), '1-2')
})

t.test('a text that is no list or range is refused', async (t) => {
  for (const text of ['', '0-10', '10-9', '1-65536', '30000+10', 'a-b', '1-2-3', '-5']) {
    t.equal(parsePortRange(text), undefined, text)
  }
})
