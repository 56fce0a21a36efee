/**
 * Answers that an Ingress gives to some requests of its routes in the place of their endpoints: routes beside the route, with further
 * conditions, as for canaries.
 */
import { compareText } from '../../base/order.ts'
import { compileBeginning } from '../../base/pattern.ts'
import { findFilter } from '../../filters/registry.ts'
import type { RouteConditions, ValueCondition } from '../../model/conditions.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { Route, RouteMatch } from '../../model/route.ts'

export type ConditionalAnswer = Readonly<{
  /** Of one kind: methods, or one value. Undefined: all requests meet it. */
  condition: RouteConditions | undefined
  /** It is for the requests that do not meet the condition. */
  isNegated: boolean
  /** The only path whose requests it is for, in match form; undefined: those of all paths. */
  path?: string
  /** The hosts on which it acts; undefined: all that it is written for. */
  hosts?: readonly string[]
  /** A redirect, or a fixed answer. */
  filter: FilterConfig
}>

/** The most conditions of the answers of one Ingress: for each set of them that a request meets there is a route. */
export const MOST_ANSWER_CONDITIONS = 3

/** Filters that answer: the first of the conditional answers takes the place of all that the route has. */
const ANSWERING: ReadonlySet<string> = new Set(['redirect', 'respond'])

/**
 * The routes that take the place of `route`: the first of `answers` whose condition a request meets, or does not meet where it is negated,
 * answers it. Routes with more conditions go first (routing/rank), so that each request is taken by the one that names all conditions that
 * it meets.
 */
export function addAnswers(route: Route, answers: readonly ConditionalAnswer[]): readonly Route[] {
  const conditions = new Map(answers.flatMap(({ condition }) => (condition ? [[keyOf(condition), condition]] : [])))
  const rows: { met: readonly string[]; answer: ConditionalAnswer | undefined }[] = []
  for (const met of listSubsets([...conditions.keys()])) {
    const answer = answers.find(
      ({ condition, isNegated }) => condition === undefined || met.includes(keyOf(condition)) !== isNegated,
    )
    const within = rows.filter((row) => row.met.every((key) => met.includes(key)))
    // Requests that meet these conditions fare no different where they are taken by a route that names fewer.
    if (within.length === 0 || within.some((row) => row.answer?.filter !== answer?.filter)) rows.push({ met, answer })
  }
  const routes = new Map<string, Route>()
  // Of sets with the same meaning the largest counts.
  for (const { met, answer } of rows.reverse()) {
    const joined = met.reduce<RouteConditions | undefined>(
      (all, key) => all && joinConditions(all, conditions.get(key)!),
      route.match.conditions ?? NONE,
    )
    // No request has two methods.
    if (joined === undefined || routes.has(keyOf(joined))) continue
    routes.set(keyOf(joined), createRoute(route, met.length === 0 ? route.match.conditions : joined, answer?.filter))
  }
  return [...routes.values()]
}

/**
 * The routes of a host, in order of rank, with those beside them that take one path alone, where an answer of `find` is for that path.
 * Each route that may take a request to the path has one, up to the first that takes all of them.
 */
export function addPaths(
  routes: readonly Route[],
  find: (route: Route) => readonly ConditionalAnswer[],
): readonly Route[] {
  const paths = new Set(routes.flatMap((route) => find(route).flatMap(({ path }) => path ?? [])))
  let all = routes
  for (const path of paths) {
    const takers = routes.filter(({ match }) => takesPath(match, path))
    const last = takers.findIndex(({ match }) => match.conditions === undefined)
    const own = takers.slice(0, last < 0 ? undefined : last + 1).map((route) => {
      const answer = find(route).find((one) => one.path === path)
      const match = Object.freeze({ ...route.match, type: 'exact' as const, path })
      return {
        route,
        answer,
        made: Object.freeze({ ...route, match, ...(answer && withFilter(route, answer.filter)) }),
      }
    })
    // A route without the answer, which goes before one that has it, is not to be changed.
    if (own.some(({ answer }) => answer === undefined)) continue
    const replaced = new Set(own.flatMap(({ route }) => (route.match.type === 'exact' ? [route] : [])))
    all = [...own.map(({ made }) => made), ...all.filter((route) => !replaced.has(route))]
  }
  return all
}

function takesPath(match: RouteMatch, path: string): boolean {
  if (match.type === 'regex') return compileBeginning(match).begins(path)
  if (match.type === 'exact') return match.path === path
  const prefix = match.path.replace(/\/$/, '')
  return path === prefix || path.startsWith(`${prefix}/`)
}

const NONE: RouteConditions = Object.freeze({})

function keyOf(condition: RouteConditions): string {
  return JSON.stringify(condition)
}

/** The smallest first. */
function listSubsets(keys: readonly string[]): readonly (readonly string[])[] {
  const subsets = Array.from({ length: 2 ** keys.length }, (_, bits) => keys.filter((_, at) => (bits >> at) & 1))
  return subsets.sort((a, b) => a.length - b.length)
}

/** Undefined: no request meets both. Equal conditions are equal objects, in order. */
function joinConditions(a: RouteConditions, b: RouteConditions): RouteConditions | undefined {
  const methods =
    a.methods && b.methods ? a.methods.filter((one) => b.methods!.includes(one)) : (a.methods ?? b.methods)
  if (methods?.length === 0) return undefined
  const headers = joinValues(a.headers, b.headers)
  const query = joinValues(a.query, b.query)
  const cookies = joinValues(a.cookies, b.cookies)
  const { clientAddresses } = a
  return Object.freeze({
    ...(methods && { methods: Object.freeze(methods) }),
    ...(headers && { headers }),
    ...(query && { query }),
    ...(cookies && { cookies }),
    ...(clientAddresses && { clientAddresses }),
  })
}

function joinValues(
  a: readonly ValueCondition[] | undefined,
  b: readonly ValueCondition[] | undefined,
): readonly ValueCondition[] | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const all = new Map([...a, ...b].map((one) => [JSON.stringify(one), one]))
  return Object.freeze([...all].sort(([one], [other]) => compareText(one, other)).map(([, condition]) => condition))
}

function createRoute(route: Route, conditions: RouteConditions | undefined, filter: FilterConfig | undefined): Route {
  const { conditions: _, ...match } = route.match
  return Object.freeze({
    ...route,
    match: Object.freeze({ ...match, ...(conditions && { conditions }) }),
    ...(filter && withFilter(route, filter)),
  })
}

function withFilter({ filters = [] }: Route, filter: FilterConfig): Pick<Route, 'filters'> {
  // The answer goes out without an endpoint, so there is no request to rewrite.
  const others = filters.filter(({ name }) => !ANSWERING.has(name) && name !== 'url-rewrite')
  const orderOf = ({ name }: FilterConfig): number => findFilter(name).order
  return { filters: Object.freeze([...others, filter].sort((a, b) => orderOf(a) - orderOf(b))) }
}
