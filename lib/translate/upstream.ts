/** Upstreams: every TCP port of every Service with its endpoints, each made once. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { isPrivateAddress } from '../base/cidr.ts'
import type { DiagnosticList } from '../base/diagnostics.ts'
import { printResource, type Service, type ServicePort } from '../kubernetes/resource.ts'
import type { ResourceSet } from '../kubernetes/store.ts'
import type { Endpoint, Upstream, UpstreamKey, UpstreamProtocol } from '../model/upstream.ts'
import type { Settings } from '../settings-table.ts'
import { EndpointFinder } from './endpoint.ts'
import { createEndpoint } from './endpoint-override.ts'

/** An upstream with what a diagnostic about it needs. */
export type TranslatedUpstream = Readonly<{
  upstream: Upstream
  service: Service
  port: ServicePort
  gap: string | undefined
}>

/** What each appProtocol that can be spoken means (S14); no appProtocol is HTTP/1.1. */
const PROTOCOLS: ReadonlyMap<string, UpstreamProtocol> = new Map([
  ['http', 'http'],
  ['ws', 'http'],
  ['kubernetes.io/ws', 'http'],
  ['https', 'https'],
  ['wss', 'https'],
  ['kubernetes.io/wss', 'https'],
])

/** Makes upstreams on demand and keeps them; reports what only a route that needs an upstream makes worth a word. */
export class UpstreamSet {
  readonly #settings: Settings
  readonly #finder: EndpointFinder
  readonly #made = new Map<UpstreamKey, TranslatedUpstream>()
  readonly #protocolReported = new Set<UpstreamKey>()
  readonly #diagnostics: DiagnosticList

  constructor(resources: ResourceSet, settings: Settings, diagnostics: DiagnosticList) {
    this.#settings = settings
    this.#diagnostics = diagnostics
    this.#finder = new EndpointFinder(resources, settings)
    for (const service of resources.all('Service')) {
      for (const port of service.ports) if (port.protocol === 'TCP') this.get(service, port)
    }
  }

  get(service: Service, port: ServicePort): TranslatedUpstream {
    const key: UpstreamKey = `${service.meta.namespace}/${service.meta.name}:${port.port}`
    let made = this.#made.get(key)
    if (made === undefined) {
      made = this.#make(key, service, port)
      this.#made.set(key, made)
    }
    return made
  }

  /** By key, in the order of keys. */
  all(): ReadonlyMap<UpstreamKey, Upstream> {
    const keys = [...this.#made.keys()].sort()
    return new Map(keys.map((key) => [key, this.#made.get(key)!.upstream]))
  }

  /** Why a Service of type ExternalName may not be reached, where it may not (S33). */
  findDenial(service: Service, port: ServicePort): string | undefined {
    if (service.type !== 'ExternalName' || this.#settings.externalNames.allowPrivate) return undefined
    if (this.#finder.findOverride(service, port) !== undefined) return undefined
    const name = readExternalName(service)
    const kind = name === 'localhost' || name.endsWith('.localhost') ? 'loopback' : isPrivateAddress(name)
    return kind && `externalName "${service.externalName}" is a ${kind} address`
  }

  /** Once for each upstream that a route uses. */
  reportProtocol({ upstream, service, port }: TranslatedUpstream): void {
    if (port.appProtocol === undefined || PROTOCOLS.has(port.appProtocol.toLowerCase())) return
    if (this.#protocolReported.has(upstream.key)) return
    this.#protocolReported.add(upstream.key)
    this.#diagnostics.add(
      'PORTICO_REF_APP_PROTOCOL',
      `appProtocol "${port.appProtocol}" is not supported: the endpoints are spoken to in HTTP/1.1`,
      {
        position: service.origin.locate(['spec', 'ports', port.index, 'appProtocol']),
        resource: printResource(service),
        help: `supported are ${[...PROTOCOLS.keys()].join(', ')}`,
      },
    )
  }

  #make(key: UpstreamKey, service: Service, port: ServicePort): TranslatedUpstream {
    const external = service.type === 'ExternalName' && this.#finder.findOverride(service, port) === undefined
    const found = external
      ? { endpoints: [createExternalEndpoint(service, port)], gap: undefined }
      : this.#finder.find(service, port)
    const upstream: Upstream = Object.freeze({
      key,
      service: Object.freeze({
        namespace: service.meta.namespace,
        name: service.meta.name,
        type: service.type,
        position: service.origin.locate(['metadata', 'name']),
      }),
      port: Object.freeze({ number: port.port, name: port.name, targetPort: port.targetPort }),
      protocol: PROTOCOLS.get(port.appProtocol?.toLowerCase() ?? 'http') ?? 'http',
      endpoints: Object.freeze(found.endpoints.map((endpoint) => Object.freeze(endpoint))),
      denied: this.findDenial(service, port),
      guardAddresses: external && !this.#settings.externalNames.allowPrivate,
      balancer: 'round-robin',
    })
    return { upstream, service, port, gap: found.gap }
  }
}

/**
 * The name without its last dot, lower case; the old octal, hexadecimal and short forms of IPv4 as the address they are,
 * since a resolver would take them for one.
 */
function readExternalName(service: Service): string {
  const name = (service.externalName ?? '').toLowerCase().replace(/\.$/, '')
  return isIP(name) === 0 && ipaddr.IPv4.isValid(name) ? ipaddr.IPv4.parse(name).toString() : name
}

/** Connects to the port the route names (S33), or to its targetPort where that is another number. */
function createExternalEndpoint(service: Service, port: ServicePort): Endpoint {
  const number = typeof port.targetPort === 'number' ? port.targetPort : port.port
  const address = { host: readExternalName(service), port: number, weight: 1 }
  const position = service.origin.locate(['spec', 'externalName'])
  return { ...createEndpoint(address, 'ExternalName', `ExternalName ${service.externalName}`), position }
}
