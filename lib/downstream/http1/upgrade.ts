/** Upgrades (RFC 9110 §7.8): which ones are passed on, and the requests that are served as if they asked for none. */
import type { IncomingMessage } from 'node:http'
import { addListed } from '../fields.ts'
import { findMethod } from './method.ts'

/** Protocols that concern the hop itself, so they are not for the upstream to decide. */
const HOP_PROTOCOL = /^(?:h2c?|http|tls)(?:\/|$)/i
const TOKEN = /^[\w!#$%&'*+.^`|~/-]+$/

/**
 * The protocol to ask the upstream for; undefined when the request is to be served as if it had no Upgrade: HTTP/1.0, a body
 * (nothing else may come before its end, RFC 9110 §7.8), h2c or TLS, or a WebSocket handshake that no server may accept
 * (RFC 6455 §4.2.1). The method is any: kubectl exec asks for SPDY/3.1 by POST.
 */
export function findUpgrade(request: IncomingMessage): string | undefined {
  const { headers, httpVersion } = request
  if (httpVersion !== '1.1' || announcesBody(request)) return undefined
  const tokens = (headers.upgrade ?? '').split(',').map((token) => token.trim())
  const websocket = tokens.some((token) => token.toLowerCase() === 'websocket')
  if (websocket) return isWebSocketHandshake(request) ? 'websocket' : undefined
  return tokens.find((token) => TOKEN.test(token) && !HOP_PROTOCOL.test(token))
}

/** True if a body follows the head (RFC 9112 §6.3). */
export function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0
}

/** True if node:http takes the head for one with an upgrade. */
export function offersUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade !== undefined && /\bupgrade\b/i.test(headers.connection ?? '')
}

function isWebSocketHandshake(request: IncomingMessage): boolean {
  const { headers } = request
  if (findMethod(request) !== 'GET') return false
  const key = headers['sec-websocket-key'] ?? ''
  return headers['sec-websocket-version'] === '13' && /^[A-Za-z0-9+/]{22}==$/.test(key)
}

/** The head of a request as if it had been sent without Upgrade. */
export function composeWithoutUpgrade(request: IncomingMessage): Buffer {
  const { rawHeaders } = request
  let head = `${findMethod(request)} ${request.url} HTTP/${request.httpVersion}\r\n`
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase()
    let value = rawHeaders[at + 1]!
    if (name === 'upgrade' || name === 'http2-settings') continue
    if (name === 'connection') {
      const names = [...addListed(undefined, value)].filter((each) => each !== 'upgrade' && each !== 'http2-settings')
      if (names.length === 0) continue
      value = names.join(', ')
    }
    head += `${rawHeaders[at]}: ${value}\r\n`
  }
  return Buffer.from(`${head}\r\n`, 'latin1')
}
