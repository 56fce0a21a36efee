/** How requests are balanced and clients kept with their endpoints, against a running gateway over real sockets. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { runPortico } from './bin/process.ts'
import { connectH2, requestH2 } from './helpers/h2-client.ts'
import { findAll } from './helpers/raw-client.ts'
import { type RunningGateway, runGateway, startEchoes, visit } from './helpers/running-gateway.ts'

const { a, b, c, d } = await startEchoes(t, 'a', 'b', 'c', 'd')

type Words = Readonly<{ endpoints: string; annotations?: Readonly<Record<string, string>>; spec?: string }>

const settingsYaml = (settings: string) => `---
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
${settings}
`

function manifests({ endpoints, annotations = {}, spec = '' }: Words, settings: string = ''): string {
  const all = { 'portico.dev/endpoints': endpoints, ...annotations }
  return `${settings === '' ? '' : settingsYaml(settings)}---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: web.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: ${JSON.stringify(all)}}
spec: {ports: [{port: 80}]${spec}}
`
}

const at = (...upstreams: readonly { readonly port: number }[]) =>
  upstreams.map(({ port }) => `127.0.0.1:${port}`).join(', ')

async function ask(running: RunningGateway, fields: string = '', path: string = '/'): Promise<string> {
  return String((await visit(running, `http://web.test${path}`, { fields })).answeredBy)
}

async function askMany(running: RunningGateway, count: number, fieldsOf: (at: number) => string): Promise<string[]> {
  const answers: string[] = []
  for (let at = 0; at < count; at++) answers.push(await ask(running, fieldsOf(at)))
  return answers
}

/** Name and value, as the client sends it back, and the attributes. */
function readCookie(headers: readonly string[]): readonly [cookie: string, attributes: string] | undefined {
  const [line] = findAll(headers, 'set-cookie')
  const [, cookie = '', attributes = ''] = /^([^;]*)(.*)$/.exec(line ?? '') ?? []
  return line === undefined ? undefined : [cookie, attributes]
}

t.test('S24 sessionAffinity: ClientIP keeps a client with its endpoint, also when others come', async (t) => {
  const spec = ', sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}'
  const settings = 'trustedProxies: [127.0.0.1]'
  const running = await runGateway(t, manifests({ endpoints: at(a, b, c), spec }, settings))
  const from = (at: number) => `X-Forwarded-For: 203.0.113.${at}\r\n`
  const first = await askMany(running, 30, from)
  t.same([...new Set(first)].sort(), ['a', 'b', 'c'], 'clients spread')
  t.same(await askMany(running, 30, from), first)
  await running.change(manifests({ endpoints: at(d, a, b, c), spec }, settings))
  t.same(await askMany(running, 30, from), first, 'a reload that brings an endpoint moves nobody')
  await running.change(manifests({ endpoints: at(a, b, d), spec }, settings))
  const after = await askMany(running, 30, from)
  t.ok(after.every((name, at) => (first[at] === 'c' ? name !== 'c' : name === first[at])))
  await running.change(
    manifests({ endpoints: at(a, b, d), spec, annotations: { 'portico.dev/affinity-type': 'none' } }),
  )
  t.equal(new Set(await askMany(running, 3, () => from(1))).size, 3, 'an annotation stands above the spec')
})

t.test('workers agree on the endpoint of a client, and take each other’s cookies', async (t) => {
  const endpoints = at(a, b, c, d)
  const flags = { workers: '2', trustedProxies: '127.0.0.1' }
  const running = await runGateway(t, manifests({ endpoints, spec: ', sessionAffinity: ClientIP' }), { flags })
  for (const client of [1, 2, 3]) {
    const names = await askMany(running, 12, () => `X-Forwarded-For: 203.0.113.${client}\r\n`)
    t.equal(new Set(names).size, 1, `client ${client} is always answered by ${names[0]}`)
  }
  await running.change(manifests({ endpoints, annotations: { 'portico.dev/affinity-type': 'cookie' } }))
  const { response, answeredBy } = await visit(running, 'http://web.test/')
  const [cookie] = readCookie(response.headers)!
  t.same(new Set(await askMany(running, 12, () => `Cookie: ${cookie}\r\n`)), new Set([answeredBy]))
})

