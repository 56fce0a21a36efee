/** Annotations of other Ingress controllers: those that promise what does not happen here are reported, once each. */
import type { DiagnosticList } from '../base/diagnostics.ts'
import { type Ingress, printResource } from '../kubernetes/resource.ts'
import { isSecured } from './host.ts'
import type { TranslationSettings } from './settings.ts'

const NGINX = 'nginx.ingress.kubernetes.io/'

const DOMAINS: readonly string[] = [
  NGINX,
  'nginx.org/',
  'traefik.ingress.kubernetes.io/',
  'haproxy.org/',
  'haproxy-ingress.github.io/',
  'alb.ingress.kubernetes.io/',
  'konghq.com/',
]

/** What lets some requests in and keeps others out, by the names that these controllers have for it. */
const GUARD =
  /^(?:auth-|basic-auth|jwt-|limit-|rate-limit|global-rate-limit|(?:allow|deny|white|black)-?list|enable-(?:modsecurity|owasp)|modsecurity|waf|oauth|satisfy|inbound-cidrs|mutual-authentication|policies$|plugins$|router\.middlewares$)/

/** Switches of ingress-nginx that are as good as absent where they are off. */
const OFF: ReadonlySet<string> = new Set([
  'canary',
  'enable-cors',
  'enable-global-auth',
  'enable-modsecurity',
  'force-ssl-redirect',
  'from-to-www-redirect',
  'service-upstream',
  'ssl-passthrough',
  'use-regex',
])

type Harmless = (value: string, ingress: Ingress, settings: TranslationSettings) => boolean

const isTrue = (value: string): boolean => /^(?:1|t|true)$/i.test(value)
const isFalse = (value: string): boolean => /^(?:0|f|false)$/i.test(value)
const redirects = ({ https }: TranslationSettings): boolean => https.enabled && https.redirect
/** Seconds, of what may take at least as long here. */
const isWithin = (value: string, milliseconds: number): boolean =>
  /^\d+s?$/.test(value) && Number.parseInt(value, 10) * 1000 <= milliseconds

/** Annotations of ingress-nginx with those of their values that say what happens here anyway. */
const HARMLESS: Readonly<Record<string, Harmless>> = {
  'ssl-redirect': (value, ingress, settings) =>
    ingress.tls.length === 0 || (redirects(settings) ? isTrue(value) : isFalse(value)),
  'force-ssl-redirect': (value, ingress, settings) =>
    isTrue(value) &&
    redirects(settings) &&
    ingress.rules.length > 0 &&
    ingress.rules.every(({ host }) => isSecured(ingress, host)),
  'proxy-body-size': (value, _ingress, { limits }) => value === '0' && limits.bodyBytes === 0,
  'backend-protocol': (value) => /^http$/i.test(value),
  'proxy-http-version': (value) => value === '1.1',
  'proxy-buffering': (value) => value === 'off',
  'proxy-request-buffering': (value) => value === 'off',
  'proxy-connect-timeout': (value, _ingress, { timeouts }) => isWithin(value, timeouts.connect),
  'proxy-read-timeout': (value, _ingress, { timeouts }) => isWithin(value, timeouts.responseHeaders),
  'load-balance': (value) => value === 'round_robin',
}

/** What to do instead, where there is something. */
const INSTEAD: Readonly<Record<string, string>> = {
  affinity: 'write portico.dev/affinity-type: cookie on the Service',
  'session-cookie-name': 'write portico.dev/affinity-cookie-name on the Service',
  'session-cookie-max-age': 'write portico.dev/affinity-cookie-max-age on the Service',
  'load-balance': 'write portico.dev/balancer on the Service',
  'upstream-hash-by': 'write portico.dev/balancer: hash and portico.dev/hash-by on the Service',
  'upstream-vhost': 'write portico.dev/host on the Service',
  'backend-protocol': 'set appProtocol: https on the port of the Service where it speaks TLS',
  'proxy-body-size': 'limits.bodyBytes in the settings limits the bodies of all requests',
  'proxy-connect-timeout': 'write portico.dev/timeouts-connect',
  'proxy-read-timeout': 'write portico.dev/timeouts-response-headers',
  'proxy-next-upstream': 'write portico.dev/retry-conditions',
  'proxy-next-upstream-timeout': 'write portico.dev/retry-timeout',
  'proxy-next-upstream-tries': 'write portico.dev/tries',
  'ssl-redirect': 'https.redirect in the settings says it for all hosts that a tls section names',
  'force-ssl-redirect': 'a host is sent to HTTPS where a tls section names it and https.redirect is on',
}

/** Reports those of an Ingress that is served. */
export function checkForeignAnnotations(
  ingress: Ingress,
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  for (const [name, value] of Object.entries(ingress.meta.annotations)) {
    const domain = DOMAINS.find((one) => name.startsWith(one))
    if (domain === undefined || isHarmless(domain, name, value, ingress, settings)) continue
    const key = name.slice(domain.length)
    diagnostics.add('PORTICO_ANN_UNSUPPORTED', `annotation "${name}" has no effect here`, {
      position: ingress.origin.locateKey(['metadata', 'annotations', name]),
      resource: printResource(ingress),
      help: GUARD.test(key)
        ? 'requests pass unguarded: nothing here checks, limits or refuses them in its place'
        : domain === NGINX && Object.hasOwn(INSTEAD, key)
          ? INSTEAD[key]
          : undefined,
    })
  }
}

function isHarmless(
  domain: string,
  name: string,
  value: string,
  ingress: Ingress,
  settings: TranslationSettings,
): boolean {
  const key = name.slice(domain.length)
  // WebSockets need no leave here.
  if (domain === 'nginx.org/') return key === 'websocket-services'
  if (domain !== NGINX) return false
  const text = value.trim()
  if (OFF.has(key) && isFalse(text)) return true
  return Object.hasOwn(HARMLESS, key) && HARMLESS[key]!(text, ingress, settings)
}
