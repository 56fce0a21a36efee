/** From Kubernetes objects to the model of what is served. Whatever cannot be served is reported and left out; the rest stands. */
import type { Clock } from '../base/clock.ts'
import type { DiagnosticList } from '../base/diagnostics.ts'
import { printResource } from '../kubernetes/resource.ts'
import type { ResourceSet } from '../kubernetes/store.ts'
import type { Model } from '../model/model.ts'
import type { Settings } from '../settings-table.ts'
import { checkAnnotations } from './annotation.ts'
import { BackendResolver } from './backend.ts'
import { bindCertificates } from './certificate-binding.ts'
import { checkSettingsEndpoints } from './endpoint-override.ts'
import { checkForeignAnnotations } from './foreign-annotation.ts'
import { translateHosts } from './host.ts'
import { selectIngresses } from './ingress-class.ts'
import { checkRefused } from './refused.ts'
import { viewServices } from './service-view.ts'
import { UpstreamSet } from './upstream.ts'

export type TranslateOptions = { settings: Settings; clock: Clock }

/** Translates all resources; equal resources, in whatever order of files, give an equal model. */
export function translate(resources: ResourceSet, options: TranslateOptions, diagnostics: DiagnosticList): Model {
  const { settings, clock } = options
  checkAnnotations([...resources.all('Ingress'), ...resources.all('Service')], diagnostics)
  checkSettingsEndpoints(resources, settings, diagnostics)
  warnOfLocalPolicy(resources, settings, diagnostics)
  const ingresses = selectIngresses(resources, settings, diagnostics)
  checkForeignAnnotations(ingresses, settings, diagnostics)
  const upstreams = new UpstreamSet(resources, settings, diagnostics)
  const resolver = new BackendResolver(resources, upstreams, diagnostics)
  const { hosts, defaultRoute, shadowed } = translateHosts(ingresses, resolver, settings, diagnostics)
  const certificates = bindCertificates(ingresses, resources, clock, diagnostics)
  checkRefused(resources, options, diagnostics)
  const allUpstreams = upstreams.all()
  const routes = hosts.reduce((sum, host) => sum + host.routes.length, defaultRoute === undefined ? 0 : 1)
  return Object.freeze({
    hosts,
    defaultRoute,
    shadowed,
    upstreams: allUpstreams,
    services: viewServices(resources.all('Service'), allUpstreams),
    certificates,
    counts: Object.freeze({ resources: resources.size, ingresses: ingresses.length, routes }),
  })
}

/**
 * S23: one gateway is one node, so without a node name `Local` is `Cluster`. Said once. `externalTrafficPolicy` is about
 * node ports and load balancer addresses, never about routes (S21).
 */
function warnOfLocalPolicy(resources: ResourceSet, settings: Settings, diagnostics: DiagnosticList): void {
  if (settings.nodeName !== '') return
  const service = resources.all('Service').find(({ internalTrafficPolicy }) => internalTrafficPolicy === 'Local')
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
