/** The header fields of a request, checked once at the door and summed up for everything behind it. HOT */
import { GatewayError } from '../base/errors.ts'
import type { Settings } from '../settings-table.ts'
import type { Exchange } from './exchange.ts'

/** What the gateway itself needs to know of a request's fields. */
export type RequestFields = {
  host: string | undefined
  /** Undefined: no Content-Length was sent. */
  contentLength: number | undefined
  chunked: boolean
  /** Lower-case names that `Connection` lists. */
  listed: Set<string> | undefined
  acceptsTrailers: boolean
  expect: string | undefined
  accept: string | undefined
  userAgent: string | undefined
  requestId: string | undefined
  forwardedFor: string | undefined
  forwardedProto: string | undefined
  cookies: string[] | undefined
}

/** Two of these contradict each other, and which one counts differs from server to server. */
const SINGLETONS = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'authorization',
  'proxy-authorization',
  'content-type',
  'if-match',
  'origin',
  'expect',
  'sec-websocket-key',
  'sec-websocket-version',
])

/** RFC 9113 §8.2.2 */
const NOT_IN_HTTP2 = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])

/** Reads the fields, or says why the request is refused: count, size, repeated or contradicting fields, framing. */
export function readFields(exchange: Exchange, settings: Settings): RequestFields | GatewayError {
  const { headers } = exchange
  const { limits } = settings
  if (headers.length > 2 * limits.headerCount) {
    return new GatewayError('PORTICO_REQ_HEADERS_TOO_LARGE', `more than ${limits.headerCount} fields`)
  }
  const http2 = exchange.protocol === 'HTTP/2.0'
  const fields = createFields()
  const seen = new Set<string>()
  let bytes = 0
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase()
    const value = headers[at + 1]!
    bytes += name.length + value.length + 4
    if (SINGLETONS.has(name)) {
      if (seen.has(name)) return new GatewayError('PORTICO_REQ_BAD_HEADER', `${name} is repeated`)
      seen.add(name)
    }
    if (http2 && (NOT_IN_HTTP2.has(name) || (name === 'te' && value.trim().toLowerCase() !== 'trailers'))) {
      return new GatewayError('PORTICO_REQ_BAD_HEADER', `${name} is not allowed in HTTP/2`)
    }
    if (settings.underscoresInHeaders === 'reject' && name.includes('_')) {
      return new GatewayError('PORTICO_REQ_BAD_HEADER', 'a field name contains an underscore')
    }
    if (!readField(fields, name, value)) return new GatewayError('PORTICO_REQ_BAD_FRAMING', `${name}: ${value}`)
  }
  if (bytes > limits.headerBytes) {
    return new GatewayError('PORTICO_REQ_HEADERS_TOO_LARGE', `more than ${limits.headerBytes} bytes`)
  }
  if (fields.chunked && (fields.contentLength !== undefined || exchange.protocol === 'HTTP/1.0')) {
    return new GatewayError('PORTICO_REQ_BAD_FRAMING', 'Transfer-Encoding with Content-Length or in HTTP/1.0')
  }
  return fields
}

function createFields(): RequestFields {
  return {
    host: undefined,
    contentLength: undefined,
    chunked: false,
    listed: undefined,
    acceptsTrailers: false,
    expect: undefined,
    accept: undefined,
    userAgent: undefined,
    requestId: undefined,
    forwardedFor: undefined,
    forwardedProto: undefined,
    cookies: undefined,
  }
}

/** False when the value makes the framing doubtful. */
function readField(fields: RequestFields, name: string, value: string): boolean {
  switch (name) {
    case 'host':
      fields.host = value
      break
    case 'content-length':
      // Above 15 digits a number is no longer exact, and the count could not be checked.
      if (!/^\d{1,15}$/.test(value)) return false
      fields.contentLength = Number(value)
      break
    case 'transfer-encoding':
      // Another coding would be lost when the body is framed anew.
      if (value.trim().toLowerCase() !== 'chunked') return false
      fields.chunked = true
      break
    case 'connection':
      fields.listed = addListed(fields.listed, value)
      break
    case 'te':
      if (/(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(value)) fields.acceptsTrailers = true
      break
    case 'expect':
      fields.expect = value
      break
    case 'accept':
      fields.accept = value
      break
    case 'user-agent':
      fields.userAgent ??= value
      break
    case 'x-request-id':
      fields.requestId = value
      break
    case 'x-forwarded-for':
      fields.forwardedFor = fields.forwardedFor === undefined ? value : `${fields.forwardedFor}, ${value}`
      break
    case 'x-forwarded-proto':
      fields.forwardedProto = value
      break
    case 'cookie':
      fields.cookies = fields.cookies ?? []
      fields.cookies.push(value)
      break
  }
  return true
}

/** Adds the names that one Connection field lists (RFC 9110 §7.6.1). */
export function addListed(listed: Set<string> | undefined, value: string): Set<string> {
  const names = listed ?? new Set<string>()
  for (const name of value.split(',')) names.add(name.trim().toLowerCase())
  return names
}
