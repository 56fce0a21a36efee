/** Upstreams: all endpoints of one Service port, with policy, as frozen printable data. */
import type { FieldPath } from '../base/position.ts'
import type { PolicyOverrides } from '../settings/service.ts'
import type { ResourceRef } from './resource-ref.ts'

/**
 * `namespace/service:port`, where port is the Service port's number; `namespace/service:port/UDP` for a UDP port. With
 * ` (external)` behind it: what traffic from outside gets, where externalTrafficPolicy gives it other endpoints (S21). Of a server
 * that a filter reaches by a URL: scheme, host and port of it, `http://auth.example.com:4180`.
 */
export type UpstreamKey = string & { readonly __brand?: 'UpstreamKey' }

const EXTERNAL = ' (external)'
const PLAIN = ' plain'

/** The key of a Service port's upstream. */
export function findUpstreamKey(
  { namespace, name }: Readonly<{ namespace: string; name: string }>,
  { port, protocol }: Readonly<{ port: number; protocol: string }>,
): UpstreamKey {
  return `${namespace}/${name}:${port}${protocol === 'TCP' ? '' : `/${protocol}`}`
}

/** That of its upstream for traffic from outside, where it has one. */
export function findExternalKey(key: UpstreamKey): UpstreamKey {
  return key + EXTERNAL
}

/** The key of an https upstream where the bytes of its connections are passed on as they come (L4). */
export function findPlainKey(key: UpstreamKey): UpstreamKey {
  return key + PLAIN
}

/** The key of the port's own upstream, of which the others are a part. */
export function dropScope(key: UpstreamKey): UpstreamKey {
  const spoken = key.endsWith(PLAIN) ? key.slice(0, -PLAIN.length) : key
  return spoken.endsWith(EXTERNAL) ? spoken.slice(0, -EXTERNAL.length) : spoken
}

/** How the endpoint is spoken to: from the setting `protocol`, or from the Service port's appProtocol (S14). */
export type UpstreamProtocol = 'http' | 'https'

/** What https endpoints are shown and verified by beside the settings, from a Secret (`tlsSecret`); `''` where it has no such part. */
export type EndpointTls = Readonly<{
  /** Shown to endpoints that ask for a certificate: leaf first, then intermediates. */
  certificatePem: string
  /** Never printed. */
  privateKeyPem: string
  /** Take the place of all other authorities. */
  authorities: string
  /** SHA-256 over all of it. */
  digest: string
}>

export type EndpointSource = 'settings' | 'annotation' | 'EndpointSlice' | 'Endpoints' | 'Pod' | 'ExternalName' | 'URL'

/** `unhealthy`: its health check fails; `ejected`: requests to it failed. */
export type EndpointHealth = Readonly<{
  state: 'healthy' | 'unhealthy' | 'ejected'
  /** For people. */
  reason: string
  /** Since when, milliseconds since the epoch. */
  since: number
  /** Of an ejection: when it ends by itself, milliseconds since the epoch. */
  until?: number
}>

/** One readinessProbe of the Pod behind an endpoint, with the defaults of the API server and its port resolved. */
export type EndpointProbe = Readonly<{
  type: 'http' | 'tcp' | 'grpc'
  /** `''`: the address of the endpoint. */
  host: string
  port: number
  path: string
  scheme: 'HTTP' | 'HTTPS'
  headers: readonly (readonly [name: string, value: string])[]
  /** Of the gRPC health protocol; `''` is the server as a whole. */
  service: string
  /** Milliseconds. */
  interval: number
  timeout: number
  /** Results in a row that turn the verdict. */
  healthyThreshold: number
  unhealthyThreshold: number
}>

export type Endpoint = Readonly<{
  /** An IP address, or a DNS name to resolve (FQDN slices, settings, annotation, ExternalName); never a name on the data side. */
  host: string
  /** The name that `host` is an address of, where it was observed (names/). */
  name?: string
  /** The address that the same object has in the other family: DNS answers with both, traffic takes one (S32). */
  otherAddress?: string
  port: number
  weight: number
  /** `serving && !ready` endpoints are the fallback of S26c. */
  ready: boolean
  serving: boolean
  terminating: boolean
  /** A person ordered that it gets no new requests (observe/orders). */
  drained?: true
  /** Gets something only where no other endpoint can be had. */
  backup?: true
  /** For another node or zone than this one (S25, S26b): gets something only where no endpoint of this place can be had. */
  distant?: true
  /** What was observed of it (observation.ts): while it is not in good health it gets nothing, unless too many are not. */
  health?: EndpointHealth
  /** What its Pod is to be asked for that: all of them have to succeed. */
  probes?: readonly EndpointProbe[]
  source: EndpointSource
  /** The object it came from, for people: `EndpointSlice default/api-x7k`. */
  sourceName: string
  hostname?: string
  nodeName?: string
  zone?: string
  /** The object that names its address, and where; undefined where the settings do. */
  owner?: ResourceRef
  field?: FieldPath
}>

/** Told by the process that carries traffic: requests to an endpoint failed more than its policy allows (`ejection` in the settings). */
export type EndpointTrouble = Readonly<{
  upstream: UpstreamKey
  host: string
  port: number
  /** That `host` is an address of. */
  name?: string
  /** For people: `5 failures in a row, the last PORTICO_UP_CONNECT_REFUSED`. */
  reason: string
}>

/** An endpoint given by a name that leads nowhere at the moment. */
export type UnresolvedEndpoint = Readonly<{
  /** As it was written. */
  endpoint: Endpoint
  /** What a request gets where nothing else is left. */
  code: 'PORTICO_UP_NAME_UNRESOLVED' | 'PORTICO_UP_ADDRESS_DENIED'
  /** For people, the name included. */
  reason: string
}>

export type Upstream = Readonly<{
  key: UpstreamKey
  /** Of a server that a filter reaches by a URL: kind and type `URL`, and the key for a name. */
  service: ResourceRef & Readonly<{ type: string }>
  port: Readonly<{ number: number; name: string; targetPort: number | string }>
  /** Of a UDP port; absent: TCP. */
  transport?: 'UDP'
  /** For traffic from outside alone; the upstream of the same port without it is for all other. */
  scope?: 'external'
  protocol: UpstreamProtocol
  /** Of https endpoints whose Service names a Secret for them. */
  tls?: EndpointTls
  /** De-duplicated by host and port (and by name, where that was resolved), in a stable order. */
  endpoints: readonly Endpoint[]
  /** Those that `endpoints` lack because their names lead nowhere (names/); undefined where there are none. */
  unresolved?: readonly UnresolvedEndpoint[]
  /** Why nothing may be sent to the endpoints, where nothing may: an address (S33), or a Secret that cannot be used. */
  denied?: string | undefined
  /** Addresses found by resolving a name are refused when loopback, link-local, metadata or private (ExternalName only). */
  guardAddresses: boolean
  /** So few of its endpoints are in good health that health is not looked at (observation.ts, `panicThreshold`). */
  inPanic?: boolean
  /** What the Service has otherwise than all (`upstream` in the settings), where it has anything. */
  policy: PolicyOverrides | undefined
}>
