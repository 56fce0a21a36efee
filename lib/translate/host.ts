/** Virtual hosts: the rules of all Ingresses merged by host (I-36), and the default backends behind them. */
import { type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { matchesHostPattern } from '../base/hostname.ts'
import { compareText } from '../base/order.ts'
import type { FieldPath, SourcePosition } from '../base/position.ts'
import type { Ingress, IngressBackend } from '../kubernetes/resource.ts'
import type { Route, ShadowedRoute, VirtualHost } from '../model/route.ts'
import { createReference, type Reference, type Resolution, reportBackend } from './backend.ts'
import { KeyOrder, keepList, Memo } from './memo.ts'
import { claimPath, findMatch, IngressRoute, settleClaims } from './route.ts'
import type { TranslationSettings } from './settings.ts'
import type { TranslatedUpstream } from './upstream.ts'

/** A route in force whose upstream has no endpoint that can be used. */
export type Starving = Readonly<{ target: TranslatedUpstream; ingress: Ingress; path: FieldPath }>

export type TranslatedHosts = Readonly<{
  /** Exact hosts, then wildcards, then `''`; each group by name. */
  hosts: readonly VirtualHost[]
  defaultRoute: Route | undefined
  shadowed: readonly ShadowedRoute[]
  /** At least one for each upstream that leaves a route without an endpoint. */
  starving: readonly Starving[]
}>

/** What one Ingress claims. */
export type IngressClaims = Readonly<{
  hosts: readonly HostClaims[]
  /** What its default backend claims on all hosts. */
  rest: IngressRoute | undefined
  diagnostics: readonly Diagnostic[]
}>

/** What one Ingress claims on one host. */
type HostClaims = Readonly<{
  host: string
  routes: readonly IngressRoute[]
  isSecured: boolean
  /** The first rule of that host. */
  rule: number
  ingress: Ingress
}>

type SettledHost = Readonly<{
  virtualHost: VirtualHost
  shadowed: readonly ShadowedRoute[]
  starving: readonly Starving[]
  diagnostics: readonly Diagnostic[]
}>

/**
 * Merges Ingresses, given in order of rank. Default backends (I-22): that of an Ingress without rules takes whatever no
 * rule takes; that of an Ingress with rules takes the unmatched paths of this Ingress's own hosts and, where no Ingress
 * without rules has one, also what no host takes. The oldest wins each time (I-23). A rule without `http` sends all of
 * its host there (I-11).
 */
export class HostMerger {
  readonly #hosts = new Memo<string, SettledHost>()
  readonly #order = new KeyOrder(compareHosts)

  merge(
    ingresses: readonly Readonly<{ ingress: Ingress; claims: IngressClaims }>[],
    settings: TranslationSettings,
    diagnostics: DiagnosticList,
  ): TranslatedHosts {
    const byHost = new Map<string, HostClaims[]>()
    const secured = new Set<string>()
    const general: IngressRoute[] = []
    let fallback: IngressRoute | undefined
    for (const { ingress, claims } of ingresses) {
      diagnostics.addAll(claims.diagnostics)
      for (const one of claims.hosts) {
        const others = byHost.get(one.host)
        if (others === undefined) byHost.set(one.host, [one])
        else others.push(one)
      }
      for (const { hosts } of ingress.tls) for (const host of hosts) secured.add(host)
      if (claims.rest !== undefined) {
        if (claims.hosts.length === 0) general.push(claims.rest)
        else fallback ??= claims.rest
      }
    }
    const redirects = settings.https.enabled && settings.https.redirect
    const hosts: VirtualHost[] = []
    const shadowed: ShadowedRoute[] = []
    const starving: Starving[] = []
    for (const [host, claims] of byHost) {
      const redirect = redirects && (secured.has(host) || claims.some(({ isSecured }) => isSecured))
      const one = this.#hosts.get(host, [redirect, ...claims], () => settle(host, claims, redirect))
      hosts.push(one.virtualHost)
      diagnostics.addAll(one.diagnostics)
      if (one.shadowed.length > 0) shadowed.push(...one.shadowed)
      if (one.starving.length > 0) starving.push(...one.starving)
    }
    const defaults = settleClaims(general, diagnostics)
    const last = defaults.claims[0] ?? fallback
    if (last !== undefined) starving.push(...findStarving([last]))
    this.#hosts.sweep()
    return {
      hosts: Object.freeze(this.#order.sort(hosts, ({ host }) => host)),
      defaultRoute: last,
      shadowed: Object.freeze([...shadowed, ...defaults.shadowed]),
      starving,
    }
  }
}

/** What the Ingress refers to, each once; paths that no request can match refer to nothing. */
export function listReferences({ meta, rules, defaultBackend }: Ingress): readonly Reference[] {
  const found = new Map<string, Reference>()
  const add = (backend: IngressBackend): void => {
    const reference = createReference(meta.namespace, backend)
    if (!found.has(reference.key)) found.set(reference.key, reference)
  }
  for (const { paths = [] } of rules) for (const path of paths) if (findMatch(path)) add(path.backend)
  if (defaultBackend !== undefined) add(defaultBackend)
  return [...found.values()]
}

/** Whether a tls section of the Ingress speaks for one of its hosts; one without hosts speaks for all (I-30). */
export function isSecured(ingress: Ingress, host: string): boolean {
  return ingress.tls.some(
    (section) => section.hosts.length === 0 || section.hosts.some((pattern) => matchesHostPattern(pattern, host)),
  )
}

/** What an Ingress claims whose references come to `resolutions`, in the same order. */
export function claimRoutes(
  ingress: Ingress,
  references: readonly Reference[],
  resolutions: readonly Resolution[],
): IngressClaims {
  const resolved = new Map(references.map(({ key }, index) => [key, resolutions[index] as Resolution]))
  const find = (backend: IngressBackend): Resolution =>
    resolved.get(createReference(ingress.meta.namespace, backend).key) as Resolution
  const diagnostics = new DiagnosticList()
  const owner = Object.freeze({ namespace: ingress.meta.namespace, name: ingress.meta.name })
  const drafts = new Map<string, { routes: IngressRoute[]; rule: number }>()
  for (const rule of ingress.rules) {
    let draft = drafts.get(rule.host)
    if (draft === undefined) {
      draft = { routes: [], rule: rule.index }
      drafts.set(rule.host, draft)
    }
    for (const path of rule.paths ?? []) {
      const route = claimPath(ingress, owner, rule, path, find, diagnostics)
      if (route !== undefined) draft.routes.push(route)
    }
  }
  const { defaultBackend } = ingress
  let rest: IngressRoute | undefined
  if (defaultBackend !== undefined) {
    const resolution = find(defaultBackend)
    if (resolution.problem) reportBackend(resolution.problem, ingress, ['spec', 'defaultBackend'], diagnostics)
    rest = new IngressRoute(ingress, owner, '', undefined, resolution)
    for (const [host, { routes }] of drafts) routes.push(new IngressRoute(ingress, owner, host, undefined, resolution))
  }
  const hosts = [...drafts].map(([host, draft]) =>
    Object.freeze({ host, ...draft, isSecured: isSecured(ingress, host), ingress }),
  )
  return { hosts, rest, diagnostics: keepList(diagnostics.items) }
}

function settle(host: string, claims: readonly HostClaims[], redirectToHttps: boolean): SettledHost {
  const diagnostics = new DiagnosticList()
  const settled = settleClaims(
    claims.length === 1 ? claims[0]!.routes : claims.flatMap(({ routes }) => routes),
    diagnostics,
  )
  const virtualHost = new ClaimedHost(host, Object.freeze(settled.claims), redirectToHttps, claims[0]!)
  return {
    virtualHost,
    shadowed: keepList(settled.shadowed),
    starving: keepList(findStarving(settled.claims)),
    diagnostics: keepList(diagnostics.items),
  }
}

/** A virtual host that can say where it is first named. */
class ClaimedHost implements VirtualHost {
  readonly host: string
  readonly routes: readonly Route[]
  readonly redirectToHttps: boolean
  readonly #first: HostClaims

  constructor(host: string, routes: readonly Route[], redirectToHttps: boolean, first: HostClaims) {
    this.host = host
    this.routes = routes
    this.redirectToHttps = redirectToHttps
    this.#first = first
    Object.freeze(this)
  }

  get position(): SourcePosition {
    const { ingress, rule } = this.#first
    return ingress.origin.locate(['spec', 'rules', rule, 'host'])
  }
}

/** The first route to each upstream that is empty. */
function findStarving(routes: readonly IngressRoute[]): readonly Starving[] {
  const found = new Map<TranslatedUpstream, Starving>()
  for (const route of routes) {
    const { target } = route.resolution
    if (target === undefined || !target.isEmpty || found.has(target)) continue
    found.set(target, { target, ingress: route.source, path: route.backendPath })
  }
  return [...found.values()]
}

/** Exact hosts, then wildcards, then `''`; each group by name. */
function compareHosts(a: string, b: string): number {
  const group = (host: string): number => (host === '' ? 2 : host.startsWith('*.') ? 1 : 0)
  return group(a) - group(b) || compareText(a, b)
}
