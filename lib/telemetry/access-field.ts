/** What each field of an access line is, by the names that templates have (`base/log-template.ts`). HOT */
import { hostname } from 'node:os'
import type { LogField } from '../base/log-template.ts'
import { createHider, type SecretNames } from '../base/redact.ts'
import { commonTime, isoTime, localTime } from './line-time.ts'
import { findPhase } from './phase.ts'
import { endOf, type RequestFacts, type RequestRecord, type RouteLabels } from './record.ts'

/** What lines have in common. */
export type LineContext = Readonly<{
  /** 0: the process that reads the configuration. */
  worker: number
  /** Names of query parameters whose values are hidden; undefined: none. */
  secretKeys: SecretNames | undefined
}>

/** Undefined: it does not apply. */
export type FieldReader = (record: RequestRecord, facts: RequestFacts | undefined) => string | number | undefined

/** Three digits behind the point, in milliseconds. */
export function roundMs(time: number): number {
  return Math.round(time * 1000) / 1000
}

const HOSTNAME = hostname()

/** Throws where `field` is none: names are checked when settings are read. */
export function createFieldReader(field: LogField, { worker, secretKeys }: LineContext): FieldReader {
  const hide = createHider(secretKeys)
  const readers: Readonly<Record<string, FieldReader>> = {
    time: (record) => isoTime(endOf(record)),
    client: ({ clientAddress }) => clientAddress,
    peer: ({ peerAddress }) => peerAddress,
    authority: ({ authority }) => authority,
    method: ({ method }) => method,
    target: ({ target }) => hide(target),
    protocol: ({ protocol }) => protocol,
    bytes_in: ({ bytesIn }) => bytesIn,
    bytes_out: ({ bytesOut }) => bytesOut,
    duration_ms: ({ durationMs }) => roundMs(durationMs),
    upstream_ms: ({ upstreamMs }) => upstreamMs && roundMs(upstreamMs),
    ingress: ({ labels }) => labels?.ingress,
    route: ({ labels }) => labels?.route,
    service: ({ labels }) => labels?.upstream,
    endpoint: ({ endpoint }) => endpoint,
    tries: ({ tries }) => tries,
    phase: findPhase,
    code: ({ error }) => error,
    cause: ({ detail }) => detail && hide(detail),
    user_agent: ({ userAgent }) => userAgent,
    tunnel: ({ tunnel }) => (tunnel ? 'true' : undefined),
    tls_version: (_record, facts) => facts?.tls?.version,
    tls_cipher: (_record, facts) => facts?.tls?.cipher,
    grpc_status: (_record, facts) => facts?.grpcStatus,
    trace_id: (_record, facts) => facts?.traceId,
    worker: () => worker,

    realip_remote_addr: ({ peerAddress }) => peerAddress,
    remote_user: (_record, facts) => readUser(facts?.field('authorization')),
    proxy_add_x_forwarded_for: ({ peerAddress }, facts) => {
      const before = facts?.field('x-forwarded-for')
      return before === undefined ? peerAddress : `${before}, ${peerAddress}`
    },
    time_local: (record) => commonTime(endOf(record)),
    time_iso8601: (record) => localTime(endOf(record)),
    msec: (record) => printSeconds(endOf(record)),
    request: ({ method, target, protocol }) => `${method} ${hide(target)} ${protocol}`,
    uri: ({ target }) => cutQuery(hide(target)),
    args: ({ target }) => {
      const shown = hide(target)
      return shown.slice(cutQuery(shown).length + 1)
    },
    is_args: ({ target }) => (target.includes('?') ? '?' : undefined),
    scheme: ({ scheme }) => scheme,
    https: ({ scheme }) => (scheme === 'https' ? 'on' : undefined),
    host: ({ authority }) => authority.replace(/:\d*$/, '').toLowerCase(),
    status: ({ status }) => status,
    request_time: ({ durationMs }) => printSeconds(durationMs),
    request_id: ({ id }) => id,
    upstream_status: ({ upstreamMs, status }) => (upstreamMs === undefined ? undefined : status),
    upstream_response_length: ({ upstreamMs, bytesOut }) => (upstreamMs === undefined ? undefined : bytesOut),
    upstream_response_time: ({ upstreamMs, durationMs }) =>
      upstreamMs === undefined ? undefined : printSeconds(durationMs),
    upstream_header_time: ({ upstreamMs }) => (upstreamMs === undefined ? undefined : printSeconds(upstreamMs)),
    ssl_server_name: (_record, facts) => facts?.tls?.serverName,
    pid: () => process.pid,
    hostname: () => HOSTNAME,
    pipe: () => '.',

    proxy_upstream_name: ({ labels }) => nameOf(labels)?.upstream,
    proxy_alternative_upstream_name: () => undefined,
    namespace: ({ labels }) => nameOf(labels)?.namespace,
    ingress_name: ({ labels }) => nameOf(labels)?.ingress,
    service_name: ({ labels }) => nameOf(labels)?.service,
    service_port: ({ labels }) => nameOf(labels)?.port,
  }
  const reader = readers[SAME[field] ?? field]
  if (reader) return reader
  const name = HEAD_FIELDS[field] ?? (field.startsWith('http_') ? field.slice(5).replaceAll('_', '-') : undefined)
  if (name === undefined) throw new Error(`there is no field ${field}`)
  // URLs of other pages have queries too.
  if (name === 'referer') return (_record, facts) => hide(facts?.field(name) ?? '')
  return (_record, facts) => facts?.field(name)
}

