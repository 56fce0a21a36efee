/** The columns of `portico get`, in kubectl's style; columns marked wide appear only with `-o wide`. */

import type { CertificateRow } from '../../lib/report/certificate-view.ts'
import type { EndpointRow } from '../../lib/report/endpoint-view.ts'
import type { SettingRow } from '../../lib/report/setting-rows.ts'
import type { DiagnosticRow, ListenerRow, RouteRow, ServiceRow, WorkerRow } from '../../lib/report/views.ts'

type Column<Row> = Readonly<{
  title: string
  wide?: true
  /** True for a column that is left out if it would be empty. */
  optional?: true
  cell: (row: Row, wide: boolean) => string
}>

/** The view of a kind: its columns, and the names of its rows. */
export type View<Row> = Readonly<{
  columns: readonly Column<Row>[]
  /** `service/default/api`, for `-o name` and to name a single row. */
  name: (row: Row) => string
  /** Other names of a row: those of the objects that it belongs to. */
  aliases?: (row: Row) => readonly string[]
  namespace: (row: Row) => string | undefined
}>

const MEBIBYTE = 1_048_576

/** Drops the part of a name before its first slash: `default/api` of `service/default/api`. */
export function dropFirst(name: string): string {
  return name.slice(name.indexOf('/') + 1)
}

export const ROUTES: View<RouteRow> = {
  columns: [
    { title: 'HOST', cell: (row) => row.host },
    { title: 'PATH', cell: (row) => row.path || '/' },
    { title: 'TYPE', cell: (row) => row.pathType },
    { title: 'CONDITIONS', optional: true, cell: (row) => row.conditions.join('; ') },
    { title: 'BACKEND', cell: (row) => row.backend },
    { title: 'ENDPOINTS', cell: (row, wide) => printList(row.endpoints, wide) },
    { title: 'STATE', cell: (row) => row.state },
    { title: 'SOURCE', cell: (row) => row.source },
    { title: 'INGRESS', wide: true, cell: (row) => `${row.namespace}/${row.ingress}` },
    { title: 'HTTP', wide: true, cell: (row) => (row.redirectToHttps ? '308 to https' : 'served') },
    { title: 'FILTERS', wide: true, optional: true, cell: (row) => row.filters.join('; ') },
    { title: 'POLICIES', wide: true, optional: true, cell: (row) => row.policies.join('; ') },
    { title: 'REASON', wide: true, cell: (row) => row.reason ?? '' },
  ],
  name: (row) => `route/${row.host}${row.path}`,
  aliases: (row) => [row.host, row.ingress, `${row.namespace}/${row.ingress}`],
  namespace: (row) => row.namespace,
}

export const SERVICES: View<ServiceRow> = {
  columns: [
    { title: 'NAMESPACE', cell: (row) => row.namespace },
    { title: 'NAME', cell: (row) => row.name },
    { title: 'TYPE', cell: (row) => row.type },
    { title: 'CLUSTER-IP', cell: (row) => row.clusterIP },
    { title: 'EXTERNAL-IP', cell: (row) => row.externalIP },
    { title: 'PORT(S)', cell: (row) => row.ports.join(',') },
    { title: 'ENDPOINTS', cell: (row, wide) => printList(row.endpoints, wide) },
    { title: 'SELECTOR', wide: true, cell: (row) => row.selector },
    { title: 'SOURCE', wide: true, cell: (row) => row.source },
  ],
  name: (row) => `service/${row.namespace}/${row.name}`,
  aliases: (row) => [row.name],
  namespace: (row) => row.namespace,
}

