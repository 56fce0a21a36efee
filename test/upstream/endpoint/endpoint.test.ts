import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { UnresolvedEndpoint } from '../../../lib/model/upstream.ts'
import { makeCertificate } from '../../helpers/certificates.ts'
import { startEchoUpstream } from '../../helpers/echo-upstream.ts'
import { startProxy } from '../../helpers/proxy-server.ts'
import { connectRaw, requestRaw } from '../../helpers/raw-client.ts'
import { answerWith, startRawUpstream } from '../../helpers/raw-upstream.ts'
import { makeEndpoint } from '../../helpers/snapshot.ts'
import { until } from '../../helpers/until.ts'

const GET = 'GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

const codeOf = (response: { body: Buffer }) => JSON.parse(response.body.toString()).code

t.test('the addresses of a name take turns, and one that refuses gives way to another', async (t) => {
  const first = await startEchoUpstream({ name: 'first', address: '127.0.0.2' })
  const second = await startEchoUpstream({ name: 'second', address: '127.0.0.3', port: first.port })
  t.teardown(() => Promise.all([first.close(), second.close()]))
  const name = 'api.test'
  const endpoints = ['127.0.0.2', '127.0.0.3'].map((host) => ({ host, name, port: first.port }))
  const server = await startProxy(t, endpoints, { settings: { 'upstream.tries': 1 } })
  const names: (string | undefined)[] = []
  for (let n = 0; n < 4; n++) names.push((await requestRaw(server.port, GET)).header('x-echo'))
  t.same(names, ['first', 'second', 'first', 'second'])
  await first.close()
  for (let n = 0; n < 4; n++) t.equal((await requestRaw(server.port, GET)).header('x-echo'), 'second')
  const states = [...server.registry.states()]
  t.match(states, [
    { identity: { host: '127.0.0.2' }, inFlight: 0, requests: 3, failures: 1 },
    { identity: { host: '127.0.0.3' }, inFlight: 0, requests: 6, failures: 0 },
  ])
  t.match(states[0]!.lastFailure, { error: { code: 'PORTICO_UP_CONNECT_REFUSED' } })
  t.same(
    server.records.slice(4).map(({ endpoint, tries }) => [endpoint, tries]),
    Array.from({ length: 4 }, () => [`127.0.0.3:${first.port}`, 1]),
    'the log has who answered',
  )
})

t.test('a name that leads nowhere is 503 with its reason in the log, unless something else is left', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const lost = (code: UnresolvedEndpoint['code'], reason: string) => {
    return { endpoint: makeEndpoint('name.test:80'), code, reason }
  }
  const unresolved = lost('PORTICO_UP_NAME_UNRESOLVED', 'name.test: NXDOMAIN')
  const denied = lost('PORTICO_UP_ADDRESS_DENIED', 'name.test: 10.0.0.1 is private')
  const server = await startProxy(t, {
    upstreams: {
      unresolved: { endpoints: [], unresolved: [denied, unresolved] },
      denied: { endpoints: [], unresolved: [denied] },
      both: { endpoints: [echo.port], unresolved: [unresolved] },
    },
    routes: ['unresolved', 'denied', 'both'].map((to) => ({ to, path: `/${to}` })),
  })
  for (const [path, { code, reason }] of [
    ['unresolved', unresolved],
    ['denied', denied],
  ] as const) {
    const response = await requestRaw(server.port, GET.replace('/', `/${path}`))
    t.equal(response.status, 503)
    t.equal(codeOf(response), code)
    t.notMatch(response.body.toString(), 'name.test', 'which is not for the client')
    t.match(await server.record(), { error: code, detail: reason })
  }
  t.equal((await requestRaw(server.port, GET.replace('/', '/both'))).status, 200)
})

t.test('connections are kept and used again', async (t) => {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  for (let n = 0; n < 5; n++) t.equal((await requestRaw(server.port, GET)).status, 200)
  t.equal(upstream.connections.length, 1)
  const [state] = server.registry.states()
  t.match(state, { requests: 5, inFlight: 0, connections: 1, failures: 0 })
})

t.test('an idle connection is closed after its time, and not kept at all with 0', async (t) => {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], { settings: { 'timeouts.upstreamKeepAlive': 100 } })
  await requestRaw(server.port, GET)
  await (await upstream.connection(0)).ended()
  server.load({ upstreams: { web: [upstream.port] }, routes: [{ to: 'web' }] }, { 'timeouts.upstreamKeepAlive': 0 })
  await requestRaw(server.port, GET)
  await (await upstream.connection(1)).ended()
})

