/** The Services among which an Ingress divides the requests of its routes: an annotation under portico.dev/. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import {
  type Ingress,
  type IngressBackend,
  type IngressServiceBackend,
  printResource,
} from '../../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { describeText } from '../annotation-schema.ts'

export const SPLIT_ANNOTATION = `${ANNOTATION_DOMAIN}split`

/** Of one route, as in Gateway API (HTTPRouteRule, `backendRefs`). */
const MAX_SERVICES = 16
/** As in Gateway API (HTTPBackendRef, `weight`). */
const MAX_WEIGHT = 1_000_000

/** `name=weight`, or `name:port=weight` with the number or the name of a port of the Service. */
const ENTRY = /^([^\s,:=]+)(?::([^\s,:=]+))?=(\d{1,7})$/

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
  '^[^\\s,:=]+(?::[^\\s,:=]+)?=\\d{1,7}(?:[\\s,]+[^\\s,:=]+(?::[^\\s,:=]+)?=\\d{1,7})*$',
)

const HELP = 'write Services of this namespace with their weights, as in "web=90, web-next=10"'
const UNDIVIDED = 'until then requests go to the backends of the paths'
const NONE: SplitReading = Object.freeze({ shares: [], refusal: undefined })

/** An Ingress does not change, and its routes are many. */
const known = new WeakMap<Ingress, SplitReading>()

/**
 * The backends among which the requests to `backend` are divided. Undefined: they are not divided, since the annotation does not name
 * it, or cannot be used.
 */
export function divideBackend(ingress: Ingress, backend: IngressBackend): readonly WeightedBackend[] | undefined {
  const { shares } = read(ingress)
  if (shares.length === 0 || !isNamed(shares, backend)) return undefined
  return shares.map(({ name, port = backend.port, weight }) => ({ backend: { type: 'service', name, port }, weight }))
}

/** Reports an annotation that cannot be used. */
export function checkSplit(ingress: Ingress, diagnostics: DiagnosticList): void {
  const { shares, refusal = findIdle(ingress, shares) } = read(ingress)
  if (refusal === undefined) return
  diagnostics.add('PORTICO_ANN_VALUE', `${SPLIT_ANNOTATION}: ${refusal.message}`, {
    position: ingress.origin.locate(['metadata', 'annotations', SPLIT_ANNOTATION]),
    resource: printResource(ingress),
    help: refusal.help,
  })
}

function isNamed(shares: readonly WrittenShare[], backend: IngressBackend): backend is IngressServiceBackend {
  return backend.type === 'service' && shares.some(({ name }) => name === backend.name)
}

/** What is wrong with an annotation that names none of the backends of the Ingress. */
function findIdle({ rules, defaultBackend }: Ingress, shares: readonly WrittenShare[]): Refusal | undefined {
  const backends = rules.flatMap(({ paths = [] }) => paths.map(({ backend }) => backend))
  if (defaultBackend !== undefined) backends.push(defaultBackend)
  if (shares.length === 0 || backends.some((backend) => isNamed(shares, backend))) return undefined
  const message = 'none of its Services is the backend of a path of this Ingress'
  return { message, help: `name that of the path too: its requests are divided; ${UNDIVIDED}` }
}

function read(ingress: Ingress): SplitReading {
  const text = ingress.meta.annotations[SPLIT_ANNOTATION]
  if (text === undefined) return NONE
  let found = known.get(ingress)
  if (found === undefined) {
    found = Object.freeze(parse(text))
    known.set(ingress, found)
  }
  return found
}

function parse(text: string): SplitReading {
  const refuse = (message: string): SplitReading => ({
    shares: [],
    refusal: { message, help: `${HELP}; ${UNDIVIDED}` },
  })
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '')
  if (entries.length === 0) return refuse('it says nothing')
  if (entries.length > MAX_SERVICES) return refuse(`it has more than ${MAX_SERVICES} Services`)
  const shares: WrittenShare[] = []
  for (const entry of entries) {
    const [, name, port, digits] = ENTRY.exec(entry) ?? []
    if (name === undefined) return refuse(`"${entry}" is no Service with a weight`)
    const weight = Number(digits)
    if (weight > MAX_WEIGHT) return refuse(`the weight of ${name} is more than ${MAX_WEIGHT}`)
    if (shares.some((share) => share.name === name)) return refuse(`it names ${name} twice`)
    shares.push({ name, port: parsePort(port), weight })
  }
  const help = `write a weight that is not 0, as in "${shares[0]!.name}=1"; until then these requests are answered 503`
  const isNothing = shares.every(({ weight }) => weight === 0)
  return { shares, refusal: isNothing ? { message: 'all its weights are 0', help } : undefined }
}

function parsePort(text: string | undefined): WrittenShare['port'] {
  if (text === undefined) return undefined
  return /^\d+$/.test(text) ? { number: Number(text) } : { name: text }
}
