/** What is served, whole: the result of translating a ResourceSet. Frozen and printable (report/print). */
import type { CertificateBinding } from './certificate.ts'
import type { Listener } from './listener.ts'
import type { RouteTable } from './route-table.ts'
import type { Endpoint, Upstream, UpstreamKey } from './upstream.ts'

/** A Service as `get services` shows it. */
export type ServiceView = Readonly<{
  namespace: string
  name: string
  type: string
  /** `''` where there is none. */
  clusterIP: string
  /** In the order of its families; none where it is headless, or has no virtual IP. */
  clusterIPs: readonly string[]
  headless: boolean
  /** As written; `''` where its type is another. */
  externalName: string
  /** Its name leads to endpoints that are not ready too. */
  publishNotReadyAddresses: boolean
  /** Endpoints of a headless Service without any port; their own port is 0. */
  portless: readonly Endpoint[]
  externalIP: string
  ports: readonly Readonly<{
    name: string
    port: number
    protocol: string
    targetPort: number | string
    nodePort: number | undefined
  }>[]
  selector: Readonly<Record<string, string>>
  upstreams: readonly UpstreamKey[]
  /** Where a balancer in front asks whether there are local endpoints: healthCheckNodePort (S21). */
  healthChecks?: readonly Readonly<{ address: string; port: number }>[]
}>

export type Model = Readonly<{
  /** What listeners serve. */
  tables: readonly RouteTable[]
  /** Those that a route refers to and all other TCP and UDP ports of known Services. */
  upstreams: ReadonlyMap<UpstreamKey, Upstream>
  services: readonly ServiceView[]
  /** The gateway's own, HTTPS first; then the ports that Services open, in the order of their ids. */
  listeners: readonly Listener[]
  certificates: readonly CertificateBinding[]
  /** How many objects were read, and how many Ingresses are served. */
  counts: Readonly<{ resources: number; ingresses: number; routes: number }>
}>
