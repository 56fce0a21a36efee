/** The keys of the controller's ConfigMap, and the settings and options of Portico's own that say the same. */
import { parseLogTemplate } from '../../../base/log-template.ts'
import { EXTERNAL_AUTH } from './auth.ts'
import { CONFIG_MAP } from './config-map.ts'
import { FLAG, type NginxForm, NUMBER, printSize, RANGES, readFlag, SECONDS, SIZE, SWITCH } from './feature.ts'
import { FAILURES, MOST_TRIES, readConditions } from './proxying.ts'
import { translateVariables } from './variable.ts'

/** The ConfigMap, and what it comes to. */
export type ControllerText = {
  /** Without white space around it; undefined where the key is missing, empty or of a wrong form. */
  text(key: string): string | undefined
  /** Says a setting, by its dotted name and as its environment variable would, in the place of the key `name`. */
  set(setting: string, value: string, name: string): void
  /** Says an option of all routes. */
  setRoute(option: string, value: string): void
  /** Gives Ingresses what the key `name` says, as if they were annotated with it. */
  give(annotation: string, name: string): void
  /** Ingresses whose paths all begin with one of these are given no auth server. */
  exemptFromAuth(paths: readonly string[]): void
  /** `NAME: VALUE` for each entry of the ConfigMap that the key names. */
  lines(key: string): readonly string[]
  warn(key: string, message: string, help: string): void
}

type ControllerKey = Readonly<{
  form: NginxForm
  /** Settings, and options of routes behind `routes.`. */
  settings: readonly string[]
  /** What is not as in ingress-nginx; undefined: nothing. */
  differs?: string
}>

/** Keys that act together. */
export type KeyGroup = Readonly<{
  keys: Readonly<Record<string, ControllerKey>>
  /** Is called where the ConfigMap has one of them. */
  write: (controller: ControllerText) => void
}>

const key = (form: NginxForm, settings: readonly string[], differs?: string): ControllerKey => ({
  form,
  settings,
  ...(differs !== undefined && { differs }),
})

const REPLACED = 'an Ingress that has such an option itself does not have these'

const BALANCERS: NginxForm = {
  pattern: /^(?:round_robin|ewma)$/,
  fault: 'is neither round_robin nor ewma',
  help: 'write "round_robin" or "ewma"',
}
const PROTOCOLS: NginxForm = {
  pattern: /^(?:TLSv1(?:\.[0-3])?\s*)+$/,
  fault: 'names no versions of TLS',
  help: 'write "TLSv1.2 TLSv1.3"',
}
const STATUS: NginxForm = {
  pattern: /^[45]\d\d$/,
  fault: 'is no status from 400 to 599',
  help: 'write a status, as in "429"',
}
const PATHS: NginxForm = {
  pattern: /^\/[^\s,]*(?:\s*,\s*\/[^\s,]*)*$/,
  fault: 'names no paths',
  help: 'write paths with commas between',
}
const FIELD_NAMES: NginxForm = {
  pattern: /^[-\w]+(?:\s*,\s*[-\w]+)*$/,
  fault: 'names no fields',
  help: 'write names of fields with commas between',
}

/** A key that is a time in seconds, and the settings that have it; 0 says nothing. */
function time(name: string, settings: readonly string[], differs?: string): KeyGroup {
  return {
    keys: { [name]: key(SECONDS, settings, differs) },
    write(controller) {
      const seconds = Number(controller.text(name))
      if (seconds > 0) for (const setting of settings) controller.set(setting, `${seconds}s`, name)
    },
  }
}

/** A key of a few values, and what each of them is for the setting. */
function choice(name: string, form: NginxForm, setting: string, values: Readonly<Record<string, string>>): KeyGroup {
  return {
    keys: { [name]: key(form, [setting]) },
    write: (controller) => controller.set(setting, values[controller.text(name)!]!, name),
  }
}

/** A key that Ingresses are given as if they were annotated with it. */
function given(name: string, form: NginxForm, annotation: string, setting: string): KeyGroup {
  return { keys: { [name]: key(form, [setting]) }, write: (controller) => controller.give(annotation, name) }
}

/** A flag, and what each of its values is for the setting. */
function flag(name: string, setting: string, ifTrue = 'true', ifFalse = 'false'): KeyGroup {
  return {
    keys: { [name]: key(FLAG, [setting]) },
    write: (controller) => controller.set(setting, readFlag(controller.text(name)) ? ifTrue : ifFalse, name),
  }
}

