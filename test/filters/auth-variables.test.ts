/** Auth servers whose URL has variables, and those that the gateway itself serves. */
import t from 'tap'
import { describeRequest, playFilters } from '../../lib/filters/play.ts'
import { printFilters } from '../../lib/filters/registry.ts'
import { FilterDraft } from '../../lib/filters/spec.ts'
import { translateText } from '../translate/manifests.ts'
import { startAuth } from './auth-server.ts'
import { ask, HOST, printOfHost, startFiltered, translateFiltered } from './filtered.ts'

t.test('variables stand in the URL, at every door', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.end())
  const { origin } = new URL(auth.url)
  for (const [url, expected] of [
    [`${origin}/verify\${request.path}?uri=\${request.encoded-target}`, '/verify/y?uri=%2Fx%2F..%2Fy%3Fa%3Db'],
    [`${origin}?host=\${request.host}&method=\${request.method}`, `/?host=${HOST}&method=GET`],
    [`${origin}\${request.path}`, '/y'],
    [`${origin}/\${request.header.x-none}`, '/'],
  ] as const) {
    const doors = await startFiltered(t, { 'auth-url': url })
    for (const door of doors.names) {
      t.equal((await ask(doors, door, { target: '/x/../y?a=b' })).status, 200, door)
      t.match(auth.asked.at(-1), { url: expected, headers: { host: new URL(origin).host } }, door)
    }
  }
})

t.test('what a client sends leads to no other path of the auth server', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.end())
  const { origin } = new URL(auth.url)
  const doors = await startFiltered(t, { 'auth-url': `${origin}/verify/\${request.header.x-app}` })
  const raw = await startFiltered(t, { 'auth-url': `${origin}/verify\${request.target}` })
  for (const door of doors.names) {
    for (const value of ['..', '../public', 'a/../../public', '%2e%2e/public', 'a\\b', '..;/public', 'a#b']) {
      const { status, upstream } = await ask(doors, door, { fields: [['x-app', value]] })
      t.match({ status, upstream }, { status: 400, upstream: [] }, `${door} ${value}`)
    }
    t.equal((await ask(raw, door, { target: '/x/../../public' })).status, 400, door)
    t.equal((await ask(raw, door, { target: '/x/../public' })).status, 400, door)
    t.equal(auth.asked.length, 0, 'it is not asked')
  }
  t.equal((await ask(raw, 'lane', { target: '/x' })).status, 200)
})

t.test('fields are set for the auth server, in place of others, and say where to come back to', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.end())
  const doors = await startFiltered(t, {
    'auth-url': auth.url,
    'auth-request-headers': 'X-Kept',
    'auth-request-headers-set': `X-Tenant: shop\nX-Kept: \${request.method}\nX-Original-URI: <\${request.path}>\nX-Empty: \${request.cookie.none}`,
    'auth-request-redirect': `https://\${request.authority}\${request.target}`,
  })
  for (const door of doors.names) {
    const fields = [
      ['x_kept', 'c'],
      ['x-kept', 'c'],
      ['x-tenant', 'c'],
      ['x-empty', 'c'],
    ] as const
    const { status, upstream } = await ask(doors, door, { target: '/x/../y?a', fields })
    t.equal(status, 200, door)
    const { headers, rawHeaders } = auth.asked.at(-1)!
    t.match(
      headers,
      {
        'x-tenant': 'shop',
        'x-kept': 'GET',
        'x-original-uri': '</y>',
        'x-original-url': /\/y\?a$/,
        'x-auth-request-redirect': `https://${HOST}/x/../y?a`,
      },
      door,
    )
    t.equal(rawHeaders.filter((name) => /^x.(?:kept|original-uri|tenant|empty)$/i.test(name)).length, 3, door)
    t.ok(upstream.includes('x-tenant: c'), 'the endpoint gets what the client has sent')
  }
})

