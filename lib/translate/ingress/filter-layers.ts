/**
 * The filters of a route, from all objects that have a say in it. Each object is a layer, the most specific first: the first layer
 * that speaks of a filter decides about it, and no other layer changes a part of it.
 */
import { isDeepStrictEqual } from 'node:util'
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { FILTERS } from '../../filters/registry.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import { type FilterMention, type FilterMentions, locateValue, NO_MENTIONS, pointTo } from './mention.ts'
import { ROUTE_OPTIONS } from './route-option.ts'

/** By the more specific layer, then by the other: routes with the same layers share a list of filters. */
const merged = new WeakMap<FilterMentions, WeakMap<FilterMentions, FilterMentions>>()
const listed = new WeakMap<FilterMentions, readonly FilterConfig[]>()

/** What all layers come to; the same object for the same layers. */
export function mergeLayers(layers: readonly FilterMentions[]): FilterMentions {
  return layers.reduce(merge, NO_MENTIONS)
}

function merge(first: FilterMentions, second: FilterMentions): FilterMentions {
  if (first.size === 0) return second
  if (second.size === 0) return first
  let known = merged.get(first)
  if (known === undefined) {
    known = new WeakMap()
    merged.set(first, known)
  }
  let result = known.get(second)
  if (result === undefined) {
    result = new Map([...second, ...first])
    known.set(second, result)
  }
  return result
}

/** In the order in which they act; undefined: none. */
export function listFilters(mentions: FilterMentions): readonly FilterConfig[] | undefined {
  let filters = listed.get(mentions)
  if (filters === undefined) {
    filters = Object.freeze(FILTERS.flatMap(({ name }) => mentions.get(name)?.config ?? []))
    listed.set(mentions, filters)
  }
  return filters.length === 0 ? undefined : filters
}

/** True if the filters are the same, whichever objects have them. */
export function isSameFilter(a: FilterConfig, b: FilterConfig): boolean {
  return a.name === b.name && isDeepStrictEqual(a.options, b.options)
}

/** Filters that only some of several Services have, or not all alike. */
export type SplitFilter = Readonly<{
  name: string
  isGuard: boolean
  /** One for each way in which a Service has the filter. */
  mentions: readonly FilterMention[]
}>

/**
 * The filters of a route whose requests are divided among Services. A filter acts on all requests or on none: a guard acts if one
 * Service has it, or several have it alike; any other filter acts only if all have it alike. `uneven` lists the filters that not all
 * Services have alike.
 */
export function joinShares(
  shares: readonly FilterMentions[],
): Readonly<{ mentions: FilterMentions; uneven: readonly SplitFilter[] }> {
  const [first] = shares
  if (first === undefined || shares.every((share) => share === first)) {
    return { mentions: first ?? NO_MENTIONS, uneven: [] }
  }
  const mentions = new Map<string, FilterMention>()
  const uneven: SplitFilter[] = []
  for (const { name, isGuard } of FILTERS) {
    const all = shares.flatMap((share) => share.get(name) ?? [])
    const kinds: FilterMention[] = []
    for (const one of all) {
      const isKnown = ({ config }: FilterMention) => config && one.config && isSameFilter(config, one.config)
      if (one.config !== undefined && !kinds.some(isKnown)) kinds.push(one)
    }
    const [kind] = kinds
    if (kind === undefined) continue
    const isEven = kinds.length === 1 && all.filter(({ config }) => config !== undefined).length === shares.length
    if (!isEven) uneven.push({ name, isGuard, mentions: kinds })
    if (isEven || (isGuard && kinds.length === 1)) mentions.set(name, kind)
  }
  return { mentions: mentions.size === 0 ? NO_MENTIONS : mentions, uneven }
}

/** The filter that closes a divided route: a guard that its Services do not have alike. */
export function findClash(uneven: readonly SplitFilter[]): SplitFilter | undefined {
  return uneven.find(({ isGuard, mentions }) => isGuard && mentions.length > 1)
}

/** Reports the filters that only some of the Services have, or not alike, at what divides the requests. */
export function reportUneven(
  uneven: readonly SplitFilter[],
  { owner, label, field }: FilterMention,
  diagnostics: DiagnosticList,
): void {
  for (const { name, isGuard, mentions } of uneven) {
    const isClash = isGuard && mentions.length > 1
    const whose = mentions.map(({ owner }) => printResource(owner)).join(' and ')
    const outcome = isClash
      ? 'until then the routes answer 503'
      : isGuard
        ? 'it acts on the requests to all of them'
        : 'until then it acts on none of these requests'
    diagnostics.add(
      'PORTICO_ROUTE_FILTER_UNEVEN',
      mentions.length > 1
        ? `${label}: ${whose} have different ${name}, and requests are divided among them`
        : `${label}: ${whose} has ${name}, and other Services of these requests do not`,
      {
        ...(isClash && { severity: 'error' as const }),
        ...(isGuard && !isClash && { severity: 'info' as const }),
        position: owner.origin.locate(field),
        resource: printResource(owner),
        help: `write it on the Ingress, or the same on each Service; ${outcome}`,
        notes: mentions.map((one) => pointTo(one, `${name} of ${printResource(one.owner)} is here`)),
      },
    )
  }
}

/** Reports filters that do not act on routes of the Ingress, since a more specific layer decides about them. */
export function reportOverridden(
  layers: readonly FilterMentions[],
  ingress: Ingress,
  reported: Set<FilterMention>,
  diagnostics: DiagnosticList,
): void {
  for (const [at, layer] of layers.entries()) {
    for (const [name, mention] of layer) {
      // A Service and an Ingress may well have different settings.
      const isSetting = ROUTE_OPTIONS.has(name) && mention.owner.kind === 'Service'
      const winner = layers
        .slice(0, at)
        .find((one) => one.has(name))
        ?.get(name)
      if (winner === undefined || mention.config === undefined || reported.has(mention)) continue
      if (isSetting && winner.owner.kind === 'Ingress') continue
      if (winner.config !== undefined && isSameFilter(winner.config, mention.config)) continue
      reported.add(mention)
      diagnostics.add(
        'PORTICO_ROUTE_FILTER_OVERRIDDEN',
        `${name} of ${printResource(mention.owner)} does not act on routes of ${printResource(ingress)}: ${printResource(winner.owner)} is more specific, and has its own`,
        {
          position: locateValue(winner),
          resource: printResource(winner.owner),
          help: 'the more specific one acts as a whole: write all of it there, or leave it out there',
          notes: [pointTo(mention, 'the other one is here')],
        },
      )
    }
  }
}
