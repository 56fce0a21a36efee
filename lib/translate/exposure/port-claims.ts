/** The owners of ports on addresses. A port that is open on every address is free on none. */
import type { SourcePosition } from '../../base/position.ts'
import { findContentField } from '../../kubernetes/config-map.ts'
import { printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import type { ServiceListenerKind } from '../../model/listener.ts'
import type { PortMapping } from './port-map.ts'

/** The owner of a port: a listener of the gateway itself, or a Service for one of its ports or its health check. */
export type PortOwner =
  | Readonly<{ gateway: 'http' | 'https' | 'admin' | 'dns' }>
  | Readonly<{
      gateway?: undefined
      kind: ServiceListenerKind
      service: Service
      servicePort: ServicePort | undefined
      mapping?: PortMapping
    }>

/** One port on one address. */
export type PortPlace = Readonly<{ transport: 'TCP' | 'UDP'; address: string; port: number }>

/** The owners of one port, by address. */
type Row = { every: PortOwner | undefined; everyIPv4: PortOwner | undefined; readonly single: Map<string, PortOwner> }

/** Addresses are canonical; as with sockets, `::` is every address of both families, and `0.0.0.0` every address of IPv4. */
export class PortClaims {
  readonly #rows = new Map<string, Row>()

  /** The owner that already has the port; undefined if it is free. */
  find({ transport, address, port }: PortPlace): PortOwner | undefined {
    const row = this.#rows.get(`${transport} ${port}`)
    if (row === undefined) return undefined
    const isIPv6 = address.includes(':')
    if (address === '::') return row.every ?? row.everyIPv4 ?? firstOf(row.single)
    if (address === '0.0.0.0') {
      return row.every ?? row.everyIPv4 ?? firstOf(row.single, (other) => !other.includes(':'))
    }
    return row.every ?? (isIPv6 ? undefined : row.everyIPv4) ?? row.single.get(address)
  }

  /** Gives the port to `owner`, unless it has an owner already. */
  take(place: PortPlace, owner: PortOwner): void {
    const key = `${place.transport} ${place.port}`
    const row = this.#rows.get(key) ?? { every: undefined, everyIPv4: undefined, single: new Map() }
    this.#rows.set(key, row)
    if (place.address === '::') row.every ??= owner
    else if (place.address === '0.0.0.0') row.everyIPv4 ??= owner
    else if (!row.single.has(place.address)) row.single.set(place.address, owner)
  }
}

function firstOf(owners: ReadonlyMap<string, PortOwner>, passes?: (address: string) => boolean): PortOwner | undefined {
  for (const [address, owner] of owners) if (passes?.(address) ?? true) return owner
  return undefined
}

/** The settings with the addresses on which ports of each kind are opened. */
export const ADDRESS_SETTINGS: Readonly<Record<ServiceListenerKind, string>> = {
  NodePort: 'nodePorts.addresses',
  LoadBalancer: 'loadBalancers.pool',
  // The Service itself names the addresses.
  ExternalIP: 'externalIPs',
  // Each Service has an address of its own already.
  ClusterIP: '',
  ConfigMap: 'http.address',
}

/** Describes an owner to people: its name, its position, and the help for another Service that wants the port. */
export function describeOwner(owner: PortOwner): {
  name: string
  position: SourcePosition | undefined
  advice: string
  /** The setting with the addresses on which it listens. */
  setting: string
} {
  if (owner.gateway !== undefined) {
    return {
      name: `the ${owner.gateway} listener of this gateway`,
      position: undefined,
      advice: `give the gateway another port: ${owner.gateway}.port`,
      setting: `${owner.gateway}.address`,
    }
  }
  const { kind, service, servicePort, mapping } = owner
  if (mapping !== undefined) {
    return {
      name: printResource(mapping.map),
      position: mapping.map.origin.locate(findContentField(mapping.map, mapping.key)),
      advice: 'change the port of one',
      setting: ADDRESS_SETTINGS[kind],
    }
  }
  const path = servicePort
    ? ['spec', 'ports', servicePort.index, kind === 'NodePort' ? 'nodePort' : 'port']
    : ['spec', 'healthCheckNodePort']
  return {
    name: `${printResource(service)} (${servicePort ? kind : 'its health check'})`,
    position: service.origin.locate(path),
    advice: 'change the port of one',
    setting: ADDRESS_SETTINGS[kind],
  }
}

/** `80/TCP of 127.0.0.1`; or `80/TCP` for every address, or if not `whole`. */
export function printPlace({ transport, address, port }: PortPlace, whole: boolean): string {
  return `${port}/${transport}${whole && !isEvery(address) ? ` of ${address}` : ''}`
}

/** True if an address stands for every address. */
export function isEvery(address: string): boolean {
  return address === '::' || address === '0.0.0.0'
}
