/** The ports of a Service: defaults, rules, and duplicates. */
import type { FieldPath } from '../base/position.ts'
import { checkDnsLabel, checkPortName, checkPortNumber, checkQualifiedName } from './format.ts'
import type { FieldReader } from './reader.ts'
import type { Protocol, ServicePort, ServiceType } from './resource.ts'

const PROTOCOLS: readonly Protocol[] = ['SCTP', 'TCP', 'UDP']

export function decodeServicePorts(spec: FieldReader, type: ServiceType | undefined): readonly ServicePort[] {
  const items = spec.items('ports')
  const names = new Map<string, FieldPath>()
  const ports = items.map((port, index) => decodePort(port, index, items.length > 1, names))
  checkNodePorts(items, ports, type)
  checkRepeatedPorts(items, ports)
  return ports
}

/** `TCP` if absent; undefined, and reported, if the protocol is unknown. */
export function decodeProtocol(port: FieldReader): Protocol | undefined {
  const written = port.string('protocol') || 'TCP'
  const protocol = PROTOCOLS.find((known) => known === written)
  if (protocol === undefined) port.report.unsupported(port.at('protocol'), written, PROTOCOLS, protocolHelp(written))
  return protocol
}

/** The help for a protocol of a higher layer, which belongs in appProtocol. */
function protocolHelp(written: string): string | undefined {
  const isTcp = /^(?:https?|http[/-]?[12](?:\.[01])?|h2c?|grpcs?|wss?|tls|ssl|mongo|mysql|redis)$/i.test(written)
  return isTcp ? 'did you mean "TCP"? the protocol spoken over it goes into appProtocol' : undefined
}

function decodePort(port: FieldReader, index: number, needsName: boolean, names: Map<string, FieldPath>): ServicePort {
  const { report } = port
  const name = port.string('name') ?? ''
  if (name === '') {
    if (needsName) report.required(port.at('name'), '', { help: 'a Service with several ports must name each' })
  } else {
    for (const problem of checkDnsLabel(name)) report.invalid(port.at('name'), name, problem)
    const first = names.get(name)
    if (first) report.duplicate(port.at('name'), name, first)
    else names.set(name, port.at('name'))
  }
  const number = port.integer('port') ?? 0
  const help = port.has('port') ? 'write the port that others are to use for the Service' : 'add port'
  for (const problem of checkPortNumber(number)) report.invalid(port.at('port'), number, problem, { help })
  const protocol = decodeProtocol(port) ?? 'TCP'
  const targetPort = decodeTargetPort(port, number)
  const appProtocol = port.string('appProtocol')
  if (appProtocol !== undefined) {
    for (const problem of checkQualifiedName(appProtocol)) {
      report.invalid(port.at('appProtocol'), appProtocol, problem)
    }
  }
  const nodePort = port.integer('nodePort') || undefined
  return Object.freeze({ name, protocol, port: number, targetPort, nodePort, appProtocol, index })
}

/** The target port: the port itself if absent, 0 or empty (D6). */
function decodeTargetPort(port: FieldReader, number: number): number | string {
  const target = port.integerOrString('targetPort') || number
  if (target === number) return number
  const problems = typeof target === 'number' ? checkPortNumber(target) : checkPortName(target)
  for (const problem of problems) {
    const isQuoted = typeof target === 'string' && /^\d+$/.test(target)
    const help = isQuoted ? `write ${target} without quotes` : 'write the port the program listens on, or its name'
    port.report.invalid(port.at('targetPort'), target, problem, { help })
  }
  return target
}

/** Checks within one Service. The range is a setting, and conflicts are settled among all Services: see translate/exposure/node-port. */
function checkNodePorts(
  items: readonly FieldReader[],
  ports: readonly ServicePort[],
  type: ServiceType | undefined,
): void {
  const seen = new Map<string, FieldPath>()
  for (const [index, { nodePort, protocol }] of ports.entries()) {
    const item = items[index] as FieldReader
    const at = item.at('nodePort')
    if (nodePort === undefined) continue
    if (type === 'ClusterIP') {
      item.report.forbidden(at, "may not be used when `type` is 'ClusterIP'", {
        help: 'remove nodePort, or make the type NodePort',
      })
    }
    const first = seen.get(`${protocol} ${nodePort}`)
    if (first) item.report.duplicate(at, nodePort, first)
    else seen.set(`${protocol} ${nodePort}`, at)
  }
}

/** A port is its number and protocol together (S6). */
function checkRepeatedPorts(items: readonly FieldReader[], ports: readonly ServicePort[]): void {
  const seen = new Map<string, FieldPath>()
  for (const [index, { protocol, port }] of ports.entries()) {
    const item = items[index] as FieldReader
    if (port === 0) continue
    const first = seen.get(`${protocol} ${port}`)
    if (first) item.report.duplicate(item.path, { protocol, port, targetPort: 0 }, first)
    else seen.set(`${protocol} ${port}`, item.path)
  }
}
