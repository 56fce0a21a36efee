/**
 * ConfigMaps that open ports, as ingress-nginx has them: the settings tcpServicesConfigmap and udpServicesConfigmap. A key is a port, and
 * its value `namespace/service:port`, where the port is a number or a name; of TCP, `:PROXY` behind it asks clients for a PROXY header,
 * and another `:PROXY` sends the endpoints one.
 */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import { printName } from '../../base/resource-name.ts'
import { findContentField, readContent } from '../../kubernetes/config-map.ts'
import { type ConfigMap, printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { TranslationSettings } from '../settings.ts'

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
      const [namespace = '', own = ''] = name.split('/')
      const isBroken = resources.getRefused('ConfigMap', namespace, own) !== undefined
      const nearest = findNearest(
        name,
        resources.all('ConfigMap').map(({ meta }) => printName(meta)),
      )
      diagnostics.add(
        'PORTICO_REF_CONFIG_MAP_NOT_FOUND',
        `${setting}: ${isBroken ? `the ConfigMap ${name} has errors` : `there is no ConfigMap ${name}`}`,
        {
          severity: 'warning',
          help: isBroken
            ? 'no port is opened until it is mended'
            : nearest === undefined
              ? 'no port is opened until it exists'
              : `did you mean "${nearest}"?`,
        },
      )
      return []
    }
    return [...map.keys.keys()]
      .flatMap((key) => readMapping(map, key, transport, resources, settings.trustedProxies, diagnostics) ?? [])
      .sort((a, b) => a.port - b.port)
  })
}

/** What the mappings are made of: equal lists give equal mappings. */
export function listPortMapInputs(resources: ResourceSet, settings: TranslationSettings): readonly unknown[] {
  const names = MAPS.map(([, setting]) => settings[setting])
  if (names.every((name) => name === '')) return []
  return [...names.map((name) => findNamed(resources, name)), resources.all('ConfigMap'), resources.all('Service')]
}

function findNamed(resources: ResourceSet, name: string): ConfigMap | undefined {
  const [namespace = '', own = ''] = name.split('/')
  return resources.get('ConfigMap', namespace, own)
}

function readMapping(
  map: ConfigMap,
  key: string,
  transport: 'TCP' | 'UDP',
  resources: ResourceSet,
  trusted: readonly string[],
  diagnostics: DiagnosticList,
): PortMapping | undefined {
  const refuse = (message: string, help: string): undefined =>
    void diagnostics.add('PORTICO_SVC_PORT_MAP', `${key}: ${message}: the port is not opened`, {
      position: map.origin.locate(findContentField(map, key)),
      resource: printResource(map),
      help,
    })
  const port = /^[0-9]{1,5}$/.test(key) ? Number(key) : 0
  if (port < 1 || port > 65_535) return refuse('the key is no port', 'write a number from 1 to 65535')
  const text = readContent(map, key)!.toString().trim()
  const [, namespace, name, written, decode, encode] =
    /^([-a-z0-9]+)\/([-a-z0-9.]+):([-a-zA-Z0-9]+)(?::(|PROXY))?(?::(|PROXY))?$/i.exec(text) ?? []
  if (namespace === undefined || name === undefined || written === undefined) {
    return refuse('the value names no port of a Service', 'write namespace/service:port')
  }
  const service = resources.get('Service', namespace, name)
  if (service === undefined) {
    const isRefused = resources.getRefused('Service', namespace, name) !== undefined
    const near = findNearest(
      `${namespace}/${name}`,
      resources.all('Service').map(({ meta }) => printName(meta)),
    )
    const help = near === undefined ? 'it is opened once the Service exists' : `did you mean "${near}"?`
    return refuse(
      `service ${namespace}/${name} ${isRefused ? 'has errors' : 'not found'}`,
      isRefused ? 'mend it' : help,
    )
  }
  const ports = service.ports.filter(({ protocol }) => protocol === transport)
  const servicePort = ports.find((one) => (/^\d+$/.test(written) ? one.port === Number(written) : one.name === written))
  if (servicePort === undefined) {
    const known = ports.map((one) => (one.name === '' ? `${one.port}` : `${one.port} (${one.name})`))
    const help = known.length === 0 ? `it has no ${transport} ports` : `it has ${known.join(', ')}`
    return refuse(`service ${namespace}/${name} has no ${transport} port ${written}`, help)
  }
  const isTcp = transport === 'TCP'
  if (isTcp && decode && trusted.length === 0) {
    diagnostics.add(
      'PORTICO_SVC_PORT_MAP',
      `${key}: trustedProxies is empty: no PROXY header is believed, so every connection is cut`,
      {
        position: map.origin.locate(findContentField(map, key)),
        resource: printResource(map),
        help: 'set trustedProxies to the addresses of the proxies in front of this port',
      },
    )
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
