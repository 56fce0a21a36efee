/** Assigns nodePorts: first the written ones, then allocated ones, as the API server does (S34, S35). */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import type { PortRange } from '../../base/port-range.ts'
import { parsePortRange, printPortRange } from '../../base/port-range.ts'
import type { FieldPath } from '../../base/position.ts'
import { printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import { findStaticBand, type Ledger, NumberSpace } from './allocation.ts'

/** The nodePorts of one Service. */
export type NodePorts = Readonly<{
  /** In the order of the Service's ports; undefined for a port without one. */
  ports: readonly (number | undefined)[]
  /** The healthCheckNodePort, where load balancers ask for local endpoints (S21). */
  healthCheck: number | undefined
}>

/** The holder of a nodePort, and the field that asks for it. */
type Holder = Readonly<{ service: Service; path: FieldPath }>

const HEALTH_CHECK_FIELD: FieldPath = ['spec', 'healthCheckNodePort']

/** True if a Service can have nodePorts. */
export function isNodePortType({ type }: Service): boolean {
  return type === 'NodePort' || type === 'LoadBalancer'
}

/** True if a Service gets traffic from outside, and so may open ports without a cluster network (S21). */
export function isExposed(service: Service): boolean {
  return isNodePortType(service) || service.externalIPs.length > 0
}

/**
 * `services` come oldest first: of two that ask for one nodePort the older gets it. With `allocates` off only written nodePorts are
 * assigned.
 */
export function assignNodePorts(
  services: readonly Service[],
  { range: text, enabled: allocates }: Readonly<{ range: string; enabled: boolean }>,
  ledger: Ledger,
  diagnostics: DiagnosticList,
): ReadonlyMap<Service, NodePorts> {
  const range = parsePortRange(text) as PortRange
  const size = range.last - range.first + 1
  const space = new NumberSpace(size, findStaticBand(size, 32, 128))
  const holders = new Map<string, Holder>()
  const taken = new Map<Service, { ports: (number | undefined)[]; healthCheck: number | undefined }>()
  const own = services.filter(isNodePortType)

  const claim = (service: Service, protocol: string, number: number, path: FieldPath): boolean => {
    const isInside = number >= range.first && number <= range.last
    const holder = holders.get(`${protocol} ${number}`)
    if (!isInside || holder) {
      const reason = isInside
        ? 'provided port is already allocated'
        : `provided port is not in the valid range. The range of valid ports is ${printPortRange(range)}`
      reportRefused(service, path, number, reason, holder, diagnostics)
      return false
    }
    holders.set(`${protocol} ${number}`, { service, path })
    space.take(number - range.first)
    return true
  }
  for (const service of own) {
    const ports = service.ports.map(({ nodePort, protocol, index }) => {
      if (nodePort === undefined) return undefined
      return claim(service, protocol, nodePort, ['spec', 'ports', index, 'nodePort']) ? nodePort : undefined
    })
    const { healthCheckNodePort: asked } = service
    const healthCheck = asked !== undefined && claim(service, 'TCP', asked, HEALTH_CHECK_FIELD) ? asked : undefined
    taken.set(service, { ports, healthCheck })
  }
  if (!allocates) return taken

  // A written number also serves the other protocol of the same port, if that has none (S35).
  for (const [service, { ports }] of taken) {
    for (const [index, port] of service.ports.entries()) {
      if (!wantsNumber(service, port)) continue
      const path = ['spec', 'ports', port.index]
      const twin = ports.find((number, other) => number !== undefined && service.ports[other]?.port === port.port)
      if (twin === undefined || holders.has(`${port.protocol} ${twin}`)) continue
      holders.set(`${port.protocol} ${twin}`, { service, path })
      ports[index] = twin
    }
  }
  const names: string[] = []
  for (const [service, { ports, healthCheck }] of taken) {
    const open = service.ports.filter((port, index) => wantsNumber(service, port) && ports[index] === undefined)
    for (const number of new Set(open.map(({ port }) => port))) names.push(nameOf(service, number))
    if (wantsHealthCheck(service) && healthCheck === undefined) names.push(nameOf(service, 'healthCheck'))
  }
  const found = ledger.allocate('NodePort', names, space, {
    print: (number) => String(number + range.first),
    parse: (value) => (/^\d{1,5}$/.test(value) ? Number(value) - range.first : undefined),
  })
  const without = new Set<Service>()
  for (const [service, entry] of taken) {
    const read = (what: number | 'healthCheck'): number | undefined => {
      const number = found.get(nameOf(service, what))
      if (number === undefined) without.add(service)
      return number === undefined ? undefined : number + range.first
    }
    for (const [index, port] of service.ports.entries()) {
      if (wantsNumber(service, port)) entry.ports[index] ??= read(port.port)
    }
    if (wantsHealthCheck(service)) entry.healthCheck ??= read('healthCheck')
  }
  reportExhausted([...without], range, diagnostics)
  return taken
}

function wantsNumber(service: Service, { nodePort }: ServicePort): boolean {
  return nodePort === undefined && (service.type === 'NodePort' || service.allocateLoadBalancerNodePorts)
}

function wantsHealthCheck(service: Service): boolean {
  const isAsked = service.healthCheckNodePort !== undefined
  return service.type === 'LoadBalancer' && service.externalTrafficPolicy === 'Local' && !isAsked
}

function nameOf({ meta }: Service, what: number | 'healthCheck'): string {
  return `${meta.namespace}/${meta.name}:${what}`
}

/** Reports in the API server's words, which name no field for a health check. */
function reportRefused(
  service: Service,
  path: FieldPath,
  number: number,
  reason: string,
  holder: Holder | undefined,
  diagnostics: DiagnosticList,
): void {
  const isHealthCheck = path === HEALTH_CHECK_FIELD
  const message = isHealthCheck
    ? `failed to allocate requested HealthCheck NodePort ${number}: ${reason}`
    : `spec.ports[${path[2]}].nodePort: Invalid value: ${number}: ${reason}`
  diagnostics.add('PORTICO_RES_FIELD_VALUE', message, {
    position: service.origin.locate(path),
    resource: printResource(service),
    help: `leave ${path.at(-1)} out to have one allocated`,
    notes: holder
      ? [{ message: `${printResource(holder.service)} has it`, position: holder.service.origin.locate(holder.path) }]
      : [],
  })
}

/** Reports once that the range is full, since thousands of ports may lack a number. */
function reportExhausted([first, ...others]: readonly Service[], range: PortRange, diagnostics: DiagnosticList): void {
  if (first === undefined) return
  const more = others.length === 0 ? '' : `; ${others.length} other Services are without one too`
  diagnostics.add('PORTICO_SVC_EXHAUSTED', 'failed to allocate a nodePort: range is full', {
    position: first.origin.locate(['metadata', 'name']),
    resource: printResource(first),
    help: `widen nodePorts.range (${printPortRange(range)})${more}`,
  })
}
