/** Backends of Ingress paths: what a reference to a Service port or another object comes to. */
import type { DiagnosticList } from '../base/diagnostics.ts'
import { findNearest } from '../base/nearest.ts'
import type { FieldPath, SourcePosition } from '../base/position.ts'
import {
  type Ingress,
  type IngressBackend,
  type IngressServiceBackend,
  printResource,
  type Service,
  type ServicePort,
} from '../kubernetes/resource.ts'
import type { ResourceSet } from '../kubernetes/store.ts'
import type { RouteAction } from '../model/route.ts'
import { printPorts } from './endpoint-override.ts'
import { NameIndex, Suggestions } from './suggestion.ts'
import type { UpstreamSet } from './upstream.ts'

/** A backend, resolved. */
export type ResolvedBackend = Readonly<{
  action: RouteAction
  /** For people: `default/api:80`. */
  text: string
  position: SourcePosition
}>

type Reference = Readonly<{ ingress: Ingress; path: FieldPath }>

type PortProblem = Readonly<{
  code: 'PORTICO_REF_PORT_NOT_FOUND' | 'PORTICO_REF_PORT_PROTOCOL'
  message: string
  help: string
}>

/** Resolves references and reports those that lead nowhere. */
export class BackendResolver {
  readonly #resources: ResourceSet
  readonly #upstreams: UpstreamSet
  readonly #diagnostics: DiagnosticList
  readonly #reportedEmpty = new Set<string>()
  readonly #names: NameIndex
  readonly #suggestions = new Suggestions()

  constructor(resources: ResourceSet, upstreams: UpstreamSet, diagnostics: DiagnosticList) {
    this.#resources = resources
    this.#upstreams = upstreams
    this.#diagnostics = diagnostics
    this.#names = new NameIndex(resources.all('Service'))
  }

