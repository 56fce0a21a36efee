/** Sizes, time limits, tries, buffers, hosts, cookies, pages (BS, TO, NU, UV, CE), at all doors where they show. */
import t from 'tap'
import { startAuth } from '../../../filters/auth-server.ts'
import { until } from '../../../helpers/until.ts'
import { askHost, optionsOf, printService, startNginx, translateNginx, translateOne } from './nginx-ingress.ts'

t.test('BS1 BS3 proxy-body-size: k, m and g are of 1024, 0 is no limit', async (t) => {
  const cases: readonly (readonly [written: string, bytes: number | undefined])[] = [
    ['100', 100],
    ['8k', 8192],
    ['8M', 8 * 1024 ** 2],
    ['1g', 1024 ** 3],
    ['0', Number.MAX_SAFE_INTEGER],
    ['8mb', undefined],
    ['-1', undefined],
  ]
  for (const [written, bytes] of cases) {
    t.equal(translateOne({ 'proxy-body-size': written }).route.policy?.bodyLimit, bytes, written)
  }
})

t.test('BS2 a longer body is answered 413', async (t) => {
  const doors = await startNginx(t, { small: { nginx: { 'proxy-body-size': '10' } } })
  for (const door of doors.names) {
    t.equal((await askHost(doors, door, 'small', { method: 'POST', body: 'x'.repeat(10) })).status, 200, door)
    t.equal((await askHost(doors, door, 'small', { method: 'POST', body: 'x'.repeat(11) })).status, 413, door)
  }
})

t.test('TO1 TO2 TO3 proxy-connect-timeout, proxy-read-timeout and proxy-send-timeout', async (t) => {
  const { route, diagnostics } = translateOne({
    'proxy-connect-timeout': '7',
    'proxy-read-timeout': '3600',
    'proxy-send-timeout': '3600',
  })
  t.match(route.policy, {
    'timeouts.connect': 7000,
    'timeouts.responseHeaders': 3_600_000,
    'timeouts.responseIdle': 3_600_000,
    'timeouts.tunnelIdle': 3_600_000,
  })
  t.same(diagnostics, [])
  t.match(translateOne({ 'proxy-connect-timeout': '300' }).route.policy, { 'timeouts.connect': 75_000 })
})

t.test('NU1 NU3 NU4 proxy-next-upstream', async (t) => {
  const cases: readonly (readonly [written: string, policy: object])[] = [
    ['error timeout', { 'retry.conditions': ['connect-failure', 'reset', 'timeout'] }],
    ['http_502 http_503', { 'retry.conditions': ['502', '503'] }],
    ['error invalid_header', { 'retry.conditions': ['connect-failure', 'reset', 'bad-answer'] }],
    ['error non_idempotent', { 'retry.methods': ['POST', 'LOCK', 'PATCH'] }],
    ['off', { tries: 1 }],
  ]
  for (const [written, policy] of cases) {
    const { route, diagnostics } = translateOne({ 'proxy-next-upstream': written })
    t.match(route.policy, policy, written)
    t.same(diagnostics, [], written)
  }
  t.match(translateOne({ 'proxy-next-upstream': 'error timeout', 'proxy-read-timeout': '7' }).route.policy, {
    'retry.tryTimeout': 7_000,
    'timeouts.responseHeaders': 7_000,
  })
  const { route, diagnostics } = translateOne({ 'proxy-next-upstream': 'error http_418' })
  t.equal(route.policy, undefined)
  t.match(diagnostics, [{ severity: 'warning', message: /names no failures/ }])
})

t.test('NU2 proxy-next-upstream-tries and proxy-next-upstream-timeout', async (t) => {
  t.match(translateOne({ 'proxy-next-upstream-tries': '5', 'proxy-next-upstream-timeout': '10' }).route.policy, {
    tries: 5,
    'retry.within': 10_000,
  })
  t.match(translateOne({ 'proxy-next-upstream-tries': '0' }).route.policy, { tries: 0 })
  t.equal(translateOne({ 'proxy-next-upstream-timeout': '0' }).route.policy, undefined)
})

t.test('proxy-buffering and proxy-request-buffering', async (t) => {
  t.match(translateOne({ 'proxy-buffering': 'on', 'proxy-request-buffering': 'on' }).route.policy, {
    responseBuffering: 'all',
    requestBuffering: 'all',
  })
  t.match(translateOne({ 'proxy-buffering': 'off', 'proxy-request-buffering': 'off' }).route.policy, {
    responseBuffering: 'short',
    requestBuffering: 'none',
  })
})

t.test('UV1 upstream-vhost is the host that endpoints are asked for', async (t) => {
  t.match(optionsOf(translateOne({ 'upstream-vhost': 'shop.internal' }).route, 'url-rewrite'), {
    host: 'shop.internal',
  })
  // ingress-nginx replaces variables, and takes no other signs.
  for (const [value, help] of [
    ['$service_name.$namespace.svc:80', /until then endpoints are asked for the host of the client$/],
    ['a;b', /it counts as not written, as in ingress-nginx$/],
  ] as const) {
    const { route, diagnostics } = translateOne({ 'upstream-vhost': value })
    t.match(diagnostics, [{ severity: 'warning', message: /is no host$/, help }], value)
    t.equal(optionsOf(route, 'url-rewrite'), undefined)
  }
})

