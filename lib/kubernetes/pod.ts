/** Pod: v1, the parts that matter for its endpoints. */
import { checkDnsSubdomain, checkPortName, checkPortNumber } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { ContainerPort, Pod, ReadinessProbe } from './resource.ts'
import { decodeProtocol } from './service-port.ts'

export function decodePod(root: FieldReader): Pod {
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const spec = root.child('spec')
  const status = root.child('status')
  const containers = spec.items('containers')
  // Sidecars are init containers that keep running (S8).
  const sidecars = spec.items('initContainers').filter((container) => container.string('restartPolicy') === 'Always')
  const probes: ReadinessProbe[] = []
  const ports = [...containers, ...sidecars].flatMap((container) => {
    const own = container.items('ports').map(decodeContainerPort)
    const probe = container.has('readinessProbe') && decodeProbe(container.child('readinessProbe'), own)
    if (probe) probes.push(probe)
    return own
  })
  return Object.freeze({
    kind: 'Pod',
    meta,
    origin: root.report.origin,
    podIPs: Object.freeze(readAddresses(status)),
    phase: status.string('phase'),
    ready: readReadiness(status),
    terminating: root.child('metadata').has('deletionTimestamp'),
    hostname: spec.string('hostname') || undefined,
    subdomain: spec.string('subdomain') || undefined,
    nodeName: spec.string('nodeName') || undefined,
    ports: Object.freeze(ports),
    readinessProbes: Object.freeze(probes),
  })
}

/** status.podIP first, then the other families of status.podIPs. */
function readAddresses(status: FieldReader): readonly string[] {
  const all = [status.string('podIP'), ...status.items('podIPs').map((entry) => entry.string('ip'))]
  return [...new Set(all.filter((address) => address !== undefined && address !== ''))] as string[]
}

function readReadiness(status: FieldReader): boolean | undefined {
  const condition = status.items('conditions').find((entry) => entry.string('type') === 'Ready')
  return condition && condition.string('status') === 'True'
}

function decodeContainerPort(item: FieldReader): ContainerPort {
  const { report } = item
  const name = item.string('name') ?? ''
  if (name !== '') for (const problem of checkPortName(name)) report.invalid(item.at('name'), name, problem)
  const containerPort = item.integer('containerPort') ?? 0
  if (item.has('containerPort')) {
    for (const problem of checkPortNumber(containerPort)) {
      report.invalid(item.at('containerPort'), containerPort, problem)
    }
  } else {
    report.required(item.at('containerPort'))
  }
  return Object.freeze({ name, containerPort, protocol: decodeProtocol(item) ?? 'TCP' })
}

/**
 * Decodes a probe, with the API server's defaults; undefined if it has no action. A named port is a port of the same container.
 * `initialDelaySeconds` has no meaning here, since the Pod runs already.
 */
function decodeProbe(probe: FieldReader, ports: readonly ContainerPort[]): ReadinessProbe | undefined {
  const target = readTarget(probe, ports)
  return (
    target &&
    Object.freeze({
      ...target,
      periodSeconds: probe.integer('periodSeconds') || 10,
      timeoutSeconds: probe.integer('timeoutSeconds') || 1,
      successThreshold: probe.integer('successThreshold') || 1,
      failureThreshold: probe.integer('failureThreshold') || 3,
    })
  )
}

type ProbeTarget = Pick<ReadinessProbe, 'type' | 'host' | 'path' | 'port' | 'scheme' | 'headers' | 'service'>

function readTarget(probe: FieldReader, ports: readonly ContainerPort[]): ProbeTarget | undefined {
  const none = { host: '', path: '', port: 0, scheme: 'HTTP', headers: Object.freeze([]), service: '' } as const
  const readPort = (handler: FieldReader): number => {
    const port = handler.integerOrString('port') ?? 0
    return typeof port === 'number' ? port : (ports.find(({ name }) => name === port)?.containerPort ?? 0)
  }
  if (probe.has('httpGet')) {
    const http = probe.child('httpGet')
    const headers = http
      .items('httpHeaders')
      .map((header) => Object.freeze([header.string('name') ?? '', header.string('value') ?? ''] as const))
    return {
      ...none,
      type: 'http',
      host: http.string('host') ?? '',
      path: http.string('path') || '/',
      port: readPort(http),
      scheme: http.string('scheme') === 'HTTPS' ? 'HTTPS' : 'HTTP',
      headers: Object.freeze(headers),
    }
  }
  if (probe.has('tcpSocket')) {
    const tcp = probe.child('tcpSocket')
    return { ...none, type: 'tcp', host: tcp.string('host') ?? '', port: readPort(tcp) }
  }
  if (probe.has('grpc')) {
    const grpc = probe.child('grpc')
    return { ...none, type: 'grpc', port: grpc.integer('port') ?? 0, service: grpc.string('service') ?? '' }
  }
  return probe.has('exec') ? { ...none, type: 'exec' } : undefined
}
