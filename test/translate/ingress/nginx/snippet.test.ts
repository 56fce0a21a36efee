/** Snippets: configuration-snippet and server-snippet, at all doors; what is not read is told by its line, and what guards closes. */
import t from 'tap'
import { findIngressTable } from '../../../../lib/model/route-table.ts'
import { translateText } from '../../manifests.ts'
import { askHost, optionsOf, printService, startNginx, translateNginx, translateOne } from './nginx-ingress.ts'

const snippet = (text: string) => ({ 'configuration-snippet': text })
const from = (client: string) => ['x-forwarded-for', client] as const

t.test('SN2 fields of answers and of requests', async (t) => {
  const plain = {
    pieces: [
      'HTTP/1.1 404 Not Found\r\nServer: app\r\nX-Powered-By: a\r\nX-Old: b\r\nX-Frame-Options: ALLOW\r\nContent-Length: 0\r\n\r\n',
    ],
  }
  const doors = await startNginx(
    t,
    {
      fields: {
        nginx: snippet(`
          # security
          more_set_headers "X-Frame-Options: DENY" 'X-Host: $host';
          more_set_headers "X-Old:";
          more_clear_headers "Server: " X-Gone;
          add_header X-Content-Type-Options "nosniff" always;
          add_header Cache-Control "public, max-age=60";
          add_header X-Empty "";
          proxy_hide_header X-Powered-By;
          proxy_set_header X-Env staging;
          proxy_set_header X-Client "\${remote_addr} $http_x_tenant";
          proxy_set_header Accept-Encoding "";
          proxy_set_header Host $host;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection "upgrade";
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          more_set_input_headers "X-Input: 1";
          more_clear_input_headers X-Secret;
          proxy_http_version 1.1;
        `),
      },
    },
    '',
    { '/': plain },
  )
  for (const door of doors.names) {
    const answer = await askHost(doors, door, 'fields', {
      fields: [
        ['x-tenant', 'acme'],
        ['accept-encoding', 'gzip'],
        ['x-secret', 's'],
      ],
    })
    t.equal(answer.status, 404, door)
    t.same(answer.field('x-frame-options'), ['DENY'], door)
    t.same(answer.field('x-host'), ['fields.test'])
    t.same(answer.field('x-content-type-options'), ['nosniff'])
    t.same(answer.field('cache-control'), ['public, max-age=60'])
    for (const name of ['x-old', 'x-powered-by', 'x-empty']) t.same(answer.field(name), [], name)
    t.notMatch(answer.field('server'), ['app'])
    const asked = answer.upstream.join('\n').toLowerCase()
    t.match(asked, /x-env: staging/, door)
    t.match(asked, /x-client: 127\.0\.0\.1 acme/)
    t.match(asked, /x-input: 1/)
    t.notMatch(asked, /accept-encoding: gzip|x-secret|connection: upgrade/)
  }
})

t.test('no client says in its own words what a snippet was to say', async (t) => {
  const doors = await startNginx(t, {
    unknown: {
      nginx: snippet(`
        proxy_set_header X-Client-Verify $ssl_client_verify;
        proxy_set_header X-Remote-User $remote_user;
        more_set_input_headers "X-Zone: $zone";
      `),
    },
  })
  for (const door of doors.names) {
    const { status, upstream } = await askHost(doors, door, 'unknown', {
      fields: [
        ['x-client-verify', 'SUCCESS'],
        ['x-remote-user', 'root'],
        ['x-zone', 'inside'],
      ],
    })
    t.equal(status, 200, door)
    const asked = upstream.join('\n').toLowerCase()
    t.notMatch(asked, /x-client-verify|x-remote-user|x-zone/, door)
  }
  const { diagnostics } = translateOne(snippet('proxy_set_header X-Remote-User $remote_user;'))
  t.match(diagnostics, [{ severity: 'warning', message: /requests go on without the field/ }])
  const own = translateOne(snippet('proxy_set_header X-Forwarded-Port $server_port;'))
  t.equal(own.route.filters, undefined, 'the gateway itself writes the field')
  for (const text of [
    "more_clear_input_headers 'X-User-*';",
    'more_clear_input_headers -r X-User;',
    'proxy_pass_request_headers off;',
  ]) {
    t.ok(translateOne(snippet(text)).route.action.type === 'unavailable', text)
  }
})

