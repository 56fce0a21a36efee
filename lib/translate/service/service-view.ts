/** Services as `get services` shows them, in kubectl's words. */
import { compareText } from '../../base/order.ts'
import type { Service } from '../../kubernetes/resource.ts'
import { PENDING } from '../../model/listener.ts'
import type { ServiceView } from '../../model/model.ts'
import { type Endpoint, findUpstreamKey } from '../../model/upstream.ts'
import type { Exposure } from '../exposure/exposure.ts'
import { isSameList, KeyOrder, Memo } from '../reuse.ts'
import type { ServiceUpstreams, TranslatedUpstream } from './upstream.ts'

const NO_ADDRESSES: readonly string[] = Object.freeze([])

/** Makes the views, each once. */
export class ServiceViews {
  readonly #views = new Memo<Service, ServiceView>()
  readonly #all = new Memo<'all', readonly ServiceView[]>(isSameList)
  readonly #order = new KeyOrder(compareNames)
  #before: readonly ServiceView[] = []
  #sorted: readonly ServiceView[] = Object.freeze([])

  /** By namespace, then name; `upstreams` are those of each, `used` those that routes lead to. */
  view(
    services: readonly Service[],
    upstreams: readonly ServiceUpstreams[],
    used: Iterable<TranslatedUpstream>,
    exposures: ReadonlyMap<Service, Exposure>,
  ): readonly ServiceView[] {
    const targets = [...used].filter(({ service }) => service.type === 'ExternalName')
    return this.#all.get('all', [services, upstreams, exposures, ...targets], () =>
      this.#viewAll(services, upstreams, targets, exposures),
    )
  }

  #viewAll(
    services: readonly Service[],
    upstreams: readonly ServiceUpstreams[],
    targets: readonly TranslatedUpstream[],
    exposures: ReadonlyMap<Service, Exposure>,
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
      const exposure = exposures.get(service)
      return this.#views.get(service, [portless, exposure, ...ports], () =>
        viewService(service, portless, exposure, ports),
      )
    })
    this.#views.sweep()
    if (isSameList(views, this.#before)) return this.#sorted
    this.#before = views
    this.#sorted = Object.freeze(this.#order.sort(views, ({ namespace, name }) => `${namespace}/${name}`))
    return this.#sorted
  }
}

/** Namespaces first: `a-b/…` comes behind `a/…`, which a comparison of whole keys has the other way round. */
function compareNames(a: string, b: string): number {
  const left = a.indexOf('/')
  const right = b.indexOf('/')
  return compareText(a.slice(0, left), b.slice(0, right)) || compareText(a.slice(left), b.slice(right))
}

/** `routed` are the ports that routes name beside those it lists, as they may of an ExternalName. */
function viewService(
  service: Service,
  portless: readonly Endpoint[],
  exposure: Exposure | undefined,
  routed: readonly number[],
): ServiceView {
  const { namespace, name } = service.meta
  const listed = service.ports.filter(({ protocol }) => protocol !== 'SCTP')
  const ports = [...listed, ...routed.map((port) => ({ port, protocol: 'TCP' }))]
  return Object.freeze({
    namespace,
    name,
    type: service.type,
    clusterIP: service.headless ? 'None' : (exposure?.clusterIP ?? service.clusterIP ?? ''),
    clusterIPs: service.headless ? NO_ADDRESSES : listClusterIPs(service, exposure),
    headless: service.headless,
    externalName: service.type === 'ExternalName' ? (service.externalName ?? '') : '',
    publishNotReadyAddresses: service.publishNotReadyAddresses,
    portless,
    externalIP: findExternalIP(service, exposure),
    ports: Object.freeze(
      service.ports.map((port, index) =>
        Object.freeze({
          name: port.name,
          port: port.port,
          protocol: port.protocol,
          targetPort: port.targetPort,
          nodePort: exposure?.nodePorts[index],
        }),
      ),
    ),
    selector: service.selector ?? {},
    upstreams: Object.freeze([...new Set(ports.map((port) => findUpstreamKey(service.meta, port)))]),
    ...(exposure !== undefined && exposure.healthChecks.length > 0 && { healthChecks: listHealthChecks(exposure) }),
  })
}

/** The one it listens on here, else those that are written. */
function listClusterIPs(service: Service, exposure: Exposure | undefined): readonly string[] {
  if (exposure?.clusterIP === undefined) return service.clusterIPs
  return exposure.clusterIP === '' ? NO_ADDRESSES : Object.freeze([exposure.clusterIP])
}

/** kubectl's EXTERNAL-IP column. */
function findExternalIP(service: Service, exposure: Exposure | undefined): string {
  if (service.type === 'ExternalName') return service.externalName ?? ''
  const addresses = [...service.externalIPs]
  if (service.type === 'LoadBalancer') {
    const own = exposure?.externalIP
    const assigned = own === undefined ? findAssigned(service) : own === PENDING ? [] : [own]
    if (assigned.length === 0 && addresses.length === 0) return PENDING
    addresses.unshift(...assigned)
  }
  return addresses.length === 0 ? '' : [...new Set(addresses)].join(',')
}

/** What another load balancer gave it, or is asked to give. */
function findAssigned({ loadBalancerIngress, loadBalancerIP }: Service): string[] {
  const given = loadBalancerIngress.flatMap(({ ip, hostname }) => ip ?? hostname ?? [])
  return given.length === 0 && loadBalancerIP ? [loadBalancerIP] : given
}

function listHealthChecks({ healthChecks }: Exposure): ServiceView['healthChecks'] & object {
  return Object.freeze(healthChecks.map(({ address, port }) => Object.freeze({ address, port })))
}
