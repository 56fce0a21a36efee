import t from 'tap'
import { describeRequest, playFilters } from '../../lib/filters/play.ts'
import { FilterDraft } from '../../lib/filters/spec.ts'
import { translateText } from '../translate/manifests.ts'
import { ask, printOfHost, startFiltered, translateFiltered } from './filtered.ts'

const cases: readonly (readonly [
  annotations: Readonly<Record<string, string>>,
  path: string,
  targets: Readonly<Record<string, string | number>>,
])[] = [
  [{ 'rewrite-path': '/all' }, '/', { '/a/b?c=d': '/all?c=d' }],
  [
    { 'rewrite-prefix': '/v2' },
    '/api',
    { '/api': '/v2', '/api/': '/v2/', '/api/a%2Fb?c': '/v2/a%2Fb?c', '/x/../api/a': '/v2/a', '//api//a': '/v2//a' },
  ],
  [{ 'rewrite-prefix': '/' }, '/api', { '/api': '/', '/api/a': '/a' }],
  [
    { 'rewrite-regex': '^/users/(\\d+)/(.*)$', 'rewrite-replacement': '/$2/of/$1' },
    '/',
    { '/users/42/posts?x': '/posts/of/42?x', '/users/x/posts': '/users/x/posts' },
  ],
  [
    { 'rewrite-regex': '^/(?P<first>a)/(b)$', 'rewrite-replacement': '/$<first>$$0$$2$2$&$metadata' },
    '/',
    { '/a/b': '/a$0$2b/a/b$metadata' },
  ],
  // The expression sees the path as routes do.
  [
    { 'rewrite-regex': '^/v1/(.*)$', 'rewrite-replacement': '/public/$1' },
    '/v1',
    { '/%761/x': '/public/x', '//v1/x': '/public/x', '/v1/a%2Fb': '/public/a%2Fb' },
  ],
  // A path that a replacement makes leads nowhere else.
  [
    { 'rewrite-regex': '^/v1(.*)$', 'rewrite-replacement': '/api/$1' },
    '/',
    { '/v1../secret': 400, '/v1/x': '/api//x' },
  ],
  [{ 'rewrite-regex': '^/a/(.*)$', 'rewrite-replacement': '/$1/../b' }, '/', { '/a/x': 400, '/a/x/y': 400 }],
  [{ 'rewrite-regex': '^/a(.*)$', 'rewrite-replacement': '/../..$1' }, '/', { '/a/x': 400, '/b': '/b' }],
  [{ 'rewrite-regex': '^/a(.*)$', 'rewrite-replacement': 'http:$1' }, '/', { '/a/x': 400 }],
  [{ 'rewrite-regex': '^/a$', 'rewrite-replacement': '/b c' }, '/', { '/a': 400 }],
]

for (const [annotations, path, targets] of cases) {
  t.test(JSON.stringify(annotations), async (t) => {
    const doors = await startFiltered(t, annotations, path)
    for (const door of doors.names) {
      for (const [target, expected] of Object.entries(targets)) {
        const { status, upstream } = await ask(doors, door, { target })
        if (typeof expected === 'number') t.match({ status, upstream }, { status: expected, upstream: [] }, door)
        else t.equal(upstream[0], `GET ${expected} HTTP/1.1`, `${door} ${target}`)
      }
    }
  })
}

