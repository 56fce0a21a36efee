/** Passwords and auth servers (BA, EA), at all doors. */
import t from 'tap'
import { startAuth } from '../../../filters/auth-server.ts'
import { askHost, optionsOf, startNginx, translateOne } from './nginx-ingress.ts'

const HASH = 'alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='
const FILE = `apiVersion: v1\nkind: Secret\nmetadata: {name: users}\nstringData: {auth: "${HASH}"}\n`
const MAP = `apiVersion: v1\nkind: Secret\nmetadata: {name: map}\nstringData: {alice: "${HASH.slice(6)}"}\n`
const ALICE = ['authorization', `Basic ${Buffer.from('alice:secret').toString('base64')}`] as const
const WRONG = ['authorization', `Basic ${Buffer.from('alice:wrong').toString('base64')}`] as const
const BASIC = { 'auth-type': 'basic', 'auth-secret': 'users' }

t.test('BA1 BA2 BA4 auth-type basic with auth-secret, auth-secret-type and auth-realm', async (t) => {
  const doors = await startNginx(
    t,
    {
      file: { nginx: { ...BASIC, 'auth-realm': 'Please "log in"' } },
      map: { nginx: { 'auth-type': 'basic', 'auth-secret': 'default/map', 'auth-secret-type': 'auth-map' } },
    },
    `${FILE}---\n${MAP}`,
  )
  for (const door of doors.names) {
    for (const name of ['file', 'map']) {
      t.equal((await askHost(doors, door, name)).status, 401, door)
      t.equal((await askHost(doors, door, name, { fields: [WRONG] })).status, 401, door)
      const { status, upstream } = await askHost(doors, door, name, { fields: [ALICE] })
      t.equal(status, 200, door)
      t.notMatch(upstream.join('\n'), /^authorization/im, 'endpoints do not get the password')
    }
    const { field } = await askHost(doors, door, 'file')
    t.match(field('www-authenticate')[0], 'Basic realm="Please \\"log in\\""')
  }
})

t.test(
  'BA3 a Secret that is missing, of another namespace or without its key closes the routes (trap 12)',
  async (t) => {
    const faults: readonly Readonly<Record<string, string>>[] = [
      { ...BASIC, 'auth-secret': 'missing' },
      { ...BASIC, 'auth-secret': 'other/users' },
      { ...BASIC, 'auth-secret': 'map' },
      { ...BASIC, 'auth-secret-type': 'auth-list' },
      { 'auth-type': 'basic' },
    ]
    for (const nginx of faults) {
      const { route, diagnostics } = translateOne(nginx, `---\n${FILE}---\n${MAP}`)
      t.match(route.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, JSON.stringify(nginx))
      t.ok(
        diagnostics.some(({ severity }) => severity === 'error'),
        JSON.stringify(nginx),
      )
    }
  },
)

t.test('BA6 digest closes the routes', async (t) => {
  const { route, diagnostics } = translateOne({ ...BASIC, 'auth-type': 'digest' }, `---\n${FILE}`)
  t.equal(route.action.type, 'unavailable')
  t.match(diagnostics, [{ severity: 'error', message: /digest authentication is not there/ }])
})

t.test('the difference: auth-secret and auth-signin without their guard close the routes', async (t) => {
  for (const nginx of [{ 'auth-secret': 'users' }, { 'auth-signin': 'https://a.test/' }]) {
    t.equal(translateOne(nginx, `---\n${FILE}`).route.action.type, 'unavailable', JSON.stringify(nginx))
  }
})

t.test('EA1 EA2 EA3 EA4 auth-url, auth-method, auth-response-headers and cookies', async (t) => {
  const { url, asked } = await startAuth(t, (request, response) => {
    const key = request.headers['x-key']
    response.writeHead(key === 'in' ? 202 : key === 'broken' ? 500 : key === 'no' ? 403 : 401, {
      'X-User': 'alice',
      'Set-Cookie': 'session=1',
      'WWW-Authenticate': 'Bearer',
    })
    response.end('from the auth server')
  })
  const doors = await startNginx(t, {
    auth: { nginx: { 'auth-url': url, 'auth-response-headers': 'X-User, X-Other', 'auth-method': 'POST' } },
  })
  const ask = (door: string, key: string) =>
    askHost(doors, door, 'auth', {
      target: '/a?b=c',
      fields: [
        ['x-key', key],
        ['x-user', 'root'],
        ['x-other', 'root'],
      ],
    })
  for (const door of doors.names) {
    const before = asked.length
    const passed = await ask(door, 'in')
    t.equal(passed.status, 200, door)
    t.same(
      passed.upstream.filter((line) => /^x-(?:user|other)/.test(line)),
      ['x-user: alice'],
      'what the auth server says takes the place of what the client says, or removes it',
    )
    t.same(passed.field('set-cookie'), ['session=1'])
    const question = asked[before]!
    t.equal(question.method, 'POST')
    t.match(question.headers, { 'x-original-method': 'GET', 'x-auth-request-redirect': '/a?b=c', 'x-key': 'in' })
    t.match(question.headers['x-original-url'], /^https?:\/\/auth\.test\/a\?b=c$/)
    const refused = await ask(door, 'out')
    t.equal(refused.status, 401, door)
    t.same(refused.field('www-authenticate'), ['Bearer'])
    t.same(refused.upstream, [])
    t.equal((await ask(door, 'no')).status, 403, door)
    // EA2, the difference: ingress-nginx answers 500 to all other statuses, which here is the same for 500 alone.
    t.equal((await ask(door, 'broken')).status, 500, door)
  }
})

