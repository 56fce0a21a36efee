/**
 * The metrics of the gateway, in Prometheus' text format or as OpenMetrics. Label values come from configuration or a catalogue, never
 * from a client.
 */
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import type { Severity } from '../base/diagnostics.ts'
import { type EndpointFigures, EndpointMetrics, type EndpointSample } from './endpoint-metrics.ts'
import { listNginxMetrics } from './nginx-metrics.ts'
import type { ByteCounts, RequestCounts } from './request-counts.ts'
import type { RequestSeries } from './request-series.ts'
import { histogramSamples, type Sample } from './sample.ts'

/** The configuration after a reload. */
export type ReloadReport = Readonly<{
  /** Milliseconds since the epoch. */
  at: number
  routes: number
  diagnostics: Readonly<Record<Severity, number>>
  /** `notAfter` in milliseconds since the epoch. */
  certificates: readonly Readonly<{ host: string; secret: string; notAfter: number }>[]
}>

/** Bytes of memory that V8 holds, by what for. */
export type MemoryKinds = Readonly<Record<'heap_used' | 'heap_total' | 'external' | 'array_buffers', number>>

/** How late the event loop was in the last second, in seconds. */
export type LoopDelay = Readonly<{ p50: number; p99: number; max: number }>

/** One process that carries traffic. */
export type WorkerFigures = Readonly<{
  worker: number
  isUp: boolean
  /** How many times another process has replaced it. */
  restarts: number
  generation: number
  residentBytes: number
  heapBytes: number
  /** Undefined before it has told. */
  memory?: MemoryKinds | undefined
  loopDelay?: LoopDelay | undefined
  /** User and system time, with that of the processes it replaced. */
  cpuSeconds: number
}>

/** The health of one endpoint: results of its checks, and the number of its ejections. */
export type HealthFigures = Readonly<{
  upstream: string
  endpoint: string
  isHealthy: boolean
  ejections: number
  successes: number
  failures: number
}>
/** The number of processes in which the circuit of an upstream is in a state; closed circuits are left out. */
export type CircuitFigures = Readonly<{ upstream: string; state: string; count: number }>

/** Bytes of the bodies that are buffered at this moment. */
export type BufferedBytes = Readonly<{ memory: number; file: number }>

/** Figures held elsewhere and read at each scrape. */
export type LiveFigures = {
  requestsInFlight: () => number
  tunnelsOpen?: () => number
  buffered?: () => BufferedBytes
  /** Requests of HTTP/2 under way. */
  streams?: () => number
  /** Requests that wait for a place, by upstream. */
  queued?: () => Iterable<readonly [upstream: string, count: number]>
  /** Open client connections by listener. */
  connections: () => Iterable<readonly [listener: string, count: number]>
  logLinesDropped?: () => number
  endpoints?: () => Iterable<EndpointFigures>
  circuits?: () => Iterable<CircuitFigures>
  /** Absent or empty if the process itself carries the traffic. */
  workers?: () => readonly WorkerFigures[]
  /** The health of each endpoint that is watched. */
  health?: () => Iterable<HealthFigures>
  /** The number of panics, by upstream. */
  panics?: () => Iterable<readonly [upstream: string, count: number]>
  /** Questions of DNS clients, by type and RCODE; both come from short lists. */
  dnsRequests?: () => Iterable<Readonly<{ type: string; code: string; count: number }>>
}

export type Metrics = {
  /** Records a reload: `isOk` if it was accepted; `report` describes the new configuration, if it changed. */
  reload(isOk: boolean, report?: ReloadReport): void
  watch(figures: LiveFigures): void
  /** The text format of Prometheus unless told otherwise. */
  text(form?: MetricsForm): Promise<string>
  readonly contentType: string
}

/** OpenMetrics has exemplars besides. */
export type MetricsForm = 'text' | 'openmetrics'

export const OPENMETRICS_TYPE: string = Registry.OPENMETRICS_CONTENT_TYPE

/** The form that a scraper takes, by its Accept field: OpenMetrics where it names it. */
export function chooseMetricsForm(accept: string | undefined): MetricsForm {
  return /application\/openmetrics-text(?!\s*;[^,]*\bq=0(?:\.0*)?\s*(?:,|;|$))/.test(accept ?? '')
    ? 'openmetrics'
    : 'text'
}

