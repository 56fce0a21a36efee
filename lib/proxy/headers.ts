/** Which header fields travel on, in which order: hop-by-hop ones end here, in both directions (RFC 9110 §7.6.1). HOT */
import type { ResponseHead } from '../upstream/client.ts'
import type { RequestContext } from './context.ts'
import { addListed } from './fields.ts'
import { appendForwarded, isForwardingClaim } from './forwarded.ts'

/** Fields that concern one connection. `Trailer` too: trailers are passed on as they come, not as they were announced. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Naming one of these in `Connection` does not remove it: the other side decides by them. */
const END_TO_END = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'authorization',
  'cookie',
  'set-cookie',
  'range',
  'origin',
  'cache-control',
  'vary',
  'location',
  'date',
  'etag',
])

/** What a trailer may not say (RFC 9110 §6.5.1): framing, routing, identity and how to read the body. */
const NOT_IN_TRAILERS = new Set([
  ...HOP_BY_HOP,
  ...END_TO_END,
  'expect',
  'max-forwards',
  'content-range',
  'x-request-id',
])

/** Written anew even where a trusted proxy sent them; what it said in them is kept. */
const REWRITTEN = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-real-ip'])

/** With `underscoresInHeaders: keep`, CGI-like servers still read these as the field with hyphens. */
function isDangerousAlias(name: string): boolean {
  const hyphenated = name.replaceAll('_', '-')
  return HOP_BY_HOP.has(hyphenated) || END_TO_END.has(hyphenated) || isForwardingClaim(hyphenated)
}

/** The request's fields as the upstream gets them; `upgrade` is the protocol asked for, if any. */
export function buildRequestHeaders(context: RequestContext, upgrade: string | undefined): readonly string[] {
  const { exchange, settings, trustedPeer } = context
  const fields = context.fields!
  const { listed } = fields
  const sent = new Set<string>()
  const headers: string[] = []
  let forwarded: string | undefined
  let hostWritten = false
  let cookieWritten = false
  let idWritten = false
  if (fields.host === undefined) {
    // HTTP/1.1 wants a Host from everyone, an empty one where there is no authority (RFC 9112 §3.2).
    headers.push('Host', context.authority)
    hostWritten = true
  }
  for (let at = 0; at < exchange.headers.length; at += 2) {
    const original = exchange.headers[at]!
    const name = original.toLowerCase()
    let value = exchange.headers[at + 1]!
    if (HOP_BY_HOP.has(name) || name === 'expect') continue
    if (listed?.has(name) && !END_TO_END.has(name)) continue
    if (name.includes('_') && (settings.underscoresInHeaders !== 'keep' || isDangerousAlias(name))) continue
    if (isForwardingClaim(name)) {
      if (!trustedPeer || REWRITTEN.has(name)) continue
      if (name === 'forwarded') {
        forwarded = forwarded === undefined ? value : `${forwarded}, ${value}`
        continue
      }
      sent.add(name)
    } else if (name === 'host') {
      if (hostWritten) continue
      value = context.authority
      hostWritten = true
    } else if (name === 'cookie' && exchange.protocol === 'HTTP/2.0') {
      // HTTP/2 may split Cookie; HTTP/1.1 has one line (RFC 9113 §8.2.3).
      if (cookieWritten) continue
      value = fields.cookies!.join('; ')
      cookieWritten = true
    } else if (name === 'x-request-id') {
      if (value !== context.id || idWritten) continue
      idWritten = true
    } else if (name === 'content-length') {
      value = String(fields.contentLength)
    }
    headers.push(original, value)
  }
  if (!idWritten) headers.push('X-Request-Id', context.id)
  appendForwarded(
    headers,
    {
      trusted: trustedPeer,
      peerAddress: exchange.connection.peerAddress,
      clientAddress: context.clientAddress,
      forwardedFor: fields.forwardedFor,
      scheme: context.scheme,
      authority: context.authority,
      localPort: exchange.connection.localPort,
      sent,
      forwarded,
    },
    settings,
  )
  if (upgrade !== undefined) headers.push('Connection', 'Upgrade', 'Upgrade', upgrade)
  else if (fields.acceptsTrailers) headers.push('TE', 'trailers')
  if (fields.contentLength === undefined) {
    if (exchange.hasBody) headers.push('Transfer-Encoding', 'chunked')
    else if (mayHaveBody(exchange.method)) headers.push('Content-Length', '0')
  }
  return headers
}

/** RFC 9110 §8.6: methods that anticipate content say so when there is none. */
function mayHaveBody(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH' || !BODILESS_METHODS.has(method)
}

const BODILESS_METHODS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'])

/** The response's fields as the client gets them; undefined when their framing contradicts itself. */
export function buildResponseHeaders(
  head: ResponseHead,
  requestId: string,
  keepUpgrade: boolean,
): readonly string[] | undefined {
  let listed: Set<string> | undefined
  for (let at = 0; at < head.headers.length; at += 2) {
    if (head.headers[at]!.toLowerCase() === 'connection') listed = addListed(listed, head.headers[at + 1]!)
  }
  const headers: string[] = []
  let contentLength: string | undefined
  let server = false
  for (let at = 0; at < head.headers.length; at += 2) {
    const original = head.headers[at]!
    const name = original.toLowerCase()
    const value = head.headers[at + 1]!
    if (HOP_BY_HOP.has(name) && !(keepUpgrade && name === 'upgrade')) continue
    if (listed?.has(name) && !END_TO_END.has(name) && !(keepUpgrade && name === 'upgrade')) continue
    if (name === 'x-request-id') continue
    if (name === 'server') server = true
    if (name === 'content-length') {
      if (contentLength !== undefined || !/^\d{1,15}$/.test(value)) return undefined
      contentLength = value
      // RFC 9110 §8.6 forbids it there.
      if (head.status === 204 || head.chunked) continue
    }
    headers.push(original, value)
  }
  if (!server) headers.push('Server', 'portico')
  headers.push('X-Request-Id', requestId)
  return headers
}

/** What an interim answer may tell the client: it is a hint of what the response will hold, so it holds no more than that (RFC 8297 §2). */
export function filterHints(headers: readonly string[]): readonly string[] {
  const kept: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase()
    if (name === 'link' || name === 'content-security-policy') kept.push(headers[at]!, headers[at + 1]!)
  }
  return kept
}

/** Trailers that may travel on, in either direction. */
export function filterTrailers(trailers: readonly string[]): readonly string[] {
  if (trailers.length === 0) return trailers
  const kept: string[] = []
  for (let at = 0; at + 1 < trailers.length; at += 2) {
    const name = trailers[at]!.toLowerCase()
    if (NOT_IN_TRAILERS.has(name) || isForwardingClaim(name) || !isWritable(name, trailers[at + 1]!)) continue
    kept.push(trailers[at]!, trailers[at + 1]!)
  }
  return kept
}

/** Whether every codec takes this field; a trailer that none can write would break off a message that is otherwise whole. */
function isWritable(name: string, value: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(name) && !/[^\t\x20-\x7e\x80-\xff]/.test(value)
}
