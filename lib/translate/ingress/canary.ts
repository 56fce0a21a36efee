/**
 * Canaries: Ingresses whose Service gets a part of the requests of another Ingress, by a field, a cookie or a weight. Its routes stand
 * beside those of the other Ingress, whose filters and settings hold for them (CA1 to CA9 of docs/ingress-nginx.md).
 */
import type { ValueCondition } from '../../model/conditions.ts'
import type { BackendAction, ForwardAction, Route, RouteMatch } from '../../model/route.ts'

/** Which requests go to the canary: the first of these that decides about a request. */
export type CanaryTerms = Readonly<{
  /**
   * A field: with a value or an expression, whose requests go to the canary; else `always` leads to it, and `never` away from it. Requests
   * with the field stay away where its expression is broken.
   */
  header?: Readonly<{ name: string; value?: string; pattern?: string; isBroken?: true }>
  /** The name of a cookie: `always` leads to the canary, and `never` away from it. */
  cookie?: string
  /** So many requests of `total`. A client that a session cookie keeps is decided about once, unless the canary takes no notice of it. */
  weight: number
  ignoresSession?: true
  total: number
}>

/** A canary with the action of its route, and the name of the cookie that keeps clients with a Service; undefined: they are not kept. */
export type Canary = Readonly<{ terms: CanaryTerms; action: ForwardAction; sessionCookie: string | undefined }>

/** The routes that take the place of a route which forwards to one Service, in no order. */
export function addCanary(route: Route, { terms, action, sessionCookie }: Canary): readonly Route[] {
  const { header, cookie, weight } = terms
  const main = route.action as ForwardAction
  const routes: Route[] = []
  const add = (kind: 'headers' | 'cookies', condition: ValueCondition, to: BackendAction): void => {
    routes.push(Object.freeze({ ...route, match: addCondition(route.match, kind, condition), action: to }))
  }
  if (header !== undefined) {
    const name = header.name.toLowerCase()
    if (header.isBroken) add('headers', { name, type: 'present' }, main)
    else if (header.value !== undefined) add('headers', { name, type: 'exact', value: header.value }, action)
    else if (header.pattern !== undefined) add('headers', { name, type: 'regex', value: header.pattern }, action)
    else {
      add('headers', { name, type: 'exact', value: 'always' }, action)
      add('headers', { name, type: 'exact', value: 'never' }, main)
    }
  }
  if (cookie !== undefined) {
    add('cookies', { name: cookie, type: 'exact', value: 'always' }, action)
    add('cookies', { name: cookie, type: 'exact', value: 'never' }, main)
  }
  return [
    ...routes,
    weight <= 0 ? route : Object.freeze({ ...route, action: divide(main, action, terms, sessionCookie) }),
  ]
}

/** CA5: a weight of the total, or more, is all. */
function divide(
  main: ForwardAction,
  action: ForwardAction,
  { weight, total, ignoresSession }: CanaryTerms,
  sessionCookie: string | undefined,
): Route['action'] {
  if (weight >= total) return action
  const shares = [Object.freeze({ weight: total - weight, action: main }), Object.freeze({ weight, action })]
  const backend = shares.map((share) => `${share.action.backend}=${share.weight}`).join(', ')
  const split = { type: 'split', shares: Object.freeze(shares) } as const
  if (sessionCookie === undefined || ignoresSession) return Object.freeze({ ...split, backend })
  // CA4: the session cookie itself says which endpoint it is, and is of one Service.
  const cookie = `${sessionCookie}_SERVICE`
  return Object.freeze({ ...split, cookie, backend: `${backend} (kept by the cookie ${cookie})` })
}

function addCondition(match: RouteMatch, kind: 'headers' | 'cookies', condition: ValueCondition): RouteMatch {
  const conditions = {
    ...match.conditions,
    [kind]: Object.freeze([...(match.conditions?.[kind] ?? []), Object.freeze(condition)]),
  }
  return Object.freeze({ ...match, conditions: Object.freeze(conditions) })
}
