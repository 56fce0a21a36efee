/** Methods: any token is one (RFC 9110 §9.1), also where node:http has no name for it. HOT */
import { type IncomingMessage, METHODS } from 'node:http'
import { isToken } from '../http1/bytes.ts'
import { MAX_METHOD_BYTES } from '../http1/request-line.ts'

/**
 * An answer to TRACE would show a script what its browser and the proxies on the way have added to its request, CONNECT asks for
 * any host there is, and PRI is no method but the beginning of HTTP/2 (RFC 9113 §3.4).
 */
const REFUSED = new Set(['CONNECT', 'TRACE', 'PRI'])
const ORDINARY = new Set(METHODS.filter((method) => !REFUSED.has(method)))

/** Whether requests of this method are passed on. Methods are case-sensitive, though some servers do not tell `trace` from TRACE. */
export function isServedMethod(method: string): boolean {
  if (ORDINARY.has(method)) return true
  return method.length <= MAX_METHOD_BYTES && isToken(method) && !REFUSED.has(method.toUpperCase())
}

const METHOD: unique symbol = Symbol('method')
type NamedMessage = IncomingMessage & { [METHOD]?: string }

/** What the client sent, where node:http was given another method in its place. */
export function setMethod(request: IncomingMessage, method: string): void {
  const own: NamedMessage = request
  own[METHOD] = method
}

/** As the client sent it. */
export function findMethod(request: IncomingMessage): string {
  return (request as NamedMessage)[METHOD] ?? request.method!
}
