/** The metrics of endpoints: what they count, and how many series there can be. */
import t from 'tap'
import { type EndpointFigures, EndpointMetrics } from '../../lib/telemetry/endpoint-metrics.ts'
import { createMetrics } from '../../lib/telemetry/metrics.ts'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'

function figures(port: number, counts: Partial<EndpointFigures> = {}): EndpointFigures {
  const identity = { upstream: 'default/web:80', host: '10.0.0.1', port }
  return { identity, inFlight: 0, requests: 0, failures: 0, failuresInRow: 0, lastFailure: undefined, ...counts }
}

t.test('beyond the limit endpoints are added up, and an endpoint with a series keeps it', async (t) => {
  const metrics = new EndpointMetrics(2)
  const ports = (all: readonly EndpointFigures[]) => metrics.sample(all).map(({ endpoint }) => endpoint)
  t.same(ports([figures(1), figures(2)]), ['10.0.0.1:1', '10.0.0.1:2'])
  t.same(ports([figures(3), figures(1), figures(2), figures(4)]), ['10.0.0.1:1', '10.0.0.1:2', 'others'])
  t.same(
    ports([figures(3), figures(2), figures(4)]),
    ['10.0.0.1:2', '10.0.0.1:3', 'others'],
    'the place of one that went',
  )
  const counted = [1, 2, 3, 4].map((port) => figures(port, { requests: port, failures: 1, inFlight: 2 }))
  t.same(new EndpointMetrics(2).sample(counted).at(-1), {
    upstream: 'others',
    endpoint: 'others',
    requests: 7,
    failures: 2,
    inFlight: 4,
  })
})

t.test('an address that several names lead to, or that is spoken to in several ways, is one series', async (t) => {
  const spoken = (identity: Partial<EndpointFigures['identity']>, requests: number): EndpointFigures => {
    const base = figures(443, { requests })
    return { ...base, identity: { ...base.identity, ...identity } }
  }
  const all = [spoken({}, 1), spoken({}, 2), spoken({ name: 'a.test' }, 4), figures(80)]
  t.match(new EndpointMetrics(10).sample(all), [
    { endpoint: '10.0.0.1:443', requests: 7 },
    { endpoint: '10.0.0.1:80', requests: 0 },
  ])
})

t.test('an endpoint has series of requests, failures and requests under way', async (t) => {
  const metrics = createMetrics({ counts: new RequestCounts(), endpointSeries: 10 })
  metrics.watch({
    requestsInFlight: () => 0,
    connections: () => [],
    endpoints: () => [figures(80, { requests: 5, failures: 1, inFlight: 2 })],
  })
  const text = await metrics.text()
  const labels = '{upstream="default/web:80",endpoint="10.0.0.1:80"}'
  t.match(text, `portico_endpoint_requests_total${labels} 5`)
  t.match(text, `portico_endpoint_failures_total${labels} 1`)
  t.match(text, `portico_endpoint_requests_in_flight${labels} 2`)
})