t.test('OV-06 beyond maxConnections requests wait, beyond maxQueue they are refused', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.maxConnections': 2, 'upstream.maxQueue': 1, 'upstream.tries': 1 },
  })
  const clients = await Promise.all([1, 2, 3].map(() => connectRaw(server.port)))
  t.teardown(() => {
    for (const client of clients) client.destroy()
  })
  for (const client of clients.slice(0, 2)) client.send(GET)
  const first = await upstream.connection(0)
  await (await upstream.connection(1)).head()
  await first.head()
  clients[2]!.send(GET)
  await until(() => server.proxy.inFlight >= 3)
  const refused = await requestRaw(server.port, GET)
  t.equal(refused.status, 503)
  t.equal(codeOf(refused), 'PORTICO_UP_OVERLOADED')
  first.send(OK)
  await first.head(2)
  first.send(OK)
  t.equal(upstream.connections.length, 2)
})

t.test('a request that waits too long for an endpoint is refused', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.maxConnections': 1, 'upstream.queueTimeout': 100 },
  })
  const holder = await connectRaw(server.port)
  t.teardown(() => holder.destroy())
  holder.send(GET)
  await (await upstream.connection(0)).head()
  t.equal(codeOf(await requestRaw(server.port, GET)), 'PORTICO_UP_OVERLOADED')
})

t.test('TLS-20 https endpoints are verified under the name of their Service', async (t) => {
  const authority = await makeCertificate({ names: ['Test CA'], isAuthority: true })
  const caFile = join(t.testdir({}), 'ca.pem')
  writeFileSync(caFile, authority.certificate)
  const good = await makeCertificate({ names: ['web.default.svc'], issuer: authority })
  const wrong = await makeCertificate({ names: ['other.default.svc'], issuer: authority })
  const expired = await makeCertificate({
    names: ['web.default.svc'],
    issuer: authority,
    notBefore: new Date(Date.now() - 10 * 86_400_000),
    notAfter: new Date(Date.now() - 86_400_000),
  })
  const cases: [string, typeof good, Record<string, unknown>, number][] = [
    ['right name, right authority', good, { 'upstream.caFile': caFile }, 200],
    ['unknown authority', good, {}, 502],
    ['a file of authorities that is not there', good, { 'upstream.caFile': '/nowhere/ca.pem' }, 502],
    ['wrong name', wrong, { 'upstream.caFile': caFile }, 502],
    ['expired', expired, { 'upstream.caFile': caFile }, 502],
    ['not verified, because the settings say so', wrong, { 'upstream.verifyTls': false }, 200],
  ]
  for (const [name, pem, settings, status] of cases) {
    const echo = await startEchoUpstream({ tls: { cert: pem.certificate, key: pem.key } })
    t.teardown(() => echo.close())
    const server = await startProxy(
      t,
      { upstreams: { web: { endpoints: [echo.port], protocol: 'https' } }, routes: [{ to: 'web' }] },
      { settings },
    )
    const response = await requestRaw(server.port, GET)
    t.equal(response.status, status, name)
    if (status === 502) t.equal(codeOf(response), 'PORTICO_UP_TLS', name)
  }
})

t.test('a connection made without verification is not used once it is asked for', async (t) => {
  const pem = await makeCertificate({ names: ['web.default.svc'] })
  const echo = await startEchoUpstream({ tls: { cert: pem.certificate, key: pem.key } })
  t.teardown(() => echo.close())
  const words = { upstreams: { web: { endpoints: [echo.port], protocol: 'https' as const } }, routes: [{ to: 'web' }] }
  const server = await startProxy(t, words, { settings: { 'upstream.verifyTls': false } })
  t.equal((await requestRaw(server.port, GET)).status, 200)
  server.load(words, {})
  t.equal((await requestRaw(server.port, GET)).status, 502)
})

t.test('a connect timeout is 504, an endpoint that speaks no TLS is 502', async (t) => {
  const plain = await startRawUpstream((connection) => {
    connection.send('HTTP/1.1 400 Bad\r\n\r\n')
  })
  t.teardown(() => plain.close())
  const server = await startProxy(t, {
    upstreams: { web: { endpoints: [plain.port], protocol: 'https' } },
    routes: [{ to: 'web' }],
  })
  t.equal(codeOf(await requestRaw(server.port, GET)), 'PORTICO_UP_TLS')
  const silent = await startRawUpstream(() => {})
  t.teardown(() => silent.close())
  const waiting = await startProxy(
    t,
    { upstreams: { web: { endpoints: [silent.port], protocol: 'https' } }, routes: [{ to: 'web' }] },
    { settings: { 'timeouts.connect': 100 } },
  )
  const response = await requestRaw(waiting.port, GET)
  t.equal(response.status, 504)
  t.equal(codeOf(response), 'PORTICO_UP_CONNECT_TIMEOUT')
})