const LOG_LINE: NginxForm = {
  pattern: /^[^\0\r\n]*\$[^\0\r\n]*$/,
  fault: 'names no variables',
  help: 'write variables of nginx, as in "$remote_addr $status"',
}

const LOG_FORMAT: KeyGroup = {
  keys: {
    'log-format-upstream': key(
      LOG_LINE,
      ['accessLog.format', 'accessLog.template'],
      'a variable that docs/logs.md does not list leaves the access log as it is; lengths count the bytes of bodies alone',
    ),
    'log-format-escape-json': key(FLAG, ['accessLog.escape']),
  },
  write(controller) {
    const name = 'log-format-upstream'
    const template = controller.text(name)
    if (template === undefined) return
    const parts = parseLogTemplate(template)
    if ('message' in parts) {
      controller.warn(name, `${parts.message}: the access log keeps its format`, parts.help)
      return
    }
    controller.set('accessLog.format', 'template', name)
    controller.set('accessLog.template', template, name)
    if (readFlag(controller.text('log-format-escape-json'))) {
      controller.set('accessLog.escape', 'json', 'log-format-escape-json')
    }
  },
}

/** Seconds */
const YEAR = 31_536_000

/** G12 */
const HSTS: KeyGroup = {
  keys: {
    hsts: key(FLAG, ['routes.hsts']),
    'hsts-max-age': key(NUMBER, ['routes.hsts']),
    'hsts-include-subdomains': key(FLAG, ['routes.hsts']),
    'hsts-preload': key(FLAG, ['routes.hsts']),
  },
  write(controller) {
    const isOn = (name: string, usual: boolean) => readFlag(controller.text(name)) ?? usual
    if (!isOn('hsts', true)) return controller.setRoute('hsts', '')
    const age = Math.max(0, Number(controller.text('hsts-max-age') ?? YEAR))
    const hasSubdomains = isOn('hsts-include-subdomains', true)
    const isPreloaded = isOn('hsts-preload', false)
    const isTaken = isPreloaded && hasSubdomains && age >= YEAR
    if (isPreloaded && !isTaken) {
      const message = 'the preload list of browsers takes no host without subdomains and a year'
      controller.warn('hsts-preload', message, 'leave it out; until then preload is left out')
    }
    const parts = [`max-age=${age}`, ...(hasSubdomains ? ['includeSubDomains'] : []), ...(isTaken ? ['preload'] : [])]
    controller.setRoute('hsts', parts.join('; '))
  },
}

const NEXT_UPSTREAM: KeyGroup = {
  keys: {
    'proxy-next-upstream': key(FAILURES, ['upstream.retry.conditions', 'upstream.retry.methods']),
    'proxy-next-upstream-tries': key(NUMBER, ['upstream.tries'], '`0` asks each endpoint once'),
    'retry-non-idempotent': key(FLAG, ['upstream.retry.methods']),
  },
  write(controller) {
    const failures = controller.text('proxy-next-upstream')?.split(/\s+/) ?? []
    if (failures.includes('off')) return controller.set('upstream.tries', '1', 'proxy-next-upstream')
    const conditions = readConditions(failures)
    if (conditions.length > 0) {
      controller.set('upstream.retry.conditions', conditions.join(','), 'proxy-next-upstream')
    }
    // NU3
    const isOfAll = failures.includes('non_idempotent')
    if (isOfAll || readFlag(controller.text('retry-non-idempotent')) === true) {
      const name = isOfAll ? 'proxy-next-upstream' : 'retry-non-idempotent'
      controller.set('upstream.retry.methods', 'POST,LOCK,PATCH', name)
    }
    const tries = Number(controller.text('proxy-next-upstream-tries') ?? -1)
    if (tries >= 0) controller.set('upstream.tries', String(Math.min(tries, MOST_TRIES)), 'proxy-next-upstream-tries')
  },
}

/** Keys of the auth server of all Ingresses, and the annotations that say the same of one. */
const AUTH_KEYS = [
  ['global-auth-url', 'auth-url', 'routes.authUrl'],
  ['global-auth-method', 'auth-method', 'routes.authMethod'],
  ['global-auth-signin', 'auth-signin', 'routes.authSignin'],
  ['global-auth-signin-redirect-param', 'auth-signin-redirect-param', 'routes.authSigninRedirectParam'],
  ['global-auth-response-headers', 'auth-response-headers', 'routes.authResponseHeaders'],
  ['global-auth-request-redirect', 'auth-request-redirect', 'routes.authRequestRedirect'],
  ['global-auth-cache-key', 'auth-cache-key', 'routes.authCacheKey'],
  ['global-auth-cache-duration', 'auth-cache-duration', 'routes.authCacheDuration'],
  ['global-auth-always-set-cookie', 'auth-always-set-cookie', 'routes.authAlwaysSetCookie'],
] as const

