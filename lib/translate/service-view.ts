/** Services as `get services` shows them, in kubectl's words. */
import { compareText } from '../base/order.ts'
import type { Service } from '../kubernetes/resource.ts'
import type { ServiceView } from '../model/model.ts'
import type { UpstreamKey } from '../model/upstream.ts'

/** By namespace, then name. */
export function viewServices(
  services: readonly Service[],
  upstreams: ReadonlyMap<UpstreamKey, unknown>,
): readonly ServiceView[] {
  const views = services.map((service) => viewService(service, upstreams))
  views.sort((a, b) => compareText(a.namespace, b.namespace) || compareText(a.name, b.name))
  return Object.freeze(views)
}

function viewService(service: Service, upstreams: ReadonlyMap<UpstreamKey, unknown>): ServiceView {
  const { namespace, name } = service.meta
  const keys = new Set(service.ports.filter(({ protocol }) => protocol === 'TCP').map(({ port }) => port))
  const prefix = `${namespace}/${name}:`
  if (service.type === 'ExternalName') {
    for (const key of upstreams.keys()) if (key.startsWith(prefix)) keys.add(Number(key.slice(prefix.length)))
  }
  return Object.freeze({
    namespace,
    name,
    type: service.type,
    clusterIP: service.headless ? 'None' : (service.clusterIP ?? ''),
    externalIP: findExternalIP(service),
    ports: Object.freeze(
      service.ports.map((port) =>
        Object.freeze({
          name: port.name,
          port: port.port,
          protocol: port.protocol,
          targetPort: port.targetPort,
          nodePort: port.nodePort,
        }),
      ),
    ),
    selector: service.selector ?? {},
    upstreams: Object.freeze([...keys].map((port) => prefix + port)),
    position: service.origin.locate(['metadata', 'name']),
  })
}

/** kubectl's EXTERNAL-IP column. */
function findExternalIP(service: Service): string {
  if (service.type === 'ExternalName') return service.externalName ?? ''
  const addresses = [...service.externalIPs]
  if (service.type === 'LoadBalancer') {
    const assigned = service.loadBalancerIngress.flatMap(({ ip, hostname }) => ip ?? hostname ?? [])
    if (assigned.length === 0 && service.loadBalancerIP) assigned.push(service.loadBalancerIP)
    if (assigned.length === 0 && addresses.length === 0) return '<pending>'
    addresses.unshift(...assigned)
  }
  return addresses.length === 0 ? '' : [...new Set(addresses)].join(',')
}
