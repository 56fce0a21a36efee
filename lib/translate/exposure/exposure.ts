/**
 * Plans where Services are reached on this machine: their nodePorts and addresses, and the ports to open. A port that is already
 * taken stays closed and is reported; the other ports of its Service are served.
 */
import { canonicalAddress } from '../../base/address-range.ts'
import type { DiagnosticDetails, DiagnosticList } from '../../base/diagnostics.ts'
import type { FieldPath } from '../../base/position.ts'
import { findContentField } from '../../kubernetes/config-map.ts'
import { type ConfigMap, printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import { PENDING, type ServiceListenerKind } from '../../model/listener.ts'
import { isLoadBalancerClosed } from '../ingress/foreign-annotation.ts'
import { isSameList } from '../reuse.ts'
import type { TranslationSettings } from '../settings.ts'
import type { Ledger } from './allocation.ts'
import { assignClusterAddresses, hasClusterAddress } from './cluster-address.ts'
import { assignLoadBalancerAddresses, isOwnLoadBalancer, printAddress } from './load-balancer.ts'
import { assignNodePorts, isNodePortType, type NodePorts } from './node-port.ts'
import {
  ADDRESS_SETTINGS,
  describeOwner,
  isEvery,
  PortClaims,
  type PortOwner,
  type PortPlace,
  printPlace,
} from './port-claims.ts'
import type { PortMapping } from './port-map.ts'

/** A port to open, and the Service port that it leads to. */
export type Opening = PortPlace &
  Readonly<{
    gateway?: undefined
    kind: ServiceListenerKind
    service: Service
    servicePort: ServicePort
    /** Of kind ConfigMap alone. */
    mapping?: PortMapping
  }>

/** The ports and addresses of one Service. */
export type Exposure = Readonly<{
  nodePorts: NodePorts['ports']
  /** `''` if it has no address on the cluster network; undefined if there is no such network. */
  clusterIP: string | undefined
  /** kubectl's EXTERNAL-IP, if Portico is the load balancer. */
  externalIP: string | undefined
  openings: readonly Opening[]
  /** The ports of its healthCheckNodePort (S21). */
  healthChecks: readonly PortPlace[]
}>

/** `services` come oldest first; `mappings` open further ports of them; `local` are the addresses of this machine, canonical. */
export function exposeServices(
  services: readonly Service[],
  mappings: readonly PortMapping[],
  settings: TranslationSettings,
  local: ReadonlySet<string>,
  ledger: Ledger,
  diagnostics: DiagnosticList,
): ReadonlyMap<Service, Exposure> {
  return new ExposurePlan(services, settings, diagnostics).make(mappings, local, ledger)
}

/** A taken port on a clusterIP, and the number of other Services that want it. */
type Missed = { readonly place: PortPlace; readonly service: Service; readonly path: FieldPath; others: number }

class ExposurePlan {
  readonly #services: readonly Service[]
  readonly #settings: TranslationSettings
  readonly #diagnostics: DiagnosticList
  readonly #claims = new PortClaims()
  readonly #openings = new Map<Service, Opening[]>()
  readonly #healthChecks = new Map<Service, readonly PortPlace[]>()
  /** Addresses on which the gateway itself listens, except those that stand for all. */
  readonly #own: string[] = []

  constructor(services: readonly Service[], settings: TranslationSettings, diagnostics: DiagnosticList) {
    this.#services = services
    this.#settings = settings
    this.#diagnostics = diagnostics
  }

  // The order decides about contested ports: the gateway goes first, then ports that manifests ask for by number.
  make(mappings: readonly PortMapping[], local: ReadonlySet<string>, ledger: Ledger): ReadonlyMap<Service, Exposure> {
    const { nodePorts, loadBalancers, clusterNetwork, externalIPs } = this.#settings
    this.#claimOwn()
    this.#openMapped(mappings)
    const numbers = assignNodePorts(this.#services, nodePorts, ledger, this.#diagnostics)
    if (nodePorts.enabled) this.#openNodePorts(numbers)
    const external = loadBalancers.enabled ? this.#openLoadBalancers(local, ledger) : new Map<Service, string>()
    if (externalIPs.enabled) this.#openExternal()
    const cluster = clusterNetwork.enabled
      ? assignClusterAddresses(this.#services, clusterNetwork.range, ledger, this.#diagnostics)
      : new Map<Service, string>()
    this.#openCluster(cluster)
    const exposures = new Map<Service, Exposure>()
    for (const service of this.#services) {
      this.#reportUnheard(service)
      exposures.set(service, {
        nodePorts: numbers.get(service)?.ports ?? NONE,
        clusterIP: clusterNetwork.enabled ? (cluster.get(service) ?? '') : undefined,
        externalIP: external.get(service),
        openings: this.#openings.get(service) ?? NONE,
        healthChecks: this.#healthChecks.get(service) ?? NONE,
      })
    }
    return exposures
  }

  #claimOwn(): void {
    for (const name of ['http', 'https', 'admin', 'dns'] as const) {
      const { enabled, address: written, port } = this.#settings[name]
      if (!enabled || port === 0) continue
      const address = canonicalAddress(written)
      this.#claims.take({ transport: 'TCP', address, port }, { gateway: name })
      // The DNS server takes its port alone; load balancers may use the other ports of its address.
      if (name === 'dns') this.#claims.take({ transport: 'UDP', address, port }, { gateway: name })
      else if (!isEvery(address)) this.#own.push(address)
    }
  }

  #openMapped(mappings: readonly PortMapping[]): void {
    const address = canonicalAddress(this.#settings.http.address)
    for (const mapping of mappings) {
      const { transport, port, service, servicePort, map, key } = mapping
      const opening: Opening = { transport, address, port, kind: 'ConfigMap', service, servicePort, mapping }
      const owner = this.#claims.find(opening)
      if (owner) this.#reportTaken(map, findContentField(map, key), opening, owner, 'it is not opened', 'ConfigMap')
      else this.#open(opening)
    }
  }

  #openNodePorts(numbers: ReadonlyMap<Service, NodePorts>): void {
    const addresses = narrowAddresses(this.#settings.nodePorts.addresses)
    for (const [service, { ports, healthCheck }] of numbers) {
      if (healthCheck !== undefined) this.#openHealthChecks(service, addresses, healthCheck)
      for (const [index, servicePort] of service.ports.entries()) {
        const { protocol } = servicePort
        const port = ports[index]
        if (port === undefined || protocol === 'SCTP') continue
        const path = ['spec', 'ports', servicePort.index, 'nodePort']
        for (const address of addresses) {
          const place = { transport: protocol, address, port }
          const owner = this.#claims.find(place)
          if (owner) this.#reportTaken(service, path, place, owner, 'the nodePort is not opened', 'NodePort')
          else this.#open({ ...place, kind: 'NodePort', service, servicePort })
        }
      }
    }
  }

  #openHealthChecks(service: Service, addresses: readonly string[], port: number): void {
    const opened = addresses.flatMap((address) => {
      const place = { transport: 'TCP', address, port } as const
      const owner = this.#claims.find(place)
      const path = ['spec', 'healthCheckNodePort']
      if (owner) this.#reportTaken(service, path, place, owner, 'the health check is not answered', 'NodePort')
      else this.#claims.take(place, { kind: 'NodePort', service, servicePort: undefined })
      return owner ? [] : [place]
    })
    this.#healthChecks.set(service, opened)
  }

  /** Opens load balancers and returns their EXTERNAL-IPs. A Service gets all of its ports at one address, or none. */
  #openLoadBalancers(local: ReadonlySet<string>, ledger: Ledger): Map<Service, string> {
    const own = this.#services.filter(isOwnLoadBalancer)
    const services = own.filter((service) => !isLoadBalancerClosed(service, this.#settings, this.#diagnostics))
    const settings = this.#settings.loadBalancers
    const ground = { settings, local, used: this.#own }
    const addresses = assignLoadBalancerAddresses(services, ground, ledger, this.#diagnostics)
    const shown = new Map<Service, string>(own.map((service) => [service, PENDING]))
    for (const service of services) {
      const address = addresses.get(service)
      const openings = address === undefined ? [] : listOpenings('LoadBalancer', service, address)
      let isTaken = false
      for (const opening of openings) {
        const owner = this.#claims.find(opening)
        if (owner === undefined) continue
        isTaken = true
        const path = ['spec', 'ports', opening.servicePort.index, 'port']
        this.#reportTaken(service, path, opening, owner, `EXTERNAL-IP is ${PENDING}`, 'LoadBalancer')
      }
      const isOpen = openings.length > 0 && !isTaken
      if (isOpen) for (const opening of openings) this.#open(opening)
      shown.set(service, isOpen && address !== undefined ? printAddress(address) : PENDING)
    }
    return shown
  }

  #openExternal(): void {
    for (const service of this.#services) {
      if (!hasClusterAddress(service)) continue
      for (const address of new Set(service.externalIPs.map(canonicalAddress))) {
        for (const opening of listOpenings('ExternalIP', service, address)) {
          const owner = this.#claims.find(opening)
          if (owner && isAnswered(service, opening, owner)) continue
          const path = ['spec', 'ports', opening.servicePort.index, 'port']
          if (owner) this.#reportTaken(service, path, opening, owner, 'it is not opened', 'ExternalIP')
          else this.#open(opening)
        }
      }
    }
  }

  /** Opens ports of the cluster network. Mostly one owner keeps all Services from a port, which is reported once. */
  #openCluster(addresses: ReadonlyMap<Service, string>): void {
    const missed = new Map<PortOwner, Map<string, Missed>>()
    for (const [service, address] of addresses) {
      for (const opening of listOpenings('ClusterIP', service, address)) {
        const owner = this.#claims.find(opening)
        if (owner === undefined) this.#open(opening)
        if (owner === undefined || isAnswered(service, opening, owner)) continue
        const rows = missed.get(owner) ?? new Map<string, Missed>()
        missed.set(owner, rows)
        const known = rows.get(printPlace(opening, false))
        const path = ['spec', 'ports', opening.servicePort.index, 'port']
        if (known) known.others++
        else rows.set(printPlace(opening, false), { place: opening, service, path, others: 0 })
      }
    }
    for (const [owner, rows] of missed) {
      for (const { place, service, path, others } of rows.values()) {
        const clients = `clients that connect there${others === 0 ? '' : `, or to ${others} other clusterIPs,`}`
        this.#reportTaken(service, path, place, owner, `${clients} reach ${describeOwner(owner).name}`, 'ClusterIP')
      }
    }
  }

  #open(opening: Opening): void {
    const openings = this.#openings.get(opening.service)
    if (openings === undefined) this.#openings.set(opening.service, [opening])
    else openings.push(opening)
    this.#claims.take(opening, opening)
  }

  #reportTaken(
    asking: Service | ConfigMap,
    path: FieldPath,
    place: PortPlace,
    owner: PortOwner,
    outcome: string,
    kind: ServiceListenerKind,
  ): void {
    const { name, position, advice, setting } = describeOwner(owner)
    const settings = [...new Set([setting, ADDRESS_SETTINGS[kind]])].filter((one) => one !== '')
    this.#diagnostics.add('PORTICO_SVC_PORT_TAKEN', `port ${printPlace(place, true)} is taken: ${outcome}`, {
      position: asking.origin.locate(path),
      resource: printResource(asking),
      help: `${advice}, or give each an address of its own: ${settings.join(' and ')}`,
      notes: [{ message: `${name} has it`, ...(position && { position }) }],
    })
  }

  /** Reports ports and addresses that a cluster would open and this gateway does not. */
  #reportUnheard(service: Service): void {
    const { clusterNetwork, externalIPs, loadBalancers } = this.#settings
    const isOpen = isNodePortType(service) || (externalIPs.enabled && service.externalIPs.length > 0)
    const add = (
      code: 'PORTICO_SVC_PROTOCOL' | 'PORTICO_SVC_UNHEARD',
      message: string,
      path: FieldPath,
      help: string,
    ) => this.#diagnostics.add(code, message, describe(service, path, help))
    if (isOpen || (clusterNetwork.enabled && hasClusterAddress(service))) {
      for (const { protocol, port, index } of service.ports) {
        if (protocol !== 'SCTP') continue
        const path = ['spec', 'ports', index, 'protocol']
        add('PORTICO_SVC_PROTOCOL', `port ${port}/SCTP is not listened on`, path, 'TCP and UDP are')
      }
    }
    if (service.externalIPs.length > 0 && !externalIPs.enabled && hasClusterAddress(service)) {
      const help = 'externalIPs.enabled opens them, on addresses that this machine has'
      add('PORTICO_SVC_UNHEARD', 'externalIPs are not listened on', ['spec', 'externalIPs'], help)
    }
    if (service.type === 'LoadBalancer' && loadBalancers.enabled && !isOwnLoadBalancer(service)) {
      const message = `loadBalancerClass "${service.loadBalancerClass}" is another load balancer's: no address is given`
      const help = 'leave loadBalancerClass out, or write one that begins with portico.dev/'
      add('PORTICO_SVC_UNHEARD', message, ['spec', 'loadBalancerClass'], help)
    }
  }
}

