import t from 'tap'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, findAll, requestRaw } from '../helpers/raw-client.ts'
import { answerWith, startRawUpstream } from '../helpers/raw-upstream.ts'

const get = (path: string, host = 'gw.test', more = '') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`

t.test('a request goes to the upstream of its route and is recorded once', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const response = await requestRaw(server.port, get('/a/b?x=1&y=%2e'))
  t.equal(response.status, 200)
  t.match(JSON.parse(response.body.toString()), { method: 'GET', url: '/a/b?x=1&y=%2e', httpVersion: '1.1' })
  t.match(await server.record(), {
    status: 200,
    method: 'GET',
    authority: 'gw.test',
    target: '/a/b?x=1&y=%2e',
    protocol: 'HTTP/1.1',
    scheme: 'http',
    peerAddress: '127.0.0.1',
    clientAddress: '127.0.0.1',
    labels: { ingress: 'default/test', upstream: 'default/web:80' },
    endpoint: `127.0.0.1:${echo.port}`,
    tries: 1,
    bytesOut: response.body.length,
    error: undefined,
    tunnel: false,
  })
  t.equal(server.records.length, 1)
  t.equal(server.proxy.inFlight, 0)
  await server.proxy.whenIdle()
})

t.test('routes by host and path', async (t) => {
  const [a, b, any] = await Promise.all(['a', 'b', 'any'].map((name) => startEchoUpstream({ name })))
  t.teardown(() => Promise.all([a!.close(), b!.close(), any!.close()]))
  const server = await startProxy(t, {
    upstreams: { a: [a!.port], b: [b!.port], any: [any!.port] },
    routes: [
      { host: 'shop.test', path: '/', to: 'a' },
      { host: 'shop.test', path: '/api', to: 'b' },
      { host: '*.wild.test', path: '/', to: 'b' },
      { host: 'gone.test', path: '/', to: 503 },
      { host: 'bucket.test', path: '/', to: 404 },
      { host: 'deep.test', path: '/only', to: 'a' },
    ],
    fallback: 'any',
  })
  const cases: [string, string, string | number][] = [
    ['shop.test', '/', 'a'],
    ['shop.test', '/api', 'b'],
    ['shop.test', '/api/x', 'b'],
    ['shop.test', '/apix', 'a'],
    ['SHOP.test:8080', '/api', 'b'],
    ['shop.test.', '/api', 'b'],
    ['x.wild.test', '/', 'b'],
    ['x.y.wild.test', '/', 'any'],
    ['gone.test', '/', 503],
    ['bucket.test', '/', 404],
    ['deep.test', '/other', 'any'],
    ['[::1]:8080', '/', 'any'],
    ['', '/', 400],
  ]
  for (const [host, path, expected] of cases) {
    const response = await requestRaw(server.port, get(path, host))
    const got = response.status === 200 ? JSON.parse(response.body.toString()).name : response.status
    t.equal(got, expected, `${host || '(empty)'} ${path}`)
  }
})

t.test('without any route the answer is 404, before any configuration 503', async (t) => {
  const server = await startProxy(t, {}, { unready: true })
  const early = await requestRaw(server.port, get('/'))
  t.equal(early.status, 503)
  t.equal(JSON.parse(early.body.toString()).code, 'PORTICO_GW_NOT_READY')
  t.equal(early.header('connection'), 'close')
  t.match(await server.record(), {
    status: 503,
    error: 'PORTICO_GW_NOT_READY',
    target: '/',
    id: early.header('x-request-id')!,
  })
  server.load({})
  const response = await requestRaw(server.port, get('/'))
  t.equal(response.status, 404)
  t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_REQ_NO_ROUTE')
  t.match(await server.record(), { status: 404, error: 'PORTICO_REQ_NO_ROUTE', labels: undefined })
})

t.test('what matched is what is forwarded', async (t) => {
  const [open, admin] = await Promise.all(['open', 'admin'].map((name) => startEchoUpstream({ name })))
  t.teardown(() => Promise.all([open!.close(), admin!.close()]))
  const server = await startProxy(t, {
    upstreams: { open: [open!.port], admin: [admin!.port] },
    routes: [
      { path: '/', to: 'open' },
      { path: '/api/admin', to: 'admin' },
    ],
  })
  const cases: [string, string | number, string?][] = [
    ['P4 /api/./admin', 'admin', '/api/admin'],
    ['P4 /api/%2e/admin', 'admin', '/api/admin'],
    ['P4 /./api/admin', 'admin', '/api/admin'],
    ['P4 /%2e/api/admin', 'admin', '/api/admin'],
    ['P4 /api/x/../admin', 'admin', '/api/admin'],
    ['P4 /api/x/%2e%2E/admin', 'admin', '/api/admin'],
    ['P4 /..', 400],
    ['P4 /../api/admin', 400],
    ['P1 /api//admin', 'admin', '/api//admin'],
    ['P1 //api/admin', 'admin', '//api/admin'],
    ['P2 /api%2Fadmin', 'open', '/api%2Fadmin'],
    ['P3 /%61pi/admin', 'admin', '/%61pi/admin'],
    ['P3 /%zz', 400],
    ['P3 /%00', 400],
    ['P19 /api;v=1/admin', 'open', '/api;v=1/admin'],
    ['P31 /api\\admin', 400],
    ['P32 /api/..;/admin', 400],
    ['P3 /api/%252e%252e/admin', 'open', '/api/%252e%252e/admin'],
    ['P34 /a?x=/../api/admin&y=%2e%2e', 'open', '/a?x=/../api/admin&y=%2e%2e'],
    ['P3 /a%3fb%23', 'open', '/a%3fb%23'],
    ['P35 /a#b', 400],
    ['P35 /a?b#c', 400],
  ]
  for (const [name, expected, forwarded] of cases) {
    const response = await requestRaw(server.port, get(name.slice(name.indexOf(' ') + 1)))
    const answer = response.status === 200 ? JSON.parse(response.body.toString()) : { name: response.status }
    t.equal(answer.name, expected, name)
    if (forwarded) t.equal(answer.url, forwarded, `${name} is forwarded as ${forwarded}`)
  }
})

t.test('a target in absolute form', async (t) => {
  const [a, b] = await Promise.all(['a', 'b'].map((name) => startEchoUpstream({ name })))
  t.teardown(() => Promise.all([a!.close(), b!.close()]))
  const server = await startProxy(t, {
    upstreams: { a: [a!.port], b: [b!.port] },
    routes: [
      { host: 'a.test', to: 'a' },
      { host: 'b.test', to: 'b' },
    ],
  })
  const cases: [string, string, string | number, string?, string?][] = [
    ['P13 the authority of the target overrides Host', 'http://a.test/p?q', 'a', '/p?q', 'a.test'],
    ['P13 the port stays in the forwarded Host', 'HTTP://a.test:81/', 'a', '/', 'a.test:81'],
    ['P13 the scheme of the target means nothing', 'https://a.test/p', 'a', '/p', 'a.test'],
    ['P18 an empty path is /', 'http://a.test', 'a', '/', 'a.test'],
    ['P18 an empty path with a query is /', 'http://a.test?x', 'a', '/?x', 'a.test'],
    ['P4 dot segments are resolved in it too', 'http://a.test/x/../y', 'a', '/y', 'a.test'],
    ['P12 userinfo is refused', 'http://u@a.test/', 400],
    ['no authority is refused', 'http:///p', 400],
    ['another scheme is refused', 'ftp://a.test/', 400],
  ]
  for (const [name, target, expected, url, host] of cases) {
    const response = await requestRaw(server.port, get(target, 'b.test'))
    const echo = response.status === 200 ? JSON.parse(response.body.toString()) : { name: response.status }
    t.equal(echo.name, expected, name)
    if (url !== undefined) {
      t.equal(echo.url, url, name)
      t.same(findAll(echo.headers, 'host'), [host], name)
    }
  }
})

t.test('targets and methods that are no request to an upstream', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const cases: [string, string, number][] = [
    ['P14 GET * is refused', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['P15 CONNECT is refused', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 405],
    ['P18 GET ?x is refused', 'GET ?x HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['P20 a space in the target is refused', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['P21 a long target', `GET /${'a'.repeat(17_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['HTTP/2.0 in a request line', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 400],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400],
    ['a method that is too long', `${'F'.repeat(65)} / HTTP/1.1\r\nHost: a\r\n\r\n`, 405],
  ]
  for (const [name, bytes, status] of cases) {
    const client = await connectRaw(server.port)
    const response = await client.send(bytes).response()
    t.equal(response.status, status, name)
    await client.closed
    t.notMatch(response.body.toString(), '127.0.0.1', name)
  }
  t.same(echo.requests, [])
  t.equal((await requestRaw(server.port, get('/'))).status, 200, 'the next client is served')
})

