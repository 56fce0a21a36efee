/** The canaries of one host: their routes beside those of the other Ingresses, and those that serve nothing. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import { findPathField, type Route, type RouteAction } from '../../model/route.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import { compareRank } from '../../routing/rank.ts'
import { addCanary, type CanaryTerms } from './canary.ts'
import { readAliases } from './nginx/alias.ts'

/** The claims of one Ingress on the host, canary or not. */
type CanaryClaims = Readonly<{
  host: string
  routes: readonly Route[]
  /** Undefined: it is no canary. */
  canary: CanaryTerms | undefined
  /** The first rule of the host. */
  rule: number
  ingress: Ingress
  owner: ResourceRef
  /** The actions that lead to no endpoint. */
  empty: ReadonlyMap<RouteAction, unknown>
}>

/** The routes with those of the canaries beside them, in order of rank. */
export function joinCanaries(
  settled: readonly Route[],
  all: readonly CanaryClaims[],
  diagnostics: DiagnosticList,
): readonly Route[] {
  let routes = settled
  /** Of a Service one canary counts (CA2). */
  const taken = new Set<UpstreamKey>()
  for (const { canary: terms, routes: own, ingress, empty } of all) {
    if (terms === undefined) continue
    for (const { path, pathType, action, rule, item } of own) {
      const report = (message: string, help: string): void =>
        diagnostics.add('PORTICO_ANN_CANARY', message, {
          position: ingress.origin.locate(findPathField({ rule, item })),
          resource: printResource(ingress),
          help,
        })
      const main = settled.find((one) => one.path === path && one.pathType === pathType)
      if (main === undefined) {
        report(
          `no other Ingress has the path "${path}" (${pathType}) of this host: the canary serves nothing`,
          'give it the path and the type of the path whose requests it is to get',
        )
      } else if (main.action.type !== 'forward') {
        if (main.action.type === 'split')
          report(
            'the requests of the other Ingress are divided already: the canary serves nothing',
            'leave split of the other Ingress out, or name this Service in it',
          )
      } else if (taken.has(main.action.upstream)) {
        report(`another canary has "${path}" already: this one serves nothing`, 'keep one of them')
      } else if (action.type === 'forward' && !empty.has(action)) {
        const { upstream } = main.action
        taken.add(upstream)
        const owner = all.find((one) => one.owner === main.owner)
        const { sessionCookie } = owner === undefined ? {} : readAliases(owner.ingress).hosts
        const canary = { terms, action, sessionCookie }
        routes = routes.flatMap((one) =>
          one.action.type === 'forward' && one.action.upstream === upstream ? addCanary(one, canary) : [one],
        )
      }
    }
  }
  return routes === settled ? settled : [...routes].sort(compareRank)
}

/** Reports a canary on a host that no other Ingress has (CA1). */
export function reportLostCanary({ ingress, host, rule }: CanaryClaims, diagnostics: DiagnosticList): void {
  diagnostics.add(
    'PORTICO_ANN_CANARY',
    `no other Ingress has the host ${host === '' ? '*' : host}: the canary serves nothing`,
    {
      position: ingress.origin.locate(['spec', 'rules', rule]),
      resource: printResource(ingress),
      help: 'give it the host of the Ingress whose requests it is to get',
    },
  )
}
