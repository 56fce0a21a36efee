/** What the backends of an Ingress come to on its routes: where requests go, and what is said of the filters there. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import type { Ingress, IngressBackend } from '../../kubernetes/resource.ts'
import type { RouteAction } from '../../model/route.ts'
import type { Attached, IngressPolicies } from '../route-policy/attachment.ts'
import type { DefaultFilters } from '../route-policy/default-options.ts'
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
import { type FilterMention, type FilterMentions, findBrokenGuard, readMentions } from './filters.ts'
import type { ForeignAnnotation } from './foreign-table.ts'
import { divideBackend, SPLIT_ANNOTATION, type WeightedBackend } from './split.ts'
import { readSplitCookie } from './split-cookie.ts'

/** What a backend comes to on a route. */
export type RouteBackend = Readonly<{
  action: RouteAction
  problem: BackendProblem | undefined
  /** What is said of filters, the most specific first. */
  layers: readonly FilterMentions[]
  /** Why a guard closes the route; undefined: none does. */
  broken: string | undefined
  /** A policy of the route guards. */
  guards: boolean
}>

type Target = Pick<RouteBackend, 'action' | 'problem' | 'layers'>

export class RouteBackends {
  readonly #ingress: Ingress
  readonly #guard: ForeignAnnotation | undefined
  readonly #policies: IngressPolicies
  readonly #defaults: DefaultFilters
  readonly #diagnostics: DiagnosticList
  readonly #own: FilterMentions
  readonly #broken: string | undefined
  readonly #resolved: ReadonlyMap<string, Resolution>
  readonly #targets = new Map<Resolution, Target>()
  /** By the sections of the route. */
  readonly #found = new Map<Target, Map<string, RouteBackend>>()
  readonly #reported = new Set<BackendProblem>()
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
    this.#own = readMentions(ingress)
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
    const target = this.#findTarget(backend)
    const { whole, sections } = this.#policies
    const near = sections.filter((one) => one.host === host && (one.path === undefined || one.path === path))
    const key = near.map((one) => sections.indexOf(one)).join()
    let known = this.#found.get(target)
    if (known === undefined) {
      known = new Map()
      this.#found.set(target, known)
    }
    let found = known.get(key)
    if (found === undefined) {
      found = this.#combine(target, [...near, whole], near.length)
      known.set(key, found)
    }
    return found
  }

  /** The first `near` policies are of sections, and more specific than the Ingress itself. */
  #combine({ action, problem, layers }: Target, policies: readonly Attached[], near: number): RouteBackend {
    const said = policies.map(({ mentions }) => mentions)
    const all = [...said.slice(0, near), this.#own, ...said.slice(near), ...layers]
    reportOverridden(all, this.#ingress, this.#overridden, this.#diagnostics)
    const broken = this.#broken ?? [...policies, this.#defaults].find((one) => one.broken !== undefined)?.broken
    const guards = policies.some((one) => one.guards)
    return { action, problem, layers: [...all, this.#defaults.mentions], broken, guards }
  }

  #findTarget(backend: IngressBackend): Target {
    const resolution = this.#resolve(backend)
    let target = this.#targets.get(resolution)
    if (target === undefined) {
      const shares = this.#guard === undefined ? divideBackend(this.#ingress, backend) : undefined
      target = shares === undefined ? resolution : this.#divide(shares)
      this.#targets.set(resolution, target)
    }
    return target
  }

  #resolve(backend: IngressBackend): Resolution {
    return this.#resolved.get(createReference(this.#ingress.meta.namespace, backend).key) as Resolution
  }

  #divide(shares: readonly WeightedBackend[]): Target {
    for (const share of shares) {
      const { problem } = this.#resolve(share.backend)
      if (problem && !this.#reported.has(problem)) reportShare(problem, share.weight, this.#ingress, this.#diagnostics)
      if (problem) this.#reported.add(problem)
    }
    const asked = shares.filter(({ weight }) => weight > 0).map((share) => this.#resolve(share.backend))
    const forwarding = asked.filter(({ action }) => action.type === 'forward')
    const { mentions, uneven } = joinShares(forwarding.map(({ layers }) => mergeLayers(layers)))
    const decided = mergeLayers([this.#own, this.#policies.whole.mentions])
    const counted = uneven.filter(({ name }) => !decided.has(name))
    reportUneven(counted, this.#ingress, SPLIT_ANNOTATION, this.#diagnostics)
    return { action: this.#split(shares, findClash(counted)), problem: undefined, layers: [mentions] }
  }

  /**
   * The action of a route whose requests are divided. A guard of one of its Services that cannot be used closes the route, as it does
   * where there is no other Service, and so does `clash`; where all weights are 0 nobody answers.
   */
  #split(shares: readonly WeightedBackend[], clash: SplitFilter | undefined): RouteAction {
    const all = shares.map(({ backend, weight }) => Object.freeze({ weight, action: this.#resolve(backend).action }))
    const backend = all.map(({ weight, action }) => `${action.backend}=${weight}`).join(', ')
    const closed = all.find(isClosed)?.action
    if (closed !== undefined) return Object.freeze({ ...closed, backend })
    if (clash !== undefined) {
      const reason = `its Services have different ${clash.name}`
      return Object.freeze({ type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID', reason, backend })
    }
    if (all.some(({ weight }) => weight > 0)) {
      const cookie = readSplitCookie(this.#ingress)
      const action = { type: 'split', shares: Object.freeze(all), backend } as const
      if (cookie === undefined) return Object.freeze(action)
      return Object.freeze({ ...action, cookie, backend: `${backend} (kept by the cookie ${cookie})` })
    }
    const reason = `all weights of ${SPLIT_ANNOTATION} are 0`
    return Object.freeze({ type: 'unavailable', code: 'PORTICO_UP_NO_SERVICE', reason, backend })
  }
}
