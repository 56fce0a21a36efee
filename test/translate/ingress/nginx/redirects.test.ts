/** Redirects and rewritings (SSL, RD, AR, XP), at all doors. */
import t from 'tap'
import { askHost, optionsOf, printService, startNginx, translateNginx, translateOne } from './nginx-ingress.ts'

const isPlain = (door: string): boolean => !/TLS|HTTP\/2/.test(door)

t.test(
  'RD1 RD2 RD3 RD5 permanent-redirect and temporal-redirect answer with the URL alone, without a backend',
  async (t) => {
    const lost = [['/', 'Prefix', 'nobody']] as const
    const doors = await startNginx(t, {
      permanent: { nginx: { 'permanent-redirect': 'https://new.test/x?y=1' }, paths: lost },
      code: { nginx: { 'permanent-redirect': 'https://new.test', 'permanent-redirect-code': '308' }, paths: lost },
      strange: { nginx: { 'permanent-redirect': 'https://new.test', 'permanent-redirect-code': '200' }, paths: lost },
      temporal: { nginx: { 'temporal-redirect': 'http://new.test/' }, paths: lost },
      see: { nginx: { 'temporal-redirect': 'http://new.test/', 'temporal-redirect-code': '303' }, paths: lost },
      // Trap 15
      moved: { nginx: { 'temporal-redirect': 'http://new.test/', 'temporal-redirect-code': '308' }, paths: lost },
      // RD3
      both: {
        nginx: { 'temporal-redirect': 'http://temporal.test/', 'permanent-redirect': 'http://permanent.test/' },
        paths: lost,
      },
      variables: { nginx: { 'permanent-redirect': 'https://new.test$request_uri' } },
      same: { nginx: { 'permanent-redirect': 'https://$host/new' } },
    })
    const cases: readonly (readonly [host: string, status: number, location: string])[] = [
      ['permanent', 301, 'https://new.test/x?y=1'],
      ['code', 308, 'https://new.test'],
      ['strange', 301, 'https://new.test'],
      ['temporal', 302, 'http://new.test/'],
      ['see', 303, 'http://new.test/'],
      ['moved', 302, 'http://new.test/'],
      ['both', 302, 'http://temporal.test/'],
      ['variables', 301, 'https://new.test/a/b?c=d'],
      ['same', 301, 'https://same.test/new'],
    ]
    for (const door of doors.names) {
      for (const [host, status, location] of cases) {
        const answer = await askHost(doors, door, host, { target: '/a/b?c=d' })
        t.equal(answer.status, status, `${door} ${host}`)
        t.same(answer.field('location'), [location], `${door} ${host}`)
      }
    }
  },
)

t.test('RD4 temporal-redirect to what is no URL of http does nothing', async (t) => {
  const { route, diagnostics } = translateOne({ 'temporal-redirect': 'ftp://new.test/' })
  t.equal(route.filters, undefined)
  t.match(diagnostics, [{ severity: 'warning', message: /is no URL of http or https/ }])
})

t.test('RD6 the difference: guards and HTTPS go before a redirect', async (t) => {
  const { routes } = translateNginx({
    a: { nginx: { 'permanent-redirect': 'https://new.test', 'whitelist-source-range': '10.0.0.0/8' } },
  })
  t.same(
    routes[0]?.filters?.map(({ name }) => name),
    ['source-range', 'redirect'],
  )
})

t.test('AR1 AR2 app-root redirects / alone, whatever the query, and keeps the port', async (t) => {
  const doors = await startNginx(t, { root: { nginx: { 'app-root': '/app' } } })
  for (const door of doors.names) {
    const answer = await askHost(doors, door, 'root', { target: '/?a=b', host: 'root.test:8080' })
    t.equal(answer.status, 302, door)
    t.same(answer.field('location'), [`${isPlain(door) ? 'http' : 'https'}://root.test:8080/app`])
    t.equal((await askHost(doors, door, 'root', { target: '/other' })).status, 200)
  }
  const { route, diagnostics } = translateOne({ 'app-root': 'https://else.test/' })
  t.equal(route.filters, undefined)
  t.match(diagnostics, [{ severity: 'warning', message: /is no path$/ }])
})