t.test('proxy_set_header Host is the host that endpoints are asked for', async (t) => {
  const { route, diagnostics } = translateOne(snippet('proxy_set_header Host app.internal:8080;'))
  t.match(optionsOf(route, 'url-rewrite'), { host: 'app.internal:8080' })
  t.same(diagnostics, [])
  t.match(translateOne(snippet('proxy_set_header Host $proxy_host;')).diagnostics, [{ severity: 'warning' }])
})

t.test('SN5 return: answers and redirects of all requests', async (t) => {
  const doors = await startNginx(t, {
    gone: { nginx: snippet('return 410;') },
    text: { nginx: snippet(`default_type application/json;\nreturn 200 '{"ok":true}\\n';`) },
    silent: { nginx: snippet('return 444;') },
    moved: { nginx: snippet('return 301 https://new.example.com$request_uri;') },
    local: { nginx: snippet('return 302 /login?from=$host;') },
    bare: { nginx: snippet('return https://other.example.com/;') },
    rewritten: { nginx: snippet('rewrite ^/(.*)$ https://new.example.com/$1 permanent;') },
    fixed: { nginx: snippet('rewrite ^ https://new.example.com/all redirect;') },
    root: { nginx: snippet('rewrite ^/$ /app redirect;') },
  })
  const cases: readonly (readonly [host: string, target: string, status: number, location: readonly string[]])[] = [
    ['gone', '/', 410, []],
    ['silent', '/', 403, []],
    ['moved', '/a?b=c', 301, ['https://new.example.com/a?b=c']],
    ['local', '/a', 302, ['/login?from=local.test']],
    ['bare', '/a', 302, ['https://other.example.com/']],
    ['rewritten', '/a/b?c', 301, ['https://new.example.com/a/b?c']],
    ['fixed', '/a?b', 302, ['https://new.example.com/all?b']],
    ['root', '/x', 200, []],
  ]
  for (const door of doors.names) {
    for (const [host, target, status, location] of cases) {
      const answer = await askHost(doors, door, host, { target })
      t.equal(answer.status, status, `${door} ${host}`)
      t.same(answer.field('location'), location, `${door} ${host}`)
      if (host !== 'root') t.same(answer.upstream, [], 'no endpoint is asked')
    }
    const text = await askHost(doors, door, 'text')
    t.equal(text.body, '{"ok":true}\n')
    t.same(text.field('content-type'), ['application/json'])
    t.match((await askHost(doors, door, 'root')).field('location')[0], /\/app$/)
  }
})

t.test('rewrite: the path that endpoints are asked for', async (t) => {
  const doors = await startNginx(t, {
    strip: { nginx: snippet('rewrite ^/api/(.*)$ /$1 break;') },
    part: { nginx: snippet('rewrite /v1/ /old last;') },
  })
  for (const door of doors.names) {
    const first = async (host: string, target: string) => (await askHost(doors, door, host, { target })).upstream[0]
    t.match(await first('strip', '/api/a/b?c=d'), /GET \/a\/b\?c=d /, door)
    t.match(await first('strip', '/other'), /GET \/other /, door)
    t.match(await first('part', '/a/v1/b'), /GET \/old /, 'nginx replaces the whole path')
  }
})

