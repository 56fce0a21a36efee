import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { constants } from 'node:http2'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startGateway } from '../bin/process.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { connectH2 } from '../helpers/h2-client.ts'
import { createMemoryLog } from '../helpers/memory-log.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { startAuth } from './auth-server.ts'
import { ask, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

t.test('the auth server decides upon what the endpoint gets, and says who the user is', async (t) => {
  const auth = await startAuth(t, (_request, response) => {
    response.writeHead(202, ['X-User', 'anna', 'X-Forwarded-Groups', 'a', 'X-Forwarded-Groups', 'b', 'X-Other', 'o'])
    response.end('welcome')
  })
  const doors = await startFiltered(t, {
    'auth-url': auth.url,
    'auth-response-headers': 'X-User, X-Forwarded-Groups, X-Absent',
  })
  for (const door of doors.names) {
    const { status, upstream } = await ask(doors, door, {
      method: 'POST',
      target: '/public/../admin//x/./y?a=b//c',
      fields: [
        ['authorization', 'Bearer t'],
        ['cookie', 'a=b'],
        ['cookie', 'c=d'],
        ['accept', 'text/html'],
        ['user-agent', 'tester'],
        ['x-user', 'root'],
        ['x-absent', 'root'],
        ['x-forwarded-groups', 'root'],
        ['x-forwarded-uri', '/public'],
        ['x-forwarded-method', 'GET'],
        ['x-mine', 'm'],
        ['content-type', 'text/plain'],
        ['content-encoding', 'gzip'],
        ['if-none-match', '"a"'],
        ['range', 'bytes=0-1'],
        ['x-hop', 'h'],
        ['connection', 'x-hop'],
      ].filter(([name]) => door !== 'HTTP/2' || (name !== 'connection' && name !== 'x-hop')) as [string, string][],
      body: 'upload',
    })
    t.equal(status, 200, door)
    t.equal(upstream[0], 'POST /admin//x/y?a=b//c HTTP/1.1')
    t.same(
      upstream.filter((line) => /^(x-user|x-absent|x-mine|x-other|authorization)/.test(line)),
      ['authorization: Bearer t', 'x-mine: m', 'x-user: anna'],
      door,
    )
    t.equal(upstream.at(-1), 'upload')
    const { method, url, headers, rawHeaders } = auth.asked.at(-1)!
    t.equal(`${method} ${url}`, 'GET /verify?app=1')
    t.match(headers, {
      host: /^127\.0\.0\.1:\d+$/,
      authorization: 'Bearer t',
      cookie: 'a=b; c=d',
      accept: 'text/html',
      'user-agent': 'tester',
      'x-forwarded-method': 'POST',
      'x-forwarded-proto': /TLS|HTTP\/2/.test(door) ? 'https' : 'http',
      'x-forwarded-host': 'filtered.test',
      'x-forwarded-uri': '/admin//x/y?a=b//c',
      'x-forwarded-for': '127.0.0.1',
    })
    t.match(headers, { 'x-mine': 'm', 'x-user': 'root', 'x-forwarded-groups': undefined }, 'all end-to-end fields')
    t.same(
      Object.keys(headers).filter((name) => /^(?:content|transfer|if)-|^(?:range|x-hop|expect|te)$/.test(name)),
      [],
      'nothing of the body, of the hop, of copies and ranges',
    )
    t.equal(rawHeaders.filter((name) => name.toLowerCase() === 'host').length, 1)
    t.equal(rawHeaders.filter((name) => name.toLowerCase() === 'x-forwarded-uri').length, 1)
  }
  t.equal(auth.asked.length, doors.names.length, 'one question a request')
  t.equal(auth.sockets.size, 2, 'the connection of each gateway is kept')
  await ask(doors, 'lane', { host: 'gw.test' })
  t.equal(auth.asked.length, doors.names.length, 'other Ingresses do not ask')
})

t.test('an endpoint gets the fields of the auth server alone, whoever sends them', async (t) => {
  let groups: string[] = ['X-Forwarded-Groups', 'a', 'X-Forwarded-Groups', 'b', 'X-User', 'anna']
  const auth = await startAuth(t, (_request, response) => response.writeHead(200, groups).end())
  const annotations = {
    'auth-url': auth.url,
    'auth-response-headers': 'X-Forwarded-Groups, x-user, Authorization',
  }
  const running = await runGateway(t, printFiltered(annotations), {
    endpoints: endpointsOf(await startEchoes(t, 'web')),
    // This client is believed; fields with underscores are kept.
    flags: { trustedProxies: '127.0.0.0/8', underscoresInHeaders: 'keep' },
  })
  const send = async () => {
    const client = await connectRaw(running.http)
    const fields = 'X-Forwarded-Groups: root\r\nX_User: root\r\nX-User: root\r\nAuthorization: Basic x\r\n'
    const response = await client
      .send(`GET / HTTP/1.1\r\nHost: a.test:8080\r\n${fields}X-Forwarded-For: 192.0.2.1\r\n\r\n`)
      .response()
    client.destroy()
    return response.body.toString()
  }
  const allowed = await send()
  t.notMatch(allowed, /root|Basic/)
  t.match(allowed, /anna/)
  t.match(auth.asked[0]?.headers, {
    authorization: 'Basic x',
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-host': 'a.test:8080',
  })
  groups = []
  const bare = await send()
  t.match(bare, /192\.0\.2\.1/)
  t.notMatch(bare, /root|Basic|anna/)
})

t.test('any other answer goes to the client', async (t) => {
  const auth = await startAuth(t, (request, response) => {
    if (request.headers.authorization === 'Bearer none') {
      response.writeHead(401, {
        'WWW-Authenticate': ['Basic realm="a"', 'Bearer'],
        'Content-Type': 'text/plain',
        'X-Reason': 'unknown',
        'X-Request-Id': 'mine',
        Server: 'auth',
        'X-Hop': 'h',
        Connection: 'x-hop, content-type',
        'Keep-Alive': 'timeout=777',
        'Proxy-Authenticate': 'Basic',
      })
      response.end('who are you?')
    } else {
      const fields = { Location: 'https://login.test/?back=1', 'Set-Cookie': ['a=1', 'b=2'] }
      response.writeHead(302, fields).end()
    }
  })
  const doors = await startFiltered(t, { 'auth-url': auth.url })
  for (const door of doors.names) {
    for (const method of ['GET', 'POST']) {
      const request = { method, ...(method === 'POST' && { body: 'upload' }) }
      const refused = await ask(doors, door, { ...request, fields: [['authorization', 'Bearer none']] })
      t.match(refused, { status: 401, body: 'who are you?', upstream: [] }, `${door} ${method}`)
      t.same(refused.field('www-authenticate'), ['Basic realm="a"', 'Bearer'])
      t.same(refused.field('content-type'), ['text/plain'])
      t.same(refused.field('x-reason'), ['unknown'])
      for (const name of ['x-hop', 'proxy-authenticate', 'transfer-encoding']) {
        t.same(refused.field(name), [], name)
      }
      t.notSame(refused.field('keep-alive'), ['timeout=777'])
      t.same(refused.field('server'), ['portico'])
      t.notSame(refused.field('x-request-id'), ['mine'])
      t.equal(refused.field('x-request-id').length, 1)
      const redirected = await ask(doors, door, request)
      t.match(redirected, { status: 302, body: '', upstream: [] }, `${door} ${method}`)
      t.same(redirected.field('location'), ['https://login.test/?back=1'])
      t.same(redirected.field('set-cookie'), ['a=1', 'b=2'])
    }
  }
})

t.test('without a proper answer in time nothing goes on', async (t) => {
  const answers: Record<string, RequestListener> = {
    'too large': (_request, response) => response.end(Buffer.alloc(65_537)),
    'too large and refused': (_request, response) => response.writeHead(403).end(Buffer.alloc(65_537)),
    'too many fields': (_request, response) => response.writeHead(200, { 'X-Long': 'x'.repeat(20_000) }).end(),
    'cut off': (_request, response) => {
      response.writeHead(200, { 'Content-Length': 10 }).write('half')
      setTimeout(() => response.destroy(), 20)
    },
    'not HTTP': (request) => request.socket.end('NONSENSE\r\n\r\n'),
    'switched protocols': (request) =>
      request.socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    'not modified': (_request, response) => response.writeHead(304).end(),
    'without an end': (_request, response) => {
      response.writeHead(200).write('x')
    },
    'without a head': () => {},
  }
  let name = ''
  const auth = await startAuth(t, (request, response) => answers[name]!(request, response))
  const doors = await startFiltered(t, { 'auth-url': auth.url, 'auth-timeout': '300ms' })
  const check = async () => {
    for (const door of ['lane', 'node:http', 'HTTP/2']) {
      const { status, body, upstream } = await ask(doors, door, { method: 'POST', body: 'upload' })
      t.match({ status, upstream }, { status: 503, upstream: [] }, `${door}: ${name}`)
      t.equal(JSON.parse(body).code, 'PORTICO_GW_AUTH_UNAVAILABLE')
    }
  }
  for (name of Object.keys(answers)) await check()
  await auth.close()
  name = 'down'
  await check()
})

t.test('a kept connection that the auth server has closed costs no request', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.end())
  const doors = await startFiltered(t, { 'auth-url': auth.url })
  t.equal((await ask(doors, 'lane', {})).status, 200)
  const [kept] = auth.sockets
  // The next request is on its way before the gateway has seen the end.
  kept!.prependOnceListener('data', () => kept!.resetAndDestroy())
  const before = auth.asked.length
  t.equal((await ask(doors, 'lane', {})).status, 200)
  t.ok(auth.asked.length > before)
  t.notOk(auth.sockets.has(kept!))
})

