/** The text of the metrics: the counts and their labels, to which no client can add. */
import t from 'tap'
import {
  chooseMetricsForm,
  createMetrics as createMetricsOf,
  type MetricsOptions,
} from '../../lib/telemetry/metrics.ts'
import type { RequestFacts } from '../../lib/telemetry/record.ts'
import { RequestCounts, type RequestCountsOptions } from '../../lib/telemetry/request-counts.ts'
import { makeLabels, makeRecord } from './make-record.ts'

function createMetrics(options: Omit<MetricsOptions, 'counts'> = {}, counting: RequestCountsOptions = {}) {
  const counts = new RequestCounts(counting)
  const observe = (record: Parameters<RequestCounts['observe']>[0], facts?: RequestFacts) =>
    counts.observe(record, facts)
  return { ...createMetricsOf({ counts, ...options }), counts, observe }
}

/** Samples of one metric, as they are in the text. */
function pick(text: string, name: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
}

t.test('requests are counted by route, method and status', async (t) => {
  const metrics = createMetrics()
  metrics.observe(makeRecord())
  metrics.observe(makeRecord())
  metrics.observe(makeRecord({ method: 'POST', status: 201 }))
  metrics.observe(makeRecord({ status: 404, labels: undefined, error: 'PORTICO_REQ_NO_ROUTE' }))
  const text = await metrics.text()
  t.same(pick(text, 'portico_requests_total'), [
    'portico_requests_total{ingress="default/shop",service="default/api:80",method="GET",status="200"} 2',
    'portico_requests_total{ingress="default/shop",service="default/api:80",method="POST",status="201"} 1',
    'portico_requests_total{ingress="",service="",method="GET",status="404"} 1',
  ])
  t.match(text, /^# TYPE portico_requests_total counter$/m)
})

t.test('durations are histograms with cumulative buckets, in seconds', async (t) => {
  const metrics = createMetrics()
  for (const durationMs of [0.5, 1, 30, 70_000]) metrics.observe(makeRecord({ durationMs, upstreamMs: undefined }))
  const text = await metrics.text()
  const labels = 'ingress="default/shop",service="default/api:80"'
  t.same(
    pick(text, 'portico_request_duration_seconds_bucket').map((line) => line.replace(/^.*le="(.*)"} (.*)$/, '$1 $2')),
    [
      ...['0.001 2', '0.0025 2', '0.005 2', '0.01 2', '0.025 2', '0.05 3', '0.1 3', '0.25 3', '0.5 3', '1 3'],
      ...['2.5 3', '5 3', '10 3', '30 3', '60 3', '+Inf 4'],
    ],
  )
  t.same(pick(text, 'portico_request_duration_seconds_sum'), [
    `portico_request_duration_seconds_sum{${labels}} 70.0315`,
  ])
  t.same(pick(text, 'portico_request_duration_seconds_count'), [`portico_request_duration_seconds_count{${labels}} 4`])
  t.same(pick(text, 'portico_upstream_response_seconds_count'), [])
})

t.test('a tunnel counts as a request, but its time does not', async (t) => {
  const metrics = createMetrics()
  metrics.observe(makeRecord({ tunnel: true, status: 101, durationMs: 3_600_000 }))
  const text = await metrics.text()
  t.equal(pick(text, 'portico_requests_total').length, 1)
  t.equal(pick(text, 'portico_request_duration_seconds_count').length, 0)
})

t.test('tries beyond the first are counted by reason and result', async (t) => {
  const metrics = createMetrics()
  metrics.observe(makeRecord({ retries: [{ reason: 'reset', result: 'answered' }] }))
  metrics.observe(
    makeRecord({
      retries: [
        { reason: 'connect-failure', result: 'failed' },
        { reason: 'reset', result: 'answered' },
      ],
    }),
  )
  const another = new RequestCounts()
  another.observe(makeRecord({ retries: [{ reason: 'timeout', result: 'over-budget' }] }))
  metrics.counts.add(another.take())
  metrics.counts.add(another.take())
  const labels = 'ingress="default/shop",service="default/api:80"'
  t.same(pick(await metrics.text(), 'portico_upstream_retries_total'), [
    `portico_upstream_retries_total{${labels},reason="reset",result="answered"} 2`,
    `portico_upstream_retries_total{${labels},reason="connect-failure",result="failed"} 1`,
    `portico_upstream_retries_total{${labels},reason="timeout",result="over-budget"} 1`,
  ])
})

