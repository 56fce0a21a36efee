/** Reports annotations of other Ingress controllers, and finds those that close routes. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { type Ingress, printResource, type Service } from '../../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { ANNOTATIONS } from '../annotation.ts'
import type { TranslationSettings } from '../settings.ts'
import { isSecured } from '../tls/tls-section.ts'
import { findEquivalents, findWrittenEquivalent, printEquivalents } from './equivalent.ts'
import { type ForeignAnnotation, listForeign, listGuards } from './foreign-table.ts'
import { readAliases } from './nginx/alias.ts'
import { NGINX_DOMAIN } from './nginx/feature.ts'
import { suggestName } from './nginx/features.ts'

const NGINX: ReadonlySet<string> = new Set(['nginx.ingress.kubernetes.io', 'ingress.kubernetes.io'])

const ALB = 'alb.ingress.kubernetes.io'
const TRAEFIK = 'traefik.ingress.kubernetes.io'
/** Annotations that name the protocol of endpoints. */
const PROTOCOL = /^(?:backend-protocol(?:-version)?|service\.serversscheme)$/

/** Switches of ingress-nginx that have no effect when off. */
const OFF: ReadonlySet<string> = new Set([
  'enable-cors',
  'force-ssl-redirect',
  'from-to-www-redirect',
  'service-upstream',
  'use-regex',
])

type Harmless = (value: string, ingress: Ingress, settings: TranslationSettings) => boolean

const isTrue = (value: string): boolean => /^(?:1|t|true)$/i.test(value)
const isFalse = (value: string): boolean => /^(?:0|f|false)$/i.test(value)
const redirects = ({ https }: TranslationSettings): boolean => https.enabled && https.redirect
/** True if a time limit in seconds is at most the one that holds here. */
const isWithin = (value: string, milliseconds: number): boolean =>
  /^\d+s?$/.test(value) && Number.parseInt(value, 10) * 1000 <= milliseconds
/** True if plain HTTP is never served for the Ingress. */
const isHttpsAlone = (ingress: Ingress, settings: TranslationSettings): boolean =>
  redirects(settings) && ingress.rules.length > 0 && ingress.rules.every(({ host }) => isSecured(ingress, host))

/** Annotations of ingress-nginx, with a test for the values that describe what happens here anyway. */
const HARMLESS: Readonly<Record<string, Harmless>> = {
  'ssl-redirect': (value, ingress, settings) =>
    ingress.tls.length === 0 || (redirects(settings) ? isTrue(value) : isFalse(value)),
  'force-ssl-redirect': (value, ingress, settings) => isTrue(value) && isHttpsAlone(ingress, settings),
  'proxy-body-size': (value, _ingress, { limits }) => value === '0' && limits.bodyBytes === 0,
  'proxy-http-version': (value) => value === '1.1',
  'proxy-buffering': (value) => value === 'off',
  'proxy-request-buffering': (value) => value === 'off',
  'proxy-connect-timeout': (value, _ingress, { timeouts }) => isWithin(value, timeouts.connect),
  'proxy-read-timeout': (value, _ingress, { timeouts }) => isWithin(value, timeouts.responseHeaders),
  'load-balance': (value) => value === 'round_robin',
}

/** The same for the load balancers of AWS, and for Traefik. */
const HARMLESS_ELSEWHERE: Readonly<Record<string, Harmless>> = {
  'ssl-redirect': (_value, ingress, settings) => isHttpsAlone(ingress, settings),
  'target-group-attributes': (value) => !/stickiness\.enabled\s*=\s*true/i.test(value),
  'router.entrypoints': (value, ingress, settings) =>
    /\bwebsecure\b/.test(value) && (/\bweb\b/.test(value) || isHttpsAlone(ingress, settings)),
  'router.tls': isTrue,
}

