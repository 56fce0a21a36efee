/** Services of a controller whose place this gateway takes: what they lead to is the gateway itself, whose ports are open anyway. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { splitName } from '../../base/resource-name.ts'
import { type ControllerWorkload, printResource, type Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { TranslationSettings } from '../settings.ts'
import { isExposed } from './node-port.ts'

/** The workload whose place is taken: the one that the setting controllerWorkload has, which is written or found. */
export function findWorkload(
  resources: ResourceSet,
  { compatibility, controllerWorkload }: TranslationSettings,
): ControllerWorkload | undefined {
  if (compatibility !== 'ingress-nginx') return undefined
  const { namespace, name } = splitName(controllerWorkload)
  return resources.get('Deployment', namespace, name) ?? resources.get('DaemonSet', namespace, name)
}

export type DividedServices = Readonly<{
  others: readonly Service[]
  /** The first that leads to the controller and would have ports; undefined: there is none. */
  standIn: Service | undefined
}>

export function divideServices(
  services: readonly Service[],
  workload: ControllerWorkload | undefined,
): DividedServices {
  if (workload === undefined) return { others: services, standIn: undefined }
  const leadsThere = (service: Service): boolean => selects(service, workload)
  return {
    others: services.filter((service) => !leadsThere(service)),
    standIn: services.find((service) => isExposed(service) && leadsThere(service)),
  }
}

/** True if the Service selects the Pods of the controller. */
function selects({ meta, selector }: Service, workload: ControllerWorkload): boolean {
  const labels = Object.entries(selector ?? {})
  return (
    labels.length > 0 &&
    meta.namespace === workload.meta.namespace &&
    labels.every(([name, value]) => workload.podLabels[name] === value)
  )
}

export function reportStandIn(
  service: Service,
  { http, https }: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  const message = 'it leads to the controller whose place this gateway takes: its ports are not opened'
  diagnostics.add('PORTICO_SVC_UNHEARD', message, {
    position: service.origin.locate(['metadata', 'name']),
    resource: printResource(service),
    help: `requests come to http.port (${http.port}) and https.port (${https.port}) of the gateway`,
  })
}
