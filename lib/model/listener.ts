/** Where clients connect to and what is served there, as frozen printable data. */
import { printEndpointAddress } from '../base/endpoint-address.ts'
import type { PathPolicy } from '../base/path.ts'
import type { FieldPath } from '../base/position.ts'
import type { ResourceRef } from './resource-ref.ts'
import type { UpstreamKey } from './upstream.ts'

/** kubectl's EXTERNAL-IP of a load balancer that has no address. */
export const PENDING = '<pending>'

/** Which of its addresses a Service is reached at here; `ConfigMap`: at a port that a ConfigMap opens for it. */
export type ServiceListenerKind = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalIP' | 'ConfigMap'

type AnyListener = Readonly<{
  transport: 'TCP' | 'UDP'
  /** L4 passes bytes on, as kube-proxy does; L7 serves HTTP. */
  layer: 'L4' | 'L7'
  /** L7 alone: TLS ends here. */
  tls: boolean
  /** An IP address of this machine; `::` is every one. */
  address: string
  port: number
  /** CIDRs of the clients that are let in; empty: all. */
  sourceRanges: readonly string[]
  /** Connections begin with a PROXY protocol header, v1 or v2. */
  proxyProtocol: boolean
  /** L7 alone: what slashes in the paths of requests mean. Undefined at L4. */
  paths: PathPolicy | undefined
}>

/** A listener of the gateway itself: its requests go by the routes of a table. */
export type GatewayListener = AnyListener &
  Readonly<{
    kind: 'Gateway'
    /** `http` and `https` are the listeners of the settings. */
    id: string
    /** 0 takes a free one. */
    port: number
    paths: PathPolicy
    /** The name of its RouteTable; other listeners may have the same. */
    table: string
  }>

/** A port that a Service opens: all that comes goes to one upstream. L7 where the port's appProtocol says so. */
export type ServiceListener = AnyListener &
  Readonly<{
    kind: ServiceListenerKind
    /** Stable over reloads: `NodePort default/web:80/TCP [::]:30080`. */
    id: string
    upstream: UpstreamKey
    /** L4 alone: the gateway begins each connection to an endpoint with a PROXY header v1, even if the policy of the upstream says `none`. */
    sendsProxyHeader: boolean
    /** The Service. */
    owner: ResourceRef
    /** Its port. */
    field: FieldPath
  }>

export type Listener = GatewayListener | ServiceListener

export function isServiceListener(listener: Listener): listener is ServiceListener {
  return listener.kind !== 'Gateway'
}

export function isGatewayListener(listener: Listener): listener is GatewayListener {
  return listener.kind === 'Gateway'
}

/**
 * Names what a listener takes of the machine, which one listener alone can have: `TCP [::]:30080`. Over a reload a place may
 * go to another listener. A listener of the gateway that takes a free port shares it with nobody: its id is its place.
 */
export function placeOf({
  kind,
  id,
  transport,
  address,
  port,
}: Pick<Listener, 'kind' | 'id' | 'transport' | 'address' | 'port'>): string {
  return kind === 'Gateway' && port === 0 ? id : `${transport} ${printEndpointAddress(address, port)}`
}