export const ENDPOINTS: View<EndpointRow> = {
  columns: [
    { title: 'NAMESPACE', cell: (row) => row.namespace },
    { title: 'SERVICE', cell: (row) => row.service },
    { title: 'PORT', cell: printServicePort },
    { title: 'ADDRESS', cell: (row) => row.address },
    { title: 'SOURCE', cell: (row) => row.sourceName },
    { title: 'STATE', cell: (row) => row.state },
    { title: 'REASON', cell: (row) => row.reason },
    { title: 'IN-FLIGHT', optional: true, cell: (row) => (row.live ? String(row.live.inFlight) : '') },
    { title: 'REQUESTS', wide: true, optional: true, cell: (row) => (row.live ? String(row.live.requests) : '') },
    { title: 'FAILURES', wide: true, optional: true, cell: (row) => (row.live ? String(row.live.failures) : '') },
    { title: 'LAST-FAILURE', wide: true, optional: true, cell: (row) => row.live?.lastFailure ?? '' },
    { title: 'NAME', wide: true, optional: true, cell: (row) => row.name ?? '' },
    { title: 'WEIGHT', wide: true, cell: (row) => printWeight(row.weight) },
    { title: 'NODE', wide: true, cell: (row) => row.nodeName ?? '' },
    { title: 'ZONE', wide: true, cell: (row) => row.zone ?? '' },
    { title: 'POSITION', wide: true, cell: (row) => row.position ?? '' },
  ],
  name: (row) =>
    `endpoint/${row.namespace}/${row.service}:${row.port}${row.transport === 'UDP' ? '/UDP' : ''}/${row.address}`,
  aliases: (row) => [row.service, `${row.namespace}/${row.service}`, row.address],
  namespace: (row) => row.namespace,
}

export const CERTIFICATES: View<CertificateRow> = {
  columns: [
    { title: 'NAME', cell: (row) => row.name },
    { title: 'CN', cell: (row) => row.commonName },
    { title: 'SANS', cell: (row, wide) => printList(row.subjectAltNames, wide) },
    {
      title: 'ISSUER',
      cell: (row) => (row.selfSigned && row.issuer !== '' && row.issuer === row.commonName ? 'itself' : row.issuer),
    },
    { title: 'EXPIRES', cell: (row) => (row.notAfter ? `${row.notAfter.slice(0, 10)} (${row.daysLeft}d)` : '') },
    { title: 'SOURCE', cell: (row) => row.source ?? '' },
    { title: 'HOSTS', cell: (row, wide) => printList(row.hosts, wide) },
    { title: 'STATE', wide: true, cell: (row) => row.state },
    { title: 'INGRESS', wide: true, cell: (row) => row.ingress },
    { title: 'REASON', wide: true, cell: (row) => row.reason },
  ],
  name: (row) => `certificate/${row.name}`,
  aliases: (row) => [dropFirst(row.name)],
  namespace: (row) => (row.name.includes('/') ? row.name.slice(0, row.name.indexOf('/')) : undefined),
}

export const LISTENERS: View<ListenerRow> = {
  columns: [
    { title: 'NAME', cell: (row) => row.name },
    { title: 'KIND', cell: (row) => row.kind },
    { title: 'ADDRESS', cell: (row) => row.address },
    { title: 'PORT', cell: (row) => String(row.port) },
    { title: 'PROTOCOL', cell: (row) => row.protocol },
    { title: 'LAYER', cell: (row) => row.layer },
    { title: 'SERVICE', cell: (row) => row.service ?? '' },
    { title: 'STATE', cell: (row) => row.state || 'unknown' },
    { title: 'UPSTREAM', wide: true, cell: (row) => row.upstream ?? '' },
    { title: 'FROM', wide: true, cell: (row) => row.sourceRanges.join(',') || 'all' },
    { title: 'PROXY', wide: true, cell: (row) => (row.proxyProtocol ? 'expected' : 'no') },
    {
      title: 'SLASHES',
      wide: true,
      cell: ({ paths }) => (paths ? `encoded ${paths.encodedSlash}, merge ${paths.mergeSlashes}` : ''),
    },
    { title: 'SOURCE', wide: true, cell: (row) => row.source ?? '' },
  ],
  name: (row) => `listener/${row.name}`,
  aliases: ({ name, service }) => (service === undefined ? [] : [service, dropFirst(service), dropFirst(name)]),
  namespace: (row) => row.service?.slice(0, row.service.indexOf('/')),
}

