/** All filters there are. */
import type { FilterConfig } from '../model/filter.ts'
import type { VirtualHost } from '../model/route.ts'
import { COMPRESS } from './compress.ts'
import { CONCURRENCY_LIMIT } from './concurrency-limit.ts'
import { DECOMPRESS } from './decompress.ts'
import { FORWARD_AUTH } from './forward-auth.ts'
import { HEADERS } from './headers.ts'
import { HTTPS_REDIRECT } from './https-redirect.ts'
import { MAINTENANCE } from './maintenance.ts'
import { RATE_LIMIT } from './rate-limit.ts'
import { REDIRECT } from './redirect.ts'
import { RESPOND } from './respond.ts'
import { SECURITY_HEADERS } from './security-headers.ts'
import type { FilterNeeds, FilterSpec } from './spec.ts'
import { URL_REWRITE } from './url-rewrite.ts'

export const FILTERS: readonly FilterSpec[] = [
  COMPRESS,
  CONCURRENCY_LIMIT,
  DECOMPRESS,
  FORWARD_AUTH,
  HEADERS,
  HTTPS_REDIRECT,
  MAINTENANCE,
  RATE_LIMIT,
  REDIRECT,
  RESPOND,
  SECURITY_HEADERS,
  URL_REWRITE,
].sort((a, b) => a.order - b.order)

const BY_NAME: ReadonlyMap<string, FilterSpec> = new Map(FILTERS.map((spec) => [spec.name, spec]))

/** What each filter does, for people: `headers: request set X-A`. */
export function printFilters(configs: readonly FilterConfig[] | undefined): readonly string[] {
  return (configs ?? []).map(({ name, options }) => `${name}: ${findFilter(name).print(options)}`)
}

/** The same, and which of them `portico explain` does not play. */
export function describeFilters(configs: readonly FilterConfig[]): readonly string[] {
  return printFilters(configs).map((text, at) => {
    const { dependsOn } = findFilter(configs[at]!.name)
    return dependsOn === undefined ? text : `${text} (not played: ${dependsOn} decides)`
  })
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

/** The spec of a filter; throws where there is none of this name. */
export function findFilter(name: string): FilterSpec {
  const spec = BY_NAME.get(name)
  if (spec === undefined) throw new TypeError(`no filter ${name}`)
  return spec
}