/** The replacement, if there is one. */
const INSTEAD: Readonly<Record<string, string>> = {
  affinity: 'write portico.dev/affinity-type: cookie on the Service',
  'session-cookie-name': 'write portico.dev/affinity-cookie-name on the Service',
  'session-cookie-max-age': 'write portico.dev/affinity-cookie-max-age on the Service',
  'load-balance': 'write portico.dev/balancer on the Service',
  'upstream-hash-by': 'write portico.dev/balancer: hash and portico.dev/hash-by on the Service',
  'upstream-vhost': 'write portico.dev/host on the Service',
  'proxy-connect-timeout': 'write portico.dev/timeouts-connect',
  'proxy-read-timeout': 'write portico.dev/timeouts-response-headers',
  'proxy-next-upstream': 'write portico.dev/retry-conditions',
  'proxy-next-upstream-timeout': 'write portico.dev/timeouts-request',
  'proxy-next-upstream-tries': 'write portico.dev/tries',
  'ssl-redirect': 'https.redirect in the settings says it for all hosts that a tls section names',
  'app-root': 'write portico.dev/app-root',
  'from-to-www-redirect': 'write portico.dev/redirect-www, and rules for both hosts',
  'use-regex': 'write portico.dev/path-type: regex, and give pathType: ImplementationSpecific to the paths',
  'x-forwarded-prefix': 'write portico.dev/request-headers-set: "X-Forwarded-Prefix: /prefix"',
  'force-ssl-redirect': 'a host is sent to HTTPS if a tls section names it and https.redirect is on',
}

const TLS_INSTEAD = 'set appProtocol: https on the port of the Service'
const HTTP2_INSTEAD =
  'endpoints are spoken to in HTTP/1.1; gRPC passes through a port of the Service itself: type NodePort or LoadBalancer'

/** The replacement for a protocol, by the value in upper case. */
const PROTOCOL_INSTEAD: Readonly<Record<string, string>> = {
  HTTPS: TLS_INSTEAD,
  'H1-SSL': TLS_INSTEAD,
  AUTO_HTTP: `${TLS_INSTEAD} where it speaks TLS`,
  H2C: HTTP2_INSTEAD,
  H2: HTTP2_INSTEAD,
  'H2-SSL': HTTP2_INSTEAD,
  HTTP2: HTTP2_INSTEAD,
  GRPC: HTTP2_INSTEAD,
  GRPCS: HTTP2_INSTEAD,
  FCGI: 'endpoints are spoken to in HTTP/1.1: put a web server that speaks FastCGI before them',
}

/** The annotations that close the routes of `resource`; none if the settings let them be served. */
export function findClosingGuards(
  resource: Ingress | Service,
  { unsupportedGuards }: TranslationSettings,
): readonly ForeignAnnotation[] {
  return unsupportedGuards === 'serve' ? [] : findForeign(resource).guards
}

type Foreign = Readonly<{ guards: readonly ForeignAnnotation[]; others: readonly ForeignAnnotation[] }>

/** What is not done here: the guards, and all others of which something may have to be said. */
function findForeign(resource: Ingress | Service): Foreign {
  const all = listForeign(resource.kind, resource.meta.annotations)
  const handled = resource.kind === 'Ingress' ? readAliases(resource).handled : undefined
  const left = handled === undefined ? all : all.filter(({ name }) => !handled.has(name))
  if (left.length === 0) return { guards: left, others: left }
  const guards = listGuards(all).filter((one) => left.includes(one))
  // The guard that a detail belongs to is done, or the detail is a guard itself.
  const isMissed = (one: ForeignAnnotation): boolean =>
    one.kind === 'detail' && one.value !== '' && one.name.startsWith(NGINX_DOMAIN) && guards.length === 0
  return {
    guards,
    others: left.filter(
      (one) => !guards.includes(one) && (one.kind === 'effect' || isMissed(one) || isIdleSnippet(one)),
    ),
  }
}

