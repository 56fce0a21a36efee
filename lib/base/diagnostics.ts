/** Problems of the configuration: the catalogue of codes, and the list that collects diagnostics. They are never thrown. */
import { printCount } from './count.ts'
import { compareText } from './order.ts'
import type { SourcePosition } from './position.ts'

export type Severity = 'error' | 'warning' | 'info'

/**
 * Every configuration problem Portico can report, with its severity and meaning. An error leaves out an object, a route or a
 * certificate. A state that may be intended (endpoints and Secrets that come later, a date) is a warning.
 * `lib/base/codes.md` lists the same codes for people; a test holds the two together.
 */
export const DIAGNOSTICS = {
  // Reading files
  PORTICO_FILE_NOT_FOUND: ['error', 'a path given with -f or -c does not exist, or a glob matches nothing'],
  PORTICO_FILE_UNREADABLE: ['error', 'a file, a folder or another provider cannot be read'],
  PORTICO_FILE_TOO_LARGE: ['error', 'a file is larger than the limit'],
  PORTICO_FILE_BINARY: ['error', 'a file is not text'],
  PORTICO_FILE_LOOP: ['warning', 'a folder link leads back to a folder already read'],
  PORTICO_FILE_OUTSIDE: ['warning', 'a link leads to a folder outside of the one that is read'],
  PORTICO_FILE_TOO_MANY: ['error', 'a folder tree holds more files than the limit'],
  PORTICO_FILE_UNBUILT: [
    'warning',
    'a folder is built by kustomize or Helm; an error where -f names it and nothing of it is read',
  ],
  PORTICO_FILE_EMPTY: ['warning', 'no manifest was found in what -f named'],
  // YAML and JSON text
  PORTICO_YAML_SYNTAX: ['error', 'a document is not well-formed YAML'],
  PORTICO_YAML_DUPLICATE_KEY: ['error', 'a mapping has the same key twice'],
  PORTICO_YAML_TAB: ['error', 'a tab is used for indentation'],
  PORTICO_YAML_ALIAS_LIMIT: ['error', 'aliases expand beyond the limit'],
  PORTICO_YAML_LIMIT: ['error', 'reading a file takes more time or memory than the limit'],
  PORTICO_YAML_DEPTH: ['error', 'a document nests deeper than the limit'],
  PORTICO_YAML_TAG: ['error', 'a custom tag is used'],
  // Resources
  PORTICO_RES_NOT_AN_OBJECT: ['error', 'a document is not a Kubernetes object'],
  PORTICO_RES_KIND_UNKNOWN: [
    'warning',
    'apiVersion and kind are not known; an error where they look like a misspelt kind that would be served',
  ],
  PORTICO_RES_KIND_UNSERVED: ['warning', 'a kind that routes or guards traffic in a cluster does nothing here'],
  PORTICO_RES_KIND_DEPRECATED: ['warning', 'a beta API group was converted'],
  PORTICO_RES_FIELD_UNKNOWN: ['warning', 'a field does not exist in the schema; an error in a RoutePolicy'],
  PORTICO_RES_FIELD_TYPE: ['error', 'a field has the wrong type'],
  PORTICO_RES_FIELD_REQUIRED: ['error', 'a required field is missing'],
  PORTICO_RES_FIELD_VALUE: [
    'error',
    "a value breaks one of the API server's validation rules, or cannot be used in a RoutePolicy",
  ],
  PORTICO_RES_DUPLICATE: ['error', 'two objects have the same kind, namespace and name'],
  PORTICO_RES_MORE: ['error', 'there is more wrong than is listed; a warning where nothing of it is an error'],
  // Settings
  PORTICO_SET_FIELD_UNKNOWN: ['error', 'a setting does not exist'],
  PORTICO_SET_FIELD_VALUE: ['error', 'a setting has a value that is not allowed'],
  PORTICO_SET_MISSING: ['error', 'the file given with -c holds no GatewayConfiguration'],
  PORTICO_SET_DUPLICATE: ['error', 'more than one GatewayConfiguration was given'],
  PORTICO_SET_CONTROLLER: [
    'warning',
    "a key of the controller's ConfigMap, or a flag of its command line, is not done as it is written; an error where it guards",
  ],
  // References
  PORTICO_REF_SERVICE_NOT_FOUND: ['error', 'an Ingress names a Service that does not exist'],
  PORTICO_REF_PORT_NOT_FOUND: ['error', 'an Ingress names a port that the Service does not have'],
  PORTICO_REF_SECRET_NOT_FOUND: [
    'warning',
    'a tls section names a Secret that does not exist; an error where a guard, or the setting tlsSecret, names it',
  ],
  PORTICO_REF_CONFIG_MAP_NOT_FOUND: ['error', 'an annotation names a ConfigMap, or a key of one, that does not exist'],
  PORTICO_REF_TARGET_NOT_FOUND: ['error', 'a RoutePolicy targets an object, or a section of one, that does not exist'],
  PORTICO_REF_CLASS_NOT_FOUND: [
    'warning',
    'an Ingress names an IngressClass that does not exist; an error where one has nearly that name',
  ],
  PORTICO_REF_CLASS_FOREIGN: ['info', "an Ingress belongs to another controller's class"],
  PORTICO_REF_CLASS_MISSING: ['info', 'an Ingress has no class while classes are in force and none is default'],
  PORTICO_REF_CLASS_INFORMATIONAL: [
    'info',
    'class names are given but no IngressClass object: every Ingress is served',
  ],
  PORTICO_REF_RESOURCE_UNSUPPORTED: ['error', 'a resource backend of a kind that cannot be served'],
  PORTICO_REF_NO_ENDPOINTS: ['warning', 'a Service that a route needs has no endpoints'],
  PORTICO_REF_PORT_PROTOCOL: ['error', 'an Ingress names a UDP or SCTP port'],
  PORTICO_REF_APP_PROTOCOL: ['warning', 'an appProtocol that is not supported is treated as HTTP/1.1'],
  PORTICO_REF_EXTERNAL_NAME_DENIED: ['error', 'an ExternalName leads to an address that is not allowed'],
  PORTICO_REF_POLICY_LOCAL: ['warning', 'a Local traffic policy has no meaning without nodeName'],
  PORTICO_REF_PROBE_COMMAND: ['info', 'the readinessProbe of Pods is a command, which cannot be run from here'],
  // Where Services are reached
  PORTICO_SVC_PORT_TAKEN: ['warning', 'a port or an address that a Service asks for is taken'],
  PORTICO_SVC_EXHAUSTED: ['warning', 'no port or address is left that a Service could be given'],
  PORTICO_SVC_ADDRESS: ['info', 'a Service gets another address than it asks for'],
  PORTICO_SVC_FAMILY: ['warning', 'a Service asks for an IP family that clusterIPs do not have here'],
  PORTICO_SVC_PROTOCOL: ['warning', 'a Service has an SCTP port, which is not listened on'],
  PORTICO_SVC_LOOPBACK: [
    'warning',
    'in a container an endpoint at a loopback address refuses: that is the container itself',
  ],
  PORTICO_SVC_UNGUARDED: ['warning', 'a guard of a Service does not guard its own ports, which are open to clients'],
  PORTICO_SVC_OVERRULED: [
    'warning',
    'an Ingress says something of a Service port that the Service itself or an older Ingress decides otherwise',
  ],
  PORTICO_ROUTE_PASSTHROUGH: ['error', 'TLS of a host cannot be passed through, and ends at the gateway'],
  PORTICO_SVC_PORT_MAP: ['warning', 'a key of a ConfigMap that opens ports names no port that can be opened'],
  PORTICO_SVC_UNHEARD: ['info', 'something of a Service is not listened on that would be in a cluster'],
  // Annotations
  PORTICO_ANN_UNKNOWN: [
    'warning',
    'an unknown annotation under portico.dev/; an error where it means a guard, whose routes are closed',
  ],
  PORTICO_ANN_VALUE: ['error', 'an annotation has a value that cannot be used'],
  PORTICO_ANN_UNSUPPORTED: ['warning', 'an annotation of another controller has no effect here'],
  PORTICO_ANN_GUARD_UNSUPPORTED: [
    'error',
    'an annotation promises to refuse, check or limit requests, which is not done here: its routes are closed; a warning where the setting unsupportedGuards lets them be served',
  ],
  PORTICO_ANN_CANARY: ['warning', 'a canary Ingress, or a path of one, serves nothing'],
  // Routes
  PORTICO_ROUTE_ADDRESS_FALLS_THROUGH: [
    'warning',
    "a condition on clients' addresses changes nothing: other clients are served the same by another route",
  ],
  PORTICO_ROUTE_CONFLICT: ['error', 'two rules claim the same host, path, path type and conditions'],
  PORTICO_ROUTE_DEFAULT_CONFLICT: ['error', 'two Ingresses claim the default backend'],
  PORTICO_ROUTE_FILTER_MISFIT: [
    'warning',
    'a filter does not fit the path of a route, or the other routes of its host',
  ],
  PORTICO_ROUTE_FILTER_OVERRIDDEN: [
    'info',
    'a filter does not act on routes, since a more specific object has the same filter',
  ],
  PORTICO_ROUTE_FILTER_UNEVEN: [
    'warning',
    'Services among which requests are divided do not have the same filters; an error where that closes the routes, information where a guard acts on all of them',
  ],
  PORTICO_ROUTE_HOST_PATTERNS: [
    'warning',
    'paths of an Ingress are regular expressions, since another Ingress says so of all paths of the host',
  ],
  PORTICO_ROUTE_IMPLEMENTATION_SPECIFIC: ['info', 'an ImplementationSpecific path is matched as Prefix'],
  PORTICO_ROUTE_DEFAULT_CONDITIONS: ['error', 'a default backend for all hosts has conditions'],
  PORTICO_ROUTE_PATTERN: ['error', 'a path that should be a regular expression is none'],
  PORTICO_ROUTE_POLICY_CONFLICT: [
    'warning',
    'two RoutePolicies of equal rank have the same filter for one target; an error where it guards',
  ],
  PORTICO_ROUTE_POLICY_REFUSED: [
    'error',
    'a RoutePolicy with an error guards, or has conditions, so that routes of its targets are closed',
  ],
  PORTICO_ROUTE_REDIRECT_INCOMPLETE: ['warning', 'a redirect lacks a host, a path or a certificate that it needs'],
  PORTICO_ROUTE_REDIRECT_LOOP: ['warning', 'clients of a route are redirected to the same host without end'],
  PORTICO_ROUTE_SLASH_BYPASS: [
    'warning',
    'requests with a doubled slash get past a guard, on a listener that does not merge slashes',
  ],
  PORTICO_ROUTE_UNREACHABLE: ['error', 'a route can never match'],
  // Certificates
  PORTICO_TLS_CERTIFICATE_INVALID: ['error', 'a TLS Secret does not hold a usable certificate and key'],
  PORTICO_TLS_KEY_MISMATCH: ['error', 'the private key does not belong to the certificate'],
  PORTICO_TLS_EXPIRED: ['warning', 'a certificate has expired'],
  PORTICO_TLS_EXPIRES_SOON: ['warning', 'a certificate expires within 14 days'],
  PORTICO_TLS_NOT_YET_VALID: ['warning', 'a certificate is not valid yet'],
  PORTICO_TLS_WEAK_KEY: ['warning', 'a certificate has an RSA key of fewer than 2048 bits'],
  PORTICO_TLS_HOST_NOT_COVERED: ['error', 'a certificate does not cover a host of its tls section'],
  PORTICO_TLS_CONFLICT: ['error', 'two Ingresses bring different certificates for one host'],
} as const satisfies Record<string, readonly [Severity, string]>

