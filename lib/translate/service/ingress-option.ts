/**
 * Which Ingress decides what Ingresses say of a Service port: for each noun (affinity, balancer, protocol, TLS to endpoints) the first
 * that speaks of it. What the Service itself and its RoutePolicies say goes before.
 */
import { DiagnosticList, type DiagnosticNote } from '../../base/diagnostics.ts'
import { printName } from '../../base/resource-name.ts'
import { type Ingress, printResource, type Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { ANNOTATION_DOMAIN, SERVICE_SETTINGS_BY_ANNOTATION } from '../../settings/service.ts'
import { findPort } from '../ingress/backend-port.ts'
import { pickIngresses } from '../ingress/ingress-class.ts'
import { type FilterMention, type FilterMentions, locateValue, NO_MENTIONS, pointTo } from '../ingress/mention.ts'
import { readRouteOption } from '../ingress/route-option.ts'
import { readServiceOptions } from '../ingress/service-option.ts'
import { Memo, Sieve } from '../reuse.ts'
import type { TranslationSettings } from '../settings.ts'

/** Something that another Ingress decides. */
type Overruled = Readonly<{ mention: FilterMention; by: FilterMention; port: number }>

/** What Ingresses say of the ports of one Service, by their numbers. */
export type PortOptions = Readonly<{
  ports: ReadonlyMap<number, FilterMentions>
  overruled: readonly Overruled[]
}>

const NOTHING: PortOptions = Object.freeze({ ports: new Map(), overruled: [] })
const NOBODY: ReadonlyMap<string, readonly Ingress[]> = new Map()

const VERIFY = 'verify-tls'

/** Nouns of several settings, by the first words of their names; any other setting is a noun of its own. */
const NOUNS: Readonly<Record<string, string>> = {
  balancer: 'balancing',
  hash: 'balancing',
  tlsSecret: 'tls',
  verifyTls: 'tls',
  sni: 'tls',
  caFile: 'tls',
}

/** Finds what Ingresses say of Services; what did not change stays the same object. */
export class IngressOptions {
  readonly #saying = new Sieve<Ingress>((ingress) => readServiceOptions(ingress).size > 0)
  readonly #all = new Memo<'all', ReadonlyMap<string, readonly Ingress[]>>()
  readonly #ofServices = new Memo<Service, PortOptions>()
  /** Those that say something of a Service, by its namespace and name, in order of rank. */
  #byService: ReadonlyMap<string, readonly Ingress[]> = NOBODY
  /** Certificates of endpoints are verified where an Ingress says no more than https. */
  #verifies = true

  /** Begins a translation. */
  begin(resources: ResourceSet, settings: TranslationSettings): void {
    this.#verifies = settings.compatibility !== 'ingress-nginx'
    const saying = this.#saying.filter(resources.all('Ingress'))
    // Why an Ingress is not served is said once, where it would be.
    const served = saying.length === 0 ? saying : pickIngresses(saying, resources, settings, new DiagnosticList())
    this.#byService =
      served.length === 0 ? NOBODY : this.#all.get('all', [...served, this.#verifies], () => groupByService(served))
  }

  /** All that the options depend on beside the Services. */
  get input(): unknown {
    return this.#byService
  }

  /** To be called where all Services were asked for. */
  sweep(): void {
    this.#ofServices.sweep()
  }

  of(service: Service): PortOptions {
    const ingresses = this.#byService.size === 0 ? undefined : this.#byService.get(printName(service.meta))
    return ingresses === undefined
      ? NOTHING
      : this.#ofServices.get(service, [...ingresses, this.#verifies], () => {
          const decided = decideForPorts(service, ingresses)
          return this.#verifies ? decided : trustEndpoints(decided)
        })
  }
}

/** Reports what an Ingress says in vain; `layers` are what the Service and its RoutePolicies say. */
export function reportOverruled(
  service: Service,
  { ports, overruled }: PortOptions,
  layers: readonly FilterMentions[],
  diagnostics: DiagnosticList,
): void {
  const told = new Set<string>()
  const tell = (mention: FilterMention, by: FilterMention, what: string): void => {
    const { owner, label } = mention
    const key = `${printResource(owner as Ingress)} ${label}`
    if (told.has(key)) return
    told.add(key)
    const note: DiagnosticNote = pointTo(by, `${by.label} stands here`)
    diagnostics.add('PORTICO_SVC_OVERRULED', `${label} does nothing for ${printResource(service)}: ${what}`, {
      position: locateValue(mention),
      resource: printResource(owner as Ingress),
      help: 'let both say the same, or leave one of them out',
      notes: [note],
    })
  }
  for (const mentions of ports.values()) {
    const trusted = mentions.get(VERIFY)
    if (trusted !== undefined && trusted.field === mentions.get('protocol')?.field) reportTrusted(trusted, diagnostics)
    for (const [name, mention] of mentions) {
      const by = layers.find((layer) => layer.has(name))?.get(name)
      if (by !== undefined && !isEqual(mention, by)) tell(mention, by, `${by.label} goes before`)
    }
  }
  for (const { mention, by, port } of overruled) {
    tell(mention, by, `${printResource(by.owner as Ingress)} decides for its port ${port}`)
  }
}