t.test('circuits that are not closed are told', async (t) => {
  const metrics = createMetrics()
  t.same(pick(await metrics.text(), 'portico_upstream_circuit'), [])
  metrics.watch({
    requestsInFlight: () => 0,
    connections: () => [],
    circuits: () => [{ upstream: 'default/api:80', state: 'open', count: 2 }],
  })
  t.same(pick(await metrics.text(), 'portico_upstream_circuit'), [
    'portico_upstream_circuit{service="default/api:80",state="open"} 2',
  ])
})

t.test('errors are counted by code; those of upstreams by service too', async (t) => {
  const metrics = createMetrics()
  metrics.observe(makeRecord({ status: 502, error: 'PORTICO_UP_RESET' }))
  metrics.observe(makeRecord({ status: 400, error: 'PORTICO_REQ_BAD_PATH' }))
  const text = await metrics.text()
  t.same(pick(text, 'portico_request_errors_total'), [
    'portico_request_errors_total{code="PORTICO_UP_RESET"} 1',
    'portico_request_errors_total{code="PORTICO_REQ_BAD_PATH"} 1',
  ])
  t.same(pick(text, 'portico_upstream_errors_total'), [
    'portico_upstream_errors_total{ingress="default/shop",service="default/api:80",code="PORTICO_UP_RESET"} 1',
  ])
})

t.test('AD-11, OV-11 nothing a client sends becomes a label', async (t) => {
  const metrics = createMetrics()
  for (let index = 0; index < 500; index++) {
    const authority = `evil-${index}.test`
    metrics.observe(makeRecord({ method: `EVIL${index}`, target: `/evil/${index}`, authority, userAgent: authority }))
  }
  const text = await metrics.text()
  t.notMatch(text, /evil/i)
  t.same(pick(text, 'portico_requests_total'), [
    'portico_requests_total{ingress="default/shop",service="default/api:80",method="other",status="200"} 500',
  ])
})

t.test('routes beyond the limit are counted together', async (t) => {
  const metrics = createMetrics()
  for (let index = 0; index < 10_005; index++)
    metrics.observe(makeRecord({ labels: makeLabels({ ingress: `default/i${index}` }) }))
  const text = await metrics.text()
  t.equal(pick(text, 'portico_requests_total').length, 10_001)
  t.match(text, 'portico_requests_total{ingress="other",service="other",method="GET",status="200"} 5')
})

