import fc from 'fast-check'
import t from 'tap'
import type { Route } from '../../lib/model/route.ts'
import { findRouteId } from '../../lib/model/route.ts'
import { compileTable, findRoute } from '../../lib/routing/table.ts'
import { BARE } from '../helpers/routed-request.ts'
import { createRoute, createTable, type RouteLine } from './models.ts'

/** The examples of the Ingress documentation (4.3): rules, path, what matches. */
const EXAMPLES: readonly (readonly [
  string,
  readonly (readonly ['Exact' | 'Prefix', string])[],
  string,
  string | undefined,
])[] = [
  ['Prefix / takes every path', [['Prefix', '/']], '/any/path', 'Prefix /'],
  ['I-12 Exact /foo takes /foo', [['Exact', '/foo']], '/foo', 'Exact /foo'],
  ['I-12 Exact /foo does not take /bar', [['Exact', '/foo']], '/bar', undefined],
  ['I-12 Exact /foo does not take /foo/', [['Exact', '/foo']], '/foo/', undefined],
  ['I-12 Exact /foo/ does not take /foo', [['Exact', '/foo/']], '/foo', undefined],
  ['I-13 Prefix /foo takes /foo', [['Prefix', '/foo']], '/foo', 'Prefix /foo'],
  ['I-13 Prefix /foo takes /foo/', [['Prefix', '/foo']], '/foo/', 'Prefix /foo'],
  ['P26 Prefix /foo/ takes /foo', [['Prefix', '/foo/']], '/foo', 'Prefix /foo/'],
  ['I-13 Prefix /foo/ takes /foo/', [['Prefix', '/foo/']], '/foo/', 'Prefix /foo/'],
  ['I-13 Prefix /aaa/bb does not take /aaa/bbb', [['Prefix', '/aaa/bb']], '/aaa/bbb', undefined],
  ['I-13 Prefix /aaa/bbb takes /aaa/bbb', [['Prefix', '/aaa/bbb']], '/aaa/bbb', 'Prefix /aaa/bbb'],
  ['I-13 Prefix /aaa/bbb/ takes /aaa/bbb', [['Prefix', '/aaa/bbb/']], '/aaa/bbb', 'Prefix /aaa/bbb/'],
  ['I-13 Prefix /aaa/bbb takes /aaa/bbb/', [['Prefix', '/aaa/bbb']], '/aaa/bbb/', 'Prefix /aaa/bbb'],
  ['I-13 Prefix /aaa/bbb takes /aaa/bbb/ccc', [['Prefix', '/aaa/bbb']], '/aaa/bbb/ccc', 'Prefix /aaa/bbb'],
  ['I-13 Prefix /aaa/bbb does not take /aaa/bbbxyz', [['Prefix', '/aaa/bbb']], '/aaa/bbbxyz', undefined],
  [
    'I-15 the longer of / and /aaa',
    [
      ['Prefix', '/'],
      ['Prefix', '/aaa'],
    ],
    '/aaa/ccc',
    'Prefix /aaa',
  ],
  [
    'I-15 the longest of three',
    [
      ['Prefix', '/'],
      ['Prefix', '/aaa'],
      ['Prefix', '/aaa/bbb'],
    ],
    '/aaa/bbb',
    'Prefix /aaa/bbb',
  ],
  [
    'I-15 / takes what is left',
    [
      ['Prefix', '/'],
      ['Prefix', '/aaa'],
      ['Prefix', '/aaa/bbb'],
    ],
    '/ccc',
    'Prefix /',
  ],
  ['I-17 no path matches', [['Prefix', '/aaa']], '/ccc', undefined],
  [
    'I-16 Exact goes before Prefix',
    [
      ['Prefix', '/foo'],
      ['Exact', '/foo'],
    ],
    '/foo',
    'Exact /foo',
  ],
  [
    'I-16 Exact goes before a Prefix with a slash',
    [
      ['Prefix', '/foo/'],
      ['Exact', '/foo'],
    ],
    '/foo',
    'Exact /foo',
  ],
  [
    'P6 paths are case-sensitive',
    [
      ['Prefix', '/foo'],
      ['Exact', '/foo'],
    ],
    '/FOO',
    undefined,
  ],
  ['P19 a parameter continues the segment', [['Prefix', '/foo']], '/foo;x', undefined],
  ['a name of Object.prototype is a segment like others', [['Prefix', '/foo']], '/constructor/__proto__', undefined],
]

t.test('paths match as the Ingress documentation says', async (t) => {
  for (const [name, rules, path, expected] of EXAMPLES) {
    const lines = rules.map(([type, rule]): RouteLine => ['a.com', type, rule])
    const table = compileTable(createTable(lines), (route) => route.action.backend)
    t.equal(findRoute(table, 'a.com', path, BARE), expected, name)
  }
})