t.test('SN6 if: one answer under a condition on a method, a field, a parameter or a cookie', async (t) => {
  const doors = await startNginx(t, {
    method: { nginx: snippet('if ($request_method = POST) { return 405; }') },
    methods: { nginx: snippet('if ($request_method !~ ^(GET|HEAD|POST)$) {\n  return 405;\n}') },
    agent: { nginx: snippet('if ($http_user_agent ~* "(nikto|sqlmap)") { return 403; }') },
    front: { nginx: snippet('if ($http_x_azure_fdid != "5555-aaaa") { return 403; }') },
    token: { nginx: snippet('if ($arg_token = "") { return 401; }') },
    cookie: { nginx: snippet('if ($cookie_beta = "1") { return 302 https://beta.example.com$request_uri; }') },
    there: { nginx: snippet('if ($http_x_blocked) { return 403; }') },
    two: {
      nginx: snippet(
        'if ($http_x_bad = "1") { return 403; }\nif ($request_method !~* "^(get|head)$") { return 405; }\nmore_set_headers "X-A: b";',
      ),
    },
    third: { nginx: snippet('if ($http_user_agent = "") { return 403; }\nreturn 204;') },
  })
  type Case = readonly [
    host: string,
    request: { method?: string; target?: string; fields?: readonly (readonly [string, string])[] },
    status: number,
  ]
  const cases: readonly Case[] = [
    ['method', { method: 'POST' }, 405],
    ['method', { method: 'PUT' }, 200],
    ['methods', { method: 'GET' }, 200],
    ['methods', { method: 'POST' }, 200],
    ['methods', { method: 'DELETE' }, 405],
    ['agent', { fields: [['user-agent', 'Mozilla Nikto/2']] }, 403],
    ['agent', { fields: [['user-agent', 'Mozilla']] }, 200],
    ['agent', {}, 200],
    ['front', { fields: [['x-azure-fdid', '5555-aaaa']] }, 200],
    ['front', { fields: [['x-azure-fdid', 'other']] }, 403],
    ['front', {}, 403],
    ['token', { target: '/?token=a' }, 200],
    ['token', { target: '/?token=' }, 401],
    ['token', {}, 401],
    ['cookie', { fields: [['cookie', 'a=b; beta=1']] }, 302],
    ['cookie', { fields: [['cookie', 'beta=2']] }, 200],
    ['there', { fields: [['x-blocked', 'yes']] }, 403],
    ['there', { fields: [['x-blocked', '0']] }, 200],
    ['there', { fields: [['x-blocked', '']] }, 200],
    ['two', {}, 200],
    ['two', { fields: [['x-bad', '1']] }, 403],
    ['two', { method: 'PUT' }, 405],
    ['two', { method: 'PUT', fields: [['x-bad', '1']] }, 403],
    ['third', {}, 403],
    ['third', { fields: [['user-agent', 'a']] }, 204],
  ]
  for (const door of doors.names) {
    for (const [host, request, status] of cases) {
      const answer = await askHost(doors, door, host, request)
      t.equal(answer.status, status, `${door} ${host} ${JSON.stringify(request)}`)
      if (host === 'two') t.same(answer.field('x-a'), ['b'], 'fields are those of all answers')
      if (status === 302) t.same(answer.field('location'), ['https://beta.example.com/'])
    }
  }
})

t.test('if: an expression for methods means all methods in which it finds something', async (t) => {
  const methodsOf = (condition: string) =>
    translateOne(snippet(`if ($request_method ${condition}) { return 405; }`)).route.match.conditions?.methods
  t.same(methodsOf('~ ^P'), ['P', 'PATCH', 'POST', 'PROPFIND', 'PROPPATCH', 'PURGE', 'PUT'])
  t.same(methodsOf('~* patch'), ['PATCH', 'PROPPATCH'])
  t.same(methodsOf('~ ^(LOCK|OWN)$'), ['LOCK', 'OWN'])
  t.same(methodsOf('= LOCK'), ['LOCK'])
})

t.test('if: a parameter is not compared with text that is percent-encoded', async (t) => {
  const { route } = translateOne(snippet('if ($arg_file ~ "%2e%2e") { return 403; }'))
  t.equal(route.action.type, 'unavailable')
})

t.test('an answer for one path does not rewrite', async (t) => {
  const nginx = { 'rewrite-target': '/$2', ...snippet('rewrite ^(/dashboard)$ $1/ redirect;') }
  const { diagnostics, routes } = translateNginx({
    a: { nginx, paths: [['/dashboard(/|$)(.*)', 'ImplementationSpecific']] },
  })
  t.same(diagnostics, [], 'no group of the path is missed')
  t.same(
    routes.map(({ filters }) => filters?.map(({ name }) => name)),
    [['redirect'], ['url-rewrite']],
  )
})

