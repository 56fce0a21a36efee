/** Upstreams: all endpoints of one Service port, with policy, as frozen printable data. */
import type { SourcePosition } from '../base/position.ts'

/**
 * `namespace/service:port`, where port is the Service port's number; `namespace/service:port/UDP` for a UDP port. With
 * ` (external)` behind it: what traffic from outside gets, where externalTrafficPolicy gives it other endpoints (S21).
 */
export type UpstreamKey = string & { readonly __brand?: 'UpstreamKey' }

/** How the endpoint is spoken to, from the Service port's appProtocol (S14). */
export type UpstreamProtocol = 'http' | 'https' | 'h2c'

export type EndpointSource = 'settings' | 'annotation' | 'EndpointSlice' | 'Endpoints' | 'Pod' | 'ExternalName'

export type Endpoint = Readonly<{
  /** An IP address, or a DNS name to resolve (FQDN slices, settings, annotation, ExternalName). */
  host: string
  port: number
  weight: number
  /** `serving && !ready` endpoints are the fallback of S26c. */
  ready: boolean
  serving: boolean
  terminating: boolean
  source: EndpointSource
  /** The object it came from, for people: `EndpointSlice default/api-x7k`. */
  sourceName: string
  hostname?: string
  nodeName?: string
  zone?: string
  position?: SourcePosition
}>

export type Upstream = Readonly<{
  key: UpstreamKey
  service: Readonly<{ namespace: string; name: string; type: string; position: SourcePosition }>
  port: Readonly<{ number: number; name: string; targetPort: number | string }>
  /** Of a UDP port; absent: TCP. */
  transport?: 'UDP'
  /** For traffic from outside alone; the upstream of the same port without it is for all other. */
  scope?: 'external'
  protocol: UpstreamProtocol
  /** De-duplicated by host and port, in a stable order. */
  endpoints: readonly Endpoint[]
  /** Why no route may lead here, where none may (S33). */
  denied?: string | undefined
  /** Addresses found by resolving a name are refused when loopback, link-local, metadata or private (ExternalName only). */
  guardAddresses: boolean
  balancer: 'round-robin'
}>