t.test('a client that leaves takes its question along', async (t) => {
  const auth = await startAuth(t, () => {})
  const annotations = { 'auth-url': auth.url, 'auth-timeout': '1m' }
  for (const enabled of ['true', 'false']) {
    const running = await runGateway(t, printFiltered(annotations), {
      endpoints: endpointsOf(await startEchoes(t, 'web')),
      flags: { 'fastLane.enabled': enabled },
    })
    for (const body of ['', 'half']) {
      const before = auth.asked.length
      const client = await connectRaw(running.http)
      const framing = body === '' ? '' : 'Content-Length: 10\r\n'
      client.send(`POST / HTTP/1.1\r\nHost: a.test\r\n${framing}\r\n${body}`)
      await until(() => auth.asked.length > before)
      t.equal(running.gateway.inFlight, 1)
      t.equal(auth.sockets.size, 1)
      client.reset()
      await until(() => auth.sockets.size === 0)
      await until(() => running.gateway.inFlight === 0)
      t.pass(`fast lane ${enabled}, body "${body}": both are gone`)
    }
    const before = auth.asked.length
    const session = connectH2(t, running.https, { tls: true })
    const stream = session.request({ ':path': '/', ':authority': 'a.test' })
    stream.on('error', () => {})
    await until(() => auth.asked.length > before)
    stream.close(constants.NGHTTP2_CANCEL)
    await until(() => auth.sockets.size === 0)
    await until(() => running.gateway.inFlight === 0)
    t.pass('a stream of HTTP/2 is gone, its connection is not')
    t.notOk(session.destroyed)
  }
})