/** Fields whose texts need no escape in any form: those that Portico makes itself, of plain characters. */
export function isPlainField(field: LogField): boolean {
  return PLAIN_FIELDS.has(SAME[field] ?? field)
}

const PLAIN_FIELDS: ReadonlySet<LogField> = new Set<LogField>([
  ...(['time', 'peer', 'protocol', 'phase', 'code', 'tunnel', 'time_local', 'time_iso8601', 'msec'] as const),
  ...(['is_args', 'scheme', 'https', 'request_time', 'upstream_response_time', 'upstream_header_time'] as const),
  ...(['pipe', 'proxy_alternative_upstream_name', 'trace_id', 'realip_remote_addr'] as const),
])

/** Two names for one thing. */
const SAME: Readonly<Partial<Record<LogField, LogField>>> = {
  remote_addr: 'client',
  the_real_ip: 'client',
  proxy_protocol_addr: 'client',
  request_method: 'method',
  request_uri: 'target',
  query_string: 'args',
  server_protocol: 'protocol',
  body_bytes_sent: 'bytes_out',
  bytes_sent: 'bytes_out',
  request_length: 'bytes_in',
  req_id: 'request_id',
  upstream_addr: 'endpoint',
  ssl_protocol: 'tls_version',
  ssl_cipher: 'tls_cipher',
  http_host: 'authority',
  http_user_agent: 'user_agent',
}

/** Fields of the head that have no `http_`. */
const HEAD_FIELDS: Readonly<Partial<Record<LogField, string>>> = {
  content_type: 'content-type',
  content_length: 'content-length',
}

/** `0.012`, as nginx has times. By whole numbers: to print others takes several times as long. */
export function printSeconds(milliseconds: number): string {
  const whole = Math.round(milliseconds)
  const seconds = Math.floor(whole / 1000)
  return `${seconds}.${padThousandth(whole - seconds * 1000)}`
}

/** Milliseconds with three digits behind the point, without zeros at the end, as JSON prints what `roundMs` returns. */
export function printMs(milliseconds: number): string {
  const micros = Math.round(milliseconds * 1000)
  const whole = Math.floor(micros / 1000)
  const rest = micros - whole * 1000
  if (rest === 0) return `${whole}`
  const digits = padThousandth(rest)
  return rest % 100 === 0
    ? `${whole}.${digits[0]}`
    : rest % 10 === 0
      ? `${whole}.${digits.slice(0, 2)}`
      : `${whole}.${digits}`
}

function padThousandth(number: number): string {
  return number < 10 ? `00${number}` : number < 100 ? `0${number}` : `${number}`
}

function cutQuery(target: string): string {
  const at = target.indexOf('?')
  return at < 0 ? target : target.slice(0, at)
}

/** The name of Basic credentials (RFC 7617 §2). Nothing says that the password was right. */
function readUser(authorization: string | undefined): string | undefined {
  const encoded = /^basic +(\S+)$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : text.slice(0, colon)
}

type Names = Readonly<{ upstream: string; namespace: string; ingress: string; service: string; port: string }>

/** Made once for each route of a snapshot. */
const names = new WeakMap<RouteLabels, Names>()

/** As ingress-nginx names them; undefined: no route matched. */
function nameOf(labels: RouteLabels | undefined): Names | undefined {
  if (labels === undefined) return undefined
  const known = names.get(labels)
  if (known) return known
  const [namespace = '', ingress = ''] = labels.ingress.split('/')
  const [, of = '', service = '', port = ''] = /^([^/]*)\/([^:]*):(.*)$/.exec(labels.upstream) ?? []
  const upstream = service === '' ? '' : `${of}-${service}-${port}`
  const made = { upstream, namespace, ingress, service, port }
  names.set(labels, made)
  return made
}