const targetCases: readonly (readonly [
  target: string,
  path: string,
  targets: Readonly<Record<string, string | number>>,
])[] = [
  [
    '/$2',
    '/api(/|$)(.*)',
    { '/api': '/', '/api/': '/', '/api/x?y=1': '/x?y=1', '/api//x': '/x', '/api/a%2Fb': '/a%2Fb', '/%61pi/x': '/x' },
  ],
  ['/', '/something', { '/something/x?y': '/?y', '/something': '/' }],
  ['$1/v2', '/(?:api)?(/[a-z]+)?', { '/api/shop/x': '/shop/v2', '/9': '/v2' }],
  ['/$1/$2/$3/$9', '/(a)|/(b)', { '/a': '/a///', '/b': '//b//' }],
  ['/$10', '/(a)', { '/a': '/a0' }],
  ['/$1?', '/(.*)', { '/a?b=c': '/a' }],
  ['/$1?', '/(?i)API/(.*)', { '/api/x?y': '/x' }],
  // What a group finds leads nowhere else.
  ['/public/$1', '/v1(.*)', { '/v1../admin': 400, '/v1..': 400, '/v1%2e%2e/admin': 400, '/v1.x': '/public/.x' }],
  ['/$1/$2', '/([.]*)x(.*)', { '/..x/admin': 400, '/.x': 400 }],
  ['$1', '/(a*)', { '/a': 400, '/': 400 }],
]

for (const [target, path, targets] of targetCases) {
  t.test(`rewrite-target ${target} of ${path}`, async (t) => {
    const annotations = { 'path-type': 'regex', 'rewrite-target': target }
    const doors = await startFiltered(t, annotations, path, '', {}, 'ImplementationSpecific')
    for (const door of doors.names) {
      for (const [asked, expected] of Object.entries(targets)) {
        const { status, upstream } = await ask(doors, door, { target: asked })
        if (typeof expected === 'number') t.match({ status, upstream }, { status: expected, upstream: [] }, door)
        else t.equal(upstream[0], `GET ${expected} HTTP/1.1`, `${door} ${asked}`)
      }
    }
  })
}

t.test('a group that the path does not have is told, once', (t) => {
  const find = (target: string, path: string, more: object = { 'path-type': 'regex' }) => {
    const manifest = printOfHost({ 'rewrite-target': target, ...more }, path, 'ImplementationSpecific')
    const { diagnostics } = translateText(
      `${manifest}apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}`,
    )
    return diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_FILTER_MISFIT')
  }
  t.match(find('/$3', '/api(/|$)(.*)'), [
    { message: /rewrite-target: \$3 names no group of the path \/api/, help: /parentheses/, position: { line: 4 } },
  ])
  t.match(find('/x$1', '/api', {}), [{ message: /\$1 names no group of the path \/api/, help: /path-type: regex/ }])
  t.same(find('/$2', '/api(/|$)(.*)'), [])
  t.same(find('/x', '/api', {}), [])
  t.end()
})

t.test('explain plays the groups of the path', (t) => {
  const match = { type: 'regex', path: '/api(/|$)(.*)' } as const
  const path = { path: '/api/a', matchPath: '/api/a' }
  const asked = { scheme: 'http', authority: 'a', hostname: 'a', path, query: '?b', target: '/api/a?b' } as const
  const request = { ...describeRequest(asked), match }
  const { route } = translateFiltered({ 'rewrite-target': '/$2' })
  const draft = new FilterDraft('/api/a?b', 'a', '')
  t.same(playFilters(route!.filters!, request, draft, 443), { answer: undefined, notPlayed: [] })
  t.equal(draft.target, '/a?b')
  t.end()
})

t.test('a rewrite-target of a path without an expression is the whole path, and groups are empty', async (t) => {
  for (const [target, expected] of [
    ['/all', '/all?c=d'],
    ['/all?', '/all'],
    ['/x$1', '/x?c=d'],
  ] as const) {
    const doors = await startFiltered(t, { 'rewrite-target': target }, '/api')
    for (const door of doors.names) {
      t.equal((await ask(doors, door, { target: '/api/b?c=d' })).upstream[0], `GET ${expected} HTTP/1.1`, door)
    }
  }
})

