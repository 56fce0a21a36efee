/** What holds in the place of defaults where manifests are to be served as another controller serves them. */

/** `spec.controller` of the IngressClasses of ingress-nginx. */
export const NGINX_CONTROLLER = 'k8s.io/ingress-nginx'

/** What the ConfigMap of another controller says in the place of defaults. */
export type ControllerDefaults = Readonly<{
  /** The ConfigMap, for people. */
  name: string
  /** How many of its keys have an effect. */
  count: number
  /** Values of settings, by dotted names. */
  settings: ReadonlyMap<string, unknown>
  /** Options of all routes, by their names in a RoutePolicy; an empty text takes a default away. */
  routes: Readonly<Record<string, string>>
  /** It guards in a way that is not there. */
  isRefusing: boolean
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
