/** What routes and endpoints have to do just now, of all workers together, as the admin API and `portico top` show it. */
import { printIsoTime } from '../base/clock.ts'
import { readRouteId } from '../model/route.ts'
import { dropScope, type UpstreamKey } from '../model/upstream.ts'
import { type EndpointFigures, type EndpointSample, sumEndpoints } from '../telemetry/endpoint-metrics.ts'
import type { RouteLabels } from '../telemetry/record.ts'
import { addMeters, findPercentile, type MeterData, type TrafficData } from '../telemetry/traffic-meter.ts'

type Figures = Readonly<{
  /** Since the workers began. */
  requests: number
  /** Answers from 500 on, and those that broke off because of an endpoint or the gateway. */
  failures: number
  /** Requests by class of their status: `2xx`. */
  status: Readonly<Record<string, number>>
  /** Requests a second, failures, and answers 4xx, over the last five seconds. */
  rate: number
  failure_rate: number
  refusal_rate: number
  /** Of the last minute or so; left out: there were no requests. */
  duration_ms?: Readonly<{ p50: number; p90: number; p99: number }>
}>

export type RouteTrafficRow = Figures &
  Readonly<{ route: string; ingress: string; service: string; host: string; path: string }>
export type EndpointTrafficRow = Figures & Readonly<{ service: string; endpoint: string; in_flight: number }>

export type TrafficView = Figures &
  Readonly<{
    /** ISO 8601. */
    at: string
    in_flight: number
    /** Those that had requests, the busiest first. */
    routes: readonly RouteTrafficRow[]
    endpoints: readonly EndpointTrafficRow[]
    /** Routes and endpoints that are left out. */
    omitted: number
  }>

export type TrafficInput = Readonly<{
  workers: readonly TrafficData[]
  endpoints: Iterable<EndpointFigures>
  inFlight: number
  /** Milliseconds since the epoch. */
  now: number
  /** Most routes, and most endpoints. */
  limit: number
}>

export function trafficView({ workers, endpoints, inFlight, now, limit }: TrafficInput): TrafficView {
  const routes = new Map<string, { labels: RouteLabels | undefined; parts: MeterData[] }>()
  const ends = new Map<string, { service: string; endpoint: string; parts: MeterData[]; figures?: EndpointSample }>()
  for (const worker of workers) {
    for (const { labels, ...data } of worker.routes) {
      const key = labels ? `${labels.route} ${labels.upstream}` : ''
      const known = routes.get(key) ?? { labels, parts: [] }
      routes.set(key, known)
      known.parts.push(data)
    }
    for (const { service: key, endpoint, ...data } of worker.endpoints) {
      const service = dropScope(key as UpstreamKey)
      const known = ends.get(`${service} ${endpoint}`) ?? { service, endpoint, parts: [] }
      ends.set(`${service} ${endpoint}`, known)
      known.parts.push(data)
    }
  }
  for (const figures of sumEndpoints(endpoints, (upstream) => dropScope(upstream as UpstreamKey))) {
    const { upstream: service, endpoint } = figures
    const known = ends.get(`${service} ${endpoint}`)
    if (known) known.figures = figures
    else if (figures.requests > 0) ends.set(`${service} ${endpoint}`, { service, endpoint, parts: [], figures })
  }
  const routeRows = chooseRows(routes.values(), limit)
  const endRows = chooseRows(ends.values(), limit)
  const omitted = workers.reduce((sum, worker) => sum + worker.omitted, 0)
  return {
    at: printIsoTime(now),
    ...printFigures(addMeters(workers.map(({ total }) => total))),
    in_flight: inFlight,
    routes: routeRows.map(({ labels, sum }) => ({ ...nameRoute(labels), ...printFigures(sum) })),
    endpoints: endRows.map(({ service, endpoint, sum, figures }) => ({
      service,
      endpoint,
      ...printFigures(sum),
      // Each try counts at its endpoint, also where another one answered in the end.
      ...(figures && { requests: figures.requests, failures: figures.failures }),
      in_flight: figures?.inFlight ?? 0,
    })),
    omitted: omitted + routes.size - routeRows.length + ends.size - endRows.length,
  }
}

/** The busiest first. */
function chooseRows<T extends { parts: readonly MeterData[] }>(
  rows: Iterable<T>,
  limit: number,
): readonly (T & { sum: MeterData })[] {
  return [...rows]
    .map((row) => ({ ...row, sum: addMeters(row.parts) }))
    .sort((a, b) => byTraffic(a.sum, b.sum))
    .slice(0, limit)
}

function printFigures({ requests, failures, rate, failureRate, refusalRate, classes, durations }: MeterData): Figures {
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((part) => findPercentile(durations, part))
  const status = classes.flatMap((count, index) => (count === 0 ? [] : [[`${index + 1}xx`, count] as const]))
  return {
    requests,
    failures,
    status: Object.fromEntries(status),
    rate: round(rate),
    failure_rate: round(failureRate),
    refusal_rate: round(refusalRate),
    ...(p50 !== undefined && { duration_ms: { p50: round(p50), p90: round(p90!), p99: round(p99!) } }),
  }
}

function byTraffic(a: MeterData, b: MeterData): number {
  return b.rate - a.rate || b.requests - a.requests
}

/** Requests that no route took have a row without names. */
function nameRoute(
  labels: RouteLabels | undefined,
): Pick<RouteTrafficRow, 'route' | 'ingress' | 'service' | 'host' | 'path'> {
  if (labels === undefined) return { route: '', ingress: '', service: '', host: '', path: '' }
  const { host, path } = readRouteId(labels.route)
  return { route: labels.route, ingress: labels.ingress, service: labels.upstream, host, path }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
