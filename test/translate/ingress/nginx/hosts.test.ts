/** What concerns whole hosts: regular expressions (R), canaries (CA), further names (SA, WW), at all doors. */
import t, { type Test } from 'tap'
import type { Answer } from '../../../doors/recorder.ts'
import { translateText } from '../../manifests.ts'
import {
  askHost,
  printIngresses,
  printService,
  startNginx,
  translateNginx,
  type WrittenIngress,
  type WrittenIngresses,
} from './nginx-ingress.ts'

const REGEX: WrittenIngress['nginx'] = { 'use-regex': 'true' }

type Case = readonly [host: string, target: string, upstream: string | undefined]

/** What endpoints are asked for: undefined: nothing, and the client gets 404. */
async function checkTargets(t: Test, ingresses: WrittenIngresses, cases: readonly Case[]): Promise<void> {
  const doors = await startNginx(t, ingresses)
  for (const door of doors.names) {
    for (const [host, target, upstream] of cases) {
      const answer = await askHost(doors, door, host, { target })
      t.equal(answer.status, upstream === undefined ? 404 : 200, `${door} ${host} ${target}`)
      t.equal(answer.upstream[0], upstream && `GET ${upstream} HTTP/1.1`, `${door} ${host} ${target}`)
    }
  }
}

t.test('R1 without expressions paths are those of Kubernetes', async (t) => {
  await checkTargets(t, { plain: { nginx: {}, paths: [['/foo'], ['/exact', 'Exact']] } }, [
    ['plain', '/foo', '/foo'],
    ['plain', '/foo/x', '/foo/x'],
    ['plain', '/foobar', undefined],
    ['plain', '/FOO', undefined],
    ['plain', '/exact', '/exact'],
    ['plain', '/exact/x', undefined],
  ])
})

t.test(
  'R2 use-regex makes caseless expressions of all paths of the host, Exact and of others too (traps 1, 2)',
  async (t) => {
    await checkTargets(
      t,
      {
        regex: { nginx: REGEX, host: 'all.test', paths: [['/re/[a-z]{3}$', 'ImplementationSpecific']] },
        exact: { nginx: {}, host: 'all.test', paths: [['/foo', 'Exact']] },
      },
      [
        ['all', '/re/abc', '/re/abc'],
        ['all', '/RE/ABC', '/RE/ABC'],
        ['all', '/re/abcd', undefined],
        ['all', '/foo', '/foo'],
        ['all', '/foobar', '/foobar'],
        ['all', '/FOO/x', '/FOO/x'],
      ],
    )
    const { diagnostics } = translateNginx({
      regex: { nginx: REGEX, host: 'all.test', paths: [['/re']] },
      exact: { nginx: {}, host: 'all.test', paths: [['/foo', 'Exact']] },
    })
    t.match(diagnostics, [
      { code: 'PORTICO_ROUTE_HOST_PATTERNS', severity: 'warning', resource: 'Ingress default/exact' },
    ])
  },
)

t.test('R2 rewrite-target makes expressions of all paths of the host too', async (t) => {
  await checkTargets(
    t,
    {
      api: {
        nginx: { 'rewrite-target': '/$2' },
        host: 'api.test',
        paths: [['/api(/|$)(.*)', 'ImplementationSpecific']],
      },
      exact: { nginx: {}, host: 'api.test', paths: [['/foo', 'Exact']] },
    },
    [
      ['api', '/api', '/'],
      ['api', '/api/', '/'],
      ['api', '/api/x?y=1', '/x?y=1'],
      ['api', '/API/x', '/x'],
      ['api', '/apix', undefined],
      ['api', '/foobar', '/foobar'],
    ],
  )
})

t.test('R3 the longest text goes first, and of equal ones the last by text', async (t) => {
  const answers: Record<string, Answer> = {}
  const doors = await startNginx(
    t,
    {
      order: {
        nginx: REGEX,
        paths: [
          ['/foo/bar/bar', 'Prefix', 'web'],
          ['/foo/bar/[a-z]{3}', 'ImplementationSpecific', 'missing'],
          ['/t/[a-z]', 'ImplementationSpecific', 'web'],
          ['/t/a....', 'ImplementationSpecific', 'missing'],
        ],
      },
    },
    '',
    answers,
  )
  for (const door of doors.names) {
    t.equal((await askHost(doors, door, 'order', { target: '/foo/bar/bar' })).status, 503, 'the expression is longer')
    t.equal((await askHost(doors, door, 'order', { target: '/t/abcde' })).status, 503, '"a" is behind "[" by text')
  }
})

