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
  type UpstreamProtocol,
} from '../../model/upstream.ts'
import { resolveValue } from '../../settings/policy.ts'
import type { PolicyOverrides } from '../../settings/service.ts'
import { isExposed } from '../exposure/node-port.ts'
import type { ContentFinder, ContentName } from '../ingress/content.ts'
import { type FilterMentions, NO_MENTIONS } from '../ingress/mention.ts'
import { KeyOrder, Memo } from '../reuse.ts'
import type { PolicyAttachments } from '../route-policy/attachment.ts'
import type { TranslationSettings } from '../settings.ts'
import { APP_PROTOCOLS, readAppProtocol } from './app-protocol.ts'
import { createFound, EndpointFinder } from './endpoint.ts'
import { createEndpoint } from './endpoint-override.ts'
import { findTlsFault, type ReadEndpointTls, readEndpointTls, reportEndpointTls } from './endpoint-tls.ts'
import { IngressOptions, optionsOf, type PortOptions } from './ingress-option.ts'
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
  /** The Secret for its https endpoints; undefined: there is none. */
  tls: ReadEndpointTls | undefined
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

/** What a Service sets for all its ports, and what that comes to for those of which Ingresses say something. */
type ServicePolicy = Readonly<{
  own: PolicyOverrides | undefined
  ports: ReadonlyMap<number, PolicyOverrides | undefined>
}>

const NO_PORTS: ServicePolicy['ports'] = new Map()

function readServicePolicy(
  service: Service,
  policies: PolicyOverrides | undefined,
  { ports }: PortOptions,
  settings: TranslationSettings,
): ServicePolicy {
  const read = (said: FilterMentions) => readPolicy(service, policies, said, settings)
  return Object.freeze({
    own: read(NO_MENTIONS),
    ports: ports.size === 0 ? NO_PORTS : new Map([...ports].map(([port, said]) => [port, read(said)])),
  })
}

/** Ingresses lead to TCP ports alone. */
function policyOf({ own, ports }: ServicePolicy, { port, protocol }: ServicePort): PolicyOverrides | undefined {
  return protocol === 'TCP' && ports.has(port) ? ports.get(port) : own
}

/** The upstreams of one Service: one for each TCP and UDP port, and for an ExternalName those that routes name by number (S33). */
export class ServiceUpstreams {
  /** Of the ports that the Service lists. */
  readonly listed: readonly TranslatedUpstream[]
  /** Of a headless Service without any port, which is nothing but names. */
  readonly portless: readonly Endpoint[]
  readonly service: Service
  readonly #finder: EndpointFinder
  readonly #settings: TranslationSettings
  readonly #contents: ContentFinder
  readonly #policy: ServicePolicy
  /** A Pod of it whose readiness only a command inside it tells. */
  #commandProbed: Pod | undefined
  /** For traffic from outside, where that gets other endpoints; by the listed one. */
  readonly #external = new Map<TranslatedUpstream, TranslatedUpstream>()
  /** Of ports that only routes name, by number. */
  #others: Map<number, TranslatedUpstream> | undefined

