/** What the backends of an Ingress come to on its routes: where requests go, and what is said of the routes there. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import type { Ingress, IngressBackend } from '../../kubernetes/resource.ts'
import { createRef } from '../../model/resource-ref.ts'
import type { PolicyShare, RouteAction } from '../../model/route.ts'
import type { PolicyOverrides } from '../../settings/service.ts'
import type { Attached, IngressPolicies } from '../route-policy/attachment.ts'
import type { DefaultFilters } from '../route-policy/default-options.ts'
import { findOptionName } from '../route-policy/option.ts'
import { readOverrides } from '../service/policy.ts'
import {
  type BackendProblem,
  closeResolution,
  createReference,
  isClosed,
  type Reference,
  type Resolution,
  reportShare,
} from './backend.ts'
import {
  findClash,
  joinShares,
  mergeLayers,
  reportOverridden,
  reportUneven,
  type SplitFilter,
} from './filter-layers.ts'
import { findBrokenGuard, isGuarding, type OwnFilters, readOwn } from './filters.ts'
import type { ForeignAnnotation } from './foreign-table.ts'
import { findGravest, type LostCondition, type RouteTerms, readMatch } from './match.ts'
import type { FilterMention, FilterMentions } from './mention.ts'
import { ROUTE_OPTIONS } from './route-option.ts'
import { divideBackend, findSplit, type WeightedBackend } from './split.ts'
import { readSplitCookie } from './split-cookie.ts'

/** What a backend comes to on a route. */
export type RouteBackend = Readonly<{
  action: RouteAction
  problem: BackendProblem | undefined
  /** What is said of filters, the most specific first. */
  layers: readonly FilterMentions[]
  /** Why a guard closes the route; undefined: none does. */
  broken: string | undefined
  terms: RouteTerms
  /** The settings of the route; undefined: it has none. */
  policy: PolicyOverrides | undefined
  /** The RoutePolicies that say more than filters; undefined: there are none. */
  policies: readonly PolicyShare[] | undefined
}>

type Target = Pick<RouteBackend, 'action' | 'problem' | 'layers'>

/** What the Ingress and its policies say of the routes of the same sections. */
type Said = Pick<RouteBackend, 'layers' | 'broken' | 'terms' | 'policy' | 'policies'> &
  Readonly<{
    split: FilterMention | undefined
    targets: Map<Resolution, RouteBackend>
  }>

export class RouteBackends {
  readonly #ingress: Ingress
  readonly #guard: ForeignAnnotation | undefined
  readonly #policies: IngressPolicies
  readonly #defaults: DefaultFilters
  readonly #diagnostics: DiagnosticList
  readonly #own: OwnFilters
  readonly #broken: string | undefined
  readonly #resolved: ReadonlyMap<string, Resolution>
  /** By the sections of the route. */
  readonly #said = new Map<string, Said>()
  readonly #reported = new Map<FilterMention, Set<BackendProblem>>()
  readonly #overridden = new Set<FilterMention>()

