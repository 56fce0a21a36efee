/** All names of the cluster, made once for each change of the model. */
import { isIP, isIPv4 } from 'node:net'
import type { Model, ServiceView } from '../model/model.ts'
import { findUpstreamKey, type Upstream } from '../model/upstream.ts'
import { addressBytes, isWithin, reverseName } from './name.ts'
import { A, AAAA, NS, PTR, type RecordData, type RecordSets, SOA, TXT } from './record.ts'
import { makeServiceRecords, NOTHING, type ServiceRecords } from './service-records.ts'

/** The version of the specification that the names follow (N1). */
const SCHEMA_VERSION = '1.1.0'

export type ZoneInput = Readonly<{
  /** The setting `dns.zone`. */
  zone: string
  /** Seconds. */
  ttl: number
  /** The address of the server; an address that stands for all is not published. */
  address: string
  /** The time of the configuration, in milliseconds since the epoch. */
  builtAt: number
  model: Pick<Model, 'services' | 'upstreams'>
}>

/** Immutable. */
export type Zone = Readonly<{
  /** `cluster.local` */
  origin: string
  ttl: number
  /** The records of a name; undefined if it does not exist. */
  find(name: string): RecordSets | undefined
  /** The names of Services, with their records; those that exist only above other names are left out. */
  listNames(): Iterable<readonly [name: string, records: RecordSets]>
  /** The zone that answers for `name`: ours, or the reverse zone of a known address; undefined if none does. */
  authorityOf(name: string): string | undefined
  soa: RecordData
}>

/** Reverse records while the zone is being made. */
type Reverse = Map<string, Map<number, RecordData[]>>

type Services = ReadonlyMap<string, ReadonlyMap<string, ServiceRecords>>

/** Makes zones. The records of a Service are made again only if it or one of its upstreams is another object. */
export class ZoneBuilder {
  #origin = ''
  #known = new WeakMap<
    ServiceView,
    Readonly<{ upstreams: readonly (Upstream | undefined)[]; records: ServiceRecords }>
  >()

  build({ zone, ttl, address, builtAt, model }: ZoneInput): Zone {
    const origin = zone.toLowerCase().replace(/\.$/, '')
    if (origin !== this.#origin) this.#known = new WeakMap()
    this.#origin = origin
    const services = new Map<string, Map<string, ServiceRecords>>()
    const reverse: Reverse = new Map()
    for (const service of model.services) {
      const records = this.#makeRecords(service, model.upstreams)
      // A headless Service without a ready endpoint has no name (N5).
      if (records.names.size === 0) continue
      let names = services.get(service.namespace)
      if (names === undefined) {
        names = new Map()
        services.set(service.namespace, names)
      }
      names.set(service.name, records)
      for (const entry of records.reverse) addReverse(reverse, entry)
    }
    return new ServiceZone(origin, ttl, { services, reverse, fixed: makeFixed(address), builtAt })
  }

  #makeRecords(service: ServiceView, all: Model['upstreams']): ServiceRecords {
    const { namespace, name, ports } = service
    const upstreams = ports.map((port) => all.get(findUpstreamKey(service, port)))
    const known = this.#known.get(service)
    if (known?.upstreams.every((each, index) => each === upstreams[index])) return known.records
    const records = makeServiceRecords(service, upstreams, `${name}.${namespace}.svc.${this.#origin}`)
    this.#known.set(service, { upstreams, records })
    return records
  }
}

function addReverse(reverse: Reverse, { address, name }: ServiceRecords['reverse'][number]): void {
  const key = reverseName(address)
  const known = reverse.get(key)?.get(PTR)
  if (known === undefined) reverse.set(key, new Map([[PTR, [{ type: PTR, name }]]]))
  else known.push({ type: PTR, name })
}

type Contents = Readonly<{
  services: Services
  reverse: ReadonlyMap<string, RecordSets>
  /** Names that exist without any Service, by their prefix before the zone. */
  fixed: ReadonlyMap<string, RecordSets>
  builtAt: number
}>

class ServiceZone implements Zone {
  readonly origin: string
  readonly ttl: number
  readonly soa: RecordData
  readonly #contents: Contents
  readonly #apex: RecordSets

  constructor(origin: string, ttl: number, contents: Contents) {
    this.origin = origin
    this.ttl = ttl
    this.#contents = contents
    const primary = `ns.dns.${origin}`
    const serial = Math.floor(contents.builtAt / 1000) >>> 0
    // A missing name may soon exist, so negative answers last no longer than others (RFC 2308 §4).
    this.soa = { type: SOA, primary, mailbox: `hostmaster.${origin}`, serial, minimum: ttl }
    this.#apex = new Map([
      [SOA, [this.soa]],
      [NS, [{ type: NS, name: primary } as const]],
    ])
  }

  find(name: string): RecordSets | undefined {
    if (name === this.origin) return this.#apex
    if (!isWithin(name, this.origin)) return this.#contents.reverse.get(name)
    const prefix = name.slice(0, -this.origin.length - 1)
    return prefix === 'svc' || prefix.endsWith('.svc') ? this.#findService(prefix) : this.#contents.fixed.get(prefix)
  }

  *listNames(): Generator<readonly [string, RecordSets]> {
    for (const [namespace, services] of this.#contents.services) {
      for (const [service, { names }] of services) {
        const name = `${service}.${namespace}.svc.${this.origin}`
        for (const [prefix, sets] of names) if (sets.size > 0) yield [prefix === '' ? name : `${prefix}.${name}`, sets]
      }
    }
  }

  authorityOf(name: string): string | undefined {
    if (isWithin(name, this.origin)) return this.origin
    return this.#contents.reverse.has(name) ? name : undefined
  }

  /** `[….]service.namespace.svc` */
  #findService(prefix: string): RecordSets | undefined {
    const labels = prefix.split('.')
    labels.pop()
    const namespace = labels.pop()
    if (namespace === undefined) return NOTHING
    const services = this.#contents.services.get(namespace)
    const service = labels.pop()
    return service === undefined ? services && NOTHING : services?.get(service)?.names.get(labels.join('.'))
  }
}

function makeFixed(address: string): ReadonlyMap<string, RecordSets> {
  const isOne = isIP(address) !== 0 && address !== '::' && address !== '0.0.0.0'
  const type = isIPv4(address) ? A : AAAA
  const own: RecordSets = isOne ? new Map([[type, [{ type, address: addressBytes(address) }]]]) : NOTHING
  const version: RecordSets = new Map([[TXT, [{ type: TXT, text: SCHEMA_VERSION } as const]]])
  return new Map([
    ['dns-version', version],
    ['dns', NOTHING],
    ['ns.dns', own],
  ])
}