  constructor(
    service: Service,
    finder: EndpointFinder,
    policy: ServicePolicy,
    contents: ContentFinder,
    settings: TranslationSettings,
  ) {
    this.service = service
    this.#finder = finder
    this.#settings = settings
    this.#contents = contents
    this.#policy = policy
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

  /** What the Service sets for itself, whatever Ingresses say of its ports. */
  get policy(): PolicyOverrides | undefined {
    return this.#policy.own
  }

  /** The Secrets for https endpoints, by the number of a port. */
  get secrets(): ReadonlyMap<number, ReadEndpointTls> {
    const found = new Map<number, ReadEndpointTls>()
    // Of an ExternalName, routes name further ports.
    const isOpen = this.service.type === 'ExternalName' && this.listed.length === 0
    const isHttps = isOpen && findProtocol(NO_PORT, this.policy, this.#settings) === 'https'
    const any = isHttps ? this.#readSecret(this.policy) : undefined
    if (any !== undefined) found.set(NO_PORT.port, any)
    for (const { port, tls } of this.listed) if (tls !== undefined) found.set(port.port, tls)
    return found
  }

  /**
   * Reports what is wrong with these Secrets. `layers` are what the Service and its policies say, the first of which counts, and `options`
   * is what Ingresses say.
   */
  reportSecrets(
    layers: readonly FilterMentions[],
    options: PortOptions,
    now: number,
    diagnostics: DiagnosticList,
  ): void {
    const { service } = this
    const isOfSettings = Object.hasOwn(this.#settings.services[printName(service.meta)] ?? {}, 'tlsSecret')
    const told = new Set<ReadEndpointTls>()
    for (const [port, secret] of this.secrets) {
      if (told.has(secret)) continue
      told.add(secret)
      const said = isOfSettings ? [] : [...layers, optionsOf(options, port)]
      const [mention] = said.flatMap((layer) => layer.get('tls-secret') ?? [])
      reportEndpointTls(service, secret, mention, now, diagnostics)
    }
  }

  #readSecret(policy: PolicyOverrides | undefined): ReadEndpointTls | undefined {
    const name = resolveValue(this.#settings.upstream.tlsSecret, policy, 'tlsSecret')
    return name === '' ? undefined : readEndpointTls(this.#contents, this.service.meta.namespace, name)
  }

  /** Reports Pods that tell by a command alone whether they are ready, where that is what would be asked. */
  reportCommandProbe(defaultCheck: string, diagnostics: DiagnosticList): void {
    const { service } = this
    const pod = this.#commandProbed
    if (pod === undefined || resolveValue(defaultCheck, this.policy, 'health.check') !== 'auto') return
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
    const { service } = this
    const external = service.type === 'ExternalName' && this.#finder.findOverride(service, port) === undefined
    const { allowPrivate: isAllAllowed, allowPrivateFor } = this.#settings.externalNames
    const allowPrivate = isAllAllowed || allowPrivateFor.includes(printName(service.meta))
    const found = external ? createFound([createExternalEndpoint(service, port)]) : this.#finder.find(service, port)
    this.#commandProbed ??= found.commandProbed
    const policy = policyOf(this.#policy, port)
    const protocol = findProtocol(port, policy, this.#settings)
    const tls = protocol === 'https' ? this.#readSecret(policy) : undefined
    const denied = external && !allowPrivate ? findDenial(service) : undefined
    const upstream: Upstream = Object.freeze({
      key: findUpstreamKey(service.meta, port),
      service: Object.freeze({ ...createRef(service), type: service.type }),
      port: Object.freeze({ number: port.port, name: port.name, targetPort: port.targetPort }),
      ...(port.protocol === 'UDP' && { transport: 'UDP' as const }),
      protocol,
      ...(tls?.tls && { tls: tls.tls }),
      endpoints: found.endpoints,
      denied: denied ?? (tls && findTlsFault(tls)),
      guardAddresses: external && !allowPrivate,
      policy,
    })
    return Object.freeze({ upstream, service, port, gap: found.gap, isListed, isEmpty: found.isEmpty, tls })
  }

  /** The two policies differ, and to a gateway that knows its node that makes a difference (S21 to S23). */
  #addExternal(): void {
    const { service } = this
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
  readonly #ownPolicies = new Memo<Service, ServicePolicy>(isDeepStrictEqual)
  readonly #ingressOptions = new IngressOptions()
  readonly #all = new Memo<'all', ReadonlyMap<UpstreamKey, Upstream>>()
  readonly #ofUrls = new Memo<UpstreamKey, Upstream>()
  readonly #order = new KeyOrder(compareText)
  readonly #finder = new EndpointFinder()
  #settings!: TranslationSettings
  #policies!: PolicyAttachments
  #contents!: ContentFinder
  /** Secrets that upstreams are made of, by name, and those of them that were asked for since the last sweep. */
  #secrets: Map<string, ContentName> = new Map()
  #askedSecrets: Map<string, ContentName> = new Map()

  /** What is asked for from now on is made of these. */
  begin(
    resources: ResourceSet,
    settings: TranslationSettings,
    policies: PolicyAttachments,
    contents: ContentFinder,
  ): void {
    this.#settings = settings
    this.#policies = policies
    this.#contents = contents
    this.#ingressOptions.begin(resources, settings)
    this.#finder.begin(resources, settings)
  }

  /** All that upstreams are made of beside their Services. */
  get sources(): readonly unknown[] {
    const secrets = [...this.#secrets.values()].map((name) => this.#contents.findInput(name))
    return [...this.#finder.sources, this.#ingressOptions.input, ...secrets]
  }

  /** To be called where all Services were asked for. */
  sweep(): void {
    this.#services.sweep()
    this.#ownPolicies.sweep()
    this.#ingressOptions.sweep()
    this.#finder.sweep()
    this.#secrets = this.#askedSecrets
    this.#askedSecrets = new Map()
  }

  of(service: Service): ServiceUpstreams {
    const settings = this.#settings
    const overrides = this.#policies.overridesOf(service)
    const options = this.#ingressOptions.of(service)
    const policy = this.#ownPolicies.get(service, [overrides, options, settings], () =>
      readServicePolicy(service, overrides, options, settings),
    )
    const secrets = this.#findSecretInputs(service, policy)
    return this.#services.get(service, [policy, ...secrets, ...this.#finder.findSources(service)], () => {
      return new ServiceUpstreams(service, this.#finder, policy, this.#contents, settings)
    })
  }

  /** What Ingresses say of its ports. */
  optionsOf(service: Service): PortOptions {
    return this.#ingressOptions.of(service)
  }

  /** What the Secrets for its https endpoints depend on. */
  #findSecretInputs({ meta }: Service, { own, ports }: ServicePolicy): readonly unknown[] {
    const found: unknown[] = []
    for (const policy of [own, ...ports.values()]) {
      const name = resolveValue(this.#settings.upstream.tlsSecret, policy, 'tlsSecret')
      if (name === '') continue
      const secret: ContentName = { kind: 'Secret', namespace: meta.namespace, name }
      for (const names of [this.#secrets, this.#askedSecrets]) names.set(printName(secret), secret)
      found.push(this.#contents.findInput(secret))
    }
    return found
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

/** The setting goes before the appProtocol of the port. */
function findProtocol(
  port: ServicePort,
  policy: PolicyOverrides | undefined,
  { upstream }: TranslationSettings,
): UpstreamProtocol {
  const set = resolveValue(upstream.protocol, policy, 'protocol')
  return set === 'auto' ? (readAppProtocol(port) ?? 'http') : set
}

function isSpoken(port: ServicePort): boolean {
  return port.appProtocol === undefined || readAppProtocol(port) !== undefined
}

/** Reports, for an upstream that a route leads to, what its endpoints cannot be spoken to in. */
export function reportProtocol({ upstream, service, port }: TranslatedUpstream, diagnostics: DiagnosticList): void {
  if (isSpoken(port) || (upstream.policy?.protocol ?? 'auto') !== 'auto') return
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
  return kind && `externalName "${service.externalName}" is a ${kind} address: not allowed`
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
