/** The annotations of ingress-nginx as options of Portico's own: values, faults, and what stands beside them. */
import t from 'tap'
import { askHost, optionsOf, startNginx, translateNginx, translateOne } from './nginx-ingress.ts'

const NGINX = 'nginx.ingress.kubernetes.io/'

t.test('G1 a flag has the values of ParseBool, and a number is decimal without a unit', async (t) => {
  for (const value of ['1', 't', 'T', 'TRUE', 'true', 'True']) {
    const { route, diagnostics } = translateOne({ 'enable-cors': value })
    t.ok(optionsOf(route, 'cors'), value)
    t.same(diagnostics, [], value)
  }
  for (const value of ['yes', 'on', 'tRUE', '2']) {
    const { route, diagnostics } = translateOne({ 'enable-cors': value })
    t.notOk(optionsOf(route, 'cors'), value)
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', severity: 'warning', message: /is neither true nor false$/ }])
  }
  for (const value of ['60s', '1m', '6.5', '0x10']) {
    const { route, diagnostics } = translateOne({ 'proxy-connect-timeout': value })
    t.equal(route.policy, undefined, value)
    t.match(diagnostics, [{ message: `${NGINX}proxy-connect-timeout: "${value}" is no number of seconds` }])
  }
})

t.test('G2 an empty value counts as not written', async (t) => {
  const { route, diagnostics } = translateOne({ 'whitelist-source-range': ' ', 'proxy-body-size': '' })
  t.equal(route.action.type, 'forward')
  t.equal(route.filters, undefined)
  t.match(
    diagnostics.map(({ severity, message }) => [severity, message]),
    [
      ['warning', /whitelist-source-range: it is empty/],
      ['warning', /proxy-body-size: it is empty/],
    ],
  )
})

t.test('G3 (a) a value of the wrong form counts as not written, with a warning at its place', async (t) => {
  const { route, diagnostics } = translateOne({ 'proxy-body-size': '8 MB' })
  t.equal(route.action.type, 'forward')
  t.equal(route.policy, undefined)
  t.match(diagnostics, [
    {
      severity: 'warning',
      position: { line: 3 },
      resource: 'Ingress default/a',
      help: /^write a number of bytes, or with k, m or g, as in "8m"; until then it counts as not written/,
    },
  ])
})

t.test('G3 (b) a guard that cannot be done closes the routes of its Ingress, and no others', async (t) => {
  const doors = await startNginx(t, {
    range: { nginx: { 'whitelist-source-range': '10.0.0.0/8, 10.0.0.300' } },
    deny: { nginx: { 'denylist-source-range': 'nobody' } },
    secret: { nginx: { 'auth-type': 'basic', 'auth-secret': 'missing' } },
    foreign: { nginx: { 'auth-type': 'basic', 'auth-secret': 'other/users' } },
    open: { nginx: {} },
  })
  for (const door of doors.names) {
    for (const name of ['range', 'deny', 'secret', 'foreign']) {
      const { status, upstream } = await askHost(doors, door, name)
      t.equal(status, 503, `${door} ${name}`)
      t.same(upstream, [])
    }
    t.equal((await askHost(doors, door, 'open')).status, 200)
  }
})

t.test('G3 (c) where ingress-nginx refuses the Ingress its routes are closed', async (t) => {
  const faults: readonly Readonly<Record<string, string>>[] = [
    { 'auth-type': 'ntlm' },
    { 'auth-url': 'http://auth.test/a b' },
    { 'limit-rps': '10/s' },
    { 'limit-rpm': 'many' },
    { 'limit-connections': 'x' },
    { 'permanent-redirect': 'https://new.test/"' },
    { 'temporal-redirect': 'https://new.test/;' },
    { 'from-to-www-redirect': 'yes' },
    { 'auth-url': 'http://auth.test/', 'auth-cache-duration': 'long' },
  ]
  for (const nginx of faults) {
    const { route, diagnostics } = translateOne(nginx)
    t.match(route.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, JSON.stringify(nginx))
    const [problem] = diagnostics.filter(({ severity }) => severity === 'error')
    t.match(problem, { code: 'PORTICO_ANN_VALUE', help: /answer 503: ingress-nginx refuses the Ingress$/ })
  }
})