t.test('hosts', async (t) => {
  const model = createTable(
    [
      ['foo.com', 'Prefix', '/foo'],
      ['*.foo.com', 'Prefix', '/wildcard'],
      ['www.foo.com', 'Prefix', '/www'],
      ['', 'Prefix', '/any'],
    ],
    createRoute(['', 'default', ''], 'fallback'),
  )
  const table = compileTable(model, (route) => route.action.backend)
  const find = (host: string, path: string): string | undefined => findRoute(table, host, path, BARE)
  t.equal(find('foo.com', '/foo'), 'Prefix /foo', 'I-6 exact')
  t.equal(find('bar.foo.com', '/wildcard'), 'Prefix /wildcard', 'I-7 one label')
  t.equal(find('a_b.foo.com', '/wildcard'), 'Prefix /wildcard', 'P17 an underscore')
  t.equal(find('baz.bar.foo.com', '/wildcard'), 'fallback', 'I-7 not two labels')
  t.equal(find('www.foo.com', '/www'), 'Prefix /www', 'I-8 exact beats wildcard')
  t.equal(
    find('www.foo.com', '/wildcard'),
    'fallback',
    'I-10 the wildcard is not consulted once the exact host matched',
  )
  t.equal(find('foo.com', '/any'), 'fallback', 'I-10 nor are the rules for every host')
  t.equal(find('other.com', '/any'), 'Prefix /any', 'I-9 every host')
  t.equal(find('', '/any'), 'Prefix /any', 'P11 an empty host is every host')
  t.equal(find('::1', '/any'), 'Prefix /any', 'P8 an address is every host')
  t.equal(find('other.com', '/else'), 'fallback', 'I-17 then the default backend')
  const bare = compileTable(createTable([['foo.com', 'Prefix', '/foo']]), (route) => route.action.backend)
  t.equal(findRoute(bare, 'foo.com', '/x', BARE), undefined, 'I-24 no default backend anywhere')
  t.equal(findRoute(bare, 'x.com', '/foo', BARE), undefined, 'I-24 unknown host')
})

t.test("a host's own default backend takes what its paths leave", async (t) => {
  const model = createTable(
    [
      ['a.com', 'Prefix', '/a'],
      ['a.com', 'default', ''],
      ['b.com', 'Prefix', '/'],
      ['b.com', 'default', ''],
    ],
    createRoute(['', 'default', ''], 'fallback'),
  )
  const table = compileTable(model, (route) => route.action.backend)
  t.equal(findRoute(table, 'a.com', '/a/b', BARE), 'Prefix /a')
  t.equal(findRoute(table, 'a.com', '/b', BARE), 'default ')
  t.equal(findRoute(table, 'b.com', '/b', BARE), 'Prefix /', 'a prefix / goes before it')
})

t.test('each route is served by one value, made once', async (t) => {
  const model = createTable([
    ['a.com', 'Prefix', '/a'],
    ['a.com', 'Exact', '/a'],
  ])
  const made: string[] = []
  const table = compileTable(model, (route) => {
    made.push(findRouteId(route))
    return { route }
  })
  t.equal(findRoute(table, 'a.com', '/a', BARE), findRoute(table, 'a.com', '/a', BARE))
  t.same(made, ['default/web|a.com|Prefix /a', 'default/web|a.com|Exact /a'])
})

/** What the specification says, said as slowly as it says it. */
function findNaively(routes: readonly Route[], host: string, path: string): Route | undefined {
  const wildcard = `*.${host.split('.').slice(1).join('.')}`
  const own = [host, wildcard, ''].find((name) => routes.some((route) => route.host === name))
  const matching = routes.filter((route) => {
    if (route.host !== own) return false
    if (route.match.type === 'exact') return path === route.match.path
    const wanted = route.match.path.split('/').filter((element) => element !== '')
    const elements = path.split('/').slice(1)
    return wanted.every((element, index) => element === elements[index])
  })
  const rank = (route: Route): number =>
    (route.match.type === 'exact' ? 1e6 : 0) + route.match.path.replace(/\/$/, '').length
  return matching.sort((a, b) => rank(b) - rank(a))[0]
}

t.test('P36 the table finds what a naive matcher finds', async (t) => {
  const segment = fc.constantFrom('a', 'b', 'aa', 'constructor')
  const rulePath = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean())
    .map(([parts, slash]) => `/${parts.join('/')}${slash && parts.length > 0 ? '/' : ''}`)
  const host = fc.constantFrom('foo.com', '*.foo.com', 'b.foo.com', '')
  const line = fc.tuple(host, fc.constantFrom('Exact' as const, 'Prefix' as const), rulePath)
  const lines = fc.uniqueArray(line, {
    maxLength: 12,
    selector: ([one, type, path]) => `${one} ${type} ${type === 'Prefix' ? path.replace(/\/$/, '') : path}`,
  })
  const request = fc.tuple(fc.constantFrom('foo.com', 'a.foo.com', 'b.foo.com', 'x.a.foo.com', 'bar.com', ''), rulePath)
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(lines, fc.array(request, { minLength: 1, maxLength: 4 }), (rules, requests) => {
        const model = createTable(rules)
        const routes = model.hosts.flatMap((one) => one.routes)
        const table = compileTable(model, (route) => route)
        return requests.every(([name, path]) => findRoute(table, name, path, BARE) === findNaively(routes, name, path))
      }),
      { numRuns: 10_000 },
    ),
  )
})

t.test('P36 a deep path costs its depth once', async (t) => {
  const deep = `/${'a/'.repeat(4000)}b`
  const table = compileTable(
    createTable([
      ['a.com', 'Prefix', '/'],
      ['a.com', 'Prefix', deep],
    ]),
    (route) => route.match.path,
  )
  t.equal(findRoute(table, 'a.com', deep, BARE), deep)
  t.equal(findRoute(table, 'a.com', `${deep}c`, BARE), '/')
})
