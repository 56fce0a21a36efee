/** What the end-to-end tests of ingress-nginx expect and no other test here holds, in one gateway. */
import t from 'tap'
import {
  type Asked,
  askHost,
  printService,
  startNginx,
  translateNginx,
  type WrittenIngresses,
} from './nginx-ingress.ts'

const CORS = { 'enable-cors': 'true' }
const REGEX = { 'use-regex': 'true' }

const from = (value: string) => ({ 'configuration-snippet': `more_set_input_headers "X-From: ${value}";` })

/** A canary of the host, whose endpoint refuses connections, and whose Ingress stands before the main one. */
const canaried = (name: string, nginx: Readonly<Record<string, string>>): WrittenIngresses => ({
  [`${name}-canary`]: {
    nginx: { canary: 'true', ...nginx },
    host: `${name}.test`,
    paths: [
      ['/', 'Prefix', 'refuses'],
      ['/unknown', 'Prefix', 'refuses'],
    ],
    created: '2020-01-01T00:00:00Z',
  },
  [name]: { nginx: {} },
})

const INGRESSES: WrittenIngresses = {
  locked: { nginx: { ...CORS, 'auth-type': 'basic', 'auth-secret': 'users' } },
  all: { nginx: CORS },
  star: { nginx: { ...CORS, 'cors-allow-origin': '*, pages.test' } },
  blank: { nginx: { ...CORS, 'cors-allow-origin': '    ' } },
  comma: { nginx: { ...CORS, 'cors-allow-origin': 'https://p-1.test:8443,   ,https://p-2.test:8443,' } },
  app: { nginx: { ...CORS, 'cors-allow-origin': 'app://local, shell://local:3000' } },
  dot: { nginx: { ...CORS, 'cors-allow-origin': 'https://a.pages.test' } },
  ...canaried('plain', { 'canary-by-header': 'X-Next' }),
  ...canaried('both', {
    'canary-by-header': 'X-Next',
    'canary-by-header-value': 'DoIt',
    'canary-by-header-pattern': '^Do',
  }),
  ...canaried('broken', {
    'canary-by-header': 'X-Next',
    'canary-by-header-pattern': '[][**x?$&*',
    'canary-by-cookie': 'next',
  }),
  ...canaried('cookie', {
    'canary-by-header': 'X-Next',
    'canary-by-header-value': 'DoIt',
    'canary-by-cookie': 'next',
  }),
  relative: { nginx: { 'permanent-redirect': '/moved', 'relative-redirects': 'true' } },
  acme: { nginx: {}, paths: [['/.well-known/acme/challenge']] },
  rest: { nginx: { 'rewrite-target': '/new' }, host: 'acme.test' },
  long: { nginx: {}, paths: [['/foo']] },
  longer: { nginx: { ...REGEX, 'rewrite-target': '/new' }, host: 'long.test', paths: [['/foo.+']] },
  digits: { nginx: REGEX, paths: [['/any/[0-9]+'], ['/id/[0-9]{3}$'], ['/id/[0-9]+/post/[a-zA-Z]+$']] },
  slash: { nginx: from('exact /'), host: 'mixed.test', paths: [['/', 'Exact']] },
  below: { nginx: from('prefix /'), host: 'mixed.test' },
  exact: { nginx: from('exact /foo'), host: 'mixed.test', paths: [['/foo', 'Exact']] },
  prefix: { nginx: from('prefix /foo'), host: 'mixed.test', paths: [['/foo']] },
  twin: { nginx: from('twin'), host: 'mixed.test', paths: [['/foo']] },
  injected: { nginx: {}, host: 'deep.test', paths: [['/a{alias /var/run/secrets/;}location ~* ^/b']] },
  deep: { nginx: {}, paths: [['/ok']] },
  sticky: {
    nginx: { affinity: 'cookie', 'session-cookie-name': 'kept', 'server-alias': 'one.test,two.test' },
    paths: [['/', 'Prefix', 'sticky']],
  },
  unprefixed: { nginx: { 'x-forwarded-prefix': '', 'rewrite-target': '/new' }, paths: [['/old']] },
  dots: { nginx: { 'auth-url': 'https://auth..pages.test' } },
  empty: { nginx: {}, paths: [['/', 'Prefix', 'empty']] },
}

const OBJECTS = [
  'apiVersion: v1\nkind: Secret\nmetadata: {name: users}\nstringData: {auth: "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}\n',
  printService('refuses', '127.0.0.1:1'),
  printService('sticky'),
  'apiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec: {ports: [{port: 80}], selector: {app: none}}\n',
].join('---\n')

type Fields = Readonly<Record<string, string>>
type Case = readonly [host: string, target: string, status: number, told?: string, fields?: Fields]

