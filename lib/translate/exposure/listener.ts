/** All listeners, and the diagnostics about those that Services open. */

import { isDeepStrictEqual } from 'node:util'
import { type Diagnostic, DiagnosticList } from '../../base/diagnostics.ts'
import { printEndpointAddress } from '../../base/endpoint-address.ts'
import { compareText } from '../../base/order.ts'
import type { PathPolicy } from '../../base/path.ts'
import type { Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { GatewayListener, Listener, ServiceListener } from '../../model/listener.ts'
import { createRef } from '../../model/resource-ref.ts'
import { KeyOrder, keepList, Memo, Sieve } from '../reuse.ts'
import type { ServiceUpstreams, UpstreamSet } from '../service/upstream.ts'
import type { TranslationSettings } from '../settings.ts'
import { type Allocations, Ledger } from './allocation.ts'
import { type DividedServices, divideServices, findWorkload, reportStandIn } from './controller-service.ts'
import { type Exposure, exposeServices, isSameExposure, type Opening } from './exposure.ts'
import { GATEWAY_LISTENERS, makeGatewayListener, resolvePaths } from './gateway-listener.ts'
import { readListenerOptions } from './listener-option.ts'
import { isExposed } from './node-port.ts'
import { listPortMapInputs, type PortMapping, readPortMaps } from './port-map.ts'

/** The exposures of all Services that have one. */
type Plan = Readonly<{ exposures: ReadonlyMap<Service, Exposure>; diagnostics: readonly Diagnostic[] }>

/** The inputs of the listeners, beside Services. */
export type ListenerInputs = Readonly<{
  /** They have the ConfigMaps that open ports. */
  resources: ResourceSet
  settings: TranslationSettings
  /** The addresses of this machine, canonical. */
  local: ReadonlySet<string>
  /** Milliseconds since the epoch. */
  now: number
}>

/** Makes listeners; one that does not change stays the same object, and so does the list of all. */
export class ListenerSet {
  readonly #exposed = new Sieve<Service>(isExposed)
  readonly #divided = new Memo<'divided', DividedServices>()
  readonly #plans = new Memo<'plan', Plan>()
  readonly #exposures = new Memo<Service, Exposure>(isSameExposure)
  readonly #own = new Memo<GatewayListener['id'], GatewayListener>()
  readonly #listeners = new Memo<Service, readonly ServiceListener[]>(isDeepStrictEqual)
  readonly #all = new Memo<'all', readonly Listener[]>()
  readonly #order = new KeyOrder(compareText)
  #allocations: Allocations

  constructor(allocations: Allocations) {
    this.#allocations = allocations
  }

  /** The present allocations, with which the next translation begins. */
  get allocations(): Allocations {
    return this.#allocations
  }

  /** Sets those apart that lead to a controller whose place is taken. */
  divide(services: readonly Service[], resources: ResourceSet, settings: TranslationSettings): DividedServices {
    const workload = findWorkload(resources, settings)
    return this.#divided.get('divided', [services, workload], () => divideServices(services, workload))
  }

  /** `others` come oldest first. */
  plan({ others, standIn }: DividedServices, { resources, settings, local, now }: ListenerInputs): Plan {
    const concerned = settings.clusterNetwork.enabled ? others : this.#exposed.filter(others)
    const inputs = [concerned, standIn, settings, local, ...listPortMapInputs(resources, settings)]
    return this.#plans.get('plan', inputs, () => {
      const ledger = new Ledger(this.#allocations)
      const diagnostics = new DiagnosticList()
      if (standIn !== undefined) reportStandIn(standIn, settings, diagnostics)
      const mappings = readPortMaps(resources, settings, diagnostics)
      const all = [...new Set([...concerned, ...mappings.map(({ service }) => service)])]
      const found = exposeServices(all, mappings, settings, local, ledger, diagnostics)
      this.#allocations = ledger.close(now)
      const exposures = new Map<Service, Exposure>()
      for (const [service, exposure] of found) {
        // The inputs are new each time; an equal signature says that the listener is the same.
        exposures.set(
          service,
          this.#exposures.get(service, [exposure], () => exposure),
        )
      }
      this.#exposures.sweep()
      return Object.freeze({ exposures, diagnostics: keepList(diagnostics.items) })
    })
  }

  /** The gateway's own. */
  listOwn(settings: TranslationSettings): readonly GatewayListener[] {
    return GATEWAY_LISTENERS.filter((id) => settings[id].enabled).map((id) => {
      const { address, port, proxyProtocol } = settings[id]
      const paths = resolvePaths(settings, id)
      const inputs = [address, port, proxyProtocol, paths.encodedSlash, paths.mergeSlashes]
      return this.#own.get(id, inputs, () => makeGatewayListener(id, settings[id], paths))
    })
  }

  /** The gateway's own, then those of Services in the order of their ids. */
  list({ exposures }: Plan, upstreams: UpstreamSet, settings: TranslationSettings): readonly Listener[] {
    const { paths } = settings
    const lists: (readonly ServiceListener[])[] = []
    for (const [service, exposure] of exposures) {
      if (exposure.openings.length === 0) continue
      const own = upstreams.of(service)
      const keys = exposure.openings.map((opening) => findKey(own, opening))
      const inputs = [exposure, paths.encodedSlash, paths.mergeSlashes, ...keys]
      lists.push(this.#listeners.get(service, inputs, () => makeListeners(service, own, exposure, paths)))
    }
    this.#listeners.sweep()
    const own = this.listOwn(settings)
    return this.#all.get('all', [...own, ...lists], () =>
      Object.freeze([...own, ...this.#order.sort(lists.flat(), ({ id }) => id)]),
    )
  }
}

/** The key of the upstream: traffic from outside to an address of the Service has a policy of its own (S21). */
function findKey(upstreams: ServiceUpstreams, { kind, servicePort }: Opening): string {
  const isOutside = kind !== 'ClusterIP' && kind !== 'ConfigMap'
  return upstreams.get(servicePort, isOutside ? 'external' : 'internal').upstream.key
}

/** A port of a ConfigMap passes bytes on, whatever the Service says of its own ports. */
function readMappedOptions({ acceptsProxyHeader }: PortMapping): ReturnType<typeof readListenerOptions> {
  return { layer: 'L4', tls: false, proxyProtocol: acceptsProxyHeader }
}

function makeListeners(
  service: Service,
  upstreams: ServiceUpstreams,
  { openings }: Exposure,
  paths: PathPolicy,
): readonly ServiceListener[] {
  const { namespace, name } = service.meta
  const owner = createRef(service)
  const listeners = openings.map((opening): ServiceListener => {
    const { kind, transport, address, port, servicePort, mapping } = opening
    const options = mapping === undefined ? readListenerOptions(service, servicePort) : readMappedOptions(mapping)
    return Object.freeze({
      id: `${kind} ${namespace}/${name}:${servicePort.port}/${transport} ${printEndpointAddress(address, port)}`,
      kind,
      transport,
      ...options,
      address,
      port,
      paths: options.layer === 'L7' ? paths : undefined,
      upstream: findKey(upstreams, opening),
      sendsProxyHeader: mapping?.sendsProxyHeader ?? false,
      // As with kube-proxy, source ranges hold on the load balancer's address alone (S20).
      sourceRanges: kind === 'LoadBalancer' ? service.loadBalancerSourceRanges : NO_RANGES,
      owner,
      field: Object.freeze(['spec', 'ports', servicePort.index, 'port']),
    })
  })
  return Object.freeze(listeners)
}

const NO_RANGES: readonly string[] = Object.freeze([])
