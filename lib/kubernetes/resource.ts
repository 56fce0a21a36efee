/**
 * The Kubernetes objects Portico reads, decoded: only the fields it uses, the API server's defaults applied, frozen.
 * Field names are Kubernetes' own. Objects that break a validation rule never become one of these.
 */
import type { FieldPath, Origin } from '../base/position.ts'
import { printName } from '../base/resource-name.ts'

export type Meta = Readonly<{
  /** `''` for cluster-scoped kinds; `default` where the manifest gives none. */
  namespace: string
  name: string
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  /** Milliseconds since the epoch; absent in nearly every file (D2). */
  createdAt?: number
}>

type ResourceOf<Kind extends string, Fields> = Readonly<{ kind: Kind; meta: Meta; origin: Origin }> & Readonly<Fields>

// ---- networking.k8s.io/v1 Ingress (extensions/v1beta1 and networking.k8s.io/v1beta1 are converted to it)

export type PathType = 'Exact' | 'Prefix' | 'ImplementationSpecific'

export type IngressServiceBackend = Readonly<{
  type: 'service'
  name: string
  /** A number or a name, never both. */
  port: Readonly<{ number: number }> | Readonly<{ name: string }>
}>
export type IngressResourceBackend = Readonly<{ type: 'resource'; apiGroup: string; kind: string; name: string }>
export type IngressBackend = IngressServiceBackend | IngressResourceBackend

export type IngressPath = Readonly<{
  /** `''` occurs only with ImplementationSpecific, and means every path. */
  path: string
  pathType: PathType
  backend: IngressBackend
  /** Index in the manifest, for `spec.rules[i].http.paths[index]` positions. */
  index: number
}>
export type IngressRule = Readonly<{
  /** Lower case as validated; `''` is every host; may start with `*.`. */
  host: string
  /** Undefined if the rule has no `http`: all requests of the host then go to the default backend (I-11). */
  paths: readonly IngressPath[] | undefined
  index: number
}>
export type IngressTls = Readonly<{ hosts: readonly string[]; secretName: string | undefined; index: number }>

export type Ingress = ResourceOf<
  'Ingress',
  {
    ingressClassName: string | undefined
    defaultBackend: IngressBackend | undefined
    rules: readonly IngressRule[]
    tls: readonly IngressTls[]
  }
>

export type IngressClass = ResourceOf<'IngressClass', { controller: string; isDefault: boolean }>

// ---- v1 Service

/** Portico's own: endpoints of the Service, `host:port` with commas between. */
export const ENDPOINTS_ANNOTATION = 'portico.dev/endpoints'
/** Portico's own: "true" on an EndpointSlice makes its endpoints backups, used only if no other endpoint can be. */
export const BACKUP_ANNOTATION = 'portico.dev/backup'

export type Protocol = 'TCP' | 'UDP' | 'SCTP'
export type ServiceType = 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'

export type ServicePort = Readonly<{
  /** `''` when unnamed. */
  name: string
  protocol: Protocol
  port: number
  /** Number, or the name of a container port. */
  targetPort: number | string
  nodePort: number | undefined
  appProtocol: string | undefined
  index: number
}>

export type Service = ResourceOf<
  'Service',
  {
    type: ServiceType
    ports: readonly ServicePort[]
    /** Undefined or empty: endpoints are managed by hand (S16). */
    selector: Readonly<Record<string, string>> | undefined
    /** As written; `None` means headless; undefined: to be allocated. */
    clusterIP: string | undefined
    clusterIPs: readonly string[]
    headless: boolean
    externalName: string | undefined
    externalIPs: readonly string[]
    loadBalancerIP: string | undefined
    loadBalancerClass: string | undefined
    /** From the field, or if absent from `service.beta.kubernetes.io/load-balancer-source-ranges` (S20). */
    loadBalancerSourceRanges: readonly string[]
    allocateLoadBalancerNodePorts: boolean
    externalTrafficPolicy: 'Cluster' | 'Local'
    internalTrafficPolicy: 'Cluster' | 'Local'
    healthCheckNodePort: number | undefined
    /** Undefined means none. */
    sessionAffinity: Readonly<{ type: 'ClientIP'; timeoutSeconds: number }> | undefined
    publishNotReadyAddresses: boolean
    ipFamilies: readonly ('IPv4' | 'IPv6')[]
    ipFamilyPolicy: string | undefined
    trafficDistribution: string | undefined
    /** status.loadBalancer.ingress, if the manifest has it. */
    loadBalancerIngress: readonly Readonly<{ ip?: string; hostname?: string }>[]
  }
>

// ---- discovery.k8s.io/v1 EndpointSlice, v1 Endpoints

