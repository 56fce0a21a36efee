import t from 'tap'
import { readTraceId } from '../../lib/telemetry/trace-id.ts'

const ID = '0af7651916cd43dd8448eb211c80319c'

t.test('the trace id of a traceparent field, if it is one', async (t) => {
  t.equal(readTraceId(`00-${ID}-b7ad6b7169203331-01`), ID)
  t.equal(readTraceId(`cc-${ID}-b7ad6b7169203331-01-what-the-future-brings`), ID)
  for (const text of [
    undefined,
    '',
    `ff-${ID}-b7ad6b7169203331-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-${ID}-${'0'.repeat(16)}-01`,
    `00-${ID.toUpperCase()}-b7ad6b7169203331-01`,
    `00-${ID}-b7ad6b7169203331`,
    `00-${ID}-b7ad6b7169203331-01x`,
    `00-${ID.slice(1)}-b7ad6b7169203331-01`,
  ]) {
    t.equal(readTraceId(text), undefined, String(text))
  }
})
