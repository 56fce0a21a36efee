/** Which requests the routes of an Ingress take, besides those of a host and a path: annotations under portico.dev/. */
import { METHODS } from 'node:http'
import { normalizeRange } from '../../base/cidr.ts'
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import { compareText } from '../../base/order.ts'
import { findPatternFault } from '../../base/pattern.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { RouteConditions, ValueCondition } from '../../model/conditions.ts'
import { findUnseen } from '../../routing/predicates.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { findMeantRestriction, type Restriction } from '../annotation.ts'
import { findGuard } from './filters.ts'
import { ADDRESSES, type MatchAnnotation } from './match-annotation.ts'

/** Conditions of one annotation, methods or ranges. */
const MAX_ENTRIES = 100
/** Characters of a value. */
const MAX_VALUE = 1_000
/** The highest there is: what has it goes first. */
export const MAX_PRIORITY = 1_000_000

/** A token without the signs by which a list or a pattern may be meant. */
const METHOD = /^[!#$%&'+\-.^_`~0-9A-Z]+$/
/** The first sign of a name would be read as "absent". */
const NAME = /^(?!!)[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** What a request can hold in a field, and compares equal in a manifest. */
const VISIBLE = /^[\x20-\x7e]*$/

type Refusal = Readonly<{ annotation: MatchAnnotation; message: string; help: string }>

type Reading = Readonly<{
  match: IngressMatch
  refusals: readonly Refusal[]
  /** What is used, and hardly meant so. */
  doubts: readonly Refusal[]
}>

export type IngressMatch = Readonly<{
  /** Undefined: none. */
  conditions: RouteConditions | undefined
  /** Undefined: 0. */
  priority: number | undefined
  /** Paths of type ImplementationSpecific are regular expressions. */
  hasPatterns: boolean
  /** The first annotation that cannot be used, with the domain: its routes are closed. */
  broken: string | undefined
  /** If an annotation or a path cannot be used, its routes go before others: behind them, they would let requests through that it refuses. */
  guards: boolean
}>

/** An Ingress does not change, and its routes are many. */
const known = new WeakMap<Ingress, Reading>()
/** Readings of Ingresses that a policy guards. */
const knownGuarded = new WeakMap<Ingress, Reading>()

/** Routes share the result; `isGuarded`: a policy guards them. */
export function readMatch(ingress: Ingress, isGuarded: boolean): IngressMatch {
  return read(ingress, isGuarded).match
}

/** The annotation that says which clients the routes take, to be closed where they cannot be served; undefined: there is none. */
export function findClientMatch({ meta }: Ingress): string | undefined {
  return Object.keys(meta.annotations).find(
    (name) => name === ANNOTATION_DOMAIN + ADDRESSES || findMeantRestriction(name) === 'clients',
  )
}

/** Reports the annotations that cannot be used. */
export function checkMatch(ingress: Ingress, isGuarded: boolean, diagnostics: DiagnosticList): void {
  const { match, refusals, doubts } = read(ingress, isGuarded)
  for (const { annotation, message, help } of doubts) {
    const name = ANNOTATION_DOMAIN + annotation
    diagnostics.add('PORTICO_ANN_VALUE', `${name}: ${message}`, {
      severity: 'warning',
      position: ingress.origin.locate(['metadata', 'annotations', name]),
      resource: printResource(ingress),
      help,
    })
  }
  for (const { annotation, message, help } of refusals) {
    const name = ANNOTATION_DOMAIN + annotation
    const outcome = match.guards ? 'answer 503' : 'answer 503 where no other route of their paths takes a request'
    diagnostics.add('PORTICO_ANN_VALUE', `${name}: ${message}`, {
      position: ingress.origin.locate(['metadata', 'annotations', name]),
      resource: printResource(ingress),
      help: `${help}; until then the routes of this Ingress ${outcome}`,
    })
  }
}

function read(ingress: Ingress, isGuarded: boolean): Reading {
  const readings = isGuarded ? knownGuarded : known
  let found = readings.get(ingress)
  if (found === undefined) {
    found = readAll(ingress, isGuarded)
    readings.set(ingress, found)
  }
  return found
}

function readAll(ingress: Ingress, isGuarded: boolean): Reading {
  const reader = new MatchReader(ingress.meta.annotations)
  const conditions = reader.readConditions()
  const priority = reader.readPriority()
  const hasPatterns = reader.readPathType()
  const { refusals, doubts } = reader
  const types = ingress.rules.flatMap(({ paths = [] }) => paths.map(({ pathType }) => pathType))
  if (hasPatterns && !types.includes('ImplementationSpecific')) {
    const message = 'no path of this Ingress has pathType ImplementationSpecific, so that none is a regular expression'
    const help = 'give pathType: ImplementationSpecific to the paths that are regular expressions'
    doubts.push({ annotation: 'path-type', message, help })
  }
  const isRefused = (name: MatchAnnotation): boolean => refusals.some(({ annotation }) => annotation === name)
  // A condition that is misspelt would not be asked for (annotation.ts reports it).
  const names = Object.keys(ingress.meta.annotations)
  const find = (kind: Restriction): string | undefined => names.find((name) => findMeantRestriction(name) === kind)
  const clients = find('clients')
  const broken = refusals[0] ? ANNOTATION_DOMAIN + refusals[0].annotation : (clients ?? find('condition'))
  const guards = isGuarded || findGuard(ingress) !== undefined || isRefused(ADDRESSES) || clients !== undefined
  if (broken === undefined)
    return { match: Object.freeze({ conditions, priority, hasPatterns, broken, guards }), refusals, doubts }
  const closed = Object.freeze({ ...conditions, unread: guards ? 'guard' : 'other' } as const)
  // A guard stays before all that it may have been meant to go before.
  const rank = guards ? (isRefused('priority') ? MAX_PRIORITY : priority) : undefined
  return { match: Object.freeze({ conditions: closed, priority: rank, hasPatterns, broken, guards }), refusals, doubts }
}

class MatchReader {
  readonly #annotations: Readonly<Record<string, string>>
  readonly refusals: Refusal[] = []
  readonly doubts: Refusal[] = []

  constructor(annotations: Readonly<Record<string, string>>) {
    this.#annotations = annotations
  }

  /** In one form for all that means the same. */
  readConditions(): RouteConditions | undefined {
    const methods = this.#readMethods()
    const headers = this.#readLines('match-headers', checkHeader)
    const query = this.#readLines('match-query', checkParameter)
    const cookies = this.#readLines('match-cookies', checkCookie)
    const clientAddresses = this.#readAddresses()
    const conditions: RouteConditions = {
      ...(methods && { methods }),
      ...(headers && { headers }),
      ...(query && { query }),
      ...(cookies && { cookies }),
      ...(clientAddresses && { clientAddresses }),
    }
    return Object.keys(conditions).length === 0 ? undefined : Object.freeze(conditions)
  }

  readPriority(): number | undefined {
    const text = this.#text('priority')
    if (text === undefined) return undefined
    const priority = /^[+-]?\d{1,7}$/.test(text) ? Number(text) : Number.NaN
    if (Math.abs(priority) <= MAX_PRIORITY) return priority === 0 ? undefined : priority
    const help = `write a whole number from -${MAX_PRIORITY} to ${MAX_PRIORITY}; the highest goes first, and 0 is that of other routes`
    this.#refuse('priority', `"${text}" is no priority`, help)
    return undefined
  }

  readPathType(): boolean {
    const text = this.#text('path-type')
    if (text === undefined || text === 'regex') return text !== undefined
    const help = 'write regex, and have paths that are regular expressions of pathType ImplementationSpecific'
    this.#refuse('path-type', `"${text}" is no type of paths`, help)
    return false
  }

  #readMethods(): readonly string[] | undefined {
    const help = 'write methods, as in "GET, HEAD"'
    const methods = this.#readList('match-methods', help)?.map((method) => method.toUpperCase())
    const wrong = methods?.find((method) => !METHOD.test(method))
    if (wrong !== undefined) {
      this.#refuse('match-methods', `"${wrong}" is no method`, help)
      return undefined
    }
    const strange = methods?.find((method) => !METHODS.includes(method))
    const nearest = strange && findNearest(strange, METHODS)
    const advice = nearest ? `did you mean "${nearest}"?` : 'leave it so if clients send it'
    if (strange) this.#doubt('match-methods', `"${strange}" is no usual method`, advice)
    return methods && sortUnique(methods)
  }

  #readAddresses(): readonly string[] | undefined {
    const help = 'write addresses or CIDR ranges, as in "10.0.0.0/8, fd00::/8"'
    const ranges = this.#readList(ADDRESSES, help)
    try {
      return ranges && sortUnique(ranges.map((range) => this.#readRange(range)))
    } catch (error) {
      this.#refuse(ADDRESSES, (error as RangeError).message, help)
      return undefined
    }
  }

  #readRange(written: string): string {
    const { range, hasHostBits } = normalizeRange(written)
    if (hasHostBits) {
      this.#doubt(ADDRESSES, `"${written}" means all of ${range}`, `write ${range}, or the address alone`)
    }
    return range
  }

  #readList(annotation: MatchAnnotation, help: string): readonly string[] | undefined {
    const text = this.#text(annotation)
    const entries = text?.split(/[\s,]+/).filter((entry) => entry !== '')
    if (entries === undefined || this.#hasGoodLength(annotation, entries, help)) return entries
    return undefined
  }

  #readLines(
    annotation: MatchAnnotation,
    check: (name: string, value: string | undefined) => string | undefined,
  ): readonly ValueCondition[] | undefined {
    const help = 'write one condition a line: "name: value", "name: ~expression", "name" or "!name"'
    const lines = this.#text(annotation)
      ?.split('\n')
      .map((line) => line.trim())
    const written = lines?.filter((line) => line !== '')
    if (written === undefined || !this.#hasGoodLength(annotation, written, help)) return undefined
    const conditions: ValueCondition[] = []
    for (const line of written) {
      const condition = parseCondition(line)
      const fault = findFault(condition) ?? check(condition.name, 'value' in condition ? condition.value : undefined)
      // Names of fields are the same in any case.
      const name = annotation === 'match-headers' ? condition.name.toLowerCase() : condition.name
      if (fault === undefined) conditions.push(Object.freeze({ ...condition, name }))
      else {
        this.#refuse(annotation, fault, help)
        return undefined
      }
    }
    return Object.freeze(conditions.sort((a, b) => compareText(JSON.stringify(a), JSON.stringify(b))))
  }

  #hasGoodLength(annotation: MatchAnnotation, { length }: readonly string[], help: string): boolean {
    if (length > 0 && length <= MAX_ENTRIES) return true
    this.#refuse(annotation, length === 0 ? 'it says nothing' : `it has more than ${MAX_ENTRIES} entries`, help)
    return false
  }

  #text(annotation: MatchAnnotation): string | undefined {
    return this.#annotations[ANNOTATION_DOMAIN + annotation]?.trim()
  }

  #doubt(annotation: MatchAnnotation, message: string, help: string): void {
    this.doubts.push({ annotation, message, help })
  }

  #refuse(annotation: MatchAnnotation, message: string, help: string): void {
    this.refusals.push({ annotation, message, help })
  }
}

