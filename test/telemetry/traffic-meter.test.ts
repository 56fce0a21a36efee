/** Rates of seconds and durations of a minute, by route and endpoint, in bounded memory. */
import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import { trafficView } from '../../lib/report/traffic-view.ts'
import { findPercentile, type TrafficData, TrafficMeter } from '../../lib/telemetry/traffic-meter.ts'
import { makeLabels, makeRecord } from './make-record.ts'

const NOW = 1_700_000_000_000

function view(workers: readonly TrafficData[], limit = 1000) {
  return trafficView({ workers, endpoints: [], inFlight: 3, now: NOW, limit })
}

t.test('rates are of the last five seconds, durations of the last minute, counts of all time', (t) => {
  const meter = new TrafficMeter()
  const labels = makeLabels()
  for (let second = 0; second < 10; second++) {
    for (let count = 0; count < 10; count++) {
      const isBad = count === 0
      const status = isBad ? 503 : 200
      meter.observe(makeRecord({ labels, startedAt: NOW + second * 1000, durationMs: count < 9 ? 10 : 500, status }))
    }
  }
  const now = NOW + 10_000
  const { routes, endpoints, requests } = view([deserialize(serialize(meter.read(now)))])
  t.equal(requests, 100)
  t.match(routes, [{ host: 'shop.test', path: '/api', rate: 10, failure_rate: 1, failures: 10 }])
  t.same(routes[0]!.status, { '2xx': 90, '5xx': 10 })
  const { p50, p90, p99 } = routes[0]!.duration_ms!
  t.match(routes, [{ refusal_rate: 0 }])
  t.ok(p50 > 8 && p50 < p90 && p90 < 12.5 && p99 >= 500 && p99 < 625, JSON.stringify({ p50, p90, p99 }))
  t.match(endpoints, [{ service: 'default/api:80', endpoint: '10.1.1.1:80', rate: 10 }])
  t.match(view([meter.read(now + 3_000)]).routes, [{ rate: 4 }], 'two of the last five seconds had requests')
  t.match(view([meter.read(now + 20_000)]).routes, [{ rate: 0, requests: 100, duration_ms: { p50 } }])
  const later = view([meter.read(now + 100_000)]).routes[0]!
  t.equal(later.requests, 100)
  t.equal(later.duration_ms, undefined)
  t.end()
})

t.test('answers 4xx have a rate of their own, and are no failures', (t) => {
  const meter = new TrafficMeter()
  for (let second = 0; second < 6; second++) {
    for (const status of [200, 403, 404])
      meter.observe(makeRecord({ labels: makeLabels(), startedAt: NOW + second * 1000, status }))
  }
  const { routes, refusal_rate: refused } = view([deserialize(serialize(meter.read(NOW + 6_000)))])
  t.match(routes, [{ rate: 3, refusal_rate: 2, failure_rate: 0, failures: 0 }])
  t.equal(refused, 2)
  t.end()
})

t.test('several figures of one endpoint add up to one row', (t) => {
  const figures = (upstream: string, name: string, count: number) => ({
    identity: { upstream, host: '10.1.1.1', port: 80, name },
    ...{ inFlight: count, requests: 10 * count, failures: count, failuresInRow: 0, lastFailure: undefined },
  })
  const endpoints = [
    figures('default/api:80', 'a.test', 1),
    figures('default/api:80', 'b.test', 2),
    figures('default/api:80 (external)', 'a.test', 4),
  ]
  const meter = new TrafficMeter()
  meter.observe(makeRecord({ labels: makeLabels(), startedAt: NOW }))
  const rows = trafficView({ workers: [meter.read(NOW)], endpoints, inFlight: 0, now: NOW, limit: 10 }).endpoints
  t.match(rows, [{ service: 'default/api:80', endpoint: '10.1.1.1:80', requests: 70, failures: 7, in_flight: 7 }])
  t.equal(rows.length, 1)
  t.end()
})

