/** The port of a Service that a backend of an Ingress names. */
import { findNearest } from '../../base/nearest.ts'
import type { IngressServiceBackend, Service, ServicePort } from '../../kubernetes/resource.ts'
import { printPorts } from '../service/endpoint-override.ts'

/** Why a port cannot be had. */
export type PortProblem = Readonly<{
  code: 'PORTICO_REF_PORT_NOT_FOUND' | 'PORTICO_REF_PORT_PROTOCOL'
  message: string
  help: string
}>

/** The port that a backend names (S13), or the problem with it. For an ExternalName it may be any number (S33). */
export function findPort(service: Service, backend: IngressServiceBackend): ServicePort | PortProblem {
  const wanted = backend.port
  const matching = service.ports.filter((port) =>
    'name' in wanted ? port.name === wanted.name : port.port === wanted.number,
  )
  const tcp = matching.find((port) => port.protocol === 'TCP')
  if (tcp !== undefined) return tcp
  const shown = 'name' in wanted ? `"${wanted.name}"` : String(wanted.number)
  if (matching[0] !== undefined) {
    return {
      code: 'PORTICO_REF_PORT_PROTOCOL',
      message: `port ${shown} of service "${service.meta.name}" is ${matching[0].protocol}, not TCP`,
      help: 'name a TCP port',
    }
  }
  if (service.type === 'ExternalName' && 'number' in wanted) {
    return {
      name: '',
      protocol: 'TCP',
      port: wanted.number,
      targetPort: wanted.number,
      nodePort: undefined,
      appProtocol: undefined,
      index: 0,
    }
  }
  return {
    code: 'PORTICO_REF_PORT_NOT_FOUND',
    message: `service "${service.meta.name}" has no port ${shown}`,
    help: advisePort(service, backend),
  }
}

/** Advice for a number that is only a targetPort or nodePort, a number written as a name, or a misspelt name (S13). */
function advisePort(service: Service, backend: IngressServiceBackend): string {
  const wanted = 'name' in backend.port ? backend.port.name : backend.port.number
  const number = service.ports.find((port) => String(port.port) === String(wanted))
  if (number) return `write number: ${wanted}, a name is the name of a Service port`
  const target = service.ports.find((port) => port.targetPort === wanted)
  if (target) return `${wanted} is the targetPort of port ${target.port}: write number: ${target.port}`
  const node = service.ports.find((port) => port.nodePort === wanted)
  if (node) return `${wanted} is the nodePort of port ${node.port}: write number: ${node.port}`
  const nearest = findNearest(
    String(wanted),
    service.ports.map((port) => port.name).filter((name) => name !== ''),
  )
  if (nearest) return `did you mean "${nearest}"?`
  return service.ports.length === 0
    ? 'it lists no ports: name one by its number'
    : `its ports are ${printPorts(service)}`
}