export type DiagnosticCode = keyof typeof DIAGNOSTICS

/** A second place that belongs to a diagnostic: "the other one is here". */
export type DiagnosticNote = Readonly<{ message: string; position?: SourcePosition }>

export type Diagnostic = Readonly<{
  code: DiagnosticCode
  severity: Severity
  /** The problem: lower-case start, no full stop, the API server's wording if it has one. */
  message: string
  position?: SourcePosition
  /** The resource as `Kind namespace/name`. */
  resource?: string
  /** What to do about it. */
  help?: string
  notes: readonly DiagnosticNote[]
}>

export type DiagnosticDetails = {
  position?: SourcePosition | undefined
  resource?: string | undefined
  help?: string | undefined
  notes?: readonly DiagnosticNote[]
  /** Only for a code whose severity depends on the circumstances. */
  severity?: Severity
}

/** Collects diagnostics; bounded, since a hostile file could hold millions. */
export class DiagnosticList {
  readonly items: Diagnostic[] = []
  /** The number of diagnostics left out beyond `limit`. */
  dropped: number = 0
  readonly limit: number
  /** The worst severity among the diagnostics left out. */
  worstDropped: 'error' | 'warning' = 'warning'

  constructor(limit: number = 10_000) {
    this.limit = limit
  }

  get isFull(): boolean {
    return this.items.length >= this.limit
  }

