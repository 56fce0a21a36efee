/** The filters of a route, made once for each snapshot that has them. HOT */
import { printName } from '../base/resource-name.ts'
import type { FilterConfig } from '../model/filter.ts'
import type { ResourceRef } from '../model/resource-ref.ts'
import type { FieldNames } from './field-lines.ts'
import { findFilter } from './registry.ts'
import type {
  AskedPage,
  BodyChange,
  ErrorPage,
  Filter,
  FilterDraft,
  FilterEnvironment,
  FilterHead,
  FilterRequest,
  Mirror,
  StreamMaker,
} from './spec.ts'
import { listSteps, type Step } from './steps.ts'

type With<Name extends keyof Filter> = Filter & Required<Pick<Filter, Name>>

/** In the order in which they act. */
export class FilterChain {
  readonly ofRequest: readonly Step[]
  /** False: the access log has no lines of the requests. */
  readonly isLogged: boolean
  readonly #ofDraft: readonly With<'upstreamRequest'>[]
  readonly #ofResponse: readonly With<'response'>[]
  readonly #ofErrors: readonly With<'errorPage'>[]
  readonly #ofMirrors: readonly With<'mirror'>[]
  readonly #ofRequestBody: readonly With<'requestBody'>[]
  readonly #ofResponseBody: readonly With<'responseBody'>[]
  readonly #requestNames: readonly FieldNames[]
  readonly #responseNames: readonly FieldNames[]

  /** `owners` are the objects of the filters, and `names` the filters' own, in their order. */
  constructor(filters: readonly Filter[], owners?: readonly (ResourceRef | undefined)[], names?: readonly string[]) {
    this.#requestNames = filters.flatMap(({ requestNames }) => requestNames ?? [])
    this.#responseNames = filters.flatMap(({ responseNames }) => responseNames ?? [])
    this.isLogged = !filters.some(({ isUnlogged }) => isUnlogged)
    this.ofRequest = listSteps(filters, owners, names)
    this.#ofDraft = filters.filter((filter): filter is With<'upstreamRequest'> => filter.upstreamRequest !== undefined)
    this.#ofResponse = filters.filter((filter): filter is With<'response'> => filter.response !== undefined)
    this.#ofErrors = filters.filter((filter): filter is With<'errorPage'> => filter.errorPage !== undefined)
    this.#ofMirrors = filters.filter((filter): filter is With<'mirror'> => filter.mirror !== undefined)
    this.#ofRequestBody = filters.filter((filter): filter is With<'requestBody'> => filter.requestBody !== undefined)
    this.#ofResponseBody = filters.filter((filter): filter is With<'responseBody'> => filter.responseBody !== undefined)
  }

  /** True if a filter may transform bodies of requests. */
  get transformsRequests(): boolean {
    return this.#ofRequestBody.length > 0
  }

  /** True if a filter may send copies of requests to mirrors. */
  get mirrorsRequests(): boolean {
    return this.#ofMirrors.length > 0
  }

