/**
 * One log line for each request, and for each connection at L4: JSON fields in lower_snake, or a line for people. Text of the client
 * is bounded and escaped.
 */

import type { Logger as Log } from 'pino'
import { createHider, type SecretNames } from '../base/redact.ts'
import { escapeText, type Paint } from '../base/terminal-text.ts'
import { roundMs } from './access-field.ts'
import type { ConnectionRecord, RequestRecord } from './record.ts'

/** The constant messages of access lines, by which the pretty printer knows them. */
export const ACCESS_MESSAGE = 'request'
export const CONNECTION_MESSAGE = 'connection'

/** The longest texts, in UTF-16 units. */
export const MAX_TARGET = 2048
export const MAX_TEXT = 512
const PLAIN = /^[\x20-\x7e]*$/

/** An access line in the log. Fields that do not apply are left out. */
export type AccessFields = Readonly<{
  request_id: string
  client: string
  peer: string
  host: string
  method: string
  target: string
  protocol: string
  scheme: string
  status: number
  bytes_in: number
  bytes_out: number
  duration_ms: number
  upstream_ms: number | undefined
  ingress: string | undefined
  route: string | undefined
  service: string | undefined
  endpoint: string | undefined
  tries: number
  code: string | undefined
  detail: string | undefined
  user_agent: string | undefined
  tunnel: true | undefined
}>

/** The line of a connection at L4. Fields that do not apply are left out. */
export type ConnectionFields = Readonly<{
  client: string
  listener: string
  endpoint: string | undefined
  tries: number
  bytes_in: number
  bytes_out: number
  duration_ms: number
  code: string | undefined
  detail: string | undefined
}>

/** Logs at every level of `log` except silent: the setting `log.access` alone decides about access lines. */
export function createAccessLog(log: Log): (record: RequestRecord, secretKeys?: SecretNames) => void {
  const access = log.child({}, { level: 'info' })
  return (record, secretKeys) => {
    if (log.level !== 'silent') access.info(accessFields(record, secretKeys), ACCESS_MESSAGE)
  }
}

/** The same for connections at L4. */
export function createConnectionLog(log: Log): (record: ConnectionRecord) => void {
  const access = log.child({}, { level: 'info' })
  return (record) => {
    if (log.level !== 'silent') access.info(connectionFields(record), CONNECTION_MESSAGE)
  }
}

export function connectionFields(record: ConnectionRecord): ConnectionFields {
  const { listener, clientAddress, endpoint, tries, bytesIn, bytesOut, durationMs, error, detail } = record
  return {
    client: clientAddress,
    listener,
    endpoint,
    tries,
    bytes_in: bytesIn,
    bytes_out: bytesOut,
    duration_ms: roundMs(durationMs),
    code: error,
    detail: detail === undefined ? undefined : cleanText(detail, MAX_TARGET),
  }
}

/** `secretKeys`: names of query parameters whose values are hidden. */
export function accessFields(record: RequestRecord, secretKeys?: SecretNames): AccessFields {
  const { labels } = record
  const hide = createHider(secretKeys)
  return {
    request_id: cleanText(record.id, MAX_TEXT),
    client: record.clientAddress,
    peer: record.peerAddress,
    host: cleanText(record.authority, MAX_TEXT),
    method: cleanText(record.method, MAX_TEXT),
    target: cleanText(hide(record.target), MAX_TARGET),
    protocol: record.protocol,
    scheme: record.scheme,
    status: record.status,
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
    duration_ms: roundMs(record.durationMs),
    upstream_ms: record.upstreamMs === undefined ? undefined : roundMs(record.upstreamMs),
    ingress: labels?.ingress,
    route: labels?.route,
    service: labels?.upstream || undefined,
    endpoint: record.endpoint,
    tries: record.tries,
    code: record.error,
    detail: record.detail === undefined ? undefined : cleanText(hide(record.detail), MAX_TARGET),
    user_agent: record.userAgent === undefined ? undefined : cleanText(record.userAgent, MAX_TEXT),
    tunnel: record.tunnel || undefined,
  }
}

/** `502 GET shop.localhost/api/orders  3 ms  default/api:80  PORTICO_UP_CONNECT_REFUSED  why` */
export function printAccess(fields: AccessFields, paint: Paint): string {
  const { status, duration_ms: duration } = fields
  const colour = status >= 500 ? 'red' : status >= 400 ? 'yellow' : status >= 300 ? 'cyan' : 'green'
  return [
    `${paint(colour, String(status))} ${fields.method} ${fields.host}${fields.target}`,
    printMs(duration),
    fields.service,
    fields.code && paint(colour, fields.code),
    fields.detail,
  ]
    .filter(Boolean)
    .join('  ')
}

/** `127.0.0.1 to NodePort default/db:5432/TCP [::]:30432  16 ms  127.0.0.1:5432  79 bytes in, 310 out` */
export function printConnection(fields: ConnectionFields, paint: Paint): string {
  const { client, listener, endpoint, bytes_in: bytesIn, bytes_out: bytesOut, code, detail } = fields
  return [
    `${client} to ${listener}`,
    printMs(fields.duration_ms),
    endpoint,
    `${bytesIn} bytes in, ${bytesOut} out`,
    code && paint('red', code),
    detail,
  ]
    .filter(Boolean)
    .join('  ')
}

function printMs(time: number): string {
  return time < 10 && !Number.isInteger(time) ? `${time.toFixed(1)} ms` : `${Math.round(time)} ms`
}

/** Bounded, and harmless on a terminal. */
export function cleanText(text: string, limit: number): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text
  return PLAIN.test(cut) ? cut : escapeText(cut)
}
