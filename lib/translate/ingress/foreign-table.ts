/** One table of the annotations of other Ingress controllers and of clouds: the objects that have them, and what they promise. */

import { findMeantName } from './nginx/features.ts'
import { refusesNothing } from './nginx/snippet-risk.ts'

/**
 * The promise of an annotation. `guard`: it refuses, checks or limits requests. `detail`: it configures a guard. `effect`: it
 * changes requests, answers or routes. `canary`: the Ingress stands beside another. `none`: no request would notice it.
 */
export type ForeignKind = 'guard' | 'detail' | 'effect' | 'canary' | 'none'

/** `LoadBalancer` means the port that a Service of this type opens; requests of routes do not come through it. */
export type ForeignScope = 'Ingress' | 'Service' | 'LoadBalancer'

type Family = Readonly<{
  domains: readonly string[]
  scopes: readonly ForeignScope[]
  /** Guards, each with a test for values that guard nothing, beside the empty value. A name with `*` at its end is a prefix. */
  guards: Readonly<Record<string, (value: string) => boolean>>
  details?: readonly string[]
  /** Guards of a whole host: they close its routes of all Ingresses. */
  ofHost?: readonly string[]
  canaries?: readonly string[]
  effects?: readonly string[]
  none?: readonly string[]
  /** The kind of all other names. */
  rest: 'effect' | 'none'
  /** The name that another one seems to mean: if that is a guard, the other one is too. */
  findMeant?: (name: string) => string | undefined
}>

/** Every value guards. */
const never = (): boolean => false
const isFalse = (value: string): boolean => /^(?:0|f|false|off|no|disabled)$/i.test(value)
const isZero = (value: string): boolean => /^0+$/.test(value)
const isNone = (value: string): boolean => /^none$/i.test(value)
/** True for a list of ranges that admits every client. */
const admitsEverybody = (value: string): boolean => value.split(/[\s,;]+/).includes('0.0.0.0/0') && !value.includes('!')
const verifiesNobody = (value: string): boolean => !/verify/i.test(value)

/** The guards of ingress-nginx, many of which other controllers took over. */
const USUAL_GUARDS: Family['guards'] = {
  'auth-type': isNone,
  'auth-url': never,
  'auth-tls-*': never,
  'auth-tls-verify-client': isFalse,
  'auth-*': never,
  'enable-global-auth': isFalse,
  satisfy: never,
  'whitelist-source-range': admitsEverybody,
  'allowlist-source-range': admitsEverybody,
  'denylist-source-range': never,
  'blacklist-source-range': never,
  'limit-connections': isZero,
  'limit-rate': isZero,
  'limit-rpm': isZero,
  'limit-rps': isZero,
  'global-rate-limit': isZero,
  'global-rate-limit-*': never,
  'enable-modsecurity': isFalse,
  'enable-owasp-*': isFalse,
  'modsecurity-snippet': never,
  'auth-snippet': refusesNothing,
  'configuration-snippet': refusesNothing,
  'server-snippet': refusesNothing,
  'stream-snippet': never,
}

const USUAL_DETAILS = [
  'auth-always-set-cookie',
  'auth-cache-*',
  'auth-headers-*',
  'auth-keepalive*',
  'auth-method',
  'auth-proxy-set-headers',
  'auth-realm',
  'auth-request-redirect',
  'auth-response-headers',
  'auth-secret',
  'auth-secret-type',
  'auth-signin*',
  'auth-tls-error-page',
  'auth-tls-pass-certificate-to-upstream',
  'auth-tls-verify-depth',
  'limit-allowlist',
  'limit-burst-multiplier',
  'limit-rate-after',
  'limit-whitelist',
]