  /** The client's trailers that no filter answers for, names and values in turn. */
  filterRequestTrailers(trailers: readonly string[]): readonly string[] {
    return dropNamed(trailers, this.#requestNames)
  }

  /** The same of an endpoint. */
  filterResponseTrailers(trailers: readonly string[]): readonly string[] {
    return dropNamed(trailers, this.#responseNames)
  }

  changeRequest(draft: FilterDraft, request: FilterRequest): void {
    for (const filter of this.#ofDraft) filter.upstreamRequest(draft, request)
  }

  /** In the opposite order: the filter that acts first on a request has the last word on its answer. */
  changeResponse(head: FilterHead, request: FilterRequest): void {
    for (let at = this.#ofResponse.length - 1; at >= 0; at--) this.#ofResponse[at]!.response(head, request)
  }

  /** The mirrors that get a copy of the request. */
  chooseMirrors(request: FilterRequest): readonly Mirror[] {
    const mirrors: Mirror[] = []
    for (const filter of this.#ofMirrors) {
      const mirror = filter.mirror(request)
      if (mirror !== undefined) mirrors.push(mirror)
    }
    return mirrors
  }

  /** The first page that a filter has for the error. */
  findErrorPage(status: number, isOwn: boolean, request: FilterRequest): ErrorPage | AskedPage | undefined {
    for (const filter of this.#ofErrors) {
      const page = filter.errorPage(status, isOwn, request)
      if (page !== undefined) return page
    }
    return undefined
  }

  /** Makers of the streams that the body passes, in that order; undefined: there are none. */
  transformRequest(draft: FilterDraft, request: FilterRequest): readonly StreamMaker[] | undefined {
    const makers: StreamMaker[] = []
    for (const filter of this.#ofRequestBody) {
      const change = filter.requestBody(draft, request)
      if (change !== undefined) makers.push(change.stream)
    }
    return makers.length === 0 ? undefined : makers
  }

  /** What becomes of the body of an answer, whose filters act in the opposite order; undefined: nothing. */
  transformResponse(head: FilterHead, request: FilterRequest): readonly BodyChange[] | undefined {
    const filters = this.#ofResponseBody
    if (filters.length === 0) return undefined
    const changes: BodyChange[] = []
    for (let at = filters.length - 1; at >= 0; at--) {
      const change = filters[at]!.responseBody(head, request)
      if (change !== undefined) changes.push(change)
    }
    return changes.length === 0 ? undefined : changes
  }
}

/** Names with underscores mean to some servers what those with hyphens do. */
function dropNamed(trailers: readonly string[], names: readonly FieldNames[]): readonly string[] {
  if (trailers.length === 0 || names.length === 0) return trailers
  const kept: string[] = []
  for (let at = 0; at + 1 < trailers.length; at += 2) {
    const name = trailers[at]!.toLowerCase().replaceAll('_', '-')
    if (!names.some((each) => each.has(name))) kept.push(trailers[at]!, trailers[at + 1]!)
  }
  return kept
}

export type ChainSurroundings = Omit<FilterEnvironment, 'shared'>

/** Makes chains, and keeps the state of filters over reloads: it lives as long as a chain has it, and the next chain finds it. */
export class FilterChains {
  readonly #surroundings: ChainSurroundings
  readonly #chains = new WeakMap<readonly FilterConfig[], FilterChain>()
  /** What the filters of a chain share. A filter itself may hold but a part of it. */
  readonly #held = new WeakMap<FilterChain, readonly object[]>()
  /** By owner and filter. */
  readonly #states = new Map<string, WeakRef<object>>()
  #sweepAt = 64

  constructor(surroundings: ChainSurroundings) {
    this.#surroundings = surroundings
  }

  /** `host` is the host whose filters they are; undefined: they are of routes, and say themselves whose they are. */
  find(configs: readonly FilterConfig[], host?: string): FilterChain {
    let chain = this.#chains.get(configs)
    if (chain === undefined) {
      const held: object[] = []
      const filters = configs.map((config) => this.#create(config, host, held))
      chain = new FilterChain(
        filters,
        configs.map(({ owner }) => owner),
        configs.map(({ name }) => name),
      )
      this.#chains.set(configs, chain)
      this.#held.set(chain, held)
    }
    return chain
  }

  #create({ name, options, owner }: FilterConfig, host: string | undefined, held: object[]): Filter {
    const whose = owner === undefined ? `host ${host}` : `${owner.kind} ${printName(owner)}`
    const shared = <T extends object>(make: () => T): T => {
      const state = this.#share(`${whose} ${name}`, make)
      held.push(state)
      return state
    }
    return findFilter(name).create(options, { ...this.#surroundings, shared })
  }

  #share<T extends object>(key: string, make: () => T): T {
    const known = this.#states.get(key)?.deref()
    if (known !== undefined) return known as T
    const made = make()
    if (this.#states.size >= this.#sweepAt) this.#sweep()
    this.#states.set(key, new WeakRef(made))
    return made
  }

  #sweep(): void {
    for (const [key, state] of this.#states) if (state.deref() === undefined) this.#states.delete(key)
    this.#sweepAt = 64 + 2 * this.#states.size
  }
}