t.test('R4 the whole path becomes the target, and the rest is dropped', async (t) => {
  await checkTargets(
    t,
    {
      constant: { nginx: { 'rewrite-target': '/' }, paths: [['/something']] },
      groups: { nginx: { 'rewrite-target': '/v2/$1/$3' }, paths: [['/v1/([a-z]+)(/([0-9]+))?']] },
    },
    [
      ['constant', '/something', '/'],
      ['constant', '/something/x', '/'],
      ['constant', '/something/x?y=1', '/?y=1'],
      ['groups', '/v1/user/7/more', '/v2/user/7'],
      // An unset group is empty.
      ['groups', '/v1/user', '/v2/user/'],
    ],
  )
})

t.test('R5 a target with ? at its end drops the query', async (t) => {
  await checkTargets(t, { query: { nginx: { 'rewrite-target': '/x?' }, paths: [['/q']] } }, [['query', '/q?a=b', '/x']])
})

t.test('R6 what is rewritten to itself is not rewritten, and makes no expressions', async (t) => {
  await checkTargets(
    t,
    {
      same: { nginx: { 'rewrite-target': '/' }, paths: [['/']] },
      exact: { nginx: { 'rewrite-target': '/foo' }, paths: [['/foo', 'Exact']] },
      mixed: { nginx: { 'rewrite-target': '/' }, paths: [['/'], ['/api']] },
    },
    [
      ['same', '/a/b', '/a/b'],
      ['exact', '/foo', '/foo'],
      ['exact', '/foobar', undefined],
      ['mixed', '/api/x', '/'],
      ['mixed', '/other', '/other'],
    ],
  )
})

t.test('R7 a target with other characters counts as not written', async (t) => {
  const { routes, diagnostics } = translateNginx({ a: { nginx: { 'rewrite-target': '/{x}' }, paths: [['/b']] } })
  t.equal(routes[0]?.filters, undefined)
  t.equal(routes[0]?.match.type, 'prefix')
  t.match(diagnostics, [{ severity: 'warning', message: /rewrite-target: "\/\{x\}" is no path/ }])
})

t.test('R9 what RE2 has not is an error with its place; a guarded path is closed then', async (t) => {
  const open = translateNginx({ a: { nginx: REGEX, paths: [['/(?!admin).*'], ['/ok']] } })
  t.same(
    open.routes.map(({ path }) => path),
    ['/ok'],
  )
  t.match(open.diagnostics, [{ code: 'PORTICO_ROUTE_PATTERN', severity: 'error' }])
  const nginx = { ...REGEX, 'whitelist-source-range': '10.0.0.0/8' }
  const guarded = translateNginx({ a: { nginx, paths: [['/(?!admin).*']] } })
  t.match(guarded.routes, [{ action: { type: 'unavailable' } }])
})

const MAIN = { nginx: {}, host: 'main.test', paths: [['/', 'Prefix', 'web']] } as const