t.test('G4 snippets are never executed, and one that may guard closes the routes', async (t) => {
  for (const name of ['auth-snippet', 'configuration-snippet', 'server-snippet', 'modsecurity-snippet']) {
    const { route, diagnostics } = translateOne({ [name]: 'auth_request /auth;' })
    t.match(route.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_UNSUPPORTED' }, name)
    t.match(diagnostics[0], { code: 'PORTICO_ANN_GUARD_UNSUPPORTED', severity: 'error' })
  }
  const { route, diagnostics } = translateOne({ 'auth-snippet': 'proxy_set_header X-A b;' })
  t.equal(route.action.type, 'forward')
  t.match(diagnostics, [{ code: 'PORTICO_ANN_UNSUPPORTED', severity: 'warning' }])
})

t.test('G5 control characters are refused, and secrets are not shown', async (t) => {
  t.match(translateOne({ 'cors-allow-origin': 'https://a.test\r\nX: y', 'enable-cors': 'true' }).diagnostics, [
    { message: /cors-allow-origin: .* has control characters/ },
  ])
  const { route, diagnostics } = translateOne({ 'auth-url': 'http://auth.test/?token=hunter2"' })
  t.equal(route.action.type, 'unavailable')
  t.notMatch(JSON.stringify(diagnostics), 'hunter2')
})

t.test('G6 an annotation acts on the paths of its Ingress alone', async (t) => {
  const { routes } = translateNginx({
    a: { nginx: { 'limit-rps': '1' }, host: 'same.test', paths: [['/a']] },
    b: { nginx: {}, host: 'same.test', paths: [['/b']] },
  })
  t.same(
    routes.map(({ path, filters }) => [path, filters?.map(({ name }) => name)]),
    [
      ['/a', ['rate-limit']],
      ['/b', undefined],
    ],
  )
})

t.test('an option of its own goes before, and a filter counts as a whole', async (t) => {
  const { route, diagnostics } = translateOne({
    'enable-cors': 'true',
    'cors-allow-methods': 'PUT',
    'portico.dev/cors-allow-origins': 'https://own.test',
    'proxy-body-size': '1m',
    'portico.dev/body-limit': '2Mi',
  })
  t.match(optionsOf(route, 'cors'), { origins: ['https://own.test'], credentials: false })
  t.notMatch(optionsOf(route, 'cors')?.methods, ['PUT'])
  t.match(route.policy, { bodyLimit: 2 * 1024 ** 2 })
  t.same(
    [...new Set(diagnostics.map(({ code, severity }) => `${code} ${severity}`))],
    ['PORTICO_ROUTE_FILTER_OVERRIDDEN info'],
  )
  t.match(diagnostics.map(({ message }) => message).join('\n'), /proxy-body-size does nothing: portico.dev\/body-limit/)
})

t.test('what keeps clients out is not lost because of another list', async (t) => {
  const { route } = translateOne({
    'whitelist-source-range': '10.0.0.0/8',
    'portico.dev/deny-source-range': '10.0.0.66',
  })
  t.match(optionsOf(route, 'source-range'), { allow: ['10.0.0.0/8'], deny: ['10.0.0.66'] })
})

t.test('a misspelt name gets a suggestion, and closes the routes where it means a guard', async (t) => {
  const guards: Readonly<Record<string, string>> = {
    'whitelist-source-rage': 'whitelist-source-range',
    satisfi: 'satisfy',
    'limit-rsp': 'limit-rps',
    'enable-modsecurty': 'enable-modsecurity',
    'auth-ulr': 'auth-url',
  }
  for (const [name, meant] of Object.entries(guards)) {
    const { route, diagnostics } = translateOne({ [name]: 'x' })
    t.match(route.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_UNSUPPORTED' }, name)
    t.match(diagnostics, [{ severity: 'error', help: `did you mean "${NGINX}${meant}"? Until then` }], name)
  }
  const { route, diagnostics } = translateOne({ 'proxy-body-siez': '1m' })
  t.equal(route.action.type, 'forward')
  t.match(diagnostics, [{ severity: 'warning', help: `did you mean "${NGINX}proxy-body-size"?` }])
})

t.test('under ingress.kubernetes.io/ they are recognised, and not done', async (t) => {
  const { route, diagnostics } = translateOne({ 'ingress.kubernetes.io/rewrite-target': '/' })
  t.equal(route.filters, undefined)
  t.match(diagnostics, [{ code: 'PORTICO_ANN_UNSUPPORTED', help: /^write portico.dev\/rewrite-regex/ }])
})

t.test('problems that the options have point at the annotation that was written', async (t) => {
  const { diagnostics } = translateOne({ 'auth-type': 'basic', 'auth-secret': 'missing' })
  t.match(diagnostics, [
    {
      code: 'PORTICO_REF_SECRET_NOT_FOUND',
      message: `${NGINX}auth-secret: Secret "missing" not found in namespace "default"`,
      position: { line: 3 },
    },
  ])
})

t.test('an annotation that nobody would notice is not mentioned', async (t) => {
  const { diagnostics, route } = translateOne({
    'proxy-buffer-size': '16k',
    'proxy-buffers-number': '8',
    'proxy-http-version': '1.1',
    'client-body-buffer-size': '1m',
    'enable-global-auth': 'true',
    'service-upstream': 'true',
    'preserve-trailing-slash': 'true',
  })
  t.same(diagnostics, [])
  t.equal(route.filters, undefined)
})