t.test('cookie affinity', async (t) => {
  const annotations = { 'portico.dev/affinity-type': 'cookie', 'portico.dev/affinity-cookie-name': 'sid' }
  const words = { endpoints: at(a, b, c), annotations }

  t.test('the first answer sets a cookie that says nothing of the address, later ones do not', async (t) => {
    const running = await runGateway(t, manifests(words))
    const first = await visit(running, 'http://web.test/')
    const [cookie, attributes] = readCookie(first.response.headers)!
    t.match(cookie, /^sid=[\w-]{12}\.[\w-]{22}$/)
    t.equal(attributes, '; Path=/; HttpOnly; SameSite=Lax')
    t.same(findAll(first.response.headers, 'cache-control'), ['private'])
    for (let count = 0; count < 6; count++) {
      const next = await visit(running, 'http://web.test/', { fields: `Cookie: other=1; ${cookie}\r\n` })
      t.equal(next.answeredBy, first.answeredBy)
      t.equal(readCookie(next.response.headers), undefined)
      t.equal(findAll(next.echo!.headers, 'cookie')[0], `other=1; ${cookie}`, 'it is passed on')
    }
    t.equal(new Set(await askMany(running, 6, () => '')).size, 3, 'without it the balancer chooses')
  })

  t.test('it outlives a reload, leads elsewhere when its endpoint is gone, and is told anew', async (t) => {
    const running = await runGateway(t, manifests(words))
    const first = await visit(running, 'http://web.test/')
    const [cookie] = readCookie(first.response.headers)!
    const fields = `Cookie: ${cookie}\r\n`
    await running.change(manifests({ ...words, endpoints: at(d, c, b, a) }))
    t.same(new Set(await askMany(running, 8, () => fields)), new Set([first.answeredBy]))
    const left = at(...[a, b, c, d].filter(({ name }) => name !== first.answeredBy))
    await running.change(manifests({ ...words, endpoints: left }))
    const moved = await visit(running, 'http://web.test/', { fields })
    t.not(moved.answeredBy, first.answeredBy)
    const [another] = readCookie(moved.response.headers)!
    t.not(another, cookie)
    t.same(new Set(await askMany(running, 4, () => `Cookie: ${another}\r\n`)), new Set([moved.answeredBy]))
    await running.change(
      manifests({ endpoints: left, annotations: { ...annotations, 'portico.dev/affinity-on-dead': 'refuse' } }),
    )
    const refused = await visit(running, 'http://web.test/', { fields })
    t.equal(refused.status, 503)
    t.match(refused.response.body.toString(), /PORTICO_UP_AFFINITY_LOST/)
    t.notOk(refused.response.body.toString().includes('127.0.0.1'))
    t.type((await visit(running, 'http://web.test/')).answeredBy, 'string', 'who comes without one is served')
  })

  t.test('it outlives a restart with the same data folder', async (t) => {
    const dataDir = t.testdir()
    const before = await runGateway(t, manifests(words), { flags: { dataDir } })
    const first = await visit(before, 'http://web.test/')
    const [cookie] = readCookie(first.response.headers)!
    await before.gateway.stop()
    const after = await runGateway(t, manifests(words), { flags: { dataDir } })
    t.same(new Set(await askMany(after, 6, () => `Cookie: ${cookie}\r\n`)), new Set([first.answeredBy]))
  })

  t.test('an endpoint that refuses connections is left for another, and the answer tells', async (t) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const dead = server.address() as AddressInfo
    await new Promise<void>((resolve) => server.close(() => resolve()))
    const dataDir = t.testdir()
    const running = await runGateway(t, manifests({ ...words, endpoints: at(a, dead) }), { flags: { dataDir } })
    const names: (string | number)[] = []
    const cookies = new Set<string>()
    for (let count = 0; count < 4; count++) {
      const each = await visit(running, 'http://web.test/')
      names.push(each.answeredBy)
      cookies.add(readCookie(each.response.headers)![0])
    }
    t.same(names, ['a', 'a', 'a', 'a'])
    t.equal(cookies.size, 1, 'the cookie is that of who answered')
  })

  t.test('over HTTPS and HTTP/2 it is Secure; cookies in several fields are read', async (t) => {
    const running = await runGateway(
      t,
      manifests({ ...words, annotations: { ...annotations, 'portico.dev/affinity-cookie-same-site': 'none' } }),
    )
    const overTls = await visit(running, 'https://web.test/')
    t.equal(readCookie(overTls.response.headers)![1], '; Path=/; Secure; HttpOnly; SameSite=None')
    const session = connectH2(t, running.https, { tls: true })
    const head = { ':path': '/', ':scheme': 'https', ':authority': 'web.test' }
    const first = await requestH2(session, head)
    t.equal(first.status, 200)
    const [cookie, attributes] = readCookie(first.rawHeaders)!
    t.equal(attributes, '; Path=/; Secure; HttpOnly; SameSite=None')
    t.equal(first.headers['cache-control'], 'private')
    for (let count = 0; count < 4; count++) {
      const next = await requestH2(session, { ...head, cookie: ['x=y', cookie] })
      t.equal(next.headers['x-echo'], first.headers['x-echo'])
      t.equal(next.headers['set-cookie'], undefined)
    }
  })

  t.test('an upgrade sets it too, and goes where it says', async (t) => {
    const names = ['ws-one', 'ws-two']
    const ports = await Promise.all(names.map((name) => startWebSocket(t, name)))
    const endpoints = ports.map((port) => `127.0.0.1:${port}`).join(', ')
    const running = await runGateway(t, manifests({ ...words, endpoints }))
    const first = await openWebSocket(t, running, {})
    const [cookie] = readCookie(first.headers)!
    for (let count = 0; count < 4; count++) {
      const next = await openWebSocket(t, running, { Cookie: cookie })
      t.equal(next.greeting, first.greeting)
      t.equal(readCookie(next.headers), undefined)
    }
  })
})

