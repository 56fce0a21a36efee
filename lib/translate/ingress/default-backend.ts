/** The Service of the setting defaultBackendService: requests that no rule takes go to its first port. */
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import type { Origin } from '../../base/position.ts'
import { splitName } from '../../base/resource-name.ts'
import type { Ingress, Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { TranslationSettings } from '../settings.ts'
import { findNearestObject } from '../suggestion.ts'

/** Undefined: the setting names none, or none that can be used, which is reported. */
export function findDefaultBackend(
  resources: ResourceSet,
  { defaultBackendService: name }: TranslationSettings,
  diagnostics: DiagnosticList,
): Service | undefined {
  if (name === '') return undefined
  const { namespace, name: own } = splitName(name)
  const service = resources.get('Service', namespace, own)
  if (service !== undefined && service.ports.length > 0) return service
  const near = service === undefined ? findNearestObject(name, resources.all('Service')) : undefined
  const fault = service === undefined ? 'not found' : 'has no port'
  const outcome = 'requests that no rule takes are answered 404 until then'
  diagnostics.add('PORTICO_REF_SERVICE_NOT_FOUND', `defaultBackendService: service "${name}" ${fault}`, {
    help: near === undefined ? outcome : addOutcome(`did you mean "${near}"?`, outcome),
  })
  return undefined
}

/** An Ingress without rules that says the same; its places are those of the Service. */
export function createDefaultIngress(service: Service): Ingress {
  const { meta, origin, ports } = service
  const locate: Origin['locate'] = () => origin.locate(['metadata', 'name'])
  const ingress: Ingress = {
    kind: 'Ingress',
    meta: { namespace: meta.namespace, name: meta.name, labels: {}, annotations: {} },
    origin: { ...origin, locate, locateKey: locate },
    ingressClassName: undefined,
    defaultBackend: { type: 'service', name: meta.name, port: { number: ports[0]!.port } },
    rules: [],
    tls: [],
  }
  return Object.freeze(ingress)
}