t.test('answers for one path', async (t) => {
  const doors = await startNginx(t, {
    dash: {
      nginx: {
        'rewrite-target': '/$2',
        ...snippet('rewrite ^(/dashboard)$ $1/ redirect;\nrewrite ^/old\\.html$ https://new.example.com/n permanent;'),
      },
      paths: [
        ['/dashboard(/|$)(.*)', 'ImplementationSpecific'],
        ['/old.html', 'ImplementationSpecific'],
      ],
    },
    cloud: {
      nginx: {
        'server-snippet': `location = /.well-known/carddav {
  return 301 $scheme://$host/remote.php/dav;
}
location = /private { deny all; }
location = /api { return 404; }
location = /callback { return 307 /auth$is_args$args; }`,
      },
    },
    api: { host: 'cloud.test', paths: [['/api', 'Exact'], ['/api/v1']], nginx: {} },
    taken: { nginx: snippet('rewrite ^(/a)$ $1/ redirect;') },
    other: { host: 'taken.test', paths: [['/a']], nginx: {} },
  })
  const cases: readonly (readonly [host: string, target: string, status: number, location?: RegExp])[] = [
    ['dash', '/dashboard?a=b', 302, /^https?:\/\/dash\.test(?::\d+)?\/dashboard\/\?a=b$/],
    ['dash', '/dashboard/', 200],
    ['dash', '/dashboard/x', 200],
    ['dash', '/old.html', 301, /^https:\/\/new\.example\.com\/n$/],
    ['cloud', '/.well-known/carddav', 301, /\/\/cloud\.test\/remote\.php\/dav$/],
    ['cloud', '/.well-known/carddav/x', 200],
    ['cloud', '/callback?a=b', 307, /\/auth\?a=b$/],
    ['cloud', '/callback', 307, /\/auth$/],
    ['cloud', '/private', 403],
    ['cloud', '/private/x', 200],
    ['cloud', '/api', 404],
    ['cloud', '/api/v1', 200],
    ['cloud', '/', 200],
    ['taken', '/a', 200],
    ['taken', '/b', 200],
  ]
  for (const door of doors.names) {
    for (const [host, target, status, location] of cases) {
      const answer = await askHost(doors, door, host, { target })
      t.equal(answer.status, status, `${door} ${host} ${target}`)
      if (location) t.match(answer.field('location')[0], location)
    }
  }
})

t.test(
  'an answer for one path leaves the requests alone that a route with conditions of another Ingress takes',
  async (t) => {
    const { routes } = translateNginx({
      a: { created: '2020-01-01T00:00:00Z', host: 'x.test', nginx: snippet('rewrite ^(/a)$ $1/ redirect;') },
      b: {
        created: '2021-01-01T00:00:00Z',
        host: 'x.test',
        paths: [['/a']],
        nginx: { 'portico.dev/match-methods': 'GET' },
      },
    })
    t.same(
      routes.map(({ match, owner }) => `${owner.name} ${match.type} ${match.path}`),
      ['b prefix /a', 'a prefix /'],
    )
    const { routes: one, diagnostics } = translateNginx({
      a: {
        host: 'x.test',
        nginx: snippet('rewrite ^(/a)$ $1/ redirect;\nif ($request_method = POST) { return 405; }'),
      },
    })
    t.same(diagnostics, [])
    t.equal(one.length, 4)
  },
)