/** The reason why a route is closed. */
export function describeClosing({ name }: ForeignAnnotation): string {
  return `"${name}" is a guard that is not honoured here`
}

/** The annotation that makes an Ingress a canary, which gets only a share of another Ingress's requests. */
export function findCanary({ kind, meta }: Ingress): ForeignAnnotation | undefined {
  return listForeign(kind, meta.annotations).find((one) => one.kind === 'canary' && isTrue(one.value))
}

/** Reports a canary, which is left out. */
export function reportCanary(ingress: Ingress, { name }: ForeignAnnotation, diagnostics: DiagnosticList): void {
  diagnostics.add('PORTICO_ANN_CANARY', 'a canary is not supported: this Ingress serves nothing', {
    position: ingress.origin.locateKey(['metadata', 'annotations', name]),
    resource: printResource(ingress),
    help: explainCanary(Object.keys(ingress.meta.annotations)),
  })
}

function explainCanary(names: readonly string[]): string {
  const has = (end: string): boolean => names.some((name) => name.endsWith(`/canary-${end}`))
  const conditions = ['header', 'cookie'].filter((what) => has(`by-${what}`)).map((what) => `match-${what}s`)
  const divide =
    'all requests go to the Ingress it stands beside; to divide them, write the Services with their weights there: portico.dev/split: "SERVICE=90, CANARY=10"'
  if (conditions.length === 0) return divide
  const written = conditions.map((name) => ANNOTATION_DOMAIN + name).join(' or ')
  return `${divide}; to choose by what a request says, write ${written} here and remove canary (docs/routing.md)`
}

/** True if a Service has annotations to report when a route leads to it. */
export function hasForeign({ kind, meta }: Service): boolean {
  return listForeign(kind, meta.annotations).some((one) => one.kind === 'effect' || one.kind === 'guard')
}

/** Reports the annotations of a served Ingress, or of a Service that a route leads to. */
export function checkForeignAnnotations(
  resource: Ingress | Service,
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  const { guards, others } = findForeign(resource)
  for (const one of guards) reportGuard(resource, one, describeGuarded(resource, one), settings, diagnostics)
  for (const one of others) {
    if (one.kind === 'effect' && isHarmless(one, resource, settings)) continue
    diagnostics.add('PORTICO_ANN_UNSUPPORTED', `annotation "${one.name}" has no effect here`, {
      position: resource.origin.locateKey(['metadata', 'annotations', one.name]),
      resource: printResource(resource),
      help: explainWritten(resource, one) ?? suggestName(one.name) ?? findInstead(one),
    })
  }
}

/** True if the port of a Service's load balancer must stay closed because of guards, which are reported. */
export function isLoadBalancerClosed(
  service: Service,
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): boolean {
  const guards = listGuards(listForeign('LoadBalancer', service.meta.annotations))
  for (const guard of guards) {
    reportGuard(service, guard, 'its LoadBalancer port stays closed', settings, diagnostics)
  }
  return guards.length > 0 && settings.unsupportedGuards === 'refuse'
}

function reportGuard(
  resource: Ingress | Service,
  guard: ForeignAnnotation,
  outcome: string,
  { unsupportedGuards }: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  const isRefused = unsupportedGuards === 'refuse'
  diagnostics.add('PORTICO_ANN_GUARD_UNSUPPORTED', `annotation ${describeClosing(guard)}`, {
    ...(!isRefused && { severity: 'warning' as const }),
    position: resource.origin.locateKey(['metadata', 'annotations', guard.name]),
    resource: printResource(resource),
    help: adviseGuard(resource, guard, isRefused ? outcome : undefined),
  })
}

const PASSES = 'everything passes unguarded, since unsupportedGuards is serve'
const NOTHING = 'nothing here checks, limits or refuses in its place'
const SERVE = 'to let everything pass: unsupportedGuards: serve in the settings'

