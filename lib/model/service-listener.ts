/** Ports that Services open, as frozen printable data. */
import { printEndpointAddress } from '../base/endpoint-address.ts'
import type { FieldPath } from '../base/position.ts'
import type { ResourceRef } from './resource-ref.ts'
import type { UpstreamKey } from './upstream.ts'

/** kubectl's EXTERNAL-IP of a load balancer that has no address. */
export const PENDING = '<pending>'

/** Which of its addresses a Service is reached at here. */
export type ServiceListenerKind = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIP'

export type ServiceListener = Readonly<{
  /** Stable over reloads: `NodePort default/web:80/TCP [::]:30080`. */
  id: string
  kind: ServiceListenerKind
  transport: 'TCP' | 'UDP'
  /** L4 passes bytes on, as kube-proxy does; L7 serves HTTP, where the port's appProtocol says so. */
  layer: 'L4' | 'L7'
  /** L7 alone: TLS ends here. */
  tls: boolean
  /** An IP address of this machine; `::` is every one. */
  address: string
  port: number
  upstream: UpstreamKey
  /** CIDRs of the clients that are let in; empty: all. */
  sourceRanges: readonly string[]
  /** Connections begin with a PROXY protocol header, v1 or v2. */
  proxyProtocol: boolean
  /** The Service. */
  owner: ResourceRef
  /** Its port. */
  field: FieldPath
}>

/** What a listener takes of the machine, which one alone can have: `TCP [::]:30080`. Listeners may change and keep it. */
export function placeOf({ transport, address, port }: Pick<ServiceListener, 'transport' | 'address' | 'port'>): string {
  return `${transport} ${printEndpointAddress(address, port)}`
}
