import fc from 'fast-check'
import t from 'tap'
import type { RouteConditions } from '../../lib/model/conditions.ts'
import type { Route, RouteMatch } from '../../lib/model/route.ts'
import { compareRank } from '../../lib/routing/rank.ts'
import { someRoutes } from './arbitraries.ts'
import { createRoute } from './models.ts'

function make(match: RouteMatch, pathType: Route['pathType'] = 'Prefix'): Route {
  return { ...createRoute(['a.com', pathType, match.path]), match }
}

/** Each list is in order of rank. */
const ORDERS: Readonly<Record<string, readonly Route[]>> = {
  'paths, then the default backend': [
    make({ type: 'exact', path: '/b' }),
    make({ type: 'regex', path: '/a/[0-9]+' }),
    make({ type: 'prefix', path: '/a/long' }),
    make({ type: 'regex', path: '/a/.+' }),
    make({ type: 'prefix', path: '/a/no' }),
    make({ type: 'prefix', path: '/' }),
    make({ type: 'prefix', path: '/', priority: 9 }, 'default'),
    make({ type: 'prefix', path: '/' }, 'default'),
  ],
  'a priority goes before the path': [
    make({ type: 'prefix', path: '/', priority: 2 }),
    make({ type: 'prefix', path: '/a', priority: 1 }),
    make({ type: 'exact', path: '/a' }),
    make({ type: 'exact', path: '/a', priority: -1 }),
  ],
  'conditions of one path': (
    [
      { unread: 'guard' },
      { clientAddresses: ['10.0.0.0/8'] },
      { methods: ['GET'], headers: [{ name: 'a', type: 'present' }] },
      { methods: ['GET'] },
      {
        headers: [
          { name: 'a', type: 'present' },
          { name: 'b', type: 'absent' },
        ],
      },
      { headers: [{ name: 'a', type: 'present' }], query: [{ name: 'a', type: 'present' }] },
      { headers: [{ name: 'a', type: 'present' }] },
      { query: [{ name: 'a', type: 'present' }] },
      { cookies: [{ name: 'a', type: 'present' }] },
    ] satisfies RouteConditions[]
  )
    .map((conditions) => make({ type: 'prefix', path: '/', conditions }))
    .concat(make({ type: 'prefix', path: '/' }))
    .concat(make({ type: 'prefix', path: '/', conditions: { methods: ['GET'], unread: 'other' } })),
}

t.test('I-62 routes are in the order that people are told', async (t) => {
  for (const [name, routes] of Object.entries(ORDERS)) {
    for (const [at, route] of routes.entries()) {
      for (const later of routes.slice(at + 1)) {
        t.ok(compareRank(route, later) < 0, `${name}: ${JSON.stringify(route.match)} ${JSON.stringify(later.match)}`)
        t.ok(compareRank(later, route) > 0, name)
      }
      t.equal(compareRank(route, { ...route }), 0)
    }
  }
})

t.test('rank is one order: it does not depend on how routes were mixed before', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(someRoutes, someRoutes, someRoutes, (one, two, three) => {
        const routes = [...one, ...two, ...three]
        for (const a of routes) {
          for (const b of routes) {
            if (Math.sign(compareRank(a, b)) !== -Math.sign(compareRank(b, a))) return false
            for (const c of routes) {
              if (compareRank(a, b) <= 0 && compareRank(b, c) <= 0 && compareRank(a, c) > 0) return false
            }
          }
        }
        return true
      }),
      { numRuns: 300 },
    ),
  )
})