  /** `resolutions` are in the order of `references`; `guard` closes all routes. Problems of filters and shares go to `diagnostics`. */
  constructor(
    ingress: Ingress,
    references: readonly Reference[],
    resolutions: readonly Resolution[],
    guard: ForeignAnnotation | undefined,
    policies: IngressPolicies,
    defaults: DefaultFilters,
    diagnostics: DiagnosticList,
  ) {
    this.#ingress = ingress
    this.#guard = guard
    this.#policies = policies
    this.#defaults = defaults
    this.#diagnostics = diagnostics
    this.#own = readOwn(ingress)
    const broken = findBrokenGuard(ingress)
    this.#broken = broken && `the annotation ${broken} cannot be used`
    this.#resolved = new Map(
      references.map(({ key }, index) => {
        const open = resolutions[index] as Resolution
        return [key, guard === undefined ? open : closeResolution(open, guard)]
      }),
    )
  }

  /** What each reference comes to, closed by the guard. */
  get resolutions(): readonly Resolution[] {
    return [...this.#resolved.values()]
  }

  /** What a backend comes to on the route of a path of the host; `path` undefined: on the route of the default backend. */
  find(backend: IngressBackend, host: string, path: string | undefined): RouteBackend {
    const said = this.#findSaid(host, path)
    const resolution = this.#resolve(backend)
    let found = said.targets.get(resolution)
    if (found === undefined) {
      const { layers, broken, terms, policy, policies } = said
      const { action, problem, layers: ofTarget } = this.#findTarget(backend, resolution, said)
      const all = [...layers, ...ofTarget]
      reportOverridden(all, this.#ingress, this.#overridden, this.#diagnostics)
      found = { action, problem, layers: [...all, this.#defaults.mentions], broken, terms, policy, policies }
      said.targets.set(resolution, found)
    }
    return found
  }

  #findSaid(host: string, path: string | undefined): Said {
    const { whole, sections } = this.#policies
    const near = sections.filter((one) => one.host === host && (one.path === undefined || one.path === path))
    const key = near.map((one) => sections.indexOf(one)).join()
    const found = this.#said.get(key) ?? this.#combine(near, whole)
    this.#said.set(key, found)
    return found
  }

  /** The policies in `near` are of sections, and more specific than the Ingress itself. */
  #combine(near: readonly Attached[], whole: Attached): Said {
    const policies = [...near, whole]
    const layers = [...near.map(({ mentions }) => mentions), this.#own.mentions, whole.mentions]
    const said = mergeLayers(layers)
    const lost = findGravest([...near.map((one) => one.lost), describeLost(this.#own), whole.lost])
    const isGuarded = isGuarding(this.#own) || policies.some(({ guards }) => guards)
    return {
      layers,
      broken: this.#broken ?? [...policies, this.#defaults].find((one) => one.broken !== undefined)?.broken,
      terms: readMatch(said, lost, isGuarded),
      policy: readOverrides(said),
      policies: listPolicies(said),
      split: findSplit(said),
      targets: new Map(),
    }
  }

  #findTarget(backend: IngressBackend, resolution: Resolution, { split, layers }: Said): Target {
    const shares = this.#guard === undefined ? divideBackend(split, backend) : undefined
    if (split === undefined || shares === undefined) {
      const { action, problem, layers: ofService } = resolution
      return { action, problem, layers: ofService }
    }
    return this.#divide(shares, split, mergeLayers(layers))
  }

  #resolve(backend: IngressBackend): Resolution {
    return this.#resolved.get(createReference(this.#ingress.meta.namespace, backend).key) as Resolution
  }

  /** `decided` is what more specific objects say. */
  #divide(shares: readonly WeightedBackend[], split: FilterMention, decided: FilterMentions): Target {
    const reported = this.#reported.get(split) ?? new Set()
    this.#reported.set(split, reported)
    for (const share of shares) {
      const { problem } = this.#resolve(share.backend)
      if (problem && !reported.has(problem)) reportShare(problem, share.weight, split, this.#diagnostics)
      if (problem) reported.add(problem)
    }
    const asked = shares.filter(({ weight }) => weight > 0).map((share) => this.#resolve(share.backend))
    const forwarding = asked.filter(({ action }) => action.type === 'forward')
    const { mentions, uneven } = joinShares(forwarding.map(({ layers }) => mergeLayers(layers)))
    const counted = uneven.filter(({ name }) => !decided.has(name))
    reportUneven(counted, split, this.#diagnostics)
    return {
      action: this.#split(shares, split, readSplitCookie(decided), findClash(counted)),
      problem: undefined,
      layers: [mentions],
    }
  }

  /**
   * The action of a route whose requests are divided. A guard of one of its Services that cannot be used closes the route, as it does
   * where there is no other Service, and so does `clash`; where all weights are 0 nobody answers.
   */
  #split(
    shares: readonly WeightedBackend[],
    { label }: FilterMention,
    cookie: string | undefined,
    clash: SplitFilter | undefined,
  ): RouteAction {
    const all = shares.map(({ backend, weight }) => Object.freeze({ weight, action: this.#resolve(backend).action }))
    const backend = all.map(({ weight, action }) => `${action.backend}=${weight}`).join(', ')
    const closed = all.find(isClosed)?.action
    if (closed !== undefined) return Object.freeze({ ...closed, backend })
    if (clash !== undefined) {
      const reason = `its Services have different ${clash.name}`
      return Object.freeze({ type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID', reason, backend })
    }
    if (all.some(({ weight }) => weight > 0)) {
      const action = { type: 'split', shares: Object.freeze(all), backend } as const
      if (cookie === undefined) return Object.freeze(action)
      return Object.freeze({ ...action, cookie, backend: `${backend} (kept by the cookie ${cookie})` })
    }
    const reason = `all weights of ${label} are 0`
    return Object.freeze({ type: 'unavailable', code: 'PORTICO_UP_NO_SERVICE', reason, backend })
  }
}

function describeLost({ lost }: OwnFilters): LostCondition | undefined {
  const name = lost.clients ?? lost.condition
  if (name === undefined) return undefined
  return { reason: `the annotation ${name} cannot be used`, isClients: lost.clients !== undefined }
}

/** Undefined where no policy says more than filters. */
function listPolicies(said: FilterMentions): readonly PolicyShare[] | undefined {
  if (said.size === 0) return undefined
  const found = new Map<FilterMention['owner'], string[]>()
  for (const [name, { owner }] of said) {
    if (owner.kind !== 'RoutePolicy' || !ROUTE_OPTIONS.has(name)) continue
    found.set(owner, [...(found.get(owner) ?? []), findOptionName(name)])
  }
  if (found.size === 0) return undefined
  const shares = [...found].map(([owner, options]) =>
    Object.freeze({ policy: createRef(owner), options: Object.freeze(options.sort()) }),
  )
  return Object.freeze(shares)
}
