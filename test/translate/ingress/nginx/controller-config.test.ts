/** The ConfigMap of the controller: its keys as settings, where compatibility is on. */
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { ConfigurationLoader, loadConfiguration } from '../../../../lib/control/configuration.ts'
import { SETTING_LIST } from '../../../../lib/settings/resolve.ts'
import { ANNOTATIONS } from '../../../../lib/translate/annotation.ts'
import { KEY_GROUPS, KEY_NAMES, REFUSED_KEYS } from '../../../../lib/translate/ingress/nginx/controller-keys.ts'
import { findAnnotationName } from '../../../../lib/translate/route-policy/option.ts'
import { runPortico } from '../../../bin/process.ts'
import { startDoors } from '../../../doors/request-doors.ts'
import { startAuth } from '../../../filters/auth-server.ts'
import { runGateway, visit } from '../../../helpers/running-gateway.ts'
import { askHost, printIngresses, printService } from './nginx-ingress.ts'

type Data = Readonly<Record<string, string>>

const PAGE = 'docs/ingress-nginx-controller.md'

function printMap(data: Data, name = 'ingress-nginx-controller'): string {
  const meta = { name, namespace: 'ingress-nginx' }
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: ${JSON.stringify(meta)}\ndata: ${JSON.stringify(data)}\n`
}

/** What a configuration with the ConfigMap comes to. */
const resolve = (data: Data, { flags = {}, more = '' }: { flags?: Data; more?: string } = {}) =>
  loadConfiguration({
    sources: ['-'],
    stdin: `${printMap(data)}---\n${more}`,
    flags: { compatibility: 'ingress-nginx', ...flags },
    environment: {},
  })

const readSetting = (settings: object, name: string): unknown =>
  name.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], settings)

t.test('each key comes to its settings', async (t) => {
  const cases: readonly (readonly [data: Data, settings: Readonly<Record<string, unknown>>])[] = [
    [{ 'proxy-body-size': '8m' }, { 'limits.bodyBytes': 8 * 1024 ** 2 }],
    [{ 'proxy-body-size': '0' }, { 'limits.bodyBytes': 0 }],
    [{ 'proxy-connect-timeout': '7' }, { 'timeouts.connect': 7_000 }],
    [
      { 'proxy-read-timeout': '90' },
      { 'timeouts.responseHeaders': 90_000, 'timeouts.responseIdle': 90_000, 'timeouts.tunnelIdle': 90_000 },
    ],
    [{ 'proxy-send-timeout': '9' }, { 'timeouts.writeStall': 9_000 }],
    [{ 'proxy-next-upstream-timeout': '3' }, { 'upstream.retry.within': 3_000 }],
    [
      { 'proxy-next-upstream': 'error http_503 non_idempotent', 'proxy-next-upstream-tries': '5' },
      {
        'upstream.retry.conditions': ['connect-failure', 'reset', '503'],
        'upstream.retry.methods': ['POST', 'LOCK', 'PATCH'],
        'upstream.tries': 5,
      },
    ],
    [{ 'proxy-next-upstream-tries': '0' }, { 'upstream.tries': 0 }],
    [{ 'proxy-next-upstream': 'off', 'proxy-next-upstream-tries': '5' }, { 'upstream.tries': 1 }],
    [{ 'retry-non-idempotent': 'true' }, { 'upstream.retry.methods': ['POST', 'LOCK', 'PATCH'], 'upstream.tries': 3 }],
    [{ 'proxy-buffering': 'on' }, { 'upstream.responseBuffering': 'all' }],
    [{ 'proxy-buffering': 'off' }, { 'upstream.responseBuffering': 'short' }],
    [{ 'proxy-request-buffering': 'off' }, { 'upstream.requestBuffering': 'none' }],
    [{ 'ssl-redirect': 'false' }, { 'https.redirect': false }],
    [{ 'load-balance': 'ewma' }, { 'upstream.balancer': 'ewma' }],
    [{ 'keep-alive': '30' }, { 'timeouts.keepAlive': 30_000 }],
    [{ 'client-header-timeout': '20' }, { 'timeouts.requestHeaders': 20_000 }],
    [{ 'client-body-timeout': '20' }, { 'timeouts.requestBodyIdle': 20_000 }],
    [{ 'upstream-keepalive-timeout': '2' }, { 'timeouts.upstreamKeepAlive': 2_000 }],
    [{ 'enable-underscores-in-headers': 'true' }, { underscoresInHeaders: 'keep' }],
    [{ 'use-http2': 'false' }, { 'https.http2': false }],
    [{ 'ssl-reject-handshake': 'true' }, { 'https.strictSni': true }],
    [{ 'disable-access-log': 'true' }, { 'log.access': false }],
    [{ 'disable-http-access-log': 'true' }, { 'log.access': false }],
    [{ 'disable-access-log': 'true', 'disable-http-access-log': 'false' }, { 'log.access': false }],
    [
      { 'log-format-upstream': '{"status": $status, "id": "$req_id"}', 'log-format-escape-json': 'true' },
      {
        'accessLog.format': 'template',
        'accessLog.template': '{"status": $status, "id": "$req_id"}',
        'accessLog.escape': 'json',
      },
    ],
    [
      { 'log-format-upstream': '$remote_addr [$time_local]' },
      {
        'accessLog.format': 'template',
        'accessLog.template': '$remote_addr [$time_local]',
        'accessLog.escape': 'text',
      },
    ],
    [{ 'log-format-escape-json': 'true' }, { 'accessLog.format': 'auto' }],
    [{ 'ssl-protocols': 'TLSv1.3' }, { 'https.minVersion': 'TLSv1.3' }],
    [{ 'ssl-protocols': 'TLSv1.1 TLSv1.2' }, { 'https.minVersion': 'TLSv1.2' }],
    [
      { 'use-forwarded-headers': 'true', 'proxy-real-ip-cidr': '10.0.0.0/8, 192.0.2.1' },
      { trustedProxies: ['10.0.0.0/8', '192.0.2.1'], 'http.proxyProtocol': 'none' },
    ],
    [{ 'enable-real-ip': 'true', 'proxy-real-ip-cidr': '10.0.0.0/8' }, { trustedProxies: ['10.0.0.0/8'] }],
    [
      { 'use-proxy-protocol': 'true', 'proxy-real-ip-cidr': '10.0.0.0/8' },
      { trustedProxies: ['10.0.0.0/8'], 'http.proxyProtocol': 'required', 'https.proxyProtocol': 'required' },
    ],
  ]
  for (const [data, expected] of cases) {
    const { settings, provenance, diagnostics } = await resolve(data)
    t.same(diagnostics, [], JSON.stringify(data))
    for (const [name, value] of Object.entries(expected)) {
      t.same(readSetting(settings, name), value, `${JSON.stringify(data)} ${name}`)
      if (name.startsWith('timeouts')) t.equal(provenance.get(name), 'compatibility')
    }
  }
})

t.test('options of all routes', async (t) => {
  const usual = { hsts: 'max-age=31536000; includeSubDomains' }
  const cases: readonly (readonly [data: Data, routes: Data])[] = [
    [{}, usual],
    [{ hsts: 'false' }, {}],
    [{ 'hsts-max-age': '60', 'hsts-include-subdomains': 'false' }, { hsts: 'max-age=60' }],
    [{ 'hsts-preload': 'true' }, { hsts: 'max-age=31536000; includeSubDomains; preload' }],
    [{ 'force-ssl-redirect': 'true' }, { ...usual, httpsRedirect: 'true' }],
    [{ 'whitelist-source-range': '10.0.0.0/8' }, { ...usual, allowSourceRange: '10.0.0.0/8' }],
    [
      { 'denylist-source-range': '192.0.2.0/24', 'block-cidrs': '198.51.100.7' },
      { ...usual, denySourceRange: '192.0.2.0/24, 198.51.100.7' },
    ],
    [{ 'hide-headers': 'X-Powered-By' }, { ...usual, responseHeadersRemove: 'X-Powered-By' }],
    [
      { 'use-gzip': 'true', 'enable-brotli': 'true', 'gzip-min-length': '900' },
      { ...usual, compress: 'br, gzip', compressMinSize: '900' },
    ],
    [
      { 'add-headers': 'ingress-nginx/fields', 'proxy-set-headers': 'fields' },
      {
        ...usual,
        responseHeadersSet: `X-Site: shop\nX-Host: \${request.host}`,
        requestHeadersSet: `X-Site: shop\nX-Host: \${request.host}`,
      },
    ],
  ]
  const more = printMap({ 'X-Site': 'shop', 'X-Host': '$host', 'X-Broken': 'a\nb' }, 'fields')
  for (const [data, routes] of cases) {
    const { settings, diagnostics } = await resolve(data, { more })
    t.same(diagnostics, [], JSON.stringify(data))
    t.same(settings.routes, routes, JSON.stringify(data))
  }
})

t.test('what the settings say goes before, and no key is read without compatibility', async (t) => {
  const data = { 'proxy-body-size': '8m', 'whitelist-source-range': '10.0.0.0/8' }
  const own = await resolve(data, { flags: { 'limits.bodyBytes': '2Mi' } })
  t.equal(own.settings.limits.bodyBytes, 2 * 1024 ** 2)
  const off = await resolve(data, { flags: { compatibility: 'off' } })
  t.equal(off.settings.limits.bodyBytes, 0)
  t.same(off.settings.routes, {})
  t.same(off.controllerObjects, [])
})

t.test('the ConfigMap is found by its name, and the setting names another', async (t) => {
  const more = printMap({ 'proxy-body-size': '3m' }, 'edge')
  const first = await resolve({ 'proxy-body-size': '8m' }, { more })
  t.equal(first.settings.limits.bodyBytes, 8 * 1024 ** 2)
  const release = printMap({ 'proxy-body-size': '4m' }, 'a-ingress-nginx-controller')
  const several = await resolve({ 'proxy-body-size': '8m' }, { more: release })
  t.match(several.diagnostics, [
    { code: 'PORTICO_SET_CONTROLLER', severity: 'error', message: / may be the ConfigMap / },
  ])
  t.match(several.settings.routes, { maintenance: 'true' })
  const twice = await resolve({ 'proxy-body-size': '8m' }, { more: printMap({ 'proxy-body-size': '4m' }) })
  t.equal(twice.settings.limits.bodyBytes, 8 * 1024 ** 2, 'of two with one name the first counts')
  const named = await resolve({}, { more, flags: { controllerConfigmap: 'ingress-nginx/edge' } })
  t.equal(named.settings.limits.bodyBytes, 3 * 1024 ** 2)
  t.match(named.controllerObjects, [{ name: 'ConfigMap ingress-nginx/edge', count: 1 }])
  const lost = await resolve({}, { more, flags: { controllerConfigmap: 'ingress-nginx/egde' } })
  t.match(lost.diagnostics, [{ code: 'PORTICO_SET_FIELD_VALUE', help: 'did you mean "ingress-nginx/edge"?' }])
})

t.test('what is not done is told, with its place', async (t) => {
  const told = async (data: Data) => (await resolve(data)).diagnostics
  t.match(await told({ 'proxy-body-sise': '8m' }), [
    {
      code: 'PORTICO_SET_CONTROLLER',
      severity: 'warning',
      help: 'did you mean "proxy-body-size"?',
      position: { line: 4 },
    },
  ])
  t.match(await told({ 'proxy-body-size': 'big' }), [
    { severity: 'warning', message: 'proxy-body-size: the value is no size' },
  ])
  t.match(await told({ 'use-forwarded-headers': 'true' }), [{ severity: 'warning', message: /no proxy is named/ }])
  t.match(await told({ 'enable-real-ip': 'true', 'proxy-real-ip-cidr': '10.0.0.300' }), [
    { severity: 'warning', message: /^proxy-real-ip-cidr: .*10\.0\.0\.300/ },
  ])
  t.match(await told({ 'hsts-preload': 'true', 'hsts-max-age': '60' }), [
    { severity: 'warning', message: /preload list/ },
  ])
  t.match(await told({ 'add-headers': 'lost' }), [
    { severity: 'warning', message: /no ConfigMap ingress-nginx\/lost$/ },
  ])
  t.match(await told({ 'limit-rate': '1' }), [{ severity: 'warning', message: /bandwidth$/ }])
  t.match(await told({ 'limit-req-status-code': '200' }), [{ severity: 'warning', message: /no status/ }])
  t.same(await told({ 'worker-processes': '4', 'enable-modsecurity': 'false', 'global-auth-url': '' }), [])
})

t.test('a guard that cannot be done closes all routes, unless such guards are to be served', async (t) => {
  const guards = Object.entries(REFUSED_KEYS).filter(([, { isGuard }]) => isGuard)
  t.ok(guards.length > 5)
  const broken: Data[] = [
    { 'whitelist-source-range': 'office' },
    { 'global-auth-url': 'a b' },
    { 'block-cidrs': 'x y' },
  ]
  for (const data of [...guards.map(([name]) => ({ [name]: 'true' })), ...broken]) {
    const { settings, diagnostics } = await resolve(data)
    t.match(settings.routes, { maintenance: 'true' }, JSON.stringify(data))
    t.match(diagnostics, [{ code: 'PORTICO_SET_CONTROLLER', severity: 'error' }])
    const served = await resolve(data, { flags: { unsupportedGuards: 'serve' } })
    t.notOk('maintenance' in served.settings.routes)
  }
})

t.test('a ConfigMap with errors closes all routes; so does a guard that a reload brings', async (t) => {
  const faulty = `${printMap({ 'global-auth-url': 'https://auth.test/' }).trimEnd().slice(0, -1)}, use-gzip: true}\n`
  const { settings, diagnostics } = await loadConfiguration({
    sources: ['-'],
    stdin: faulty,
    flags: { compatibility: 'ingress-nginx' },
    environment: {},
  })
  t.match(settings.routes, { maintenance: 'true' })
  t.ok(diagnostics.some(({ code, severity }) => code === 'PORTICO_SET_CONTROLLER' && severity === 'error'))
  const text = (data: Data) =>
    `${printMap(data)}---\n${printIngresses({ a: { nginx: {} } })}---\n${printService('web')}`
  const gateway = await runGateway(t, text({}), { flags: { compatibility: 'ingress-nginx' } })
  t.equal((await visit(gateway, 'http://a.test/')).status, 502)
  await gateway.change(text({ 'block-user-agents': 'curl' }))
  t.equal((await visit(gateway, 'http://a.test/')).status, 503)
  await gateway.change(text({}))
  t.equal((await visit(gateway, 'http://a.test/')).status, 502)
})

t.test('a key of binaryData has its own place, and names of inherited members are keys like others', async (t) => {
  const meta = { name: 'ingress-nginx-controller', namespace: 'ingress-nginx' }
  const stdin = `apiVersion: v1\nkind: ConfigMap\nmetadata: ${JSON.stringify(meta)}\ndata: {constructor: x}\nbinaryData:\n  block-user-agents: eA==\n`
  const { diagnostics } = await loadConfiguration({
    sources: ['-'],
    stdin,
    flags: { compatibility: 'ingress-nginx' },
    environment: {},
  })
  t.match(diagnostics, [
    { message: 'constructor: this key is not read', position: { line: 4 } },
    { message: /^block-user-agents: /, position: { line: 6 } },
  ])
})

t.test('over sockets: a size, a field, a guard; the start says whose defaults hold', async (t) => {
  const start = (data: Data) =>
    startDoors(
      t,
      { compatibility: 'ingress-nginx' },
      `---\n${printMap(data)}---\n${printMap({ 'X-Site': 'shop' }, 'fields')}---\n${printIngresses({ a: { nginx: {} } })}`,
    )
  const doors = await start({ 'proxy-body-size': '10', 'add-headers': 'fields' })
  for (const door of doors.names) {
    const answer = await askHost(doors, door, 'a')
    t.equal(answer.status, 200, door)
    t.same(answer.field('x-site'), ['shop'], door)
    t.equal((await askHost(doors, door, 'a', { method: 'POST', body: 'x'.repeat(11) })).status, 413, door)
  }
  const closed = await start({ 'block-user-agents': 'curl' })
  for (const door of closed.names) t.equal((await askHost(closed, door, 'a')).status, 503, door)
})

t.test('portico get settings shows what the ConfigMap says, and check where it stands', async (t) => {
  const stdin = `${printMap({ 'proxy-body-size': '8m', 'block-referers': 'x' })}---\n${printService('web')}`
  const words = ['-f', '-', '--compatibility', 'ingress-nginx']
  const { stdout } = await runPortico(['get', 'settings', ...words], { stdin })
  t.match(stdout, /limits\.bodyBytes +8Mi +compatibility/)
  const { status, stderr, stdout: told } = await runPortico(['check', ...words], { stdin })
  t.equal(status, 1)
  t.match(`${stdout}${stderr}${told}`, /block-referers: requests are not told apart by Referer/)
})

t.test('EA9 global-auth-url guards all Ingresses that have no auth server of their own, at all doors', async (t) => {
  const status = (path: string) => (path.startsWith('/yes') ? 200 : 401)
  const { url, asked } = await startAuth(t, (request, response) => {
    response.writeHead(status(request.url ?? ''), { 'X-User': 'alice' }).end()
  })
  const { origin } = new URL(url)
  const data = {
    'global-auth-url': `${origin}/no`,
    'global-auth-response-headers': 'X-User',
    'global-auth-signin': 'https://login.test/start',
    'limit-req-status-code': '429',
  }
  const ingresses = printIngresses({
    plain: { nginx: {} },
    off: { nginx: { 'enable-global-auth': 'false' } },
    own: { nginx: { 'auth-url': `${origin}/yes` } },
    part: { nginx: { 'auth-signin': 'https://own.test/', 'enable-global-auth': 'true' } },
    acme: { nginx: {}, paths: [['/.well-known/acme-challenge/token', 'Exact']] },
    rest: {
      nginx: {},
      paths: [['/.well-known/acme-challenge/token', 'Exact']],
      more: 'defaultBackend: {service: {name: web, port: {number: 80}}}',
    },
    odd: { nginx: { 'enable-global-auth': ' false ' } },
    limited: { nginx: { 'limit-rps': '1', 'limit-burst-multiplier': '1', 'enable-global-auth': 'false' } },
  })
  const flags = { compatibility: 'ingress-nginx' }
  const doors = await startDoors(t, flags, `---\n${printMap(data)}---\n${ingresses}`)
  for (const door of doors.names) {
    const before = asked.length
    const refused = await askHost(doors, door, 'plain')
    t.equal(refused.status, 302, door)
    t.match(refused.field('location')[0], /^https:\/\/login\.test\/start/, door)
    t.equal(asked.length, before + 1, door)
    t.match((await askHost(doors, door, 'part')).field('location')[0], /^https:\/\/login\.test\/start/, door)
    t.equal((await askHost(doors, door, 'own')).status, 200, door)
    t.equal((await askHost(doors, door, 'rest')).status, 302, door)
    t.equal((await askHost(doors, door, 'odd')).status, 302, door)
    const open = asked.length
    t.equal((await askHost(doors, door, 'off')).status, 200, door)
    t.equal((await askHost(doors, door, 'acme', { target: '/.well-known/acme-challenge/token' })).status, 200, door)
    t.equal(asked.length, open, `${door}: nobody is asked`)
  }
  const statuses = new Set<number>()
  for (let count = 0; count < 8; count++) statuses.add((await askHost(doors, doors.names[0]!, 'limited')).status)
  t.same([...statuses].sort(), [200, 429])

  const passing = await startDoors(
    t,
    flags,
    `---\n${printMap({ ...data, 'global-auth-url': `${origin}/yes` })}---\n${ingresses}`,
  )
  for (const door of passing.names) {
    const { status, upstream } = await askHost(passing, door, 'plain')
    t.equal(status, 200, door)
    t.match(upstream.join('\n'), /^x-user: alice$/im, door)
  }
})

t.test('what the ConfigMap gives has its place there, and no manifest is rewritten for it', async (t) => {
  const data = { 'global-auth-url': 'https://auth.test/', 'global-auth-signin': 'https://$nothing/' }
  const more = `${printIngresses({ a: { nginx: { 'limit-rps': '5' } } })}---\n${printService('web')}`
  const { diagnostics } = await resolve(data, { more })
  t.match(diagnostics, [{ message: /auth-signin/, position: { line: 4, column: 68 } }])
  const stdin = `${printMap({ 'global-auth-url': 'https://auth.test/' })}---\n${more}`
  const words = ['migrate', '-', '--write', '--compatibility', 'ingress-nginx']
  const { stdout, stderr } = await runPortico(words, { stdin })
  t.match(stdout, '"portico.dev/rate-limit": "5/s"')
  t.notMatch(stdout, 'portico.dev/auth-url')
  t.match(stderr, /global-auth-url of the ConfigMap of the controller says it/)
})

t.test('equal ConfigMaps leave Ingresses the same objects', async (t) => {
  const text = `${printMap({ 'global-auth-url': 'https://auth.test/' })}---\n${printIngresses({ a: { nginx: {} } })}`
  const flags = { compatibility: 'ingress-nginx' }
  const loader = new ConfigurationLoader({ sources: ['-'], stdin: text, flags, environment: {} })
  const [first, second] = [await loader.load(), await loader.load()]
  t.equal(first.resources.all('Ingress')[0], second.resources.all('Ingress')[0])
})

t.test('settings and options exist; a key stands in one list alone', async (t) => {
  t.equal(new Set(KEY_NAMES).size, KEY_NAMES.length)
  const names = new Set(SETTING_LIST.map(({ name }) => name))
  for (const { keys } of KEY_GROUPS) {
    for (const name of Object.values(keys).flatMap(({ settings }) => settings)) {
      t.ok(names.has(name) || ANNOTATIONS.has(findAnnotationName(name.replace('routes.', ''))), name)
    }
  }
})

t.test(`${PAGE} lists every key`, async (t) => {
  const rows = KEY_GROUPS.flatMap(({ keys }) =>
    Object.entries(keys).map(([name, { settings, differs }]) => {
      const here = settings.map((setting) => `\`${setting}\``).join(', ')
      return `| \`${name}\` | ${differs === undefined ? 'exact' : 'differs'} | ${[here, differs].filter(Boolean).join('; ')} |`
    }),
  )
  const refused = Object.entries(REFUSED_KEYS).map(
    ([name, { why, isGuard }]) => `| \`${name}\` | refused | ${why}${isGuard ? '; closes all routes' : ''} |`,
  )
  const [written] = /^[\s\S]*?^<!-- keys: .* -->\n/m.exec(readFileSync(PAGE, 'utf8')) ?? []
  t.ok(written, 'the page has the mark')
  const expected = `${written}\n| key | support | here |\n|---|---|---|\n${[...rows, ...refused].join('\n')}\n`
  if (process.env.UPDATE === '1') writeFileSync(PAGE, expected)
  t.equal(readFileSync(PAGE, 'utf8'), expected, 'UPDATE=1 rewrites the list')
})
