/** Services of a controller whose place this gateway takes: what they lead to is the gateway itself, whose ports are open anyway. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { type ControllerWorkload, printResource, type Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { TranslationSettings } from '../settings.ts'
import { isExposed } from './node-port.ts'

/** The workloads whose place is taken. */
export function listWorkloads(
  resources: ResourceSet,
  { compatibility }: TranslationSettings,
): readonly ControllerWorkload[] {
  return compatibility === 'ingress-nginx' ? [...resources.all('Deployment'), ...resources.all('DaemonSet')] : []
}

/** True if the Service selects the Pods of the controller. */
export function leadsToController({ meta, selector }: Service, workload: ControllerWorkload): boolean {
  const labels = Object.entries(selector ?? {})
  return (
    labels.length > 0 &&
    meta.namespace === workload.meta.namespace &&
    labels.every(([name, value]) => workload.podLabels[name] === value)
  )
}

/** Tells of the first Service whose ports are not opened; `others` are the Services that lead elsewhere. */
export function reportStandIn(
  services: readonly Service[],
  others: readonly Service[],
  { http, https }: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  const rest = new Set(others)
  const service = services.find((one) => !rest.has(one) && isExposed(one))
  if (service === undefined) return
  diagnostics.add(
    'PORTICO_SVC_UNHEARD',
    'it leads to the controller whose place this gateway takes: its ports are not opened',
    {
      position: service.origin.locate(['metadata', 'name']),
      resource: printResource(service),
      help: `requests come to http.port (${http.port}) and https.port (${https.port}) of the gateway`,
    },
  )
}