t.test('Host is checked', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const cases: [string, string, number][] = [
    ['P10 none in HTTP/1.1', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['P10 two', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
    ['P10 none in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 200],
    ['P11 an empty one', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400],
    ['P11 an empty one in HTTP/1.0', 'GET / HTTP/1.0\r\nHost:\r\n\r\n', 400],
    ['P11 an empty one under an absolute target', 'GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n', 400],
    ['P12 with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    ['P12 with userinfo', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
    ['P12 with a space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
    ['P12 a list', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400],
    ['P12 a bad port', 'GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n', 400],
    ['P13 a bad one under an absolute target', 'GET http://a/ HTTP/1.1\r\nHost: u@b\r\n\r\n', 400],
    ['P17 with an underscore', 'GET / HTTP/1.1\r\nHost: a_b.test\r\n\r\n', 200],
  ]
  for (const [name, bytes, status] of cases) t.equal((await requestRaw(server.port, bytes)).status, status, name)
})

t.test('P7 the Host goes on as it was sent', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  for (const host of ['Gw.Test:8080', 'gw.test.', '[::1]:8080']) {
    const { headers } = JSON.parse((await requestRaw(server.port, get('/', host))).body.toString())
    t.same(findAll(headers, 'host'), [host])
    t.same(findAll(headers, 'x-forwarded-host'), [host])
  }
  const { headers } = JSON.parse((await requestRaw(server.port, 'GET / HTTP/1.0\r\n\r\n')).body.toString())
  t.same(findAll(headers, 'host'), [''], 'an HTTP/1.0 request without one')
  t.same(findAll(headers, 'x-forwarded-host'), [])
})

t.test('a host with a tls section is redirected to HTTPS', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const words = {
    upstreams: { web: [echo.port] },
    routes: [
      { host: 'shop.test', path: '/api', to: 'web' },
      { host: 'plain.test', to: 'web' },
    ],
    redirect: ['shop.test', '*.wild.test'],
  }
  const server = await startProxy(t, words)
  const cases: [string, string, string][] = [
    ['shop.test', '/api?x=%20', 'https://shop.test:8443/api?x=%20'],
    ['Shop.test:8080', '/unmatched/../x', 'https://shop.test:8443/unmatched/../x'],
    ['a.wild.test', '/', 'https://a.wild.test:8443/'],
    ['shop.test', '//evil.test/', 'https://shop.test:8443//evil.test/'],
  ]
  for (const [host, path, location] of cases) {
    const response = await requestRaw(server.port, get(path, host))
    t.equal(response.status, 308)
    t.equal(response.header('location'), location)
    t.ok(response.header('x-request-id'))
  }
  t.equal((await requestRaw(server.port, get('/', 'plain.test'))).status, 200)
  server.load({ ...words, redirectPort: 443 })
  const mapped = await requestRaw(server.port, get('/', 'shop.test'))
  t.equal(mapped.header('location'), 'https://shop.test/', 'the port to name can be set')
  server.load(words, { trustedProxies: ['127.0.0.0/8'] })
  const ended = await requestRaw(server.port, get('/api', 'shop.test', 'X-Forwarded-Proto: https\r\n'))
  t.equal(ended.status, 200, 'not when a trusted proxy has ended TLS already')
})

t.test('the filters of a host are asked before a route is found, and may wait', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  // The password "secret"; that of slow by bcrypt, which takes more than a second.
  const users = [
    ['anna', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='],
    ['slow', '$2b$14$fgYLNR3x3hKEnR.nbI.YA.89qNDtcJDwLNG3EawBIJbgEZDXBqF3q'],
  ]
  const options = { secret: 'users', users, realm: 'gw', userField: 'X-User', keepsAuthorization: false }
  const server = await startProxy(t, {
    upstreams: { web: [echo.port] },
    routes: [{ host: 'shop.test', path: '/api', to: 'web' }],
    hostFilters: { 'shop.test': [{ name: 'basic-auth', options }] },
  })
  const visit = (path: string, user: string, password = 'secret') =>
    get(path, 'shop.test', `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}\r\n`)
  t.equal((await requestRaw(server.port, visit('/api', 'anna'))).status, 200, 'it goes on, to the route')
  t.equal((await requestRaw(server.port, visit('/none', 'anna'))).status, 404, 'or to none')
  t.equal((await requestRaw(server.port, visit('/none', 'anna', 'x'))).status, 401, 'it is answered where no route is')
  const client = await connectRaw(server.port)
  client.send(visit('/api', 'slow'))
  while (server.proxy.inFlight === 0) await new Promise((resolve) => setImmediate(resolve))
  client.reset()
  while (server.records.length < 4) await new Promise((resolve) => setImmediate(resolve))
  t.equal(server.records[3]?.error, 'PORTICO_REQ_ABORTED', 'the client leaves meanwhile')
})

t.test('round robin over ten endpoints reaches each of them ten times in a hundred requests', async (t) => {
  const upstreams = await Promise.all(Array.from({ length: 10 }, (_, n) => startEchoUpstream({ name: `pod-${n}` })))
  t.teardown(() => Promise.all(upstreams.map((each) => each.close())))
  const server = await startProxy(
    t,
    upstreams.map((each) => each.port),
  )
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  const counts = new Map<string, number>()
  for (let n = 0; n < 100; n++) {
    const name = (await client.send(get('/')).response()).header('x-echo')!
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  t.same([...counts.values()], Array(10).fill(10))
})

t.test('a reload changes new requests and leaves running ones alone', async (t) => {
  const slow = await startRawUpstream(async (connection) => {
    await connection.head()
  })
  const echo = await startEchoUpstream()
  t.teardown(() => Promise.all([slow.close(), echo.close()]))
  const server = await startProxy(t, [slow.port])
  const first = await connectRaw(server.port)
  t.teardown(() => first.destroy())
  first.send(get('/first'))
  const held = await slow.connection(0)
  await held.head()
  server.load({ upstreams: { web: [echo.port] }, routes: [{ to: 'web' }] })
  t.equal((await requestRaw(server.port, get('/'))).header('x-echo'), 'echo')
  held.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold')
  t.equal((await first.response()).body.toString(), 'old')
})

t.test('while draining a connection is closed after its response', async (t) => {
  const upstream = await startRawUpstream(answerWith('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const client = await connectRaw(server.port)
  t.equal((await client.send(get('/')).response()).header('connection'), 'keep-alive')
  server.drain()
  t.equal((await client.send(get('/')).response()).header('connection'), 'close')
  await client.closed
})
