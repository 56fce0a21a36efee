/** Random routes with conditions, and requests that come near to them. */
import fc from 'fast-check'
import type { RouteConditions, ValueCondition } from '../../lib/model/conditions.ts'
import type { Route, RouteMatch } from '../../lib/model/route.ts'
import { makeRoutedRequest } from '../helpers/routed-request.ts'
import { createRoute } from './models.ts'

const NAMES = ['a', 'b'] as const
const value = fc.constantFrom('1', '2', '12')

const valueCondition: fc.Arbitrary<ValueCondition> = fc.oneof(
  fc.record({ name: fc.constantFrom(...NAMES), type: fc.constant('exact' as const), value }),
  fc.record({ name: fc.constantFrom(...NAMES), type: fc.constant('regex' as const), value: fc.constant('1.*') }),
  fc.record({ name: fc.constantFrom(...NAMES), type: fc.constantFrom('present' as const, 'absent' as const) }),
)
const values = fc.array(valueCondition, { minLength: 1, maxLength: 2 })

const conditions: fc.Arbitrary<RouteConditions> = fc.record(
  {
    methods: fc.constantFrom(['GET'], ['GET', 'HEAD'], ['POST']),
    headers: values,
    query: values,
    cookies: values,
    clientAddresses: fc.constantFrom(['127.0.0.0/8'], ['10.0.0.0/8', '::1/128']),
    unread: fc.constantFrom('guard' as const, 'other' as const),
  },
  { requiredKeys: [] },
)

const segment = fc.constantFrom('a', 'b', 'aa')
export const somePath = fc
  .tuple(fc.array(segment, { maxLength: 3 }), fc.boolean())
  .map(([parts, slash]) => `/${parts.join('/')}${slash && parts.length > 0 ? '/' : ''}`)

const pathMatch: fc.Arbitrary<RouteMatch> = fc.oneof(
  fc.record({ type: fc.constantFrom('exact' as const, 'prefix' as const), path: somePath }),
  fc.record({ type: fc.constant('regex' as const), path: fc.constantFrom('/a+', '/(a|b)/.*b$', '/b', '/.*/aa/?$') }),
)

const match: fc.Arbitrary<RouteMatch> = fc
  .tuple(
    pathMatch,
    fc.option(conditions, { nil: undefined, freq: 2 }),
    fc.option(fc.constantFrom(-1, 1, 2), { nil: undefined, freq: 4 }),
  )
  .map(([path, known, priority]) => ({
    ...path,
    ...(known && { conditions: known }),
    ...(priority !== undefined && { priority }),
  }))

/** All of one host; their backends tell them apart. */
export const someRoutes: fc.Arbitrary<readonly Route[]> = fc
  .array(fc.tuple(match, fc.boolean()), { maxLength: 10 })
  .map((all) =>
    all.map(([one, isDefault], at): Route => {
      const pathType = isDefault && one.type === 'prefix' && one.path === '/' ? 'default' : 'Prefix'
      return { ...createRoute(['a.com', pathType, one.path], `${at}`), match: one }
    }),
  )

const few = fc.dictionary(fc.constantFrom(...NAMES), value)

export const someRequest = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'HEAD'),
    query: few,
    cookies: few,
    fields: few,
    client: fc.constantFrom('127.0.0.1', '10.1.2.3', '::ffff:10.1.2.3', '::1'),
  })
  .map(({ query, cookies, fields, ...rest }) => {
    const pairs = (all: Readonly<Record<string, string>>) =>
      Object.entries(all).map(([name, text]) => `${name}=${text}`)
    const request = makeRoutedRequest({
      ...rest,
      query: Object.keys(query).length === 0 ? '' : `?${pairs(query).join('&')}`,
      fields: Object.keys(cookies).length === 0 ? fields : { ...fields, cookie: pairs(cookies).join('; ') },
    })
    return { request, query, cookies, fields, ...rest }
  })