t.test('the certificate of an auth server is verified', async (t) => {
  const { certificate, key } = await makeCertificate({ names: ['127.0.0.1'] })
  const count = { connections: 0, asked: 0 }
  const server = createSecureServer({ cert: certificate, key }, (_request, response) => {
    count.asked++
    response.end()
  })
  server.on('connection', () => count.connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const folder = mkdtempSync(join(tmpdir(), 'portico-auth-'))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const authority = join(folder, 'authority.pem')
  const file = join(folder, 'manifests.yaml')
  const { port } = server.address() as AddressInfo
  writeFileSync(authority, certificate)
  writeFileSync(file, printFiltered({ 'auth-url': `https://127.0.0.1:${port}/` }))
  const { web } = await startEchoes(t, 'web')
  const visit = async (environment: Record<string, string>) => {
    const words = ['run', '-f', file, '--workers', '0', '--endpoints', `default/web=127.0.0.1:${web.port}`]
    const { ports } = await startGateway(t, words, { environment })
    const client = await connectRaw(ports.http ?? 0)
    const { status } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    client.destroy()
    return status
  }
  t.equal(await visit({}), 503)
  t.same(count, { connections: 1, asked: 0 })
  t.equal(await visit({ NODE_EXTRA_CA_CERTS: authority }), 200)
  t.same(count, { connections: 2, asked: 1 })
})

t.test('what cannot be used closes the routes', async (t) => {
  const url = 'http://127.0.0.1:9/'
  for (const annotations of [
    { 'auth-url': '' },
    { 'auth-url': '/verify' },
    { 'auth-url': 'ftp://a.test/' },
    { 'auth-url': 'http://user:secret@a.test/' },
    { 'auth-url': 'http://a.test/#part' },
    { 'auth-url': 'http://a.test/ b' },
    { 'auth-url': 'http://a.test/verify?host=$host' },
    { 'auth-url': 'http://$http_host/verify' },
    { 'auth-url': url, 'auth-timeout': '0s' },
    { 'auth-url': url, 'auth-timeout': '5' },
    { 'auth-url': url, 'auth-timeout': '1h' },
    { 'auth-url': url, 'auth-response-headers': '' },
    { 'auth-url': url, 'auth-response-headers': 'X-User, Content-Length' },
    { 'auth-url': url, 'auth-response-headers': 'X-Forwarded-For' },
    { 'auth-url': url, 'auth-response-headers': 'X User:' },
    { 'auth-response-headers': 'X-User' },
    { 'auth-timeout': '5s' },
    { 'auth-url': url, 'auth-method': 'TRACE' },
    { 'auth-url': url, 'auth-method': 'get' },
    { 'auth-url': url, 'auth-request-headers': 'X User:' },
    { 'auth-url': url, 'auth-request-headers': 'Host' },
    { 'auth-url': url, 'auth-signin': 'login' },
    { 'auth-url': url, 'auth-signin': '//evil.test/' },
    { 'auth-url': url, 'auth-signin': 'javascript:x' },
    { 'auth-url': url, 'auth-signin': 'https://user:secret@a.test/' },
    { 'auth-url': url, 'auth-signin': 'https://a.test/#part' },
    { 'auth-url': url, 'auth-signin': 'https://$host/login' },
    { 'auth-url': url, 'auth-signin': `https://a.test\${request.query}` },
    { 'auth-url': url, 'auth-signin': `//\${request.target}` },
    { 'auth-url': `https://auth.test\${request.query}` },
    { 'auth-url': `https://\${request.header.x}/` },
    { 'auth-url': `\${request.scheme}://auth.test/` },
    { 'auth-url': `http://a.test/\${request.nothing}` },
    { 'auth-url': url, 'auth-request-redirect': `\${request.uri}` },
    { 'auth-url': url, 'auth-request-redirect': 'a b' },
    { 'auth-url': url, 'auth-request-headers-set': 'X-Portico_Auth-Question: 0' },
    { 'auth-url': url, 'auth-request-headers-set': 'Host: a' },
    { 'auth-url': url, 'auth-request-headers-set': `X-A: \${x}` },
    { 'auth-url': url, 'auth-request-headers-set': 'X-A' },
    { 'auth-request-headers-set': 'X-A: b' },
    { 'auth-request-redirect': '/a' },
    { 'auth-url': url, 'auth-signin': '/login', 'auth-signin-redirect-param': 'a=b' },
    { 'auth-url': url, 'auth-signin-redirect-param': 'rd' },
    { 'auth-signin': '/login' },
    { 'auth-url': url, 'auth-always-set-cookie': 'yes' },
    { 'auth-url': url, 'auth-cache-key': 'client' },
    { 'auth-url': url, 'auth-cache-key': 'path, method' },
    { 'auth-url': url, 'auth-cache-key': '$cookie_session' },
    { 'auth-url': url, 'auth-cache-key': 'header:X-Forwarded-For' },
    { 'auth-url': url, 'auth-cache-key': 'header:Authorization, header:X_Forwarded_For' },
    { 'auth-url': url, 'auth-cache-key': Array(9).fill('header:A').join() },
    { 'auth-url': url, 'auth-cache-key': 'header:Authorization', 'auth-cache-duration': '5m' },
    { 'auth-url': url, 'auth-cache-key': 'header:Authorization', 'auth-cache-duration': '200 25h' },
    { 'auth-url': url, 'auth-cache-key': 'header:Authorization', 'auth-cache-duration': '200 0s' },
    { 'auth-url': url, 'auth-cache-key': 'header:Authorization', 'auth-cache-duration': '500 5m' },
    { 'auth-url': url, 'auth-cache-duration': '200 5m' },
    { 'auth-url': url, 'auth-failure': 'ignore' },
  ]) {
    const { route, diagnostics } = translateFiltered(annotations)
    t.match(route?.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, JSON.stringify(annotations))
    t.match(diagnostics[0], { code: 'PORTICO_ANN_VALUE', severity: 'error', help: /\w/ }, JSON.stringify(annotations))
    t.notMatch(JSON.stringify(diagnostics.map(({ message, help }) => [message, help])), 'secret')
  }
  const doors = await startFiltered(t, { 'auth-url': url, 'auth-failure': 'ignore' })
  for (const door of doors.names) {
    const { status, body, upstream } = await ask(doors, door, {})
    t.match({ status, upstream }, { status: 503, upstream: [] }, door)
    t.equal(JSON.parse(body).code, 'PORTICO_GW_GUARD_INVALID')
  }
})

t.test(
  'an auth server is told what was asked for in the fields of ingress-nginx and of oauth2-proxy too',
  async (t) => {
    const auth = await startAuth(t, (_request, response) => response.end())
    const doors = await startFiltered(t, { 'auth-url': auth.url, 'auth-request-headers': 'X-Mine, Cookie, X-Scheme' })
    for (const door of doors.names) {
      const { status, upstream } = await ask(doors, door, {
        method: 'PUT',
        target: '/a/../b?c=%2F',
        fields: [
          ['x-mine', 'm'],
          ['x-other', 'o'],
          ['cookie', 'a=b'],
          ['authorization', 'Bearer t'],
          ['x-original-uri', '/public'],
          ['x-original-method', 'GET'],
          ['x-auth-request-redirect', 'https://evil.test/'],
          ['x-scheme', 'ftp'],
        ],
      })
      t.equal(status, 200, door)
      const scheme = /TLS|HTTP\/2/.test(door) ? 'https' : 'http'
      const { headers, rawHeaders } = auth.asked.at(-1)!
      t.match(headers, {
        'x-original-url': `${scheme}://filtered.test/b?c=%2F`,
        'x-original-uri': '/b?c=%2F',
        'x-original-method': 'PUT',
        'x-auth-request-redirect': '/b?c=%2F',
        'x-scheme': scheme,
        'x-real-ip': '127.0.0.1',
        'x-request-id': /\w/,
        'x-mine': 'm',
        cookie: 'a=b',
      })
      for (const name of ['authorization', 'x-other']) t.notOk(name in headers, name)
      const names = rawHeaders.filter((_each, at) => at % 2 === 0).map((each) => each.toLowerCase())
      t.equal(new Set(names).size, names.length, 'no field twice, whatever a client sends')
      t.ok(upstream.includes('authorization: Bearer t'), 'the endpoint gets all fields of the client')
    }
  },
)

t.test('the method of the question is the one that auth-method says', async (t) => {
  const auth = await startAuth(t, (request, response) =>
    response.writeHead(request.method === 'HEAD' ? 403 : 204).end(),
  )
  for (const method of ['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const doors = await startFiltered(t, { 'auth-url': auth.url, 'auth-method': method })
    const { status } = await ask(doors, 'lane', { method: 'POST', body: 'upload' })
    t.equal(status, method === 'HEAD' ? 403 : 200, method)
    t.equal(auth.asked.at(-1)?.method, method)
    t.notOk(auth.asked.at(-1)?.headers['transfer-encoding'])
    t.match(auth.asked.at(-1)?.headers['content-length'] ?? '0', '0', 'no body')
  }
})

t.test('a client without a login is sent to sign in, and told where to come back to', async (t) => {
  let status = 401
  const auth = await startAuth(t, (_request, response) => {
    response.writeHead(status, { 'Set-Cookie': ['csrf=1', 'b=2'], 'X-Reason': 'unknown', 'Content-Type': 'text/html' })
    response.end('who are you?')
  })
  const doors = await startFiltered(t, { 'auth-url': auth.url, 'auth-signin': 'https://login.test/start' })
  for (const door of doors.names) {
    const scheme = /TLS|HTTP\/2/.test(door) ? 'https' : 'http'
    const redirected = await ask(doors, door, {
      method: 'POST',
      target: '/a/?b=c&rd=https://evil.test',
      body: 'upload',
    })
    t.match(redirected, { status: 302, body: '', upstream: [] }, door)
    const [location = ''] = redirected.field('location')
    t.equal(
      location,
      `https://login.test/start?rd=${encodeURIComponent(`${scheme}://filtered.test/a/?b=c&rd=https://evil.test`)}`,
    )
    t.same([...new URL(location).searchParams.keys()], ['rd'], 'nothing of the request becomes another parameter')
    t.same(redirected.field('set-cookie'), ['csrf=1', 'b=2'], 'as the cookie that a login begins with')
    t.same(redirected.field('cache-control'), ['no-store'])
    t.same(redirected.field('x-reason'), [])
  }
  status = 403
  const refused = await ask(doors, 'lane', {})
  t.match(refused, { status: 403, body: 'who are you?' }, 'a client that has logged in would come back at once')
  t.same(refused.field('set-cookie'), ['csrf=1', 'b=2'])
})

t.test(
  'the URL to sign in at may be a path, have a query or variables, and name the parameter otherwise',
  async (t) => {
    const auth = await startAuth(t, (_request, response) => response.writeHead(401).end())
    const back = 'http%3A%2F%2Ffiltered.test%2Fx'
    const cases: readonly (readonly [string, string | undefined, string])[] = [
      ['/oauth2/start', undefined, `/oauth2/start?rd=${back}`],
      ['https://a.test/?app=1', undefined, `https://a.test/?app=1&rd=${back}`],
      ['https://a.test/?', 'return.to', `https://a.test/?return.to=${back}`],
      ['https://a.test/?rd=%2Fhome', undefined, 'https://a.test/?rd=%2Fhome'],
      ['https://a.test/?rd=%2Fhome', 'to', `https://a.test/?rd=%2Fhome&to=${back}`],
      ['https://a.test/?ard=1', undefined, `https://a.test/?ard=1&rd=${back}`],
      [`\${request.scheme}://\${request.host}`, undefined, `http://filtered.test?rd=${back}`],
      [`https://a.test/?to=\${request.encoded-target}`, 'to', 'https://a.test/?to=%2Fx'],
      [`/login\${request.path}?m=\${request.method}`, undefined, `/login/x?m=GET&rd=${back}`],
      [`https://\${request.authority}/oauth2/start`, undefined, `https://filtered.test/oauth2/start?rd=${back}`],
    ]
    for (const [signIn, parameter, expected] of cases) {
      const annotations = {
        'auth-url': auth.url,
        'auth-signin': signIn,
        ...(parameter && { 'auth-signin-redirect-param': parameter }),
      }
      const doors = await startFiltered(t, annotations)
      t.same((await ask(doors, 'lane', { target: '/x' })).field('location'), [expected], signIn)
    }
  },
)

const answer = (status: number) => ({
  pieces: [`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\nSet-Cookie: own=1\r\n\r\n`],
})

t.test(
  'cookies of the auth server reach the client, with errors of the endpoint only where that is asked for',
  async (t) => {
    const auth = await startAuth(t, (_request, response) => {
      response.writeHead(200, { 'Set-Cookie': ['session=new; Path=/', 'b=2'], 'X-Other': 'o' }).end()
    })
    const answers = { '/ok': answer(200), '/moved': answer(302), '/error': answer(500), '/none': answer(404) }
    for (const always of ['false', 'true']) {
      const annotations = { 'auth-url': auth.url, 'auth-always-set-cookie': always }
      const doors = await startFiltered(t, annotations, '/', '', answers)
      for (const door of doors.names) {
        for (const target of Object.keys(answers)) {
          const answer = await ask(doors, door, { target })
          const isSet = always === 'true' || target === '/ok' || target === '/moved'
          const cookies = isSet ? ['own=1', 'session=new; Path=/', 'b=2'] : ['own=1']
          t.same(answer.field('set-cookie'), cookies, `${door} ${target} always ${always}`)
          t.same(answer.field('x-other'), [])
        }
      }
    }
  },
)

t.test('auth-failure: open lets requests go on where the server cannot be reached, and only there', async (t) => {
  const listeners: Record<string, readonly [status: number, listener: RequestListener]> = {
    refuses: [403, (_request, response) => response.writeHead(403).end()],
    fails: [500, (_request, response) => response.writeHead(500).end()],
    'does not answer': [200, () => {}],
    'closes the connection': [200, (request) => request.socket.destroy()],
    'answers no HTTP': [503, (request) => request.socket.end('NONSENSE\r\n\r\n')],
    'answers too much': [503, (_request, response) => response.end(Buffer.alloc(65_537))],
    'has too many fields': [
      503,
      (_request, response) => response.writeHead(200, { 'X-Long': 'x'.repeat(20_000) }).end(),
    ],
    'does not end': [503, (_request, response) => response.writeHead(200).write('x')],
    'says 304': [503, (_request, response) => response.writeHead(304).end()],
    'switches protocols': [
      503,
      (request) => request.socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    ],
  }
  let name = ''
  const auth = await startAuth(t, (request, response) => listeners[name]![1](request, response))
  const annotations = {
    'auth-url': auth.url,
    'auth-timeout': '300ms',
    'auth-failure': 'open',
    'auth-response-headers': 'X-User',
  }
  const doors = await startFiltered(t, annotations)
  const check = async (expected: number) => {
    for (const door of ['lane', 'node:http', 'HTTP/2']) {
      const { status, upstream } = await ask(doors, door, { fields: [['x-user', 'root']] })
      t.equal(status, expected, `${door}: ${name}`)
      t.notMatch(upstream.join(), 'root', 'a client does not say who it is')
    }
  }
  for (name of Object.keys(listeners)) await check(listeners[name]![0])
  await auth.close()
  name = 'is down'
  await check(200)
})

t.test('the log tells that requests go on unasked, once a minute and without the query of the URL', async (t) => {
  const auth = await startAuth(t, () => {})
  await auth.close()
  const log = createMemoryLog()
  const manifests = printFiltered({ 'auth-url': `${auth.url}&key=secret`, 'auth-failure': 'open' })
  const running = await runGateway(t, manifests, { endpoints: endpointsOf(await startEchoes(t, 'web')), log })
  for (let count = 0; count < 3; count++) {
    const client = await connectRaw(running.http)
    t.equal((await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()).status, 200)
    client.destroy()
  }
  const told = log.lines('warn').filter(({ msg }) => msg.includes('unasked'))
  t.equal(told.length, 1)
  t.match(
    told[0]?.msg,
    /^the auth server http:\/\/127\.0\.0\.1:\d+\/verify cannot be reached, and requests go on unasked: /,
  )
  t.notMatch(JSON.stringify(['info', 'warn', 'error'].map((level) => log.lines(level as 'info'))), 'secret')
})