t.test('if: a host of several', async (t) => {
  const text = `if ($host = "www.shop.test") { rewrite ^ https://shop.test$request_uri permanent; }
if ($host ~* ^old\\.) { return 308 https://shop.test$request_uri; }`
  const more = `rules: [${['www.shop.test', 'old.test'].map((host) => `{host: ${host}, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}`).join(', ')}]`
  const doors = await startNginx(
    t,
    {},
    `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: hosts, annotations: ${JSON.stringify({ 'nginx.ingress.kubernetes.io/configuration-snippet': text })}}
spec: {${more.replace(/]$/, '')}, {host: shop.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`,
  )
  for (const door of doors.names) {
    const www = await askHost(doors, door, 'www.shop', { target: '/a?b' })
    t.equal(www.status, 301, door)
    t.same(www.field('location'), ['https://shop.test/a?b'])
    t.equal((await askHost(doors, door, 'old')).status, 308, door)
    t.equal((await askHost(doors, door, 'shop')).status, 200, door)
  }
  const one = (host: string, alias: Record<string, string> = {}) =>
    translateNginx({
      a: { host, nginx: { ...snippet('if ($host = "a.test") { return 301 https://b.test/; }'), ...alias } },
    })
  t.same(one('a.test').diagnostics, [])
  t.match(one('a.test').routes, [{ filters: [{ name: 'redirect' }] }])
  for (const { routes, diagnostics } of [
    one('*.a.test'),
    one('a.test', { 'server-alias': 'b.test' }),
    one('a.test', { 'portico.dev/host-aliases': 'b.test' }),
  ]) {
    t.match(diagnostics, [{ severity: 'warning', message: /line 1: "if" is not done: a host/ }])
    t.equal(routes[0]!.filters, undefined)
  }
})

t.test('if: the redirect to HTTPS behind a proxy that is trusted', async (t) => {
  const doors = await startNginx(
    t,
    {
      secure: {
        nginx: snippet('if ($http_x_forwarded_proto = "http") { return 301 https://$host$request_uri; }'),
      },
    },
    '',
    {},
    { trustedProxies: '127.0.0.0/8' },
  )
  for (const door of doors.names) {
    const ask = (proto: string) =>
      askHost(doors, door, 'secure', { target: '/a?b', fields: [['x-forwarded-proto', proto]] })
    t.equal((await ask('https')).status, 200, door)
    const sent = await ask('http')
    t.equal(sent.status, 308, door)
    t.match(sent.field('location')[0], /^https:\/\/secure\.test(?::\d+)?\/a\?b$/)
  }
  for (const condition of [
    '$scheme = http',
    '$scheme != "https"',
    '$https = ""',
    '$http_x_forwarded_proto !~* https',
  ]) {
    const { route } = translateOne(snippet(`if (${condition}) { return 301 https://$http_host$request_uri; }`))
    t.same(optionsOf(route, 'https-redirect'), { redirects: true }, condition)
  }
  const { diagnostics } = translateOne(
    snippet('if ($http_x_forwarded_proto != "https") { return 301 https://$server_name$request_uri; }'),
  )
  t.match(diagnostics, [{ severity: 'warning', message: /trustedProxies/ }])
  const beside = translateOne({
    'ssl-redirect': 'false',
    ...snippet('if ($http_x_forwarded_proto = "http") { return 301 https://$host$request_uri; }'),
  })
  t.same(optionsOf(beside.route, 'https-redirect'), { redirects: true }, 'ssl-redirect is about the host alone')
})

t.test('SN4 allow and deny', async (t) => {
  const doors = await startNginx(
    t,
    {
      inside: { nginx: snippet('allow 10.0.0.0/8;\nallow 2001:db8::/32;\ndeny all;') },
      nobody: { nginx: snippet('deny all;') },
      denied: { nginx: snippet('deny 10.0.0.66;\nallow all;') },
      both: { nginx: snippet('deny 10.0.0.66; allow 10.0.0.0/8; deny all;') },
      late: { nginx: snippet('allow 10.0.0.0/8; deny 10.0.0.66; deny all;') },
      listed: { nginx: { 'whitelist-source-range': '10.0.0.0/8', ...snippet('allow 192.0.2.0/24; deny all;') } },
    },
    '',
    {},
    { trustedProxies: '127.0.0.0/8' },
  )
  const cases: readonly (readonly [host: string, client: string, status: number])[] = [
    ['inside', '10.1.1.1', 200],
    ['inside', '2001:db8::1', 200],
    ['inside', '192.0.2.1', 403],
    ['nobody', '10.1.1.1', 403],
    ['nobody', '2001:db8::1', 403],
    ['denied', '10.0.0.66', 403],
    ['denied', '10.0.0.67', 200],
    ['both', '10.0.0.66', 403],
    ['both', '10.0.0.67', 200],
    ['both', '192.0.2.1', 403],
    ['late', '10.0.0.66', 200],
    ['late', '192.0.2.1', 403],
    ['listed', '10.0.0.1', 200],
    ['listed', '192.0.2.1', 403],
  ]
  for (const door of doors.names) {
    for (const [host, client, status] of cases) {
      const answer = await askHost(doors, door, host, { fields: [from(client)] })
      t.equal(answer.status, status, `${door} ${host} ${client}`)
    }
  }
  for (const text of ['allow 10.0.0.0/8; deny 10.0.0.66;', 'deny 10.0.0.66/99; deny all; allow x;', 'deny unix:;']) {
    const { route, diagnostics } = translateOne(snippet(text))
    t.match(route.action, { type: 'unavailable', code: /^PORTICO_GW_GUARD_/ }, text)
    t.match(diagnostics, [
      { code: 'PORTICO_ANN_GUARD_UNSUPPORTED' },
      { message: /line 1: "\w+" is not done, and may guard/ },
    ])
  }
  for (const name of ['denylist-source-range', 'portico.dev/deny-source-range']) {
    const { route } = translateOne({ [name]: '10.0.0.1', ...snippet('deny 10.0.0.2;') })
    t.equal(route.action.type, 'unavailable', `a client that the snippet denies does not come in: ${name}`)
  }
})

