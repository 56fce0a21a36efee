/** Which ports of which addresses are to be opened by whom: a port that is open on every address leaves none for others. */
import type { Service, ServicePort } from '../kubernetes/resource.ts'
import type { ServiceListenerKind } from '../model/service-listener.ts'

/** Who has a port: one of the gateway's own listeners, or a Service for one of its ports or for its health check. */
export type PortOwner =
  | Readonly<{ gateway: 'http' | 'https' | 'admin' }>
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
