/** All filters there are. */
import { createHmac, randomBytes } from 'node:crypto'
import { printName } from '../base/resource-name.ts'
import type { FilterConfig } from '../model/filter.ts'
import type { ResourceRef } from '../model/resource-ref.ts'
import type { Route, VirtualHost } from '../model/route.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { ACCESS_LOG } from './access-log.ts'
import { BANDWIDTH } from './bandwidth.ts'
import { BASIC_AUTH } from './basic-auth.ts'
import { isByHand } from './by-hand.ts'
import { COMPRESS } from './compress.ts'
import { CONCURRENCY_LIMIT } from './concurrency-limit.ts'
import { COOKIES } from './cookies.ts'
import { CORS } from './cors.ts'
import { DECOMPRESS } from './decompress.ts'
import { ERROR_PAGES } from './error-pages.ts'
import { FORWARD_AUTH } from './forward-auth.ts'
import { HEADERS } from './headers.ts'
import { HTTPS_REDIRECT } from './https-redirect.ts'
import { LOCATION } from './location.ts'
import { MAINTENANCE } from './maintenance.ts'
import { MIRROR } from './mirror.ts'
import { RATE_LIMIT } from './rate-limit.ts'
import { REDIRECT } from './redirect.ts'
import { RESPOND } from './respond.ts'
import { SATISFY } from './satisfy.ts'
import { SECURITY_HEADERS } from './security-headers.ts'
import { SOURCE_RANGE } from './source-range.ts'
import type { FilterNeeds, FilterSpec } from './spec.ts'
import { URL_REWRITE } from './url-rewrite.ts'

export const FILTERS: readonly FilterSpec[] = [
  ACCESS_LOG,
  BANDWIDTH,
  BASIC_AUTH,
  COMPRESS,
  CONCURRENCY_LIMIT,
  COOKIES,
  CORS,
  DECOMPRESS,
  ERROR_PAGES,
  FORWARD_AUTH,
  HEADERS,
  HTTPS_REDIRECT,
  LOCATION,
  MAINTENANCE,
  MIRROR,
  RATE_LIMIT,
  REDIRECT,
  RESPOND,
  SATISFY,
  SECURITY_HEADERS,
  SOURCE_RANGE,
  URL_REWRITE,
].sort((a, b) => a.order - b.order)

const BY_NAME: ReadonlyMap<string, FilterSpec> = new Map(FILTERS.map((spec) => [spec.name, spec]))

/**
 * What each filter does, for people: `headers: request set X-A`, with the object that has it where that is not the owner of the route:
 * `headers: request set X-A (Service default/web)`.
 */
export function printFilters({ filters = [], owner }: Pick<Route, 'filters' | 'owner'>): readonly string[] {
  return filters.map((config) => printFilter(config) + printOwner(config, owner))
}

/** The filters with another one in its place; one of the same name goes. */
export function addFilter(filters: readonly FilterConfig[] = [], added: FilterConfig): readonly FilterConfig[] {
  const byName = new Map([...filters, added].map((config) => [config.name, config]))
  return FILTERS.flatMap(({ name }) => byName.get(name) ?? [])
}

const MARK_KEY = randomBytes(32)

/** A mark of what must not be shown of the filters, `basic-auth 1a2b3c4d`: it is another where that is another, and in each process. */
export function markSecrets(configs: readonly FilterConfig[] = []): string {
  const marks = configs.flatMap(({ name, options }) => {
    const secret = findFilter(name).secret?.(options)
    if (secret === undefined) return []
    return `${name} ${createHmac('sha256', MARK_KEY).update(secret).digest('hex').slice(0, 8)}`
  })
  return marks.join(', ') || 'none'
}

function printFilter({ name, options }: FilterConfig): string {
  return `${name}: ${findFilter(name).print(options)}`
}