export type MetricsOptions = {
  /** The counts of all processes together. */
  readonly counts: RequestCounts
  readonly version?: string
  /** Most endpoints with a series of their own; 0 if absent. */
  readonly endpointSeries?: number
  /** Metrics by the names of ingress-nginx besides. */
  readonly withNginxNames?: boolean
}

type LabelledBytes = readonly (readonly [labels: Readonly<Record<string, string>>, bytes: ByteCounts])[]

/** Gauges of prom-client left out: Prometheus takes them for counters by their names, and each is the sum of another metric. */
const NAMED_AS_COUNTERS = [
  'nodejs_active_resources_total',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
]

export function createMetrics(options: MetricsOptions): Metrics {
  const { counts, endpointSeries = 0, withNginxNames = false } = options
  const registry = createRegistry('text')
  const registries = new Map<MetricsForm, Registry>([['text', registry]])
  const definitions: Definition[] = []

  const reloads = { success: 0, failure: 0, isLastOk: true }
  let report: ReloadReport | undefined
  let takenAt: number | undefined
  let figures: LiveFigures | undefined

  const everySeries = () => [...counts.series()]

  function define(type: Definition['type'], name: string, help: string, samples: () => Sample[]): void {
    const definition = { type, name, help, samples }
    definitions.push(definition)
    for (const [form, each] of registries) register(each, form, definition)
  }

  define('counter', 'portico_requests_total', 'Requests that ended.', () =>
    everySeries().flatMap((each) =>
      [...each.requests].flatMap(([method, statuses]) =>
        [...statuses].map(([status, value]) => ({ labels: { ...labelsOf(each), method, status }, value })),
      ),
    ),
  )
  define(
    'histogram',
    'portico_request_duration_seconds',
    'Time from the request head to the end of the response; tunnels are left out.',
    () =>
      everySeries().flatMap((each) =>
        histogramSamples('portico_request_duration_seconds', labelsOf(each), each.duration),
      ),
  )
  define(
    'histogram',
    'portico_upstream_response_seconds',
    "Time from the request head to the upstream's response head.",
    () =>
      everySeries().flatMap((each) =>
        histogramSamples('portico_upstream_response_seconds', labelsOf(each), each.upstream),
      ),
  )
  define('histogram', 'portico_request_size_bytes', "Bytes of requests' bodies; tunnels are left out.", () =>
    everySeries().flatMap((each) => histogramSamples('portico_request_size_bytes', labelsOf(each), each.requestBytes)),
  )
  define('histogram', 'portico_response_size_bytes', "Bytes of answers' bodies; tunnels are left out.", () =>
    everySeries().flatMap((each) =>
      histogramSamples('portico_response_size_bytes', labelsOf(each), each.responseBytes),
    ),
  )
  const defineBytes = (name: string, help: string, list: () => LabelledBytes, read: (counts: ByteCounts) => number) =>
    define('counter', name, help, () => list().map(([labels, bytes]) => ({ labels, value: read(bytes) })))
  const ofServices = (): LabelledBytes => everySeries().map((each) => [labelsOf(each), each])
  defineBytes(
    'portico_request_body_bytes_total',
    'Body bytes received from clients, with all bytes of tunnels; counted when the request or tunnel ends.',
    ofServices,
    ({ bytesIn }) => bytesIn,
  )
  defineBytes(
    'portico_response_body_bytes_total',
    'Body bytes sent to clients, with all bytes of tunnels; counted when the request or tunnel ends.',
    ofServices,
    ({ bytesOut }) => bytesOut,
  )
  define('counter', 'portico_upstream_errors_total', 'Requests that failed at or before the upstream.', () =>
    everySeries().flatMap((each) =>
      [...each.upstreamErrors].map(([code, value]) => ({ labels: { ...labelsOf(each), code }, value })),
    ),
  )
  define(
    'counter',
    'portico_upstream_retries_total',
    'Tries beyond the first, by what the try before came to and what this one did.',
    () =>
      everySeries().flatMap((each) =>
        [...each.retries].map(([what, value]) => {
          const [reason = '', result = ''] = what.split(' ')
          return { labels: { ...labelsOf(each), reason, result }, value }
        }),
      ),
  )
  define(
    'counter',
    'portico_mirrored_requests_total',
    "Copies of requests to a mirror, by the class of its answer's status, or by why there is none.",
    () =>
      [...counts.mirrored].flatMap(([service, results]) =>
        [...results].map(([result, value]) => ({ labels: { service, result }, value })),
      ),
  )
  define('gauge', 'portico_upstream_circuit', 'Processes in which the circuit of a service is open or half-open.', () =>
    [...(figures?.circuits?.() ?? [])].map(({ upstream, state, count }) => ({
      labels: { service: upstream, state },
      value: count,
    })),
  )
  define('counter', 'portico_request_errors_total', 'Requests the gateway answered itself or cut, by error code.', () =>
    [...counts.errors].map(([code, value]) => ({ labels: { code }, value })),
  )
  define(
    'counter',
    'portico_filter_answers_total',
    'Requests that a filter refused, or answered itself, by filter.',
    () =>
      [...counts.filtered].flatMap(([filter, results]) =>
        [...results].map(([result, value]) => ({ labels: { filter, result }, value })),
      ),
  )
  define(
    'counter',
    'portico_tls_handshakes_total',
    'TLS handshakes with clients, by version and whether resumed.',
    () =>
      [...counts.handshakes].flatMap(([version, results]) =>
        [...results].map(([kind, value]) => ({ labels: { version, kind }, value })),
      ),
  )
  define('counter', 'portico_tls_handshake_failures_total', 'TLS handshakes with clients that failed, by reason.', () =>
    [...counts.handshakeFailures].map(([reason, value]) => ({ labels: { reason }, value })),
  )
  define(
    'counter',
    'portico_contained_errors_total',
    'Bugs that showed at one connection or request and cost that alone, by where they were caught.',
    () => [...counts.contained].map(([where, value]) => ({ labels: { where }, value })),
  )

  define(
    'counter',
    'portico_listener_connections_total',
    'Connections and UDP sessions by what became of them; at the HTTP and the HTTPS listener those that were refused.',
    () =>
      [...counts.connections].flatMap(([listener, results]) =>
        [...results].map(([result, value]) => ({ labels: { listener, result }, value })),
      ),
  )
  const ofListeners = (): LabelledBytes => [...counts.bytes].map(([listener, bytes]) => [{ listener }, bytes])
  defineBytes(
    'portico_listener_received_bytes_total',
    "Bytes received from clients at a Service's TCP or UDP port, HTTP aside; counted when the connection or session ends.",
    ofListeners,
    ({ bytesIn }) => bytesIn,
  )
  defineBytes(
    'portico_listener_sent_bytes_total',
    "Bytes sent to clients at a Service's TCP or UDP port, HTTP aside; counted when the connection or session ends.",
    ofListeners,
    ({ bytesOut }) => bytesOut,
  )
  define('gauge', 'portico_requests_in_flight', 'Requests, tunnels and connections of Services under way.', () =>
    figures ? [{ labels: {}, value: figures.requestsInFlight() }] : [],
  )
  define('gauge', 'portico_tunnels_open', 'Upgraded connections (WebSocket and others) under way.', () =>
    figures?.tunnelsOpen ? [{ labels: {}, value: figures.tunnelsOpen() }] : [],
  )
  define('gauge', 'portico_http2_streams_open', 'Requests of HTTP/2 under way.', () =>
    figures?.streams ? [{ labels: {}, value: figures.streams() }] : [],
  )
  define(
    'gauge',
    'portico_upstream_queued_requests',
    'Requests that wait for a place at an endpoint of a service.',
    () => [...(figures?.queued?.() ?? [])].map(([service, value]) => ({ labels: { service }, value })),
  )
  define('gauge', 'portico_buffered_bytes', 'Bytes of request bodies and answers that are buffered, by where.', () =>
    Object.entries(figures?.buffered?.() ?? {}).map(([place, value]) => ({ labels: { in: place }, value })),
  )
  define('gauge', 'portico_connections', 'Open client connections, and UDP sessions.', () =>
    figures ? [...figures.connections()].map(([listener, value]) => ({ labels: { listener }, value })) : [],
  )
  define('counter', 'portico_log_lines_dropped_total', 'Log lines that could not be written.', () =>
    figures?.logLinesDropped ? [{ labels: {}, value: figures.logLinesDropped() }] : [],
  )

  const endpoints = new EndpointMetrics(endpointSeries)
  /** The samples of the last scrape. */
  let endpointSamples: readonly EndpointSample[] = []
  const defineOfEndpoints = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    read: (sample: EndpointSample) => number,
  ) =>
    define(type, name, help, () =>
      endpointSamples.map((each) => ({
        labels: { upstream: each.upstream, endpoint: each.endpoint },
        value: read(each),
      })),
    )
  defineOfEndpoints(
    'counter',
    'portico_endpoint_requests_total',
    'Requests and connections given to an endpoint, tries included.',
    ({ requests }) => requests,
  )
  defineOfEndpoints(
    'counter',
    'portico_endpoint_failures_total',
    'Requests and connections that failed at an endpoint.',
    ({ failures }) => failures,
  )
  defineOfEndpoints(
    'gauge',
    'portico_endpoint_requests_in_flight',
    'Requests and tunnels under way at an endpoint.',
    ({ inFlight }) => inFlight,
  )

  define('counter', 'portico_dns_requests_total', 'Questions of DNS clients that were answered.', () =>
    [...(figures?.dnsRequests?.() ?? [])].map(({ type, code, count }) => ({
      labels: { type, rcode: code },
      value: count,
    })),
  )

  const workers = () => figures?.workers?.() ?? []
  const defineOfWorkers = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    read: (worker: WorkerFigures) => number,
  ) => define(type, name, help, () => workers().map((each) => ({ labels: { worker: each.worker }, value: read(each) })))
  defineOfWorkers('gauge', 'portico_worker_up', 'Whether a worker process carries traffic.', ({ isUp }) =>
    isUp ? 1 : 0,
  )
  defineOfWorkers(
    'counter',
    'portico_worker_restarts_total',
    'Worker processes that ended and were replaced.',
    ({ restarts }) => restarts,
  )
  defineOfWorkers(
    'gauge',
    'portico_worker_generation',
    'The configuration that a worker process has in force.',
    ({ generation }) => generation,
  )
  defineOfWorkers(
    'gauge',
    'portico_worker_resident_memory_bytes',
    'Resident memory of a worker process.',
    ({ residentBytes }) => residentBytes,
  )
  defineOfWorkers(
    'gauge',
    'portico_worker_heap_bytes',
    'Heap in use of a worker process.',
    ({ heapBytes }) => heapBytes,
  )
  define('gauge', 'portico_worker_memory_bytes', 'Memory that V8 holds in a worker process, by kind.', () =>
    workers().flatMap(({ worker, memory }) =>
      Object.entries(memory ?? {}).map(([kind, value]) => ({ labels: { worker, kind }, value })),
    ),
  )
  define(
    'gauge',
    'portico_worker_event_loop_delay_seconds',
    'How late the event loop of a worker process was in its last second.',
    () =>
      workers().flatMap(({ worker, loopDelay }) =>
        Object.entries(loopDelay ?? {}).map(([stat, value]) => ({ labels: { worker, stat }, value })),
      ),
  )
  defineOfWorkers(
    'counter',
    'portico_worker_cpu_seconds_total',
    'User and system CPU time of a worker process.',
    ({ cpuSeconds }) => cpuSeconds,
  )

  const health = () => takeSome(figures?.health?.() ?? [], endpointSeries)
  define('gauge', 'portico_endpoint_healthy', 'Whether an endpoint whose health is watched may get requests.', () =>
    health().map(({ upstream, endpoint, isHealthy }) => ({ labels: { upstream, endpoint }, value: isHealthy ? 1 : 0 })),
  )
  define('counter', 'portico_endpoint_ejections_total', 'Ejections of an endpoint after failed requests.', () =>
    health().map(({ upstream, endpoint, ejections }) => ({ labels: { upstream, endpoint }, value: ejections })),
  )
  define('counter', 'portico_health_checks_total', 'Health checks of an endpoint that ended.', () =>
    health().flatMap(({ upstream, endpoint, successes, failures }) => [
      { labels: { upstream, endpoint, result: 'success' }, value: successes },
      { labels: { upstream, endpoint, result: 'failure' }, value: failures },
    ]),
  )
  define(
    'counter',
    'portico_upstream_panics_total',
    'How often so few endpoints were in good health that all ready ones got requests.',
    () => [...(figures?.panics?.() ?? [])].map(([upstream, value]) => ({ labels: { upstream }, value })),
  )

  define('counter', 'portico_config_reloads_total', 'Configurations read, the first included.', () => [
    { labels: { result: 'success' }, value: reloads.success },
    { labels: { result: 'failure' }, value: reloads.failure },
  ])
  define(
    'gauge',
    'portico_config_last_reload_successful',
    'Whether the last configuration read was taken whole.',
    () => [{ labels: {}, value: reloads.isLastOk ? 1 : 0 }],
  )
  define(
    'gauge',
    'portico_config_last_reload_success_timestamp_seconds',
    'When a configuration read was last taken whole.',
    () => (takenAt === undefined ? [] : [{ labels: {}, value: takenAt / 1000 }]),
  )
  define('gauge', 'portico_routes', 'Routes in force.', () => (report ? [{ labels: {}, value: report.routes }] : []))
  define('gauge', 'portico_diagnostics', 'Problems in the configuration in force.', () =>
    Object.entries(report?.diagnostics ?? {}).map(([severity, value]) => ({ labels: { severity }, value })),
  )
  define('gauge', 'portico_certificate_expiry_timestamp_seconds', 'When the certificate of a host expires.', () =>
    (report?.certificates ?? []).map(({ host, secret, notAfter }) => ({
      labels: { host, secret },
      value: notAfter / 1000,
    })),
  )
  define('gauge', 'portico_build_info', 'Which Portico this is.', () => [
    { labels: { version: options.version ?? 'unknown', node: process.version }, value: 1 },
  ])

  if (withNginxNames) {
    const nginx = listNginxMetrics({
      series: everySeries,
      connections: () => [...(figures?.connections() ?? [])].reduce((sum, [, count]) => sum + count, 0),
      certificates: () => report?.certificates ?? [],
      isLastReloadOk: () => reloads.isLastOk,
      takenAt: () => takenAt,
    })
    for (const { type, name, help, samples } of nginx) {
      define(type, name, help, samples)
    }
  }

  const findRegistry = (form: MetricsForm): Registry => {
    let found = registries.get(form)
    if (!found) {
      // Made for the first who asks: it has collectors of its own.
      found = createRegistry(form)
      for (const each of definitions) register(found, form, each)
      registries.set(form, found)
    }
    return found
  }

  return {
    contentType: registry.contentType,
    reload: (isOk, taken) => {
      reloads[isOk ? 'success' : 'failure']++
      reloads.isLastOk = isOk
      if (isOk && taken) takenAt = taken.at
      if (taken) report = taken
    },
    watch: (live) => {
      figures = live
    },
    text: (form = 'text') => {
      endpointSamples = endpoints.sample(figures?.endpoints?.() ?? [])
      return findRegistry(form).metrics()
    },
  }
}

