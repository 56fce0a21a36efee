/** Virtual hosts: the rules of all Ingresses merged by host (I-36), and the default backends behind them. */

import type { DiagnosticList } from '../base/diagnostics.ts'
import { matchesHostPattern } from '../base/hostname.ts'
import { compareText } from '../base/order.ts'
import type { SourcePosition } from '../base/position.ts'
import type { Ingress } from '../kubernetes/resource.ts'
import type { Route, ShadowedRoute, VirtualHost } from '../model/route.ts'
import type { Settings } from '../settings-table.ts'
import type { BackendResolver } from './backend.ts'
import { type Claim, claimDefault, claimPath, settleClaims } from './route.ts'

export type TranslatedHosts = Readonly<{
  hosts: readonly VirtualHost[]
  defaultRoute: Route | undefined
  shadowed: readonly ShadowedRoute[]
}>

type HostDraft = { readonly claims: Claim[]; readonly position: SourcePosition; redirect: boolean }

/**
 * Merges Ingresses, given in order of rank. Default backends (I-22): that of an Ingress without rules takes whatever no
 * rule takes; that of an Ingress with rules takes the unmatched paths of this Ingress's own hosts and, where no Ingress
 * without rules has one, also what no host takes. The oldest wins each time (I-23). A rule without `http` sends all of
 * its host there (I-11).
 */
export function translateHosts(
  ingresses: readonly Ingress[],
  resolver: BackendResolver,
  settings: Settings,
  diagnostics: DiagnosticList,
): TranslatedHosts {
  const drafts = new Map<string, HostDraft>()
  const secured = new Set(ingresses.flatMap((ingress) => ingress.tls.flatMap(({ hosts }) => hosts)))
  const general: Claim[] = []
  const fallback: Claim[] = []
  for (const ingress of ingresses) {
    const ownHosts = new Set(ingress.rules.map((rule) => rule.host))
    for (const rule of ingress.rules) {
      const draft = findDraft(drafts, rule.host, ingress, rule.index)
      for (const path of rule.paths ?? []) {
        const claim = claimPath(ingress, rule, path, resolver, diagnostics)
        if (claim !== undefined) draft.claims.push(claim)
      }
    }
    const claim = claimDefault(ingress, resolver)
    if (claim !== undefined) {
      for (const host of ownHosts) drafts.get(host)!.claims.push(claim(host))
      ;(ownHosts.size === 0 ? general : fallback).push(claim(''))
    }
    for (const host of ownHosts) if (isSecured(ingress, host)) drafts.get(host)!.redirect = true
  }
  const settled = [...drafts].map(([host, draft]) => ({ host, draft, ...settleClaims(draft.claims, diagnostics) }))
  const defaults = settleClaims(general, diagnostics)
  const last = defaults.claims[0] ?? fallback[0]
  const redirects = settings.https.enabled && settings.https.redirect
  const hosts = settled.map(
    ({ host, draft, claims }): VirtualHost =>
      Object.freeze({
        host,
        routes: Object.freeze(claims.map(({ route }) => route)),
        redirectToHttps: redirects && (draft.redirect || secured.has(host)),
        position: draft.position,
      }),
  )
  const winners = [...settled.flatMap(({ claims }) => claims), ...(last === undefined ? [] : [last])]
  for (const { ingress, backend, backendPath } of winners) resolver.reportEmpty(ingress, backend, backendPath)
  return {
    hosts: Object.freeze(hosts.sort(compareHosts)),
    defaultRoute: last?.route,
    shadowed: Object.freeze([...settled.flatMap(({ shadowed }) => shadowed), ...defaults.shadowed]),
  }
}

/** Exact hosts, then wildcards, then `''`; each group by name. */
function compareHosts({ host: a }: VirtualHost, { host: b }: VirtualHost): number {
  const group = (host: string): number => (host === '' ? 2 : host.startsWith('*.') ? 1 : 0)
  return group(a) - group(b) || compareText(a, b)
}

function findDraft(drafts: Map<string, HostDraft>, host: string, ingress: Ingress, index: number): HostDraft {
  let draft = drafts.get(host)
  if (draft === undefined) {
    draft = { claims: [], position: ingress.origin.locate(['spec', 'rules', index, 'host']), redirect: false }
    drafts.set(host, draft)
  }
  return draft
}

/** Whether a tls section of the Ingress speaks for one of its hosts; one without hosts speaks for all (I-30). */
export function isSecured(ingress: Ingress, host: string): boolean {
  return ingress.tls.some(
    (section) => section.hosts.length === 0 || section.hosts.some((pattern) => matchesHostPattern(pattern, host)),
  )
}
