/** The records of one Service, by the Kubernetes DNS specification 1.1.0 (N2 to N12). */
import { isIP, isIPv4 } from 'node:net'
import { isInGoodHealth } from '../model/health.ts'
import type { ServiceView } from '../model/model.ts'
import type { Endpoint, Upstream } from '../model/upstream.ts'
import { addressBytes, dashedAddress, isSendable } from './name.ts'
import { A, AAAA, CNAME, type RecordData, type RecordSets, SRV } from './record.ts'

/** The records of a Service, by the prefix of its name; `''` is the name itself. */
export type ServiceRecords = Readonly<{
  names: ReadonlyMap<string, RecordSets>
  /** Addresses with the name that their PTR holds. */
  reverse: readonly Readonly<{ address: string; name: string }>[]
}>

/** The records of a name that exists only above other names (RFC 8020). */
export const NOTHING: RecordSets = new Map()

/** `name` is the full name of the Service; `upstreams` are those of its ports, in their order. */
export function makeServiceRecords(
  service: ServiceView,
  upstreams: readonly (Upstream | undefined)[],
  name: string,
): ServiceRecords {
  if (service.type === 'ExternalName') return makeExternal(service, name)
  return new ServiceNames(service, name).make(upstreams)
}

/** An ExternalName (N9). With an address in place of a name (S33) the name exists and has no records. */
function makeExternal({ externalName }: ServiceView, name: string): ServiceRecords {
  const target = externalName.toLowerCase().replace(/\.$/, '')
  const isUsable = isSendable(name) && isSendable(target) && isIP(target) === 0
  const sets = isUsable ? new Map([[CNAME, [{ type: CNAME, name: target } as const]]]) : NOTHING
  return { names: new Map([['', sets]]), reverse: [] }
}

type Sets = Map<number, RecordData[]>

class ServiceNames {
  readonly #service: ServiceView
  readonly #name: string
  readonly #names = new Map<string, Sets>()
  readonly #reverse: { address: string; name: string }[] = []
  /** The records so far: slices (S28) and ports may repeat addresses. */
  readonly #seen = new Set<string>()

  constructor(service: ServiceView, name: string) {
    this.#service = service
    this.#name = name
  }

  make(upstreams: readonly (Upstream | undefined)[]): ServiceRecords {
    const { clusterIPs, ports, portless } = this.#service
    const published = [...upstreams, { endpoints: portless, inPanic: false }].map((list) =>
      (list?.endpoints ?? []).filter((each) => this.#isPublished(each, list?.inPanic ?? false)),
    )
    // As with CoreDNS, endpoints have names under every Service; SRV and PTR use them only if the Service is headless.
    for (const endpoint of published.flat()) this.#addEndpoint(endpoint)
    if (clusterIPs.length > 0) {
      for (const address of clusterIPs) {
        this.#addAddress('', address)
        this.#addReverse(address, this.#name)
      }
      for (const { name, protocol, port } of ports) this.#addService(name, protocol, [{ port, target: this.#name }])
    } else {
      for (const endpoint of published.flat()) for (const each of addressesOf(endpoint)) this.#addAddress('', each)
      for (const [index, { name, protocol }] of ports.entries()) {
        const targets = (published[index] ?? []).flatMap((endpoint) =>
          labelsOf(endpoint).map((label) => ({ port: endpoint.port, target: `${label}.${this.#name}` })),
        )
        this.#addService(name, protocol, targets)
      }
    }
    return { names: this.#names, reverse: this.#reverse }
  }

  /**
   * True for endpoints to publish: with an address and not a name, with a weight, and ready and in good health (N5), unless the
   * Service publishes all (N12).
   */
  #isPublished(endpoint: Endpoint, inPanic: boolean): boolean {
    const { host, weight, ready } = endpoint
    const isWell = ready && (inPanic || isInGoodHealth(endpoint))
    return isIP(host) !== 0 && weight > 0 && (isWell || this.#service.publishNotReadyAddresses)
  }

  /** Adds the names of an endpoint (N6, N8). */
  #addEndpoint(endpoint: Endpoint): void {
    for (const address of addressesOf(endpoint)) {
      const label = labelOf(endpoint, address)
      this.#addAddress(label, address)
      if (this.#service.headless && endpoint.hostname !== undefined) {
        this.#addReverse(address, `${label}.${this.#name}`)
      }
    }
  }

  #addAddress(prefix: string, address: string): void {
    if (!this.#isNew(`${address} ${prefix}`)) return
    const type = isIPv4(address) ? A : AAAA
    this.#add(prefix, { type, address: addressBytes(address) })
  }

  #addReverse(address: string, name: string): void {
    if (isSendable(name) && this.#isNew(`${address} of ${name}`)) this.#reverse.push({ address, name })
  }

  /** Adds SRV records (N3, N7); an unnamed port has none (N10). As with CoreDNS, weights are shares of a hundred. */
  #addService(port: string, protocol: string, targets: readonly Readonly<{ port: number; target: string }>[]): void {
    if (port === '') return
    const transport = `_${protocol.toLowerCase()}`
    const sendable = distinct(targets).filter(({ target }) => isSendable(target))
    const weight = Math.max(1, Math.floor(100 / sendable.length))
    for (const { port: number, target } of sendable) {
      this.#add(`_${port}.${transport}`, { type: SRV, priority: 0, weight, port: number, target })
      if (!this.#names.has(transport)) this.#names.set(transport, new Map())
    }
  }

  #add(prefix: string, data: RecordData): void {
    if (!isSendable(prefix === '' ? this.#name : `${prefix}.${this.#name}`)) return
    let sets = this.#names.get(prefix)
    if (sets === undefined) {
      sets = new Map()
      this.#names.set(prefix, sets)
    }
    const records = sets.get(data.type)
    if (records === undefined) sets.set(data.type, [data])
    else records.push(data)
  }

  #isNew(key: string): boolean {
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    return true
  }
}

/** The addresses of an endpoint, in both families if it has them (S32). */
function addressesOf({ host, otherAddress }: Endpoint): readonly string[] {
  return otherAddress === undefined ? [host] : [host, otherAddress]
}

function labelOf({ hostname }: Endpoint, address: string): string {
  return hostname?.toLowerCase() ?? dashedAddress(address)
}

/** The labels of an endpoint: one for both families if it has a hostname. */
function labelsOf(endpoint: Endpoint): readonly string[] {
  return [...new Set(addressesOf(endpoint).map((address) => labelOf(endpoint, address)))]
}

function distinct<T extends Readonly<{ port: number; target: string }>>(targets: readonly T[]): readonly T[] {
  return [...new Map(targets.map((each) => [`${each.port} ${each.target}`, each])).values()]
}
