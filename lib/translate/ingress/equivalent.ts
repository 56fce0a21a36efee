/** Portico's own annotations that do what annotations of other controllers do. */

/** By the other's name without its domain: the names of Portico's annotations of an Ingress, without the domain. */
const EQUIVALENTS: Readonly<Record<string, readonly string[]>> = {
  'auth-response-headers': ['auth-response-headers'],
  'auth-type': ['auth-url'],
  'auth-uri': ['auth-url'],
  'auth-url': ['auth-url'],
  'allow-list': ['match-client-addresses'],
  'allowlist-source-range': ['match-client-addresses'],
  'whitelist-source-range': ['match-client-addresses'],
  ip_allowlist: ['match-client-addresses'],
  ip_whitelist: ['match-client-addresses'],
  whitelist: ['match-client-addresses'],
  'limit-burst-multiplier': ['rate-limit-burst'],
  'limit-req-rate': ['rate-limit'],
  'limit-rpm': ['rate-limit'],
  'limit-rps': ['rate-limit'],
  'rate-limit': ['rate-limit'],
  'rate-limit-requests': ['rate-limit'],
  'app-root': ['redirect-path'],
  'from-to-www-redirect': ['redirect-host'],
  'permanent-redirect': ['redirect-host', 'redirect-path', 'redirect-code'],
  'permanent-redirect-code': ['redirect-code'],
  'temporal-redirect': ['redirect-host', 'redirect-path'],
  'temporal-redirect-code': ['redirect-code'],
  'rewrite-target': ['rewrite-regex', 'rewrite-replacement'],
  'use-regex': ['path-type'],
  'x-forwarded-prefix': ['request-headers-set'],
  'proxy-request-buffering': ['request-buffering'],
  'canary-by-cookie': ['match-cookies'],
  'canary-by-header': ['match-headers'],
  'canary-weight': ['split'],
  'router.priority': ['priority'],
  methods: ['match-methods'],
}

/** The names, without the domain; undefined: there are none. */
export function findEquivalents(key: string): readonly string[] | undefined {
  return Object.hasOwn(EQUIVALENTS, key) ? EQUIVALENTS[key] : undefined
}