const FAMILIES: readonly Family[] = [
  {
    domains: ['nginx.ingress.kubernetes.io', 'higress.io', 'mse.ingress.kubernetes.io'],
    scopes: ['Ingress'],
    guards: USUAL_GUARDS,
    details: USUAL_DETAILS,
    ofHost: ['auth-tls-*', 'server-snippet'],
    canaries: ['canary'],
    none: ['modsecurity-transaction-id'],
    rest: 'effect',
    findMeant: findMeantName,
  },
  {
    // HAProxy, Traefik 1, Contour and Kong
    domains: ['ingress.kubernetes.io', 'ingress.appscode.com'],
    scopes: ['Ingress', 'Service'],
    guards: { ...USUAL_GUARDS, whitelist: admitsEverybody, blacklist: never, 'rate-limit*': never },
    details: USUAL_DETAILS,
    rest: 'effect',
  },
  {
    domains: ['nginx.org', 'nginx.com'],
    scopes: ['Ingress'],
    guards: {
      policies: never,
      'basic-auth-secret': never,
      'jwt-key': never,
      'limit-req-rate': never,
      'location-snippets': refusesNothing,
      'server-snippets': refusesNothing,
    },
    details: ['basic-auth-*', 'jwt-*', 'limit-req-*'],
    ofHost: ['server-snippets'],
    // WebSockets pass here without it.
    none: ['websocket-services'],
    rest: 'effect',
  },
  {
    domains: ['appprotect.f5.com', 'appprotectdos.f5.com'],
    scopes: ['Ingress'],
    guards: {
      'app-protect-enable': isFalse,
      app_protect_enable: isFalse,
      'app-protect-policy': never,
      app_protect_policy: never,
      'app-protect-dos-*': never,
    },
    none: ['app-protect-security-log*', 'app_protect_security_log*'],
    rest: 'effect',
  },
  {
    domains: ['traefik.ingress.kubernetes.io'],
    scopes: ['Ingress', 'Service'],
    guards: {
      'router.middlewares': never,
      // The options may ask for client certificates, which their name does not show.
      'router.tls.options': never,
      'auth-*': never,
      'rate-limit': never,
      'whitelist-source-range': admitsEverybody,
      'max-conn-amount': never,
    },
    details: ['auth-header-field', 'auth-realm', 'auth-remove-header', 'max-conn-extractor-func'],
    none: ['router.observability.*', 'router.tls.certresolver', 'service.nativelb', 'service.nodeportlb'],
    rest: 'effect',
  },
  {
    domains: ['haproxy.org', 'haproxy.com'],
    scopes: ['Ingress', 'Service'],
    guards: {
      'allow-list': admitsEverybody,
      whitelist: admitsEverybody,
      'deny-list': never,
      blacklist: never,
      'auth-type': isNone,
      'rate-limit-requests': isZero,
      'client-ca': never,
      'client-strict-sni': isFalse,
      'cr-backend': never,
      // The Service is chosen only under this condition.
      'route-acl': never,
      'backend-config-snippet': never,
      'frontend-config-snippet': never,
    },
    details: ['auth-realm', 'auth-secret', 'rate-limit-*', 'deny-status-code'],
    none: ['check*', 'scale-server-slots', 'standalone-backend', 'request-capture*', 'src-ip-header'],
    rest: 'effect',
  },
  {
    domains: ['haproxy-ingress.github.io'],
    scopes: ['Ingress', 'Service'],
    guards: {
      ...USUAL_GUARDS,
      oauth: isNone,
      waf: isNone,
      'auth-external-placement': never,
      'config-backend*': never,
      'config-frontend*': never,
      'limit-*': isZero,
      'acl-*': never,
    },
    details: [
      ...USUAL_DETAILS,
      'oauth-*',
      'waf-mode',
      'auth-tls-cert-header',
      'auth-tls-strict',
      'allowlist-source-header',
    ],
    none: ['agent-check-*', 'health-check-*', 'slots-*', 'initial-weight', 'acme-*', 'cert-signer'],
    rest: 'effect',
  },
  {
    domains: ['alb.ingress.kubernetes.io'],
    scopes: ['Ingress', 'Service'],
    guards: {
      'auth-type': isNone,
      'wafv2-acl-*': isNone,
      'waf-acl-*': isNone,
      'web-acl-id': isNone,
      'shield-advanced-protection': isFalse,
      'inbound-cidrs': admitsEverybody,
      'security-groups': never,
      'security-group-prefix-lists': never,
      'frontend-nlb-security-groups': never,
      'mutual-authentication': verifiesNobody,
      'jwt-validation': never,
      // The rule holds only under this condition.
      'conditions.*': never,
    },
    details: ['auth-idp-*', 'auth-on-unauthenticated-request', 'auth-scope', 'auth-session-*'],
    // From the ALB of another cloud, which uses the same prefix.
    canaries: ['canary'],
    effects: [
      'actions.*',
      'transforms.*',
      'ssl-redirect',
      'backend-protocol*',
      'use-regex*',
      'target-group-attributes',
    ],
    rest: 'none',
  },
  {
    domains: ['cloud.google.com', 'beta.cloud.google.com', 'networking.gke.io'],
    scopes: ['Ingress', 'Service'],
    // The BackendConfig may use Cloud Armor or IAP, which its name does not show.
    guards: { 'backend-config': never },
    effects: ['app-protocols', 'v1beta1.FrontendConfig'],
    rest: 'none',
  },
  {
    domains: ['appgw.ingress.kubernetes.io'],
    scopes: ['Ingress'],
    // A profile may ask for client certificates.
    guards: { 'waf-policy*': never, 'appgw-ssl-profile': never },
    none: [
      'appgw-ssl-certificate',
      'appgw-trusted-root-certificate',
      'health-probe-*',
      'use-private-ip',
      'connection-draining*',
    ],
    rest: 'effect',
  },
  {
    domains: ['konghq.com', 'plugins.konghq.com'],
    scopes: ['Ingress', 'Service'],
    guards: {
      // In the first versions the domain alone was the name.
      '': never,
      plugins: never,
      override: never,
      // The route is chosen only under these conditions.
      'headers.*': never,
      methods: never,
      snis: never,
    },
    none: ['tags'],
    rest: 'effect',
  },
  {
    domains: ['configuration.konghq.com'],
    scopes: ['Ingress', 'Service'],
    guards: { '': never },
    rest: 'effect',
  },
  {
    domains: ['projectcontour.io'],
    scopes: ['Ingress', 'Service'],
    guards: {},
    none: ['websocket-routes'],
    rest: 'effect',
  },
  {
    domains: ['zalando.org'],
    scopes: ['Ingress'],
    guards: {
      'skipper-filter': never,
      // The route is chosen only under this condition.
      'skipper-predicate': never,
      'skipper-routes': never,
      ratelimit: never,
      'aws-waf-web-acl-id': never,
    },
    none: ['aws-load-balancer-*'],
    rest: 'effect',
  },
  {
    domains: ['haproxy.router.openshift.io'],
    scopes: ['Ingress'],
    guards: {
      ip_whitelist: admitsEverybody,
      ip_allowlist: admitsEverybody,
      'rate-limit-connections': isFalse,
      'rate-limit-connections.*': isZero,
      'pod-concurrent-connections': isZero,
    },
    rest: 'effect',
  },
  {
    domains: ['k8s.apisix.apache.org'],
    scopes: ['Ingress'],
    guards: {
      'allowlist-source-range': admitsEverybody,
      'blocklist-source-range': never,
      'auth-type': isNone,
      'auth-uri': never,
      'enable-csrf': isFalse,
      'http-allow-methods': never,
      'http-block-methods': never,
      'plugin-config-name': never,
    },
    details: ['auth-*'],
    none: ['csrf-key'],
    rest: 'effect',
  },
  {
    domains: ['k8s.ngrok.com'],
    scopes: ['Ingress', 'Service'],
    guards: { 'traffic-policy': never, modules: never },
    rest: 'none',
  },
  {
    // Pomerium admits only users who are named.
    domains: ['ingress.pomerium.io'],
    scopes: ['Ingress'],
    guards: { policy: never, 'allowed_*': never, allow_any_authenticated_user: isFalse },
    rest: 'effect',
  },
  {
    domains: ['getambassador.io'],
    scopes: ['Service'],
    guards: {},
    none: ['ambassador-id', 'resource-*'],
    rest: 'effect',
  },
  {
    // Its load-balancer-source-ranges are honoured.
    domains: ['service.beta.kubernetes.io', 'service.kubernetes.io'],
    scopes: ['LoadBalancer'],
    guards: {
      'aws-load-balancer-security-groups': never,
      'aws-load-balancer-security-group-prefix-lists': never,
      'azure-allowed-ip-ranges': admitsEverybody,
      'azure-allowed-service-tags': never,
      'azure-deny-all-except-load-balancer-source-ranges': isFalse,
      'do-loadbalancer-allow-rules': never,
      'do-loadbalancer-deny-rules': never,
    },
    rest: 'none',
  },
  {
    domains: ['kubernetes.io'],
    scopes: ['Ingress'],
    guards: {},
    effects: ['ingress.allow-http'],
    rest: 'none',
  },
]