/** True if two exposures are equal. */
export function isSameExposure(a: Exposure, b: Exposure): boolean {
  if (a.clusterIP !== b.clusterIP || a.externalIP !== b.externalIP || !isSameList(a.nodePorts, b.nodePorts))
    return false
  if (a.openings.length !== b.openings.length || a.healthChecks.length !== b.healthChecks.length) return false
  if (!a.healthChecks.every((place, index) => isSamePlace(place, b.healthChecks[index] as PortPlace))) return false
  return a.openings.every((opening, index) => {
    const other = b.openings[index] as Opening
    const { mapping, kind, servicePort } = opening
    return (
      isSamePlace(opening, other) &&
      kind === other.kind &&
      servicePort === other.servicePort &&
      mapping?.acceptsProxyHeader === other.mapping?.acceptsProxyHeader &&
      mapping?.sendsProxyHeader === other.mapping?.sendsProxyHeader
    )
  })
}

function isSamePlace(a: PortPlace, b: PortPlace): boolean {
  return a.transport === b.transport && a.address === b.address && a.port === b.port
}

const NONE: readonly never[] = Object.freeze([])

/** True if the Service itself has the port on every address, and so on this one. */
function isAnswered(service: Service, { servicePort }: Opening, owner: PortOwner): boolean {
  return (
    owner.gateway === undefined && owner.servicePort === servicePort && service.loadBalancerSourceRanges.length === 0
  )
}

function listOpenings(kind: ServiceListenerKind, service: Service, address: string): Opening[] {
  return service.ports.flatMap((servicePort) => {
    const { protocol, port } = servicePort
    return protocol === 'SCTP' ? [] : [{ kind, transport: protocol, address, port, service, servicePort }]
  })
}

/** Drops addresses that others cover: a socket on every address leaves the port of no single address free. */
function narrowAddresses(addresses: readonly string[]): readonly string[] {
  const canonical = [...new Set(addresses.map(canonicalAddress))]
  if (canonical.length === 0 || canonical.includes('::')) return ['::']
  if (!canonical.includes('0.0.0.0')) return canonical
  return canonical.filter((address) => address === '0.0.0.0' || address.includes(':'))
}

function describe(service: Service, path: FieldPath, help: string): DiagnosticDetails {
  return { position: service.origin.locate(path), resource: printResource(service), help }
}
