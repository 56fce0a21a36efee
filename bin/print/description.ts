/** A description: the fields of each named object, tables of what has to do with it, and its problems. */

import { alignColumns } from '../../lib/base/columns.ts'
import { printCount } from '../../lib/base/count.ts'
import { escapeText, type Paint } from '../../lib/base/terminal-text.ts'
import type { EndpointRow } from '../../lib/report/endpoint-view.ts'
import type { DiagnosticRow } from '../../lib/report/views.ts'
import { DESCRIBED, type Description } from '../description.ts'
import { type Kind, viewOf } from '../kind.ts'
import { layOutRows, printProblemPlace } from './columns.ts'
import { layOutTable } from './table.ts'

/** Of more named objects there is a table alone. */
const MOST_OBJECTS = 10

/** An endpoint counts what it gets from all routes and ports. */
const TRAFFIC: Readonly<Partial<Record<Kind, string>>> = {
  routes: 'traffic of its Services',
  listeners: 'traffic of its Services',
}

export function printDescription(description: Description, paint: Paint): string {
  const { kind, objects, named, diagnostics } = description
  const blocks = objects.length === 0 ? [] : [paint('bold', escapeText(objects.join(', ')))]
  if (named.length === 0) blocks.push('nothing of it is served')
  else if (named.length <= MOST_OBJECTS) blocks.push(...named.map((row) => printObject(kind, row, paint)))
  for (const one of DESCRIBED) {
    const rows = one === 'diagnostics' ? [] : (description[one] as readonly unknown[])
    const isTold = one === kind && named.length <= MOST_OBJECTS
    if (rows.length > 0 && !isTold) blocks.push(printSection(one, rows, paint))
  }
  const traffic = printTraffic(description.endpoints)
  if (traffic) blocks.push(`${paint('bold', TRAFFIC[kind] ?? 'traffic')}\n  ${traffic}`)
  if (diagnostics.length > 0) {
    blocks.push([paint('bold', 'problems'), ...diagnostics.flatMap(printProblem)].join('\n'))
  } else blocks.push('no problems in the manifests')
  return blocks.join('\n\n')
}

/** Its fields, by the names that -o json has; what is empty is left out. */
function printObject(kind: Kind, row: unknown, paint: Paint): string {
  const fields = Object.entries(row as Readonly<Record<string, unknown>>).flatMap(([name, value]) => {
    const lines = printField(value)
    return lines.map((line, index) => [index === 0 ? `  ${name}` : '', escapeText(line)])
  })
  return [paint('bold', escapeText(viewOf(kind).name(row))), ...alignColumns(fields, 3)].join('\n')
}

function printField(value: unknown): readonly string[] {
  if (value === undefined || value === null || value === '') return []
  if (Array.isArray(value)) return value.map((item) => (typeof item === 'object' ? JSON.stringify(item) : String(item)))
  if (typeof value !== 'object') return [String(value)]
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]) => `${name}=${inner}`)
}

/** All columns of endpoints, since their health and traffic stand in the further ones. */
function printSection(kind: Kind, rows: readonly unknown[], paint: Paint): string {
  const table = layOutTable(layOutRows(viewOf(kind), rows, kind === 'endpoints'))
  return [paint('bold', kind), ...table.map((line) => `  ${line}`)].join('\n')
}

/** `''` of files, whose endpoints nothing was sent to. */
function printTraffic(endpoints: readonly EndpointRow[]): string {
  const live = endpoints.flatMap(({ live }) => live ?? [])
  if (live.length === 0) return ''
  const sum = (pick: (one: (typeof live)[number]) => number) => live.reduce((total, one) => total + pick(one), 0)
  const [requests, failures, inFlight] = [
    sum((one) => one.requests),
    sum((one) => one.failures),
    sum((one) => one.inFlight),
  ]
  return `${printCount(requests, 'request')} sent to ${printCount(live.length, 'endpoint')}, ${printCount(failures, 'failure')}, ${inFlight} in flight`
}

function printProblem(row: DiagnosticRow): readonly string[] {
  const { severity, code, message, help } = row
  const head = `  ${[printProblemPlace(row), severity, code, message].filter(Boolean).map(escapeText).join('  ')}`
  return help === undefined ? [head] : [head, ...help.split('\n').map((text) => `      ${escapeText(text)}`)]
}