type Definition = Readonly<{
  type: 'counter' | 'gauge' | 'histogram'
  name: string
  help: string
  samples: () => Sample[]
}>

/** With the metrics of this process. */
function createRegistry(form: MetricsForm): Registry {
  const registry: Registry = new Registry()
  if (form === 'openmetrics') registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
  collectDefaultMetrics({ register: registry })
  for (const name of NAMED_AS_COUNTERS) registry.removeSingleMetric(name)
  return registry
}

/** prom-client prints any object with a name and a `get`. Its own classes would hash the labels at every increment. */
function register(registry: Registry, form: MetricsForm, { type, name, help, samples }: Definition): void {
  const isOpen = form === 'openmetrics'
  // OpenMetrics has `_total` at the samples of counters alone, which prom-client puts there. A counter without it is none.
  const isNamed = type !== 'counter' || name.endsWith('_total')
  const shown = isOpen && type === 'counter' ? name.replace(/_total$/, '') : name
  const spoken = isOpen && !isNamed ? 'unknown' : type
  const get = async () => ({ name: shown, help, type: spoken, values: samples(), aggregator: 'sum' })
  registry.registerMetric({ name: shown, get } as unknown as Metric)
}

/** The label `route` is there where series are by route. */
function labelsOf({ ingress, service, route }: RequestSeries): Record<string, string> {
  return route === '' ? { ingress, service } : { ingress, service, route }
}

function takeSome<T>(items: Iterable<T>, most: number): T[] {
  const taken: T[] = []
  for (const item of items) {
    if (taken.length >= most) break
    taken.push(item)
  }
  return taken
}
