import t from 'tap'
import { ask, HOST, startFiltered } from './filtered.ts'

const cases: readonly (readonly [
  annotations: Readonly<Record<string, string>>,
  path: string,
  target: string,
  location: string | undefined,
  code?: number,
])[] = [
  [{ 'redirect-host': 'new.test' }, '/', '/a/../b?c=%20d', 'SCHEME://new.test/b?c=%20d'],
  [
    { 'redirect-host': 'new.test', 'redirect-port': '8000', 'redirect-code': '301' },
    '/',
    '/b',
    'SCHEME://new.test:8000/b',
    301,
  ],
  [
    { 'redirect-scheme': 'https', 'redirect-host': 'new.test', 'redirect-code': '308' },
    '/',
    '/b',
    'https://new.test/b',
    308,
  ],
  [{ 'redirect-path': '/elsewhere' }, '/', '/b?c', 'SCHEME://HOST/elsewhere?c'],
  [{ 'redirect-prefix': '/new/' }, '/old', '/old', 'SCHEME://HOST/new/'],
  [{ 'redirect-prefix': '/new' }, '/old', '/old/a//b?c', 'SCHEME://HOST/new/a//b?c'],
  [{ 'redirect-prefix': '/' }, '/old', '//old//a', 'SCHEME://HOST//a'],
  [{ 'redirect-prefix': '/' }, '/old', '/old', 'SCHEME://HOST/'],
  [{ 'redirect-path': '/here' }, '/', '/here', undefined],
]

for (const [annotations, path, target, location, code = 302] of cases) {
  t.test(`${JSON.stringify(annotations)} sends ${target} to ${location ?? 'where it is'}`, async (t) => {
    const doors = await startFiltered(t, annotations, path)
    for (const door of doors.names) {
      const { status, field, upstream } = await ask(doors, door, { target })
      if (location === undefined) {
        t.equal(status, 200, door)
        continue
      }
      const scheme = /TLS|HTTP\/2/.test(door) ? 'https' : 'http'
      t.equal(status, code, door)
      const [found = ''] = field('location')
      // The client's own port is the gateway's; it is kept where the host is.
      t.equal(
        found.replace(new RegExp(`(?<=${HOST.replace('.', '\\.')}):\\d+`), ''),
        location.replace('SCHEME', scheme).replace('HOST', HOST),
        door,
      )
      t.same(upstream, [], 'no endpoint is asked')
    }
  })
}

t.test('what cannot be used is left out, and the route served', async (t) => {
  for (const annotations of [
    { 'redirect-code': '302' },
    { 'redirect-code': '200', 'redirect-host': 'new.test' },
    { 'redirect-host': 'new.test/a' },
    { 'redirect-host': 'a:1' },
    { 'redirect-scheme': 'ftp' },
    { 'redirect-port': '0' },
    { 'redirect-path': 'a' },
    { 'redirect-path': '/a\r\nSet-Cookie: a=b' },
    { 'redirect-path': '/a', 'redirect-prefix': '/b' },
  ]) {
    const doors = await startFiltered(t, annotations)
    t.equal((await ask(doors, 'lane', {})).status, 200, JSON.stringify(annotations))
  }
})