/** `outcome` is what the guard closes; undefined: the settings let requests pass. */
function adviseGuard(resource: Ingress | Service, guard: ForeignAnnotation, outcome: string | undefined): string {
  const meant = suggestName(guard.name)
  if (meant !== undefined) return `${meant} Until then ${outcome ?? PASSES}`
  const written = explainWritten(resource, guard)
  if (written !== undefined) return outcome === undefined ? written : `${written}; until then ${outcome}`
  const instead = findGuardInstead(resource, guard)
  if (outcome === undefined) return `${PASSES}: ${instead ? `${instead} in its place` : NOTHING}`
  return instead ? `${outcome}; ${instead} in its place; or ${SERVE}` : `${outcome}, since ${NOTHING}; ${SERVE}`
}

/** The help where Portico's own annotation for the same stands beside it. */
function explainWritten({ kind, meta }: Ingress | Service, { key }: ForeignAnnotation): string | undefined {
  const written = findWrittenEquivalent(key, meta.annotations)
  if (written !== undefined && !ANNOTATIONS.get(written)?.kinds.includes(kind)) return undefined
  return written && `remove this annotation: ${written} stands in its place`
}

/** Guards that name filters, or are written as such. */
const NAMES_FILTERS =
  /^(?:router\.middlewares|policies|plugins|(?:configuration|server)-snippet|(?:location|server)-snippets)$/

function findGuardInstead({ kind }: Ingress | Service, { key }: ForeignAnnotation): string | undefined {
  const names = findEquivalents(key) ?? []
  const isHere = names.every((name) => ANNOTATIONS.get(ANNOTATION_DOMAIN + name)?.kinds.includes(kind))
  const equivalents = isHere ? printEquivalents(key) : undefined
  if (equivalents !== undefined) return `write ${equivalents}`
  return NAMES_FILTERS.test(key) ? 'write filters (docs/filters.md)' : undefined
}

function describeGuarded({ kind }: Ingress | Service, { isOfHost }: ForeignAnnotation): string {
  if (kind === 'Service') return 'the routes to this Service answer 503'
  return `${isOfHost ? 'all routes of the hosts of this Ingress' : 'the routes of this Ingress'} answer 503`
}

/** True for a snippet that refuses nothing but has another effect. */
function isIdleSnippet({ isIdle, key, value }: ForeignAnnotation): boolean {
  return isIdle && value !== '' && /-snippets?$/.test(key)
}

/** True if the annotation describes what happens here anyway. */
function isHarmless(
  { domain, key, value }: ForeignAnnotation,
  resource: Ingress | Service,
  settings: TranslationSettings,
): boolean {
  if (PROTOCOL.test(key)) return /^(?:http|http1|h1)$/i.test(value)
  if (resource.kind === 'Service') return false
  if (key === 'ingress.allow-http') return isTrue(value) || isHttpsAlone(resource, settings)
  const isNginx = NGINX.has(domain)
  if (isNginx && OFF.has(key) && isFalse(value)) return true
  if (!isNginx && domain !== ALB && domain !== TRAEFIK) return false
  const table = isNginx ? HARMLESS : HARMLESS_ELSEWHERE
  return Object.hasOwn(table, key) && table[key]!(value, resource, settings)
}

function findInstead({ domain, key, value }: ForeignAnnotation): string | undefined {
  if (PROTOCOL.test(key)) {
    const protocol = value.toUpperCase()
    return Object.hasOwn(PROTOCOL_INSTEAD, protocol) ? PROTOCOL_INSTEAD[protocol] : undefined
  }
  if (key === 'target-group-attributes') return INSTEAD.affinity
  if (key === 'ingress.allow-http' || (domain === ALB && key === 'ssl-redirect')) return INSTEAD['force-ssl-redirect']
  if (NGINX.has(domain) && Object.hasOwn(INSTEAD, key)) return INSTEAD[key]
  const equivalents = printEquivalents(key)
  return equivalents && `write ${equivalents}`
}
