/** Backends of Ingress paths: resolves references to Service ports and other objects. */
import { isDeepStrictEqual } from 'node:util'
import { addOutcome, type DiagnosticList, type DiagnosticNote } from '../../base/diagnostics.ts'
import { isClosedBy } from '../../base/errors.ts'
import type { FieldPath } from '../../base/position.ts'
import { printName } from '../../base/resource-name.ts'
import { listAnswering } from '../../filters/registry.ts'
import {
  type Ingress,
  type IngressBackend,
  type IngressResourceBackend,
  type IngressServiceBackend,
  printResource,
  type Service,
} from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { FilterConfig } from '../../model/filter.ts'
import {
  type BackendAction,
  findBackendField,
  type Route,
  type RouteAction,
  type UnavailableAction,
} from '../../model/route.ts'
import { findShortage } from '../../model/shortage.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { Memo } from '../reuse.ts'
import type { PolicyAttachments } from '../route-policy/attachment.ts'
import { adviseEndpoints, DENIAL_HELP } from '../service/endpoint-override.ts'
import type { TranslatedUpstream, UpstreamSet } from '../service/upstream.ts'
import type { TranslationSettings } from '../settings.ts'
import { NameIndex, Suggestions } from '../suggestion.ts'
import { findPort, type PortProblem } from './backend-port.ts'
import type { ContentFinder } from './content.ts'
import { findBrokenGuard, readMentions, resolveFilters } from './filters.ts'
import { describeClosing, findClosingGuards, hasForeign } from './foreign-annotation.ts'
import type { ForeignAnnotation } from './foreign-table.ts'
import type { FilterMention, FilterMentions, FilterOwner } from './mention.ts'
import { findSplit, SPLIT_ANNOTATION } from './split.ts'

const SPLIT_FIELD: FieldPath = Object.freeze(['metadata', 'annotations', SPLIT_ANNOTATION])

const NO_LAYERS: readonly FilterMentions[] = Object.freeze([])

/** Ingresses that one warning names. */
const MOST_INGRESSES = 5

/** A reference of an Ingress; equal keys mean the same backend. */
export type Reference = Readonly<{ key: string; namespace: string; backend: IngressBackend }>

/** The result for a reference, shared by all equal references. */
export type Resolution = Readonly<{
  action: BackendAction
  /** Undefined if the action is `unavailable`. */
  target: TranslatedUpstream | undefined
  problem: BackendProblem | undefined
  /** The Service, if it has annotations of other controllers to report. */
  annotated: Service | undefined
  /** What is said of filters on the Service, the most specific first. */
  layers: readonly FilterMentions[]
}>

/** The problem of a reference, reported wherever the reference stands. */
export type BackendProblem = Readonly<{
  code:
    | 'PORTICO_REF_RESOURCE_UNSUPPORTED'
    | 'PORTICO_REF_SERVICE_NOT_FOUND'
    | 'PORTICO_REF_EXTERNAL_NAME_DENIED'
    | PortProblem['code']
  message: string
  help: string
  /** The wrong field of the backend. */
  field: FieldPath
  notes: readonly DiagnosticNote[]
  /** Set if the fault is the Service's and not the reference's. */
  service?: Service
}>

export function createReference(namespace: string, backend: IngressBackend): Reference {
  const what =
    backend.type === 'resource'
      ? `${backend.kind}.${backend.apiGroup}`
      : 'name' in backend.port
        ? `port ${backend.port.name}`
        : `${backend.port.number}`
  return { key: `${namespace}/${backend.name} ${backend.type} ${what}`, namespace, backend }
}

/** Reports the problem of the backend at `path` of the object. */
export function reportBackend(
  problem: BackendProblem,
  owner: FilterOwner,
  path: FieldPath,
  diagnostics: DiagnosticList,
): void {
  const { code, message, help, field, notes, service } = problem
  const position = owner.origin.locate([...path, ...field])
  if (service === undefined) {
    diagnostics.add(code, message, { position, resource: printResource(owner), help, notes })
    return
  }
  diagnostics.add(code, message, {
    position: service.origin.locate(['spec', 'externalName']),
    resource: printResource(service),
    help,
    notes: [{ message: 'needed here', ...(position && { position }) }],
  })
}

