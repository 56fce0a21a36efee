/** All filters there are. */
import type { FilterConfig } from '../model/filter.ts'
import type { VirtualHost } from '../model/route.ts'
import { FORWARD_AUTH } from './forward-auth.ts'
import { HEADERS } from './headers.ts'
import { HTTPS_REDIRECT } from './https-redirect.ts'
import { MAINTENANCE } from './maintenance.ts'
import { RATE_LIMIT } from './rate-limit.ts'
import { REDIRECT } from './redirect.ts'
import { RESPOND } from './respond.ts'
import type { FilterSpec } from './spec.ts'
import { URL_REWRITE } from './url-rewrite.ts'

export const FILTERS: readonly FilterSpec[] = [
  FORWARD_AUTH,
  HEADERS,
  HTTPS_REDIRECT,
  MAINTENANCE,
  RATE_LIMIT,
  REDIRECT,
  RESPOND,
  URL_REWRITE,
].sort((a, b) => a.order - b.order)

const BY_NAME: ReadonlyMap<string, FilterSpec> = new Map(FILTERS.map((spec) => [spec.name, spec]))

/** What each filter does, for people: `headers: request set X-A`. */
export function printFilters(configs: readonly FilterConfig[] | undefined): readonly string[] {
  return (configs ?? []).map(({ name, options }) => `${name}: ${findFilter(name).print(options)}`)
}

/** True if a filter of the host sends plain HTTP to HTTPS. */
export function redirectsToHttps({ filters = [] }: Pick<VirtualHost, 'filters'>): boolean {
  return filters.some(({ name }) => findFilter(name).ofHosts?.redirectsToHttps)
}

/** The spec of a filter; throws where there is none of this name. */
export function findFilter(name: string): FilterSpec {
  const spec = BY_NAME.get(name)
  if (spec === undefined) throw new TypeError(`no filter ${name}`)
  return spec
}
