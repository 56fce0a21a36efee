/** What routes and endpoints have to do just now, as tables. */
import { printTime } from '../../lib/base/clock.ts'
import { escapeText, measureText, type Paint } from '../../lib/base/terminal-text.ts'
import type { EndpointTrafficRow, RouteTrafficRow, TrafficView } from '../../lib/report/traffic-view.ts'
import { layOutTable } from './table.ts'

export type TrafficRoom = Readonly<{
  paint: Paint
  /** Lines and columns that there are; left out: as many as it takes. */
  rows?: number
  columns?: number | undefined
}>

type Figures = Pick<RouteTrafficRow, 'requests' | 'failures' | 'rate' | 'failure_rate' | 'refusal_rate' | 'duration_ms'>

const FIGURES = ['RATE', 'FAILING', '4XX', 'MEDIAN', '90%', '99%', 'REQUESTS', 'FAILURES']

export function printTraffic(view: TrafficView, { paint, rows, columns }: TrafficRoom): readonly string[] {
  const { rate, failure_rate: failing, in_flight: inFlight, duration_ms: duration } = view
  const failures = `${printRate(failing)} failing`
  const head = [
    `${printTime(Date.parse(view.at))}  ${printRate(rate)} requests/s`,
    failing > 0 ? paint('red', failures) : failures,
    `${inFlight} in flight`,
    duration && `p50 ${printMs(duration.p50)}, p90 ${printMs(duration.p90)}, p99 ${printMs(duration.p99)}`,
  ]
    .filter(Boolean)
    .join('   ')
  if (view.routes.length === 0) return [head, '', 'no requests so far']
  // Half for the routes where neither table fits.
  const left = rows === undefined ? Number.POSITIVE_INFINITY : Math.max(rows - 6, 2)
  const forRoutes = Math.max(Math.floor(left / 2), left - view.endpoints.length)
  const routes = view.routes.slice(0, Math.min(forRoutes, view.routes.length))
  const endpoints = view.endpoints.slice(0, Math.max(left - routes.length, 1))
  const lines = [
    ...printTable(['HOST', 'PATH', 'SERVICE', ...FIGURES], routes, listRoute, paint),
    '',
    ...printTable(['SERVICE', 'ENDPOINT', 'IN FLIGHT', ...FIGURES], endpoints, listEndpoint, paint),
  ]
  const omitted = view.omitted + view.routes.length - routes.length + view.endpoints.length - endpoints.length
  const more = omitted === 0 ? [] : [`${omitted} more routes and endpoints with less traffic`]
  return [head, '', ...lines, ...more].map((line) => (columns === undefined ? line : cutLine(line, columns)))
}

function printTable<Row extends Figures>(
  heading: readonly string[],
  rows: readonly Row[],
  list: (row: Row) => readonly string[],
  paint: Paint,
): readonly string[] {
  const [first = '', ...lines] = layOutTable([heading, ...rows.map((row) => [...list(row), ...listFigures(row)])])
  return [
    paint('bold', first),
    ...lines.map((line, index) => (rows[index]!.failure_rate > 0 ? paint('red', line) : line)),
  ]
}

function listRoute({ route, host, path, service }: RouteTrafficRow): readonly string[] {
  if (route === '') return ['no route', '-', '-']
  // A port of a Service has an id of its own.
  if (host === '' && path === '') return [route.includes('|') ? '*' : route, '-', service]
  return [host || '*', path || 'default', service || '-']
}

function listEndpoint({ service, endpoint, in_flight: inFlight }: EndpointTrafficRow): readonly string[] {
  return [service, endpoint, String(inFlight)]
}

function listFigures({
  requests,
  failures,
  rate,
  failure_rate: failing,
  refusal_rate: refused,
  duration_ms: duration,
}: Figures): readonly string[] {
  const times = duration ? [duration.p50, duration.p90, duration.p99].map(printMs) : ['-', '-', '-']
  const share = (part: number) => (rate === 0 ? '-' : `${Math.round((part / rate) * 100)}%`)
  return [printRate(rate), share(failing), share(refused), ...times, String(requests), String(failures)]
}

function printRate(rate: number): string {
  return rate < 10 && !Number.isInteger(rate) ? rate.toFixed(1) : String(Math.round(rate))
}

function printMs(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

/** Colours stand at both ends of a line alone. */
function cutLine(line: string, columns: number): string {
  if (measureText(line) <= columns) return line
  const [, open = '', text = '', close = ''] = /^((?:\x1b\[[0-9;]*m)?)(.*?)((?:\x1b\[[0-9;]*m)?)$/s.exec(line) ?? []
  return `${open}${escapeText(text.replaceAll(/\x1b\[[0-9;]*m/g, '')).slice(0, columns - 1)}…${close}`
}
