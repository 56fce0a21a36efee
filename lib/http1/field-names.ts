/** What header fields mean to a gateway, by their names in lower case. */

/** Fields that concern one connection (RFC 9110 §7.6.1). `Trailer` too: trailers are passed on as they come, not as they were announced. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
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
export const END_TO_END: ReadonlySet<string> = new Set([
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

/** Two of these in a request contradict each other, and which one counts differs from server to server. */
export const SINGLETONS: readonly string[] = [
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
]

/** Names that tell an upstream who the client is, beside `x-forwarded-*`; what a client says in them is no evidence. */
export const CLAIMS: ReadonlySet<string> = new Set([
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-original-url',
  'x-rewrite-url',
  'x-scheme',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
])

/** Whether a field tells an upstream who the client is. */
export function isForwardingClaim(name: string): boolean {
  return name.startsWith('x-forwarded-') || CLAIMS.has(name)
}
