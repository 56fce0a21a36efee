/** Which methods are served: any token is one (RFC 9110 §9.1), also where node:http has no name for it. HOT */
import { METHODS } from 'node:http'
import { isToken } from '../http1/bytes.ts'
import { MAX_METHOD_BYTES } from '../http1/request-line.ts'

/**
 * An answer to TRACE would show a script what its browser and the proxies on the way have added to its request, CONNECT asks for
 * any host there is, and PRI is no method but the beginning of HTTP/2 (RFC 9113 §3.4).
 */
const REFUSED = new Set(['CONNECT', 'TRACE', 'PRI'])
const ORDINARY = new Set(METHODS.filter((method) => !REFUSED.has(method)))

/** True if requests of this method are passed on. Methods are case-sensitive, though some servers do not tell `trace` from TRACE. */
export function isServedMethod(method: string): boolean {
  if (ORDINARY.has(method)) return true
  return method.length <= MAX_METHOD_BYTES && isToken(method) && !REFUSED.has(method.toUpperCase())
}
