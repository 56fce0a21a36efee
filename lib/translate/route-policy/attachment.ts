/** Which RoutePolicies act on an Ingress, on sections of it, or on a Service; and what is wrong with targets. */
import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, DiagnosticList } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import { FILTERS } from '../../filters/registry.ts'
import {
  type Ingress,
  type PolicyTarget,
  printResource,
  type RoutePolicy,
  type Service,
} from '../../kubernetes/resource.ts'
import { parseSection } from '../../kubernetes/route-policy.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { PolicyOverrides } from '../../settings/service.ts'
import { CLOSED_ROUTES, checkAnnotations } from '../annotation.ts'
import type { ContentFinder } from '../ingress/content.ts'
import { isSameFilter, mergeLayers } from '../ingress/filter-layers.ts'
import {
  checkFilters,
  findBrokenGuard,
  isGuarding,
  type OwnFilters,
  readMentions,
  readOwn,
  resolveFilters,
} from '../ingress/filters.ts'
import { checkHostOptions } from '../ingress/host-option.ts'
import { checkMatch, findGravest, type LostCondition } from '../ingress/match.ts'
import { ADDRESSES, isCondition } from '../ingress/match-annotation.ts'
import { type FilterMention, type FilterMentions, locateValue, NO_MENTIONS, pointTo } from '../ingress/mention.ts'
import { findCondition, findMatchMention } from '../ingress/route-option.ts'
import { checkSplit } from '../ingress/split.ts'
import { checkSplitCookie } from '../ingress/split-cookie.ts'
import { keepList, Memo, Sieve } from '../reuse.ts'
import { checkPolicy, readOverrides } from '../service/policy.ts'
import { NameIndex, Suggestions } from '../suggestion.ts'
import { checkTargets, pickFor } from './target-option.ts'
import { checkOptions } from './unknown-option.ts'

/** A policy that targets an object or a section of it. */
type Attachment = Readonly<{
  policy: RoutePolicy
  target: PolicyTarget
  own: OwnFilters
  /** Those of `own` that mean something on the target. */
  mentions: FilterMentions
  isRefused: boolean
}>

/** What all policies of equal rank come to. */
export type Attached = Readonly<{
  mentions: FilterMentions
  /** Why the routes are closed; undefined: they are not. */
  broken: string | undefined
  /** A policy guards, whether it can be used or not. */
  guards: boolean
  /** A condition that is not read; undefined: there is none. */
  lost: LostCondition | undefined
}>

/** A section of an Ingress. */
type Section = Attached & Readonly<{ host: string; path: string | undefined; attachments: readonly Attachment[] }>

/** The policies that target one object. */
export type TargetPolicies = Attached &
  Readonly<{
    sections: readonly Section[]
    /** Policies of equal rank that speak of the same filter. */
    conflicts: readonly Diagnostic[]
  }>

const NOTHING: Attached = Object.freeze({ mentions: NO_MENTIONS, broken: undefined, guards: false, lost: undefined })
export const NO_POLICIES: TargetPolicies = Object.freeze({ ...NOTHING, sections: [], conflicts: [] })

/** Finds policies by their targets; what did not change stays the same object. */
export class PolicyAttachments {
  readonly #reading = new Sieve<RoutePolicy>((policy) => resolveFilters(policy, this.#contents).contents.length > 0)
  readonly #all = new Memo<'all', ReadonlyMap<string, TargetPolicies>>()
  readonly #targets = new Memo<string, TargetPolicies>()
  readonly #overrides = new Memo<string, PolicyOverrides | undefined>(isDeepStrictEqual)
  readonly #notes = new Memo<RoutePolicy, readonly Diagnostic[]>()
  readonly #missing = new Memo<'missing', readonly Diagnostic[]>()
  #resources!: ResourceSet
  #contents!: ContentFinder
  #byTarget: ReadonlyMap<string, TargetPolicies> = new Map()
  #inputs: readonly unknown[] = []

  /** Begins a translation. */
  begin(resources: ResourceSet, contents: ContentFinder): void {
    this.#resources = resources
    this.#contents = contents
    const policies = resources.all('RoutePolicy')
    const refused = resources.allRefused('RoutePolicy')
    const read = this.#reading
      .filter(policies)
      .flatMap((policy) => resolveFilters(policy, contents).contents.map((one) => contents.findInput(one)))
    this.#inputs = [policies, refused, ...read]
    this.#byTarget = this.#all.get('all', this.#inputs, () => this.#attach(policies, refused))
  }

  /** All that attachments depend on. */
  get inputs(): readonly unknown[] {
    return this.#inputs
  }