function printOwner(config: FilterConfig, routeOwner: ResourceRef | undefined): string {
  const { owner } = config
  if (owner === undefined || (owner.kind === routeOwner?.kind && printName(owner) === printName(routeOwner))) return ''
  if (isByHand(config)) return ' (by hand)'
  // The settings have no namespace.
  return owner.namespace === '' ? ' (settings)' : ` (${owner.kind} ${printName(owner)})`
}

/** The filters of the host and then those of the route: those that act on a request, in their order. */
export function listFilters(
  host: Pick<VirtualHost, 'filters'> | undefined,
  route: Pick<Route, 'filters'> | undefined,
): readonly FilterConfig[] {
  return [...(host?.filters ?? []), ...(route?.filters ?? [])]
}

/**
 * Those of `listFilters`, with the objects that have them, which of them `portico explain` does not play, and
 * which ask an upstream that lacks endpoints: `findLack` says why; undefined: it does not.
 */
export function describeFilters(
  host: Pick<VirtualHost, 'filters'> | undefined,
  route: Pick<Route, 'filters' | 'owner'> | undefined,
  findLack: (upstream: UpstreamKey) => string | undefined,
): readonly string[] {
  return listFilters(host, route).map((config) => {
    const { dependsOn } = findFilter(config.name)
    const { upstreams = [] } = config
    const lacks = upstreams.flatMap((key) => {
      const lack = findLack(key)
      return lack === undefined ? [] : [` (${key} cannot be asked: ${lack})`]
    })
    const played = dependsOn === undefined ? '' : ` (not played: ${dependsOn} decides)`
    return [printFilter(config), printOwner(config, route?.owner), ...lacks, played].join('')
  })
}

/** The names of those that may answer requests in the place of endpoints. */
export function listAnswering(configs: readonly FilterConfig[] = []): readonly string[] {
  return configs
    .map(({ name }) => findFilter(name))
    .flatMap(({ name, order }) => (order >= 200 && order < 400 ? [name] : []))
}

/** True for a filter that hosts may have. */
export function isOfHosts({ name }: FilterConfig): boolean {
  return findFilter(name).ofHosts !== undefined
}

/** True for the filter of a route that does without the same filter of its host. */
export function isOff({ name, options }: FilterConfig): boolean {
  return findFilter(name).ofHosts?.isOff?.(options) === true
}

/** True if a filter of the host sends plain HTTP to HTTPS. */
export function redirectsToHttps({ filters = [] }: Pick<VirtualHost, 'filters'>): boolean {
  return filters.some(({ name }) => findFilter(name).ofHosts?.redirectsToHttps)
}

/** The first filter that sends clients elsewhere, by its order; undefined: there is none. */
export function findRedirect(configs: readonly FilterConfig[] | undefined): FilterSpec | undefined {
  return configs?.map(({ name }) => findFilter(name)).find(({ order }) => order >= 200 && order < 300)
}

/** What the redirect among the filters needs to act on a host; undefined: nothing, or there is no redirect. */
export function findRedirectNeeds(configs: readonly FilterConfig[], host: string): FilterNeeds | undefined {
  const spec = findRedirect(configs)
  const config = configs.find(({ name }) => name === spec?.name)
  return config && spec?.findNeeds?.(config.options, host)
}

/** By the names of their annotations without the domain. */
const BY_ANNOTATION: ReadonlyMap<string, FilterSpec> = new Map(
  FILTERS.flatMap((spec) => Object.keys(spec.annotations).map((name) => [name, spec] as const)),
)

/** The filter that has the annotation, by its name without the domain; undefined: it is none of a filter. */
export function findFilterOf(annotation: string): FilterSpec | undefined {
  return BY_ANNOTATION.get(annotation)
}

/** The spec of a filter; throws where there is none of this name. */
export function findFilter(name: string): FilterSpec {
  const spec = BY_NAME.get(name)
  if (spec === undefined) throw new TypeError(`no filter ${name}`)
  return spec
}
