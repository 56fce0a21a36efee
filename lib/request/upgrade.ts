/** Upgrades (RFC 9110 §7.8): which ones are passed on, and those that are served as if they had none. */
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { addListed } from './fields.ts'
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
  if (httpVersion !== '1.1' || hasBody(request)) return undefined
  const tokens = (headers.upgrade ?? '').split(',').map((token) => token.trim())
  const websocket = tokens.some((token) => token.toLowerCase() === 'websocket')
  if (websocket) return isWebSocketHandshake(request) ? 'websocket' : undefined
  return tokens.find((token) => TOKEN.test(token) && !HOP_PROTOCOL.test(token))
}

/** Whether the head announces a body (RFC 9112 §6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0
}

/** Whether node:http takes the head for one with an upgrade. */
export function offersUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade !== undefined && /\bupgrade\b/i.test(headers.connection ?? '')
}

function isWebSocketHandshake(request: IncomingMessage): boolean {
  const { headers } = request
  if (findMethod(request) !== 'GET') return false
  const key = headers['sec-websocket-key'] ?? ''
  return headers['sec-websocket-version'] === '13' && /^[A-Za-z0-9+/]{22}==$/.test(key)
}

/**
 * Gives a request back to its server as if it had come without Upgrade. node:http has let go of the connection, which so comes
 * once more, and the head with it, in front of what came behind.
 */
export function replayWithoutUpgrade(request: IncomingMessage, socket: Socket, early: Buffer): void {
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
  const { server } = socket as Socket & { readonly server: Server }
  server.emit('connection', socket)
  // Nothing can be put back into a stream whose end was told.
  socket.emit('data', Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), early]))
}
