/** Which ports of which addresses are to be opened by whom: a port that is open on every address leaves none for others. */
import type { SourcePosition } from '../../base/position.ts'
import { printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import type { ServiceListenerKind } from '../../model/service-listener.ts'

/** Who has a port: one of the gateway's own listeners, or a Service for one of its ports or for its health check. */
export type PortOwner =
  | Readonly<{ gateway: 'http' | 'https' | 'admin' | 'dns' }>
  | Readonly<{ gateway?: undefined; kind: ServiceListenerKind; service: Service; servicePort: ServicePort | undefined }>

/** One port on one address. */
export type PortPlace = Readonly<{ transport: 'TCP' | 'UDP'; address: string; port: number }>

/** Who has one port, address by address. */
type Row = { every: PortOwner | undefined; everyIPv4: PortOwner | undefined; readonly single: Map<string, PortOwner> }

/** Addresses are canonical; `::` is every address of both families, `0.0.0.0` every one of IPv4, as sockets have it. */
export class PortClaims {
  readonly #rows = new Map<string, Row>()

  /** Who stands in the way. */
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

  /** Whoever has a port first keeps it. */
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

/** The settings that say on which addresses ports of a kind are opened. */
export const ADDRESS_SETTINGS: Readonly<Record<ServiceListenerKind, string>> = {
  NodePort: 'nodePorts.addresses',
  LoadBalancer: 'loadBalancers.pool',
  // Said by the Service itself.
  ExternalIP: 'externalIPs',
  // Each has one already.
  ClusterIP: '',
}

/** For people: who it is, where that is said, and what to do for the other who wants the port too. */
export function describeOwner(owner: PortOwner): {
  name: string
  position: SourcePosition | undefined
  advice: string
  /** Where it is said on which addresses it listens. */
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
  const { kind, service, servicePort } = owner
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

/** `80/TCP of 127.0.0.1`; of every address `80/TCP`, as always where it is not to be `whole`. */
export function printPlace({ transport, address, port }: PortPlace, whole: boolean): string {
  return `${port}/${transport}${whole && !isEvery(address) ? ` of ${address}` : ''}`
}

/** Whether an address stands for all there are. */
export function isEvery(address: string): boolean {
  return address === '::' || address === '0.0.0.0'
}