t.test('AR3 the difference: a path of the Ingress must take /, and a warning says so', async (t) => {
  const { diagnostics } = translateNginx({ a: { nginx: { 'app-root': '/app' }, paths: [['/app']] } })
  t.match(diagnostics, [
    {
      code: 'PORTICO_ROUTE_REDIRECT_INCOMPLETE',
      message: /^nginx.ingress.kubernetes.io\/app-root: no path of the Ingress takes \//,
      position: { line: 3 },
    },
  ])
})

t.test('app-root beside a redirect of all paths does nothing', async (t) => {
  const { route, diagnostics } = translateOne({ 'app-root': '/app', 'permanent-redirect': 'https://new.test' })
  t.match(optionsOf(route, 'redirect'), { code: 301 })
  t.match(diagnostics, [{ severity: 'warning', message: /app-root: all paths are redirected already/ }])
})

t.test('SSL1 SSL2 SSL3 SSL5 ssl-redirect and force-ssl-redirect, by location', async (t) => {
  const doors = await startNginx(
    t,
    {
      plain: { nginx: {} },
      secured: { nginx: {}, tls: ['secured.test'] },
      off: { nginx: { 'ssl-redirect': 'false' }, tls: ['off.test'] },
      forced: { nginx: { 'force-ssl-redirect': 'true' } },
      both: { nginx: { 'ssl-redirect': 'false', 'force-ssl-redirect': 'true' } },
      // Two Ingresses of one host
      some: { nginx: { 'ssl-redirect': 'false' }, host: 'some.test', paths: [['/open']], tls: ['some.test'] },
      others: { nginx: {}, host: 'some.test', paths: [['/']] },
    },
    '',
    {},
    { 'https.redirectPort': '443' },
  )
  const cases: readonly (readonly [host: string, target: string, isRedirected: boolean])[] = [
    ['plain', '/x', false],
    ['secured', '/x', true],
    ['off', '/x', false],
    ['forced', '/x?a=b', true],
    ['both', '/', true],
    ['some', '/open/x', false],
    ['some', '/x/', true],
  ]
  for (const door of doors.names) {
    for (const [host, target, isRedirected] of cases) {
      const answer = await askHost(doors, door, host, { target, host: `${host}.test:8080` })
      const isSent = isRedirected && isPlain(door)
      t.equal(answer.status, isSent ? 308 : 200, `${door} ${host} ${target}`)
      // SSL3, and the difference: a slash at the end stays.
      t.same(answer.field('location'), isSent ? [`https://${host}.test${target}`] : [])
    }
  }
})

t.test('a password is not asked for before a client is sent to HTTPS', async (t) => {
  const users = `apiVersion: v1\nkind: Secret\nmetadata: {name: users}\nstringData: {auth: "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}\n`
  const nginx = { 'force-ssl-redirect': 'true', 'auth-type': 'basic', 'auth-secret': 'users' }
  const doors = await startNginx(t, { login: { nginx } }, users)
  for (const door of doors.names) {
    t.equal((await askHost(doors, door, 'login')).status, isPlain(door) ? 308 : 401, door)
  }
})

t.test('XP1 x-forwarded-prefix needs rewrite-target (trap 8), and may have groups', async (t) => {
  const alone = translateOne({ 'x-forwarded-prefix': '/app' })
  t.equal(alone.route.filters, undefined)
  t.match(alone.diagnostics, [
    { severity: 'warning', message: /x-forwarded-prefix: it does nothing without rewrite-target/ },
  ])
  const { routes } = translateNginx({
    a: { nginx: { 'x-forwarded-prefix': '/$1', 'rewrite-target': '/$2' }, paths: [['/(api)(.*)']] },
  })
  t.match(JSON.stringify(optionsOf(routes[0]!, 'headers')), 'X-Forwarded-Prefix')
})

t.test('R5 a rewrite-target that is a URL redirects', async (t) => {
  const doors = await startNginx(
    t,
    { url: { nginx: { 'rewrite-target': 'https://new.test/$1' }, paths: [['/old/(.*)']] } },
    printService('other'),
  )
  for (const door of doors.names) {
    const answer = await askHost(doors, door, 'url', { target: '/old/x' })
    t.equal(answer.status, 302, door)
    t.same(answer.field('location'), ['https://new.test/x'])
  }
})
