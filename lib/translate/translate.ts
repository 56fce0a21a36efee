/**
 * From Kubernetes objects to the model of what is served. Whatever cannot be served is reported and left out; the rest
 * stands. What did not change since the last translation is not made again (reuse.ts).
 */

import type { Clock } from '../base/clock.ts'
import { type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { printName } from '../base/resource-name.ts'
import { type Ingress, printResource, type Service } from '../kubernetes/resource.ts'
import type { ResourceSet } from '../kubernetes/store.ts'
import type { FilterConfig } from '../model/filter.ts'
import type { Model } from '../model/model.ts'
import { createRef } from '../model/resource-ref.ts'
import type { Settings } from '../settings/table.ts'
import { checkAnnotations } from './annotation.ts'
import { type Allocations, NO_ALLOCATIONS } from './exposure/allocation.ts'
import { ListenerSet } from './exposure/listener.ts'
import { checkListenerOptions, wantsProxyHeader, warnOfUntrustedProxies } from './exposure/listener-option.ts'
import { isExposed } from './exposure/node-port.ts'
import { BackendResolver, type Reference, type Resolution, reportEmpty } from './ingress/backend.ts'
import { ContentFinder, type SecretFinder } from './ingress/content.ts'
import { createDefaultIngress, findDefaultBackend } from './ingress/default-backend.ts'
import { checkFilters, checkOwnPorts, type OwnFilters, readMentions, resolveFilters } from './ingress/filters.ts'
import { checkForeignAnnotations, findCanary, findClosingGuards, reportCanary } from './ingress/foreign-annotation.ts'
import type { ForeignAnnotation } from './ingress/foreign-table.ts'
import {
  type Claimant,
  claimRoutes,
  HostMerger,
  type IngressClaims,
  listReferences,
  type Starving,
} from './ingress/host.ts'
import { checkHostOptions } from './ingress/host-option.ts'
import { ClassUsers, pickIngresses, selectIngresses } from './ingress/ingress-class.ts'
import { checkMatch, checkPathType } from './ingress/match.ts'
import { checkAliases, isCanary } from './ingress/nginx/alias.ts'
import { checkRefused, claimClosed } from './ingress/refused.ts'
import { reportAsked } from './ingress/silent-server.ts'
import { checkSplit, checkSplitBackends } from './ingress/split.ts'
import { checkSplitCookie, reportIdleCookie } from './ingress/split-cookie.ts'
import { isSameList, keepList, MappedList, Memo, Sieve } from './reuse.ts'
import {
  findSections,
  listMentions,
  NO_POLICIES,
  PolicyAttachments,
  type TargetPolicies,
} from './route-policy/attachment.ts'
import { type DefaultFilters, readDefaults } from './route-policy/default-options.ts'
import { checkSettingsEndpoints, DENIAL_HELP } from './service/endpoint-override.ts'
import { reportOverruled } from './service/ingress-option.ts'
import { checkPolicy, checkServiceSettings, pickNeeded, reportIdleSettings } from './service/policy.ts'
import { ServiceViews } from './service/service-view.ts'
import {
  isNotable,
  reportProtocol,
  type ServiceUpstreams,
  type TranslatedUpstream,
  UpstreamSet,
} from './service/upstream.ts'
import { listUrlKeys } from './service/url-upstream.ts'
import { pickSettings, type TranslationSettings } from './settings.ts'
import { CertificateBinder } from './tls/certificate-binding.ts'

export type TranslateOptions = {
  settings: Settings
  clock: Clock
  /** The addresses of this machine, canonical; the same set for as long as they are the same. */
  local?: ReadonlySet<string>
}

/** What an Ingress comes to. */
type TranslatedIngress = Readonly<{
  ingress: Ingress
  settings: TranslationSettings
  diagnostics: readonly Diagnostic[]
  /** Those that matter only where the Ingress is served. */
  served: readonly Diagnostic[]
  references: readonly Reference[]
  /** In the order of `references`. */
  resolutions: readonly Resolution[]
  filters: OwnFilters
  policies: TargetPolicies
  defaults: DefaultFilters
  claims: IngressClaims
  /** What makes it a canary, which is not served. */
  canary: ForeignAnnotation | undefined
  /** Of the upstreams it leads to, those of which something is to be said (upstream.ts). */
  notable: readonly TranslatedUpstream[]
  /** Of the Services it leads to, those of whose annotations something is to be said. */
  annotated: readonly Service[]
}>

/** What all Services come to. */
type TranslatedServices = Readonly<{ diagnostics: readonly Diagnostic[]; upstreams: readonly ServiceUpstreams[] }>

const NO_ADDRESSES: ReadonlySet<string> = new Set()

const NO_SECRETS: SecretFinder = {
  find: () => ({ message: 'there are no files and no variables here', help: 'write the name of a Secret' }),
}

/** Translates once; `allocations` are those that were made before. */
export function translate(
  resources: ResourceSet,
  options: TranslateOptions,
  diagnostics: DiagnosticList,
  allocations: Allocations = NO_ALLOCATIONS,
): Model {
  return new Translator(allocations).translate(resources, options, diagnostics)
}

/** Translates again and again: parts of the model that did not change are the same objects as the last time. */
export class Translator {
  readonly #ingresses = new MappedList<Ingress, TranslatedIngress>()
  readonly #refused = new MappedList<Ingress, Claimant | undefined>()
  readonly #defaultIngress = new Memo<'default', Ingress>()
  readonly #defaultBackend = new Memo<'default', Claimant>()
  readonly #noted = new Sieve<TranslatedIngress>(({ diagnostics }) => diagnostics.length > 0)
  readonly #concerned = new Sieve<TranslatedIngress>(
    ({ served, notable, annotated, claims: { asking } }) =>
      served.length + notable.length + annotated.length + asking.length > 0,
  )
  readonly #reading = new Sieve<TranslatedIngress>(({ filters }) => filters.contents.length > 0)
  readonly #canaries = new Sieve<TranslatedIngress>(({ canary }) => canary !== undefined)
  readonly #readingServices = new Sieve<Service>(
    (service) => resolveFilters(service, this.#contents).contents.length > 0,
  )
  /** A canary has no host of its own. */
  readonly #ownHosts = new Sieve<Ingress>((ingress) => !isCanary(ingress))
  readonly #withSecrets = new Sieve<ServiceUpstreams>(({ secrets }) => secrets.size > 0)
  readonly #behindProxies = new Sieve<Service>(wantsProxyHeader)
  readonly #local = new Sieve<Service>((service) => findLocalPolicy(service) !== undefined)
  readonly #services = new Memo<'services', TranslatedServices>()
  readonly #serviceNotes = new Memo<Service, readonly Diagnostic[]>()
  /** Stands for all that references may lead to: the same object for as long as that is the same. */
  readonly #ground = new Memo<'ground', object>()
  readonly #classUsers = new ClassUsers()
  readonly #upstreams = new UpstreamSet()
  readonly #resolver = new BackendResolver()
  readonly #contents: ContentFinder
  readonly #policies = new PolicyAttachments()
  readonly #merger = new HostMerger()
  readonly #binder = new CertificateBinder()
  readonly #views = new ServiceViews()
  readonly #listeners: ListenerSet
  #settings: TranslationSettings | undefined
  #defaults!: DefaultFilters
  #translated: readonly TranslatedIngress[] = []

  /** Ports and addresses that were allocated before stay with their Services. */
  constructor(allocations: Allocations = NO_ALLOCATIONS, secrets: SecretFinder = NO_SECRETS) {
    this.#listeners = new ListenerSet(allocations)
    this.#contents = new ContentFinder(secrets)
  }

  /** What is allocated as of the last translation; the same object for as long as that is the same. */
  get allocations(): Allocations {
    return this.#listeners.allocations
  }

  /** Translates all resources; equal resources, in whatever order of files, give an equal model. */
  translate(resources: ResourceSet, options: TranslateOptions, diagnostics: DiagnosticList): Model {
    const settings = pickSettings(options.settings, this.#settings)
    this.#settings = settings
    const services = resources.all('Service')
    this.#contents.begin(resources)
    this.#policies.begin(resources, this.#contents)
    this.#upstreams.begin(resources, settings, this.#policies, this.#contents)
    this.#defaults = readDefaults(settings.routes, this.#contents, diagnostics)
    this.#policies.check(diagnostics)
    this.#resolver.begin(resources, this.#upstreams, settings, this.#contents, this.#policies)
    const ofServices = this.#readingServices
      .filter(services)
      .flatMap((service) => this.#findInputs(resolveFilters(service, this.#contents)))
    const { diagnostics: notes, upstreams } = this.#translateServices(services, ofServices, options.settings.upstream)
    diagnostics.addAll(notes)
    for (const one of this.#withSecrets.filter(upstreams)) {
      const layers = [readMentions(one.service), this.#policies.of(one.service).mentions]
      one.reportSecrets(layers, this.#upstreams.optionsOf(one.service), options.clock.now(), diagnostics)
    }
    checkSettingsEndpoints(resources, settings, diagnostics)
    checkServiceSettings(resources, settings, diagnostics)
    warnOfUntrustedProxies(this.#behindProxies.filter(services), options.settings.trustedProxies, diagnostics)
    const { clock, local = NO_ADDRESSES } = options
    const divided = this.#listeners.divide(services, resources, settings)
    const plan = this.#listeners.plan(divided, { resources, settings, local, now: clock.now() })
    diagnostics.addAll(plan.diagnostics)
    warnOfLocalPolicy(this.#local.filter(divided.others), settings, diagnostics)

    const ofIngresses = this.#reading.filter(this.#translated).flatMap(({ filters }) => this.#findInputs(filters))
    const refusedServices = resources.allRefused('Service')
    const targetable = [
      services,
      refusedServices,
      ...this.#upstreams.sources,
      ...this.#policies.inputs,
      ...ofServices,
      ...ofIngresses,
      this.#defaults,
    ]
    let isNewGround = false
    const ground = this.#ground.get('ground', targetable, () => {
      isNewGround = true
      return {}
    })
    const all = resources.all('Ingress')
    const translated = this.#ingresses.map(all, [ground], (ingress, before) =>
      this.#translateIngress(ingress, settings, before),
    )
    this.#translated = translated
    for (const { diagnostics: own } of this.#noted.filter(translated)) diagnostics.addAll(own)
    const chosen = selectIngresses(resources, settings, this.#classUsers, diagnostics)
    const ingresses = dropCanaries(chosen, this.#canaries.filter(translated), diagnostics)
    const picked = ingresses === all ? undefined : new Set(ingresses)
    const served = picked ? translated.filter(({ ingress }) => picked.has(ingress)) : translated
    const targets = new Set<TranslatedUpstream>()
    const annotated = new Set<Service>()
    const asking = new Set<FilterConfig>()
    for (const { served: more, notable, annotated: services, claims } of this.#concerned.filter(served)) {
      diagnostics.addAll(more)
      for (const target of notable) targets.add(target)
      for (const service of services) annotated.add(service)
      for (const filter of claims.asking) asking.add(filter)
    }
    const fallback = this.#claimDefaultBackend(resources, settings, targets, diagnostics)
    for (const filter of fallback?.claims.asking ?? []) asking.add(filter)
    for (const service of annotated) checkForeignAnnotations(service, settings, diagnostics)
    for (const target of targets) reportProtocol(target, diagnostics)
    reportAsked(
      asking,
      ({ namespace, name }, key) => {
        const service = resources.get('Service', namespace, name)
        return service && this.#upstreams.of(service).listed.find(({ upstream }) => upstream.key === key)
      },
      diagnostics,
    )
    const closed = this.#closeRefused(resources, settings)
    const claimants = closed.length === 0 ? served : [...served, ...closed]
    const own = this.#listeners.listOwn(settings)
    const { table, routes, starving, passthroughs } = this.#merger.merge(
      claimants,
      fallback,
      own,
      settings,
      diagnostics,
    )
    reportStarving(starving, diagnostics)
    this.#binder.begin(resources, clock)
    const certificates = this.#binder.bind(
      this.#ownHosts.filter(ingresses),
      { passthroughs, rest: settings.defaultSslCertificate },
      diagnostics,
    )
    checkRefused(
      resources,
      {
        settings,
        resolver: this.#resolver,
        contents: this.#contents,
        policies: this.#policies,
        binder: this.#binder,
      },
      diagnostics,
    )
    const allUpstreams = this.#upstreams.all(upstreams, targets, listUrlKeys(asking))
    const listeners = this.#listeners.list(plan, this.#upstreams, settings)
    reportDenied(listeners, allUpstreams, resources, diagnostics)
    const model = Object.freeze({
      tables: Object.freeze([table]),
      upstreams: allUpstreams,
      services: this.#views.view(services, upstreams, targets, plan.exposures),
      listeners,
      certificates,
      counts: Object.freeze({
        resources: resources.size,
        ingresses: ingresses.length,
        routes: routes + (table.defaultRoute === undefined ? 0 : 1),
      }),
    })
    // On the ground from before only what is new was asked for.
    if (isNewGround) this.#resolver.sweep()
    this.#binder.end()
    return model
  }

  /** What the setting defaultBackendService claims; a notable upstream that it leads to is added to `targets`. */
  #claimDefaultBackend(
    resources: ResourceSet,
    settings: TranslationSettings,
    targets: Set<TranslatedUpstream>,
    diagnostics: DiagnosticList,
  ): Claimant | undefined {
    const service = findDefaultBackend(resources, settings, diagnostics)
    if (service === undefined) return undefined
    const ingress = this.#defaultIngress.get('default', [service], () => createDefaultIngress(service))
    const references = listReferences(ingress, [])
    const resolutions = references.map((reference) => this.#resolver.resolve(reference))
    for (const { target } of resolutions) if (target !== undefined && isNotable(target)) targets.add(target)
    const inputs = [ingress, this.#defaults, ...resolutions]
    const claimant = this.#defaultBackend.get('default', inputs, () => {
      const policies = { whole: NO_POLICIES, sections: [] }
      const owner = createRef(service)
      return { ingress, claims: claimRoutes(ingress, references, resolutions, [], policies, this.#defaults, owner) }
    })
    diagnostics.addAll(claimant.claims.diagnostics)
    return claimant
  }

  /** What is claimed by Ingresses that are refused and guard something. */
  #closeRefused(resources: ResourceSet, settings: TranslationSettings): readonly Claimant[] {
    const refused = resources.allRefused('Ingress')
    const inputs = [settings.unsupportedGuards, this.#defaults, ...this.#policies.inputs]
    const closed = this.#refused.map(refused, inputs, (ingress) =>
      claimClosed(ingress, settings, this.#policies.of(ingress), this.#defaults),
    )
    if (closed.every((one) => one === undefined)) return []
    const picked = new Set(pickIngresses(refused, resources, settings, new DiagnosticList()))
    return closed.filter((one, index) => one !== undefined && picked.has(refused[index] as Ingress)) as Claimant[]
  }

  /** What the contents depend on that filters refer to. */
  #findInputs({ contents }: OwnFilters): readonly unknown[] {
    return contents.map((one) => this.#contents.findInput(one))
  }

  /** `contents` is what their filters depend on. */
  #translateServices(
    services: readonly Service[],
    contents: readonly unknown[],
    defaults: Settings['upstream'],
  ): TranslatedServices {
    const needed = pickNeeded(defaults)
    const healthCheck = defaults.health.check
    const inputs = [
      services,
      healthCheck,
      ...Object.values(needed),
      ...this.#upstreams.sources,
      ...this.#policies.inputs,
      ...contents,
    ]
    return this.#services.get('services', inputs, () => {
      const diagnostics: Diagnostic[] = []
      const probed = new DiagnosticList()
      const idle = new DiagnosticList()
      const upstreams = services.map((service) => {
        diagnostics.push(...this.#noteService(service))
        const made = this.#upstreams.of(service)
        made.reportCommandProbe(healthCheck, probed)
        const layers = [readMentions(service), this.#policies.of(service).mentions]
        reportIdleSettings(service, layers, made.policy, needed, idle)
        reportOverruled(service, this.#upstreams.optionsOf(service), layers, idle)
        return made
      })
      diagnostics.push(...probed.items, ...idle.items)
      this.#serviceNotes.sweep()
      this.#upstreams.sweep()
      return { diagnostics, upstreams }
    })
  }

  /** `before` is what it came to on other ground. */
  #translateIngress(
    ingress: Ingress,
    settings: TranslationSettings,
    before: TranslatedIngress | undefined,
  ): TranslatedIngress {
    const filters = resolveFilters(ingress, this.#contents)
    const policies = this.#policies.of(ingress)
    const references =
      before?.policies === policies
        ? before.references
        : listReferences(ingress, listMentions(ingress, policies, 'split'))
    const resolutions = references.map((reference) => this.#resolver.resolve(reference))
    const defaults = this.#defaults
    const isResolved =
      before !== undefined &&
      before.defaults === defaults &&
      before.filters === filters &&
      before.policies === policies &&
      isSameList(before.resolutions, resolutions)
    if (isResolved && before.settings === settings) return before
    const own = new DiagnosticList()
    const served = new DiagnosticList()
    const found = findSections(ingress, policies, own)
    checkAnnotations(ingress, own)
    checkPolicy(ingress, own)
    checkFilters(ingress, own)
    checkMatch(ingress, found.whole.guards, own)
    checkSplit(filters.mentions, own)
    checkHostOptions(filters.mentions, own)
    checkSplitCookie(filters.mentions, own)
    const splits = listMentions(ingress, policies, 'split')
    for (const split of splits) checkSplitBackends(split, ingress, own)
    const cookies = splits.length > 0 ? [] : listMentions(ingress, policies, 'split-cookie')
    for (const cookie of cookies) reportIdleCookie(cookie, own)
    for (const type of listMentions(ingress, policies, 'path-type')) checkPathType(type, ingress, own)
    checkForeignAnnotations(ingress, settings, served)
    checkAliases(ingress, served)
    return {
      ingress,
      settings,
      diagnostics: keepList(own.items),
      served: keepList(served.items),
      references,
      resolutions,
      filters,
      policies,
      defaults,
      claims:
        isResolved && before.settings.unsupportedGuards === settings.unsupportedGuards
          ? before.claims
          : claimRoutes(ingress, references, resolutions, findClosingGuards(ingress, settings), found, defaults),
      canary: isCanary(ingress) ? undefined : findCanary(ingress),
      notable: keepList(
        resolutions.flatMap(({ target }) => (target !== undefined && isNotable(target) ? [target] : [])),
      ),
      annotated: keepList(resolutions.flatMap(({ annotated }) => (annotated === undefined ? [] : [annotated]))),
    }
  }

  #noteService(service: Service): readonly Diagnostic[] {
    const filters = resolveFilters(service, this.#contents)
    const policies = this.#policies.of(service)
    return this.#serviceNotes.get(service, [filters, policies], () => {
      const own = new DiagnosticList()
      checkAnnotations(service, own)
      checkPolicy(service, own)
      checkFilters(service, own)
      checkOwnPorts(service, [filters.mentions, policies.mentions], own)
      checkListenerOptions(service, own)
      return keepList(own.items)
    })
  }
}

/** Reports ports of ConfigMaps whose connections are reset, since their Service leads where it may not. */
function reportDenied(
  listeners: Model['listeners'],
  upstreams: Model['upstreams'],
  resources: ResourceSet,
  diagnostics: DiagnosticList,
): void {
  for (const listener of listeners) {
    if (listener.kind !== 'ConfigMap') continue
    const denied = upstreams.get(listener.upstream)?.denied
    if (denied === undefined) continue
    diagnostics.add('PORTICO_REF_EXTERNAL_NAME_DENIED', `port ${listener.port}/${listener.transport}: ${denied}`, {
      position: resources.locate(listener.owner, ['spec', 'externalName']),
      resource: `Service ${printName(listener.owner)}`,
      help: DENIAL_HELP,
    })
  }
}

/** The rest of `ingresses`: a canary would take all requests of the Ingress it stands beside, where it is to get a share. */
function dropCanaries(
  ingresses: readonly Ingress[],
  canaries: readonly TranslatedIngress[],
  diagnostics: DiagnosticList,
): readonly Ingress[] {
  if (canaries.length === 0) return ingresses
  const dropped = new Map(canaries.map(({ ingress, canary }) => [ingress, canary]))
  return ingresses.filter((ingress) => {
    const canary = dropped.get(ingress)
    if (canary !== undefined) reportCanary(ingress, canary, diagnostics)
    return canary === undefined
  })
}

/** Reports, once for each upstream, the first route in force that has nothing to go to, and the other Ingresses that have one. */
function reportStarving(starving: readonly Starving[], diagnostics: DiagnosticList): void {
  const routes = new Map<TranslatedUpstream, Map<Ingress, Starving>>()
  for (const one of starving) {
    const known = routes.get(one.target) ?? new Map<Ingress, Starving>()
    if (!known.has(one.ingress)) routes.set(one.target, known.set(one.ingress, one))
  }
  for (const [target, ofIngresses] of routes) {
    const [first, ...others] = ofIngresses.values()
    reportEmpty(
      target,
      first!,
      others.map(({ ingress }) => ingress),
      diagnostics,
    )
  }
}

/** The first field that says `Local`; of traffic from outside only where there is any (S21). */
function findLocalPolicy(service: Service): 'internalTrafficPolicy' | 'externalTrafficPolicy' | undefined {
  if (service.internalTrafficPolicy === 'Local') return 'internalTrafficPolicy'
  return service.externalTrafficPolicy === 'Local' && isExposed(service) ? 'externalTrafficPolicy' : undefined
}

/** S23: one gateway is one node, so without a node name `Local` is `Cluster`. Said once. */
function warnOfLocalPolicy(
  [service]: readonly Service[],
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  const field = service && findLocalPolicy(service)
  if (settings.nodeName !== '' || service === undefined || field === undefined) return
  diagnostics.add('PORTICO_REF_POLICY_LOCAL', `${field} Local is treated as Cluster: this gateway has no node name`, {
    position: service.origin.locate(['spec', field]),
    resource: printResource(service),
    help: 'set nodeName in the settings to the node this gateway runs on; other Services with Local are treated the same',
  })
}