t.test('EA5 EA6 auth-signin with nginx variables, and auth-signin-redirect-param', async (t) => {
  const { url } = await startAuth(t, (_, response) => response.writeHead(401).end())
  const doors = await startNginx(t, {
    plain: { nginx: { 'auth-url': url, 'auth-signin': 'https://login.test/start' } },
    query: {
      nginx: { 'auth-url': url, 'auth-signin': 'https://login.test/?a=b', 'auth-signin-redirect-param': 'back' },
    },
    written: { nginx: { 'auth-url': url, 'auth-signin': 'https://$host/oauth2/start?rd=$escaped_request_uri' } },
  })
  for (const door of doors.names) {
    const scheme = /TLS|HTTP\/2/.test(door) ? 'https' : 'http'
    const encoded = (name: string) => encodeURIComponent(`${scheme}://${name}.test/a?b=c`)
    const locations = {
      plain: `https://login.test/start?rd=${encoded('plain')}`,
      query: `https://login.test/?a=b&back=${encoded('query')}`,
      written: 'https://written.test/oauth2/start?rd=%2Fa%3Fb%3Dc',
    }
    for (const [name, location] of Object.entries(locations)) {
      const { status, field } = await askHost(doors, door, name, { target: '/a?b=c' })
      t.equal(status, 302, `${door} ${name}`)
      t.same(field('location'), [location], `${door} ${name}`)
    }
  }
})

t.test('EA6 EA7 auth-url with variables; one that is not there closes the routes', async (t) => {
  const { url, asked } = await startAuth(t, (_, response) => response.end())
  const { origin } = new URL(url)
  const doors = await startNginx(t, {
    vars: { nginx: { 'auth-url': `${origin}/check?m=$request_method&c=$cookie_sid` } },
  })
  for (const door of doors.names) {
    const { status } = await askHost(doors, door, 'vars', { fields: [['cookie', 'sid=x1']] })
    t.equal(status, 200, door)
    t.equal(asked.at(-1)?.url, '/check?m=GET&c=x1', door)
  }
  for (const wrong of ['http://auth.test/$upstream_addr', '$none', 'http://']) {
    t.equal(translateOne({ 'auth-url': wrong }).route.action.type, 'unavailable', wrong)
  }
})

t.test('auth-always-set-cookie and auth-request-redirect', async (t) => {
  const { route, diagnostics } = translateOne({
    'auth-url': 'http://127.0.0.1:1/',
    'auth-always-set-cookie': 'true',
    'auth-request-redirect': 'https://$host$request_uri',
  })
  t.match(optionsOf(route, 'forward-auth'), { alwaysSetsCookies: true })
  t.match(JSON.stringify(optionsOf(route, 'forward-auth')), /request\.host\}\$\{request\.target/)
  t.same(diagnostics, [])
})

t.test('EA11 auth-cache-key and auth-cache-duration', async (t) => {
  const cached = (key: string, duration?: string) =>
    translateOne({
      'auth-url': 'http://127.0.0.1:1/',
      'auth-cache-key': key,
      ...(duration !== undefined && { 'auth-cache-duration': duration }),
    })
  t.match(optionsOf(cached('$cookie_session$request_uri$host').route, 'forward-auth'), {
    cache: { key: ['cookie:session', 'path'] },
  })
  t.match(optionsOf(cached('$http_authorization', '200 202 10s').route, 'forward-auth'), {
    cache: { key: ['header:authorization'] },
  })
  for (const key of ['$remote_user$cookie_a', 'all', '$request_uri']) {
    const { route, diagnostics } = cached(key)
    t.equal(optionsOf(route, 'forward-auth')?.cache, undefined, key)
    t.match(diagnostics, [{ severity: 'warning', help: /^no answer is kept/ }], key)
  }
})

t.test('EA8 passwords and an auth server together', async (t) => {
  const { url } = await startAuth(t, (_, response) => response.writeHead(403).end())
  const doors = await startNginx(
    t,
    {
      all: { nginx: { ...BASIC, 'auth-url': url } },
      any: { nginx: { ...BASIC, 'auth-url': url, satisfy: 'any' } },
    },
    FILE,
  )
  for (const door of doors.names) {
    t.equal((await askHost(doors, door, 'all', { fields: [ALICE] })).status, 403, door)
    t.equal((await askHost(doors, door, 'any', { fields: [ALICE] })).status, 200, door)
  }
})

t.test('auth-proxy-set-headers adds the fields of a ConfigMap to the question', async (t) => {
  const { url, asked } = await startAuth(t, (_, response) => response.end())
  const fields = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\ndata: {X-Tenant: shop}\n'
  const doors = await startNginx(t, { more: { nginx: { 'auth-url': url, 'auth-proxy-set-headers': 'more' } } }, fields)
  for (const door of doors.names) {
    t.equal((await askHost(doors, door, 'more')).status, 200, door)
    t.equal(asked.at(-1)?.headers['x-tenant'], 'shop', door)
  }
  for (const reference of ['missing', 'other/more']) {
    const { route } = translateOne({ 'auth-url': url, 'auth-proxy-set-headers': reference })
    t.equal(route.action.type, 'unavailable', reference)
  }
})
