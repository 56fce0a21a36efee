/** The Services among which the requests of routes are divided: an annotation of an Ingress, or an option of a RoutePolicy. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import {
  type Ingress,
  type IngressBackend,
  type IngressServiceBackend,
  printResource,
} from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { describeText } from '../annotation-schema.ts'
import type { OptionForm, OptionText } from '../route-policy/option-form.ts'
import { type FilterMention, type FilterMentions, reportMention } from './mention.ts'

export const SPLIT_ANNOTATION = `${ANNOTATION_DOMAIN}split`

/** Of one route, as in Gateway API (HTTPRouteRule, `backendRefs`). */
const MAX_SERVICES = 16
/** As in Gateway API (HTTPBackendRef, `weight`). */
const MAX_WEIGHT = 1_000_000

/** `name=weight`, or `name:port=weight` with the number or the name of a port of the Service. */
const ENTRY = /^([^\s,:=]+)(?::([^\s,:=]+))?=(\d{1,7})$/
/** The same of a name that a Service may have, as JSON Schema has it. */
const GOOD_ENTRY = '[^\\s,:=/A-Z]+(?::[^\\s,:=]+)?=\\d{1,7}'

type WrittenShare = Readonly<{
  name: string
  /** Undefined: the port of the backend that is divided. */
  port: IngressServiceBackend['port'] | undefined
  weight: number
}>

/** A backend of several, and what part of the requests it gets. */
export type WeightedBackend = Readonly<{ backend: IngressServiceBackend; weight: number }>

type Refusal = Readonly<{ message: string; help: string }>
type SplitReading = Readonly<{ shares: readonly WrittenShare[]; refusal: Refusal | undefined }>

export const SPLIT_SCHEMA = describeText(
  'Services of this namespace with their weights, as in web=90, web-next=10: they share the requests of the routes to one of them.',
  `^[\\s,]*${GOOD_ENTRY}(?:[\\s,]+${GOOD_ENTRY})*[\\s,]*$`,
)

/** What to write, and how a RoutePolicy may write it. */
export const SPLIT_FORM: OptionForm = {
  structure: 'weights',
  help: 'write Services of this namespace with their weights, as in "web=90, web-next=10"',
}
const UNDIVIDED = 'until then requests go to the backends of the paths'

/** Mentions share their configuration from one model to the next. */
const known = new WeakMap<FilterConfig, SplitReading>()

/** The mention that divides requests; undefined: there is none. */
export function findSplit(said: FilterMentions): FilterMention | undefined {
  return said.get('split')
}

/**
 * The backends among which the requests to `backend` are divided. Undefined: they are not divided, since `split` does not name it, or
 * cannot be used.
 */
export function divideBackend(
  split: FilterMention | undefined,
  backend: IngressBackend,
): readonly WeightedBackend[] | undefined {
  if (split === undefined) return undefined
  const { shares } = read(split)
  if (shares.length === 0 || !isNamed(shares, backend)) return undefined
  return shares.map(({ name, port = backend.port, weight }) => ({ backend: { type: 'service', name, port }, weight }))
}

/** Reports what cannot be used. */
export function checkSplit(said: FilterMentions, diagnostics: DiagnosticList): void {
  const split = findSplit(said)
  const refusal = split && read(split).refusal
  if (refusal !== undefined) reportMention(split!, refusal.message, refusal.help, diagnostics)
}

/** Reports a split that acts on an Ingress and names none of its backends. */
export function checkSplitBackends(split: FilterMention, ingress: Ingress, diagnostics: DiagnosticList): void {
  const { rules, defaultBackend } = ingress
  const { shares, refusal } = read(split)
  const backends = rules.flatMap(({ paths = [] }) => paths.map(({ backend }) => backend))
  if (defaultBackend !== undefined) backends.push(defaultBackend)
  if (refusal !== undefined || shares.length === 0 || backends.some((backend) => isNamed(shares, backend))) return
  const name = split.owner === ingress ? 'this Ingress' : printResource(ingress)
  const message = `none of its Services is the backend of a path of ${name}`
  reportMention(split, message, `name that of the path too: its requests are divided; ${UNDIVIDED}`, diagnostics)
}

function isNamed(shares: readonly WrittenShare[], backend: IngressBackend): backend is IngressServiceBackend {
  return backend.type === 'service' && shares.some(({ name }) => name === backend.name)
}

function read({ config }: FilterMention): SplitReading {
  let found = known.get(config!)
  if (found === undefined) {
    const value = config!.options.value as OptionText
    found = Object.freeze(typeof value === 'string' ? parse(value) : refuse(value.message, value.help))
    known.set(config!, found)
  }
  return found
}

function refuse(message: string, help: string = SPLIT_FORM.help): SplitReading {
  return { shares: [], refusal: { message, help: `${help}; ${UNDIVIDED}` } }
}

function parse(text: string): SplitReading {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '')
  if (entries.length === 0) return refuse('it says nothing')
  if (entries.length > MAX_SERVICES) return refuse(`it has more than ${MAX_SERVICES} Services`)
  const shares: WrittenShare[] = []
  for (const entry of entries) {
    const [, name, port, digits] = ENTRY.exec(entry) ?? []
    if (name === undefined) return refuse(`"${entry}" is no Service with a weight`)
    const nameHelp = explainName(name)
    if (nameHelp !== undefined) return refuse(`"${name}" is no name of a Service`, nameHelp)
    const weight = Number(digits)
    if (weight > MAX_WEIGHT) return refuse(`the weight of ${name} is more than ${MAX_WEIGHT}`)
    if (shares.some((share) => share.name === name)) return refuse(`it names ${name} twice`)
    shares.push({ name, port: parsePort(port), weight })
  }
  const help = `write a weight that is not 0, as in "${shares[0]!.name}=1"; until then these requests are answered 503`
  const isNothing = shares.every(({ weight }) => weight === 0)
  return { shares, refusal: isNothing ? { message: 'all its weights are 0', help } : undefined }
}

/** What to write in place of a name that no Service can have; undefined: one can. */
function explainName(name: string): string | undefined {
  if (name.includes('/'))
    return `leave the namespace out: the Services are in that of the Ingress: write ${name.slice(name.lastIndexOf('/') + 1)}`
  if (/[A-Z]/.test(name)) return `names of Services are in lower case: write ${name.toLowerCase()}`
  return undefined
}

function parsePort(text: string | undefined): WrittenShare['port'] {
  if (text === undefined) return undefined
  return /^\d+$/.test(text) ? { number: Number(text) } : { name: text }
}