t.test('time limits, sizes, buffers and compression', async (t) => {
  const { route, diagnostics } = translateOne(
    snippet(
      'proxy_connect_timeout 7s; proxy_read_timeout 10m; client_max_body_size 8m; proxy_buffering off; proxy_request_buffering on; gzip on; access_log off;',
    ),
  )
  t.same(diagnostics, [])
  t.match(route.policy, {
    'timeouts.connect': 7000,
    'timeouts.responseHeaders': 600_000,
    'timeouts.responseIdle': 600_000,
    'timeouts.tunnelIdle': 600_000,
    bodyLimit: 8 * 1024 ** 2,
    responseBuffering: 'short',
    requestBuffering: 'all',
  })
  t.match(optionsOf(route, 'compress'), { codings: ['gzip'] })
  t.ok(optionsOf(route, 'access-log'))
  t.match(translateOne(snippet('client_max_body_size 0;')).route.policy, { bodyLimit: Number.MAX_SAFE_INTEGER })
  const small = await startNginx(t, { small: { nginx: snippet('client_max_body_size 10;') } })
  for (const door of small.names) {
    t.equal((await askHost(small, door, 'small', { method: 'POST', body: 'x'.repeat(11) })).status, 413, door)
  }
})

t.test('SN3 server-snippet: answers act on all paths of the host, whichever Ingress has them', async (t) => {
  const doors = await startNginx(t, {
    a: {
      created: '2020-01-01T00:00:00Z',
      host: 'shared.test',
      nginx: {
        'server-snippet':
          'if ($http_user_agent ~* "nikto") { return 403; }\nadd_header X-Served yes always;\ngzip off;',
      },
    },
    b: { created: '2021-01-01T00:00:00Z', host: 'shared.test', paths: [['/b']], nginx: {} },
    c: { host: 'gone.test', nginx: { 'server-snippet': 'return 503;' } },
    d: { host: 'gone.test', paths: [['/d', 'Exact']], nginx: {} },
  })
  for (const door of doors.names) {
    for (const target of ['/', '/b']) {
      const bad = await askHost(doors, door, 'shared', { target, fields: [['user-agent', 'Nikto']] })
      t.equal(bad.status, 403, `${door} ${target}`)
      t.equal((await askHost(doors, door, 'shared', { target })).status, 200, `${door} ${target}`)
      t.equal((await askHost(doors, door, 'gone', { target: target === '/' ? '/' : '/d' })).status, 503)
    }
    t.same((await askHost(doors, door, 'shared')).field('x-served'), ['yes'])
  }
  const { diagnostics } = translateOne({ 'server-snippet': 'proxy_set_header X a;\nproxy_read_timeout 300;' })
  t.match(diagnostics, [
    { severity: 'warning', message: /line 1: .*all paths have their own/ },
    { severity: 'warning', message: /line 2: .*all paths have their own/ },
  ])
})

