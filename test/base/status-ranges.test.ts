import t from 'tap'
import { includesStatus, parseStatusRanges } from '../../lib/base/status-ranges.ts'

t.test('ranges and single statuses, by commas', async (t) => {
  const ranges = parseStatusRanges('200-204, 301,401')!
  t.same(
    [199, 200, 204, 205, 301, 401, 402].map((status) => includesStatus(ranges, status)),
    [false, true, true, false, true, true, false],
  )
})

t.test('a text that is no list or range is refused', async (t) => {
  for (const text of ['', '99', '600', '200-', '-200', '300-200', '200;201', '2xx', '200-299,']) {
    t.equal(parseStatusRanges(text), undefined, text)
  }
})
