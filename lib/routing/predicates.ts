/** Conditions of routes, compiled: what is asked of each request. HOT */
import { createAddressSet } from '../base/cidr.ts'
import { Pattern } from '../base/pattern.ts'
import { findCookie } from '../http1/cookie.ts'
import { HOP_BY_HOP, isForwardingClaim } from '../http1/field-names.ts'
import type { RouteConditions, ValueCondition } from '../model/conditions.ts'

/** A request as conditions see it. */
export type RoutedRequest = {
  readonly method: string
  /** IP address; a trusted proxy's word counts. */
  readonly clientAddress: string
  /** Value of the first field with this lower-case name; of `cookie`, all of them joined by `; `. */
  header(name: string): string | undefined
  /** Value of the first parameter of the query with this name, decoded; `''` where it has none. */
  parameter(name: string): string | undefined
}

/** Fields that are the hop's or the gateway's own, so that conditions cannot be about them. */
const UNSEEN: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'content-length',
  'expect',
  'host',
  'x-request-id',
  'x-portico-explain',
])

/** The value of a cookie of the request; undefined: it has no such cookie. */
export function readCookie(request: Pick<RoutedRequest, 'header'>, name: string): string | undefined {
  return findCookie(request.header('cookie'), name)
}

/** Why no condition can be about the field with this lower-case name, to follow its name; undefined: one can. */
export function findUnseen(name: string): string | undefined {
  if (UNSEEN.has(name)) return 'concerns the connection or the gateway, and no condition sees it'
  return isForwardingClaim(name) ? 'is a claim about the client, and no condition sees it' : undefined
}

export type Predicate = Readonly<{
  /** For people: `header x-env: staging`. */
  text: string
  holds: (request: RoutedRequest) => boolean
  /** What of the request the condition is about, for people; undefined: it is not there. */
  seen: (request: RoutedRequest) => string | undefined
}>

/** Routes of one owner share their conditions, and hosts are compiled again and again. */
const compiled = new WeakMap<RouteConditions, readonly Predicate[]>()

const ALWAYS: readonly Predicate[] = Object.freeze([])

/** All of them must hold. */
export function compileConditions(conditions: RouteConditions | undefined): readonly Predicate[] {
  if (conditions === undefined) return ALWAYS
  let predicates = compiled.get(conditions)
  if (predicates === undefined) {
    predicates = Object.freeze(listPredicates(conditions))
    compiled.set(conditions, predicates)
  }
  return predicates
}

export function holdsAll(predicates: readonly Predicate[], request: RoutedRequest): boolean {
  for (let at = 0; at < predicates.length; at++) if (!predicates[at]!.holds(request)) return false
  return true
}

/** What costs least is asked first. */
function listPredicates(conditions: RouteConditions): readonly Predicate[] {
  const { methods, headers = [], query = [], cookies = [], clientAddresses } = conditions
  const predicates: Predicate[] = []
  if (methods !== undefined) {
    const set = new Set(methods)
    predicates.push({
      text: `method ${methods.join(', ')}`,
      holds: ({ method }) => set.has(method),
      seen: ({ method }) => method,
    })
  }
  for (const condition of headers) {
    const { name } = condition
    predicates.push(createPredicate('header', condition, (request) => request.header(name)))
  }
  for (const condition of query) {
    const { name } = condition
    predicates.push(createPredicate('query', condition, (request) => request.parameter(name)))
  }
  for (const condition of cookies) {
    const { name } = condition
    predicates.push(createPredicate('cookie', condition, (request) => readCookie(request, name)))
  }
  if (clientAddresses !== undefined) {
    const set = createAddressSet(clientAddresses)
    const text = `client ${clientAddresses.join(', ')}`
    predicates.push({
      text,
      holds: ({ clientAddress }) => set.has(clientAddress),
      seen: ({ clientAddress }) => clientAddress,
    })
  }
  return predicates
}

function createPredicate(
  what: string,
  condition: ValueCondition,
  seen: (request: RoutedRequest) => string | undefined,
): Predicate {
  const { name, type } = condition
  switch (type) {
    case 'present':
      return { text: `${what} ${name}`, seen, holds: (request) => seen(request) !== undefined }
    case 'absent':
      return { text: `${what} !${name}`, seen, holds: (request) => seen(request) === undefined }
    case 'exact': {
      const { value } = condition
      return { text: `${what} ${name}: ${value}`, seen, holds: (request) => seen(request) === value }
    }
    case 'regex': {
      const { value } = condition
      const pattern = new Pattern(value)
      const holds = (request: RoutedRequest): boolean => {
        const found = seen(request)
        return found !== undefined && pattern.describes(found)
      }
      return { text: `${what} ${name}: ~${value}`, seen, holds }
    }
  }
}
