/** Reports of a model whose listeners serve different tables. */
import t from 'tap'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { diffModels, printChange } from '../../lib/report/diff.ts'
import { explainRequest } from '../../lib/report/explain.ts'
import { printModel } from '../../lib/report/print.ts'
import { routesView } from '../../lib/report/views.ts'
import { makeModel } from '../helpers/snapshot.ts'

const words = {
  upstreams: { one: [3001], two: [3002] },
  routes: [{ host: 'a.test', to: 'one' }],
  redirect: ['a.test'],
  fallback: 'one',
  own: { side: { table: 'side', port: 9000 } },
}
const model = makeModel({ ...words, tables: { side: { routes: [{ host: 'a.test', to: 'two' }] } } })

t.test('each table is printed below its name, and listeners with the names of theirs', async (t) => {
  const lines = printModel(model).split('\n')
  t.same(
    lines.filter((line) => /^(table|listener|default) /.test(line)),
    [
      'table ingress',
      'default  → default/one:80 → 127.0.0.1:3001  (test)  [default/test]',
      'table side',
      'default  → 404',
      'listener https https → table ingress',
      'listener http http → table ingress',
      'listener side TCP 127.0.0.1:9000 → table side',
    ],
  )
  t.notMatch(printModel({ ...model, tables: [findIngressTable(model)] }), /^(table|listener) /m, 'one needs no name')
})

t.test('explain plays a request through the table of the listener at its port', async (t) => {
  const explain = (host: string) => explainRequest(model, { host, path: '/', scheme: 'http' })
  t.equal(explain('a.test:9000').upstream?.key, 'default/two:80')
  t.equal(explain('b.test:9000').answer?.status, 404)
  t.equal(explain('a.test').answer?.status, 308)
  t.equal(explain('b.test').upstream?.key, 'default/one:80')
})

t.test('routes are listed table by table, each with what its own host does', async (t) => {
  t.match(
    routesView(model, () => undefined),
    [
      { host: 'a.test', upstream: 'default/one:80', redirectToHttps: true },
      { host: '*', upstream: 'default/one:80' },
      { host: 'a.test', upstream: 'default/two:80', redirectToHttps: false },
    ],
  )
})

t.test('a change of one table is told, and the routes of the same names in others are not', async (t) => {
  const moved = makeModel({ ...words, tables: { side: { routes: [{ host: 'a.test', to: 'one' }] } } })
  const after = { ...model, tables: [findIngressTable(model), moved.tables[1]!] }
  t.same(diffModels(model, after).map(printChange), ['~ a.test/  Prefix default/two:80 → default/one:80'])
  t.same(diffModels(model, { ...model, tables: [findIngressTable(model)] }).map(printChange), [
    '- a.test/  Prefix → default/two:80',
  ])
})
