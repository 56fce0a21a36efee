/** What the annotations of ingress-nginx are as annotations of Portico's own, and on which objects they stand then. */
import { DiagnosticList } from '../../base/diagnostics.ts'
import { printName } from '../../base/resource-name.ts'
import { findFilterOf } from '../../filters/registry.ts'
import { type Ingress, type PolicyTarget, printResource, type Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import type { Settings } from '../../settings/table.ts'
import { ANNOTATIONS } from '../annotation.ts'
import { findPort } from '../ingress/backend-port.ts'
import { pickIngresses } from '../ingress/ingress-class.ts'
import { isCanary, readAliases } from '../ingress/nginx/alias.ts'
import { NGINX_DOMAIN, type NginxFeature } from '../ingress/nginx/feature.ts'
import { findFeature, isIdle } from '../ingress/nginx/features.ts'
import { findGiver } from '../ingress/nginx/given-annotations.ts'
import { CONFIGURATION_SNIPPET, SERVER_SNIPPET } from '../ingress/nginx/snippet.ts'
import { REFUSED } from '../ingress/nginx/without-effect.ts'
import { listBackends } from '../service/ingress-option.ts'
import { pickSettings } from '../settings.ts'

type Entry = readonly [name: string, value: string]

const SNIPPETS = [
  { name: 'configuration-snippet', feature: CONFIGURATION_SNIPPET, answers: 'answers' },
  { name: 'server-snippet', feature: SERVER_SNIPPET, answers: 'hostAnswers' },
] as const

/** The changes of one object. */
export type ObjectChange = Readonly<{
  resource: Ingress | Service
  /** By the whole name of an annotation: what takes its place, or nothing. */
  replaced: ReadonlyMap<string, readonly Entry[]>
  /** Options that an Ingress says for the Service. */
  added: readonly Entry[]
}>

/** An annotation that stays. */
export type KeptAnnotation = Readonly<{ ingress: Ingress; annotation: string; reason: string }>

export type Rewriting = Readonly<{ changes: readonly ObjectChange[]; kept: readonly KeptAnnotation[] }>

/** Said of options that hold for a Service. */
type ServiceMove = Readonly<{ ingress: Ingress; services: readonly Service[]; entries: readonly Entry[] }>

/** Ingresses that are not served, or that have errors, stay as they are; so do `fixed` objects, each for its reason. */
export function planRewriting(
  resources: ResourceSet,
  settings: Settings,
  fixed: ReadonlyMap<Ingress | Service, string>,
): Rewriting {
  const picked = pickSettings(settings, undefined)
  const all = resources.all('Ingress')
  const served = new Set(pickIngresses(all, resources, picked, new DiagnosticList()))
  const hasCanaries = all.some(isCanary)
  const services = new ServiceMoves(served, resources, fixed, settings.compatibility === 'ingress-nginx')
  const kept: KeptAnnotation[] = []
  const changes: ObjectChange[] = []
  for (const ingress of [...all, ...resources.allRefused('Ingress')]) {
    const read = Object.keys(ingress.meta.annotations).filter((name) => name.startsWith(NGINX_DOMAIN))
    const given = read.flatMap((annotation) => {
      const giver = findGiver(ingress, annotation)
      return giver === undefined ? [] : [{ ingress, annotation, reason: giver }]
    })
    kept.push(...given)
    const names = read.filter((name) => given.every(({ annotation }) => annotation !== name))
    if (names.length === 0) continue
    const reason = findReason(ingress, served) ?? fixed.get(ingress)
    if (reason !== undefined) {
      kept.push(...names.map((annotation) => ({ ingress, annotation, reason })))
      continue
    }
    const staying = findStaying(ingress, services, hasCanaries)
    const replaced = new Map<string, readonly Entry[]>()
    for (const annotation of names) {
      const why = explainStay(ingress, annotation, staying)
      if (why !== undefined) kept.push({ ingress, annotation, reason: why })
      else replaced.set(annotation, listEntries(ingress, annotation))
    }
    if (replaced.size > 0) changes.push({ resource: ingress, replaced, added: [] })
  }
  return { changes: [...changes, ...services.listChanges(changes)], kept }
}

/** Why nothing of the Ingress is written anew. */
function findReason(ingress: Ingress, served: ReadonlySet<Ingress>): string | undefined {
  if (isCanary(ingress)) return 'a canary is one by this annotation alone'
  return served.has(ingress) ? undefined : 'the Ingress is not served'
}

/** The features whose annotations stay, with the reasons. */
function findStaying(
  ingress: Ingress,
  services: ServiceMoves,
  hasCanaries: boolean,
): ReadonlyMap<NginxFeature, string> {
  const { flaws, options, hosts } = readAliases(ingress)
  const staying = new Map<NginxFeature, string>()
  const featureOf = (annotation: string) => findFeature(annotation.slice(NGINX_DOMAIN.length))!
  for (const { annotation, outcome, message, help } of flaws) {
    if (outcome === 'default' || /\bas in ingress-nginx\b/.test(`${message} ${help}`)) continue
    staying.set(featureOf(annotation), message)
  }
  for (const { annotation, feature } of listPartial(ingress)) {
    staying.set(feature, 'not all that it says is an option of its own')
    const filters = new Set(
      [...options].flatMap(([option, one]) => (one.annotation === annotation ? (findFilterOf(option) ?? []) : [])),
    )
    // A filter counts as a whole: of one that is written for itself the snippet would have no part.
    for (const [option, one] of options) {
      const filter = findFilterOf(option)
      if (filter && filters.has(filter)) staying.set(featureOf(one.annotation), `${annotation} stays`)
    }
  }
  for (const [option, { annotation }] of options) {
    const feature = featureOf(annotation)
    if (option === 'affinity-type' && hasCanaries && hosts.sessionCookie !== undefined) {
      staying.set(feature, 'a canary goes by the cookie that it names')
    }
    if (isOfService(option) && !staying.has(feature)) {
      const fault = services.findFault(ingress)
      if (fault !== undefined) staying.set(feature, fault)
    }
  }
  return staying
}

/** The snippets that are done in part, or answer under conditions, which no option says. */
function listPartial(ingress: Ingress): readonly Readonly<{ annotation: string; feature: NginxFeature }>[] {
  const { handled, hosts } = readAliases(ingress)
  return SNIPPETS.flatMap(({ name, feature, answers }) => {
    const annotation = NGINX_DOMAIN + name
    const isWritten = ingress.meta.annotations[annotation] !== undefined
    return isWritten && (!handled.has(annotation) || hosts[answers] !== undefined) ? [{ annotation, feature }] : []
  })
}

/** Undefined: the annotation goes. */
function explainStay(
  ingress: Ingress,
  annotation: string,
  staying: ReadonlyMap<NginxFeature, string>,
): string | undefined {
  const name = annotation.slice(NGINX_DOMAIN.length)
  const feature = findFeature(name)
  if (feature === undefined) return isIdle(name) ? undefined : explainRefused(name)
  const flaw = readAliases(ingress).flaws.find((one) => one.annotation === annotation && one.outcome === 'default')
  const { options, differs } = feature.annotations[name]!
  // What it says is said nowhere else.
  const isLost = !options.some((option) => ANNOTATIONS.has(ANNOTATION_DOMAIN + option))
  return staying.get(feature) ?? flaw?.message ?? (isLost ? differs : undefined)
}

function explainRefused(name: string): string {
  return Object.hasOwn(REFUSED, name) ? `it is not done: ${REFUSED[name]}` : 'ingress-nginx does not know it'
}

function listEntries(ingress: Ingress, annotation: string): readonly Entry[] {
  return [...readAliases(ingress).options].flatMap(([option, alias]): Entry[] =>
    alias.annotation === annotation && !isOfService(option) ? [[ANNOTATION_DOMAIN + option, alias.value]] : [],
  )
}

/** True for an option that no Ingress has of Portico's own. */
function isOfService(option: string): boolean {
  return !ANNOTATIONS.get(ANNOTATION_DOMAIN + option)?.kinds.includes('Ingress')
}

/** What Ingresses say of Services, as annotations of these. */
class ServiceMoves {
  readonly #moves = new Map<Ingress, ServiceMove>()
  readonly #faults = new Map<Ingress, string>()

  constructor(
    served: ReadonlySet<Ingress>,
    resources: ResourceSet,
    fixed: ReadonlyMap<Ingress | Service, string>,
    trusts: boolean,
  ) {
    const saying = new Map<Service, ServiceMove[]>()
    for (const ingress of served) {
      const entries = listServiceEntries(ingress, trusts)
      if (entries.length === 0) continue
      const names = new Set(listBackends(ingress).map(({ name }) => name))
      const services = [...names].flatMap((name) => resources.get('Service', ingress.meta.namespace, name) ?? [])
      const move = { ingress, services, entries }
      this.#moves.set(ingress, move)
      const lost = [...names].find((name) => !services.some(({ meta }) => meta.name === name))
      if (lost !== undefined)
        this.#faults.set(ingress, `it holds for the Service "${lost}", which is not among the files`)
      for (const service of services) saying.set(service, [...(saying.get(service) ?? []), move])
    }
    for (const [service, moves] of saying) {
      const fault = findFault(service, moves)
      const policy = resources
        .all('RoutePolicy')
        .find(
          ({ meta, targets }) => meta.namespace === service.meta.namespace && targets.some((one) => isOf(service, one)),
        )
      const why = fixed.get(service) ?? (policy && `${printResource(policy)} would no longer go before`)
      const reason = why === undefined ? fault : `${printResource(service)} cannot be changed: ${why}`
      if (reason !== undefined) for (const { ingress } of moves) this.#faults.set(ingress, reason)
    }
  }

  /** Why the options cannot stand on the Services of the Ingress. */
  findFault(ingress: Ingress): string | undefined {
    return this.#faults.get(ingress)
  }

  /** `ofIngresses` are the Ingresses that lose annotations. */
  listChanges(ofIngresses: readonly ObjectChange[]): readonly ObjectChange[] {
    const added = new Map<Service, Map<string, string>>()
    for (const { resource, replaced } of ofIngresses) {
      const move = this.#moves.get(resource as Ingress)
      if (move === undefined || this.#faults.has(move.ingress)) continue
      const { options } = readAliases(move.ingress)
      const moving = move.entries.filter(([name]) => {
        const source = options.get(name.slice(ANNOTATION_DOMAIN.length)) ?? options.get('protocol')!
        return replaced.has(source.annotation)
      })
      for (const service of move.services) {
        const entries = added.get(service) ?? new Map<string, string>()
        for (const [name, value] of moving) entries.set(name, value)
        if (entries.size > 0) added.set(service, entries)
      }
    }
    return [...added].map(([resource, entries]) => ({ resource, replaced: new Map(), added: [...entries] }))
  }
}

/** `trusts`: certificates of endpoints are not verified where an Ingress says no more than https (BP1). */
function listServiceEntries(ingress: Ingress, trusts: boolean): readonly Entry[] {
  if (isCanary(ingress)) return []
  const { options } = readAliases(ingress)
  const entries = [...options].flatMap(([option, { value }]): Entry[] =>
    isOfService(option) ? [[ANNOTATION_DOMAIN + option, value]] : [],
  )
  const isTrusted = trusts && options.get('protocol')?.value === 'https' && !options.has('verify-tls')
  return isTrusted ? [...entries, [`${ANNOTATION_DOMAIN}verify-tls`, 'false']] : entries
}

function isOf({ meta }: Service, { kind, name }: PolicyTarget): boolean {
  return kind === 'Service' && name === meta.name
}

/** Undefined: all that say something of the Service say the same of all its ports. */
function findFault(service: Service, moves: readonly ServiceMove[]): string | undefined {
  const [first, ...others] = moves
  const print = ({ entries }: ServiceMove): string => JSON.stringify([...entries].sort())
  const other = others.find((one) => print(one) !== print(first!))
  if (other !== undefined) {
    return `${printResource(other.ingress)} says something else of the Service ${printName(service.meta)}`
  }
  for (const { ingress, entries } of moves) {
    const ports = listBackends(ingress)
      .filter(({ name }) => name === service.meta.name)
      .flatMap((backend) => {
        const found = findPort(service, backend)
        return 'code' in found ? [] : [found.port]
      })
    if (service.ports.some(({ port }) => !ports.includes(port)))
      return `it holds for one port of the Service ${printName(service.meta)} alone`
    if (entries.some(([name]) => service.meta.annotations[name] !== undefined))
      return `the Service ${printName(service.meta)} says it itself`
  }
  return undefined
}
