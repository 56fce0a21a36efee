/** What the admin listener answers, as far as the pages show it. */

export type Route = Readonly<{
  host: string
  path: string
  pathType: string
  conditions: readonly string[]
  backend: string
  upstream?: string
  endpoints: readonly string[]
  namespace: string
  ingress: string
  state: string
  reason?: string
  filters: readonly string[]
  policies: readonly string[]
  redirectToHttps: boolean
  source: string
  /** Its name in logs, metrics and traffic. */
  id: string
}>

export type Service = Readonly<{
  namespace: string
  name: string
  type: string
  clusterIP: string
  externalIP: string
  ports: readonly string[]
  endpoints: readonly string[]
  source: string
}>

export type Endpoint = Readonly<{
  namespace: string
  service: string
  port: number
  portName: string
  address: string
  name?: string
  weight: number
  source: string
  sourceName: string
  state: string
  reason: string
  healthSince?: string
  ejectedUntil?: string
  live?: Readonly<{
    inFlight: number
    requests: number
    failures: number
    lastFailure?: string
    lastFailureAt?: string
  }>
}>

/** Of a Service's port; those that are closed are left out. */
export type Circuit = Readonly<{ service: string; state: string; workers: number }>

export type Certificate = Readonly<{
  name: string
  commonName: string
  subjectAltNames: readonly string[]
  issuer: string
  selfSigned: boolean
  notBefore: string
  notAfter: string
  daysLeft: number
  state: string
  hosts: readonly string[]
  reason: string
  ingress: string
  source?: string
}>

export type Listener = Readonly<{
  name: string
  kind: string
  address: string
  port: number
  protocol: string
  enabled: boolean
  state: string
}>

export type Worker = Readonly<{
  worker: number
  pid?: number
  state: string
  restarts: number
  inFlight: number
  connections: number
  residentBytes: number
  cpuSeconds: number
}>

export type Diagnostic = Readonly<{
  severity: 'error' | 'warning' | 'info'
  code: string
  message: string
  resource?: string
  help?: string
  file?: string
  line?: number
  column?: number
  excerpt?: string
  notes: readonly Readonly<{ message: string; file?: string; line?: number; column?: number }>[]
}>

export type Overview = Readonly<{
  version: string
  startedAt: string
  configuredAt: string
  generation: number
  ready: boolean
  reasons: readonly string[]
  routes: number
  services: number
  writes: boolean
  records: boolean
  dns: boolean
}>

export type Reload = Readonly<{
  at: string
  outcome: 'reloaded' | 'partly reloaded' | 'refused'
  files: readonly string[]
  changes: readonly string[]
  changeCount: number
  kept: readonly string[]
  newDiagnostics: readonly Diagnostic[]
  goneDiagnostics: number
  restartSettings: readonly string[]
  durationMs?: number
  reason?: string
}>

export type SettingRow = Readonly<{ name: string; text: string; default: string; source: string }>

export type Dns = Readonly<{
  enabled: boolean
  zone: string
  address: string
  port: number
  forward: readonly string[]
  questions: readonly Readonly<{ type: string; code: string; count: number }>[]
  names: readonly Readonly<{ name: string; type: string; data: readonly string[] }>[]
  more: number
}>

export type Percentiles = Readonly<{ p50: number; p90: number; p99: number }>

export type RouteTraffic = Readonly<{
  route: string
  ingress: string
  service: string
  host: string
  path: string
  requests: number
  failures: number
  rate: number
  refusal_rate: number
  duration_ms: Percentiles
}>

export type EndpointTraffic = Readonly<{
  service: string
  endpoint: string
  requests: number
  failures: number
  in_flight: number
  rate: number
}>

export type Traffic = Readonly<{
  /** ISO 8601. */
  at: string
  requests: number
  failures: number
  in_flight: number
  rate: number
  failure_rate: number
  duration_ms?: Percentiles
  routes: readonly RouteTraffic[]
  endpoints: readonly EndpointTraffic[]
}>

export type RequestRow = Readonly<{
  time: string
  request_id: string
  client: string
  host: string
  method: string
  target: string
  protocol: string
  scheme: string
  status: number
  bytes_in: number
  bytes_out: number
  duration_ms: number
  upstream_ms?: number
  ingress?: string
  route?: string
  service?: string
  endpoint?: string
  tries: number
  code?: string
  detail?: string
  worker?: number
  trace_id?: string
  user_agent?: string
}>

export type RequestDetail = RequestRow &
  Readonly<{
    cause?: string
    timeline: readonly Readonly<{ event: string; at_ms: number; duration_ms?: number; detail?: string }>[]
    attempts: readonly Readonly<{
      endpoint: string
      reused: boolean
      connect_ms?: number
      first_byte_ms?: number
      end_ms?: number
      outcome: string
    }>[]
    filters: readonly Readonly<{ name: string; effect: string; at_ms?: number; duration_ms?: number }>[]
  }>