/** A name missing in the table, such as a newer or mistyped one, counts as a guard if it looks like one. */
const GUARD_NAME =
  /(?:^|[-._])(?:(?:basic-?|external-?|forward-?)?auth(?:entication|orization)?|acl|jwt|oauth2?|oidc|waf|(?:allow|deny|block|white|black)-?list|(?:rate-?)?limit)(?:[-._]|$)/

type Entry = Readonly<{ kind: ForeignKind; isOfHost?: boolean; guardsNothing: (value: string) => boolean }>

/** The names of one family. */
class NameTable {
  readonly scopes: readonly ForeignScope[]
  readonly #rest: Entry
  readonly #findMeant: Family['findMeant']
  readonly #whole = new Map<string, Entry>()
  /** The longest first. */
  readonly #beginnings: readonly (readonly [beginning: string, entry: Entry])[]

  constructor(family: Family) {
    const {
      scopes,
      guards,
      details = [],
      ofHost = [],
      canaries = [],
      effects = [],
      none = [],
      rest,
      findMeant,
    } = family
    this.scopes = scopes
    this.#rest = plain(rest)
    this.#findMeant = findMeant
    const beginnings: (readonly [string, Entry])[] = []
    const add = (name: string, entry: Entry): void => {
      if (name.endsWith('*')) beginnings.push([name.slice(0, -1), entry])
      else this.#whole.set(name, entry)
    }
    for (const [name, guardsNothing] of Object.entries(guards)) {
      const isOfHost = ofHost.some((one) => (one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : name === one))
      add(name, { kind: 'guard', isOfHost, guardsNothing })
    }
    for (const name of details) add(name, plain('detail'))
    for (const name of canaries) add(name, plain('canary'))
    for (const name of effects) add(name, plain('effect'))
    for (const name of none) add(name, plain('none'))
    this.#beginnings = beginnings.sort(([a], [b]) => b.length - a.length)
  }