t.test('a hash of a header keeps its key with an endpoint, over reloads', async (t) => {
  const annotations = { 'portico.dev/balancer': 'hash', 'portico.dev/hash-by': 'header:X-User' }
  for (const table of ['ring', 'maglev']) {
    const words = { endpoints: at(a, b, c), annotations: { ...annotations, 'portico.dev/hash-table': table } }
    const running = await runGateway(t, manifests(words))
    const user = (at: number) => `x-USER: user-${at}\r\n`
    const first = await askMany(running, 30, user)
    t.same([...new Set(first)].sort(), ['a', 'b', 'c'])
    t.same(await askMany(running, 30, user), first)
    await running.change(manifests({ ...words, endpoints: at(b, c) }))
    const after = await askMany(running, 30, user)
    const moved = after.filter((name, at) => first[at] !== 'a' && name !== first[at]).length
    t.ok(moved <= 3, `${table}: ${moved} of the keys of others moved`)
    await running.change(manifests(words))
    t.same(await askMany(running, 30, user), first)
  }
})

t.test('a hash of several parts goes by each of them, over HTTP/1.1 and HTTP/2', async (t) => {
  const annotations = { 'portico.dev/balancer': 'hash', 'portico.dev/hash-by': 'host+header:X-User' }
  const running = await runGateway(
    t,
    manifests({ endpoints: at(a, b, c, d), annotations }).replace('host: web.test', 'host: "*.test"'),
  )
  const askHost = async (host: string, user: string): Promise<string> =>
    String((await visit(running, `http://${host}/`, { fields: `X-User: ${user}\r\n` })).answeredBy)
  const hosts = Array.from({ length: 12 }, (_, at) => `h${at}.test`)
  const users = Array.from({ length: 12 }, (_, at) => `user-${at}`)
  const ofHosts: string[] = []
  for (const host of hosts) ofHosts.push(await askHost(host, 'ann'))
  t.ok(new Set(ofHosts).size > 1, 'hosts spread')
  const ofUsers: string[] = []
  for (const user of users) ofUsers.push(await askHost('h0.test', user))
  t.ok(new Set(ofUsers).size > 1, 'users of one host spread')
  t.equal(ofUsers.length, 12)
  for (const [at, host] of hosts.entries())
    t.equal(await askHost(`${host.toUpperCase()}:8080`, 'ann'), ofHosts[at], host)
  const client = connectH2(t, running.https, { tls: true })
  for (const [at, host] of hosts.entries()) {
    const { headers } = await requestH2(client, { ':authority': host, ':path': '/', 'x-user': 'ann' })
    t.equal(headers['x-echo'], ofHosts[at], `${host} over HTTP/2`)
  }
})