  add(code: DiagnosticCode, message: string, details: DiagnosticDetails = {}): void {
    const severity = details.severity ?? DIAGNOSTICS[code][0]
    if (this.isFull) {
      this.drop(1, severity)
      return
    }
    const { position, resource, help } = details
    this.items.push(
      Object.freeze({
        code,
        severity,
        message,
        notes: details.notes ?? [],
        ...(position && { position }),
        ...(resource && { resource }),
        ...(help && { help }),
      }),
    )
  }

  addAll(others: readonly Diagnostic[]): void {
    for (const other of others) {
      if (this.isFull) this.drop(1, other.severity)
      else this.items.push(other)
    }
  }

  /** Counts diagnostics that are left out. */
  drop(count: number, worst: Severity): void {
    this.dropped += count
    if (count > 0 && worst === 'error') this.worstDropped = 'error'
  }

  /** Adds, behind the last listed diagnostic, how many more there are in `where`. */
  closeList(code: DiagnosticCode, where: string): void {
    if (this.dropped === 0) return
    const { position, resource } = this.items.at(-1) ?? {}
    this.items.push(
      Object.freeze({
        code,
        severity: this.worstDropped,
        message: `${where}: ${this.dropped === 1 ? '1 more problem is' : `${this.dropped} more problems are`} not listed`,
        notes: [],
        help: 'mend those that are listed first',
        ...(position && { position }),
        ...(resource && { resource }),
      }),
    )
    this.dropped = 0
  }

