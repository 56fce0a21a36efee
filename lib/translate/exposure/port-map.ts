/**
 * ConfigMaps that open ports, as ingress-nginx has them: the settings tcpServicesConfigmap and udpServicesConfigmap. A key is a port, and
 * its value `namespace/service:port`, where the port is a number or a name; of TCP, `:PROXY` behind it asks clients for a PROXY header,
 * and another `:PROXY` sends the endpoints one.
 */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { printName, splitName } from '../../base/resource-name.ts'
import { findContentField, readContent } from '../../kubernetes/config-map.ts'
import { type ConfigMap, printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { TranslationSettings } from '../settings.ts'
import { findNearestObject, Suggestions } from '../suggestion.ts'

/** A port that a ConfigMap opens, and the Service port that it leads to. */
export type PortMapping = Readonly<{
  transport: 'TCP' | 'UDP'
  port: number
  service: Service
  servicePort: ServicePort
  /** Connections begin with a PROXY header. */
  acceptsProxyHeader: boolean
  /** Connections to endpoints begin with one. */
  sendsProxyHeader: boolean
  map: ConfigMap
  key: string
}>

const MAPS = [
  ['TCP', 'tcpServicesConfigmap'],
  ['UDP', 'udpServicesConfigmap'],
] as const

/** By port, those of TCP first. */
export function readPortMaps(
  resources: ResourceSet,
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): readonly PortMapping[] {
  return MAPS.flatMap(([transport, setting]) => {
    const name = settings[setting]
    if (name === '') return []
    const map = findNamed(resources, name)
    if (map === undefined) {
      reportMissing(resources, setting, name, diagnostics)
      return []
    }
    return new PortMapReader(map, transport, resources, settings, diagnostics).read()
  })
}

/** What the mappings are made of: equal lists give equal mappings. */
export function listPortMapInputs(resources: ResourceSet, settings: TranslationSettings): readonly unknown[] {
  const names = MAPS.map(([, setting]) => settings[setting])
  if (names.every((name) => name === '')) return []
  return [...names.map((name) => findNamed(resources, name)), resources.all('ConfigMap'), resources.all('Service')]
}

function findNamed(resources: ResourceSet, text: string): ConfigMap | undefined {
  const { namespace, name } = splitName(text)
  return resources.get('ConfigMap', namespace, name)
}

function reportMissing(resources: ResourceSet, setting: string, text: string, diagnostics: DiagnosticList): void {
  const add = (message: string, help: string): void =>
    diagnostics.add('PORTICO_REF_CONFIG_MAP_NOT_FOUND', `${setting}: ${message}`, { severity: 'warning', help })
  const { namespace, name } = splitName(text)
  if (resources.getRefused('ConfigMap', namespace, name) !== undefined) {
    add(`the ConfigMap ${text} has errors`, 'no port is opened until it is mended')
    return
  }
  const nearest = findNearestObject(text, resources.all('ConfigMap'))
  const help = nearest === undefined ? 'no port is opened until it exists' : `did you mean "${nearest}"?`
  add(`there is no ConfigMap ${text}`, help)
}

class PortMapReader {
  readonly #map: ConfigMap
  readonly #transport: 'TCP' | 'UDP'
  readonly #resources: ResourceSet
  readonly #trustedProxies: readonly string[]
  readonly #diagnostics: DiagnosticList
  readonly #suggestions = new Suggestions()
  /** The names of all Services, once one is missing. */
  #services: readonly string[] | undefined

  constructor(
    map: ConfigMap,
    transport: 'TCP' | 'UDP',
    resources: ResourceSet,
    { trustedProxies }: TranslationSettings,
    diagnostics: DiagnosticList,
  ) {
    this.#map = map
    this.#transport = transport
    this.#resources = resources
    this.#trustedProxies = trustedProxies
    this.#diagnostics = diagnostics
  }

  read(): readonly PortMapping[] {
    return [...this.#map.keys.keys()].flatMap((key) => this.#readKey(key) ?? []).sort((a, b) => a.port - b.port)
  }

  #readKey(key: string): PortMapping | undefined {
    const map = this.#map
    const transport = this.#transport
    const port = /^[0-9]{1,5}$/.test(key) ? Number(key) : 0
    if (port < 1 || port > 65_535) return this.#refuse(key, 'the key is no port', 'write a number from 1 to 65535')
    const text = readContent(map, key)!.toString().trim()
    const [, name, written, decode, encode] =
      /^([-a-z0-9]+\/[-a-z0-9.]+):([-a-zA-Z0-9]+)(?::(|PROXY))?(?::(|PROXY))?$/i.exec(text) ?? []
    if (name === undefined || written === undefined) {
      return this.#refuse(key, 'the value names no port of a Service', 'write namespace/service:port')
    }
    const found = splitName(name)
    const service = this.#resources.get('Service', found.namespace, found.name)
    if (service === undefined) return this.#refuseMissing(key, name)
    const ports = service.ports.filter(({ protocol }) => protocol === transport)
    const isNumber = /^\d+$/.test(written)
    const servicePort = ports.find((one) => (isNumber ? one.port === Number(written) : one.name === written))
    if (servicePort === undefined) {
      const known = ports.map((one) => (one.name === '' ? `${one.port}` : `${one.port} (${one.name})`))
      const help = known.length === 0 ? `it has no ${transport} ports` : `it has ${known.join(', ')}`
      return this.#refuse(key, `service ${name} has no ${transport} port ${written}`, help)
    }
    const isTcp = transport === 'TCP'
    if (isTcp && decode && this.#trustedProxies.length === 0) {
      const message = 'trustedProxies is empty: no PROXY header is believed, so every connection is cut'
      this.#tell(key, message, 'set trustedProxies to the addresses of the proxies in front of this port')
    }
    return {
      transport,
      port,
      service,
      servicePort,
      acceptsProxyHeader: isTcp && Boolean(decode),
      sendsProxyHeader: isTcp && Boolean(encode),
      map,
      key,
    }
  }

  #refuseMissing(key: string, name: string): undefined {
    const found = splitName(name)
    if (this.#resources.getRefused('Service', found.namespace, found.name) !== undefined) {
      return this.#refuse(key, `service ${name} has errors`, 'mend it')
    }
    this.#services ??= this.#resources.all('Service').map(({ meta }) => printName(meta))
    const near = this.#suggestions.find(name, this.#services)
    const help = near === undefined ? 'it is opened once the Service exists' : `did you mean "${near}"?`
    return this.#refuse(key, `service ${name} not found`, help)
  }

  #refuse(key: string, message: string, help: string): undefined {
    this.#tell(key, `${message}: the port is not opened`, help)
    return undefined
  }

  #tell(key: string, message: string, help: string): void {
    this.#diagnostics.add('PORTICO_SVC_PORT_MAP', `${key}: ${message}`, {
      position: this.#map.origin.locate(findContentField(this.#map, key)),
      resource: printResource(this.#map),
      help,
    })
  }
}
