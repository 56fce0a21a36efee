import t from 'tap'
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
  // What comes of it is a path in its normal form, or the request is refused.
  [{ 'rewrite-regex': '^/a/(.*)$', 'rewrite-replacement': '/$1/../b' }, '/', { '/a/x': '/b', '/a/x/y': '/x/b' }],
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
    { 'rewrite-regex': 'a'.repeat(1_001), 'rewrite-replacement': '/' },
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
