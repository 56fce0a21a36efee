/** All filters there are. */
import { createHmac, randomBytes } from 'node:crypto'
import type { FilterConfig } from '../model/filter.ts'
import type { VirtualHost } from '../model/route.ts'
import { BASIC_AUTH } from './basic-auth.ts'
import { COMPRESS } from './compress.ts'
import { DECOMPRESS } from './decompress.ts'
import { FORWARD_AUTH } from './forward-auth.ts'
import { HEADERS } from './headers.ts'
import { HTTPS_REDIRECT } from './https-redirect.ts'
import { MAINTENANCE } from './maintenance.ts'
import { RATE_LIMIT } from './rate-limit.ts'
import { REDIRECT } from './redirect.ts'
import { RESPOND } from './respond.ts'
import { SATISFY } from './satisfy.ts'
import { SOURCE_RANGE } from './source-range.ts'
import type { FilterSpec } from './spec.ts'
import { URL_REWRITE } from './url-rewrite.ts'

export const FILTERS: readonly FilterSpec[] = [
  BASIC_AUTH,
  COMPRESS,
  DECOMPRESS,
  FORWARD_AUTH,
  HEADERS,
  HTTPS_REDIRECT,
  MAINTENANCE,
  RATE_LIMIT,
  REDIRECT,
  RESPOND,
  SATISFY,
  SOURCE_RANGE,
  URL_REWRITE,
].sort((a, b) => a.order - b.order)

const BY_NAME: ReadonlyMap<string, FilterSpec> = new Map(FILTERS.map((spec) => [spec.name, spec]))

/** What each filter does, for people: `headers: request set X-A`. */
export function printFilters(configs: readonly FilterConfig[] | undefined): readonly string[] {
  return (configs ?? []).map(({ name, options }) => `${name}: ${findFilter(name).print(options)}`)
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

/** What each filter does, and which of them `portico explain` does not play. */
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

/** The spec of a filter; throws where there is none of this name. */
export function findFilter(name: string): FilterSpec {
  const spec = BY_NAME.get(name)
  if (spec === undefined) throw new TypeError(`no filter ${name}`)
  return spec
}
