/** Header fields that a gateway treats specially, by their names in lower case. */

/**
 * Fields that concern one connection (RFC 9110 §7.6.1). `Trailer` is among them, since trailers are passed on whether announced or not;
 * and `Proxy`, which no standard has, and CGI programs take for their own setting HTTP_PROXY (CVE-2016-5385).
 */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Fields that `Connection` cannot remove, since the other side decides by them. */
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

/** Fields that a request may hold only once: of two, servers differ in which one they believe. */
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

/** Fields, beside `x-forwarded-*`, that tell an upstream who the client is. A client's own values are not evidence. */
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

/** True if a field tells an upstream who the client is. */
export function isForwardingClaim(name: string): boolean {
  return name.startsWith('x-forwarded-') || CLAIMS.has(name)
}