t.test('SN1 a snippet that may guard and is not read closes: the paths of its Ingress, or the host', async (t) => {
  const guards = [
    'auth_request /auth;',
    'limit_req zone=a;',
    'limit_conn addr 1;',
    'satisfy any;',
    'internal;',
    'access_by_lua_block { ngx.exit(403) }',
    'modsecurity on;',
    'if ($geoip_country_code = "XX") { return 403; }',
    'if ($request_uri ~* "^/admin") { return 404; }',
    'if ($cookie_session ~ "(?!x)") { return 302 /login; }',
    'if ($http_x = "1") { set $a 1; return 403; }',
    'if ($request_method = POST) { limit_except GET { deny all; } }',
    'location /metrics { deny all; }',
    'location ~ /\\.git { return 404; }',
    'return 403 "$unknown";',
    'return "$x" b;',
    'some_new_directive on;',
    'if ($http_a = 1) { return 403; } if ($http_b = 1) { return 403; } if ($http_c = 1) { return 403; } if ($http_d = 1) { return 403; }',
    'deny all',
    '}',
    'more_set_headers "A: b"; auth_basic "x";',
    `${'gzip on;'.repeat(9000)}deny all;`,
  ]
  for (const text of guards) {
    const { route, diagnostics } = translateOne(snippet(text))
    t.match(route.action, { type: 'unavailable', code: /^PORTICO_GW_GUARD_/ }, text.slice(0, 60))
    t.ok(
      diagnostics.some(({ severity }) => severity === 'error'),
      text.slice(0, 60),
    )
  }
  const { routes } = translateNginx({
    a: { host: 'x.test', nginx: { 'server-snippet': 'deny 10.0.0.1;' } },
    b: { host: 'x.test', paths: [['/b']], nginx: {} },
  })
  t.same(
    routes.map(({ action }) => action.type),
    ['unavailable', 'unavailable'],
  )
})

t.test('what refuses nothing and is not read is told by its line, and the rest is done', async (t) => {
  const { model, diagnostics } = translateText(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: a
  annotations:
    nginx.ingress.kubernetes.io/configuration-snippet: |

      more_set_headers "X-A: b";
      proxy_buffer_size 16k;
      proxy_set_header Authorization "Basic c2VjcmV0 $nothing";
      if ($server_addr ~* ^old\\.) {
        expires 1d;
      }
spec: {rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
${printService('web')}`)
  const [host] = findIngressTable(model).hosts
  t.match(optionsOf(host!.routes[0]!, 'headers'), { response: { set: [['X-A', 'b']] } })
  t.match(
    diagnostics.map(({ severity, message, position }) => [severity, position?.line, position?.column, message]),
    [
      ['warning', 9, 7, /line 3: "proxy_buffer_size" is not done/],
      ['warning', 10, 7, /line 4: "proxy_set_header" is not done: it has a variable/],
      ['warning', 11, 7, /line 5: "if" is not done: its condition/],
    ],
  )
  t.equal(diagnostics.length, 3)
  t.notMatch(JSON.stringify(diagnostics), /c2VjcmV0/, 'no secret is shown')
  const many = translateOne(snippet('set $a 1;\n'.repeat(900)))
  t.equal(many.diagnostics.length, 20, 'lines are told up to a number')
})

t.test('hostile values come into no field', async (t) => {
  const texts = [
    'more_set_headers "X-A: b\\r\\nX-B: c";',
    'more_set_headers "X-A: b\nX-B: c";',
    'add_header X-A "b\\nX-B: c";',
    'add_header "X-A: b\\nX-B" c;',
    'add_header "X A" c;',
    'proxy_set_header Content-Length 0;',
    'proxy_set_header Transfer-Encoding chunked;',
    'proxy_set_header X-A "$";',
    'proxy_set_header X-A "a$";',
    'proxy_set_header X-A "${a";',
    'proxy_set_header Host "a b";',
    'more_set_headers -s 404 "X-A: b";',
    'more_clear_headers "X-*";',
  ]
  for (const text of texts) {
    const { route, diagnostics } = translateOne(snippet(text))
    t.notMatch(JSON.stringify(route.filters ?? []), /"(?:set|add)":\[\[/, text)
    t.match(diagnostics, [{ severity: 'warning', message: /line 1: "\w+" is not done/ }], text)
  }
})

t.test('SN7 annotations, and options of Portico, go before a snippet', async (t) => {
  const timed = translateOne({ 'proxy-read-timeout': '5', ...snippet('proxy_read_timeout 60s;') })
  t.match(timed.route.policy, { 'timeouts.responseHeaders': 5000 })
  t.match(timed.diagnostics, [{ message: /says it already/ }])
  const own = translateOne({ 'portico.dev/response-headers-set': 'X-A: own', ...snippet('more_set_headers "X-A: b";') })
  t.match(optionsOf(own.route, 'headers'), { response: { set: [['X-A', 'own']] } })
  const prefix = translateOne({
    'rewrite-target': '/$1',
    'x-forwarded-prefix': '/app',
    ...snippet('proxy_set_header X-Env a;'),
  })
  t.match(optionsOf(prefix.route, 'headers'), {
    request: {
      set: [
        ['X-Forwarded-Prefix', '/app'],
        ['X-Env', 'a'],
      ],
    },
  })
})

t.test('an Ingress that is refused for another error is closed where its snippet answers', async (t) => {
  const translate = (text: string) => {
    const { model } = translateText(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, annotations: {nginx.ingress.kubernetes.io/configuration-snippet: "${text}"}}
spec: {rules: [{host: a.test, http: {paths: [{path: x, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
${printService('web')}`)
    return findIngressTable(model).hosts.flatMap(({ routes }) => routes.map(({ action }) => action.type))
  }
  t.same(translate('if ($http_x = 1) { return 403; }'), ['unavailable'])
  t.same(translate('deny all;'), ['unavailable'])
  t.same(translate('gzip on;'), [])
})