/** BP1: ingress-nginx verifies no certificate of an endpoint unless proxy-ssl-verify says so. */
function trustEndpoints({ ports, overruled }: PortOptions): PortOptions {
  const trusting = [...ports].map(([port, mentions]): [number, FilterMentions] => {
    const protocol = mentions.get('protocol')
    const isTls = readRouteOption(mentions, 'protocol') === 'https'
    if (protocol === undefined || !isTls || mentions.has(VERIFY)) return [port, mentions]
    const config = Object.freeze({ name: VERIFY, options: Object.freeze({ value: 'false' }) })
    return [port, new Map([...mentions, [VERIFY, { ...protocol, config }]])]
  })
  return Object.freeze({ ports: new Map(trusting), overruled })
}

function reportTrusted(mention: FilterMention, diagnostics: DiagnosticList): void {
  const message = `${mention.label}: certificates of endpoints are not verified, since compatibility is ingress-nginx`
  diagnostics.add('PORTICO_ANN_VALUE', message, {
    severity: 'warning',
    position: locateValue(mention),
    resource: printResource(mention.owner as Ingress),
    help: 'anybody on the way to them can read and change all that is sent: write proxy-ssl-verify: "on", with the authorities in ca.crt of proxy-ssl-secret',
  })
}

function groupByService(ingresses: readonly Ingress[]): ReadonlyMap<string, readonly Ingress[]> {
  const found = new Map<string, Ingress[]>()
  for (const ingress of ingresses) {
    for (const service of new Set(listBackends(ingress).map(({ name }) => name))) {
      const key = printName({ namespace: ingress.meta.namespace, name: service })
      const known = found.get(key)
      if (known) known.push(ingress)
      else found.set(key, [ingress])
    }
  }
  return found
}

function listBackends({ rules, defaultBackend }: Ingress) {
  const backends = rules.flatMap(({ paths = [] }) => paths.map(({ backend }) => backend))
  if (defaultBackend !== undefined) backends.push(defaultBackend)
  return backends.flatMap((backend) => (backend.type === 'service' ? [backend] : []))
}

function decideForPorts(service: Service, ingresses: readonly Ingress[]): PortOptions {
  const ports = new Map<number, Map<string, FilterMention>>()
  /** By port and noun. */
  const holders = new Map<string, Ingress>()
  const overruled: Overruled[] = []
  for (const ingress of ingresses) {
    const own = listBackends(ingress).filter(({ name }) => name === service.meta.name)
    const found = own.map((backend) => findPort(service, backend))
    const numbers = new Set(found.flatMap((port) => ('code' in port ? [] : [port.port])))
    for (const port of numbers) {
      const decided = ports.get(port) ?? new Map<string, FilterMention>()
      ports.set(port, decided)
      for (const [name, mention] of readServiceOptions(ingress)) {
        const noun = `${port} ${nounOf(name)}`
        const holder = holders.get(noun) ?? ingress
        holders.set(noun, holder)
        if (holder === ingress) decided.set(name, mention)
        else {
          const by = decided.get(name) ?? [...decided].find(([other]) => nounOf(other) === nounOf(name))![1]
          if (!isEqual(mention, by)) overruled.push({ mention, by, port })
        }
      }
    }
  }
  return Object.freeze({ ports, overruled })
}

function nounOf(option: string): string {
  const [word = ''] = SERVICE_SETTINGS_BY_ANNOTATION.get(ANNOTATION_DOMAIN + option)!.name.split('.')
  return NOUNS[word] ?? word
}

/** They say the same of the same option. */
function isEqual({ config: one }: FilterMention, { config: other }: FilterMention): boolean {
  return one?.name === other?.name && one?.options.value === other?.options.value
}

/** What Ingresses say of one port. */
export function optionsOf({ ports }: PortOptions, port: number): FilterMentions {
  return ports.get(port) ?? NO_MENTIONS
}
