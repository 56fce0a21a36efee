import t from 'tap'
import { parseAuthority } from '../../lib/base/hostname.ts'
import { describeRequest, playFilters } from '../../lib/filters/play.ts'
import { findFilter, printFilters } from '../../lib/filters/registry.ts'
import { FilterDraft, readFilter } from '../../lib/filters/spec.ts'
import { translateText } from '../translate/manifests.ts'
import { ask, HOST, startFiltered, translateFiltered } from './filtered.ts'

/** Another Ingress with the same redirect. */
const WWW_RULE = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: www, annotations: {portico.dev/redirect-www: to-apex, portico.dev/redirect-code: "308"}}
spec: {rules: [{host: www.${HOST}, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`

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
  [{ 'redirect-path': '/here', 'redirect-query': 'drop' }, '/', '/b?c', 'SCHEME://HOST/here'],
  [
    { 'redirect-path': '/here', 'redirect-query': 'keep', 'redirect-code': '303' },
    '/',
    '/b?c',
    'SCHEME://HOST/here?c',
    303,
  ],
  [{ 'redirect-host': 'new.test', 'redirect-code': '307' }, '/', '/b', 'SCHEME://new.test/b', 307],
  [{ 'app-root': '/app' }, '/', '/?x=1', 'SCHEME://HOST/app?x=1'],
  [{ 'app-root': '/app' }, '/', '/.', 'SCHEME://HOST/app'],
  [{ 'app-root': '/app', 'redirect-query': 'drop', 'redirect-code': '308' }, '/', '/?x=1', 'SCHEME://HOST/app', 308],
  [{ 'app-root': '/app' }, '/', '/app', undefined],
  [{ 'app-root': '/app' }, '/', '/b', undefined],
  [{ 'redirect-www': 'to-apex' }, '/', '/b', undefined],
  [{ 'redirect-www': 'to-www' }, '/', '/b?c', 'SCHEME://www.HOST/b?c'],
  [{ 'redirect-www': 'to-www', 'app-root': '/app', 'redirect-code': '301' }, '/', '/', 'SCHEME://www.HOST/app', 301],
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

const urlCases: readonly (readonly [url: string, target: string, location: string | undefined, code?: number])[] = [
  ['https://new.test/', '/a?b', 'https://new.test/'],
  ['https://new.test', '/a?b', 'https://new.test'],
  [`https://new.test\${request.target}`, '/x/../a?b', 'https://new.test/x/../a?b', 301],
  [`https://new.test\${request.path}?\${request.query}`, '/x/../a?b', 'https://new.test/a?b', 308],
  [`\${request.scheme}://\${request.host}:8443/x`, '/', `SCHEME://${HOST}:8443/x`, 307],
  [`\${request.scheme}://www.\${request.authority}`, '/', undefined],
  [`https://\${request.authority}/x`, '/', `https://${HOST}:81/x`, 303],
  [`https://a.test/login?rd=\${request.encoded-target}`, '/a?b=c', 'https://a.test/login?rd=%2Fa%3Fb%3Dc', 300],
  [`/new\${request.path}`, '//evil.test/', '/new//evil.test/', 304],
  [`/?p=\${request.parameter.a}`, '/?a=%0d%0aSet-Cookie:%20x%3D1%26b', '/?p=%0D%0ASet-Cookie%3A%20x%3D1%26b', 305],
  [`/?p=\${request.parameter.b}`, '/?a=1', '/?p=', 306],
  ['/here', '/here', undefined],
  [`\${request.scheme}://\${request.authority}/here`, '/here', undefined],
]

for (const [url, target, location, code = 302] of urlCases) {
  t.test(`redirect-url ${url} sends ${target} to ${location ?? 'where it is'}`, async (t) => {
    const doors = await startFiltered(t, {
      'redirect-url': url,
      ...(code !== 302 && { 'redirect-code': String(code) }),
    })
    for (const door of doors.names) {
      const { status, field, upstream } = await ask(doors, door, { target, host: `${HOST}:81` })
      if (location === undefined) {
        t.equal(status, 200, door)
        continue
      }
      const scheme = /TLS|HTTP\/2/.test(door) ? 'https' : 'http'
      t.same([status, field('location')], [code, [location.replace('SCHEME', scheme)]], door)
      t.same(upstream, [], 'no endpoint is asked')
    }
  })
}

t.test('no client decides upon the host of a redirect-url', async (t) => {
  for (const url of [
    `//\${request.path}`,
    `/\${request.path}`,
    `/\${request.query}`,
    `\${request.path}`,
    `\${request.query}`,
    '//new.test/',
    '/\\\\new.test/',
    `https://\${request.path}`,
    `https://\${request.query}/`,
    `https://new.test\${request.query}`,
    `https://new.test\${request.parameter.a}/`,
    `https://new.test:\${request.query}`,
    `https://\${request.header.x}/`,
    `\${request.header.x}://new.test/`,
    `https://user@new.test/`,
    `https://\${request.authority}:8443/`,
    'javascript:alert(1)',
    'https://new.test:99999/',
    'https://new.test/#a',
    'https://new.test/a b',
    'https://new.test/$request_uri',
    `https://new.test/\${request.nothing}`,
    `https://new.test/?\${request.path`,
    `https://new.test/${`\${request.path}`.repeat(17)}`,
    `https://new.test/${'a'.repeat(2_041)}`,
    'https://new.test/\r\nSet-Cookie: a=b',
  ]) {
    const { route, diagnostics } = translateFiltered({ 'redirect-url': url })
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', position: { line: 4 } }], url)
    t.equal(route?.filters, undefined, url)
  }
  const { diagnostics } = translateFiltered({ 'redirect-url': 'https://new.test$request_uri' })
  t.match(diagnostics, [{ message: /nothing takes the place of \$request_uri; write \$\{request\.target\}$/ }])
})

t.test('the port is the one that the client asked for, or that of the scheme', async (t) => {
  const HTTPS_PORT = 8443
  const rows: readonly (readonly [
    annotations: Readonly<Record<string, string>>,
    asked: string,
    location: string | undefined,
  ])[] = [
    [{ host: 'www.a.test' }, 'http://a.test/', 'http://www.a.test/'],
    [{ host: 'www.a.test' }, 'http://a.test:8080/', 'http://www.a.test:8080/'],
    [{ host: 'www.a.test' }, 'https://a.test/', 'https://www.a.test/'],
    [{ host: 'www.a.test' }, 'https://a.test:9443/', 'https://www.a.test:9443/'],
    [{ host: 'a.test' }, 'http://a.test:8080/', undefined],
    [{ scheme: 'https' }, 'http://a.test/', 'https://a.test:8443/'],
    [{ scheme: 'https' }, 'http://a.test:8080/', 'https://a.test:8443/'],
    [{ scheme: 'https' }, 'https://a.test:8443/', undefined],
    [{ scheme: 'https' }, 'https://a.test/', undefined],
    [{ scheme: 'https', path: '/b' }, 'https://a.test:9443/', 'https://a.test:9443/b'],
    [{ scheme: 'http' }, 'https://a.test:8443/', 'http://a.test/'],
    [{ scheme: 'http' }, 'http://a.test:8080/', undefined],
    [{ scheme: 'https', host: 'www.a.test' }, 'http://a.test:8080/', 'https://www.a.test/'],
    [{ scheme: 'https', host: 'www.a.test' }, 'https://a.test:8443/', 'https://www.a.test/'],
    [{ scheme: 'http', host: 'www.a.test' }, 'http://a.test:8080/', 'http://www.a.test/'],
    [{ path: '/b' }, 'http://a.test:8080/', 'http://a.test:8080/b'],
    [{ path: '/b' }, 'https://a.test/', 'https://a.test/b'],
    [{ port: '8000' }, 'http://a.test:8080/', 'http://a.test:8000/'],
    [{ port: '8000' }, 'http://a.test:8000/', undefined],
    [{ port: '443', scheme: 'https' }, 'http://a.test:8080/', 'https://a.test/'],
    [{ www: 'to-apex' }, 'http://www.a.test/', 'http://a.test/'],
    [{ www: 'to-apex' }, 'https://www.a.test:8443/', 'https://a.test:8443/'],
    [{ www: 'to-apex', scheme: 'https' }, 'http://www.a.test/', 'https://a.test:8443/'],
    [{ www: 'to-apex', 'app-root': '/app' }, 'http://www.a.test/', 'http://a.test/app'],
    [{ www: 'to-apex', 'app-root': '/app' }, 'http://a.test/', 'http://a.test/app'],
    [{ www: 'to-apex' }, 'http://a.test/', undefined],
    [{ www: 'to-apex' }, 'http://wwwa.test/', undefined],
    [{ www: 'to-apex' }, 'http://www.www.a.test/', 'http://www.a.test/'],
    [{ www: 'to-www' }, 'http://a.test:8080/', 'http://www.a.test:8080/'],
    [{ www: 'to-www' }, 'http://www.a.test/', undefined],
    [{ www: 'to-www' }, 'http://127.0.0.1:8080/', undefined],
    [{ www: 'to-www' }, 'http://[::1]:8080/', undefined],
  ]
  for (const [annotations, asked, location] of rows) {
    const options = readFilter(findFilter('redirect'), {
      text: (name) => annotations[name.replace(/^redirect-/, '')],
      content: () => undefined,
      entries: () => undefined,
      upstream: () => undefined,
      server: () => 'http://127.0.0.1:9',
      secret: () => undefined,
      refuse: (name, message) => t.fail(`${name}: ${message}`),
    })!
    const [scheme = '', authority = ''] = asked.slice(0, -1).split('://') as ['http' | 'https', string]
    const path = { path: '/', matchPath: '/' }
    const { hostname } = parseAuthority(authority)!
    const request = describeRequest({ scheme: scheme as 'http', authority, hostname, path, query: '', target: '/' })
    const draft = new FilterDraft('/', authority, '')
    const { answer } = playFilters([{ name: 'redirect', options }], request, draft, HTTPS_PORT)
    t.equal(answer?.location, location, `${JSON.stringify(annotations)} ${asked}`)
  }
})

t.test('a redirect-prefix makes no dot segment of what an expression leaves of an element', async (t) => {
  const annotations = { 'path-type': 'regex', 'redirect-prefix': '/public' }
  const doors = await startFiltered(t, annotations, '/v[0-9]+', '', {}, 'ImplementationSpecific')
  for (const door of doors.names) {
    for (const target of ['/v1../admin', '/v1%2e%2e/admin', '/v1.']) {
      const { status, upstream } = await ask(doors, door, { target })
      t.match({ status, upstream }, { status: 400, upstream: [] }, `${door} ${target}`)
    }
    t.match((await ask(doors, door, { target: '/v1.x' })).field('location')[0], /\/public\/\.x$/, door)
  }
})

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
    { 'redirect-path': '/a', 'app-root': '/b' },
    { 'redirect-prefix': '/a', 'app-root': '/b' },
    { 'redirect-host': 'new.test', 'redirect-www': 'to-apex' },
    { 'redirect-www': 'true' },
    { 'redirect-query': 'drop' },
    { 'redirect-url': '/a', 'redirect-host': 'new.test' },
    { 'redirect-url': '/a', 'app-root': '/b' },
    { 'redirect-url': '/a', 'redirect-code': '309' },
    { 'redirect-url': '/a', 'redirect-code': '299' },
    { 'redirect-query': 'no', 'redirect-host': 'new.test' },
    { 'app-root': '/' },
    { 'app-root': 'app' },
  ]) {
    const doors = await startFiltered(t, annotations)
    t.equal((await ask(doors, 'lane', {})).status, 200, JSON.stringify(annotations))
  }
})

