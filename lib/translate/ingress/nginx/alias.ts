/**
 * The annotations of ingress-nginx on one Ingress as options of Portico's own: what reads the options finds them beside those that the
 * Ingress writes itself, and knows nothing of nginx.
 */
import { addOutcome, type DiagnosticList } from '../../../base/diagnostics.ts'
import { veilPosition } from '../../../base/veil.ts'
import { findFilterOf } from '../../../filters/registry.ts'
import { type Ingress, printResource } from '../../../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN } from '../../../settings/service.ts'
import {
  CONTROLLER_DOMAIN,
  type FaultOutcome,
  type HostWishes,
  NGINX_DOMAIN,
  type NginxAnnotation,
  type NginxFeature,
  type NginxReader,
  readFlag,
} from './feature.ts'
import { findFeature, isIdle, NGINX_FEATURES } from './features.ts'
import { CANARY } from './hosts.ts'

/** The value of an option, and the whole name of the annotation that it comes from. */
type Alias = Readonly<{ value: string; annotation: string }>

/** Something that is written and is not done so. */
type Flaw = Readonly<{
  annotation: string
  message: string
  help: string
  outcome: FaultOutcome | 'part'
  isSecret: boolean
  /** Of the value, counted from 1; undefined: all of it. */
  line: number | undefined
}>

/** An annotation that has no effect, since the Ingress has the filter, or the option, of Portico's own. */
type Overridden = Readonly<{ annotation: string; by: string }>

/** What the annotations of ingress-nginx on an Ingress come to. */
export type Aliases = Readonly<{
  /** Nothing is said of filters and other options of routes. */
  isEmpty: boolean
  /** By the names of options, without the domain. */
  options: ReadonlyMap<string, Alias>
  /** Whole names of the annotations that are done, or would not be noticed. */
  handled: ReadonlySet<string>
  flaws: readonly Flaw[]
  overridden: readonly Overridden[]
  /** The annotation that closes the routes; undefined: none does. */
  closing: string | undefined
  hosts: HostWishes
}>

const NONE: Aliases = Object.freeze({
  isEmpty: true,
  options: new Map(),
  handled: new Set<string>(),
  flaws: [],
  overridden: [],
  closing: undefined,
  hosts: Object.freeze({}),
})

/** An object does not change, and its routes are many. */
const known = new WeakMap<Ingress, Aliases>()

export function readAliases(ingress: Ingress): Aliases {
  let found = known.get(ingress)
  if (found === undefined) {
    const names = Object.keys(ingress.meta.annotations)
    found = names.some((name) => name.startsWith(NGINX_DOMAIN)) ? new AliasReader(ingress).read() : NONE
    known.set(ingress, found)
  }
  return found
}

/** Reports what of the annotations is not done as it is written, and those that stand beside options of Portico's own. */
export function checkAliases(ingress: Ingress, diagnostics: DiagnosticList): void {
  const { flaws, overridden } = readAliases(ingress)
  const resource = printResource(ingress)
  const locate = (annotation: string, line?: number) =>
    ingress.origin.locate(['metadata', 'annotations', annotation], line)
  for (const { annotation, message, help, outcome, isSecret, line } of flaws) {
    const position = locate(annotation, line)
    const isClosed = outcome === 'closed' || outcome === 'refused'
    diagnostics.add('PORTICO_ANN_VALUE', `${annotation}: ${message}`, {
      severity: isClosed ? 'error' : 'warning',
      position: isSecret ? veilPosition(position) : position,
      resource,
      help: outcome === 'part' ? help : addOutcome(help, OUTCOMES[outcome]),
    })
  }
  for (const { annotation, by } of overridden) {
    diagnostics.add('PORTICO_ROUTE_FILTER_OVERRIDDEN', `${annotation} does nothing: ${by} stands beside it`, {
      position: veilPosition(locate(annotation)),
      resource,
      help: 'leave one of them out',
    })
  }
}

const OUTCOMES: Readonly<Record<FaultOutcome, string>> = {
  default: 'until then it counts as not written, as in ingress-nginx',
  closed: 'until then the routes of this Ingress answer 503',
  refused: 'until then the routes of this Ingress answer 503: ingress-nginx refuses the Ingress',
}

class AliasReader implements NginxReader {
  readonly namespace: string
  readonly ruleHosts: readonly string[]
  readonly paths: readonly string[]
  readonly hosts: HostWishes = {}
  readonly #annotations: Readonly<Record<string, string>>
  readonly #options = new Map<string, Alias>()
  readonly #overridden = new Map<string, string>()
  readonly #flaws: Flaw[] = []
  readonly #values = new Map<string, string>()
  readonly #left = new Set<string>()

  constructor({ meta, rules }: Ingress) {
    this.namespace = meta.namespace
    this.ruleHosts = rules.map(({ host }) => host)
    this.paths = rules.flatMap(({ paths = [] }) => paths.map(({ path }) => path))
    this.#annotations = meta.annotations
  }

