/** Assigns addresses to LoadBalancer Services: one each from the pool or, without a pool, a shared address. */
import { type AddressRange, canonicalAddress, parseAddressRange } from '../../base/address-range.ts'
import { isPrivateAddress } from '../../base/cidr.ts'
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { printName } from '../../base/resource-name.ts'
import { printResource, type Service } from '../../kubernetes/resource.ts'
import { PENDING } from '../../model/listener.ts'
import type { TranslationSettings } from '../settings.ts'
import { type Ledger, NumberSpace } from './allocation.ts'

const OWN_CLASS = 'portico.dev/'

/** True if Portico is the load balancer of a Service, and not another implementation that its class names (S20). */
export function isOwnLoadBalancer({ type, loadBalancerClass }: Service): boolean {
  return type === 'LoadBalancer' && (loadBalancerClass === undefined || loadBalancerClass.startsWith(OWN_CLASS))
}

/** `used`: addresses of the pool that have another listener. */
export type LoadBalancerInputs = Readonly<{
  settings: TranslationSettings['loadBalancers']
  /** The addresses of this machine, canonical. */
  local: ReadonlySet<string>
  used: readonly string[]
}>

/** `services` are the Services that Portico balances, oldest first. Services without an address are missing in the result. */
export function assignLoadBalancerAddresses(
  services: readonly Service[],
  inputs: LoadBalancerInputs,
  ledger: Ledger,
  diagnostics: DiagnosticList,
): ReadonlyMap<Service, string> {
  const { pool } = inputs.settings
  if (pool.length === 0) return shareAddress(services, inputs, diagnostics)
  return assignFromPool(services, parseAddressRange(pool), inputs.used, ledger, diagnostics)
}

function shareAddress(
  services: readonly Service[],
  { settings, local }: LoadBalancerInputs,
  diagnostics: DiagnosticList,
): ReadonlyMap<Service, string> {
  const shared = canonicalAddress(settings.address)
  const isHere = (address: string): boolean => local.has(address) || isPrivateAddress(address) === 'loopback'
  return new Map(
    services.map((service) => {
      const { loadBalancerIP: asked } = service
      if (asked === undefined || !isAddress(asked)) return [service, shared] as const
      const address = canonicalAddress(asked)
      if (isHere(address)) return [service, address] as const
      reportReplaced(service, `is not an address of this machine: ${printAddress(shared)} is used`, diagnostics)
      return [service, shared] as const
    }),
  )
}

function assignFromPool(
  services: readonly Service[],
  pool: AddressRange,
  used: readonly string[],
  ledger: Ledger,
  diagnostics: DiagnosticList,
): ReadonlyMap<Service, string> {
  const space = new NumberSpace(pool.size, 0)
  for (const address of used) {
    const index = pool.indexOf(address)
    if (index !== undefined) space.take(index)
  }
  const holders = new Map<number, Service>()
  const found = new Map<Service, string>()
  const open: Service[] = []
  for (const service of services) {
    const index = service.loadBalancerIP === undefined ? undefined : pool.indexOf(service.loadBalancerIP)
    if (index === undefined) open.push(service)
    else if (space.isTaken(index)) reportTaken(service, holders.get(index), diagnostics)
    else {
      space.take(index)
      holders.set(index, service)
      found.set(service, pool.at(index))
    }
  }
  const given = ledger.allocate(
    'LoadBalancer',
    open.map(({ meta }) => printName(meta)),
    space,
    { print: (index) => pool.at(index), parse: (value) => pool.indexOf(value) },
  )
  for (const service of open) {
    const index = given.get(printName(service.meta))
    if (index === undefined) {
      diagnostics.add('PORTICO_SVC_EXHAUSTED', `no address is left in loadBalancers.pool: EXTERNAL-IP is ${PENDING}`, {
        position: service.origin.locate(['metadata', 'name']),
        resource: printResource(service),
        help: `add addresses to loadBalancers.pool, which has ${pool.size}`,
      })
      continue
    }
    found.set(service, pool.at(index))
    if (service.loadBalancerIP !== undefined) {
      reportReplaced(service, `is not in loadBalancers.pool: ${pool.at(index)} is used`, diagnostics)
    }
  }
  return found
}

/** kubectl's EXTERNAL-IP for the address: `localhost` if it stands for every address, as in Docker Desktop. */
export function printAddress(address: string): string {
  return address === '::' || address === '0.0.0.0' ? 'localhost' : address
}

function isAddress(text: string): boolean {
  try {
    canonicalAddress(text)
    return true
  } catch {
    return false
  }
}

function reportReplaced(service: Service, what: string, diagnostics: DiagnosticList): void {
  diagnostics.add('PORTICO_SVC_ADDRESS', `loadBalancerIP ${service.loadBalancerIP} ${what}`, {
    position: service.origin.locate(['spec', 'loadBalancerIP']),
    resource: printResource(service),
    help: 'name the addresses of this machine that LoadBalancer Services may have in loadBalancers.pool',
  })
}

function reportTaken(service: Service, holder: Service | undefined, diagnostics: DiagnosticList): void {
  diagnostics.add(
    'PORTICO_SVC_PORT_TAKEN',
    `loadBalancerIP ${service.loadBalancerIP} is taken: EXTERNAL-IP is ${PENDING}`,
    {
      position: service.origin.locate(['spec', 'loadBalancerIP']),
      resource: printResource(service),
      help: 'leave loadBalancerIP out to have an address allocated',
      notes: holder
        ? [{ message: `${printResource(holder)} has it`, position: holder.origin.locate(['spec', 'loadBalancerIP']) }]
        : [{ message: 'the gateway itself listens there' }],
    },
  )
}