t.test('fields for the auth server stand in a ConfigMap, and a missing one closes the routes', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.end())
  const annotations = {
    'auth-url': auth.url,
    'auth-request-headers-from': 'fields',
    'auth-request-headers-set': 'X-Tenant: set',
  }
  const map = (data: object) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fields}\ndata: ${JSON.stringify(data)}\n`
  const doors = await startFiltered(t, annotations, '/', map({ X_Tenant: 'map', 'X-Path': `\${request.path}` }))
  for (const door of doors.names) {
    t.equal((await ask(doors, door, { target: '/x' })).status, 200, door)
    t.match(auth.asked.at(-1)!.headers, { 'x-tenant': 'set', 'x-path': '/x', x_tenant: undefined }, door)
  }
  for (const more of ['', map({ Host: 'a' }), map({ 'X-Portico-Auth-Question': '0' })]) {
    const closed = await startFiltered(t, annotations, '/', more)
    t.match(await ask(closed, 'lane', {}), { status: 503, upstream: [] })
  }
})

t.test('answers are kept for each URL that variables make', async (t) => {
  const auth = await startAuth(t, ({ url }, response) => response.writeHead(url === '/a' ? 200 : 403).end())
  const doors = await startFiltered(t, {
    'auth-url': `${new URL(auth.url).origin}\${request.path}`,
    'auth-cache-key': 'header:Authorization',
  })
  const fields = [['authorization', 'x']] as const
  for (const [target, status] of [
    ['/a', 200],
    ['/b', 403],
    ['/a', 200],
  ] as const) {
    t.equal((await ask(doors, 'lane', { target, fields })).status, status)
  }
  t.equal(auth.asked.length, 2)
})

const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:80"}}
spec: {ports: [{port: 80}]}
`

/** `/oauth2` of HOST leads to the server. */
function printOwn(url: string, annotations: object = {}): string {
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: oauth2, annotations: ${JSON.stringify(annotations)}}
spec: {rules: [{host: ${HOST}, http: {paths: [{path: /oauth2, pathType: Prefix, backend: {service: {name: oauth2, port: {number: 4180}}}}]}}]}
---
apiVersion: v1
kind: Service
metadata: {name: oauth2, annotations: {portico.dev/endpoints: "${new URL(url).host}"}}
spec: {ports: [{port: 4180}]}
`
}

t.test('the gateway takes questions to its own hosts itself', async (t) => {
  const auth = await startAuth(t, ({ headers }, response) => {
    if (headers.cookie === 'session=1') response.writeHead(202, ['X-User', 'anna']).end()
    else response.writeHead(401, ['X-Hidden', 'h']).end('who?')
  })
  const annotations = {
    'auth-url': `https://\${request.host}/oauth2/auth?a=b`,
    'auth-signin': `https://\${request.host}/oauth2/start?rd=\${request.encoded-target}`,
    'auth-response-headers': 'X-User',
  }
  const more = printOwn(auth.url, {
    'portico.dev/rewrite-prefix': '/v2',
    'portico.dev/request-headers-set': `X-Seen: \${request.method} \${request.scheme} \${request.path}`,
    'portico.dev/rewrite-host': 'login.internal',
    'portico.dev/response-headers-set': 'X-User: changed',
    'portico.dev/concurrency-limit': '1',
  })
  const doors = await startFiltered(t, annotations, '/', more)
  for (const door of doors.names) {
    const granted = await ask(doors, door, { fields: [['cookie', 'session=1']], target: '/x', method: 'POST' })
    t.match(granted, { status: 200 }, door)
    t.ok(granted.upstream.includes('x-user: changed'), door)
    t.match(
      auth.asked.at(-1),
      {
        url: '/v2/auth?a=b',
        method: 'GET',
        headers: {
          host: 'login.internal',
          'x-seen': 'GET https /oauth2/auth',
          'x-original-method': 'POST',
          'x-auth-request-redirect': '/x',
        },
      },
      door,
    )
    const refused = await ask(doors, door, { target: '/x?y' })
    t.match(refused, { status: 302, upstream: [] }, door)
    t.same(refused.field('location'), [`https://${HOST}/oauth2/start?rd=%2Fx%3Fy`], door)
  }
})