export type SliceEndpoint = Readonly<{
  /** Only the first has a defined meaning (S31). */
  addresses: readonly string[]
  ready: boolean
  serving: boolean
  terminating: boolean
  hostname: string | undefined
  nodeName: string | undefined
  zone: string | undefined
  /** hints.forZones / forNodes. */
  hintZones: readonly string[]
  hintNodes: readonly string[]
  targetName: string | undefined
  index: number
}>
/** `port` undefined: "all ports" (D14). */
export type SlicePort = Readonly<{
  name: string
  protocol: Protocol
  port: number | undefined
  appProtocol: string | undefined
}>

export type EndpointSlice = ResourceOf<
  'EndpointSlice',
  {
    /** Label `kubernetes.io/service-name`; undefined: it belongs to no Service. */
    serviceName: string | undefined
    addressType: 'IPv4' | 'IPv6' | 'FQDN'
    endpoints: readonly SliceEndpoint[]
    backup: boolean
    /** Empty list: no port is known. */
    ports: readonly SlicePort[]
  }
>

export type EndpointsAddress = Readonly<{ ip: string; hostname: string | undefined; targetName: string | undefined }>
export type Endpoints = ResourceOf<
  'Endpoints',
  {
    subsets: readonly Readonly<{
      addresses: readonly EndpointsAddress[]
      notReadyAddresses: readonly EndpointsAddress[]
      ports: readonly SlicePort[]
      index: number
    }>[]
  }
>

// ---- v1 Pod

export type ContainerPort = Readonly<{ name: string; containerPort: number; protocol: Protocol }>
/** The parts of a readinessProbe that health checks need. A named `port` is resolved to its number, 0 if there is no such port. */
export type ReadinessProbe = Readonly<{
  type: 'http' | 'tcp' | 'grpc' | 'exec'
  /** `''` means the address of the Pod. */
  host: string
  path: string
  port: number
  scheme: 'HTTP' | 'HTTPS'
  headers: readonly (readonly [string, string])[]
  /** gRPC alone. */
  service: string
  periodSeconds: number
  timeoutSeconds: number
  successThreshold: number
  failureThreshold: number
}>
export type Pod = ResourceOf<
  'Pod',
  {
    /** status.podIP and podIPs. */
    podIPs: readonly string[]
    phase: string | undefined
    /** The condition Ready of the status; undefined if the manifest has none, which counts as ready. */
    ready: boolean | undefined
    terminating: boolean
    hostname: string | undefined
    subdomain: string | undefined
    nodeName: string | undefined
    /** Containers in order, then init containers with restartPolicy Always (S8). */
    ports: readonly ContainerPort[]
    /** The probes of its containers and sidecars: the Pod is ready if all of them succeed. */
    readinessProbes: readonly ReadinessProbe[]
  }
>

// ---- v1 Secret, ConfigMap, Namespace

export type Secret = ResourceOf<'Secret', { type: string; data: ReadonlyMap<string, Buffer> }>
/** Its values may be large and are seldom needed: `readContent` reads them from the text again. */
export type ConfigMap = ResourceOf<'ConfigMap', { keys: ReadonlyMap<string, 'data' | 'binaryData'> }>
export type Namespace = ResourceOf<'Namespace', object>

// ---- apps/v1 Deployment and DaemonSet, where one runs the controller of ingress-nginx

/** A word of the command line of a container. */
export type CommandWord = Readonly<{ text: string; path: FieldPath }>

type WorkloadOf<Kind extends 'Deployment' | 'DaemonSet'> = ResourceOf<
  Kind,
  {
    /** The labels of its Pods. */
    podLabels: Readonly<Record<string, string>>
    command: readonly CommandWord[]
  }
>
export type ControllerWorkload = WorkloadOf<'Deployment'> | WorkloadOf<'DaemonSet'>

// ---- portico.dev/v1alpha1 RoutePolicy

export type PolicyTarget = Readonly<{
  /** Of the namespace of the policy. */
  kind: 'Ingress' | 'Service'
  name: string
  /** `host` or `host/path` of an Ingress; undefined: all of the object. */
  section: string | undefined
  /** Index in the manifest. */
  index: number
  /** The manifest names no kind that may be targeted. The policy is refused, and closes what it may mean. */
  isGuess?: true
}>

export type RoutePolicy = ResourceOf<
  'RoutePolicy',
  {
    targets: readonly PolicyTarget[]
    /** The other fields of `spec`, as they are written: options of filters. */
    options: Readonly<Record<string, unknown>>
  }
>

export type Resource =
  | Ingress
  | IngressClass
  | Service
  | EndpointSlice
  | Endpoints
  | Pod
  | Secret
  | ConfigMap
  | Namespace
  | ControllerWorkload
  | RoutePolicy

export type ResourceKind = Resource['kind']

/** `Kind namespace/name`, or `Kind name` for cluster-scoped kinds: the name of a resource in diagnostics. */
export function printResource(resource: Readonly<{ kind: string; meta: Pick<Meta, 'namespace' | 'name'> }>): string {
  return `${resource.kind} ${printName(resource.meta)}`
}
