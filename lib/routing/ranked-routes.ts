/** The routes of a host of which some have conditions, a priority or a regular expression. Built once, then only read. HOT */
import { compileBeginning } from '../base/pattern.ts'
import type { PathMatch, RouteMatch } from '../model/route.ts'
import { PathIndex } from './path-index.ts'
import { compileConditions, holdsAll, type Predicate, type RoutedRequest } from './predicates.ts'

/** A route, by its place in the order of rank. */
type Candidate = Readonly<{ place: number; predicates: readonly Predicate[] }>

type Pattern = Candidate & Readonly<{ expression: ReturnType<typeof compileBeginning> }>

/** The candidates of one path, in order of rank. */
type Group = { readonly candidates: Candidate[]; readonly match: PathMatch; wider: Group | undefined }

/** True for a route that only its path decides about. */
export function isPlain({ type, conditions, priority }: RouteMatch): boolean {
  return type !== 'regex' && conditions === undefined && priority === undefined
}

export class RankedRoutes<R> {
  readonly #routes: readonly R[]
  /** Places of the plain routes: among them the path that matches best is the first by rank. */
  readonly #plain: PathIndex<number>
  readonly #groups: PathIndex<Group>
  readonly #patterns: readonly Pattern[]

  /** Routes with their matches, in order of rank. */
  constructor(entries: readonly (readonly [RouteMatch, R])[]) {
    const plain: [PathMatch, number][] = []
    const groups = new Map<string, Group>()
    const patterns: Pattern[] = []
    for (const [place, [match]] of entries.entries()) {
      const candidate = { place, predicates: compileConditions(match.conditions) }
      if (isPlain(match)) plain.push([match, place])
      else if (match.type === 'regex') patterns.push({ ...candidate, expression: compileBeginning(match) })
      else findGroup(groups, match).candidates.push(candidate)
    }
    this.#routes = entries.map(([, route]) => route)
    this.#plain = new PathIndex(plain)
    this.#groups = indexGroups([...groups.values()])
    this.#patterns = patterns
  }

  /** The first route by rank whose path matches and whose conditions hold. `path` is in match form. */
  find(path: string, request: RoutedRequest): R | undefined {
    let best = this.#plain.find(path) ?? this.#routes.length
    for (let group = this.#groups.find(path); group !== undefined; group = group.wider) {
      for (const { place, predicates } of group.candidates) {
        if (place >= best) break
        if (holdsAll(predicates, request)) best = place
      }
    }
    for (const { place, predicates, expression } of this.#patterns) {
      if (place >= best) break
      if (expression.test(path) && holdsAll(predicates, request)) best = place
    }
    return this.#routes[best]
  }
}

/** A slash at the end of a prefix has no meaning (I-13). */
function findGroup(groups: Map<string, Group>, match: PathMatch): Group {
  const { type, path } = match
  const key = `${type} ${type === 'prefix' && path.endsWith('/') ? path.slice(0, -1) : path}`
  let group = groups.get(key)
  if (group === undefined) {
    group = { candidates: [], match, wider: undefined }
    groups.set(key, group)
  }
  return group
}

/** Links each group to that of the next shorter prefix. */
function indexGroups(groups: readonly Group[]): PathIndex<Group> {
  const prefixes = new PathIndex(groups.filter(({ match }) => match.type === 'prefix').map(withMatch))
  for (const group of groups) {
    const { type, path } = group.match
    const stem = path.endsWith('/') ? path.slice(0, -1) : path
    if (type === 'exact') group.wider = prefixes.find(path)
    else if (stem !== '') group.wider = prefixes.find(stem.slice(0, stem.lastIndexOf('/')) || '/')
  }
  return new PathIndex(groups.map(withMatch))
}

function withMatch(group: Group): [PathMatch, Group] {
  return [group.match, group]
}