const WEB = { pieces: ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'] }

/** What the canary answers. */
function canary(nginx: WrittenIngress['nginx'], more: Partial<WrittenIngress> = {}): WrittenIngress {
  return { nginx: { canary: 'true', ...nginx }, host: 'main.test', paths: [['/', 'Prefix', 'missing']], ...more }
}

t.test('CA4 header, header-value, header-pattern, cookie: which requests go to the canary', async (t) => {
  // The canary's Service has an endpoint that refuses connections: its requests are answered 502 or 503.
  const missing = printService('missing', '127.0.0.1:1')
  const host = (name: string, nginx: WrittenIngress['nginx']): WrittenIngresses => ({
    [name]: { nginx: {}, host: `${name}.test` },
    [`${name}-canary`]: canary(nginx, { host: `${name}.test` }),
  })
  const doors = await startNginx(
    t,
    {
      ...host('header', { 'canary-by-header': 'X-Canary' }),
      ...host('value', { 'canary-by-header': 'X-Canary', 'canary-by-header-value': 'beta' }),
      ...host('pattern', { 'canary-by-header': 'X-Canary', 'canary-by-header-pattern': '^be|ta$' }),
      ...host('cookie', { 'canary-by-cookie': 'beta' }),
      ...host('all', { 'canary-weight': '100' }),
      ...host('none', { 'canary-weight': '0' }),
      ...host('chain', { 'canary-by-header': 'X-Canary', 'canary-by-cookie': 'beta', 'canary-weight': '100' }),
    },
    missing,
  )
  const header = (value: string) => ['x-canary', value] as const
  const cookie = (value: string) => ['cookie', `beta=${value}`] as const
  const cases: readonly (readonly [host: string, fields: readonly (readonly [string, string])[], isCanary: boolean])[] =
    [
      ['header', [], false],
      ['header', [header('always')], true],
      ['header', [header('never')], false],
      ['header', [header('other')], false],
      ['value', [header('beta')], true],
      ['value', [header('BETA')], false],
      // Trap 10
      ['value', [header('always')], false],
      ['pattern', [header('better')], true],
      ['pattern', [header('quota')], true],
      ['pattern', [header('alpha')], false],
      ['cookie', [cookie('always')], true],
      ['cookie', [cookie('never')], false],
      ['cookie', [cookie('other')], false],
      ['all', [], true],
      ['none', [], false],
      ['chain', [], true],
      ['chain', [header('never')], false],
      ['chain', [cookie('never')], false],
      ['chain', [header('always'), cookie('never')], true],
      ['chain', [header('other'), cookie('never')], false],
    ]
  for (const door of doors.names) {
    for (const [name, fields, isCanary] of cases) {
      const { status } = await askHost(doors, door, name, { fields })
      t.equal(status >= 500, isCanary, `${door} ${name} ${JSON.stringify(fields)} ${status}`)
    }
  }
})

t.test('CA5 canary-weight of canary-weight-total, of which less than 100 does not count (trap 11)', async (t) => {
  const cases: readonly (readonly [nginx: Record<string, string>, weights: readonly number[]])[] = [
    [{ 'canary-weight': '10' }, [90, 10]],
    [{ 'canary-weight': '10', 'canary-weight-total': '1000' }, [990, 10]],
    [{ 'canary-weight': '10', 'canary-weight-total': '50' }, [90, 10]],
  ]
  for (const [nginx, weights] of cases) {
    const { routes } = translateNginx({ main: MAIN, canary: canary(nginx) }, `---\n${printService('missing')}`)
    const [{ action }] = routes as [(typeof routes)[0]]
    t.same(action.type === 'split' && action.shares.map(({ weight }) => weight), weights, JSON.stringify(nginx))
  }
})

t.test('CA1 a canary without a path of another Ingress serves nothing', async (t) => {
  const cases: readonly Partial<WrittenIngress>[] = [
    { host: 'else.test' },
    { paths: [['/other', 'Prefix', 'missing']] },
    { paths: [['/', 'Exact', 'missing']] },
  ]
  for (const more of cases) {
    const { routes, hosts, diagnostics } = translateNginx(
      { main: MAIN, canary: canary({ 'canary-weight': '10' }, more) },
      `---\n${printService('missing')}`,
    )
    t.same(hosts, ['main.test'])
    t.match(routes, [{ action: { type: 'forward' } }])
    t.match(diagnostics, [{ code: 'PORTICO_ANN_CANARY', severity: 'warning' }], JSON.stringify(more))
  }
})

t.test('CA1 a canary of another namespace counts, CA2 of several the first', async (t) => {
  const { routes, diagnostics } = translateNginx(
    {
      main: MAIN,
      first: canary({ 'canary-weight': '10' }, { created: '2026-01-01T00:00:00Z' }),
      second: canary({ 'canary-weight': '20' }, { created: '2026-01-02T00:00:00Z' }),
    },
    `---\n${printService('missing')}`,
  )
  t.match(routes, [{ action: { type: 'split', backend: 'default/web:80=90, default/missing:80=10' } }])
  t.match(diagnostics, [{ code: 'PORTICO_ANN_CANARY', resource: 'Ingress default/second' }])
})

t.test('CA3 the difference: a canary of a default backend serves nothing', async (t) => {
  const backend = 'defaultBackend: {service: {name: missing, port: {number: 80}}}'
  const { routes } = translateNginx(
    { main: MAIN, canary: canary({ 'canary-weight': '10' }, { paths: [], more: backend }) },
    `---\n${printService('missing')}`,
  )
  t.match(routes, [{ action: { type: 'forward' } }])
})

t.test('CA6 other annotations of a canary are ignored, and those of its main Ingress count', async (t) => {
  const { routes, diagnostics } = translateNginx(
    {
      main: { ...MAIN, nginx: { 'limit-rps': '5' } },
      canary: canary({
        'canary-by-header': 'X-Canary',
        'limit-rps': 'wrong',
        'enable-modsecurity': 'true',
        'rewrite-target': '/x',
      }),
    },
    `---\n${printService('missing')}`,
  )
  t.same(
    routes.map(({ filters, match }) => [match.type, filters?.map(({ name }) => name)]),
    Array.from({ length: 3 }, () => ['prefix', ['rate-limit']]),
  )
  t.same(diagnostics, [])
})

t.test('CA7 canary-* without canary: "true" does nothing', async (t) => {
  const { routes, diagnostics } = translateNginx({ main: { ...MAIN, nginx: { 'canary-weight': '10' } } })
  t.match(routes, [{ action: { type: 'forward' } }])
  t.match(diagnostics, [{ severity: 'warning', message: /canary-weight: it does nothing without canary: "true"/ }])
})

t.test('CA8 where the canary has no endpoints, the main Service answers', async (t) => {
  const doors = await startNginx(
    t,
    { main: MAIN, canary: canary({ 'canary-weight': '100' }) },
    `apiVersion: v1\nkind: Service\nmetadata: {name: missing}\nspec: {ports: [{port: 80}]}\n`,
    { '/': WEB },
  )
  for (const door of doors.names) t.equal((await askHost(doors, door, 'main')).status, 200, door)
})

t.test('all paths of the host that lead to the same Service are canaried', async (t) => {
  const { routes } = translateNginx(
    {
      main: { nginx: {}, host: 'main.test', paths: [['/'], ['/more'], ['/else', 'Prefix', 'else']] },
      canary: canary({ 'canary-weight': '10' }),
    },
    `---\n${printService('missing')}---\n${printService('else')}`,
  )
  t.same(
    routes.map(({ path, action }) => [path, action.type]),
    [
      ['/else', 'forward'],
      ['/more', 'split'],
      ['/', 'split'],
    ],
  )
})

t.test('SA1 SA2 SA3 server-alias gives the host further names, unless a rule has them', async (t) => {
  const doors = await startNginx(
    t,
    {
      alias: {
        nginx: { 'server-alias': 'other.test, taken.test, *.wild.test, ~^re' },
        paths: [['/a']],
        created: '2026-01-01T00:00:00Z',
      },
      late: { nginx: { 'server-alias': 'late.test' }, host: 'alias.test', paths: [['/b']] },
      taken: { nginx: {}, paths: [['/t']] },
      // All other hosts
      rest: { nginx: {}, host: 'rest.test' },
    },
    '',
  )
  const cases: readonly (readonly [host: string, target: string, status: number])[] = [
    ['alias', '/a', 200],
    ['other', '/a', 200],
    // The whole server has the name.
    ['other', '/b', 200],
    ['other', '/c', 404],
    ['x.wild', '/b', 200],
    ['x.wild', '/c', 404],
    ['taken', '/a', 404],
    ['taken', '/t', 200],
    // The route for all hosts takes it.
    ['late', '/c', 200],
  ]
  for (const door of doors.names) {
    for (const [host, target, status] of cases) {
      t.equal((await askHost(doors, door, host, { target })).status, status, `${door} ${host}${target}`)
    }
  }
})

t.test('SA4 an alias is sent to HTTPS only where a tls section names it', async (t) => {
  const doors = await startNginx(t, {
    alias: { nginx: { 'server-alias': 'open.test, secured.test' }, tls: ['alias.test', 'secured.test'] },
  })
  for (const door of doors.names.filter((name) => !/TLS|HTTP\/2/.test(name))) {
    t.equal((await askHost(doors, door, 'alias')).status, 308, door)
    t.equal((await askHost(doors, door, 'secured')).status, 308, door)
    t.equal((await askHost(doors, door, 'open')).status, 200, door)
  }
})

t.test('WW1 WW2 from-to-www-redirect sends the other host to the one of the rule, unless a rule has it', async (t) => {
  const on = { 'from-to-www-redirect': 'true' }
  const doors = await startNginx(t, {
    apex: { nginx: on, host: 'apex.test' },
    www: { nginx: on, host: 'www.other.test' },
    both: { nginx: on, host: 'both.test' },
    'both-www': { nginx: {}, host: 'www.both.test' },
  })
  for (const door of doors.names) {
    const scheme = /TLS|HTTP\/2/.test(door) ? 'https' : 'http'
    const ask = async (host: string) => askHost(doors, door, '', { host, target: '/a/b?c=d' })
    const cases: readonly (readonly [from: string, location: string | undefined])[] = [
      ['www.apex.test', `${scheme}://apex.test/a/b?c=d`],
      ['www.apex.test:8080', `${scheme}://apex.test:8080/a/b?c=d`],
      ['apex.test', undefined],
      ['other.test', `${scheme}://www.other.test/a/b?c=d`],
      ['www.other.test', undefined],
      ['www.both.test', undefined],
    ]
    for (const [from, location] of cases) {
      const { status, field } = await ask(from)
      t.equal(status, location === undefined ? 200 : 308, `${door} ${from}`)
      t.same(field('location'), location === undefined ? [] : [location], `${door} ${from}`)
    }
  }
})

t.test('WW4 a wildcard host has no other', async (t) => {
  const { hosts } = translateNginx({ a: { nginx: { 'from-to-www-redirect': 'true' }, host: '*.wild.test' } })
  t.same(hosts, ['*.wild.test'])
})

t.test('ssl-passthrough says tls-passthrough, which test/translate/ingress/passthrough plays', async (t) => {
  for (const [value, isPassed] of [
    ['true', true],
    ['false', false],
    ['maybe', false],
  ] as const) {
    const text = `${printIngresses({ a: { nginx: { 'ssl-passthrough': value } } })}---\n${printService('web')}`
    const { model } = translateText(text)
    t.equal(
      model.certificates.some(({ passthrough }) => passthrough === 'default/web:80'),
      isPassed,
      value,
    )
  }
})