/** `Name: value` is equal to the value, `Name: ~expression` described by it as a whole, `Name` there, `!Name` not there. */
function parseCondition(line: string): ValueCondition {
  const colon = line.indexOf(':')
  if (colon < 0) {
    const isAbsent = line.startsWith('!')
    return { name: (isAbsent ? line.slice(1) : line).trim(), type: isAbsent ? 'absent' : 'present' }
  }
  const name = line.slice(0, colon).trim()
  const value = line.slice(colon + 1).trim()
  return value.startsWith('~') ? { name, type: 'regex', value: value.slice(1).trim() } : { name, type: 'exact', value }
}

function findFault(condition: ValueCondition): string | undefined {
  if (condition.type !== 'exact' && condition.type !== 'regex') return undefined
  const { name, type, value } = condition
  if (name.startsWith('!')) return `"${name}" says that there is none, and takes no value`
  if (value.length > MAX_VALUE) return `the value of ${name} is longer than ${MAX_VALUE} characters`
  const fault = type === 'regex' ? findPatternFault(value) : undefined
  return fault && `the expression of ${name}: ${fault}`
}

function checkHeader(name: string, value: string = ''): string | undefined {
  if (!NAME.test(name)) return `"${name}" is no name of a field`
  const unseen = findUnseen(name.toLowerCase())
  return unseen === undefined ? checkVisible(name, value) : `${name} ${unseen}`
}

function checkCookie(name: string, value: string = ''): string | undefined {
  return NAME.test(name) ? checkVisible(name, value) : `"${name}" is no name of a cookie`
}

function checkVisible(name: string, value: string): string | undefined {
  return VISIBLE.test(value) ? undefined : `the value of ${name} has characters that requests do not send as they are`
}

function checkParameter(name: string): string | undefined {
  return name === '' || /^!|[=&]/.test(name) ? `"${name}" is no name of a parameter` : undefined
}

function sortUnique(texts: readonly string[]): readonly string[] {
  return Object.freeze([...new Set(texts)].sort())
}