/** What `help` says of a route, where filters of the route may answer in the place of its backend. */
export function adviseAnswered(help: string, filters: readonly FilterConfig[] | undefined): string {
  const names = listAnswering(filters)
  if (names.length === 0) return help
  return help.replace('the route answers', `requests that ${names.join(' or ')} does not answer get`)
}

/** Reports the problem of one backend of several, which `split` names. */
export function reportShare(
  problem: BackendProblem,
  weight: number,
  split: FilterMention,
  diagnostics: DiagnosticList,
): void {
  const help =
    weight === 0
      ? 'its weight is 0, so that no request needs it'
      : problem.help.replace('the route answers', 'its share of the requests is answered')
  const message = problem.service === undefined ? `${split.label}: ${problem.message}` : problem.message
  reportBackend({ ...problem, message, help, field: [] }, split.owner, split.field, diagnostics)
}

/** Reports that a served route has no endpoints, or that one of its backends has none. `others` have such routes too. */
export function reportEmpty(
  { upstream, service, gap }: TranslatedUpstream,
  { ingress, route }: Readonly<{ ingress: Ingress; route: Route }>,
  others: readonly Ingress[],
  diagnostics: DiagnosticList,
): void {
  const isShare = route.action.type === 'split'
  const isOwnSplit = isShare && findSplit(readMentions(ingress)) !== undefined
  const { endpoints, key } = upstream
  const why = endpoints.length === 0 ? gap : findShortage(upstream)?.reason
  const too = others.length === 0 ? '' : `, and so do routes of Ingress ${printIngresses(others)}`
  diagnostics.add('PORTICO_REF_NO_ENDPOINTS', `service "${key}" has no endpoints${why ? `: ${why}` : ''}`, {
    position: ingress.origin.locate(isOwnSplit ? SPLIT_FIELD : [...findBackendField(route), 'service', 'name']),
    resource: printResource(ingress),
    help: `${isShare ? 'its share of the requests is answered' : adviseAnswered('the route answers', route.filters)} 503${too}; ${adviseEndpoints(service)}`,
    notes: [{ message: 'the Service is here', position: service.origin.locate(['metadata', 'name']) }],
  })
}