/** EA9 */
const AUTH: KeyGroup = {
  keys: {
    ...Object.fromEntries(
      AUTH_KEYS.map(([name, annotation, option]) => {
        const { form, differs } = EXTERNAL_AUTH.annotations[annotation]!
        return [name, key(form, [option], differs)]
      }),
    ),
    'no-auth-locations': key(
      PATHS,
      ['routes.authUrl'],
      'of `global-auth-url` alone, and of Ingresses without other paths',
    ),
  },
  write(controller) {
    if (controller.text('global-auth-url') === undefined) return
    for (const [name, annotation] of AUTH_KEYS) {
      if (controller.text(name) !== undefined) controller.give(annotation, name)
    }
    const exempt = controller.text('no-auth-locations') ?? '/.well-known/acme-challenge'
    controller.exemptFromAuth(exempt.split(',').map((path) => path.trim()))
  },
}

/** By default ingress-nginx believes what every address says of clients; Portico believes only the addresses that are named. */
const CLIENT_ADDRESS: KeyGroup = {
  keys: {
    'use-forwarded-headers': key(
      FLAG,
      ['trustedProxies'],
      'the fields are believed from the addresses of `proxy-real-ip-cidr` alone: from none where it is missing',
    ),
    'enable-real-ip': key(FLAG, ['trustedProxies'], 'as `use-forwarded-headers`'),
    'use-proxy-protocol': key(
      FLAG,
      ['http.proxyProtocol', 'https.proxyProtocol', 'trustedProxies'],
      'headers are believed from the addresses of `proxy-real-ip-cidr` alone',
    ),
    'proxy-real-ip-cidr': key(RANGES, ['trustedProxies']),
  },
  write(controller) {
    const wishes = ['use-forwarded-headers', 'enable-real-ip', 'use-proxy-protocol'] as const
    const wish = wishes.find((name) => readFlag(controller.text(name)) === true)
    if (wish === undefined) return
    const ranges = controller.text('proxy-real-ip-cidr')
    if (ranges === undefined) {
      const help =
        'name the proxies in front of the gateway in proxy-real-ip-cidr, or in trustedProxies of the settings'
      controller.warn(wish, 'no proxy is named, so what clients say of addresses is not believed', help)
    } else controller.set('trustedProxies', ranges.replace(/[\s,]+/g, ','), 'proxy-real-ip-cidr')
    if (readFlag(controller.text('use-proxy-protocol')) !== true) return
    controller.set('http.proxyProtocol', 'required', 'use-proxy-protocol')
    controller.set('https.proxyProtocol', 'required', 'use-proxy-protocol')
  },
}

const COMPRESSION: KeyGroup = {
  keys: {
    'use-gzip': key(FLAG, ['routes.compress']),
    'enable-brotli': key(FLAG, ['routes.compress']),
    'gzip-min-length': key(NUMBER, ['routes.compressMinSize']),
  },
  write(controller) {
    const codings = (
      [
        ['enable-brotli', 'br'],
        ['use-gzip', 'gzip'],
      ] as const
    ).flatMap(([name, coding]) => (readFlag(controller.text(name)) === true ? [coding] : []))
    if (codings.length === 0) return
    controller.setRoute('compress', codings.join(', '))
    controller.setRoute('compressMinSize', controller.text('gzip-min-length') ?? '256')
  },
}

/** The fields of another ConfigMap, for an option with a line for each. */
function fields(name: string, option: string): KeyGroup {
  return {
    keys: { [name]: key(CONFIG_MAP, [`routes.${option}`], REPLACED) },
    write(controller) {
      const lines = controller.lines(name).flatMap((line) => {
        const { text, unknown } = translateVariables(line)
        if (unknown === undefined) return [text]
        const field = line.slice(0, line.indexOf(':'))
        controller.warn(name, `the variable of ${field} is not there`, 'the field is left out; write it without it')
        return []
      })
      if (lines.length > 0) controller.setRoute(option, lines.join('\n'))
    },
  }
}

