import t from 'tap'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'
import type { EndpointData, TrafficFigures } from '../../lib/workers/message.ts'
import { Tally } from '../../lib/workers/tally.ts'
import { makeRecord } from '../telemetry/make-record.ts'

function figures(endpoints: readonly Partial<EndpointData>[], requests = 0): TrafficFigures {
  const counts = new RequestCounts()
  for (let index = 0; index < requests; index++) counts.observe(makeRecord())
  return {
    counts: counts.take(),
    endpoints: endpoints.map((each) => ({
      identity: {
        key: 'http 127.0.0.1 3000',
        upstream: 'default/web:80',
        host: '127.0.0.1',
        port: 3000,
      },
      inFlight: 0,
      requests: 0,
      failures: 0,
      answers: 0,
      failuresInRow: 0,
      lastFailure: undefined,
      ...each,
    })),
    circuits: [],
    logLinesDropped: 1,
    inFlight: 0,
    tunnels: 0,
    streams: 0,
    queued: [],
    memory: { heap_used: 0, heap_total: 0, external: 0, array_buffers: 0 },
    loopDelay: { p50: 0, p99: 0, max: 0 },
    buffered: { memory: 0, file: 0 },
    connections: { http: 0, https: 0 },
    residentBytes: 0,
    heapBytes: 0,
    cpuSeconds: 0,
  }
}

t.test('figures of workers are added up, and those of a dead one still count', async (t) => {
  const counts = new RequestCounts()
  const tally = new Tally(counts)
  const [one, two] = [{}, {}]
  tally.add(
    one,
    figures([{ inFlight: 2, requests: 5, failures: 1, lastFailure: { code: 'PORTICO_UP_RESET', at: 10 } }], 3),
  )
  tally.add(two, figures([{ inFlight: 1, requests: 4, lastFailure: { code: 'PORTICO_UP_NO_ENDPOINTS', at: 9 } }], 4))
  tally.add(one, figures([{ inFlight: 3, requests: 1 }]))
  t.match(
    [...tally.endpoints()],
    [{ inFlight: 4, requests: 10, failures: 1, lastFailure: { error: { code: 'PORTICO_UP_RESET' }, at: 10 } }],
  )
  tally.forget(one)
  t.match([...tally.endpoints()], [{ inFlight: 1, requests: 10, failures: 1 }])
  t.equal(tally.logLinesDropped, 3)
  const [series] = counts.series()
  t.equal(series?.requests.get('GET')?.get(200), 7)
})

t.test('failures in a row are those of all workers, until one of them is answered', async (t) => {
  const tally = new Tally(new RequestCounts())
  const [one, two] = [{}, {}]
  const row = () => [...tally.endpoints()][0]?.failuresInRow
  tally.add(one, figures([{ requests: 3, failures: 3, failuresInRow: 3 }]))
  tally.add(two, figures([{ requests: 2, failures: 2, failuresInRow: 2 }]))
  t.equal(row(), 5)
  tally.add(two, figures([{ requests: 1, inFlight: 1, failuresInRow: 2 }]))
  t.equal(row(), 5, 'what is under way says nothing')
  tally.add(one, figures([{ requests: 2, failures: 1, answers: 1, failuresInRow: 1 }]))
  t.equal(row(), 1)
  tally.add(two, figures([{ answers: 1 }]))
  t.equal(row(), 0)
})

t.test('an endpoint that is gone is let go of when nothing is under way there', async (t) => {
  const tally = new Tally(new RequestCounts())
  const worker = {}
  tally.add(worker, figures([{ inFlight: 1, requests: 1 }]))
  tally.retain(new Set())
  t.equal([...tally.endpoints()].length, 1)
  tally.add(worker, figures([{ inFlight: 0 }]))
  tally.retain(new Set(['http 127.0.0.1 3000']))
  t.equal([...tally.endpoints()].length, 1)
  tally.retain(new Set())
  t.same([...tally.endpoints()], [])
})
