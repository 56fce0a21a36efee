/** Requests of a running gateway, for people: one line each, or one with all its steps. */
import { printTime } from '../../lib/base/clock.ts'
import { alignColumns } from '../../lib/base/columns.ts'
import { escapeText, type Paint } from '../../lib/base/terminal-text.ts'
import type { RequestDetail, RequestSummary, TimelineEvent } from '../../lib/report/request-view.ts'
import { printAccess } from '../../lib/telemetry/access-log.ts'

/** As the access log has it on a terminal; a wide line has who asked, where it went and its id as well. */
export function printRequest(row: RequestSummary, isWide: boolean, paint: Paint): string {
  const line = `${paint('dim', printTime(Date.parse(row.time)))} ${printAccess(row, paint)}`
  if (!isWide) return line
  const { client, route, endpoint, tries, worker, request_id: id, trace_id: trace } = row
  return [
    line,
    `from ${client}`,
    route && `route ${escapeText(route)}`,
    endpoint && `endpoint ${endpoint}${tries > 1 ? ` (try ${tries})` : ''}`,
    worker > 0 && `worker ${worker}`,
    `id ${escapeText(id)}`,
    trace && `trace ${trace}`,
  ]
    .filter(Boolean)
    .join('  ')
}

const WORDS: Readonly<Record<TimelineEvent['event'], string>> = {
  accept: 'connection accepted',
  tls: 'TLS handshake',
  head: 'head of the request',
  match: 'route found',
  filter: 'filter',
  body: 'body of the request',
  queue: 'queue',
  pause: 'pause',
  try: 'try',
  connect: 'connection',
  first_byte: 'answer begins',
  end: 'end',
}

/** All that is known of one request. */
export function printRequestDetail(detail: RequestDetail, paint: Paint): string {
  const steps = detail.timeline.map(({ event, at_ms: at, duration_ms: took, detail: more = '' }) => [
    `  ${at < 0 ? '' : '+'}${printMs(at)}`,
    WORDS[event],
    took === undefined ? '' : printMs(took),
    escapeText(more),
  ])
  const filters = detail.filters.filter(({ effect }) => effect === 'passed' || effect === 'applied')
  return [
    printRequest(detail, true, paint),
    '',
    paint('bold', escapeText(detail.cause)),
    '',
    ...alignColumns(steps, 3),
    ...(filters.length === 0 ? [] : ['', `  filters besides: ${filters.map(({ name }) => name).join(', ')}`]),
  ].join('\n')
}

function printMs(ms: number): string {
  return Math.abs(ms) < 10 ? `${ms.toFixed(2)} ms` : `${Math.round(ms)} ms`
}
