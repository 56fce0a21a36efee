/** Virtual hosts: the rules of all Ingresses merged by host (I-36), and the default backends behind them. */
import { type Diagnostic, DiagnosticList } from '../../base/diagnostics.ts'
import { cutSame } from '../../base/list.ts'
import { compareText } from '../../base/order.ts'
import { isOff, isOfHosts } from '../../filters/registry.ts'
import { type Ingress, type IngressBackend, printResource } from '../../kubernetes/resource.ts'
import type { CertificateBinding } from '../../model/certificate.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { GatewayListener } from '../../model/listener.ts'
import { createRef, type ResourceRef } from '../../model/resource-ref.ts'
import { listShares, type Route, type RouteAction, type ShadowedRoute, type VirtualHost } from '../../model/route.ts'
import { INGRESS_TABLE, type RouteTable } from '../../model/route-table.ts'
import { compareRank } from '../../routing/rank.ts'
import { isSameList, keepList, MappedList, Memo, Sieve } from '../reuse.ts'
import type { IngressPolicies } from '../route-policy/attachment.ts'
import type { DefaultFilters } from '../route-policy/default-options.ts'
import type { TranslatedUpstream } from '../service/upstream.ts'
import type { TranslationSettings } from '../settings.ts'
import { isSecured } from '../tls/tls-section.ts'
import { listAsking } from './asked-server.ts'
import { createReference, isClosed, type Reference, type Resolution, reportBackend } from './backend.ts'
import type { CanaryTerms } from './canary.ts'
import { joinCanaries, reportLostCanary } from './canary-routes.ts'
import { addAnswers, addPaths, type ConditionalAnswer } from './conditional-answer.ts'
import { reportFallThrough } from './fall-through.ts'
import { reportFilterFits } from './filter-fit.ts'
import { mergeLayers } from './filter-layers.ts'
import { readHostFilters, readMentions } from './filters.ts'
import type { ForeignAnnotation } from './foreign-table.ts'
import { createHost, listWanted } from './host-alias.ts'
import { type HostOptions, readHostOptions } from './host-option.ts'
import type { FilterMention } from './mention.ts'
import { isCanary, readAliases } from './nginx/alias.ts'
import { findPassthrough } from './passthrough.ts'
import { reportRedirectLoops } from './redirect-loop.ts'
import { hasRedirectNeeds, reportRedirectNeeds } from './redirect-needs.ts'
import { claimDefault, claimPath, claimRest, closeRoute, makeExpression, settleRoutes } from './route.ts'
import { type RouteBackend, RouteBackends } from './route-backend.ts'
import { reportSlashBypasses } from './slash-bypass.ts'
import { divideBackend } from './split.ts'
import { reportUnreachable } from './unreachable.ts'

/** A served route that leads to an upstream without a usable endpoint. */
export type Starving = Readonly<{ target: TranslatedUpstream; ingress: Ingress; route: Route }>

export type TranslatedHosts = Readonly<{
  table: RouteTable
  /** The number of routes of its hosts. */
  routes: number
  /** At least one entry for each Ingress and each upstream that leaves a route of it without an endpoint. */
  starving: readonly Starving[]
  /** Of hosts whose TLS does not end here. */
  passthroughs: readonly CertificateBinding[]
}>

/** The claims of one Ingress. */
export type IngressClaims = Readonly<{
  owner: ResourceRef
  hosts: readonly HostClaims[]
  /** The claim of its default backend on all hosts. */
  rest: Route | undefined
  empty: EmptyTargets
  /** The filters of its routes that ask servers. */
  asking: readonly FilterConfig[]
  diagnostics: readonly Diagnostic[]
}>

export type Claimant = Readonly<{ ingress: Ingress; claims: IngressClaims }>

/** The upstreams without a usable endpoint, by the actions of the routes that lead to them. */
type EmptyTargets = ReadonlyMap<RouteAction, TranslatedUpstream>

/** Up to this many changed hosts are inserted one by one; more are sorted at once. */
const FEW = 100