/** In the order in which docs/ingress-nginx-controller.md lists them. */
export const KEY_GROUPS: readonly KeyGroup[] = [
  {
    keys: { 'proxy-body-size': key(SIZE, ['limits.bodyBytes']) },
    write: (controller) =>
      controller.set('limits.bodyBytes', printSize(controller.text('proxy-body-size')!), 'proxy-body-size'),
  },
  time('proxy-connect-timeout', ['timeouts.connect']),
  time('proxy-read-timeout', ['timeouts.responseHeaders', 'timeouts.responseIdle', 'timeouts.tunnelIdle']),
  time('proxy-send-timeout', ['timeouts.writeStall']),
  time('proxy-next-upstream-timeout', ['upstream.retry.within']),
  NEXT_UPSTREAM,
  choice('proxy-buffering', SWITCH, 'upstream.responseBuffering', { on: 'all', off: 'short' }),
  choice('proxy-request-buffering', SWITCH, 'upstream.requestBuffering', { on: 'all', off: 'none' }),
  {
    keys: {
      'ssl-redirect': key(FLAG, ['https.redirect']),
      'force-ssl-redirect': key(FLAG, ['routes.httpsRedirect']),
    },
    write(controller) {
      // SSL2
      if (readFlag(controller.text('force-ssl-redirect')) === true) controller.setRoute('httpsRedirect', 'true')
      const redirects = readFlag(controller.text('ssl-redirect'))
      if (redirects !== undefined) controller.set('https.redirect', String(redirects), 'ssl-redirect')
    },
  },
  HSTS,
  {
    keys: {
      'whitelist-source-range': key(RANGES, ['routes.allowSourceRange']),
      'denylist-source-range': key(RANGES, ['routes.denySourceRange'], REPLACED),
      'block-cidrs': key(RANGES, ['routes.denySourceRange'], REPLACED),
    },
    write(controller) {
      const denied = ['denylist-source-range', 'block-cidrs'].flatMap((name) => controller.text(name) ?? [])
      const allowed = controller.text('whitelist-source-range')
      if (allowed !== undefined) controller.setRoute('allowSourceRange', allowed)
      if (denied.length > 0) controller.setRoute('denySourceRange', denied.join(', '))
    },
  },
  AUTH,
  given('limit-req-status-code', STATUS, 'limit-req-status-code', 'routes.rateLimitStatus'),
  given('limit-conn-status-code', STATUS, 'limit-conn-status-code', 'routes.concurrencyLimitStatus'),
  CLIENT_ADDRESS,
  fields('add-headers', 'responseHeadersSet'),
  fields('proxy-set-headers', 'requestHeadersSet'),
  {
    keys: { 'hide-headers': key(FIELD_NAMES, ['routes.responseHeadersRemove'], REPLACED) },
    write: (controller) => controller.setRoute('responseHeadersRemove', controller.text('hide-headers')!),
  },
  COMPRESSION,
  choice('load-balance', BALANCERS, 'upstream.balancer', { round_robin: 'round-robin', ewma: 'ewma' }),
  time('keep-alive', ['timeouts.keepAlive']),
  time('client-header-timeout', ['timeouts.requestHeaders']),
  time('client-body-timeout', ['timeouts.requestBodyIdle']),
  time('upstream-keepalive-timeout', ['timeouts.upstreamKeepAlive']),
  flag('enable-underscores-in-headers', 'underscoresInHeaders', 'keep', 'drop'),
  flag('use-http2', 'https.http2'),
  flag('ssl-reject-handshake', 'https.strictSni'),
  {
    keys: {
      'disable-access-log': key(FLAG, ['log.access']),
      'disable-http-access-log': key(FLAG, ['log.access']),
    },
    write(controller) {
      const name = ['disable-access-log', 'disable-http-access-log'].find((one) => readFlag(controller.text(one)))
      if (name !== undefined) controller.set('log.access', 'false', name)
    },
  },
  LOG_FORMAT,
  {
    keys: { 'ssl-protocols': key(PROTOCOLS, ['https.minVersion'], 'TLS 1.0 and 1.1 are not spoken') },
    write(controller) {
      const hasOlder = /1\.2/.test(controller.text('ssl-protocols')!)
      controller.set('https.minVersion', hasOlder ? 'TLSv1.2' : 'TLSv1.3', 'ssl-protocols')
    },
  },
]