function printIngresses(ingresses: readonly Ingress[]): string {
  const names = ingresses.slice(0, MOST_INGRESSES).map(({ meta }) => printName(meta))
  const more = ingresses.length - names.length
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** Resolves references. */
export class BackendResolver {
  readonly #resolutions = new Memo<string, Resolution>(isSameFailure)
  #resources!: ResourceSet
  #upstreams!: UpstreamSet
  #settings!: TranslationSettings
  #contents!: ContentFinder
  #policies!: PolicyAttachments
  #names: NameIndex | undefined
  #suggestions = new Suggestions()

  /** Begins a translation: references are looked up in these. */
  begin(
    resources: ResourceSet,
    upstreams: UpstreamSet,
    settings: TranslationSettings,
    contents: ContentFinder,
    policies: PolicyAttachments,
  ): void {
    this.#resources = resources
    this.#upstreams = upstreams
    this.#settings = settings
    this.#contents = contents
    this.#policies = policies
    this.#names = undefined
    this.#suggestions = new Suggestions()
  }

  /** Call when all references are resolved: forgets those that no longer occur. */
  sweep(): void {
    this.#resolutions.sweep()
  }

  resolve(reference: Reference): Resolution {
    const { key, namespace, backend } = reference
    if (backend.type === 'resource') {
      return this.#resolutions.get(key, [], () => resolveResource(namespace, backend))
    }
    const service = this.#resources.get('Service', namespace, backend.name)
    if (service !== undefined) {
      const upstreams = this.#upstreams.of(service)
      const own = resolveFilters(service, this.#contents)
      const policies = this.#policies.of(service)
      return this.#resolutions.get(key, [upstreams, own, policies, this.#settings.unsupportedGuards], () => {
        const text = printBackend(namespace, backend)
        const port = findPort(service, backend)
        if ('code' in port) return unavailable(text, port.message, describePortProblem(service, backend, port))
        const target = upstreams.get(port)
        const { denied } = target.upstream
        // What is wrong with a Secret is said of the Service.
        if (target.tls !== undefined && denied !== undefined) return unavailable(text, denied, undefined)
        if (denied !== undefined) return unavailable(text, denied, describeDenial(service, denied))
        const action = Object.freeze({ type: 'forward', upstream: target.upstream.key, backend: text } as const)
        const annotated = hasForeign(service) ? service : undefined
        const broken = findBrokenGuard(service)
        const reason = broken ? `the annotation ${broken} of the Service cannot be used` : policies.broken
        if (reason !== undefined) {
          return Object.freeze({ ...unavailable(text, reason, undefined, 'PORTICO_GW_GUARD_INVALID'), annotated })
        }
        const layers = [own.mentions, policies.mentions].filter(({ size }) => size > 0)
        const open = Object.freeze({ action, target, problem: undefined, annotated, layers })
        const [guard] = annotated === undefined ? [] : findClosingGuards(service, this.#settings)
        return guard === undefined ? open : closeResolution(open, guard)
      })
    }
    const refused = this.#resources.getRefused('Service', namespace, backend.name)
    // The suggestion depends on all Services.
    return this.#resolutions.get(key, [refused, this.#resources.all('Service')], () => {
      if (isAction(backend)) return describeAction(namespace, backend)
      const reason = `service "${backend.name}" ${refused ? 'has errors' : 'not found'}`
      const problem = refused ? describeRefused(refused, reason) : this.#describeMissing(namespace, backend)
      return unavailable(printBackend(namespace, backend), reason, problem)
    })
  }

  #describeMissing(namespace: string, backend: IngressServiceBackend): BackendProblem {
    this.#names ??= new NameIndex(this.#resources.all('Service'))
    const nearest = this.#suggestions.find(backend.name, this.#names.in(namespace))
    const known = nearest === undefined ? undefined : this.#resources.get('Service', namespace, nearest)
    const elsewhere = this.#names.namespaceOf(backend.name)
    const pointer = known ?? this.#resources.get('Service', elsewhere ?? '', backend.name)
    return {
      code: 'PORTICO_REF_SERVICE_NOT_FOUND',
      message: `service "${backend.name}" not found in namespace "${namespace}"`,
      field: ['service', 'name'],
      help: nearest
        ? `did you mean "${nearest}"? the route answers 503 until the service exists`
        : elsewhere !== undefined
          ? `it is in namespace "${elsewhere}", but an Ingress reaches its own namespace only; the route answers 503`
          : 'the route answers 503 until it exists',
      notes: pointer
        ? [{ message: `service "${pointer.meta.name}" is here`, position: pointer.origin.locate(['metadata', 'name']) }]
        : [],
    }
  }
}

/** True for two failures with the same result: a missing Service mostly stays missing in the same way. */
function isSameFailure(a: Resolution, b: Resolution): boolean {
  if (a.target !== undefined || b.target !== undefined) return false
  return a.annotated === b.annotated && a.problem?.service === b.problem?.service && isDeepStrictEqual(a, b)
}

/** The result for a reference of an Ingress that is not served and whose routes are closed for `guard`. */
export function closeReference({ namespace, backend }: Reference, guard: ForeignAnnotation): Resolution {
  const text = backend.type === 'resource' ? printObject(namespace, backend) : printBackend(namespace, backend)
  const open = unavailable(text, '', undefined)
  return closeResolution(open, guard)
}

function printObject(namespace: string, { kind, name }: IngressResourceBackend): string {
  return `${kind} ${namespace}/${name}`
}

function printBackend(namespace: string, { name, port }: IngressServiceBackend): string {
  return `${namespace}/${name}:${'name' in port ? port.name : port.number}`
}