/** The claims of one Ingress on one host. */
type HostClaims = Readonly<{
  host: string
  routes: readonly Route[]
  isSecured: boolean
  /** A guard that closes all routes of the host. */
  guard: ForeignAnnotation | undefined
  /** It makes regular expressions of all paths of the host. */
  hasPatterns: boolean
  /** What it says of the host as a whole. */
  options: HostOptions
  /** Its routes stand beside those of another Ingress. */
  canary: CanaryTerms | undefined
  /** Answers to requests of its own routes; and of all routes of the host, for which the oldest Ingress that has some decides. */
  answers: readonly ConditionalAnswer[]
  hostAnswers: readonly ConditionalAnswer[]
  /** The first rule of that host. */
  rule: number
  ingress: Ingress
  owner: ResourceRef
  empty: EmptyTargets
}>

/** The filters of the hosts that a tls section names, and of all others. */
type HostFilters = Readonly<Record<'secured' | 'others', readonly FilterConfig[] | undefined>>

type SettledHost = Readonly<{
  claims: readonly HostClaims[]
  /** Those of the settings for it. */
  filters: readonly FilterConfig[] | undefined
  virtualHost: VirtualHost
  /** Undefined: TLS ends here. */
  passthrough: CertificateBinding | undefined
  shadowed: readonly ShadowedRoute[]
  starving: readonly Starving[]
  diagnostics: readonly Diagnostic[]
}>

/**
 * Merges Ingresses, given in order of rank. The default backend of an Ingress without rules takes all requests that no rule takes.
 * The default backend of an Ingress with rules takes the unmatched requests of that Ingress's hosts; and, if no Ingress without
 * rules and no setting has a default backend, all requests of other hosts (I-22). The oldest wins each time (I-23). A rule without `http` sends
 * all requests of its host to the default backend (I-11).
 */