t.test('a redirect that leads back to itself is told, and one that ends is not', async (t) => {
  const find = (annotations: Readonly<Record<string, string>>, path = '/a', host = 'a.test', tls = '') => {
    const own = Object.entries(annotations).map(([name, value]) => [`portico.dev/${name}`, value])
    const { diagnostics } = translateText(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: ${JSON.stringify(Object.fromEntries(own))}}
spec:
  tls: [${tls}]
  rules:
    - host: "${host}"
      http: {paths: [{path: ${path}, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: zz-plain}
spec: {rules: [{host: "${host}", http: {paths: [{path: /a/open, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:80"}}
spec: {ports: [{port: 80}]}
`)
    return diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_REDIRECT_LOOP').map(({ message }) => message)
  }
  const endless = 'clients are redirected without end: '
  t.same(find({ 'redirect-prefix': '/a/b' }), [
    `${endless}http://a.test/a → http://a.test/a/b → http://a.test/a/b/b → …`,
  ])
  t.same(find({ 'redirect-url': `/a\${request.path}` }), [
    `${endless}http://a.test/a → http://a.test/a/a → http://a.test/a/a/a → …`,
  ])
  t.same(find({ 'redirect-prefix': '/v1' }, '/', '*.a.test'), [
    `${endless}http://any.a.test/ → http://any.a.test/v1/ → http://any.a.test/v1/v1/ → …`,
  ])
  t.same(find({ 'redirect-scheme': 'http' }, '/', 'a.test', '{hosts: [a.test]}'), [
    `${endless}http://a.test/ → https://a.test/ → http://a.test/ → …`,
  ])
  for (const annotations of [
    { 'redirect-prefix': '/b' },
    { 'redirect-path': '/a/x' },
    { 'redirect-host': 'a.test' },
    { 'redirect-host': 'b.test', 'redirect-prefix': '/a/b' },
    { 'redirect-prefix': '/a/open' },
    { 'redirect-scheme': 'https' },
    { 'redirect-port': '8443', 'redirect-scheme': 'https', 'redirect-host': 'a.test' },
  ]) {
    t.same(find(annotations), [], JSON.stringify(annotations))
  }
  t.same(find({ 'redirect-scheme': 'https' }, '/', 'a.test', '{hosts: [a.test]}'), [])
})

t.test('what a redirect needs and does not have is told', async (t) => {
  const service =
    'apiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}\nspec: {ports: [{port: 80}]}\n'
  const find = (
    annotations: Readonly<Record<string, string>>,
    hosts: readonly string[],
    { path = '/', tls = '[]', more = '' } = {},
  ) => {
    const own = Object.entries(annotations).map(([name, value]) => [`portico.dev/${name}`, value])
    const rules = hosts.map(
      (host) =>
        `{host: "${host}", http: {paths: [{path: ${path}, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}`,
    )
    const { diagnostics } = translateText(
      `${service}${more}---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, annotations: ${JSON.stringify(Object.fromEntries(own))}}\nspec: {tls: ${tls}, rules: [${rules.join(', ')}]}\n`,
    )
    return diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_REDIRECT_INCOMPLETE')
  }
  const www = { 'redirect-www': 'to-apex' }
  const both = ['a.test', 'www.a.test']
  t.same(find(www, both), [])
  t.match(find(www, ['a.test']), [
    {
      message: /no rule of the Ingress has the host www\.a\.test, so nobody/,
      help: /add a rule for www\.a\.test/,
      position: {},
    },
  ])
  t.match(find(www, ['www.a.test']), [{ message: /clients of www\.a\.test are sent to a\.test, which no rule has$/ }])
  t.match(find({ 'redirect-www': 'to-www' }, ['a.test']), [{ message: /sent to www\.a\.test, which no rule has$/ }])
  t.same(find(www, ['*.a.test', 'a.test']), [], 'the wildcard takes www')
  t.same(find(www, ['']), [], 'all hosts')
  const other = `---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: apex}\nspec: {rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}\n`
  t.same(find(www, ['www.a.test'], { more: other }), [], 'the other host may be of another Ingress')
  t.same(find(www, both, { tls: '[{hosts: [a.test, www.a.test]}]' }), [])
  t.match(find(www, both, { tls: '[{hosts: [a.test]}]' }), [
    {
      message: /no tls section of the Ingress names www\.a\.test, so browsers/,
      help: /name www\.a\.test beside a\.test/,
    },
  ])
  t.match(find({ 'app-root': '/app' }, ['a.test'], { path: '/app' }), [
    { message: /app-root: no path of the Ingress takes \/, so nobody is redirected$/ },
  ])
  t.same(find({ 'app-root': '/app' }, ['a.test']), [])
  t.same(find({ 'redirect-host': 'b.test' }, ['a.test']), [])
})

t.test('clients of www go to the apex at every door, whose clients pass', async (t) => {
  const doors = await startFiltered(t, { 'redirect-www': 'to-apex', 'redirect-code': '308' }, '/', WWW_RULE)
  for (const door of doors.names) {
    const scheme = /TLS|HTTP\/2/.test(door) ? 'https' : 'http'
    const { status, field } = await ask(doors, door, { host: `www.${HOST}:81`, target: '/a?b' })
    t.same([status, field('location')], [308, [`${scheme}://${HOST}:81/a?b`]], door)
    t.equal((await ask(doors, door, { target: '/a?b' })).status, 200, door)
  }
})

const printed: readonly (readonly [annotations: Record<string, string>, text: string])[] = [
  [{ 'redirect-www': 'to-apex' }, '302 of www.HOST to HOST'],
  [{ 'redirect-www': 'to-www', 'redirect-code': '301' }, '301 of HOST to www.HOST'],
  [
    { 'redirect-www': 'to-apex', 'redirect-scheme': 'https', 'app-root': '/app' },
    '302 of www.HOST and / to https://HOST/app',
  ],
  [{ 'app-root': '/app' }, '302 of / to /app'],
  [{ 'redirect-prefix': '/new' }, '302 to /new/…'],
  [
    { 'redirect-url': `https://a.test\${request.target}`, 'redirect-code': '301' },
    `301 to https://a.test\${request.target}`,
  ],
  [{ 'redirect-scheme': 'https', 'redirect-port': '8443' }, '302 to https://*:8443'],
  [{ 'redirect-host': 'a.test', 'redirect-path': '/b' }, '302 to *://a.test/b'],
]

t.test('explain says which requests are redirected, and what of the URL changes', async (t) => {
  for (const [annotations, text] of printed) {
    t.same(printFilters(translateFiltered(annotations).route!), [`redirect: ${text}`])
  }
})
