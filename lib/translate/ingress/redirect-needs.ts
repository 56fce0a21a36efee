/** What a redirect needs in the manifests: the host that clients come from, the one they are sent to, certificates, a path. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { matchesHostPattern } from '../../base/hostname.ts'
import { findRedirectNeeds } from '../../filters/registry.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { Route } from '../../model/route.ts'
import { isSecured } from '../tls/tls-section.ts'
import { listFilters } from './filter-layers.ts'
import { readMentions } from './filters.ts'
import { findSource } from './nginx/alias.ts'

/** The routes of an Ingress on one host. */
type ClaimedHost = Readonly<{ host: string; routes: readonly Route[] }>

/** True if the Ingress has a redirect that needs something. */
export function hasRedirectNeeds(ingress: Ingress): boolean {
  return findRedirectNeeds(listOwn(ingress), '') !== undefined
}

/** Reports what is missing, each thing once. `isServed`: a rule of any Ingress takes requests to the host. */
export function reportRedirectNeeds(
  ingress: Ingress,
  claimed: readonly ClaimedHost[],
  isServed: (host: string) => boolean,
  diagnostics: DiagnosticList,
): void {
  const filters = listOwn(ingress)
  const reported = new Set<string>()
  const report = (option: string, message: string, help: string): void => {
    if (reported.has(message)) return
    reported.add(message)
    const name = findSource(ingress, option)
    diagnostics.add('PORTICO_ROUTE_REDIRECT_INCOMPLETE', `${name}: ${message}`, {
      position: ingress.origin.locate(['metadata', 'annotations', name]),
      resource: printResource(ingress),
      help,
    })
  }
  const takes = (host: string): boolean => claimed.some((one) => one.host === '' || matchesHostPattern(one.host, host))
  for (const { host, routes } of claimed) {
    const { hosts, path } = findRedirectNeeds(filters, host) ?? {}
    if (path !== undefined && !routes.some(({ match }) => match.type === 'regex' || match.path === path)) {
      report(
        'app-root',
        `no path of the Ingress takes ${path}, so nobody is redirected`,
        `add the path ${path} to its rule`,
      )
    }
    if (hosts === undefined || host === '' || host.startsWith('*')) continue
    const { from, to } = hosts
    if (!takes(from)) {
      const message = `no rule of the Ingress has the host ${from}, so nobody is redirected from there`
      report('redirect-www', message, `add a rule for ${from} with the same paths`)
    }
    if (!isServed(to)) {
      const message = `clients of ${from} are sent to ${to}, which no rule has`
      report('redirect-www', message, `add a rule for ${to}`)
    }
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      if (!takes(one) || isSecured(ingress, one) || !isSecured(ingress, other)) continue
      const message = `no tls section of the Ingress names ${one}, so browsers that ask for https://${one}/ may find no certificate for it`
      report('redirect-www', message, `name ${one} beside ${other}, with a certificate that covers both`)
    }
  }
}

/** The filters in its own annotations. */
function listOwn(ingress: Ingress): readonly FilterConfig[] {
  return listFilters(readMentions(ingress)) ?? []
}