t.test('a question to the gateway that no route lets through refuses the request', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.end())
  const url = (path: string) => ({ 'auth-url': `http://\${request.host}${path}` })
  for (const [annotations, more] of [
    [url('/private'), ''],
    [url('/oauth2'), printOwn(auth.url, { 'portico.dev/deny-source-range': '127.0.0.0/8' })],
    [url('/oauth2'), printOwn(auth.url, { 'portico.dev/auth-url': auth.url })],
    [url('/oauth2'), printOwn(auth.url, { 'portico.dev/basic-auth-secret': 'none' })],
    [url('/oauth2'), printOwn('http://127.0.0.1:1/')],
    [url('/oauth2/%zz'), printOwn(auth.url)],
    [url('/oauth2/..'), printOwn(auth.url)],
  ] as const) {
    const doors = await startFiltered(t, annotations, '/', more)
    for (const door of doors.names) {
      const { status, upstream } = await ask(doors, door, {})
      t.ok(status === 503 || status === 400, `${door} ${status} ${JSON.stringify(annotations)}`)
      t.same(upstream, [])
    }
  }
  t.equal(auth.asked.length, 0)
})

t.test('a filter of the route that takes the question may answer it', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.end())
  const annotations = { 'auth-url': `http://\${request.host}/oauth2` }
  for (const [own, status] of [
    [{ 'portico.dev/respond-status': '204' }, 200],
    [{ 'portico.dev/respond-status': '403', 'portico.dev/respond-body': 'no' }, 403],
  ] as const) {
    const doors = await startFiltered(t, annotations, '/', printOwn(auth.url, own))
    for (const door of doors.names) t.equal((await ask(doors, door, {})).status, status, door)
  }
})

t.test('a question that no route of the host can answer is told', (t) => {
  const find = (url: string, own?: object) => {
    const more = own === undefined ? '' : printOwn('http://127.0.0.1:1', own)
    const { diagnostics } = translateText(`${SERVICE}${printOfHost({ 'auth-url': url })}${more}`)
    return diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_FILTER_MISFIT')
  }
  const url = `https://\${request.host}/oauth2/auth?a`
  t.match(find(url), [
    {
      severity: 'warning',
      message: /auth-url: the route of filtered\.test that takes \/oauth2\/auth asks an auth server itself, so /,
      help: /add a rule for filtered\.test and \/oauth2\/auth, in an Ingress without auth-url/,
      position: {},
    },
  ])
  t.same(find(url, {}), [])
  t.match(find(url, { 'portico.dev/auth-url': 'http://a.test/' }), [{ message: /asks an auth server itself/ }])
  t.same(find(`https://\${request.host}/oauth2/\${request.method}`), [], 'not known')
  t.same(find('https://a.test/'), [])
  const narrow = `${SERVICE}${printOfHost({ 'auth-url': url }, '/shop')}`
  t.match(
    translateText(narrow).diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_FILTER_MISFIT'),
    [{ message: /no route of filtered\.test takes \/oauth2\/auth, so requests are answered 503$/ }],
  )
  t.end()
})

t.test('what is asked is printed without what may be secret', async (t) => {
  const { route } = translateFiltered({
    'auth-url': `https://\${request.host}/auth?key=secret`,
    'auth-request-headers-set': 'X-Key: secret',
  })
  t.same(printFilters(route!), [
    `forward-auth: asks https://\${request.host}/auth at the gateway itself within 5s, sets X-Key for it`,
  ])
  const path = { path: '/', matchPath: '/' }
  const request = describeRequest({ scheme: 'http', authority: 'a', hostname: 'a', path, query: '', target: '/' })
  const draft = new FilterDraft('/', 'a', '')
  t.match(playFilters(route!.filters!, request, draft, 443), { answer: undefined, notPlayed: ['forward-auth'] })
})
