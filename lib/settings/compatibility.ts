/** What holds in the place of defaults where manifests are to be served as another controller serves them. */

/** `spec.controller` of the IngressClasses of ingress-nginx. */
export const NGINX_CONTROLLER = 'k8s.io/ingress-nginx'

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
  // hsts, of answers over TLS
  ['routes', { hsts: 'max-age=31536000; includeSubDomains' }],
])