export const WORKERS: View<WorkerRow> = {
  columns: [
    { title: 'NAME', cell: (row) => String(row.worker) },
    { title: 'PID', cell: (row) => String(row.pid ?? '') },
    { title: 'STATE', cell: (row) => row.state },
    { title: 'RESTARTS', cell: (row) => String(row.restarts) },
    { title: 'GENERATION', cell: (row) => String(row.generation) },
    { title: 'IN-FLIGHT', cell: (row) => String(row.inFlight) },
    { title: 'CONNECTIONS', cell: (row) => String(row.connections) },
    { title: 'MEMORY', cell: (row) => `${Math.round(row.residentBytes / MEBIBYTE)}Mi` },
    { title: 'CPU', cell: (row) => `${row.cpuSeconds.toFixed(1)}s` },
  ],
  name: (row) => `worker/${row.worker}`,
  namespace: () => undefined,
}

export const PROBLEMS: View<DiagnosticRow> = {
  columns: [
    { title: 'SEVERITY', cell: (row) => row.severity },
    { title: 'CODE', cell: (row) => row.code },
    { title: 'PLACE', cell: printProblemPlace },
    { title: 'OBJECT', wide: true, cell: (row) => row.resource ?? '' },
    { title: 'MESSAGE', cell: (row) => row.message },
    { title: 'HELP', wide: true, cell: (row) => row.help?.replaceAll('\n', ' ') ?? '' },
  ],
  name: (row) => `diagnostic/${row.code}${row.file === undefined ? '' : `/${printProblemPlace(row)}`}`,
  aliases: ({ code, severity, resource = '' }) => {
    const named = resource.slice(resource.indexOf(' ') + 1)
    return [code, severity, resource.replace(' ', '/'), named, dropFirst(named)]
  },
  namespace: ({ resource = '' }) => /^\S+ ([^/]+)\//.exec(resource)?.[1],
}

export const SETTING_VIEW: View<SettingRow> = {
  columns: [
    { title: 'NAME', cell: (row) => row.name },
    { title: 'VALUE', cell: (row) => row.text },
    { title: 'SOURCE', cell: (row) => row.source },
    { title: 'DEFAULT', wide: true, cell: (row) => row.default },
    { title: 'ENVIRONMENT', wide: true, cell: (row) => row.environment },
  ],
  name: (row) => `setting/${row.name}`,
  // `upstream` and `upstream.retry` name all settings under them.
  aliases: ({ name }) => [...name.matchAll(/\./g)].map(({ index }) => name.slice(0, index)),
  namespace: () => undefined,
}

/** `k8s/shop.yaml:41:13`; `''` where it has no place. */
export function printProblemPlace({ file, line, column }: DiagnosticRow): string {
  return file === undefined ? '' : [file, line, column].filter((part) => part !== undefined).join(':')
}

/** `80`, `80 (http)`, `53/UDP (dns)`. */
function printServicePort({ port, portName, transport }: EndpointRow): string {
  return `${port}${transport === 'UDP' ? '/UDP' : ''}${portName ? ` (${portName})` : ''}`
}

/** Heading and cells, for layOutTable. */
export function layOutRows<Row>(view: View<Row>, rows: readonly Row[], wide: boolean): string[][] {
  const columns = view.columns
    .filter((column) => wide || !column.wide)
    .map(({ title, optional, cell }) => ({ title, optional, cells: rows.map((row) => cell(row, wide)) }))
    .filter(({ optional, cells }) => !optional || cells.some((text) => text !== ''))
  return [columns.map(({ title }) => title), ...rows.map((_, index) => columns.map(({ cells }) => cells[index]!))]
}

/** Prints a weight, which may be a fraction: the addresses of a name share its weight. */
function printWeight(weight: number): string {
  return String(Number(weight.toFixed(3)))
}

/** Prints a list like kubectl: the first three values, and the number of the others. */
function printList(values: readonly string[], wide: boolean): string {
  const most = 3
  if (wide || values.length <= most) return values.join(',')
  return `${values.slice(0, most).join(',')} + ${values.length - most} more...`
}