  of(target: Ingress | Service): TargetPolicies {
    if (this.#byTarget.size === 0) return NO_POLICIES
    return this.#byTarget.get(printResource(target)) ?? NO_POLICIES
  }

  /** The settings that policies have for the upstreams of a Service: the same object for as long as they are the same. */
  overridesOf(service: Service): PolicyOverrides | undefined {
    const { mentions } = this.of(service)
    if (mentions.size === 0) return undefined
    return this.#overrides.get(printResource(service), [mentions], () => readOverrides(mentions))
  }

  /** Reports what is wrong with policies, and targets that do not exist. */
  check(diagnostics: DiagnosticList): void {
    const policies = this.#resources.all('RoutePolicy')
    const refused = this.#resources.allRefused('RoutePolicy')
    if (policies.length + refused.length === 0) return
    for (const policy of [...policies, ...refused]) diagnostics.addAll(this.#note(policy))
    this.#notes.sweep()
    for (const policy of refused) {
      if (policy.targets.some((target) => this.#exists(policy, target))) reportRefused(policy, diagnostics)
    }
    for (const { conflicts } of this.#byTarget.values()) diagnostics.addAll(conflicts)
    const kinds = ['Ingress', 'Service'] as const
    const inputs = kinds.flatMap((kind) => [this.#resources.all(kind), this.#resources.allRefused(kind)])
    diagnostics.addAll(
      this.#missing.get('missing', [...this.#inputs, ...inputs], () => {
        const found = new DiagnosticList()
        const missing = [...policies, ...refused].flatMap((policy) =>
          policy.targets
            .filter((target) => !target.isGuess && !this.#exists(policy, target))
            .map((target) => [policy, target] as const),
        )
        if (missing.length === 0) return found.items
        const suggestions = new Suggestions()
        const names = {
          Ingress: new NameIndex(this.#resources.all('Ingress')),
          Service: new NameIndex(this.#resources.all('Service')),
        }
        for (const [policy, target] of missing) reportMissing(policy, target, names[target.kind], suggestions, found)
        return found.items
      }),
    )
  }

  #attach(policies: readonly RoutePolicy[], refused: readonly RoutePolicy[]): ReadonlyMap<string, TargetPolicies> {
    const found = new Map<string, Attachment[]>()
    const add = (policy: RoutePolicy, isRefused: boolean): void => {
      const own = resolveFilters(policy, this.#contents)
      // Without a guard and conditions, a policy that is refused is left out alone.
      if (isRefused && !isGuarding(own) && !isConditional(own)) return
      for (const target of policy.targets) {
        const key = printResource({ kind: target.kind, meta: { namespace: policy.meta.namespace, name: target.name } })
        const known = found.get(key) ?? []
        known.push({ policy, target, own, mentions: pickFor(own.mentions, target.kind), isRefused })
        found.set(key, known)
      }
    }
    for (const policy of policies) add(policy, false)
    for (const policy of refused) add(policy, true)
    const attached = new Map(
      [...found].map(([key, attachments]) => {
        const inputs = attachments.flatMap(({ target, own, isRefused }) => [target, own, isRefused])
        return [key, this.#targets.get(key, inputs, () => joinAttachments(attachments))] as const
      }),
    )
    this.#targets.sweep()
    this.#overrides.sweep()
    return attached
  }

  #note(policy: RoutePolicy): readonly Diagnostic[] {
    return this.#notes.get(policy, [resolveFilters(policy, this.#contents)], () => {
      const own = new DiagnosticList()
      checkAnnotations(policy, own)
      checkOptions(policy, own)
      checkFilters(policy, own)
      checkMatch(policy, false, own)
      checkHostOptions(readMentions(policy), own)
      checkSplit(readMentions(policy), own)
      checkSplitCookie(readMentions(policy), own)
      checkPolicy(policy, own)
      checkTargets(policy, own)
      return keepList(own.items)
    })
  }

  #exists({ meta }: RoutePolicy, { kind, name }: PolicyTarget): boolean {
    const { namespace } = meta
    return (
      (this.#resources.get(kind, namespace, name) ?? this.#resources.getRefused(kind, namespace, name)) !== undefined
    )
  }
}

/** Reports what a refused policy closes, if it closes anything. What is wrong with it has been reported. */
function reportRefused(policy: RoutePolicy, diagnostics: DiagnosticList): void {
  const own = readOwn(policy)
  const guards = isGuarding(own)
  if (!guards && !isConditional(own)) return
  const rest = guards ? '' : ' where no other route takes a request'
  const message = `${printResource(policy)} is refused, and it ${guards ? 'guards' : 'has conditions'}`
  diagnostics.add('PORTICO_ROUTE_POLICY_REFUSED', message, {
    position: policy.origin.locate(['metadata', 'name']),
    resource: printResource(policy),
    help: `mend its errors; until then ${CLOSED_ROUTES.RoutePolicy} answer 503${rest}`,
  })
}

function reportMissing(
  policy: RoutePolicy,
  { kind, name, index }: PolicyTarget,
  names: NameIndex,
  suggestions: Suggestions,
  diagnostics: DiagnosticList,
): void {
  const { namespace } = policy.meta
  const nearest = suggestions.find(name, names.in(namespace))
  const elsewhere = names.namespaceOf(name)
  diagnostics.add('PORTICO_REF_TARGET_NOT_FOUND', `${kind} "${name}" not found in namespace "${namespace}"`, {
    position: policy.origin.locate(['spec', 'targetRefs', index, 'name']),
    resource: printResource(policy),
    help: nearest
      ? `did you mean "${nearest}"? Until it exists the policy does nothing there`
      : elsewhere !== undefined
        ? `it is in namespace "${elsewhere}", but a policy targets objects of its own namespace only`
        : 'until it exists the policy does nothing there',
  })
}

function joinAttachments(attachments: readonly Attachment[]): TargetPolicies {
  const conflicts = new DiagnosticList()
  const whole = attachments.filter(({ target }) => target.section === undefined)
  const names = new Set(attachments.flatMap(({ target }) => target.section ?? []))
  const sections = [...names].map((name) => {
    const own = attachments.filter(({ target }) => target.section === name)
    return Object.freeze({ ...join(own, conflicts), ...parseSection(name), attachments: own })
  })
  return Object.freeze({
    ...join(whole, conflicts),
    sections: Object.freeze(sections),
    conflicts: keepList(conflicts.items),
  })
}

/** Policies of equal rank, the one that wins first: the older, or with equal age the first by name. */
function join(attachments: readonly Attachment[], conflicts: DiagnosticList): Attached {
  if (attachments.length === 0) return NOTHING
  const usable = attachments.filter(({ isRefused }) => !isRefused)
  for (const [at, loser] of usable.entries()) reportConflicts(usable.slice(0, at), loser, conflicts)
  const broken = attachments.map(describeBroken).find((reason) => reason !== undefined)
  return {
    mentions: mergeLayers(usable.map(({ mentions }) => mentions)),
    broken,
    guards: attachments.some(({ own }) => isGuarding(own)),
    lost: findGravest(attachments.map(findLost)),
  }
}

/** Routes to a Service have no conditions, so that one closes them. */
function describeBroken({ policy, target, own, isRefused }: Attachment): string | undefined {
  const name = printResource(policy)
  if (isRefused && isGuarding(own)) return `${name} is refused, and it guards`
  const broken = findBrokenGuard(policy)
  if (broken !== undefined) return `${broken} of ${name} cannot be used`
  if (target.kind === 'Ingress' || !isConditional(own)) return undefined
  const condition = findCondition(own.mentions)?.label ?? own.lost.clients ?? own.lost.condition
  return condition && `${condition} of ${name} means nothing for a Service`
}

/** True if the policy says which requests routes take, whether that is read or not. */
function isConditional({ mentions, lost }: OwnFilters): boolean {
  return lost.clients !== undefined || lost.condition !== undefined || findMatchMention(mentions) !== undefined
}

function findLost({ policy, own, isRefused }: Attachment): LostCondition | undefined {
  const { mentions, lost } = own
  const name = printResource(policy)
  const isClients = lost.clients !== undefined || (isRefused && mentions.has(ADDRESSES))
  if (isRefused)
    return isConditional(own) ? { reason: `${name} is refused, and it has conditions`, isClients } : undefined
  const label = lost.clients ?? lost.condition
  return label === undefined ? undefined : { reason: `${label} of ${name} cannot be used`, isClients }
}

function reportConflicts(before: readonly Attachment[], loser: Attachment, diagnostics: DiagnosticList): void {
  const { policy, target } = loser
  for (const [name, mention] of loser.mentions) {
    const winner = before.find(({ mentions }) => mentions.has(name))
    const wins = winner?.mentions.get(name)
    if (winner === undefined || wins === undefined) continue
    if (wins.config && mention.config && isSameFilter(wins.config, mention.config)) continue
    const isAge = winner.policy.meta.createdAt !== policy.meta.createdAt
    const section = target.section === undefined ? '' : `, section ${target.section}`
    diagnostics.add(
      'PORTICO_ROUTE_POLICY_CONFLICT',
      `${name} of ${printResource(policy)} does not act on ${target.kind} ${target.name}${section}: ${printResource(winner.policy)} has another`,
      {
        ...(restricts(mention) && { severity: 'error' as const }),
        position: locateValue(mention),
        resource: printResource(policy),
        help: `${isAge ? 'the older policy wins' : 'with equal age the first by name wins'}: leave it out of one of them`,
        notes: [pointTo(wins, 'this one wins')],
      },
    )
  }
}

/** What an Ingress and its policies say of one route option. */
export function listMentions(ingress: Ingress, policies: TargetPolicies, name: string): readonly FilterMention[] {
  const own = readMentions(ingress)
  if (own.size === 0 && policies === NO_POLICIES) return []
  const said = [own, policies.mentions, ...policies.sections.map(({ mentions }) => mentions)]
  return said.flatMap((one) => one.get(name) ?? [])
}

/** True if routes would take more without it. */
function restricts({ config }: FilterMention): boolean {
  const name = config?.name ?? ''
  return isCondition(name) || FILTERS.some((spec) => spec.isGuard && spec.name === name)
}

/** What policies come to on the routes of an Ingress. */
export type IngressPolicies = Readonly<{
  /** Of the policies of all of the Ingress, and of those whose section is not there. */
  whole: Attached
  /** The most specific first: paths, then hosts. */
  sections: readonly Section[]
}>

/**
 * Finds the sections among the rules of the Ingress, and reports those that are not there. A guard of such a section closes what the
 * section may mean: the routes of its host, or of the whole Ingress.
 */
export function findSections(ingress: Ingress, policies: TargetPolicies, diagnostics: DiagnosticList): IngressPolicies {
  let whole: Attached = policies
  const sections: Section[] = []
  for (const section of policies.sections) {
    const { host, path, attachments, guards, lost: ownLost, mentions } = section
    const rules = ingress.rules.filter((rule) => rule.host === host)
    const paths = rules.flatMap((rule) => rule.paths ?? []).map((each) => each.path)
    const isHostKnown = rules.length > 0
    if (isHostKnown && (path === undefined || paths.includes(path))) {
      sections.push(section)
      continue
    }
    const isConditional = ownLost !== undefined || findMatchMention(mentions) !== undefined
    for (const one of attachments) {
      const closed = guards ? 'all' : isConditional ? 'rest' : 'none'
      reportMissingSection(ingress, one, isHostKnown ? paths : undefined, closed, diagnostics)
    }
    if (!guards && !isConditional) continue
    const { policy, target } = attachments[0]!
    const reason = `${printResource(policy)} ${guards ? 'guards' : 'has conditions for'} the section ${target.section}, which is not there`
    const lost = isConditional
      ? { reason, isClients: ownLost?.isClients === true || mentions.has(ADDRESSES) }
      : undefined
    const broken = guards ? reason : undefined
    if (isHostKnown) sections.push({ ...section, mentions: NO_MENTIONS, path: undefined, broken, lost })
    else {
      const { broken: wholeBroken = broken } = whole
      whole = { ...whole, broken: wholeBroken, lost: findGravest([whole.lost, lost]), guards: whole.guards || guards }
    }
  }
  sections.sort((a, b) => Number(a.path === undefined) - Number(b.path === undefined))
  return { whole, sections }
}

/** `paths` are those of its host; undefined: the host is not there. `closes` says for which requests its routes are closed. */
function reportMissingSection(
  ingress: Ingress,
  { policy, target }: Attachment,
  paths: readonly string[] | undefined,
  closes: 'all' | 'rest' | 'none',
  diagnostics: DiagnosticList,
): void {
  const section = target.section ?? ''
  const { host, path = '' } = parseSection(section)
  const hosts = ingress.rules.map((rule) => (rule.host === '' ? '*' : rule.host))
  const nearest = paths === undefined ? findNearest(host, hosts) : findNearest(path, paths)
  const meant = nearest && (paths === undefined ? nearest + path : section.slice(0, section.indexOf('/')) + nearest)
  const known = [...new Set(paths ?? hosts)].slice(0, 5).join(', ') || 'none'
  const routes = paths === undefined ? 'all routes of the Ingress' : 'the routes of the host'
  const rest = closes === 'rest' ? ' where no other route takes a request' : ''
  const outcome = closes === 'none' ? 'the policy does nothing there' : `${routes} answer 503${rest}`
  diagnostics.add('PORTICO_REF_TARGET_NOT_FOUND', `${printResource(ingress)} has no section "${section}"`, {
    position: policy.origin.locate(['spec', 'targetRefs', target.index, 'sectionName']),
    resource: printResource(policy),
    help: meant
      ? `did you mean "${meant}"? Until then ${outcome}`
      : `its ${paths === undefined ? 'hosts' : 'paths'} are ${known}; until then ${outcome}`,
    notes: [{ message: 'the Ingress is here', position: ingress.origin.locate(['metadata', 'name']) }],
  })
}