  read(): Aliases {
    const handled = new Set<string>()
    const features = new Set<NginxFeature>()
    // CA6: of a canary nothing else counts than what its own Service is asked with.
    const isCanary = readFlag(this.#annotations[`${NGINX_DOMAIN}canary`]?.trim()) === true
    for (const [annotation, value] of Object.entries(this.#annotations)) {
      if (!annotation.startsWith(NGINX_DOMAIN)) continue
      const name = annotation.slice(NGINX_DOMAIN.length)
      const feature = findFeature(name)
      if (feature === undefined && !isIdle(name) && !isCanary) continue
      handled.add(annotation)
      if (feature === undefined || (isCanary && feature !== CANARY && feature.scope !== 'upstream')) continue
      this.#take(name, value.trim(), feature.annotations[name]!)
      features.add(feature)
    }
    for (const feature of NGINX_FEATURES) if (features.has(feature)) feature.write(this)
    for (const annotation of this.#left) handled.delete(annotation)
    const closing = this.#flaws.find(({ outcome }) => outcome === 'closed' || outcome === 'refused')?.annotation
    return Object.freeze({
      isEmpty: this.#options.size === 0 && closing === undefined,
      options: this.#options,
      handled,
      flaws: this.#flaws,
      overridden: [...this.#overridden].map(([annotation, by]) => ({ annotation, by })),
      closing,
      hosts: Object.freeze(this.hosts),
    })
  }

  /** G2: an empty value counts as not written. */
  #take(name: string, value: string, { form, onFault }: NginxAnnotation): void {
    if (value === '') {
      this.#add(name, 'it is empty', 'write a value, or leave it out', 'default')
    } else if (form.pattern.test(value)) {
      this.#values.set(name, value)
    } else {
      const message = form.isSecret ? `this ${form.fault}` : `${JSON.stringify(value)} ${form.fault}`
      this.#add(name, message, form.help, onFault)
    }
  }

  isWritten(name: string): boolean {
    return this.#annotations[NGINX_DOMAIN + name] !== undefined
  }

  text(name: string): string | undefined {
    return this.#values.get(name)
  }

  flag(name: string): boolean | undefined {
    return readFlag(this.#values.get(name))
  }

  number(name: string): number | undefined {
    const text = this.#values.get(name)
    return text === undefined ? undefined : Number(text)
  }

  set(option: string, value: string, name: string): void {
    const annotation = NGINX_DOMAIN + name
    const by = this.#findOwn(option)
    if (by === undefined) this.#options.set(option, { value, annotation })
    else this.#overridden.set(annotation, by)
  }

  copy(name: string, option: string): void {
    const text = this.#values.get(name)
    if (text !== undefined) this.set(option, text, name)
  }

  append(option: string, line: string, name: string): void {
    const alias = this.#options.get(option)
    if (alias === undefined) this.set(option, line, name)
    else this.#options.set(option, { ...alias, value: `${alias.value}\n${line}` })
  }

  controller(key: string): string | undefined {
    return this.#annotations[CONTROLLER_DOMAIN + key]
  }

  has(option: string): boolean {
    return this.#options.has(option)
  }

  hasOwn(option: string): boolean {
    return this.#annotations[ANNOTATION_DOMAIN + option] !== undefined
  }

  warn(name: string, message: string, help: string, line?: number): void {
    this.#add(name, message, help, 'part', line)
  }

  leave(name: string): void {
    this.#left.add(NGINX_DOMAIN + name)
  }

  close(name: string, message: string, help: string): void {
    this.#add(name, message, help, 'closed')
  }

  #add(name: string, message: string, help: string, outcome: Flaw['outcome'], line?: number): void {
    const isSecret = findFeature(name)?.annotations[name]?.form.isSecret === true
    const annotation = NGINX_DOMAIN + name
    // Values are read without the blank lines before them.
    const [blanks = ''] = /^\s*/.exec(this.#annotations[annotation] ?? '') ?? []
    const at = line === undefined ? undefined : line + blanks.split('\n').length - 1
    const said = at === undefined ? message : `line ${at}: ${message}`
    this.#flaws.push({ annotation, message: said, help, outcome, isSecret, line: at })
  }

  /**
   * Portico's own annotation of the same filter, or of the same option; undefined: there is none. A filter counts as a whole, but for a
   * restriction that stands by itself: what keeps clients out is not lost because of another list.
   */
  #findOwn(option: string): string | undefined {
    const spec = findFilterOf(option)
    const isAlone = spec === undefined || (spec.isGuard && spec.annotations[option]!.needs === undefined)
    const names = isAlone ? [option] : Object.keys(spec.annotations)
    return names.map((name) => ANNOTATION_DOMAIN + name).find((name) => this.#annotations[name] !== undefined)
  }
}

/** The whole name of the annotation that says the option on the Ingress: one of ingress-nginx, or Portico's own. */
export function findSource(ingress: Ingress, option: string): string {
  return readAliases(ingress).options.get(option)?.annotation ?? ANNOTATION_DOMAIN + option
}

/** True for an Ingress that is a canary of another one. */
export function isCanary(ingress: Ingress): boolean {
  return readAliases(ingress).hosts.canary !== undefined
}