  find(name: string): Entry {
    const known = this.findKnown(name)
    if (known !== undefined) return known
    const meant = this.#findMeant?.(name)
    const isGuard = looksLikeGuard(name) || (meant !== undefined && this.findKnown(meant)?.kind === 'guard')
    return isGuard ? { kind: 'guard', guardsNothing: isFalse } : this.#rest
  }

  findKnown(name: string): Entry | undefined {
    return this.#whole.get(name) ?? this.#beginnings.find(([beginning]) => name.startsWith(beginning))?.[1]
  }
}

function plain(kind: ForeignKind): Entry {
  return { kind, guardsNothing: never }
}

const TABLES: ReadonlyMap<string, NameTable> = new Map(
  FAMILIES.flatMap((family) => {
    const table = new NameTable(family)
    return family.domains.map((domain) => [domain, table] as const)
  }),
)

/** True for a guard, or a detail of one, that many controllers have by this name, which is without a domain. */
export function isUsualGuard(name: string): boolean {
  const kind = TABLES.get('ingress.kubernetes.io')?.findKnown(name)?.kind
  return kind === 'guard' || kind === 'detail'
}

/** True for a name, without a domain, of which a guard is likely. */
export function looksLikeGuard(name: string): boolean {
  return GUARD_NAME.test(name)
}

/** With `master` the annotations of the Ingress hold for the Ingresses that bring the paths of its host. */
const MERGED = 'nginx.org/mergeable-ingress-type'

/** An annotation of another controller. */
export type ForeignAnnotation = Readonly<{
  /** As written. */
  name: string
  domain: string
  /** Behind the domain. */
  key: string
  value: string
  kind: ForeignKind
  /** True for a guard whose value guards nothing. */
  isIdle: boolean
  /** True for a guard of all routes of a host. */
  isOfHost: boolean
}>

/** The annotations of an object that have a meaning for its kind, in their order. */
export function listForeign(
  scope: ForeignScope,
  annotations: Readonly<Record<string, string>>,
): readonly ForeignAnnotation[] {
  const found: ForeignAnnotation[] = []
  const isMaster = annotations[MERGED] === 'master'
  for (const name of Object.keys(annotations)) {
    const slash = name.indexOf('/')
    const domain = slash < 0 ? name : name.slice(0, slash)
    const table = TABLES.get(domain)
    if (!table?.scopes.includes(scope)) continue
    const key = name.slice(domain.length + 1)
    const value = annotations[name]!.trim()
    const { kind, isOfHost = false, guardsNothing } = table.find(key)
    const isIdle = kind === 'guard' && (value === '' || guardsNothing(value))
    found.push({ name, domain, key, value, kind, isIdle, isOfHost: isOfHost || isMaster })
  }
  return found
}

/**
 * The guards that would have to be honoured before a request may pass. A detail counts as a guard only if its guard is not written,
 * not even switched off.
 */
export function listGuards(foreign: readonly ForeignAnnotation[]): readonly ForeignAnnotation[] {
  const written = new Set<string>()
  for (const one of foreign) if (one.kind === 'guard') written.add(subjectOf(one))
  return foreign.filter(
    (one) =>
      (one.kind === 'guard' && !one.isIdle) ||
      (one.kind === 'detail' && one.value !== '' && !isFalse(one.value) && !written.has(subjectOf(one))),
  )
}

/** A guard and its details begin with the same word. */
function subjectOf({ domain, key }: ForeignAnnotation): string {
  return `${domain}/${key.split('-', 1)[0]}`
}
