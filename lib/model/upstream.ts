/** Upstreams: all endpoints of one Service port, with policy, as frozen printable data. */
import type { SourcePosition } from '../base/position.ts'
import type { PolicyOverrides } from '../service-settings.ts'

/** `namespace/service:port`, where port is the Service port's number. */
export type UpstreamKey = string & { readonly __brand?: 'UpstreamKey' }

/** How the endpoint is spoken to, from the Service port's appProtocol (S14). */
export type UpstreamProtocol = 'http' | 'https' | 'h2c'

export type EndpointSource = 'settings' | 'annotation' | 'EndpointSlice' | 'Endpoints' | 'Pod' | 'ExternalName'

/** `unhealthy`: its health check fails; `ejected`: requests to it failed. */
export type EndpointHealth = Readonly<{
  state: 'healthy' | 'unhealthy' | 'ejected'
  /** For people. */
  reason: string
  /** Since when, milliseconds since the epoch. */
  since: number
}>

export type Endpoint = Readonly<{
  /** An IP address, or a DNS name to resolve (FQDN slices, settings, annotation, ExternalName). */
  host: string
  port: number
  weight: number
  /** `serving && !ready` endpoints are the fallback of S26c. */
  ready: boolean
  serving: boolean
  terminating: boolean
  /** Gets something only where no other endpoint can be had. */
  backup?: true
  /** For another node or zone than this one (S25, S26b): gets something only where no endpoint of this place can be had. */
  distant?: true
  /** What was observed of it (observation.ts): while it is not in good health it gets nothing, unless too many are not. */
  health?: EndpointHealth
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
  protocol: UpstreamProtocol
  /** De-duplicated by host and port, in a stable order. */
  endpoints: readonly Endpoint[]
  /** Why no route may lead here, where none may (S33). */
  denied?: string | undefined
  /** Addresses found by resolving a name are refused when loopback, link-local, metadata or private (ExternalName only). */
  guardAddresses: boolean
  /** What the Service has otherwise than all (`upstream` in the settings), where it has anything. */
  policy: PolicyOverrides | undefined
}>