t.test('a key has as many endpoints as hash-subset says, and they stay its own', async (t) => {
  const annotations = { 'portico.dev/balancer': 'hash', 'portico.dev/hash-by': 'path', 'portico.dev/hash-subset': '2' }
  const running = await runGateway(t, manifests({ endpoints: at(a, b, c, d), annotations }))
  const owners = async (path: string): Promise<string> => {
    const found = new Set<string>()
    for (let count = 0; count < 16; count++) found.add(await ask(running, '', path))
    return [...found].sort().join()
  }
  const first = await owners('/x')
  t.match(first, /^[a-d],[a-d]$/)
  t.equal(await owners('/x'), first)
  const others: string[] = []
  for (const path of ['/1', '/2', '/3', '/4', '/5', '/6']) others.push(await owners(path))
  t.ok(new Set(others).size > 1, `${others}`)
})

t.test('the settings stand above annotations, and a change of them alone is followed', async (t) => {
  const words = { endpoints: at(a, b, c), annotations: { 'portico.dev/balancer': 'random' } }
  const running = await runGateway(t, manifests(words, 'services: {default/web: {balancer: hash, hash: {by: path}}}'))
  const paths = async () => [
    await ask(running, '', '/x?1'),
    await ask(running, '', '/x?2'),
    await ask(running, '', '/x'),
  ]
  t.equal(new Set(await paths()).size, 1)
  await running.change(manifests(words, 'services: {default/web: {balancer: round-robin}}'))
  t.same((await paths()).sort(), ['a', 'b', 'c'])
})

t.test('backups answer where no other endpoint can be connected to', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  server.on('request', (_request, response) =>
    response.writeHead(200, { 'x-echo': 'primary', 'content-length': 2 }).end('{}'),
  )
  const running = await runGateway(t, manifests({ endpoints: `127.0.0.1:${a.port};backup, 127.0.0.1:${port}` }))
  t.same(await askMany(running, 4, () => ''), Array(4).fill('primary'))
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
  t.same(await askMany(running, 4, () => ''), Array(4).fill('a'))
})

/** Greets each client with its name. */
async function startWebSocket(t: Test, name: string): Promise<number> {
  const server = createServer()
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.send(name))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const client of sockets.clients) client.terminate()
    sockets.close()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function openWebSocket(
  t: Test,
  running: RunningGateway,
  headers: Readonly<Record<string, string>>,
): Promise<{ greeting: string; headers: readonly string[] }> {
  const socket = new WebSocket(`ws://127.0.0.1:${running.http}/`, { headers: { Host: 'web.test', ...headers } })
  t.teardown(() => socket.terminate())
  return new Promise((resolve, reject) => {
    let raw: readonly string[] = []
    socket.on('error', reject)
    socket.on('upgrade', ({ rawHeaders }) => {
      raw = rawHeaders
    })
    socket.on('message', (greeting) => resolve({ greeting: String(greeting), headers: raw }))
  })
}

t.test('explain names the endpoint that a hash chooses', async (t) => {
  const ports = new Map([a, b, c, d].map(({ name, port }) => [String(port), name]))
  const endpoints = `${at(a, b, c)}, 127.0.0.1:${d.port};weight=3`
  const cases = [
    ['query:user', 'ring'],
    ['path', 'maglev'],
    ['uri', 'ring'],
    ['header:X-Tenant', 'maglev'],
    ['cookie:session', 'ring'],
    ['header:X-Missing', 'ring'],
    ['client-ip', 'maglev'],
    ['host+path', 'ring'],
    ['query:user+header:X-Tenant', 'maglev'],
  ] as const
  for (const [by, table] of cases) {
    const annotations = {
      'portico.dev/balancer': 'hash',
      'portico.dev/hash-by': by,
      'portico.dev/hash-table': table,
      'portico.dev/hash-bounded-load': '0',
    }
    const text = manifests({ endpoints, annotations })
    const running = await runGateway(t, text)
    for (const value of ['x', 'y', 'z']) {
      const path = `/${value}?user=${value}`
      const fields = [`X-Tenant: ${value}`, `Cookie: session=${value}`]
      const answered = await ask(running, fields.map((field) => `${field}\r\n`).join(''), path)
      const words = ['explain', `http://web.test${path}`, '-f', '-', ...fields.flatMap((field) => ['-H', field])]
      const { stdout } = await runPortico(words, { stdin: text })
      const [, port = '', reason] = / sends .*? to http:\/\/127\.0\.0\.1:(\d+) \((.*?)\)/.exec(stdout) ?? []
      t.same(
        [ports.get(port), reason],
        [answered, `by the hash of ${by.replace('header:X-Missing', 'client-ip')}`],
        `${by} ${value}`,
      )
    }
  }
})
