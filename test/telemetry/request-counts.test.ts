/** Counts that go from one process to another: taken once, added once, nothing lost. */
import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import { createMetrics } from '../../lib/telemetry/metrics.ts'
import { type CountsData, RequestCounts } from '../../lib/telemetry/request-counts.ts'
import { makeLabels, makeRecord } from './make-record.ts'

/** As a message of another process. */
function send(counts: CountsData): CountsData {
  return deserialize(serialize(counts))
}

t.test('counts of several processes add up as if one had counted', async (t) => {
  const records = [
    makeRecord(),
    makeRecord({ method: 'POST', status: 201, durationMs: 70_000 }),
    makeRecord({ status: 502, error: 'PORTICO_UP_RESET' }),
    makeRecord({ status: 404, labels: undefined, error: 'PORTICO_REQ_NO_ROUTE' }),
  ]
  const alone = new RequestCounts()
  const together = new RequestCounts()
  const processes = [new RequestCounts(), new RequestCounts()]
  for (let round = 0; round < 3; round++) {
    for (const [index, record] of records.entries()) {
      alone.observe(record)
      processes[index % 2]?.observe(record)
    }
    for (const each of processes) together.add(send(each.take()))
  }
  const lines = async (counts: RequestCounts) =>
    (await createMetrics({ counts }).text()).split('\n').filter((line) => /^portico_(request|upstream)/.test(line))
  t.same((await lines(together)).sort(), (await lines(alone)).sort())
  t.ok((await lines(alone)).length > 20)
})

t.test('counts are taken out once', async (t) => {
  const counts = new RequestCounts()
  counts.observe(makeRecord({ status: 502, error: 'PORTICO_UP_RESET' }))
  const first = counts.take()
  t.equal(first.series.length, 1)
  t.same([...first.errors], [['PORTICO_UP_RESET', 1]])
  counts.countConnection('a', 'failed')
  t.same([...counts.take().connections], [['a', new Map([['failed', 1]])]])
  counts.countBytes('a', { bytesIn: 1, bytesOut: 2 })
  counts.countBytes('a', { bytesIn: 3, bytesOut: 4 })
  const moved = new RequestCounts()
  moved.add(counts.take())
  t.same([...moved.bytes], [['a', { bytesIn: 4, bytesOut: 6 }]])
  counts.countContained('lane')
  const contained = new RequestCounts()
  contained.add(counts.take())
  t.same([...contained.contained], [['lane', 1]])
  t.match(await createMetrics({ counts: contained }).text(), 'portico_contained_errors_total{where="lane"} 1\n')
  t.same(counts.take(), {
    series: [],
    errors: new Map(),
    connections: new Map(),
    mirrored: new Map(),
    bytes: new Map(),
    contained: new Map(),
    filtered: new Map(),
    handshakes: new Map(),
    handshakeFailures: new Map(),
  })
  counts.observe(makeRecord())
  t.match(counts.take().series, [{ duration: { counts: Array }, requests: new Map([['GET', new Map([[200, 1]])]]) }])
})

t.test('routes beyond the limit stay together on the way', async (t) => {
  const counts = new RequestCounts()
  for (let index = 0; index < 10_005; index++)
    counts.observe(makeRecord({ labels: makeLabels({ ingress: `default/i${index}` }) }))
  const together = new RequestCounts()
  for (let turn = 0; turn < 2; turn++) together.add(send(counts.take()))
  const other = [...together.series()].find(({ ingress }) => ingress === 'other')
  t.equal(other?.requests.get('GET')?.get(200), 5)
})

t.test(
  'connections are counted by listener and by what became of them, those of too many listeners together',
  async (t) => {
    const counts = new RequestCounts()
    for (let index = 0; index < 10_005; index++) counts.countConnection(`listener ${index}`, 'served')
    for (let turn = 0; turn < 2; turn++) counts.countConnection('listener 0', 'refused_source')
    const together = new RequestCounts()
    together.add(send(counts.take()))
    together.add(send(counts.take()))
    t.equal(together.connections.size, 10_001)
    t.same(together.connections.get('other'), new Map([['served', 5]]))
    const text = await createMetrics({ counts: together }).text()
    t.match(text, 'portico_listener_connections_total{listener="listener 0",result="served"} 1\n')
    t.match(text, 'portico_listener_connections_total{listener="listener 0",result="refused_source"} 2\n')
  },
)

t.test('copies of requests are counted by mirror and result, on their way too', async (t) => {
  const counts = new RequestCounts()
  for (const result of ['2xx', '2xx', 'cut'] as const) counts.countMirrored('default/next:80', result)
  const together = new RequestCounts()
  for (let turn = 0; turn < 2; turn++) together.add(send(counts.take()))
  const text = await createMetrics({ counts: together }).text()
  t.match(text, 'portico_mirrored_requests_total{service="default/next:80",result="2xx"} 2\n')
  t.match(text, 'portico_mirrored_requests_total{service="default/next:80",result="cut"} 1\n')
})
