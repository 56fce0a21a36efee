/** Portico's own annotations that do what annotations of other controllers do, on the same Ingress. */
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'

/** By the other's name without its domain: the names of Portico's annotations of an Ingress, without the domain. */
const EQUIVALENTS: Readonly<Record<string, readonly string[]>> = {
  'cors-allow-credentials': ['cors-allow-credentials'],
  'cors-allow-headers': ['cors-allow-headers'],
  'cors-allow-methods': ['cors-allow-methods'],
  'cors-allow-origin': ['cors-allow-origins'],
  'cors-expose-headers': ['cors-expose-headers'],
  'cors-max-age': ['cors-max-age'],
  'enable-cors': ['cors-allow-origins'],
  'auth-always-set-cookie': ['auth-always-set-cookie'],
  'auth-cache-duration': ['auth-cache-duration'],
  'auth-method': ['auth-method'],
  'auth-response-headers': ['auth-response-headers'],
  'auth-signin': ['auth-signin'],
  'auth-signin-redirect-param': ['auth-signin-redirect-param'],
  'auth-basic': ['basic-auth-secret'],
  'auth-realm': ['basic-auth-realm'],
  'auth-secret': ['basic-auth-secret'],
  'auth-secret-type': ['basic-auth-secret-type'],
  'auth-type': ['basic-auth-secret'],
  'basic-auth': ['basic-auth-secret'],
  'basic-auth-realm': ['basic-auth-realm'],
  'basic-auth-secret': ['basic-auth-secret'],
  'auth-uri': ['auth-url'],
  'auth-url': ['auth-url'],
  'limit-connections': ['concurrency-limit'],
  'limit-allowlist': ['rate-limit-exempt'],
  'limit-whitelist': ['rate-limit-exempt'],
  'allow-list': ['allow-source-range'],
  'allowlist-source-range': ['allow-source-range'],
  'blacklist-source-range': ['deny-source-range'],
  'blocklist-source-range': ['deny-source-range'],
  'deny-list': ['deny-source-range'],
  'denylist-source-range': ['deny-source-range'],
  'inbound-cidrs': ['allow-source-range'],
  'whitelist-source-range': ['allow-source-range'],
  blacklist: ['deny-source-range'],
  ip_allowlist: ['allow-source-range'],
  ip_whitelist: ['allow-source-range'],
  whitelist: ['allow-source-range'],
  'limit-burst-multiplier': ['rate-limit-burst'],
  'limit-req-rate': ['rate-limit'],
  'limit-rpm': ['rate-limit'],
  'limit-rps': ['rate-limit'],
  'rate-limit': ['rate-limit'],
  'rate-limit-requests': ['rate-limit'],
  'from-to-www-redirect': ['redirect-www'],
  'permanent-redirect': ['redirect-host', 'redirect-path', 'redirect-code'],
  'permanent-redirect-code': ['redirect-code'],
  'temporal-redirect': ['redirect-host', 'redirect-path'],
  'temporal-redirect-code': ['redirect-code'],
  'prefix-rewrite': ['rewrite-prefix'],
  'replace-prefix': ['rewrite-prefix'],
  'strip-path': ['rewrite-prefix'],
  'strip-prefix': ['rewrite-prefix'],
  'rewrite-target': ['rewrite-regex', 'rewrite-replacement'],
  satisfy: ['satisfy'],
  'use-regex': ['path-type'],
  'custom-http-errors': ['error-pages'],
  'max-body-size': ['body-limit'],
  'client-max-body-size': ['body-limit'],
  'proxy-body-size': ['body-limit'],
  'request-timeout': ['timeouts-request'],
  'retry-timeout': ['timeouts-request'],
  'proxy-buffering': ['response-buffering'],
  'proxy-request-buffering': ['request-buffering'],
  'canary-by-cookie': ['match-cookies'],
  'canary-by-header': ['match-headers'],
  'canary-weight': ['split'],
  'router.priority': ['priority'],
  methods: ['match-methods'],
}

/** Filters that have several annotations, of which any may be the one that was chosen. */
const SEVERAL = /^(?:redirect|rewrite)-/

/** The names, without the domain, with which `key` is written here; undefined: there are none. */
export function findEquivalents(key: string): readonly string[] | undefined {
  return Object.hasOwn(EQUIVALENTS, key) ? EQUIVALENTS[key] : undefined
}

/** An equivalent of `key` that is among the annotations of the Ingress; undefined: there is none. */
export function findWrittenEquivalent(key: string, annotations: Readonly<Record<string, string>>): string | undefined {
  const equivalents = findEquivalents(key) ?? []
  const beginnings = equivalents.flatMap((one) => SEVERAL.exec(one)?.[0] ?? [])
  return Object.keys(annotations).find((name) => {
    if (!name.startsWith(ANNOTATION_DOMAIN)) return false
    const own = name.slice(ANNOTATION_DOMAIN.length)
    return equivalents.includes(own) || beginnings.some((beginning) => own.startsWith(beginning))
  })
}

/** `portico.dev/a and portico.dev/b`, and the page where conditions are described; undefined: there is no equivalent. */
export function printEquivalents(key: string): string | undefined {
  const names = findEquivalents(key)?.map((name) => ANNOTATION_DOMAIN + name)
  if (names === undefined) return undefined
  const last = names.at(-1) ?? ''
  const text = names.length === 1 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
  return last.startsWith(`${ANNOTATION_DOMAIN}match-`) ? `${text} (docs/routing.md)` : text
}