t.test('a default backend for all hosts is closed where a snippet answers under conditions', async (t) => {
  const { model } = translateText(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, annotations: {nginx.ingress.kubernetes.io/configuration-snippet: "if ($http_x = 1) { return 403; }"}}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
${printService('web')}`)
  t.equal(findIngressTable(model).defaultRoute?.action.type, 'unavailable')
})

t.test('a path that another Ingress has already gets no answers of a snippet', async (t) => {
  const { routes } = translateNginx({
    a: { created: '2020-01-01T00:00:00Z', host: 'x.test', nginx: {} },
    b: {
      created: '2021-01-01T00:00:00Z',
      host: 'x.test',
      nginx: snippet('if ($request_method = POST) { return 405; }'),
    },
  })
  t.equal(routes.length, 1)
})

t.test('canaries stand beside the answers of a snippet', async (t) => {
  const doors = await startNginx(
    t,
    {
      main: { host: 'app.test', nginx: snippet('if ($http_x_bad = "1") { return 403; }') },
      next: {
        host: 'app.test',
        nginx: { canary: 'true', 'canary-by-header': 'x-canary' },
        paths: [['/', 'Prefix', 'next']],
      },
    },
    `apiVersion: v1\nkind: Service\nmetadata: {name: next}\nspec: {ports: [{port: 80}]}\n`,
    {},
    {},
    ['next'],
  )
  for (const door of doors.names) {
    const ask = (...fields: (readonly [string, string])[]) => askHost(doors, door, 'app', { fields })
    t.equal((await ask(['x-bad', '1'], ['x-canary', 'always'])).status, 403, door)
    t.equal((await ask(['x-bad', '1'])).status, 403, door)
    t.equal((await ask(['x-canary', 'always'])).status, 200, door)
    t.equal((await ask()).status, 200, door)
  }
})

t.test('in an item of a List a line of a snippet is told by its own place too', async (t) => {
  const { diagnostics } = translateText(`apiVersion: v1
kind: List
items:
  - apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata:
      name: a
      annotations:
        nginx.ingress.kubernetes.io/configuration-snippet: |
          gzip on;
          proxy_buffer_size 4k;
    spec: {rules: [{host: a.test}]}
`)
  const told = diagnostics.find(({ message }) => message.includes('proxy_buffer_size'))
  t.match(told, { message: /line 2: /, position: { line: 11, column: 11 } })
})
