/** Pages of other origins (CO), at all doors. */
import t from 'tap'
import { askHost, optionsOf, startNginx, translateOne } from './nginx-ingress.ts'

const ON = { 'enable-cors': 'true' }
const origin = (value: string) => ['origin', value] as const
const PREFLIGHT = ['access-control-request-method', 'PUT'] as const

t.test('CO1 CO4 CO6 allowed origins, on all answers', async (t) => {
  const doors = await startNginx(t, {
    list: { nginx: { ...ON, 'cors-allow-origin': 'https://App.test, https://*.pages.test:8443, null-' } },
    expose: { nginx: { ...ON, 'cors-allow-origin': 'https://app.test', 'cors-expose-headers': 'X-A, X-B' } },
    closed: {
      nginx: { ...ON, 'cors-allow-origin': 'https://app.test', 'limit-rpm': '1', 'limit-burst-multiplier': '0' },
      paths: [['/', 'Prefix', 'nobody']],
    },
  })
  const cases: readonly (readonly [host: string, origin: string, isAllowed: boolean])[] = [
    ['list', 'https://app.test', true],
    ['list', 'https://app.test:8443', false],
    ['list', 'https://a.pages.test:8443', true],
    ['list', 'https://a.pages.test', false],
    ['list', 'https://a.b.pages.test:8443', false],
    ['closed', 'https://app.test', true],
  ]
  for (const door of doors.names) {
    for (const [host, from, isAllowed] of cases) {
      const { field } = await askHost(doors, door, host, { fields: [origin(from)] })
      t.same(field('access-control-allow-origin'), isAllowed ? [from] : [], `${door} ${host} ${from}`)
      // Trap 6: credentials are allowed where nothing is said of them.
      t.same(field('access-control-allow-credentials'), isAllowed ? ['true'] : [])
    }
    const { field } = await askHost(doors, door, 'expose', { fields: [origin('https://app.test')] })
    t.same(field('access-control-expose-headers'), ['X-A, X-B'])
  }
})

t.test('CO1 the usual methods, headers and age; and what is written', async (t) => {
  t.match(optionsOf(translateOne({ ...ON, 'cors-allow-origin': 'https://a.test' }).route, 'cors'), {
    methods: ['GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'],
    credentials: true,
    maxAge: 86_400_000,
  })
  const written = {
    ...ON,
    'cors-allow-origin': 'https://a.test',
    'cors-allow-methods': 'GET, PUT',
    'cors-allow-headers': 'X-A,X-B',
    'cors-allow-credentials': 'false',
    'cors-max-age': '600',
  }
  t.match(optionsOf(translateOne(written).route, 'cors'), {
    methods: ['GET', 'PUT'],
    headers: ['X-A', 'X-B'],
    credentials: false,
    maxAge: 600_000,
  })
})

t.test(
  'CO2 CO3 the differences: a preflight of another origin is answered, and OPTIONS that is none goes on',
  async (t) => {
    const doors = await startNginx(t, { pre: { nginx: { ...ON, 'cors-allow-origin': 'https://a.test' } } })
    for (const door of doors.names) {
      const ask = (...fields: readonly (readonly [string, string])[]) =>
        askHost(doors, door, 'pre', { method: 'OPTIONS', fields })
      const good = await ask(origin('https://a.test'), PREFLIGHT)
      t.equal(good.status, 204, door)
      t.match(good.field('access-control-allow-methods')[0], 'PUT')
      t.same(good.upstream, [])
      const bad = await ask(origin('https://b.test'), PREFLIGHT)
      t.equal(bad.status, 204, door)
      t.same(bad.field('access-control-allow-origin'), [])
      t.same(bad.upstream, [], 'ingress-nginx passes it on')
      t.equal((await ask(origin('https://a.test'))).status, 200, 'ingress-nginx answers it')
    }
  },
)

t.test('CO5 one * allows all, and credentials are left out then', async (t) => {
  for (const list of ['*', 'https://a.test, *']) {
    const { route, diagnostics } = translateOne({ ...ON, 'cors-allow-origin': list })
    t.match(optionsOf(route, 'cors'), { origins: ['*'], credentials: false }, list)
    t.same(diagnostics, [], 'nobody has asked for credentials')
  }
  const { diagnostics } = translateOne({ ...ON, 'cors-allow-credentials': 'true' })
  t.match(diagnostics, [{ severity: 'warning', message: /any page could act for its users/ }])
})

t.test('CO4 origins of a wrong form are left out; of these alone nobody is allowed', async (t) => {
  const some = translateOne({ ...ON, 'cors-allow-origin': 'a.test, https://b.test' })
  t.match(optionsOf(some.route, 'cors'), { origins: ['https://b.test'] })
  t.match(some.diagnostics, [{ severity: 'warning', message: /"a.test" is no origin/ }])
  const none = translateOne({ ...ON, 'cors-allow-origin': 'a.test' })
  t.equal(optionsOf(none.route, 'cors'), undefined)
})

t.test('enable-cors: "false", and details without it, do nothing', async (t) => {
  for (const nginx of [{ 'enable-cors': 'false', 'cors-allow-origin': '*' }, { 'cors-max-age': '5' }]) {
    const { route, diagnostics } = translateOne(nginx)
    t.equal(route.filters, undefined)
    t.same(diagnostics, [])
  }
})
