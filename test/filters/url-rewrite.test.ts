import t from 'tap'
import { translateText } from '../translate/manifests.ts'
import { ask, startFiltered } from './filtered.ts'

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
    ['/$<x>', 'it has no group "x", and the replacement names $<x>'],
    ['/$3', 'it has 2 groups, and the replacement names $3'],
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
