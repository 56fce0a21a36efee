/** All annotations of ingress-nginx, and what becomes of each. */

import { findNearest } from '../../../base/nearest.ts'
import { BANDWIDTH, LIMITS, SATISFY, SOURCE_RANGES } from './access.ts'
import { BASIC_AUTH, EXTERNAL_AUTH } from './auth.ts'
import { AFFINITY, BALANCING } from './balancing.ts'
import { CORS } from './cors.ts'
import { BACKEND_PROTOCOL, ENDPOINT_TLS } from './endpoint-tls.ts'
import { NGINX_DOMAIN, type NginxFeature } from './feature.ts'
import { CANARY, PASSTHROUGH, SERVER_ALIAS, WWW } from './hosts.ts'
import {
  ACCESS_LOG,
  BODY_SIZE,
  BUFFERING,
  COOKIES,
  CUSTOM_HEADERS,
  ERROR_PAGES,
  LOCATION,
  MIRROR,
  NEXT_UPSTREAM,
  TIMEOUTS,
  UPSTREAM_HOST,
} from './proxying.ts'
import { HTTPS, REDIRECTS, REWRITE } from './redirects.ts'
import { CONFIGURATION_SNIPPET, SERVER_SNIPPET } from './snippet.ts'
import { IDLE, REFUSED } from './without-effect.ts'

/** In the order in which they are read, and in which docs/ingress-nginx.md lists them. */
export const NGINX_FEATURES: readonly NginxFeature[] = [
  REWRITE,
  HTTPS,
  REDIRECTS,
  WWW,
  SERVER_ALIAS,
  PASSTHROUGH,
  CANARY,
  BASIC_AUTH,
  EXTERNAL_AUTH,
  SATISFY,
  SOURCE_RANGES,
  LIMITS,
  BANDWIDTH,
  CORS,
  BODY_SIZE,
  TIMEOUTS,
  NEXT_UPSTREAM,
  BUFFERING,
  UPSTREAM_HOST,
  COOKIES,
  LOCATION,
  CUSTOM_HEADERS,
  ERROR_PAGES,
  MIRROR,
  ACCESS_LOG,
  AFFINITY,
  BALANCING,
  BACKEND_PROTOCOL,
  ENDPOINT_TLS,
  // Last: annotations go before them.
  CONFIGURATION_SNIPPET,
  SERVER_SNIPPET,
]

/** By the names of annotations without the domain. */
const FEATURES_BY_NAME: ReadonlyMap<string, NginxFeature> = new Map(
  NGINX_FEATURES.flatMap((feature) => Object.keys(feature.annotations).map((name) => [name, feature] as const)),
)

/** Those that ingress-nginx knows, without the domain. */
export const NGINX_NAMES: readonly string[] = [
  ...FEATURES_BY_NAME.keys(),
  ...Object.keys(IDLE),
  ...Object.keys(REFUSED),
]

/** Undefined: the annotation comes to no option. */
export function findFeature(name: string): NginxFeature | undefined {
  return FEATURES_BY_NAME.get(name)
}

/** True for an annotation that no request, and no client, would notice. */
export function isIdle(name: string): boolean {
  return Object.hasOwn(IDLE, name)
}

/** The annotation that one under the domain of ingress-nginx seems to mean, which ingress-nginx does not know; undefined: it knows it. */
export function findMeantName(name: string): string | undefined {
  return NGINX_NAMES.includes(name) ? undefined : findNearest(name, NGINX_NAMES)
}

/** The question about an annotation, by its whole name, that ingress-nginx does not know; undefined: there is none. */
export function suggestName(annotation: string): string | undefined {
  if (!annotation.startsWith(NGINX_DOMAIN)) return undefined
  const meant = findMeantName(annotation.slice(NGINX_DOMAIN.length))
  return meant && `did you mean "${NGINX_DOMAIN}${meant}"?`
}
