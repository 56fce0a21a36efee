/**
 * Templates of access lines: text with fields of a request, written as nginx writes the formats of its log:
 * `$remote_addr "$request" $status`, or `${status}` where a letter follows.
 */
import { findNearest } from './nearest.ts'

/** Every field beside `$http_NAME`, which is a field of the request's head. docs/logs.md says what each is. */
export const LOG_FIELDS = [
  // Portico's own
  ...(['time', 'client', 'peer', 'authority', 'method', 'target', 'protocol', 'bytes_in', 'bytes_out'] as const),
  ...(['duration_ms', 'upstream_ms', 'ingress', 'route', 'service', 'endpoint', 'tries', 'phase', 'code'] as const),
  ...(['cause', 'user_agent', 'tunnel', 'tls_version', 'tls_cipher', 'grpc_status', 'trace_id', 'worker'] as const),
  // nginx's
  ...(['remote_addr', 'remote_user', 'realip_remote_addr', 'proxy_add_x_forwarded_for', 'time_local'] as const),
  ...(['time_iso8601', 'msec', 'request', 'request_method', 'request_uri', 'uri', 'args', 'query_string'] as const),
  ...(['is_args', 'server_protocol', 'scheme', 'https', 'host', 'status', 'body_bytes_sent', 'bytes_sent'] as const),
  ...(['request_length', 'request_time', 'request_id', 'upstream_addr', 'upstream_status'] as const),
  ...(['upstream_response_length', 'upstream_response_time', 'upstream_header_time', 'ssl_protocol'] as const),
  ...(['ssl_cipher', 'ssl_server_name', 'content_type', 'content_length', 'pid', 'hostname', 'pipe'] as const),
  // ingress-nginx's
  ...(['the_real_ip', 'proxy_protocol_addr', 'req_id', 'proxy_upstream_name', 'namespace', 'ingress_name'] as const),
  ...(['proxy_alternative_upstream_name', 'service_name', 'service_port'] as const),
] as const

/** A field of the table, or one of the head of the request by its name in lower case, with `_` for `-`. */
export type LogField = (typeof LOG_FIELDS)[number] | `http_${string}`

/** Text as it stands, or a field. */
export type LogPart = string | Readonly<{ field: LogField }>

/** What is wrong with a template, or the name of a field, and what helps. */
export type LogTemplateFault = Readonly<{ message: string; help: string }>

const KNOWN: ReadonlySet<string> = new Set(LOG_FIELDS)
const HEAD_FIELD = /^http_[a-z0-9_]+$/
/** Parts of the names of fields that hold what lets a client in. */
const SECRET = /authorization|_auth(?:_|$)|cookie|token|secret|passw|session|credential|signature|_key$|apikey/

/** Why a field cannot be logged; undefined: it can. */
export function findLogFieldFault(name: string): LogTemplateFault | undefined {
  if (KNOWN.has(name)) return undefined
  if (HEAD_FIELD.test(name)) {
    if (!SECRET.test(name)) return undefined
    return { message: `"${name}" holds what lets clients in`, help: 'take it out: logs are read by many' }
  }
  const near = findNearest(name, LOG_FIELDS)
  const help = near ? `did you mean "${near}"?` : 'docs/logs.md lists the fields'
  return { message: `there is no field "${name}"`, help }
}

/** The parts of a template, or what is wrong with it. */
export function parseLogTemplate(template: string): readonly LogPart[] | LogTemplateFault {
  const parts: LogPart[] = []
  let end = 0
  const add = (text: string) => {
    if (text !== '') parts.push(text)
  }
  for (const match of template.matchAll(/\$(?:\{([a-z0-9_]*)\}|([a-z][a-z0-9_]*))/g)) {
    const name = match[1] ?? match[2]!
    const fault = findLogFieldFault(name)
    if (fault) return fault
    add(template.slice(end, match.index))
    parts.push({ field: name as LogField })
    end = match.index + match[0].length
  }
  add(template.slice(end))
  if (parts.every((part) => typeof part === 'string')) {
    return { message: 'it names no field', help: 'write fields as in $remote_addr "$request" $status' }
  }
  return parts
}