const GROUPS: ReadonlyMap<string, KeyGroup> = new Map(
  KEY_GROUPS.flatMap((group) => Object.keys(group.keys).map((name) => [name, group] as const)),
)

/** Undefined: the key comes to no setting. */
export function findGroup(name: string): KeyGroup | undefined {
  return GROUPS.get(name)
}

/** Keys that no client would notice, or that say what holds here anyway. */
const IDLE_KEYS = new Set(
  (
    'access-log-params access-log-path allow-backend-server-header allow-cross-namespace-resources ' +
    'allow-snippet-annotations annotation-value-word-blocklist annotations-risk-level client-body-buffer-size ' +
    'client-header-buffer-size compute-full-forwarded-for debug-connections enable-aio-write enable-multi-accept ' +
    'enable-syslog error-log-level error-log-path generate-request-id gzip-level brotli-level brotli-types gzip-types ' +
    'http-access-log-path http2-max-concurrent-streams http2-max-field-size http2-max-header-size http2-max-requests ' +
    'ignore-invalid-headers keep-alive-requests large-client-header-buffers log-format-escape-none ' +
    'log-format-stream lua-shared-dicts map-hash-bucket-size max-worker-connections ' +
    'max-worker-open-files proxy-buffer-size proxy-buffers-number proxy-busy-buffers-size proxy-headers-hash-bucket-size ' +
    'proxy-headers-hash-max-size proxy-http-version proxy-max-temp-file-size proxy-stream-next-upstream ' +
    'proxy-stream-next-upstream-timeout proxy-stream-next-upstream-tries proxy-stream-responses proxy-stream-timeout ' +
    'relative-redirects reuse-port server-name-hash-bucket-size server-name-hash-max-size server-tokens service-upstream ' +
    'ssl-buffer-size ssl-dh-param ssl-ecdh-curve ssl-early-data ssl-prefer-server-ciphers ssl-session-cache ' +
    'ssl-session-cache-size ssl-session-ticket-key ssl-session-tickets ssl-session-timeout stream-access-log-path ' +
    'strict-validate-path-type syslog-host syslog-port upstream-keepalive-connections upstream-keepalive-requests ' +
    'upstream-keepalive-time use-geoip use-geoip2 use-port-in-redirects variables-hash-bucket-size ' +
    'variables-hash-max-size worker-cpu-affinity worker-processes worker-shutdown-timeout'
  ).split(' '),
)

export function isIdleKey(name: string): boolean {
  return IDLE_KEYS.has(name)
}

type RefusedKey = Readonly<{ why: string; isGuard?: true }>
const GUARD = (why: string): RefusedKey => ({ why, isGuard: true })

/** Nothing of them is done. What guards closes all routes. */
export const REFUSED_KEYS: Readonly<Record<string, RefusedKey>> = {
  'global-auth-snippet': GUARD('text of nginx is not read, and it may guard'),
  'block-user-agents': GUARD('clients are not told apart by User-Agent'),
  'block-referers': GUARD('requests are not told apart by Referer'),
  'enable-modsecurity': GUARD('rules of ModSecurity are not read'),
  'enable-owasp-modsecurity-crs': GUARD('rules of ModSecurity are not read'),
  'modsecurity-snippet': GUARD('rules of ModSecurity are not read'),
  'http-snippet': GUARD('text of nginx is not read, and it may guard'),
  'server-snippet': GUARD('text of nginx is not read, and it may guard'),
  'location-snippet': GUARD('text of nginx is not read, and it may guard'),
  'main-snippet': { why: 'text of nginx is not read' },
  'stream-snippet': { why: 'text of nginx is not read' },
  'custom-http-errors': { why: 'there are no pages for all Ingresses: errors keep their bodies' },
  'http-redirect-code': { why: 'redirects to HTTPS are answered 308' },
  'forwarded-for-header': { why: 'the addresses of clients are read from X-Forwarded-For alone' },
  'limit-rate': { why: 'answers are not slowed down; write portico.dev/bandwidth' },
  'ssl-ciphers': { why: 'all hosts have the ciphers that Node takes for good ones' },
  'enable-opentelemetry': { why: 'the gateway has no tracing of its own; fields of traces pass through it' },
}

/** Those that ingress-nginx knows. */
export const KEY_NAMES: readonly string[] = [...GROUPS.keys(), ...IDLE_KEYS, ...Object.keys(REFUSED_KEYS)]