t.test(
  'CE1 CE3 CE4 CE5 custom-http-errors with default-backend: the client gets status and body of the page',
  async (t) => {
    const page = { pieces: ['HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\npage'] }
    const bad = { pieces: ['HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nbad'] }
    const doors = await startNginx(
      t,
      {
        pages: { nginx: { 'custom-http-errors': '503,404', 'default-backend': 'errors' } },
        intercept: {
          nginx: { 'custom-http-errors': '503', 'default-backend': 'errors', 'disable-proxy-intercept-errors': 'true' },
        },
      },
      `apiVersion: v1\nkind: Service\nmetadata: {name: errors}\nspec: {ports: [{port: 80}]}\n`,
      { '/': page, '/bad': bad },
      {},
      ['errors'],
    )
    for (const door of doors.names) {
      const { status, body, upstream } = await askHost(doors, door, 'pages', { target: '/bad' })
      t.equal(status, 404, door)
      t.equal(body, 'page', door)
      t.match(upstream.join('\n'), /x-code: 503/)
      const left = await askHost(doors, door, 'intercept', { target: '/bad' })
      t.equal(left.status, 503, door)
      t.equal(left.body, 'bad', 'the errors of endpoints are left alone')
    }
  },
)

t.test('CE2 default-backend alone has the page of a path without endpoints', async (t) => {
  const page = { pieces: ['HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage'] }
  const none = `apiVersion: v1\nkind: Service\nmetadata: {name: none}\nspec: {ports: [{port: 80}]}\n`
  const doors = await startNginx(
    t,
    { empty: { nginx: { 'default-backend': 'errors' }, paths: [['/', 'Prefix', 'none']] } },
    `${none}---\n${none.replace('none', 'errors')}`,
    { '/': page },
    {},
    ['errors'],
  )
  for (const door of doors.names) {
    const { status, body } = await askHost(doors, door, 'empty')
    t.equal(status, 200, door)
    t.equal(body, 'page', door)
  }
})

t.test('custom-http-errors without default-backend has no pages, and a missing Service is reported', async (t) => {
  t.match(translateOne({ 'custom-http-errors': '503' }).diagnostics, [{ severity: 'warning', message: /no Service/ }])
  const { routes, diagnostics } = translateNginx(
    { a: { nginx: { 'custom-http-errors': '503', 'default-backend': 'missing' } } },
    `---\n${printService('other')}`,
  )
  t.equal(routes[0]?.action.type, 'forward')
  t.match(diagnostics, [{ code: 'PORTICO_REF_SERVICE_NOT_FOUND' }])
})

t.test('proxy-cookie-domain, proxy-cookie-path, proxy-redirect-from and proxy-redirect-to', async (t) => {
  const fields = 'Set-Cookie: a=b; Domain=app.internal; Path=/app\r\nLocation: http://app.internal/app/x\r\n'
  const moved = { pieces: [`HTTP/1.1 302 Found\r\n${fields}Content-Length: 0\r\n\r\n`] }
  const doors = await startNginx(
    t,
    {
      cookies: {
        nginx: {
          'proxy-cookie-domain': 'app.internal shop.test',
          'proxy-cookie-path': '/app "/; Secure"',
          'proxy-redirect-from': 'http://app.internal/app/',
          'proxy-redirect-to': 'https://shop.test/',
        },
      },
      off: { nginx: { 'proxy-cookie-domain': 'off', 'proxy-cookie-path': 'off', 'proxy-redirect-from': 'off' } },
    },
    '',
    { '/': moved },
  )
  for (const door of doors.names) {
    const changed = await askHost(doors, door, 'cookies')
    t.same(changed.field('set-cookie'), ['a=b; Domain=shop.test; Path=/; Secure'], door)
    t.same(changed.field('location'), ['https://shop.test/x'], door)
    const left = await askHost(doors, door, 'off')
    t.same(left.field('set-cookie'), ['a=b; Domain=app.internal; Path=/app'], door)
    t.same(left.field('location'), ['http://app.internal/app/x'], door)
  }
})

t.test('CH1 custom-headers sets the fields of a ConfigMap on answers', async (t) => {
  const fields = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\ndata: {X-A: one, X-B: two}\n'
  const doors = await startNginx(t, { fields: { nginx: { 'custom-headers': 'default/more' } } }, fields)
  for (const door of doors.names) {
    const { field } = await askHost(doors, door, 'fields')
    t.same([...field('x-a'), ...field('x-b')], ['one', 'two'], door)
  }
  t.equal(translateOne({ 'custom-headers': 'other/more' }).route.action.type, 'unavailable')
})

t.test('MI1 MI3 mirror-target, mirror-host and mirror-request-body', async (t) => {
  const { url, asked } = await startAuth(t, (_, response) => response.end())
  const { origin } = new URL(url)
  const doors = await startNginx(t, {
    copied: { nginx: { 'mirror-target': `${origin}/copy$request_uri`, 'mirror-host': 'copies.test' } },
    short: { nginx: { 'mirror-target': `${origin}`, 'mirror-request-body': 'off' } },
    away: { nginx: { 'mirror-target': `${origin}`, 'permanent-redirect': 'https://new.test' } },
  })
  for (const door of doors.names) {
    const before = asked.length
    t.equal((await askHost(doors, door, 'copied', { target: '/a?b=c' })).status, 200, door)
    await until(() => asked.length > before)
    t.equal(asked.at(-1)?.url, '/copy/a?b=c', door)
    t.equal(asked.at(-1)?.headers.host, 'copies.test', door)
    t.equal((await askHost(doors, door, 'short', { method: 'POST', body: 'x' })).status, 200, door)
    await until(() => asked.length > before + 1)
    t.equal(asked.at(-1)?.headers['transfer-encoding'], undefined, 'without the body')
    t.equal((await askHost(doors, door, 'away')).status, 301, door)
    t.equal(asked.length, before + 2, door)
  }
})

t.test('enable-access-log keeps requests out of the log', async (t) => {
  t.ok(optionsOf(translateOne({ 'enable-access-log': 'false' }).route, 'access-log'))
  t.equal(translateOne({ 'enable-access-log': 'true' }).route.filters, undefined)
})
