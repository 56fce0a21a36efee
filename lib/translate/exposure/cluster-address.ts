/** Assigns the clusterIPs of a cluster network, as the API server does (V23, S34). */
import { type AddressRange, canonicalAddress, parseServiceRange } from '../../base/address-range.ts'
import type { DiagnosticList } from '../../base/diagnostics.ts'
import type { FieldPath } from '../../base/position.ts'
import { printName } from '../../base/resource-name.ts'
import { printResource, type Service } from '../../kubernetes/resource.ts'
import { findStaticBand, type Ledger, NumberSpace } from './allocation.ts'

/** True if a Service has a clusterIP. */
export function hasClusterAddress({ type, headless }: Service): boolean {
  return type !== 'ExternalName' && !headless
}

/**
 * `services` come oldest first. Production manifests have addresses of a network that this machine is not on. An address outside of
 * `cidr` is replaced, since ports can be opened only on addresses of this machine.
 */
export function assignClusterAddresses(
  services: readonly Service[],
  cidr: string,
  ledger: Ledger,
  diagnostics: DiagnosticList,
): ReadonlyMap<Service, string> {
  const range = findRange(cidr)
  const space = new NumberSpace(range.size, findStaticBand(range.size, 16, 256))
  const holders = new Map<number, Service>()
  const found = new Map<Service, string>()
  const open: Service[] = []
  const own = services.filter(hasClusterAddress)
  for (const service of own) {
    const index = findWritten(service, range)
    const holder = index === undefined ? undefined : holders.get(index)
    if (index === undefined) open.push(service)
    else if (holder) reportTaken(service, range.at(index), holder, diagnostics)
    else {
      holders.set(index, service)
      space.take(index)
      found.set(service, range.at(index))
    }
  }
  const given = ledger.allocate('ClusterIP', open.map(nameOf), space, {
    print: (index) => range.at(index),
    parse: (value) => range.indexOf(value),
  })
  const without: Service[] = []
  for (const service of open) {
    const index = given.get(nameOf(service))
    if (index === undefined) without.push(service)
    else {
      found.set(service, range.at(index))
      if (service.clusterIP !== undefined) reportReplaced(service, range.at(index), cidr, diagnostics)
    }
  }
  reportExhausted(without, cidr, diagnostics)
  const isIPv6 = range.at(0).includes(':')
  for (const service of own) reportFamilies(service, isIPv6 ? 'IPv6' : 'IPv4', diagnostics)
  return found
}

/** The last range used, kept because it remembers the spelling of its addresses. */
let lastRange: Readonly<{ cidr: string; range: AddressRange }> | undefined

function findRange(cidr: string): AddressRange {
  if (lastRange?.cidr !== cidr) lastRange = { cidr, range: parseServiceRange(cidr) }
  return lastRange.range
}

function nameOf({ meta }: Service): string {
  return printName(meta)
}

/** The first written address that lies in the range. */
function findWritten({ clusterIPs }: Service, range: AddressRange): number | undefined {
  for (const address of clusterIPs) {
    const index = range.indexOf(address)
    if (index !== undefined) return index
  }
  return undefined
}

/** The written field: clusterIPs, or clusterIP alone. */
function locateAddress(service: Service): FieldPath {
  const path = ['spec', 'clusterIPs']
  return service.clusterIPs.length > 1 ? path : ['spec', 'clusterIP']
}

function reportTaken(service: Service, address: string, holder: Service, diagnostics: DiagnosticList): void {
  const written = service.clusterIPs.find((one) => canonicalAddress(one) === address)
  const reason = `failed to allocate IP ${written}: provided IP is already allocated`
  diagnostics.add(
    'PORTICO_RES_FIELD_VALUE',
    `spec.clusterIPs: Invalid value: ${JSON.stringify(service.clusterIPs)}: ${reason}`,
    {
      position: service.origin.locate(locateAddress(service)),
      resource: printResource(service),
      help: 'leave clusterIP out to have one allocated',
      notes: [{ message: `${printResource(holder)} has it`, position: holder.origin.locate(locateAddress(holder)) }],
    },
  )
}

function reportReplaced(service: Service, address: string, cidr: string, diagnostics: DiagnosticList): void {
  diagnostics.add('PORTICO_SVC_ADDRESS', `clusterIP ${service.clusterIP} is not in ${cidr}: ${address} is used here`, {
    position: service.origin.locate(locateAddress(service)),
    resource: printResource(service),
    help: 'set clusterNetwork.range to a range that holds it, whose addresses this machine has',
  })
}

/** Reports once that the range is full, since thousands of Services may lack an address. */
function reportExhausted([first, ...others]: readonly Service[], cidr: string, diagnostics: DiagnosticList): void {
  if (first === undefined) return
  const more = others.length === 0 ? '' : `; ${others.length} other Services are without one too`
  diagnostics.add('PORTICO_SVC_EXHAUSTED', 'failed to allocate a serviceIP: range is full', {
    position: first.origin.locate(['metadata', 'name']),
    resource: printResource(first),
    help: `widen clusterNetwork.range (${cidr})${more}`,
  })
}

/** Reports a Service that asks for a family which the network does not have, in the API server's words. */
function reportFamilies(service: Service, family: 'IPv4' | 'IPv6', diagnostics: DiagnosticList): void {
  const details = { resource: printResource(service), help: `every clusterIP here is ${family}: clusterNetwork.range` }
  if (service.ipFamilyPolicy === 'RequireDualStack') {
    diagnostics.add(
      'PORTICO_SVC_FAMILY',
      'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
      { ...details, position: service.origin.locate(['spec', 'ipFamilyPolicy']) },
    )
  }
  for (const [index, wanted] of service.ipFamilies.entries()) {
    if (wanted === family || service.ipFamilyPolicy === 'RequireDualStack') continue
    diagnostics.add(
      'PORTICO_SVC_FAMILY',
      `spec.ipFamilies[${index}]: Invalid value: "${wanted}": not configured on this cluster`,
      { ...details, position: service.origin.locate(['spec', 'ipFamilies', index]) },
    )
  }
}
