/** What holds in the place of defaults where manifests are to be served as another controller serves them. */
import type { DiagnosticList } from '../base/diagnostics.ts'
import type { FieldPath, Origin } from '../base/position.ts'

/** `spec.controller` of the IngressClasses of ingress-nginx. */
export const NGINX_CONTROLLER = 'k8s.io/ingress-nginx'

/** What another controller, whose place Portico may take, says in the place of defaults. */
export type Controller = {
  /** True where these `ingressClasses` serve its Ingresses; undefined: the settings do not say which are served. */
  isServed(ingressClasses: readonly string[] | undefined): boolean
  /**
   * What its command line says; undefined: there is none among the manifests. Of several workloads the setting `controllerWorkload`
   * names one, or else `ingressClasses` as above.
   */
  readFlags(
    controllerWorkload: string,
    ingressClasses: readonly string[] | undefined,
    diagnostics: DiagnosticList,
  ): ControllerFlags | undefined
  /** What its ConfigMap says, by the setting `controllerConfigmap`; undefined: there is none. */
  readConfig(name: string, diagnostics: DiagnosticList): ControllerConfig | undefined
}

/** An object that says something in the place of defaults, for people: its name, and how many of its flags or keys have an effect. */
export type ControllerObject = Readonly<{ name: string; part: 'flag' | 'key'; count: number }>

export type ControllerFlags = ControllerObject &
  Readonly<{
    /** Values of settings, by dotted names. */
    settings: ReadonlyMap<string, unknown>
    /** Annotations, by names without a domain, that have no effect. */
    withheld: readonly string[]
    /** Nobody knows what it guards. */
    isRefusing: boolean
  }>

export type ControllerConfig = ControllerObject &
  Readonly<{
    /** Values of settings, by dotted names. */
    settings: ReadonlyMap<string, unknown>
    /** Options of all routes, by their names in a RoutePolicy; an empty text takes a default away. */
    routes: Readonly<Record<string, string>>
    /** What it gives to Ingresses as if they were annotated so; undefined: nothing. */
    annotations: GivenAnnotations | undefined
    /** It guards in a way that is not there. */
    isRefusing: boolean
  }>

/** What a controller says of the annotations of Ingresses. */
export type ControllerAnnotations = Readonly<{
  given: GivenAnnotations | undefined
  /** Those that have no effect, by names without a domain. */
  withheld: readonly string[]
}>

/** Annotations that a ConfigMap gives to Ingresses. */
export type GivenAnnotations = Readonly<{
  /** By names without a domain: the value, the key that says it, and where this stands. */
  values: ReadonlyMap<string, Readonly<{ value: string; key: string; field: FieldPath }>>
  /** Ingresses whose paths all begin with one of these are given no auth server. */
  withoutAuth: readonly string[]
  /** The ConfigMap. */
  origin: Origin
}>

/** What all routes do where a guard of the controller cannot be done. */
export const REFUSING: Readonly<Record<string, string>> = {
  maintenance: 'true',
  maintenanceMessage: 'This gateway cannot check requests.',
}

/** By dotted names of settings: the defaults of ingress-nginx where Portico has others. */
export const NGINX_DEFAULTS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  // proxy-body-size
  ['limits.bodyBytes', 1_048_576],
  // proxy-read-timeout, between two pieces of an answer and for WebSockets too
  ['timeouts.responseIdle', 60_000],
  ['timeouts.tunnelIdle', 60_000],
  // proxy-next-upstream-tries
  ['upstream.tries', 3],
  // proxy-request-buffering
  ['upstream.requestBuffering', 'all'],
])

/** Options of all routes: hsts, of answers over TLS. */
export const NGINX_ROUTES: Readonly<Record<string, string>> = { hsts: 'max-age=31536000; includeSubDomains' }
