/** Services as `get services` shows them, in kubectl's words. */
import { compareText } from '../base/order.ts'
import type { Service } from '../kubernetes/resource.ts'
import type { ServiceView } from '../model/model.ts'
import type { Endpoint } from '../model/upstream.ts'
import { isSameList, KeyOrder, Memo } from './memo.ts'
import type { ServiceUpstreams, TranslatedUpstream } from './upstream.ts'

const NO_ADDRESSES: readonly string[] = Object.freeze([])

/** Makes the views, each once. */
export class ServiceViews {
  readonly #views = new Memo<Service, ServiceView>()
  readonly #all = new Memo<'all', readonly ServiceView[]>(isSameList)
  readonly #order = new KeyOrder(compareNames)

  /** By namespace, then name; `upstreams` are those of each, `used` those that routes lead to. */
  view(
    services: readonly Service[],
    upstreams: readonly ServiceUpstreams[],
    used: Iterable<TranslatedUpstream>,
  ): readonly ServiceView[] {
    const targets = [...used].filter(({ service }) => service.type === 'ExternalName')
    return this.#all.get('all', [services, upstreams, ...targets], () => this.#viewAll(services, upstreams, targets))
  }

  #viewAll(
    services: readonly Service[],
    upstreams: readonly ServiceUpstreams[],
    targets: readonly TranslatedUpstream[],
  ): readonly ServiceView[] {
    const external = new Map<Service, number[]>()
    for (const { service, port } of targets) {
      const ports = external.get(service)
      if (ports === undefined) external.set(service, [port.port])
      else ports.push(port.port)
    }
    const views = services.map((service, index) => {
      const ports = (external.get(service) ?? []).sort((a, b) => a - b)
      const { portless } = upstreams[index] as ServiceUpstreams
      return this.#views.get(service, [portless, ...ports], () => viewService(service, portless, ports))
    })
    this.#views.sweep()
    return Object.freeze(this.#order.sort(views, ({ namespace, name }) => `${namespace}/${name}`))
  }
}

/** Namespaces first: `a-b/…` comes behind `a/…`, which a comparison of whole keys has the other way round. */
function compareNames(a: string, b: string): number {
  const left = a.indexOf('/')
  const right = b.indexOf('/')
  return compareText(a.slice(0, left), b.slice(0, right)) || compareText(a.slice(left), b.slice(right))
}

/** `routed` are the ports that routes name beside those it lists, as they may of an ExternalName. */
function viewService(service: Service, portless: readonly Endpoint[], routed: readonly number[]): ServiceView {
  const { namespace, name } = service.meta
  const listed = service.ports.filter(({ protocol }) => protocol === 'TCP').map(({ port }) => port)
  const keys = new Set([...listed, ...routed])
  const prefix = `${namespace}/${name}:`
  return Object.freeze({
    namespace,
    name,
    type: service.type,
    clusterIP: service.headless ? 'None' : (service.clusterIP ?? ''),
    clusterIPs: service.headless ? NO_ADDRESSES : service.clusterIPs,
    headless: service.headless,
    externalName: service.type === 'ExternalName' ? (service.externalName ?? '') : '',
    publishNotReadyAddresses: service.publishNotReadyAddresses,
    portless,
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