  /** Ordered by file, line, column, then code; diagnostics without a position come first. */
  sorted(): readonly Diagnostic[] {
    return [...this.items].sort(compareDiagnostics)
  }
}

function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  const left = a.position
  const right = b.position
  if (!left || !right) return Number(Boolean(left)) - Number(Boolean(right)) || compareText(a.code, b.code)
  return (
    compareText(left.file, right.file) ||
    left.line - right.line ||
    left.column - right.column ||
    compareText(a.code, b.code)
  )
}

/** The number of objects whose kind routes or guards traffic in a cluster and does nothing here. */
export function countUnserved(items: readonly Diagnostic[]): number {
  return items.filter(({ code }) => code === 'PORTICO_RES_KIND_UNSERVED').length
}

/** `2 errors, 1 warning`: the problems that `--strict` refuses; undefined if there are none. */
export function printTrouble(items: readonly Diagnostic[]): string | undefined {
  const { error, warning } = countDiagnostics(items)
  const parts = [
    ...(error > 0 ? [printCount(error, 'error')] : []),
    ...(warning > 0 ? [printCount(warning, 'warning')] : []),
  ]
  return parts.length === 0 ? undefined : parts.join(', ')
}

/** Counts by severity. */
export function countDiagnostics(items: readonly Diagnostic[]): Record<Severity, number> {
  const counts: Record<Severity, number> = { error: 0, warning: 0, info: 0 }
  for (const item of items) counts[item.severity]++
  return counts
}

/** A help, and what happens until people follow it: `did you mean "a"? until then …`, or `write a; until then …`. */
export function addOutcome(help: string, outcome: string): string {
  return `${help}${help.endsWith('?') ? '' : ';'} ${outcome}`
}
