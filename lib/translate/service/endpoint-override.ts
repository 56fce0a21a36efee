/** Endpoints that people write by hand: `endpoints` of the settings, and the annotation portico.dev/endpoints of a Service. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { type EndpointAddress, parseEndpointAddress, parseEndpointAddresses } from '../../base/endpoint-address.ts'
import { findNearest } from '../../base/nearest.ts'
import type { FieldPath } from '../../base/position.ts'
import { ENDPOINTS_ANNOTATION, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { createRef } from '../../model/resource-ref.ts'
import type { Endpoint, EndpointSource } from '../../model/upstream.ts'
import type { TranslationSettings } from '../settings.ts'

/**
 * Those of the settings for one Service port: `namespace/name:port`, by number or name, above `namespace/name`.
 * Undefined where the settings do not name it; an empty list is an answer.
 */
export function findSettingsEndpoints(
  service: Service,
  port: ServicePort,
  settings: TranslationSettings,
): readonly Endpoint[] | undefined {
  const name = `${service.meta.namespace}/${service.meta.name}`
  const named = port.name === '' ? undefined : settings.endpoints[`${name}:${port.name}`]
  const lines = named ?? settings.endpoints[`${name}:${port.port}`] ?? settings.endpoints[name]
  return lines?.flatMap((line) => readLine(line, 'settings', 'settings') ?? [])
}

/** Reports what the settings name that no manifest has. The form of the values is checked when settings are read. */
export function checkSettingsEndpoints(
  resources: ResourceSet,
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  for (const key of Object.keys(settings.endpoints)) {
    const [, namespace = '', name = '', port] = /^([^/]*)\/([^:]*)(?::(.*))?$/.exec(key) ?? []
    const service = resources.get('Service', namespace, name)
    if (service === undefined) {
      // What is wrong with it was said.
      if (resources.getRefused('Service', namespace, name)) continue
      const known = resources.all('Service').filter(({ meta }) => meta.namespace === namespace)
      const nearest = findNearest(
        name,
        known.map(({ meta }) => meta.name),
      )
      diagnostics.add(
        'PORTICO_REF_SERVICE_NOT_FOUND',
        `endpoints in the settings: service "${name}" not found in namespace "${namespace}"`,
        {
          help: nearest
            ? `did you mean "${namespace}/${nearest}"?`
            : 'endpoints are for Services that a manifest defines',
        },
      )
    } else if (port !== undefined && !service.ports.some((one) => one.name === port || String(one.port) === port)) {
      diagnostics.add(
        'PORTICO_REF_PORT_NOT_FOUND',
        `endpoints in the settings: service "${namespace}/${name}" has no port "${port}"`,
        { help: `its ports are ${printPorts(service)}` },
      )
    }
  }
}

const ANNOTATION_FIELD: FieldPath = Object.freeze(['metadata', 'annotations', ENDPOINTS_ANNOTATION])

/** Those of the annotation, for every port of the Service; undefined where it has none. What is wrong with it was reported. */
export function readAnnotationEndpoints(service: Service): readonly Endpoint[] | undefined {
  const text = service.meta.annotations[ENDPOINTS_ANNOTATION]
  if (text === undefined) return undefined
  const { addresses, problems } = parseEndpointAddresses(text)
  if (addresses.length === 0 && problems.length === 0) return undefined
  const owner = createRef(service)
  const sourceName = `annotation ${ENDPOINTS_ANNOTATION}`
  return addresses.map((address) => ({
    ...createEndpoint(address, 'annotation', sourceName),
    owner,
    field: ANNOTATION_FIELD,
  }))
}

/** How an ExternalName that is not allowed becomes of use. */
export const DENIAL_HELP =
  'set externalNames.allowPrivate or allowPrivateFor, or give endpoints in the settings or the annotation portico.dev/endpoints'

/** How a Service without endpoints gets some. */
export function adviseEndpoints({ meta }: Service): string {
  const name = `${meta.namespace}/${meta.name}`
  return (
    `say where the service listens: --endpoints ${name}=127.0.0.1:3000, ` +
    `or endpoints: {"${name}": ["127.0.0.1:3000"]} in the settings, ` +
    'or the annotation portico.dev/endpoints: "127.0.0.1:3000" on the Service, or an EndpointSlice'
  )
}

/** `80 (http), 443`, for help texts. */
export function printPorts(service: Service): string {
  return service.ports
    .map((port) => (port.name === '' ? String(port.port) : `${port.port} ("${port.name}")`))
    .join(', ')
}

/** An endpoint that is ready for all that is known. */
export function createEndpoint(address: EndpointAddress, source: EndpointSource, sourceName: string): Endpoint {
  return { ...address, ready: true, serving: true, terminating: false, source, sourceName }
}

function readLine(line: string, source: EndpointSource, sourceName: string): Endpoint | undefined {
  const read = parseEndpointAddress(line)
  return 'problem' in read ? undefined : createEndpoint(read, source, sourceName)
}
