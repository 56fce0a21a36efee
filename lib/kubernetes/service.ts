/** Service: v1, with the API server's defaults and rules. */
import { parseEndpointAddresses } from '../base/endpoint-address.ts'
import { checkAddress, checkCidr, checkNonSpecial } from './address.ts'
import { checkDns1035Label, checkDnsSubdomain, checkPortNumber, checkQualifiedName } from './format.ts'
import { checkLabels, decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import { ENDPOINTS_ANNOTATION, type Service, type ServiceType } from './resource.ts'
import { checkServiceAddresses } from './service-address.ts'
import { decodeServicePorts } from './service-port.ts'

const TYPES: readonly ServiceType[] = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']
const POLICIES = ['Cluster', 'Local'] as const
const DISTRIBUTIONS = ['PreferClose', 'PreferSameZone', 'PreferSameNode']
const SOURCE_RANGES_ANNOTATION = 'service.beta.kubernetes.io/load-balancer-source-ranges'
const DEFAULT_AFFINITY_SECONDS = 10_800
const MAX_AFFINITY_SECONDS = 86_400
const KUBELET_PORT = 10_250

// The checks come in the API server's order (ValidateService in pkg/apis/core/validation).
export function decodeService(root: FieldReader): Service {
  const { report } = root
  const meta = decodeMeta(root, 'namespaced', checkDns1035Label)
  checkEndpointsAnnotation(root, meta.annotations)
  const spec = root.child('spec')
  const written = spec.string('type') || 'ClusterIP'
  const type = TYPES.find((known) => known === written)
  const clusterIP = spec.string('clusterIP') || undefined
  const clusterIPs = readClusterIPs(spec, clusterIP)
  const headless = type !== 'ExternalName' && clusterIPs[0] === 'None'

  if (spec.items('ports').length === 0 && !headless && type !== 'ExternalName') report.required(spec.at('ports'))
  if (headless && (type === 'NodePort' || type === 'LoadBalancer')) {
    report.invalid(spec.at('clusterIPs', 0), 'None', `may not be set to 'None' for ${type} services`, {
      at: spec.at(spec.has('clusterIPs') ? 'clusterIPs' : 'clusterIP'),
      help: 'leave clusterIP out, or make the type ClusterIP',
    })
  }
  if (type === 'ExternalName') checkExternalName(spec)
  const ports = decodeServicePorts(spec, type)
  if (type === 'LoadBalancer') checkKubeletPort(spec)
  const selector = spec.has('selector') ? spec.stringMap('selector') : undefined
  if (selector) checkLabels(spec, 'selector', selector)
  const sessionAffinity = decodeAffinity(spec)
  if (type !== 'ExternalName') checkServiceAddresses(spec, clusterIP, clusterIPs)
  const externalIPs = decodeExternalIPs(spec)
  if (type === undefined) report.unsupported(spec.at('type'), written, TYPES)
  const loadBalancerSourceRanges = decodeSourceRanges(root, spec, type, meta.annotations)
  if (spec.has('allocateLoadBalancerNodePorts') && type !== 'LoadBalancer') {
    report.forbidden(spec.at('allocateLoadBalancerNodePorts'), "may only be used when `type` is 'LoadBalancer'")
  }
  const loadBalancerClass = decodeLoadBalancerClass(spec, type)
  const isExternal = type === 'NodePort' || type === 'LoadBalancer' || externalIPs.length > 0
  const externalTrafficPolicy = decodeExternalPolicy(spec, isExternal)
  const healthCheckNodePort = decodeHealthCheckPort(spec, type, externalTrafficPolicy)
  const internalTrafficPolicy = decodePolicy(spec, 'internalTrafficPolicy')
  const trafficDistribution = spec.string('trafficDistribution')
  if (trafficDistribution !== undefined && !DISTRIBUTIONS.includes(trafficDistribution)) {
    report.unsupported(spec.at('trafficDistribution'), trafficDistribution, DISTRIBUTIONS)
  }
  return Object.freeze({
    kind: 'Service',
    meta,
    origin: report.origin,
    type: type ?? 'ClusterIP',
    ports: Object.freeze(ports),
    selector: selector && Object.freeze(selector),
    clusterIP,
    clusterIPs: Object.freeze(clusterIPs),
    headless,
    externalName: type === 'ExternalName' ? spec.string('externalName') : undefined,
    externalIPs: Object.freeze(externalIPs),
    loadBalancerIP: spec.string('loadBalancerIP') || undefined,
    loadBalancerClass,
    loadBalancerSourceRanges: Object.freeze(loadBalancerSourceRanges),
    allocateLoadBalancerNodePorts: spec.boolean('allocateLoadBalancerNodePorts') ?? true,
    externalTrafficPolicy,
    internalTrafficPolicy,
    healthCheckNodePort,
    sessionAffinity,
    publishNotReadyAddresses: spec.boolean('publishNotReadyAddresses') ?? false,
    ipFamilies: Object.freeze(spec.strings('ipFamilies').filter((family) => family === 'IPv4' || family === 'IPv6')),
    ipFamilyPolicy: spec.string('ipFamilyPolicy'),
    trafficDistribution,
    loadBalancerIngress: Object.freeze(decodeLoadBalancerIngress(root)),
  })
}

/** Reports malformed entries, which are left out; the Service stays. */
function checkEndpointsAnnotation(root: FieldReader, annotations: Readonly<Record<string, string>>): void {
  const text = annotations[ENDPOINTS_ANNOTATION]
  if (text === undefined) return
  const { addresses, problems } = parseEndpointAddresses(text)
  const none = { problem: 'no endpoint is given', help: 'write host:port, or several with commas between' }
  for (const { problem, help } of addresses.length + problems.length === 0 ? [none] : problems) {
    const at = root.at('metadata', 'annotations', ENDPOINTS_ANNOTATION)
    root.report.add('PORTICO_ANN_VALUE', `${ENDPOINTS_ANNOTATION}: ${problem}`, at, { help, isUsable: true })
  }
}

/** clusterIPs if given, or clusterIP alone (D12). */
function readClusterIPs(spec: FieldReader, clusterIP: string | undefined): readonly string[] {
  const given = spec.strings('clusterIPs')
  return given.length > 0 || clusterIP === undefined ? given : [clusterIP]
}

function checkExternalName(spec: FieldReader): void {
  const { report } = spec
  const reason = 'may not be set for ExternalName services'
  const hasAddress = spec.string('clusterIP') || spec.strings('clusterIPs').length > 0
  if (hasAddress) {
    const field = spec.has('clusterIPs') ? 'clusterIPs' : 'clusterIP'
    report.forbidden(spec.at('clusterIPs'), reason, { at: spec.at(field), help: `remove ${field}` })
  }
  if (spec.strings('ipFamilies').length > 0) report.forbidden(spec.at('ipFamilies'), reason)
  if (spec.has('ipFamilyPolicy')) report.forbidden(spec.at('ipFamilyPolicy'), reason)
  const name = (spec.string('externalName') ?? '').replace(/\.$/, '')
  if (name === '') report.required(spec.at('externalName'))
  else for (const problem of checkDnsSubdomain(name)) report.invalid(spec.at('externalName'), name, problem)
}

function checkKubeletPort(spec: FieldReader): void {
  for (const port of spec.items('ports')) {
    if (port.integer('port') !== KUBELET_PORT) continue
    spec.report.invalid(
      port.path,
      KUBELET_PORT,
      `may not expose port ${KUBELET_PORT} externally since it is used by kubelet`,
    )
  }
}

function decodeAffinity(spec: FieldReader): Service['sessionAffinity'] {
  const { report } = spec
  const affinity = spec.string('sessionAffinity') || 'None'
  if (affinity !== 'ClientIP' && affinity !== 'None') {
    report.unsupported(spec.at('sessionAffinity'), affinity, ['ClientIP', 'None'])
  }
  if (affinity === 'None' && spec.has('sessionAffinityConfig')) {
    report.forbidden(spec.at('sessionAffinityConfig'), 'must not be set when session affinity is None', {
      help: 'add sessionAffinity: ClientIP, or remove sessionAffinityConfig',
    })
  }
  const clientIP = spec.child('sessionAffinityConfig').child('clientIP')
  const timeoutSeconds = clientIP.integer('timeoutSeconds') ?? DEFAULT_AFFINITY_SECONDS
  if (timeoutSeconds <= 0 || timeoutSeconds > MAX_AFFINITY_SECONDS) {
    const detail = `must be greater than 0 and less than ${MAX_AFFINITY_SECONDS}`
    report.invalid(clientIP.at('timeoutSeconds'), timeoutSeconds, detail)
  }
  return affinity === 'ClientIP' ? Object.freeze({ type: 'ClientIP', timeoutSeconds }) : undefined
}

function decodeExternalIPs(spec: FieldReader): readonly string[] {
  const addresses = spec.strings('externalIPs')
  for (const [index, address] of addresses.entries()) {
    const malformed = checkAddress(address)
    const problems = malformed.length > 0 ? malformed : checkNonSpecial(address, { allowLoopback: false })
    for (const problem of problems) spec.report.invalid(spec.at('externalIPs', index), address, problem)
  }
  return addresses
}

/** The field or, if absent, the annotation (S20); entries may be padded with spaces. */
function decodeSourceRanges(
  root: FieldReader,
  spec: FieldReader,
  type: ServiceType | undefined,
  annotations: Readonly<Record<string, string>>,
): readonly string[] {
  const { report } = spec
  const reason = "may only be used when `type` is 'LoadBalancer'"
  const ranges = spec.strings('loadBalancerSourceRanges').map((range) => range.trim())
  if (ranges.length > 0) {
    // The API server prints this field with a capital letter.
    const name = 'spec.LoadBalancerSourceRanges'
    if (type !== 'LoadBalancer') report.forbidden(spec.at('loadBalancerSourceRanges'), reason, { name })
    for (const [index, range] of ranges.entries()) {
      for (const problem of checkCidr(range)) {
        report.invalid(spec.at('loadBalancerSourceRanges', index), range, problem, { name: `${name}[${index}]` })
      }
    }
    return ranges
  }
  const annotation = annotations[SOURCE_RANGES_ANNOTATION]
  if (annotation === undefined) return []
  const at = root.at('metadata', 'annotations', SOURCE_RANGES_ANNOTATION)
  if (type !== 'LoadBalancer') report.forbidden(at, reason, { help: 'remove the annotation' })
  if (annotation.trim() === '') return []
  const listed = annotation.split(',').map((range) => range.trim())
  for (const range of listed) {
    for (const problem of checkCidr(range)) report.invalid(at, range, problem)
  }
  return listed
}

function decodeLoadBalancerClass(spec: FieldReader, type: ServiceType | undefined): string | undefined {
  const name = spec.string('loadBalancerClass')
  if (name === undefined) return undefined
  const at = spec.at('loadBalancerClass')
  if (type !== 'LoadBalancer') spec.report.forbidden(at, "may only be used when `type` is 'LoadBalancer'")
  for (const problem of checkQualifiedName(name)) spec.report.invalid(at, name, problem)
  return name
}

function decodeExternalPolicy(spec: FieldReader, isExternal: boolean): 'Cluster' | 'Local' {
  const policy = spec.string('externalTrafficPolicy')
  if (policy && !isExternal) {
    const detail = 'may only be set for externally-accessible services'
    spec.report.invalid(spec.at('externalTrafficPolicy'), policy, detail, { help: 'remove externalTrafficPolicy' })
  }
  const read = decodePolicy(spec, 'externalTrafficPolicy')
  return isExternal ? read : 'Cluster'
}

function decodePolicy(spec: FieldReader, field: string): 'Cluster' | 'Local' {
  const written = spec.string(field) || 'Cluster'
  const policy = POLICIES.find((known) => known === written)
  if (policy === undefined) spec.report.unsupported(spec.at(field), written, POLICIES)
  return policy ?? 'Cluster'
}

function decodeHealthCheckPort(
  spec: FieldReader,
  type: ServiceType | undefined,
  policy: 'Cluster' | 'Local',
): number | undefined {
  const port = spec.integer('healthCheckNodePort') || undefined
  if (port === undefined) return undefined
  const at = spec.at('healthCheckNodePort')
  if (type !== 'LoadBalancer' || policy !== 'Local') {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
    spec.report.invalid(at, port, detail, { help: 'remove healthCheckNodePort' })
  }
  for (const problem of checkPortNumber(port)) spec.report.invalid(at, port, problem)
  return port
}

function decodeLoadBalancerIngress(root: FieldReader): Service['loadBalancerIngress'] {
  return root
    .child('status')
    .child('loadBalancer')
    .items('ingress')
    .map((entry) => {
      const ip = entry.string('ip')
      const hostname = entry.string('hostname')
      return Object.freeze({ ...(ip && { ip }), ...(hostname && { hostname }) })
    })
}
