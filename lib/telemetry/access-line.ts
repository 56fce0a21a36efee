/** Makers of access lines, one for each format, made when settings change. HOT */
import { type LogField, parseLogTemplate } from '../base/log-template.ts'
import { createHider } from '../base/redact.ts'
import {
  createFieldReader,
  type FieldReader,
  isPlainField,
  type LineContext,
  printMs,
  printSeconds,
} from './access-field.ts'
import { CONNECTION_MESSAGE, cleanText, connectionFields, MAX_TARGET, MAX_TEXT } from './access-log.ts'
import { commonTime, isoTime } from './line-time.ts'
import { type ConnectionRecord, endOf, type RequestFacts, type RequestRecord } from './record.ts'

export type LineMaker = (record: RequestRecord, facts: RequestFacts | undefined) => string

/** How texts are escaped in a template's line: as nginx does, or as in the strings of JSON. */
export type Escape = 'text' | 'json'

export const COMMON = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
export const COMBINED = `${COMMON} "$http_referer" "$http_user_agent"`
/** The default of `log-format-upstream`. */
export const UPSTREAM_INFO = `${COMBINED} $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id`

/** What stands in a string of JSON as it is. */
const PLAIN_JSON = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
/** What nginx leaves as it is. */
const PLAIN_TEXT = PLAIN_JSON

/** What stands between the quotes of a string of JSON. */
function escapeJson(text: string, limit: number): string {
  return text.length <= limit && PLAIN_JSON.test(text) ? text : JSON.stringify(cleanText(text, limit)).slice(1, -1)
}

/** Lines of JSON: all fields that apply, and those of `more`. */
export function createJsonMaker(more: readonly LogField[], context: LineContext): LineMaker {
  const hide = createHider(context.secretKeys)
  const readers = more.map((name) => [name, createFieldReader(name, context)] as const)
  /** Of routes: they say the same each time. */
  const routes = new WeakMap<object, string>()
  const printRoute = (labels: NonNullable<RequestRecord['labels']>): string => {
    let text = routes.get(labels)
    if (text === undefined) {
      const { ingress, route, upstream } = labels
      text = `,"ingress":${JSON.stringify(ingress)},"route":${JSON.stringify(route)}`
      if (upstream !== '') text += `,"service":${JSON.stringify(upstream)}`
      routes.set(labels, text)
    }
    return text
  }
  return (record, facts) => {
    const { labels, upstreamMs, endpoint, error, detail, userAgent } = record
    let line =
      `{"level":"info","time":"${isoTime(endOf(record))}","request_id":"${escapeJson(record.id, MAX_TEXT)}` +
      `","client":"${escapeJson(record.clientAddress, MAX_TEXT)}","peer":"${escapeJson(record.peerAddress, MAX_TEXT)}` +
      `","host":"${escapeJson(record.authority, MAX_TEXT)}","method":"${escapeJson(record.method, MAX_TEXT)}` +
      `","target":"${escapeJson(hide(record.target), MAX_TARGET)}","protocol":"${record.protocol}` +
      `","scheme":"${record.scheme}","status":${record.status},"bytes_in":${record.bytesIn}` +
      `,"bytes_out":${record.bytesOut},"duration_ms":${printMs(record.durationMs)}`
    if (upstreamMs !== undefined) line += `,"upstream_ms":${printMs(upstreamMs)}`
    if (labels !== undefined) line += printRoute(labels)
    if (endpoint !== undefined) line += `,"endpoint":"${escapeJson(endpoint, MAX_TEXT)}"`
    line += `,"tries":${record.tries}`
    if (error !== undefined) line += `,"code":"${error}"`
    if (detail !== undefined) line += `,"detail":"${escapeJson(hide(detail), MAX_TARGET)}"`
    if (userAgent !== undefined) line += `,"user_agent":"${escapeJson(userAgent, MAX_TEXT)}"`
    if (record.tunnel) line += ',"tunnel":true'
    for (const [name, read] of readers) {
      const value = read(record, facts)
      if (value === undefined || value === '') continue
      line += typeof value === 'number' ? `,"${name}":${value}` : `,"${name}":"${escapeJson(value, MAX_TARGET)}"`
    }
    return `${line},"msg":"request"}\n`
  }
}

/** Lines as a template says; throws where it has a fault, which settings that were read do not. */
export function createTemplateMaker(template: string, form: Escape, context: LineContext): LineMaker {
  const parts = parseLogTemplate(template)
  if ('message' in parts) throw new Error(parts.message)
  const print = form === 'json' ? printJson : printText
  const nothing = form === 'json' ? '' : '-'
  /** Each with the text before it. */
  const readers: Readonly<{ before: string; read: FieldReader; isPlain: boolean }>[] = []
  let before = ''
  for (const part of parts) {
    if (typeof part === 'string') before = part
    else {
      const { field } = part
      readers.push({ before, read: createFieldReader(field, context), isPlain: isPlainField(field) })
      before = ''
    }
  }
  const end = `${before}\n`
  return (record, facts) => {
    let line = ''
    for (const { before, read, isPlain } of readers) {
      const value = read(record, facts)
      if (value === undefined || value === '') line += before + nothing
      else line += before + (isPlain || typeof value === 'number' ? value : print(value))
    }
    return line + end
  }
}

/** As nginx escapes by default, so that its parsers read it. */
function printText(text: string): string {
  const cut = text.length > MAX_TARGET ? `${text.slice(0, MAX_TARGET)}...` : text
  return PLAIN_TEXT.test(cut) ? cut : cut.replace(/["\\\x00-\x1f\x7f-\uffff]/g, escapeUnit)
}

/** Texts of clients have one unit for each byte. */
function escapeUnit(unit: string): string {
  const code = unit.charCodeAt(0)
  if (code < 0x100) return printByte(code)
  return [...Buffer.from(unit)].map(printByte).join('')
}

function printByte(byte: number): string {
  return `\\x${byte.toString(16).toUpperCase().padStart(2, '0')}`
}

function printJson(text: string): string {
  return escapeJson(text, MAX_TARGET)
}

/** `at` is the end of the connection, milliseconds since the epoch. */
export type ConnectionLineMaker = (record: ConnectionRecord, at: number) => string

export const printJsonConnection: ConnectionLineMaker = (record, at) =>
  `${JSON.stringify({ level: 'info', time: isoTime(at), ...connectionFields(record), msg: CONNECTION_MESSAGE })}\n`

/** As ingress-nginx writes them: address, time, protocol, status, bytes sent and received, seconds. */
export const printPlainConnection: ConnectionLineMaker = (record, at) => {
  const { clientAddress, error, bytesOut, bytesIn, durationMs } = record
  const status = error === undefined ? 200 : 502
  return `[${clientAddress}] [${commonTime(at)}] TCP ${status} ${bytesOut} ${bytesIn} ${printSeconds(durationMs)}\n`
}
