/**
 * Which of the routes of a host goes first: one order, by which they are sorted and looked up. It is that of Kubernetes for paths
 * (I-15, I-16), and that of Gateway API among routes of one path (HTTPRouteRule, `matches`). Of equal routes those of the older object
 * come first, then those of the first by namespace and name: they are listed in that order before they are sorted.
 */
import { compareText } from '../base/order.ts'
import { CASELESS } from '../base/pattern.ts'
import type { RouteConditions } from '../model/conditions.ts'
import type { Route } from '../model/route.ts'

type Ranked = Pick<Route, 'match' | 'pathType'>

const NONE: RouteConditions = Object.freeze({})

/** Negative where `a` goes first. Sort with it stably. */
export function compareRank(a: Ranked, b: Ranked): number {
  return (
    Number(a.pathType === 'default') - Number(b.pathType === 'default') ||
    (b.match.priority ?? 0) - (a.match.priority ?? 0) ||
    compareExact(a, b) ||
    b.match.path.length - a.match.path.length ||
    // As ingress-nginx has it: a regular expression is as long as its text.
    Number(b.match.type === 'regex') - Number(a.match.type === 'regex') ||
    comparePaths(a.match.path, b.match.path) ||
    compareConditions(a.match.conditions ?? NONE, b.match.conditions ?? NONE)
  )
}

/** Of paths of one length; on hosts whose paths are all expressions, in the opposite order, as ingress-nginx has it. */
function comparePaths(a: string, b: string): number {
  const [isCaseless, isOther] = [a.startsWith(CASELESS), b.startsWith(CASELESS)]
  return Number(isOther) - Number(isCaseless) || (isCaseless ? compareText(b, a) : compareText(a, b))
}

function compareExact(a: Ranked, b: Ranked): number {
  return Number(b.match.type === 'exact') - Number(a.match.type === 'exact')
}

/** What a client cannot choose goes before what it can: a header is no way past a route for its address. */
function compareConditions(a: RouteConditions, b: RouteConditions): number {
  return (
    orderOf(a) - orderOf(b) ||
    compareMore(a.clientAddresses, b.clientAddresses) ||
    compareMore(a.methods, b.methods) ||
    countOf(b.headers) - countOf(a.headers) ||
    countOf(b.query) - countOf(a.query) ||
    countOf(b.cookies) - countOf(a.cookies)
  )
}

/** Routes that are closed since their conditions cannot be read. */
function orderOf({ unread }: RouteConditions): number {
  if (unread === undefined) return 0
  return unread === 'guard' ? -1 : 1
}

/** What there is goes before what there is not. */
function compareMore(a: unknown, b: unknown): number {
  return Number(b !== undefined) - Number(a !== undefined)
}

function countOf(list: readonly unknown[] = []): number {
  return list.length
}