  /** `path` leads to the backend in the Ingress. */
  resolve(ingress: Ingress, backend: IngressBackend, path: FieldPath): ResolvedBackend {
    const at = { ingress, path }
    if (backend.type === 'resource') {
      const kind = backend.apiGroup === '' ? backend.kind : `${backend.kind}.${backend.apiGroup}`
      const text = `${backend.kind} ${ingress.meta.namespace}/${backend.name}`
      this.#report('PORTICO_REF_RESOURCE_UNSUPPORTED', `resource backends of kind "${kind}" are not supported`, {
        at,
        field: ['resource'],
        help: 'the route answers 404; name a Service instead',
      })
      return this.#unavailable(at, ['resource'], text, 404, `kind ${kind} is not supported`)
    }
    const text = `${ingress.meta.namespace}/${backend.name}:${'name' in backend.port ? backend.port.name : backend.port.number}`
    const service = this.#resources.get('Service', ingress.meta.namespace, backend.name)
    if (service === undefined) {
      const refused = this.#resources.getRefused('Service', ingress.meta.namespace, backend.name)
      const reason = `service "${backend.name}" ${refused ? 'has errors' : 'not found'}`
      if (refused) this.#reportRefused(at, refused, reason)
      else this.#reportService(at, backend)
      return this.#unavailable(at, ['service', 'name'], text, 503, reason)
    }
    const port = findPort(service, backend)
    if ('code' in port) {
      const field = ['service', 'port', 'name' in backend.port ? 'name' : 'number']
      this.#reportPort(at, service, field, port)
      return this.#unavailable(at, field, text, 503, port.message)
    }
    const denial = this.#upstreams.findDenial(service, port)
    if (denial !== undefined) {
      this.#diagnostics.add('PORTICO_REF_EXTERNAL_NAME_DENIED', `${denial}: not allowed`, {
        position: service.origin.locate(['spec', 'externalName']),
        resource: printResource(service),
        help: 'set externalNames.allowPrivate, or give endpoints in the settings or the annotation portico.dev/endpoints',
        notes: [{ message: 'needed here', position: ingress.origin.locate([...path, 'service', 'name']) }],
      })
      return this.#unavailable(at, ['service', 'name'], text, 503, denial)
    }
    const translated = this.#upstreams.get(service, port)
    this.#upstreams.reportProtocol(translated)
    return {
      action: Object.freeze({ type: 'forward', upstream: translated.upstream.key }),
      text,
      position: ingress.origin.locate([...path, 'service', 'name']),
    }
  }

  /** Reports, once for each Service port, that a route in force has nothing to go to. */
  reportEmpty(ingress: Ingress, backend: IngressBackend, path: FieldPath): void {
    if (backend.type === 'resource') return
    const service = this.#resources.get('Service', ingress.meta.namespace, backend.name)
    const port = service && findPort(service, backend)
    if (service === undefined || port === undefined || 'code' in port) return
    const { upstream, gap } = this.#upstreams.get(service, port)
    if (this.#reportedEmpty.has(upstream.key)) return
    this.#reportedEmpty.add(upstream.key)
    const { endpoints, key } = upstream
    if (
      endpoints.some(({ ready, serving, terminating, weight }) => weight > 0 && (ready || (serving && terminating)))
    ) {
      return
    }
    const why = endpoints.length > 0 ? `none of its ${endpoints.length} endpoints is ready` : gap
    const name = `${service.meta.namespace}/${service.meta.name}`
    this.#report('PORTICO_REF_NO_ENDPOINTS', `service "${key}" has no endpoints${why ? `: ${why}` : ''}`, {
      at: { ingress, path },
      field: ['service', 'name'],
      help:
        `the route answers 503; say where the service listens: --endpoints ${name}=127.0.0.1:3000, ` +
        `or endpoints: {"${name}": ["127.0.0.1:3000"]} in the settings, ` +
        'or the annotation portico.dev/endpoints: "127.0.0.1:3000" on the Service, or an EndpointSlice',
      notes: [{ message: 'the Service is here', position: service.origin.locate(['metadata', 'name']) }],
    })
  }

  #unavailable(at: Reference, field: FieldPath, text: string, status: 404 | 503, reason: string): ResolvedBackend {
    return {
      action: Object.freeze({ type: 'unavailable', status, reason }),
      text,
      position: at.ingress.origin.locate([...at.path, ...field]),
    }
  }

  #reportRefused(at: Reference, service: Service, message: string): void {
    this.#report('PORTICO_REF_SERVICE_NOT_FOUND', message, {
      at,
      field: ['service', 'name'],
      help: 'mend the Service; the route answers 503 until then',
      notes: [{ message: 'it is here', position: service.origin.locate(['metadata', 'name']) }],
    })
  }

  #reportService(at: Reference, backend: IngressServiceBackend): void {
    const { namespace } = at.ingress.meta
    const nearest = this.#suggestions.find(backend.name, this.#names.in(namespace))
    const known = nearest === undefined ? undefined : this.#resources.get('Service', namespace, nearest)
    const elsewhere = this.#names.namespaceOf(backend.name)
    const found = this.#resources.get('Service', elsewhere ?? '', backend.name)
    const pointer = known ?? found
    this.#report('PORTICO_REF_SERVICE_NOT_FOUND', `service "${backend.name}" not found in namespace "${namespace}"`, {
      at,
      field: ['service', 'name'],
      help: nearest
        ? `did you mean "${nearest}"? the route answers 503 until the service exists`
        : elsewhere !== undefined
          ? `it is in namespace "${elsewhere}", but an Ingress reaches its own namespace only; the route answers 503`
          : 'the route answers 503 until it exists',
      notes: pointer
        ? [{ message: `service "${pointer.meta.name}" is here`, position: pointer.origin.locate(['metadata', 'name']) }]
        : [],
    })
  }

  #reportPort(at: Reference, service: Service, field: FieldPath, problem: PortProblem): void {
    this.#report(problem.code, problem.message, {
      at,
      field,
      help: `${problem.help}${problem.help.endsWith('?') ? '' : ';'} the route answers 503`,
      notes: [
        { message: `the ports of service "${service.meta.name}"`, position: service.origin.locate(['spec', 'ports']) },
      ],
    })
  }

  #report(
    code:
      | 'PORTICO_REF_RESOURCE_UNSUPPORTED'
      | 'PORTICO_REF_SERVICE_NOT_FOUND'
      | 'PORTICO_REF_NO_ENDPOINTS'
      | PortProblem['code'],
    message: string,
    details: {
      at: Reference
      field: FieldPath
      help: string
      notes?: readonly { message: string; position: SourcePosition }[]
    },
  ): void {
    const { at, field, help, notes = [] } = details
    this.#diagnostics.add(code, message, {
      position: at.ingress.origin.locate([...at.path, ...field]),
      resource: printResource(at.ingress),
      help,
      notes,
    })
  }
}

/** The port a backend names (S13), or what is wrong with the name. An ExternalName may be given any number (S33). */
function findPort(service: Service, backend: IngressServiceBackend): ServicePort | PortProblem {
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

/** A number that is only a targetPort or nodePort, a number written as a name, a name that is nearly right (S13). */
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
