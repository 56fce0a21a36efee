/**
 * From Kubernetes objects to the model of what is served. Whatever cannot be served is reported and left out; the rest
 * stands. What did not change since the last translation is not made again (memo.ts).
 */
import type { Clock } from '../base/clock.ts'
import { type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { type Ingress, printResource, type Service } from '../kubernetes/resource.ts'
import type { ResourceSet } from '../kubernetes/store.ts'
import type { Model } from '../model/model.ts'
import type { Settings } from '../settings-table.ts'
import { checkAnnotations } from './annotation.ts'
import { BackendResolver, type Reference, reportEmpty } from './backend.ts'
import { CertificateBinder } from './certificate-binding.ts'
import { checkSettingsEndpoints } from './endpoint-override.ts'
import { checkForeignAnnotations } from './foreign-annotation.ts'
import { HostMerger, listReferences, type ResolvedIngress, type Starving } from './host.ts'
import { selectIngresses } from './ingress-class.ts'
import { keepList, Memo } from './memo.ts'
import { checkRefused } from './refused.ts'
import { ServiceViews } from './service-view.ts'
import { pickSettings, type TranslationSettings } from './settings.ts'
import { reportProtocol, type TranslatedUpstream, UpstreamSet } from './upstream.ts'

export type TranslateOptions = { settings: Settings; clock: Clock }

/** What an Ingress says by itself. */
type IngressNotes = Readonly<{
  diagnostics: readonly Diagnostic[]
  /** Those that matter only where the Ingress is served. */
  served: readonly Diagnostic[]
  references: readonly Reference[]
}>

/** Translates once. */
export function translate(resources: ResourceSet, options: TranslateOptions, diagnostics: DiagnosticList): Model {
  return new Translator().translate(resources, options, diagnostics)
}

/** Translates again and again: parts of the model that did not change are the same objects as the last time. */
export class Translator {
  readonly #ingressNotes = new Memo<Ingress, IngressNotes>()
  readonly #serviceNotes = new Memo<Service, readonly Diagnostic[]>()
  readonly #upstreams = new UpstreamSet()
  readonly #resolver = new BackendResolver()
  readonly #merger = new HostMerger()
  readonly #binder = new CertificateBinder()
  readonly #views = new ServiceViews()
  #settings: TranslationSettings | undefined

  /** Translates all resources; equal resources, in whatever order of files, give an equal model. */
  translate(resources: ResourceSet, options: TranslateOptions, diagnostics: DiagnosticList): Model {
    const settings = pickSettings(options.settings, this.#settings)
    this.#settings = settings
    const services = resources.all('Service')
    for (const ingress of resources.all('Ingress')) diagnostics.addAll(this.#note(ingress, settings).diagnostics)
    this.#upstreams.begin(resources, settings)
    const ports = services.map((service) => {
      diagnostics.addAll(this.#noteService(service))
      return this.#upstreams.of(service)
    })
    checkSettingsEndpoints(resources, settings, diagnostics)
    warnOfLocalPolicy(services, settings, diagnostics)

    this.#resolver.begin(resources, this.#upstreams)
    const ingresses = selectIngresses(resources, settings, diagnostics)
    const targets = new Set<TranslatedUpstream>()
    const resolved = ingresses.map((ingress): ResolvedIngress => {
      const { served, references } = this.#note(ingress, settings)
      diagnostics.addAll(served)
      const resolutions = references.map((reference) => this.#resolver.resolve(reference))
      for (const { target } of resolutions) if (target !== undefined) targets.add(target)
      return { ingress, references, resolutions }
    })
    for (const target of targets) reportProtocol(target, diagnostics)
    const { hosts, defaultRoute, shadowed, starving } = this.#merger.merge(resolved, settings, diagnostics)
    reportStarving(starving, diagnostics)
    this.#binder.begin(resources, options.clock)
    const certificates = this.#binder.bind(ingresses, diagnostics)
    checkRefused(resources, { settings, resolver: this.#resolver, binder: this.#binder }, diagnostics)
    const upstreams = this.#upstreams.all(ports, targets)
    const model = Object.freeze({
      hosts,
      defaultRoute,
      shadowed,
      upstreams,
      services: this.#views.view(services, targets),
      certificates,
      counts: Object.freeze({
        resources: resources.size,
        ingresses: ingresses.length,
        routes: hosts.reduce((sum, { routes }) => sum + routes.length, defaultRoute === undefined ? 0 : 1),
      }),
    })
    for (const part of [this.#ingressNotes, this.#serviceNotes]) part.sweep()
    for (const part of [this.#upstreams, this.#resolver, this.#binder]) part.end()
    return model
  }

  #note(ingress: Ingress, settings: TranslationSettings): IngressNotes {
    return this.#ingressNotes.get(ingress, [settings], () => {
      const own = new DiagnosticList()
      const served = new DiagnosticList()
      checkAnnotations(ingress, own)
      checkForeignAnnotations(ingress, settings, served)
      return { diagnostics: keepList(own.items), served: keepList(served.items), references: listReferences(ingress) }
    })
  }

  #noteService(service: Service): readonly Diagnostic[] {
    return this.#serviceNotes.get(service, [], () => {
      const own = new DiagnosticList()
      checkAnnotations(service, own)
      return keepList(own.items)
    })
  }
}

/** Reports, once for each upstream, a route in force that has nothing to go to. */
function reportStarving(starving: readonly Starving[], diagnostics: DiagnosticList): void {
  const reported = new Set<TranslatedUpstream>()
  for (const { target, ingress, path } of starving) {
    if (reported.has(target)) continue
    reported.add(target)
    reportEmpty(target, ingress, path, diagnostics)
  }
}

/**
 * S23: one gateway is one node, so without a node name `Local` is `Cluster`. Said once. `externalTrafficPolicy` is about
 * node ports and load balancer addresses, never about routes (S21).
 */
function warnOfLocalPolicy(
  services: readonly Service[],
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  if (settings.nodeName !== '') return
  const service = services.find(({ internalTrafficPolicy }) => internalTrafficPolicy === 'Local')
  if (service === undefined) return
  diagnostics.add(
    'PORTICO_REF_POLICY_LOCAL',
    'internalTrafficPolicy Local is treated as Cluster: this gateway has no node name',
    {
      position: service.origin.locate(['spec', 'internalTrafficPolicy']),
      resource: printResource(service),
      help: 'set nodeName in the settings to the node this gateway runs on; other Services with Local are treated the same',
    },
  )
}
