/** Reads the fields of a request for the doors that get names and values from Node: checked, summed up, and as the lines that travel on. HOT */
import { GatewayError, headTooLarge, tooManyFields } from '../base/errors.ts'
import { isFieldValue, isToken } from '../http1/bytes.ts'
import { authenticatesConnection } from '../http1/connection-auth.ts'
import { trimSpace } from '../http1/field-line.ts'
import { END_TO_END, HOP_BY_HOP, isForwardingClaim, SINGLETONS } from '../http1/field-names.ts'
import { backOf, frontOf } from '../http1/name-traces.ts'
import { createClaims, createFields, type ForwardingClaims, type RequestFields } from '../http1/request-fields.ts'
import type { Settings } from '../settings/table.ts'

/** As the access log names them. */
export type Protocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2.0'

/** One bit for each, so that a repetition shows. */
const SINGLETON_BITS = new Map(SINGLETONS.map((name, index) => [name, 1 << index]))

/** Fields that make a request of HTTP/2 malformed (RFC 9113 §8.2.2). */
const NOT_IN_HTTP2 = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])

const EXPLAIN = 'x-portico-explain'
/** Fields that do not travel on, beside those of the hop. */
const ENDS_HERE: ReadonlySet<string> = new Set(['content-length', 'expect', 'x-request-id', EXPLAIN])

/**
 * `headers` are names and values in turn, latin1, without pseudo-header fields. Gives the reason when the request is
 * refused: count, size, repeated or contradicting fields, framing.
 */
export function readFields(
  headers: readonly string[],
  protocol: Protocol,
  settings: Settings,
): RequestFields | GatewayError {
  const { limits, underscoresInHeaders } = settings
  if (headers.length > 2 * limits.headerCount) return tooManyFields(limits.headerCount)
  const http2 = protocol === 'HTTP/2.0'
  const listed = findListed(headers)
  const fields = createFields()
  let cookies: string | undefined
  let lines = ''
  let seen = 0
  let bytes = 0
  for (let at = 0; at < headers.length; at += 2) {
    const sent = headers[at]!
    const name = sent.toLowerCase()
    const value = headers[at + 1]!
    bytes += name.length + value.length + 4
    const bit = SINGLETON_BITS.get(name) ?? 0
    if ((seen & bit) !== 0) return new GatewayError('PORTICO_REQ_BAD_HEADER', `${name} is repeated`)
    seen |= bit
    if (http2 && !isHttp2Field(sent, value)) return new GatewayError('PORTICO_REQ_MALFORMED', `the field ${name}`)
    if (!http2 && (!isToken(name) || !isFieldValue(value))) {
      return new GatewayError('PORTICO_REQ_BAD_HEADER', 'a field holds a character that none may hold')
    }
    const underscored = name.includes('_')
    if (underscored && underscoresInHeaders === 'reject') {
      return new GatewayError('PORTICO_REQ_BAD_HEADER', 'a field name contains an underscore')
    }
    if (!noteField(fields, name, value)) return new GatewayError('PORTICO_REQ_BAD_FRAMING', `${name}: ${value}`)
    if (ENDS_HERE.has(name) || HOP_BY_HOP.has(name)) continue
    if (underscored && (underscoresInHeaders !== 'keep' || isDangerousAlias(name))) continue
    if (isForwardingClaim(name)) {
      fields.claims ??= createClaims()
      noteClaim(fields.claims, name, value, `${sent}: ${value}\r\n`, listed?.has(name) ?? false)
      continue
    }
    if (listed?.has(name) && !END_TO_END.has(name)) continue
    noteLine(fields, name, value)
    if (http2 && name === 'cookie') cookies = cookies === undefined ? value : `${cookies}; ${value}`
    else lines += `${sent}: ${value}\r\n`
  }
  if (bytes > limits.headerBytes) return headTooLarge(limits.headerBytes)
  if (fields.chunked && (fields.contentLength !== undefined || protocol === 'HTTP/1.0')) {
    return new GatewayError('PORTICO_REQ_BAD_FRAMING', 'Transfer-Encoding with Content-Length or in HTTP/1.0')
  }
  // HTTP/2 may split Cookie; HTTP/1.1 has one line (RFC 9113 §8.2.3).
  fields.lines = cookies === undefined ? lines : `${lines}cookie: ${cookies}\r\n`
  return fields
}

/** False when the value makes the framing doubtful. */
function noteField(fields: RequestFields, name: string, value: string): boolean {
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
    case 'te':
      if (/(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(value)) fields.acceptsTrailers = true
      break
    case 'expect':
      fields.expect = value
      break
    case 'authorization':
    case 'proxy-authorization':
      if (authenticatesConnection(value)) fields.authenticatesConnection = true
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
    case EXPLAIN:
      fields.explain = value
      break
  }
  return true
}

/** Of a line that travels on. */
function noteLine(fields: RequestFields, name: string, value: string): void {
  fields.fronts |= frontOf(name)
  fields.backs |= backOf(name)
  if (name === 'origin') fields.origin = value
  else if (name === 'authorization') fields.authorization = value
}

/** `isListed`: `Connection` names it, so its line ends here; who the client is, is read all the same. */
function noteClaim(claims: ForwardingClaims, name: string, value: string, line: string, isListed: boolean): void {
  switch (name) {
    case 'x-forwarded-for':
      claims.forwardedFor = claims.forwardedFor === undefined ? value : `${claims.forwardedFor}, ${value}`
      return
    case 'x-forwarded-proto':
      claims.forwardedProto = value
      return
    case 'x-forwarded-host':
      claims.forwardedHost = value
      return
    case 'x-forwarded-port':
      claims.forwardedPort = value
      return
    case 'x-real-ip':
      claims.realIp = value
      return
    case 'forwarded':
      claims.forwarded = claims.forwarded === undefined ? value : `${claims.forwarded}, ${value}`
      return
  }
  if (!isListed) claims.lines += line
}

/** With `underscoresInHeaders: keep`, CGI-like servers still read these as the field with hyphens. */
function isDangerousAlias(name: string): boolean {
  const hyphenated = name.replaceAll('_', '-')
  return (
    HOP_BY_HOP.has(hyphenated) || END_TO_END.has(hyphenated) || hyphenated === EXPLAIN || isForwardingClaim(hyphenated)
  )
}

/** RFC 9113 §8.2.1 and §8.2.2. node:http2 resets streams, or drops fields in silence, before most of it can be seen here. */
function isHttp2Field(name: string, value: string): boolean {
  if (NOT_IN_HTTP2.has(name)) return false
  if (name === 'te') return value.toLowerCase() === 'trailers'
  return name === name.toLowerCase() && isToken(name) && isFieldValue(value) && value === trimSpace(value)
}

/** The names that `Connection` lists, in lower case; undefined where there is no such field. */
function findListed(headers: readonly string[]): Set<string> | undefined {
  let listed: Set<string> | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!
    if (name.length === 10 && name.toLowerCase() === 'connection') listed = addListed(listed, headers[at + 1]!)
  }
  return listed
}

/** Adds the names that one Connection field lists (RFC 9110 §7.6.1). */
export function addListed(listed: Set<string> | undefined, value: string): Set<string> {
  const names = listed ?? new Set<string>()
  for (const name of value.split(',')) names.add(name.trim().toLowerCase())
  return names
}
