/** Upstreams: every TCP and UDP port of every Service with its endpoints, each made once and kept while nothing it is made of changes. */

import { isIP } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import ipaddr from 'ipaddr.js'
import { isPrivateAddress } from '../../base/cidr.ts'
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { compareText } from '../../base/order.ts'
import type { FieldPath } from '../../base/position.ts'
import { printName } from '../../base/resource-name.ts'
import { type Pod, printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { createRef } from '../../model/resource-ref.ts'
import {
  type Endpoint,
  findExternalKey,
  findUpstreamKey,
  type Upstream,
  type UpstreamKey,
} from '../../model/upstream.ts'
import { resolveValue } from '../../settings/policy.ts'
import type { PolicyOverrides } from '../../settings/service.ts'
import { isExposed } from '../exposure/node-port.ts'
import { KeyOrder, Memo } from '../reuse.ts'
import type { PolicyAttachments } from '../route-policy/attachment.ts'
import type { TranslationSettings } from '../settings.ts'
import { APP_PROTOCOLS, readAppProtocol } from './app-protocol.ts'
import { createFound, EndpointFinder } from './endpoint.ts'
import { createEndpoint } from './endpoint-override.ts'
import { readPolicy } from './policy.ts'
import { createUrlUpstream } from './url-upstream.ts'

/** An upstream with what a diagnostic about it needs. */
export type TranslatedUpstream = Readonly<{
  upstream: Upstream
  service: Service
  port: ServicePort
  gap: string | undefined
  /** The Service lists its port. */
  isListed: boolean
  /** No endpoint of it can be used. */
  isEmpty: boolean
}>

const NONE: readonly never[] = Object.freeze([])
/** Joins slices without ports, and every Pod. */
const NO_PORT: ServicePort = Object.freeze({
  name: '',
  protocol: 'TCP',
  port: 0,
  targetPort: 0,
  nodePort: undefined,
  appProtocol: undefined,
  index: 0,
})

/** The upstreams of one Service: one for each TCP and UDP port, and for an ExternalName those that routes name by number (S33). */
export class ServiceUpstreams {
  /** Of the ports that the Service lists. */
  readonly listed: readonly TranslatedUpstream[]
  /** Of a headless Service without any port, which is nothing but names. */
  readonly portless: readonly Endpoint[]
  readonly #service: Service
  readonly #finder: EndpointFinder
  readonly #settings: TranslationSettings
  readonly #policy: PolicyOverrides | undefined
  /** A Pod of it whose readiness only a command inside it tells. */
  #commandProbed: Pod | undefined
  /** For traffic from outside, where that gets other endpoints; by the listed one. */
  readonly #external = new Map<TranslatedUpstream, TranslatedUpstream>()
  /** Of ports that only routes name, by number. */
  #others: Map<number, TranslatedUpstream> | undefined

  constructor(
    service: Service,
    finder: EndpointFinder,
    policies: PolicyOverrides | undefined,
    settings: TranslationSettings,
  ) {
    this.#service = service
    this.#finder = finder
    this.#settings = settings
    this.#policy = readPolicy(service, policies, settings)
    this.listed = service.ports.filter(({ protocol }) => protocol !== 'SCTP').map((port) => this.#make(port, true))
    this.portless = service.headless && service.ports.length === 0 ? finder.find(service, NO_PORT).endpoints : NONE
    this.#addExternal()
  }

  /** All but those that only routes name. */
  *all(): Iterable<TranslatedUpstream> {
    yield* this.listed
    yield* this.#external.values()
  }

  get(port: ServicePort, from: 'internal' | 'external' = 'internal'): TranslatedUpstream {
    const listed = this.listed.find((one) => one.port.port === port.port && one.port.protocol === port.protocol)
    if (listed !== undefined) return (from === 'external' && this.#external.get(listed)) || listed
    this.#others ??= new Map()
    const known = this.#others.get(port.port) ?? this.#make(port, false)
    this.#others.set(port.port, known)
    return known
  }

  /** What the Service sets for itself. */
  get policy(): PolicyOverrides | undefined {
    return this.#policy
  }

  /** Reports Pods that tell by a command alone whether they are ready, where that is what would be asked. */
  reportCommandProbe(defaultCheck: string, diagnostics: DiagnosticList): void {
    const service = this.#service
    const pod = this.#commandProbed
    if (pod === undefined || resolveValue(defaultCheck, this.#policy, 'health.check') !== 'auto') return
    diagnostics.add(
      'PORTICO_REF_PROBE_COMMAND',
      'the readinessProbe of its Pods is a command, which only a kubelet can run: they count as ready',
      {
        position: service.origin.locate(['metadata', 'name']),
        resource: printResource(service),
        notes: [{ message: `${printResource(pod)} is one of them`, position: pod.origin.locate(['metadata', 'name']) }],
        help: 'with the annotation portico.dev/health-check: http (or tcp, grpc) Portico asks the endpoints itself',
      },
    )
  }

  #make(port: ServicePort, isListed: boolean): TranslatedUpstream {
    const service = this.#service
    const external = service.type === 'ExternalName' && this.#finder.findOverride(service, port) === undefined
    const { allowPrivate: isAllAllowed, allowPrivateFor } = this.#settings.externalNames
    const allowPrivate = isAllAllowed || allowPrivateFor.includes(printName(service.meta))
    const found = external ? createFound([createExternalEndpoint(service, port)]) : this.#finder.find(service, port)
    this.#commandProbed ??= found.commandProbed
    const upstream: Upstream = Object.freeze({
      key: findUpstreamKey(service.meta, port),
      service: Object.freeze({ ...createRef(service), type: service.type }),
      port: Object.freeze({ number: port.port, name: port.name, targetPort: port.targetPort }),
      ...(port.protocol === 'UDP' && { transport: 'UDP' as const }),
      protocol: readAppProtocol(port) ?? 'http',
      endpoints: found.endpoints,
      denied: external && !allowPrivate ? findDenial(service) : undefined,
      guardAddresses: external && !allowPrivate,
      policy: this.#policy,
    })
    return Object.freeze({ upstream, service, port, gap: found.gap, isListed, isEmpty: found.isEmpty })
  }

  /** The two policies differ, and to a gateway that knows its node that makes a difference (S21 to S23). */
  #addExternal(): void {
    const service = this.#service
    const { externalTrafficPolicy: policy, internalTrafficPolicy } = service
    if (this.#settings.nodeName === '' || policy === internalTrafficPolicy || !isExposed(service)) return
    for (const listed of this.listed) {
      const found = this.#finder.find({ ...service, internalTrafficPolicy: policy }, listed.port)
      if (isDeepStrictEqual(found.endpoints, listed.upstream.endpoints)) continue
      const upstream: Upstream = Object.freeze({
        ...listed.upstream,
        key: findExternalKey(listed.upstream.key),
        scope: 'external',
        endpoints: found.endpoints,
      })
      this.#external.set(listed, Object.freeze({ ...listed, upstream, gap: found.gap, isEmpty: found.isEmpty }))
    }
  }
}

/** The upstreams of all Services; those of a Service are made again where its endpoints come from something else. */
export class UpstreamSet {
  readonly #services = new Memo<Service, ServiceUpstreams>()
  readonly #all = new Memo<'all', ReadonlyMap<UpstreamKey, Upstream>>()
  readonly #ofUrls = new Memo<UpstreamKey, Upstream>()
  readonly #order = new KeyOrder(compareText)
  readonly #finder = new EndpointFinder()
  #settings!: TranslationSettings
  #policies!: PolicyAttachments

  /** What is asked for from now on is made of these. */
  begin(resources: ResourceSet, settings: TranslationSettings, policies: PolicyAttachments): void {
    this.#settings = settings
    this.#policies = policies
    this.#finder.begin(resources, settings)
  }

  /** All that upstreams are made of beside their Services. */
  get sources(): readonly unknown[] {
    return this.#finder.sources
  }

  /** To be called where all Services were asked for. */
  sweep(): void {
    this.#services.sweep()
    this.#finder.sweep()
  }

  of(service: Service): ServiceUpstreams {
    const overrides = this.#policies.overridesOf(service)
    return this.#services.get(service, [overrides, ...this.#finder.findSources(service)], () => {
      return new ServiceUpstreams(service, this.#finder, overrides, this.#settings)
    })
  }

  /**
   * By key, in the order of keys: those of all ports that `services` list, those that routes lead to, and those that filters reach
   * by URLs, of which `asked` has the keys.
   */
  all(
    services: readonly ServiceUpstreams[],
    used: Iterable<TranslatedUpstream>,
    asked: Iterable<UpstreamKey>,
  ): ReadonlyMap<UpstreamKey, Upstream> {
    const others = [...used].filter(({ isListed }) => !isListed)
    const ofUrls = Array.from(asked, (key) => this.#ofUrls.get(key, [], () => createUrlUpstream(key)))
    this.#ofUrls.sweep()
    return this.#all.get('all', [services, ...others, ...ofUrls], () => {
      const found: Upstream[] = []
      for (const one of services) for (const { upstream } of one.all()) found.push(upstream)
      for (const { upstream } of others) found.push(upstream)
      found.push(...ofUrls)
      return new Map(this.#order.sort(found, ({ key }) => key).map((upstream) => [upstream.key, upstream]))
    })
  }
}

/** Whether anything is to be said or shown of an upstream because a route leads to it. */
export function isNotable({ service, port, isListed }: TranslatedUpstream): boolean {
  return !isListed || service.type === 'ExternalName' || !isSpoken(port)
}

function isSpoken(port: ServicePort): boolean {
  return port.appProtocol === undefined || readAppProtocol(port) !== undefined
}

/** Reports, for an upstream that a route leads to, what its endpoints cannot be spoken to in. */
export function reportProtocol({ service, port }: TranslatedUpstream, diagnostics: DiagnosticList): void {
  if (isSpoken(port)) return
  diagnostics.add(
    'PORTICO_REF_APP_PROTOCOL',
    `appProtocol "${port.appProtocol}" is not supported: the endpoints are spoken to in HTTP/1.1`,
    {
      position: service.origin.locate(['spec', 'ports', port.index, 'appProtocol']),
      resource: printResource(service),
      help: `supported are ${APP_PROTOCOLS.join(', ')}`,
    },
  )
}

/** Why a Service of type ExternalName may not be reached, where it may not (S33). */
function findDenial(service: Service): string | undefined {
  const name = readExternalName(service)
  const kind = name === 'localhost' || name.endsWith('.localhost') ? 'loopback' : isPrivateAddress(name)
  return kind && `externalName "${service.externalName}" is a ${kind} address`
}

/**
 * The name without its last dot, lower case; the old octal, hexadecimal and short forms of IPv4 as the address they are,
 * since a resolver would take them for one.
 */
function readExternalName(service: Service): string {
  const name = (service.externalName ?? '').toLowerCase().replace(/\.$/, '')
  return isIP(name) === 0 && ipaddr.IPv4.isValid(name) ? ipaddr.IPv4.parse(name).toString() : name
}

const NAME_OF_ANOTHER: FieldPath = Object.freeze(['spec', 'externalName'])

/** Connects to the port the route names (S33), or to its targetPort where that is another number. */
function createExternalEndpoint(service: Service, port: ServicePort): Endpoint {
  const number = typeof port.targetPort === 'number' ? port.targetPort : port.port
  const address = { host: readExternalName(service), port: number, weight: 1 }
  const found = createEndpoint(address, 'ExternalName', `ExternalName ${service.externalName}`)
  return { ...found, owner: createRef(service), field: NAME_OF_ANOTHER }
}