export class HostMerger {
  readonly #noted = new Sieve<Claimant>(({ claims }) => claims.diagnostics.length > 0)
  readonly #secured = new Sieve<Claimant>(({ ingress }) => ingress.tls.length > 0 && !isCanary(ingress))
  readonly #resting = new Sieve<Claimant>(({ claims }) => claims.rest !== undefined)
  readonly #redirecting = new Sieve<Claimant>(({ ingress }) => hasRedirectNeeds(ingress))
  readonly #contested = new Sieve<SettledHost>(
    ({ diagnostics, shadowed, starving }) => diagnostics.length + shadowed.length + starving.length > 0,
  )
  readonly #passing = new Sieve<SettledHost>(({ passthrough }) => passthrough !== undefined)
  readonly #virtualHosts = new MappedList<SettledHost, VirtualHost>()
  /** What is to be said of the paths of each settled host. */
  readonly #pathNotes = new MappedList<SettledHost, readonly Diagnostic[]>()
  readonly #saidOfPaths = new Sieve<readonly Diagnostic[]>((notes) => notes.length > 0)
  /** Hosts beside which others are wanted that no rule has. */
  readonly #wanting = new Sieve<SettledHost>(({ claims, virtualHost: { host } }) => listWanted(host, claims).length > 0)
  readonly #further = new Memo<string, VirtualHost>()
  #ingresses: readonly Claimant[] = []
  readonly #hosts = new Map<string, SettledHost>()
  /** The claims on hosts that canaries alone have. */
  readonly #canaries = new Map<string, readonly HostClaims[]>()
  /** The settled hosts in their order. */
  #settled: readonly SettledHost[] = []
  /** The hosts of the table, and what they were made of. */
  #listed: readonly VirtualHost[] = []
  #parts: readonly VirtualHost[] = []
  #routes = 0
  #table: RouteTable | undefined
  /** What decides about the filters of all hosts. */
  #filterInputs: readonly unknown[] = []
  #filters: HostFilters = { secured: undefined, others: undefined }

  /** `listeners` serve the table; `fallback` is what the settings say of requests that no rule takes. */
  merge(
    ingresses: readonly Claimant[],
    fallback: Claimant | undefined,
    listeners: readonly GatewayListener[],
    settings: TranslationSettings,
    diagnostics: DiagnosticList,
  ): TranslatedHosts {
    for (const { claims } of this.#noted.filter(ingresses)) diagnostics.addAll(claims.diagnostics)
    this.#settle(ingresses, settings)
    const shadowed: ShadowedRoute[] = []
    const starving: Starving[] = []
    for (const one of this.#contested.filter(this.#settled)) {
      diagnostics.addAll(one.diagnostics)
      shadowed.push(...one.shadowed)
      starving.push(...one.starving)
    }
    for (const claims of this.#canaries.values()) for (const one of claims) reportLostCanary(one, diagnostics)
    const isServed = (host: string): boolean => this.#isServed(host)
    for (const { ingress, claims } of this.#redirecting.filter(ingresses)) {
      reportRedirectNeeds(ingress, claims.hosts, isServed, diagnostics)
    }
    const written = this.#resting.filter(ingresses)
    const isWritten = written.some(({ claims }) => claims.hosts.length === 0)
    const resting = fallback === undefined || isWritten ? written : [...written, fallback]
    const general = resting.flatMap(({ claims }) => (claims.hosts.length === 0 && claims.rest ? [claims.rest] : []))
    const owners = resting.map(({ ingress, claims: { owner, empty } }) => ({ ingress, owner, empty }))
    const defaults = settleRoutes(general, findIngressAmong(owners), diagnostics)
    const last = defaults.routes[0] ?? resting.find(({ claims }) => claims.hosts.length > 0)?.claims.rest
    if (last !== undefined) starving.push(...findStarving([last], owners))
    this.#checkPaths(last, listeners, diagnostics)
    const hosts = this.#listHosts()
    const table = this.#keepTable(hosts, last, [...shadowed, ...defaults.shadowed])
    const passthroughs = this.#passing.filter(this.#settled).flatMap(({ passthrough }) => passthrough ?? [])
    return { table, routes: this.#routes, starving, passthroughs }
  }

  /** `rest` is the route of requests that no rule takes. */
  #checkPaths(rest: Route | undefined, listeners: readonly GatewayListener[], diagnostics: DiagnosticList): void {
    const policies = listeners.map(({ paths }) => paths)
    // With other policies nothing depends on it.
    const open = policies.some(({ mergeSlashes }) => mergeSlashes === 'never') ? rest : undefined
    const inputs = [
      open,
      ...listeners.flatMap(({ id, paths: { encodedSlash, mergeSlashes } }) => [id, encodedSlash, mergeSlashes]),
    ]
    const notes = this.#pathNotes.map(this.#settled, inputs, ({ virtualHost, claims }) => {
      const own = new DiagnosticList()
      const ingressOf = findIngressAmong(claims)
      if (policies.length > 0) reportUnreachable(virtualHost, policies, ingressOf, own)
      reportSlashBypasses(virtualHost, open, listeners, ingressOf, own)
      reportRedirectLoops(virtualHost, listeners, ingressOf, own)
      reportFilterFits(virtualHost, ingressOf, own)
      return keepList(own.items)
    })
    for (const some of this.#saidOfPaths.filter(notes)) diagnostics.addAll(some)
  }

  #isServed(host: string): boolean {
    const hosts = this.#hosts
    return hosts.has(host) || hosts.has(`*${host.slice(host.indexOf('.'))}`) || hosts.has('')
  }

  /** Hosts of rules, and those beside them; the list from before, where it is the same. */
  #listHosts(): readonly VirtualHost[] {
    const own = Object.freeze(this.#virtualHosts.map(this.#settled, [], ({ virtualHost }) => virtualHost))
    const further = new Map<string, VirtualHost>()
    for (const settled of this.#wanting.filter(this.#settled)) {
      const { virtualHost, claims } = settled
      for (const wanted of listWanted(virtualHost.host, claims)) {
        const { name } = wanted
        if (this.#hosts.has(name) || further.has(name)) continue
        const isHostSecured = claims.some(({ ingress }) => isSecured(ingress, name))
        const filters = this.#filters[isHostSecured ? 'secured' : 'others']
        further.set(
          name,
          this.#further.get(name, [settled, filters], () => createHost(wanted, virtualHost, filters)),
        )
      }
    }
    this.#further.sweep()
    if (further.size === 0) return own
    const parts = [...own, ...further.values()]
    if (!isSameList(parts, this.#parts)) {
      this.#parts = parts
      this.#listed = Object.freeze(parts.toSorted((a, b) => compareHosts(a.host, b.host)))
    }
    return this.#listed
  }

  /** The table from before, where it is the same. */
  #keepTable(
    hosts: RouteTable['hosts'],
    defaultRoute: Route | undefined,
    shadowed: RouteTable['shadowed'],
  ): RouteTable {
    const before = this.#table
    const isSame =
      before?.hosts === hosts && before.defaultRoute === defaultRoute && isSameList(before.shadowed, shadowed)
    if (isSame) return before
    this.#table = Object.freeze({ name: INGRESS_TABLE, hosts, defaultRoute, shadowed: Object.freeze(shadowed) })
    return this.#table
  }

  /** Settles the hosts with changed claims, or all hosts if their filters may have changed. */
  #settle(ingresses: readonly Claimant[], { https }: TranslationSettings): void {
    const secured = this.#secured.filter(ingresses)
    const inputs = [secured, https.enabled, https.redirect, https.redirectPort]
    const isSame = isSameList(this.#filterInputs, inputs)
    if (!isSameList(this.#filterInputs.slice(1), inputs.slice(1))) this.#filters = readAllHostFilters(https)
    this.#filterInputs = inputs
    const { gone, come } = cutSame(this.#ingresses, ingresses)
    this.#ingresses = ingresses
    const names = new Set(secured.flatMap(({ ingress }) => ingress.tls.flatMap(({ hosts }) => hosts)))
    const touched = this.#gather(gone, come)
    if (!isSame) for (const [host, { claims }] of this.#hosts) if (!touched.has(host)) touched.set(host, [...claims])
    const ranks = new Map<Ingress, number>()
    const changed = new Set<SettledHost | undefined>()
    for (const [host, claims] of touched) {
      if (claims.length > 1) sortByRank(claims, ingresses, ranks)
      const before = this.#hosts.get(host)
      const isHostSecured = names.has(host) || claims.some(({ isSecured }) => isSecured)
      const filters = isHostSecured ? this.#filters.secured : this.#filters.others
      if (before && before.filters === filters && isSameList(before.claims, claims)) continue
      const next = claims.length === 0 ? undefined : settle(host, claims, filters)
      this.#routes += (next?.virtualHost.routes.length ?? 0) - (before?.virtualHost.routes.length ?? 0)
      if (next) this.#hosts.set(host, next)
      else this.#hosts.delete(host)
      if (next === undefined && claims.length > 0) this.#canaries.set(host, claims)
      else this.#canaries.delete(host)
      changed.add(before).add(next)
    }
    if (changed.size > 0) this.#settled = placeHosts(this.#settled, changed, this.#hosts)
  }

  /** The present claims, in no order, on the hosts that these Ingresses name. */
  #gather(gone: readonly Claimant[], come: readonly Claimant[]): Map<string, HostClaims[]> {
    const left = new Set(gone.flatMap(({ claims }) => claims.hosts))
    const touched = new Map<string, HostClaims[]>()
    const touch = (host: string): HostClaims[] => {
      const known = touched.get(host)
      if (known) return known
      const claims = (this.#hosts.get(host)?.claims ?? this.#canaries.get(host) ?? []).filter((one) => !left.has(one))
      touched.set(host, claims)
      return claims
    }
    for (const { host } of left) touch(host)
    for (const { claims } of come) for (const one of claims.hosts) touch(one.host).push(one)
    return touched
  }
}

/** Sorts claims in the order of `ingresses`; fills `ranks` when it is first needed. */
function sortByRank(claims: HostClaims[], ingresses: readonly Claimant[], ranks: Map<Ingress, number>): void {
  if (ranks.size === 0) for (const [rank, { ingress }] of ingresses.entries()) ranks.set(ingress, rank)
  claims.sort((a, b) => (ranks.get(a.ingress) ?? 0) - (ranks.get(b.ingress) ?? 0))
}

/** The hosts in their order: `before`, with the hosts in `changed` replaced, removed or added. */
function placeHosts(
  before: readonly SettledHost[],
  changed: ReadonlySet<SettledHost | undefined>,
  now: ReadonlyMap<string, SettledHost>,
): readonly SettledHost[] {
  const nameOf = ({ virtualHost }: SettledHost): string => virtualHost.host
  const isNow = (one: SettledHost): boolean => now.get(nameOf(one)) === one
  const come = [...changed].filter((one) => one !== undefined && isNow(one)) as SettledHost[]
  const placed = before.filter((one) => !changed.has(one))
  if (come.length > FEW) return placed.concat(come).sort((a, b) => compareHosts(nameOf(a), nameOf(b)))
  for (const one of come) {
    let low = 0
    let high = placed.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareHosts(nameOf(placed[middle] as SettledHost), nameOf(one)) < 0) low = middle + 1
      else high = middle
    }
    placed.splice(low, 0, one)
  }
  return placed
}

/** The references of the Ingress, each once; `splits` may divide the requests of its routes. */
export function listReferences(ingress: Ingress, splits: readonly FilterMention[]): readonly Reference[] {
  const { meta, rules, defaultBackend } = ingress
  const found = new Map<string, Reference>()
  const add = (backend: IngressBackend): void => {
    const reference = createReference(meta.namespace, backend)
    if (found.has(reference.key)) return
    found.set(reference.key, reference)
    for (const split of splits) for (const share of divideBackend(split, backend) ?? []) add(share.backend)
  }
  for (const { paths = [] } of rules) for (const path of paths) add(path.backend)
  if (defaultBackend !== undefined) add(defaultBackend)
  return [...found.values()]
}

/**
 * The claims of an Ingress, or of the `owner` that it stands for; `resolutions` are in the order of its references. `guards` close all
 * its routes, and some of them the routes of other Ingresses on its hosts.
 */
export function claimRoutes(
  ingress: Ingress,
  references: readonly Reference[],
  resolutions: readonly Resolution[],
  guards: readonly ForeignAnnotation[],
  policies: IngressPolicies,
  defaults: DefaultFilters,
  owner: ResourceRef = createRef(ingress),
): IngressClaims {
  const hostGuard = guards.find(({ isOfHost }) => isOfHost)
  const diagnostics = new DiagnosticList()
  const backends = new RouteBackends(ingress, references, resolutions, guards[0], policies, defaults, diagnostics)
  const options = readHostOptions(mergeLayers([readMentions(ingress), policies.whole.mentions]))
  const { canary, answers = NO_ANSWERS, hostAnswers = NO_ANSWERS } = readAliases(ingress).hosts
  const drafts = new Map<string, { routes: Route[]; rule: number; hasPatterns: boolean }>()
  for (const rule of ingress.rules) {
    let draft = drafts.get(rule.host)
    if (draft === undefined) {
      draft = { routes: [], rule: rule.index, hasPatterns: false }
      drafts.set(rule.host, draft)
    }
    for (const path of rule.paths ?? []) {
      const backend = backends.find(path.backend, rule.host, path.path)
      draft.hasPatterns ||= backend.terms.patterns === 'host'
      const route = claimPath(ingress, owner, rule, path, backend, diagnostics)
      if (route !== undefined) draft.routes.push(route)
    }
  }
  const { defaultBackend } = ingress
  let rest: Route | undefined
  // A canary of what no path takes is none.
  if (defaultBackend !== undefined && canary === undefined) {
    const find = (host: string): RouteBackend => backends.find(defaultBackend, host, undefined)
    const backend = find('')
    if (backend.problem) reportBackend(backend.problem, ingress, ['spec', 'defaultBackend'], diagnostics)
    rest = claimRest(ingress, owner, backend, answers.length + hostAnswers.length > 0, diagnostics)
    for (const [host, { routes }] of drafts) routes.push(claimDefault(owner, host, find(host)))
  }
  const empty = findEmpty(backends.resolutions)
  const hosts = [...drafts].map(([host, { routes, rule, hasPatterns }]) =>
    Object.freeze({
      host,
      // A copy drops the spare room of a list that grew.
      routes: Object.freeze(routes.slice()),
      isSecured: canary === undefined && isSecured(ingress, host),
      guard: hostGuard,
      hasPatterns: hasPatterns && canary === undefined,
      options,
      canary,
      answers,
      hostAnswers,
      rule,
      ingress,
      owner,
      empty,
    }),
  )
  const asking = listAsking([...hosts.map(({ routes }) => routes), rest === undefined ? [] : [rest]])
  return { owner, hosts, rest, empty, asking: keepList(asking), diagnostics: keepList(diagnostics.items) }
}

const NO_TARGETS: EmptyTargets = new Map()
const NO_ANSWERS: readonly ConditionalAnswer[] = []

function findEmpty(resolutions: readonly Resolution[]): EmptyTargets {
  const empty = resolutions.flatMap(({ action, target }) => (target?.isEmpty ? [[action, target] as const] : []))
  return empty.length === 0 ? NO_TARGETS : new Map(empty)
}

/** An Ingress with the reference to it that its routes hold, and its targets without endpoints. */
type RouteOwner = Pick<HostClaims, 'ingress' | 'owner' | 'empty'>

/** Finds the Ingress of a route; the index is made at the first call. */
function findIngressAmong(owners: readonly RouteOwner[]): (owner: ResourceRef) => Ingress {
  let known: ReadonlyMap<ResourceRef, Ingress> | undefined
  return (asked) => {
    known ??= new Map(owners.map(({ owner, ingress }) => [owner, ingress]))
    return known.get(asked) as Ingress
  }
}

function readAllHostFilters(https: TranslationSettings['https']): HostFilters {
  return {
    secured: readHostFilters({ isSecured: true, https }),
    others: readHostFilters({ isSecured: false, https }),
  }
}

/** Undefined: canaries alone have the host. */
function settle(
  host: string,
  all: readonly HostClaims[],
  filters: readonly FilterConfig[] | undefined,
): SettledHost | undefined {
  const diagnostics = new DiagnosticList()
  const claims = all.filter(({ canary }) => canary === undefined)
  const [first] = claims
  if (first === undefined) return undefined
  const guard = claims.find((one) => one.guard !== undefined)?.guard
  const claimed = claims.length === 1 ? first.routes : claims.flatMap((one) => one.routes)
  const closed = guard === undefined ? claimed : claimed.map((route) => closeRoute(route, guard))
  const patterns = claims.find(({ hasPatterns }) => hasPatterns)
  const matched = patterns === undefined ? closed : closed.map(makeExpression)
  if (patterns !== undefined) reportPatterns(patterns, claims, diagnostics)
  const { routes: settled, shadowed } = settleRoutes(matched, findIngressAmong(claims), diagnostics)
  const answered = answerRoutes(settled, host, claims)
  const divided = claims.length === all.length ? answered : joinCanaries(answered, all, diagnostics)
  const { routes, filters: left } = divideFilters(divided, filters)
  const { owner, rule } = first
  const virtualHost = Object.freeze({
    host,
    routes: Object.freeze(routes),
    ...(left && { filters: left }),
    owner,
    rule,
  })
  reportFallThrough(virtualHost, findIngressAmong(claims), diagnostics)
  const passthrough = findPassthrough(virtualHost, claims, diagnostics)
  return {
    claims: all,
    filters,
    virtualHost,
    passthrough,
    shadowed: keepList(shadowed),
    starving: keepList(findStarving(routes, claims)),
    diagnostics: keepList(diagnostics.items),
  }
}

/** Where a route of the host does without a filter of the host, that is a filter of all the other routes. */
function divideFilters(
  routes: readonly Route[],
  filters: readonly FilterConfig[] | undefined,
): Pick<VirtualHost, 'routes' | 'filters'> {
  const divided = filters?.find(({ name }) =>
    routes.some((route) => route.filters?.some((one) => one.name === name && isOff(one))),
  )
  if (divided === undefined) return { routes, ...(filters && { filters }) }
  const left = filters!.filter((one) => one !== divided)
  return {
    routes: routes.map((route) =>
      route.filters?.some(isOfHosts)
        ? route
        : Object.freeze({ ...route, filters: Object.freeze([divided, ...(route.filters ?? [])]) }),
    ),
    ...(left.length > 0 && { filters: Object.freeze(left) }),
  }
}

/** Tells the other Ingresses of a host that their paths are regular expressions. */
function reportPatterns(
  { ingress, host }: HostClaims,
  claims: readonly HostClaims[],
  diagnostics: DiagnosticList,
): void {
  for (const other of claims) {
    if (other.hasPatterns || other.ingress === ingress) continue
    const resource = printResource(other.ingress)
    diagnostics.add(
      'PORTICO_ROUTE_HOST_PATTERNS',
      `the paths of ${resource} on ${host} are regular expressions, whatever their type`,
      {
        position: other.ingress.origin.locate(['spec', 'rules', other.rule]),
        resource,
        help: `${printResource(ingress)} says so of all paths of the host: give it a host of its own where that is not meant`,
        notes: [{ message: 'it is here', position: ingress.origin.locate(['metadata', 'name']) }],
      },
    )
  }
}

/** The routes with those of the answers under conditions beside them, in order of rank; answers of the host are given first. */
function answerRoutes(settled: readonly Route[], host: string, claims: readonly HostClaims[]): readonly Route[] {
  const ofHost = claims.find(({ hostAnswers }) => hostAnswers.length > 0)?.hostAnswers ?? NO_ANSWERS
  const owners = new Map(claims.flatMap(({ owner, answers }) => (answers.length > 0 ? [[owner, answers]] : [])))
  if (ofHost.length === 0 && owners.size === 0) return settled
  const find = ({ owner }: Route): readonly ConditionalAnswer[] =>
    [...ofHost, ...(owners.get(owner) ?? [])].filter(({ hosts }) => hosts?.includes(host) !== false)
  const routes = addPaths(settled, find).flatMap((route) => {
    const answers = find(route).filter(({ path }) => path === undefined)
    return answers.length === 0 || isClosed(route) ? [route] : addAnswers(route, answers)
  })
  return routes.sort(compareRank)
}

/** The first route of each Ingress to each upstream without endpoints. */
function findStarving(routes: readonly Route[], owners: readonly RouteOwner[]): readonly Starving[] {
  const empty = owners.filter((one) => one.empty.size > 0)
  if (empty.length === 0) return []
  const targets = new Map(empty.flatMap((one) => [...one.empty]))
  const ingressOf = findIngressAmong(owners)
  const found: Starving[] = []
  const known = new Map<TranslatedUpstream, Set<ResourceRef>>()
  for (const route of routes) {
    for (const { weight, action } of listShares(route.action)) {
      const target = weight === 0 ? undefined : targets.get(action)
      if (target === undefined) continue
      const owners = known.get(target) ?? new Set()
      if (owners.has(route.owner)) continue
      known.set(target, owners.add(route.owner))
      found.push({ target, ingress: ingressOf(route.owner), route })
    }
  }
  return found
}

/** Exact hosts, then wildcards, then `''`; each group by name. */
function compareHosts(a: string, b: string): number {
  const group = (host: string): number => (host === '' ? 2 : host.startsWith('*.') ? 1 : 0)
  return group(a) - group(b) || compareText(a, b)
}
