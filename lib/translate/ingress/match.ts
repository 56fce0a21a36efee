/** Which requests routes take, besides those of a host and a path: annotations of an Ingress, and options of RoutePolicies. */
import { METHODS } from 'node:http'
import { normalizeRange } from '../../base/cidr.ts'
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import { compareText } from '../../base/order.ts'
import { findPatternFault } from '../../base/pattern.ts'
import { type Ingress, printResource, type RoutePolicy } from '../../kubernetes/resource.ts'
import type { RouteConditions, ValueCondition } from '../../model/conditions.ts'
import { findUnseen } from '../../routing/predicates.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { CLOSED_ROUTES, findMeantRestriction } from '../annotation.ts'
import { isGuarding, readOwn } from './filters.ts'
import { ADDRESSES, MATCH_FORMS, MAX_PRIORITY, type MatchAnnotation } from './match-annotation.ts'
import { type FilterMention, type FilterMentions, reportMention } from './mention.ts'
import { readRouteOption } from './route-option.ts'

/** Conditions of one annotation, methods or ranges. */
const MAX_ENTRIES = 100
/** Characters of a value. */
const MAX_VALUE = 1_000

/** A token without the signs by which a list or a pattern may be meant. */
const METHOD = /^[!#$%&'+\-.^_`~0-9A-Z]+$/
/** The first sign of a name would be read as "absent". */
const NAME = /^(?!!)[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** What a request can hold in a field, and compares equal in a manifest. */
const VISIBLE = /^[\x20-\x7e]*$/

type Refusal = Readonly<{ name: MatchAnnotation; message: string; help: string }>

/** A condition that is not read, since it is misspelt or its object is refused. */
export type LostCondition = Readonly<{
  /** Why the routes are closed. */
  reason: string
  /** It seems to be about the addresses of clients. */
  isClients: boolean
}>

/** Of several the one that closes most: about the addresses of clients. */
export function findGravest(lost: readonly (LostCondition | undefined)[]): LostCondition | undefined {
  return lost.find((one) => one?.isClients) ?? lost.find((one) => one !== undefined)
}

export type PatternScope = 'none' | 'specific' | 'host'

/** Which requests a route takes, besides those of its host and path. */
export type RouteTerms = Readonly<{
  /** Undefined: none. */
  conditions: RouteConditions | undefined
  /** Undefined: 0. */
  priority: number | undefined
  /** The paths that are regular expressions: those of type ImplementationSpecific, or all of the hosts of the Ingress. */
  patterns: PatternScope
  /** Why the routes are closed: what is said of them cannot be read; undefined: they are not. */
  broken: string | undefined
  /** If something cannot be read, the routes go before others: behind them, they would let requests through that it refuses. */
  guards: boolean
}>

const NO_TERMS: RouteTerms = Object.freeze({
  conditions: undefined,
  priority: undefined,
  patterns: 'none',
  broken: undefined,
  guards: false,
})

/** Reads what is said of routes; `lost` is a condition that is not read, and `isGuarded` is true if something guards the routes. */
export function readMatch(said: FilterMentions, lost: LostCondition | undefined, isGuarded: boolean): RouteTerms {
  if (said.size === 0 && lost === undefined && !isGuarded) return NO_TERMS
  const reader = new MatchReader(said)
  const conditions = reader.readConditions()
  const priority = reader.readPriority()
  const patterns = reader.readPathType()
  const isRefused = (name: MatchAnnotation): boolean => reader.refusals.some((one) => one.name === name)
  const [refused] = reader.refusals
  const broken = refused === undefined ? lost?.reason : describeBroken(said, refused.name)
  const guards = isGuarded || isRefused(ADDRESSES) || lost?.isClients === true
  if (broken === undefined) return Object.freeze({ conditions, priority, patterns, broken, guards })
  const closed = Object.freeze({ ...conditions, unread: guards ? 'guard' : 'other' } as const)
  // A guard stays before all that it may have been meant to go before.
  const rank = guards ? (isRefused('priority') ? MAX_PRIORITY : priority) : undefined
  return Object.freeze({ conditions: closed, priority: rank, patterns, broken, guards })
}

function describeBroken(said: FilterMentions, name: MatchAnnotation): string {
  const { owner, label } = said.get(name)!
  return owner.kind === 'RoutePolicy'
    ? `${label} of ${printResource(owner)} cannot be used`
    : `the annotation ${label} cannot be used`
}

/** The annotation that says which clients the routes take, to be closed where they cannot be served; undefined: there is none. */
export function findClientMatch({ meta }: Ingress): string | undefined {
  return Object.keys(meta.annotations).find(
    (name) => name === ANNOTATION_DOMAIN + ADDRESSES || findMeantRestriction(name) === 'clients',
  )
}

/** Reports what an Ingress or a policy says and cannot be used; `isGuarded`: something else guards its routes. */
export function checkMatch(owner: Ingress | RoutePolicy, isGuarded: boolean, diagnostics: DiagnosticList): void {
  const own = readOwn(owner)
  const said = own.mentions
  if (said.size === 0) return
  const reader = new MatchReader(said)
  reader.readConditions()
  reader.readPriority()
  reader.readPathType()
  const { refusals, doubts } = reader
  const code = owner.kind === 'Ingress' ? 'PORTICO_ANN_VALUE' : 'PORTICO_RES_FIELD_VALUE'
  const locate = (name: MatchAnnotation) => {
    const { label, field } = said.get(name)!
    return { label, details: { position: owner.origin.locate(field), resource: printResource(owner) } }
  }
  for (const { name, message, help } of doubts) {
    const { label, details } = locate(name)
    diagnostics.add(code, `${label}: ${message}`, { ...details, severity: 'warning', help })
  }
  const isAboutClients = own.lost.clients !== undefined || refusals.some(({ name }) => name === ADDRESSES)
  const guards = isGuarded || isAboutClients || isGuarding(own)
  for (const { name, message, help } of refusals) {
    const { label, details } = locate(name)
    const outcome = guards ? 'answer 503' : 'answer 503 where no other route of their paths takes a request'
    diagnostics.add(code, `${label}: ${message}`, {
      ...details,
      severity: 'error',
      help: `${help}; until then ${CLOSED_ROUTES[owner.kind]} ${outcome}`,
    })
  }
}

/** Reports a type of paths that acts on an Ingress without a path that could be a regular expression. */
export function checkPathType(mention: FilterMention, ingress: Ingress, diagnostics: DiagnosticList): void {
  const { owner, config } = mention
  const types = ingress.rules.flatMap(({ paths = [] }) => paths.map(({ pathType }) => pathType))
  if (config?.options.value !== 'regex' || types.includes('ImplementationSpecific')) return
  const name = owner === ingress ? 'this Ingress' : printResource(ingress)
  const message = `no path of ${name} has pathType ImplementationSpecific, so that none is a regular expression`
  const help = 'give pathType: ImplementationSpecific to the paths that are regular expressions'
  reportMention(mention, message, help, diagnostics, 'warning')
}

class MatchReader {
  readonly #said: FilterMentions
  readonly refusals: Refusal[] = []
  /** What is used, and hardly meant so. */
  readonly doubts: Refusal[] = []

  constructor(said: FilterMentions) {
    this.#said = said
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
    this.#refuse('priority', `"${text}" is no priority`)
    return undefined
  }

  readPathType(): PatternScope {
    const text = this.#text('path-type')
    if (text === undefined) return 'none'
    if (text === 'regex') return 'specific'
    if (text === 'host-regex') return 'host'
    this.#refuse('path-type', `"${text}" is no type of paths`)
    return 'none'
  }

  #readMethods(): readonly string[] | undefined {
    const methods = this.#readList('match-methods')?.map((method) => method.toUpperCase())
    const wrong = methods?.find((method) => !METHOD.test(method))
    if (wrong !== undefined) {
      this.#refuse('match-methods', `"${wrong}" is no method`)
      return undefined
    }
    const strange = methods?.find((method) => !METHODS.includes(method))
    const nearest = strange && findNearest(strange, METHODS)
    const advice = nearest ? `did you mean "${nearest}"?` : 'leave it so if clients send it'
    if (strange) this.#doubt('match-methods', `"${strange}" is no usual method`, advice)
    return methods && sortUnique(methods)
  }

  #readAddresses(): readonly string[] | undefined {
    const ranges = this.#readList(ADDRESSES)
    try {
      return ranges && sortUnique(ranges.map((range) => this.#readRange(range)))
    } catch (error) {
      this.#refuse(ADDRESSES, (error as RangeError).message)
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

  #readList(name: MatchAnnotation): readonly string[] | undefined {
    const text = this.#text(name)
    const entries = text?.split(/[\s,]+/).filter((entry) => entry !== '')
    if (entries === undefined || this.#hasGoodLength(name, entries)) return entries
    return undefined
  }

  #readLines(
    option: MatchAnnotation,
    check: (name: string, value: string | undefined) => string | undefined,
  ): readonly ValueCondition[] | undefined {
    const lines = this.#text(option)
      ?.split('\n')
      .map((line) => line.trim())
    const written = lines?.filter((line) => line !== '')
    if (written === undefined || !this.#hasGoodLength(option, written)) return undefined
    const conditions: ValueCondition[] = []
    for (const line of written) {
      const condition = parseCondition(line)
      const fault = findFault(condition) ?? check(condition.name, 'value' in condition ? condition.value : undefined)
      // Names of fields are the same in any case.
      const name = option === 'match-headers' ? condition.name.toLowerCase() : condition.name
      if (fault === undefined) conditions.push(Object.freeze({ ...condition, name }))
      else {
        this.#refuse(option, fault)
        return undefined
      }
    }
    return Object.freeze(conditions.sort((a, b) => compareText(JSON.stringify(a), JSON.stringify(b))))
  }

  #hasGoodLength(name: MatchAnnotation, { length }: readonly string[]): boolean {
    if (length > 0 && length <= MAX_ENTRIES) return true
    this.#refuse(name, length === 0 ? 'it says nothing' : `it has more than ${MAX_ENTRIES} entries`)
    return false
  }

  /** Undefined where nothing is said, or nothing that a text stands for, which is refused. */
  #text(name: MatchAnnotation): string | undefined {
    const value = readRouteOption(this.#said, name)
    if (typeof value !== 'object') return value
    this.#refuse(name, value.message, value.help)
    return undefined
  }

  #doubt(name: MatchAnnotation, message: string, help: string): void {
    this.doubts.push({ name, message, help })
  }

  #refuse(name: MatchAnnotation, message: string, help: string = MATCH_FORMS[name].help): void {
    this.refusals.push({ name, message, help })
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