/** By what is read of an answer: of a request to the host what it must be. */
const EXPECTED: Readonly<Record<string, readonly [read: (answer: Asked) => string, cases: readonly Case[]]>> = {
  'origins that are allowed, on 401 too': [
    ({ field }) => field('access-control-allow-origin').join(),
    [
      ['locked', '/', 401, '*', { origin: 'https://a.test' }],
      ['all', '/', 200, '*'],
      ['all', '/', 200, '*', { origin: 'https://a.test' }],
      ['star', '/', 200, '*'],
      ['star', '/', 200, '*', { origin: 'pages.test' }],
      ['blank', '/', 200, '*', { origin: 'pages.test' }],
      ['comma', '/', 200, 'https://p-1.test:8443', { origin: 'https://p-1.test:8443' }],
      ['comma', '/', 200, 'https://p-2.test:8443', { origin: 'https://p-2.test:8443' }],
      ['comma', '/', 200, '', { origin: 'https://p-3.test:8443' }],
      ['app', '/', 200, 'app://local', { origin: 'app://local' }],
      ['app', '/', 200, 'shell://local:3000', { origin: 'shell://local:3000' }],
      ['dot', '/', 200, '', { origin: 'https://axpages.test' }],
    ],
  ],
  // A value goes before an expression; with an expression that is none, nothing leads to the canary.
  'what the main endpoint of a canary is asked for': [
    ({ upstream }) => upstream[0] ?? '',
    [
      ['plain', '/', 502, '', { 'x-next': 'always' }],
      ['plain', '/', 200, 'GET / HTTP/1.1', { 'x-next': 'never' }],
      ['plain', '/unknown', 200, 'GET /unknown HTTP/1.1', { 'x-next': 'never' }],
      ['both', '/', 200, 'GET / HTTP/1.1', { 'x-next': 'DoThat' }],
      ['both', '/', 502, '', { 'x-next': 'DoIt' }],
      ['broken', '/', 200, 'GET / HTTP/1.1', { 'x-next': 'DoIt', cookie: 'next=always' }],
      ['cookie', '/', 502, '', { 'x-next': 'other', cookie: 'next=always' }],
    ],
  ],
  'paths and rewritings': [
    ({ upstream }) => upstream[0]?.split(' ')[1] ?? '',
    [
      ['acme', '/.well-known/acme/challenge', 200, '/.well-known/acme/challenge'],
      ['acme', '/x', 200, '/new'],
      ['long', '/foo', 200, '/foo'],
      ['long', '/foo/bar', 200, '/new'],
      ['digits', '/any/1', 200, '/any/1'],
      ['digits', '/any/12a', 200, '/any/12a'],
      ['digits', '/any/a', 404],
      ['digits', '/id/99', 404],
      ['digits', '/id/123', 200, '/id/123'],
      ['digits', '/id/9999', 404],
      ['digits', '/id/123a', 404],
      ['digits', '/id/1/post/abc', 200, '/id/1/post/abc'],
      ['digits', '/id/1/post/abc1', 404],
      ['digits', '/id/abc/post/abc', 404],
      // A path with what could be a directive of nginx, and its pieces
      ['deep', '/ok', 200, '/ok'],
      ['deep', '/a', 404],
      ['deep', '/bcd/', 404],
      ['dots', '/', 503],
      ['empty', '/', 503],
    ],
  ],
  'what endpoints are told': [
    ({ upstream }) => upstream.filter((line) => line.startsWith('x-')).join(),
    [
      ['mixed', '/', 200, 'x-from: exact /'],
      ['mixed', '/bar', 200, 'x-from: prefix /'],
      ['mixed', '/foo', 200, 'x-from: exact /foo'],
      ['mixed', '/foo/bar', 200, 'x-from: prefix /foo'],
      ['mixed', '/foobar', 200, 'x-from: prefix /'],
      ['unprefixed', '/old', 200, ''],
    ],
  ],
  'cookies and places': [
    ({ field }) => [...field('set-cookie'), ...field('location')].join().replace(/=[^;]*;.*/, ''),
    [
      ['sticky', '/', 200, 'kept'],
      ['one', '/', 200, 'kept'],
      ['two', '/', 200, 'kept'],
      ['relative', '/x', 301, '/moved'],
    ],
  ],
}

// One door: the tests of each annotation ask at all of them.
t.test('what clients and endpoints get', async (t) => {
  const doors = await startNginx(t, INGRESSES, OBJECTS, {}, {}, ['sticky'])
  for (const [what, [read, cases]] of Object.entries(EXPECTED)) {
    for (const [host, target, status, told = '', fields = {}] of cases) {
      const answer = await askHost(doors, doors.names[0]!, host, { target, fields: Object.entries(fields) })
      const name = `${what}: ${host} ${target} ${Object.values(fields).join()}`
      t.same([answer.status, read(answer)], [status, told], name)
    }
  }
})

t.test('an Ingress with hosts and without paths sends requests of these hosts to its default backend', async (t) => {
  const spec = 'defaultBackend: {service: {name: web, port: {number: 80}}}, rules: [{host: only.test}]'
  const ingress = `apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: rest}\nspec: {${spec}}\n`
  t.same(translateNginx({}, `---\n${ingress}`).hosts, ['only.test'])
})