t.test('reloads, and the content of the present configuration', async (t) => {
  const metrics = createMetrics()
  t.match(await metrics.text(), /^portico_config_last_reload_successful 1$/m)
  metrics.reload(true, {
    at: 1_700_000_000_000,
    routes: 12,
    diagnostics: { error: 1, warning: 2, info: 3 },
    certificates: [{ host: '*.shop.test', secret: 'default/shop-tls', notAfter: 1_800_000_000_000 }],
  })
  metrics.reload(false)
  const text = await metrics.text()
  for (const line of [
    'portico_config_reloads_total{result="success"} 1',
    'portico_config_reloads_total{result="failure"} 1',
    'portico_config_last_reload_successful 0',
    'portico_config_last_reload_success_timestamp_seconds 1700000000',
    'portico_routes 12',
    'portico_diagnostics{severity="warning"} 2',
    'portico_certificate_expiry_timestamp_seconds{host="*.shop.test",secret="default/shop-tls"} 1800000000',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
})

t.test('live figures are asked for at each scrape', async (t) => {
  const metrics = createMetrics({ version: '1.2.3' })
  let inFlight = 3
  metrics.watch({
    requestsInFlight: () => inFlight,
    tunnelsOpen: () => 1,
    buffered: () => ({ memory: 20, file: 21 }),
    connections: () => [['http', 4] as const, ['https', 5] as const],
    logLinesDropped: () => 6,
    workers: () => [
      {
        worker: 2,
        isUp: true,
        restarts: 7,
        generation: 8,
        residentBytes: 9,
        heapBytes: 10,
        cpuSeconds: 1.5,
      },
    ],
  })
  const text = await metrics.text()
  for (const line of [
    'portico_requests_in_flight 3',
    'portico_tunnels_open 1',
    'portico_buffered_bytes{in="memory"} 20',
    'portico_buffered_bytes{in="file"} 21',
    'portico_connections{listener="https"} 5',
    'portico_log_lines_dropped_total 6',
    'portico_worker_up{worker="2"} 1',
    'portico_worker_restarts_total{worker="2"} 7',
    'portico_worker_generation{worker="2"} 8',
    'portico_worker_resident_memory_bytes{worker="2"} 9',
    'portico_worker_heap_bytes{worker="2"} 10',
    'portico_worker_cpu_seconds_total{worker="2"} 1.5',
    `portico_build_info{version="1.2.3",node="${process.version}"} 1`,
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  inFlight = 0
  t.match(await metrics.text(), /^portico_requests_in_flight 0$/m)
  t.match(text, /^process_cpu_seconds_total /m)
  t.match(text, /^nodejs_eventloop_lag_seconds /m)
})

t.test('label values are escaped', async (t) => {
  const metrics = createMetrics()
  metrics.reload(true, {
    at: 0,
    routes: 0,
    diagnostics: { error: 0, warning: 0, info: 0 },
    certificates: [{ host: 'a"b\nc', secret: 'd\\e', notAfter: 0 }],
  })
  t.match(await metrics.text(), 'portico_certificate_expiry_timestamp_seconds{host="a\\"b\\nc",secret="d\\\\e"} 0')
})

t.test(
  'a configuration that was not taken whole is a failure, and what is in force is told all the same',
  async (t) => {
    const metrics = createMetrics()
    const report = {
      at: 1_700_000_000_000,
      routes: 12,
      diagnostics: { error: 0, warning: 0, info: 0 },
      certificates: [],
    }
    metrics.reload(true, report)
    metrics.reload(false, { ...report, at: 1_800_000_000_000, routes: 13 })
    const text = await metrics.text()
    for (const line of [
      'portico_config_last_reload_successful 0',
      'portico_config_last_reload_success_timestamp_seconds 1700000000',
      'portico_routes 13',
    ]) {
      t.ok(text.split('\n').includes(line), line)
    }
  },
)

t.test('endpoints whose health is watched have series, so many and no more', async (t) => {
  const metrics = createMetrics({ endpointSeries: 2_000 })
  const health = Array.from({ length: 2_500 }, (_, index) => ({
    upstream: 'default/web:80',
    endpoint: `127.0.0.1:${index + 1}`,
    isHealthy: index > 0,
    ejections: index,
    successes: 2,
    failures: 1,
  }))
  metrics.watch({
    requestsInFlight: () => 0,
    connections: () => [],
    health: () => health,
    panics: () => [['default/web:80', 3]],
  })
  const text = await metrics.text()
  const labels = 'upstream="default/web:80",endpoint="127.0.0.1:1"'
  t.equal(pick(text, 'portico_endpoint_healthy')[0], `portico_endpoint_healthy{${labels}} 0`)
  t.equal(pick(text, 'portico_endpoint_healthy').length, 2_000)
  t.match(pick(text, 'portico_endpoint_ejections_total')[1], / 1$/)
  t.same(pick(text, 'portico_health_checks_total').slice(0, 2), [
    `portico_health_checks_total{${labels},result="success"} 2`,
    `portico_health_checks_total{${labels},result="failure"} 1`,
  ])
  t.same(pick(text, 'portico_upstream_panics_total'), ['portico_upstream_panics_total{upstream="default/web:80"} 3'])
})

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const traced = (id = TRACE): RequestFacts => ({
  tls: undefined,
  grpcStatus: undefined,
  traceId: id,
  field: () => undefined,
})

t.test('sizes of bodies are histograms; those of tunnels are left out', async (t) => {
  const metrics = createMetrics()
  metrics.observe(makeRecord({ bytesIn: 0, bytesOut: 300 }))
  metrics.observe(makeRecord({ bytesIn: 5_000, bytesOut: 2 ** 40 }))
  metrics.observe(makeRecord({ tunnel: true, bytesIn: 7, bytesOut: 7 }))
  const text = await metrics.text()
  const buckets = (name: string) =>
    pick(text, `${name}_bucket`).map((line) => line.replace(/^.*le="(.*)"} (.*)$/, '$1 $2'))
  t.same(buckets('portico_request_size_bytes').slice(0, 4), ['256 1', '1024 1', '4096 1', '16384 2'])
  t.same(buckets('portico_response_size_bytes').slice(0, 2), ['256 0', '1024 1'])
  t.same(buckets('portico_response_size_bytes').slice(-2), ['1073741824 1', '+Inf 2'])
})

t.test('by route, series have the label route, and are bounded', async (t) => {
  const metrics = createMetrics({}, { byRoute: true, maxSeries: 2 })
  for (const route of ['a', 'b', 'c', 'd']) metrics.observe(makeRecord({ labels: makeLabels({ route }) }))
  t.same(pick(await metrics.text(), 'portico_requests_total'), [
    'portico_requests_total{ingress="default/shop",service="default/api:80",route="a",method="GET",status="200"} 1',
    'portico_requests_total{ingress="default/shop",service="default/api:80",route="b",method="GET",status="200"} 1',
    'portico_requests_total{ingress="other",service="other",route="other",method="GET",status="200"} 2',
  ])
  const together = new RequestCounts({ byRoute: true, maxSeries: 2 })
  together.add(metrics.counts.take())
  t.match(await createMetricsOf({ counts: together }).text(), 'route="other",method="GET",status="200"} 2')
})

t.test(
  'OpenMetrics has exemplars with the trace id, one for each bucket and second, and the text format has none',
  async (t) => {
    const metrics = createMetrics()
    const at = 1_700_000_000_000
    metrics.observe(makeRecord({ startedAt: at }), traced())
    metrics.observe(makeRecord({ startedAt: at + 999 }), traced('1'.repeat(32)))
    metrics.observe(makeRecord({ startedAt: at, durationMs: 900 }), traced('2'.repeat(32)))
    metrics.observe(makeRecord({ startedAt: at, durationMs: 9000 }))
    const moved = new RequestCounts()
    moved.add(metrics.counts.take())
    const page = await createMetricsOf({ counts: moved }).text('openmetrics')
    const exemplars = pick(page, 'portico_request_duration_seconds_bucket').filter((line) => line.includes(' # '))
    t.same(
      exemplars.map((line) => line.replace(/^.*le=/, '')),
      [
        `"0.025"} 2 # {trace_id="${TRACE}"} 0.0123456 1700000000`,
        `"1"} 3 # {trace_id="${'2'.repeat(32)}"} 0.9 1700000000`,
      ],
    )
    const later = createMetrics()
    later.observe(makeRecord({ startedAt: at }), traced())
    later.observe(makeRecord({ startedAt: at + 1_000 }), traced('1'.repeat(32)))
    t.match(await later.text('openmetrics'), `trace_id="${'1'.repeat(32)}"`)
    t.notMatch(await later.text(), /trace_id/)
  },
)

t.test('OpenMetrics names counters without _total, and their samples with it', async (t) => {
  const metrics = createMetrics({ withNginxNames: true })
  metrics.observe(makeRecord())
  const page = await metrics.text('openmetrics')
  t.match(page, /^# TYPE portico_requests counter$/m)
  t.match(page, /^portico_requests_total\{.*\} 1$/m)
  t.match(page, /^# TYPE nginx_ingress_controller_requests unknown$/m)
  t.match(page, /^# TYPE process_cpu_user_seconds counter$/m)
  t.match(page, /\n# EOF\n$/)
  const text = await metrics.text()
  t.match(text, /^# TYPE portico_requests_total counter$/m)
  t.match(text, /^# TYPE process_cpu_user_seconds_total counter$/m)
})

t.test('the form is chosen by Accept', async (t) => {
  const prometheus =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
  t.equal(chooseMetricsForm(prometheus), 'openmetrics')
  for (const accept of [undefined, '', '*/*', 'text/plain;version=0.0.4', 'application/openmetrics-text;q=0']) {
    t.equal(chooseMetricsForm(accept), 'text', accept ?? 'none')
  }
})

t.test('handshakes, filters, queues, streams and workers', async (t) => {
  const metrics = createMetrics()
  metrics.counts.countHandshake('TLSv1.3', false)
  metrics.counts.countHandshake('TLSv1.3', true)
  metrics.counts.countHandshakeFailure('plain_http')
  metrics.observe(makeRecord({ filter: 'basic-auth', status: 401, error: 'PORTICO_REQ_UNAUTHORIZED' }))
  metrics.observe(makeRecord({ filter: 'redirect', status: 308 }))
  metrics.watch({
    requestsInFlight: () => 0,
    connections: () => [],
    streams: () => 3,
    queued: () => [['default/web:80', 4]],
    workers: () => [
      {
        ...{ worker: 1, isUp: true, restarts: 0, generation: 1, residentBytes: 0, heapBytes: 0, cpuSeconds: 0 },
        memory: { heap_used: 1, heap_total: 2, external: 3, array_buffers: 4 },
        loopDelay: { p50: 0.001, p99: 0.01, max: 0.1 },
      },
    ],
  })
  const lines = (await metrics.text()).split('\n')
  for (const line of [
    'portico_tls_handshakes_total{version="TLSv1.3",kind="full"} 1',
    'portico_tls_handshakes_total{version="TLSv1.3",kind="resumed"} 1',
    'portico_tls_handshake_failures_total{reason="plain_http"} 1',
    'portico_filter_answers_total{filter="basic-auth",result="refused"} 1',
    'portico_filter_answers_total{filter="redirect",result="answered"} 1',
    'portico_http2_streams_open 3',
    'portico_upstream_queued_requests{service="default/web:80"} 4',
    'portico_worker_memory_bytes{worker="1",kind="external"} 3',
    'portico_worker_event_loop_delay_seconds{worker="1",stat="p99"} 0.01',
  ]) {
    t.ok(lines.includes(line), line)
  }
})

t.test('names of ingress-nginx are there where they are wanted', async (t) => {
  const metrics = createMetrics({ withNginxNames: true }, { byRoute: true })
  metrics.observe(makeRecord())
  metrics.reload(true, {
    at: 1_700_000_000_000,
    routes: 1,
    diagnostics: { error: 0, warning: 0, info: 0 },
    certificates: [{ host: 'shop.test', secret: 'default/shop-tls', notAfter: 1_800_000_000_000 }],
  })
  metrics.watch({ requestsInFlight: () => 0, connections: () => [['http', 2] as const, ['https', 3] as const] })
  const text = await metrics.text()
  const controller = 'controller_class="k8s.io/ingress-nginx",controller_namespace="",controller_pod="portico"'
  const where = `${controller},namespace="default",ingress="shop",service="api",canary="",host="shop.test",path="/api"`
  for (const line of [
    `nginx_ingress_controller_requests{${where},method="GET",status="200"} 1`,
    `nginx_ingress_controller_request_duration_seconds_count{${where}} 1`,
    `nginx_ingress_controller_config_last_reload_successful{${controller}} 1`,
    `nginx_ingress_controller_config_last_reload_successful_timestamp_seconds{${controller}} 1700000000`,
    `nginx_ingress_controller_ssl_expire_time_seconds{${controller},host="shop.test",namespace="default",secret_name="shop-tls"} 1800000000`,
    `nginx_ingress_controller_nginx_process_connections{${controller},state="active"} 5`,
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  t.notMatch(await createMetrics().text(), /nginx_ingress/)
})
