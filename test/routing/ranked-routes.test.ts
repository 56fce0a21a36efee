import { isIPv4 } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import type { ValueCondition } from '../../lib/model/conditions.ts'
import type { Route } from '../../lib/model/route.ts'
import { compareRank } from '../../lib/routing/rank.ts'
import { compileTable, findRoute } from '../../lib/routing/table.ts'
import { makeRoutedRequest } from '../helpers/routed-request.ts'
import { somePath, someRequest, someRoutes } from './arbitraries.ts'
import { createRoute, createTable } from './models.ts'

type Asked = ReturnType<typeof someRequest.generate>['value']

/** The table of one host with these routes. */
function compile(routes: readonly Route[]) {
  const whole = createTable([['a.com', 'Prefix', '/']])
  const hosts = [{ ...whole.hosts[0]!, routes: [...routes].sort(compareRank) }]
  return compileTable({ ...whole, hosts }, (route) => route)
}

/** What the documentation says, said as slowly as it says it. */
function holdsSlowly({ match }: Route, path: string, asked: Asked): boolean {
  const { type, path: wanted, conditions = {} } = match
  const elements = wanted.split('/').filter((element) => element !== '')
  const isPath = {
    exact: () => path === wanted,
    prefix: () => elements.every((element, index) => element === path.split('/').slice(1)[index]),
    regex: () => new RegExp(`^(?:${wanted})`).test(path),
  }
  const holds = (among: Readonly<Record<string, string>>) => (condition: ValueCondition) => {
    const found = Object.hasOwn(among, condition.name) ? among[condition.name] : undefined
    if (condition.type === 'exact') return found === condition.value
    if (condition.type === 'regex') return found !== undefined && new RegExp(`^(?:${condition.value})$`).test(found)
    return (found !== undefined) === (condition.type === 'present')
  }
  const client = asked.client.replace('::ffff:', '')
  const { methods = [asked.method], headers = [], query = [], cookies = [], clientAddresses } = conditions
  const isClient = (cidr: string) =>
    isIPv4(client) ? cidr.split('.')[0] === client.split('.')[0] && cidr.endsWith('/8') : cidr === `${client}/128`
  return (
    isPath[type]() &&
    methods.includes(asked.method) &&
    headers.every(holds(asked.fields)) &&
    query.every(holds(asked.query)) &&
    cookies.every(holds(asked.cookies)) &&
    (clientAddresses === undefined || clientAddresses.some(isClient))
  )
}

t.test('P36 the table finds the first route by rank whose path matches and whose conditions hold', async (t) => {
  const requests = fc.array(fc.tuple(somePath, someRequest), { minLength: 1, maxLength: 6 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(someRoutes, requests, (routes, asked) => {
        const table = compile(routes)
        const sorted = [...routes].sort(compareRank)
        return asked.every(
          ([path, one]) =>
            findRoute(table, 'a.com', path, one.request) === sorted.find((route) => holdsSlowly(route, path, one)),
        )
      }),
      { numRuns: 2_000 },
    ),
  )
})

t.test(
  'a route whose conditions do not hold leaves the request to a shorter path, then to the default backend',
  async (t) => {
    const beta = { headers: [{ name: 'x-beta', type: 'present' }] } as const
    const conditional = createRoute(['a.com', 'Prefix', '/shop'], 'beta')
    const whole = createTable([['a.com', 'Prefix', '/x']], createRoute(['', 'default', ''], 'fallback'))
    const routes = [
      { ...conditional, match: { ...conditional.match, conditions: beta } },
      createRoute(['a.com', 'Prefix', '/shop/cart'], 'cart'),
      createRoute(['a.com', 'Exact', '/'], 'home'),
    ]
    const table = compileTable(
      { ...whole, hosts: [{ ...whole.hosts[0]!, routes: routes.sort(compareRank) }] },
      (route) => route.action.backend,
    )
    const withBeta = makeRoutedRequest({ fields: { 'x-beta': '' } })
    const without = makeRoutedRequest({})
    t.equal(findRoute(table, 'a.com', '/shop/x', withBeta), 'beta')
    t.equal(findRoute(table, 'a.com', '/shop/x', without), 'fallback')
    t.equal(findRoute(table, 'a.com', '/shop/cart/x', withBeta), 'cart', 'a longer path without conditions')
    t.equal(findRoute(table, 'a.com', '/', withBeta), 'home')
  },
)