function unavailable(
  backend: string,
  reason: string,
  problem: BackendProblem | undefined,
  code: UnavailableAction['code'] = 'PORTICO_UP_NO_SERVICE',
): Resolution {
  const action: UnavailableAction = Object.freeze({ type: 'unavailable', code, reason, backend })
  return Object.freeze({ action, target: undefined, problem, annotated: undefined, layers: NO_LAYERS })
}

/** The same result, closed, since `guard` cannot be honoured. */
export function closeResolution(resolution: Resolution, guard: ForeignAnnotation): Resolution {
  return Object.freeze({ ...resolution, action: closeAction(resolution.action, guard), target: undefined })
}

/** True for what answers 503 to all requests, since it promises what cannot be kept. */
export function isClosed({ action }: Pick<Route, 'action'>): boolean {
  return action.type === 'unavailable' && isClosedBy(action.code)
}

/** The action of a closed route, in place of `action`, since `guard` cannot be honoured. */
export function closeAction({ backend }: RouteAction, guard: ForeignAnnotation): UnavailableAction {
  const isOwn = `${guard.domain}/` === ANNOTATION_DOMAIN
  return Object.freeze({
    type: 'unavailable',
    code: isOwn ? 'PORTICO_GW_GUARD_INVALID' : 'PORTICO_GW_GUARD_UNSUPPORTED',
    reason: isOwn ? `the Ingress is refused, and with it its ${guard.name}` : describeClosing(guard),
    backend,
  })
}

function resolveResource(namespace: string, backend: IngressResourceBackend): Resolution {
  const { apiGroup, kind } = backend
  const full = apiGroup === '' ? kind : `${kind}.${apiGroup}`
  const problem: BackendProblem = {
    code: 'PORTICO_REF_RESOURCE_UNSUPPORTED',
    message: `resource backends of kind "${full}" are not supported`,
    field: ['resource'],
    help: 'the route answers 404; name a Service instead',
    notes: [],
  }
  return unavailable(printObject(namespace, backend), `kind ${full} is not supported`, problem, 'PORTICO_REQ_NO_ROUTE')
}

/** True for backends of the AWS load balancer whose name is an annotation's, with a redirect, a fixed answer or several Services. */
function isAction({ port }: IngressServiceBackend): boolean {
  return 'name' in port && port.name === 'use-annotation'
}

function describeAction(namespace: string, backend: IngressServiceBackend): Resolution {
  const message = `"${backend.name}" is an action of an AWS load balancer, which is not supported`
  return unavailable(printBackend(namespace, backend), message, {
    code: 'PORTICO_REF_SERVICE_NOT_FOUND',
    message,
    field: ['service', 'name'],
    help: `the route answers 503, since nothing here reads alb.ingress.kubernetes.io/actions.${backend.name}; if it redirects to HTTPS, remove the path: https.redirect does so for hosts with a tls section`,
    notes: [],
  })
}

function describeRefused(service: Service, message: string): BackendProblem {
  return {
    code: 'PORTICO_REF_SERVICE_NOT_FOUND',
    message,
    field: ['service', 'name'],
    help: 'mend the Service; the route answers 503 until then',
    notes: [{ message: 'it is here', position: service.origin.locate(['metadata', 'name']) }],
  }
}

function describePortProblem(service: Service, backend: IngressServiceBackend, problem: PortProblem): BackendProblem {
  const { code, message, help } = problem
  const position = service.origin.locate(['spec', 'ports'])
  return {
    code,
    message,
    field: ['service', 'port', 'name' in backend.port ? 'name' : 'number'],
    help: addOutcome(help, 'the route answers 503'),
    notes: [{ message: `the ports of service "${service.meta.name}"`, position }],
  }
}

function describeDenial(service: Service, denied: string): BackendProblem {
  return {
    code: 'PORTICO_REF_EXTERNAL_NAME_DENIED',
    message: denied,
    field: ['service', 'name'],
    help: DENIAL_HELP,
    notes: [],
    service,
  }
}