t.test('workers add up', (t) => {
  const meters = [new TrafficMeter(), new TrafficMeter()]
  for (const [index, meter] of meters.entries()) {
    // Each process has labels of its own.
    const labels = makeLabels()
    for (let count = 0; count <= index; count++)
      meter.observe(makeRecord({ labels, startedAt: NOW - 1500, durationMs: 10 }))
  }
  const seen = view(meters.map((meter) => meter.read(NOW)))
  t.match(seen, { requests: 3, rate: 0.6, in_flight: 3, routes: [{ requests: 3 }], endpoints: [{ requests: 3 }] })
  t.end()
})

t.test('answers that broke off have failed; those whose client went away have not; tunnels have no duration', (t) => {
  const meter = new TrafficMeter()
  const startedAt = NOW - 1500
  meter.observe(makeRecord({ startedAt, status: 200, error: 'PORTICO_UP_TRUNCATED' }))
  meter.observe(makeRecord({ startedAt, status: 499, error: 'PORTICO_REQ_ABORTED' }))
  meter.observe(makeRecord({ startedAt, status: 101, tunnel: true, durationMs: 90_000 }))
  const { total } = meter.read(NOW + 90_000)
  t.match(total, { requests: 3, failures: 1 })
  t.end()
})

t.test('10,000 routes: the busiest are told', (t) => {
  const meter = new TrafficMeter()
  for (let index = 0; index < 10_000; index++) {
    const route = `default/shop|h${index}.test|Prefix /`
    const labels = makeLabels({ route, upstream: `default/s${index % 100}:80` })
    const times = index % 1000 === 0 ? 5 : 1
    for (let count = 0; count < times; count++)
      meter.observe(makeRecord({ labels, startedAt: NOW - 1500, durationMs: 1 }))
  }
  const data = meter.read(NOW)
  t.equal(data.routes.length, 1000)
  t.equal(data.omitted, 9000)
  const seen = view([data], 20)
  t.equal(seen.routes.length, 20)
  t.same(
    seen.routes.slice(0, 10).map(({ requests }) => requests),
    Array(10).fill(5),
  )
  t.equal(seen.omitted, 9980 + 80)
  t.end()
})

t.test('routes that are gone make room for others', (t) => {
  const meter = new TrafficMeter()
  const first = makeLabels({ route: 'default/shop|first.test|Prefix /' })
  meter.observe(makeRecord({ labels: first, startedAt: NOW, durationMs: 1 }))
  for (let index = 0; index < 20_000; index++) {
    const labels = makeLabels({ route: `default/shop|h${index}.test|Prefix /` })
    meter.observe(makeRecord({ labels, startedAt: NOW + 1, durationMs: 1 }))
  }
  const later = NOW + 200_000
  meter.observe(
    makeRecord({ labels: makeLabels({ route: 'default/shop|new.test|Prefix /' }), startedAt: later, durationMs: 1 }),
  )
  t.same(
    meter.read(later + 1).routes.map(({ labels }) => labels?.route),
    ['default/shop|new.test|Prefix /'],
  )
  meter.observe(makeRecord({ labels: first, startedAt: later, durationMs: 1 }))
  t.equal(meter.read(later + 1).routes.length, 2, 'one that comes again is measured again')
  t.end()
})

t.test('percentiles', (t) => {
  t.equal(findPercentile([], 0.5), undefined)
  t.equal(findPercentile([0, 0], 0.5), undefined)
  const meter = new TrafficMeter()
  for (let ms = 1; ms <= 1000; ms++) meter.observe(makeRecord({ startedAt: NOW - ms, durationMs: ms }))
  const { durations } = meter.read(NOW).total
  for (const part of [0.1, 0.5, 0.9, 0.99]) {
    const found = findPercentile(durations, part)!
    t.ok(found >= part * 1000 * 0.99 && found <= part * 1000 * 1.26, `${part}: ${found}`)
  }
  t.end()
})