t.test('a rewrite-prefix makes no dot segment of what an expression leaves of an element', async (t) => {
  const annotations = { 'path-type': 'regex', 'rewrite-prefix': '/public/' }
  const doors = await startFiltered(t, annotations, '/v[0-9]+', '', {}, 'ImplementationSpecific')
  for (const door of doors.names) {
    for (const target of ['/v1../admin', '/v1%2e%2e/admin', '/v1.', '/v1..', '/v1./x', '/v1..;/x']) {
      const { status, upstream } = await ask(doors, door, { target })
      t.match({ status, upstream }, { status: 400, upstream: [] }, `${door} ${target}`)
    }
    for (const [target, expected] of [
      ['/v1/x?y', '/public/x?y'],
      ['/v1.x', '/public/.x'],
    ] as const) {
      t.equal((await ask(doors, door, { target })).upstream[0], `GET ${expected} HTTP/1.1`, `${door} ${target}`)
    }
  }
})

t.test('an expression of any kind takes linear time', async (t) => {
  const doors = await startFiltered(t, { 'rewrite-regex': '^/(a+)+$', 'rewrite-replacement': '/b' })
  const target = `/${'a'.repeat(5_000)}!`
  t.equal((await ask(doors, 'lane', { target })).upstream[0], `GET ${target} HTTP/1.1`)
})

t.test('what cannot be used is left out', async (t) => {
  for (const annotations of [
    { 'rewrite-regex': '(', 'rewrite-replacement': '/' },
    { 'rewrite-regex': '(?=a)', 'rewrite-replacement': '/' },
    { 'rewrite-regex': '^/(a)$', 'rewrite-replacement': '/$2' },
    { 'rewrite-regex': '^/(x)$', 'rewrite-replacement': `/a\${1}` },
    { 'rewrite-regex': '^/(x)$', 'rewrite-replacement': '/a$0' },
    { 'rewrite-regex': '^/(x)$', 'rewrite-replacement': '/a$<n>' },
    { 'rewrite-regex': '^/(?P<n>x)$', 'rewrite-replacement': '/a$<m>' },
    { 'rewrite-regex': 'a'.repeat(1_001), 'rewrite-replacement': '/' },
    { 'rewrite-regex': '(?:.{0,900})(?:.{0,900})z$', 'rewrite-replacement': '/' },
    { 'rewrite-regex': 'a' },
    { 'rewrite-replacement': '/a' },
    { 'rewrite-path': '/a', 'rewrite-prefix': '/b' },
    { 'rewrite-path': '/a b' },
    { 'rewrite-target': 'a' },
    { 'rewrite-target': '/$0' },
    { 'rewrite-target': '/$x' },
    { 'rewrite-target': '/a b' },
    { 'rewrite-target': '/a\r\nX: y' },
    { 'rewrite-target': '/a/../b' },
    { 'rewrite-target': '/%zz' },
    { 'rewrite-target': '/?a=$1' },
    { 'rewrite-target': `/${'a'.repeat(1_001)}` },
    { 'rewrite-target': '/a', 'rewrite-path': '/b' },
    { 'rewrite-target': '/a', 'rewrite-regex': 'a', 'rewrite-replacement': 'b' },
    { 'rewrite-host': 'a/b' },
  ]) {
    const doors = await startFiltered(t, annotations)
    t.equal((await ask(doors, 'lane', { target: '/x' })).upstream[0], 'GET /x HTTP/1.1', JSON.stringify(annotations))
  }
})

t.test('a replacement that names no group says what to write', async (t) => {
  for (const [replacement, message] of [
    [`/a\${x}`, `"\${x}" names no group`],
    ['/$0', '"$0" names no group'],
    ['/$<x>', 'rewrite-replacement: $<x> names no group of rewrite-regex, which has 2 groups'],
    ['/$3', 'rewrite-replacement: $3 names no group of rewrite-regex, which has 2 groups'],
  ] as const) {
    const { diagnostics } = translateText(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations: {portico.dev/rewrite-regex: ^/(a)/(b)$, portico.dev/rewrite-replacement: '${replacement}'}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
`)
    const found = diagnostics.find(({ code }) => code === 'PORTICO_ANN_VALUE')?.message
    t.ok(found?.endsWith(message), String(found))
  }
})
