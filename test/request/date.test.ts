import t from 'tap'
import { printDate } from '../../lib/request/date.ts'

t.test('the date is that of the second', async (t) => {
  t.equal(printDate(0), 'Thu, 01 Jan 1970 00:00:00 GMT')
  t.equal(printDate(1_700_000_000_999), 'Tue, 14 Nov 2023 22:13:20 GMT')
  t.equal(printDate(1_700_000_001_000), 'Tue, 14 Nov 2023 22:13:21 GMT')
  t.equal(printDate(999), 'Thu, 01 Jan 1970 00:00:00 GMT', 'also when the clock was set back')
})
