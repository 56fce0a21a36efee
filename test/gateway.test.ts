import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { request as requestTls } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls'
import { type Logger, pino } from 'pino'
import { generate } from 'selfsigned'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { createGateway, type Gateway, printChange, type Reloaded, StartError } from '../lib/index.ts'
import { FAST_LANE } from './helpers/fast-lane.ts'
import { findFreePort } from './helpers/free-ports.ts'

type Answer = { status: number; headers: IncomingHttpHeaders; body: string; socket: Socket }

type Ask = { port: number; host: string; path?: string; agent?: Agent; method?: string; body?: string }

function ask({ port, host, path = '/', agent, method = 'GET', body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, method, agent, headers: { host } }, (incoming) =>
      collect(incoming).then(resolve, reject),
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function collect(incoming: IncomingMessage): Promise<Answer> {
  let body = ''
  incoming.setEncoding('utf8')
  for await (const chunk of incoming) body += chunk
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body, socket: incoming.socket }
}

/** A service that answers with its name and what it was asked. */
async function startUpstream(
  t: Test,
  name: string,
  handle?: (request: IncomingMessage, response: ServerResponse) => void,
) {
  const server = createServer(
    handle ?? ((incoming, response) => response.end(`${name} ${incoming.method} ${incoming.url}`)),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, port: (server.address() as AddressInfo).port }
}

function serviceYaml(name: string, ...ports: number[]): string {
  const endpoints = ports.map((port) => `127.0.0.1:${port}`).join(', ')
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  annotations: {portico.dev/endpoints: "${endpoints}"}
spec: {ports: [{port: 80}]}
---
`
}

function ingressYaml(name: string, host: string, paths: Record<string, string>, secretName?: string): string {
  const tls = secretName ? `  tls: [{hosts: [${host}], secretName: ${secretName}}]\n` : ''
  const rules = Object.entries(paths).map(
    ([path, service]) =>
      `          - {path: ${path}, pathType: Prefix, backend: {service: {name: ${service}, port: {number: 80}}}}\n`,
  )
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}}
spec:
${tls}  rules:
    - host: ${host}
      http:
        paths:
${rules.join('')}---
`
}

function createFolder(t: Test, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'portico-gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

/** A running gateway over a folder of files, on ports of its own. */
async function startGateway(t: Test, files: Record<string, string>, flags: Record<string, string> = {}) {
  const folder = createFolder(t, files)
  const gateway = await createGateway({ sources: [folder], environment: {}, flags: quietFlags(t, flags) })
  await gateway.start()
  t.teardown(async () => {
    void gateway.stop()
    await gateway.stop()
  })
  const { http = 0, https = 0, admin = 0 } = gateway.ports
  return {
    gateway,
    folder,
    http,
    https,
    admin,
    /** Writes a file and waits until the change serves. */
    async change(name: string, text: string): Promise<Reloaded> {
      const reloaded = nextReload(gateway)
      writeFileSync(join(folder, name), text)
      return reloaded
    },
  }
}

function quietFlags(t: Test, flags: Record<string, string>): Record<string, string> {
  const address = '127.0.0.1'
  return {
    'http.port': '0',
    'https.port': '0',
    'admin.port': '0',
    'http.address': address,
    'https.address': address,
    'log.level': 'silent',
    'fastLane.enabled': String(FAST_LANE),
    workers: '0',
    dataDir: createFolder(t, {}),
    ...flags,
  }
}

function nextReload(gateway: Gateway): Promise<Reloaded> {
  return new Promise((resolve) => gateway.on('reloaded', resolve))
}

async function createSecret(name: string, host: string): Promise<string> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: host }], {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: host }] }],
  })
  const indent = (pem: string) => pem.trim().replace(/\r?\n/g, '\n    ')
  return `apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: ${name}}
stringData:
  tls.crt: |
    ${indent(cert)}
  tls.key: |
    ${indent(key)}
---
`
}

function askTls(port: number, host: string, path: string): Promise<Answer & { certificate: PeerCertificate }> {
  return new Promise((resolve, reject) => {
    const outgoing = requestTls(
      { host: '127.0.0.1', port, path, servername: host, headers: { host }, rejectUnauthorized: false, agent: false },
      (incoming) => {
        const certificate = (incoming.socket as TLSSocket).getPeerCertificate()
        collect(incoming).then((answer) => resolve({ ...answer, certificate }), reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}

function askHttp2(session: ClientHttp2Session, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':authority': host, ':path': '/' })
    let status = 0
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0
    })
    stream.on('error', reject)
    stream.on('end', () => resolve(status))
    stream.resume()
  })
}

t.test('requests are routed by host and path, and spread over the endpoints', async (t) => {
  const [api1, api2, web] = await Promise.all(['api1', 'api2', 'web'].map((name) => startUpstream(t, name)))
  const { http } = await startGateway(t, {
    'services.yaml': serviceYaml('api', api1!.port, api2!.port) + serviceYaml('web', web!.port),
    'shop.yaml': ingressYaml('shop', 'shop.test', { '/api': 'api', '/': 'web' }),
  })
  const bodies = []
  for (let turn = 0; turn < 4; turn++)
    bodies.push((await ask({ port: http, host: 'shop.test', path: '/api/x?y=1' })).body)
  t.same(bodies.sort(), ['api1 GET /api/x?y=1', 'api1 GET /api/x?y=1', 'api2 GET /api/x?y=1', 'api2 GET /api/x?y=1'])
  t.equal((await ask({ port: http, host: 'shop.test', path: '/apis' })).body, 'web GET /apis')
  t.equal((await ask({ port: http, host: 'shop.test:8080', path: '/', method: 'POST', body: 'x' })).body, 'web POST /')
  t.match(await ask({ port: http, host: 'other.test' }), { status: 404, body: /PORTICO_REQ_NO_ROUTE/ })
})

t.test('endpoints of the settings serve unmodified manifests', async (t) => {
  const { port } = await startUpstream(t, 'local')
  const { http } = await startGateway(
    t,
    { 'a.yaml': serviceYaml('web', 1) + ingressYaml('web', 'a.test', { '/': 'web' }) },
    { endpoints: `default/web=127.0.0.1:${port}` },
  )
  t.equal((await ask({ port: http, host: 'a.test' })).body, 'local GET /')
})

t.test(
  'TLS takes the certificate of the Secret, else the default one; HTTP leads to the bound HTTPS port',
  async (t) => {
    const { port } = await startUpstream(t, 'web')
    const { http, https } = await startGateway(t, {
      'web.yaml': serviceYaml('web', port) + ingressYaml('web', 'a.test', { '/': 'web' }, 'a-tls'),
      'plain.yaml': ingressYaml('plain', 'b.test', { '/': 'web' }),
      'secret.yaml': await createSecret('a-tls', 'a.test'),
    })
    const own = await askTls(https, 'a.test', '/x')
    t.same([own.body, own.certificate.subject.CN], ['web GET /x', 'a.test'])
    const other = await askTls(https, 'b.test', '/x')
    t.same([other.body, other.certificate.subject.CN], ['web GET /x', 'portico default certificate'])
    t.match(await ask({ port: http, host: 'a.test', path: '/x?y' }), {
      status: 308,
      headers: { location: `https://a.test:${https}/x?y` },
    })
    t.equal((await ask({ port: http, host: 'b.test', path: '/x' })).status, 200)
  },
)

t.test('a certificate that is replaced serves the next handshake', async (t) => {
  const { port } = await startUpstream(t, 'web')
  const { gateway, https, change } = await startGateway(t, {
    'web.yaml': serviceYaml('web', port) + ingressYaml('web', 'a.test', { '/': 'web' }, 'a-tls'),
    'secret.yaml': await createSecret('a-tls', 'a.test'),
  })
  const before = await askTls(https, 'a.test', '/')
  await change('secret.yaml', await createSecret('a-tls', 'a.test'))
  const after = await askTls(https, 'a.test', '/')
  t.not(after.certificate.fingerprint256, before.certificate.fingerprint256)
  t.equal(gateway.served.generation > 1, true)
})

t.test('a changed file serves without a restart, and is told as a diff of routes', async (t) => {
  const { port } = await startUpstream(t, 'web')
  const { http, change } = await startGateway(t, {
    'service.yaml': serviceYaml('web', port),
    'ingress.yaml': ingressYaml('web', 'a.test', { '/': 'web' }),
  })
  const { changes } = await change('ingress.yaml', ingressYaml('web', 'b.test', { '/': 'web' }))
  t.match(changes.map(printChange), [/^- a\.test/, /^\+ b\.test/])
  t.equal((await ask({ port: http, host: 'a.test' })).status, 404)
  t.equal((await ask({ port: http, host: 'b.test' })).status, 200)
  await change('more.yaml', ingressYaml('more', 'c.test', { '/': 'web' }))
  t.equal((await ask({ port: http, host: 'c.test' })).status, 200, 'a new file in the folder counts')
})

t.test('CF-19 a mounted ConfigMap is swapped three times, and each version serves', async (t) => {
  const { port } = await startUpstream(t, 'web')
  const { gateway, http, folder } = await startGateway(t, { 'service.yaml': serviceYaml('web', port) })
  const swap = (version: number) => {
    mkdirSync(join(folder, `..v${version}`))
    writeFileSync(join(folder, `..v${version}`, 'web.yaml'), ingressYaml('web', `v${version}.test`, { '/': 'web' }))
    symlinkSync(`..v${version}`, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    if (version > 1) rmSync(join(folder, `..v${version - 1}`), { recursive: true })
    else symlinkSync('..data/web.yaml', join(folder, 'web.yaml'))
  }
  for (let version = 1; version <= 3; version++) {
    const reloaded = nextReload(gateway)
    swap(version)
    await reloaded
    t.equal((await ask({ port: http, host: `v${version}.test` })).status, 200)
  }
})

t.test('a broken edit keeps the last good version; the mended one serves', async (t) => {
  const { port } = await startUpstream(t, 'web')
  const { http, change } = await startGateway(t, {
    'web.yaml': serviceYaml('web', port) + ingressYaml('web', 'a.test', { '/': 'web' }),
  })
  const { newDiagnostics, changes } = await change('web.yaml', 'kind: Ingress\n  oops: [')
  t.match(newDiagnostics[0]?.notes.at(-1)?.message, /^still serving .*web\.yaml as of \d\d:\d\d:\d\d$/)
  t.same(changes, [])
  t.equal((await ask({ port: http, host: 'a.test' })).status, 200)
  await change('web.yaml', serviceYaml('web', port) + ingressYaml('web', 'b.test', { '/': 'web' }))
  t.equal((await ask({ port: http, host: 'b.test' })).status, 200)
})

t.test('a reload that is asked for reads everything, also without watching', async (t) => {
  const { port } = await startUpstream(t, 'web')
  const { gateway, http, folder } = await startGateway(
    t,
    { 'web.yaml': serviceYaml('web', port) + ingressYaml('web', 'a.test', { '/': 'web' }) },
    { watch: 'false' },
  )
  writeFileSync(join(folder, 'web.yaml'), serviceYaml('web', port) + ingressYaml('web', 'b.test', { '/': 'web' }))
  await gateway.reload()
  t.equal((await ask({ port: http, host: 'b.test' })).status, 200)
})

t.test('LC-06 fifty reloads under two thousand requests over HTTP/1 and HTTP/2 fail none', async (t) => {
  const [one, two] = await Promise.all(['one', 'two'].map((name) => startUpstream(t, name)))
  const { gateway, http, https, folder } = await startGateway(
    t,
    { 'web.yaml': serviceYaml('web', one!.port) + ingressYaml('web', 'a.test', { '/': 'web' }) },
    { watch: 'false' },
  )
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const session = connectHttp2(`https://127.0.0.1:${https}`, { servername: 'a.test', rejectUnauthorized: false })
  t.teardown(() => {
    agent.destroy()
    session.destroy()
  })
  const statuses = new Map<number | string, number>()
  let left = 2_000
  const worker = async (send: () => Promise<number>) => {
    while (left-- > 0) {
      const outcome = await send().catch((error: Error) => error.message)
      statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1)
    }
  }
  const sendHttp1 = async () => (await ask({ port: http, host: 'a.test', agent, method: 'POST', body: 'x' })).status
  const sendHttp2 = () => askHttp2(session, 'a.test')
  const traffic = Promise.all([...Array(6).fill(sendHttp1), ...Array(2).fill(sendHttp2)].map(worker))
  for (let turn = 1; turn <= 50; turn++) {
    const ports = [[one!.port], [two!.port], [one!.port, two!.port]][turn % 3] ?? []
    writeFileSync(
      join(folder, 'web.yaml'),
      serviceYaml('web', ...ports) + ingressYaml('web', 'a.test', { '/': 'web', [`/turn-${turn}`]: 'web' }),
    )
    await gateway.reload()
  }
  await traffic
  t.same([...statuses], [[200, 2_000]])
  t.ok(gateway.served.generation >= 51)
})

t.test('CF-25 a request in flight ends at the endpoint where it began, when a reload takes that away', async (t) => {
  let finish = () => {}
  const slow = await startUpstream(t, 'slow', (_incoming, response) => {
    response.write('begun ')
    finish = () => response.end('ended')
  })
  const fast = await startUpstream(t, 'fast')
  const ingress = ingressYaml('web', 'a.test', { '/': 'web' })
  const { http, change } = await startGateway(t, { 'web.yaml': serviceYaml('web', slow.port) + ingress })
  const arrived = once(slow.server, 'request')
  const pending = ask({ port: http, host: 'a.test' })
  await arrived
  await change('web.yaml', serviceYaml('web', fast.port) + ingress)
  t.equal((await ask({ port: http, host: 'a.test' })).body, 'fast GET /')
  finish()
  t.equal((await pending).body, 'begun ended')
})

t.test('a WebSocket of an unchanged route lives through reloads', async (t) => {
  const { server, port } = await startUpstream(t, 'chat')
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)))
  const { gateway, http, change } = await startGateway(t, {
    'chat.yaml': serviceYaml('chat', port) + ingressYaml('chat', 'a.test', { '/': 'chat' }),
  })
  const client = new WebSocket(`ws://127.0.0.1:${http}/chat`, { headers: { host: 'a.test' } })
  t.teardown(() => client.terminate())
  await once(client, 'open')
  await change('more.yaml', ingressYaml('more', 'b.test', { '/': 'chat' }))
  await gateway.reload()
  const echoed = once(client, 'message')
  client.send('still here')
  t.equal(String((await echoed)[0]), 'echo still here')
})

t.test('LC-18 the gateway is ready when it serves, and no longer from the stop on', async (t) => {
  let finish = () => {}
  const slow = await startUpstream(t, 'slow', (_incoming, response) => {
    finish = () => response.end('ended')
  })
  const { gateway, http, admin } = await startGateway(t, {
    'web.yaml': serviceYaml('web', slow.port) + ingressYaml('web', 'a.test', { '/': 'web' }),
  })
  const ready = () => ask({ port: admin, host: 'localhost', path: '/readyz' }).then(({ status }) => status)
  t.equal(await ready(), 200)
  const arrived = once(slow.server, 'request')
  const pending = ask({ port: http, host: 'a.test' })
  await arrived
  const stopped = gateway.stop()
  t.equal(await ready(), 503, 'at once, while the last requests are served')
  finish()
  t.equal((await pending).status, 200)
  t.equal(await stopped, 'clean')
})

t.test('LC-01 a stop waits for the request in flight, and its answer closes the connection', async (t) => {
  let finish = () => {}
  const slow = await startUpstream(t, 'slow', (_incoming, response) => {
    finish = () => response.end('ended')
  })
  const { gateway, http } = await startGateway(t, {
    'web.yaml': serviceYaml('web', slow.port) + ingressYaml('web', 'a.test', { '/': 'web' }),
  })
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const arrived = once(slow.server, 'request')
  const pending = ask({ port: http, host: 'a.test', agent })
  await arrived
  const stopped = gateway.stop()
  finish()
  t.match(await pending, { status: 200, body: 'ended', headers: { connection: 'close' } })
  t.equal(await stopped, 'clean')
  await t.rejects(ask({ port: http, host: 'a.test' }), { code: 'ECONNREFUSED' })
})

t.test('LC-02 a stop closes connections that carry no request', async (t) => {
  const { port } = await startUpstream(t, 'web')
  const { gateway, http, https } = await startGateway(t, {
    'web.yaml': serviceYaml('web', port) + ingressYaml('web', 'a.test', { '/': 'web' }),
  })
  const idle = connect(http, '127.0.0.1')
  idle.resume()
  idle.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  await once(idle, 'data')
  const idleTls = connectTls({ host: '127.0.0.1', port: https, rejectUnauthorized: false })
  idleTls.resume()
  await once(idleTls, 'secureConnect')
  const closed = Promise.all([once(idle, 'close'), once(idleTls, 'close')])
  t.equal(await gateway.stop(), 'clean')
  await closed
  t.pass('both were closed')
})

t.test('LC-03 what does not end is cut at the drain deadline', async (t) => {
  const { server, port } = await startUpstream(t, 'endless', (_incoming, response) => {
    response.write('for ever ')
  })
  new WebSocketServer({ server })
  const { gateway, http } = await startGateway(
    t,
    { 'web.yaml': serviceYaml('web', port) + ingressYaml('web', 'a.test', { '/': 'web' }) },
    { 'timeouts.drain': '200ms' },
  )
  const client = new WebSocket(`ws://127.0.0.1:${http}/`, { headers: { host: 'a.test' } })
  client.on('error', () => {})
  await once(client, 'open')
  const download = connect(http, '127.0.0.1')
  download.on('error', () => {})
  download.resume()
  download.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  await once(download, 'data')
  const closed = Promise.all([once(client, 'close'), once(download, 'close')])
  t.equal(await gateway.stop(), 'forced')
  await closed
  t.pass('both were cut')
})

t.test('LC-04 a second stop cuts at once', async (t) => {
  const endless = await startUpstream(t, 'endless', (_incoming, response) => {
    response.write('for ever ')
  })
  const { gateway, http } = await startGateway(
    t,
    { 'web.yaml': serviceYaml('web', endless.port) + ingressYaml('web', 'a.test', { '/': 'web' }) },
    { 'timeouts.drain': '1h' },
  )
  // It may fail before the stop is over.
  const refused = t.rejects(ask({ port: http, host: 'a.test' }))
  await once(endless.server, 'request')
  const stopped = gateway.stop()
  void gateway.stop()
  t.equal(await stopped, 'forced')
  await refused
})

t.test('LC-05 a request on an open connection during the drain is answered, not reset', async (t) => {
  let finish = () => {}
  const slow = await startUpstream(t, 'slow', (incoming, response) => {
    if (incoming.url === '/slow') finish = () => response.end('slow')
    else response.end('quick')
  })
  const { gateway, http } = await startGateway(t, {
    'web.yaml': serviceYaml('web', slow.port) + ingressYaml('web', 'a.test', { '/': 'web' }),
  })
  const busy = ask({ port: http, host: 'a.test', path: '/slow' })
  await once(slow.server, 'request')
  const client = connect(http, '127.0.0.1')
  client.setEncoding('utf8')
  client.write('GET /quick HTTP/1.1\r\nHost: a.te')
  await once(client, 'connect')
  await ask({ port: http, host: 'a.test' })
  const stopped = gateway.stop()
  client.write('st\r\n\r\n')
  let answer = ''
  for await (const chunk of client) answer += chunk
  t.match(answer, /^HTTP\/1\.1 (200|503) /)
  t.match(answer, /\r\nconnection: close\r\n/i)
  finish()
  t.equal((await busy).body, 'slow')
  t.equal(await stopped, 'clean')
})

t.test('LC-11 a port in use is one clear line, and nothing stays open', async (t) => {
  const taken = await startUpstream(t, 'taken')
  const folder = createFolder(t, { 'web.yaml': serviceYaml('web', 1) + ingressYaml('web', 'a.test', { '/': 'web' }) })
  const adminPort = await findFreePort()
  const flags = quietFlags(t, { 'http.port': String(taken.port), 'admin.port': String(adminPort) })
  const gateway = await createGateway({ sources: [folder], environment: {}, flags })
  const error = await gateway.start().catch((reason: unknown) => reason)
  t.ok(error instanceof StartError)
  t.match(error, {
    message: `port ${taken.port} is already in use on 127.0.0.1`,
    help: /--http-port/,
    exitCode: 1,
  })
  await t.rejects(ask({ port: adminPort, host: 'localhost', path: '/livez' }), { code: 'ECONNREFUSED' })
  t.equal(await gateway.stop(), 'clean', 'stopping it then is no mistake')
})

t.test('LC-11 an address that the machine does not have is one clear line', async (t) => {
  const folder = createFolder(t, { 'web.yaml': serviceYaml('web', 1) + ingressYaml('web', 'a.test', { '/': 'web' }) })
  const flags = quietFlags(t, { 'https.address': '192.0.2.1' })
  const gateway = await createGateway({ sources: [folder], environment: {}, flags })
  await t.rejects(gateway.start(), { message: 'this machine has no address 192.0.2.1', help: /https\.address/ })
})

t.test('CF-28 a start that would leave nothing to serve is refused', async (t) => {
  const good = serviceYaml('web', 1) + ingressYaml('web', 'a.test', { '/': 'web' })
  const start = (text: string, flags: Record<string, string> = {}) =>
    createGateway({ sources: [createFolder(t, { 'web.yaml': text })], environment: {}, flags: quietFlags(t, flags) })
  await t.rejects(start('kind: ['), {
    message: '1 error in the configuration, and nothing is left to serve',
    exitCode: 1,
  })
  const none = createGateway({
    sources: [join(createFolder(t, {}), 'none')],
    environment: {},
    flags: quietFlags(t, {}),
  })
  const refused = await none.catch((reason: unknown) => reason)
  t.match(refused, { name: 'StartError', diagnostics: [{ code: 'PORTICO_FILE_NOT_FOUND' }] })
  const piped = createGateway({ sources: ['-'], stdin: '', environment: {}, flags: quietFlags(t, {}) })
  t.match(await piped.catch((reason: unknown) => reason), {
    name: 'StartError',
    exitCode: 1,
    diagnostics: [{ message: 'no objects passed on stdin' }],
  })
  const partly = good + serviceYaml('Bad_Name', 2)
  await t.resolves(start(partly), 'what is good is served')
  await t.rejects(start(partly, { strict: 'true' }), { message: '1 error in the configuration, and strict is on' })
  await t.rejects(start(good, { 'http.port': 'eighty' }), { message: 'the settings have errors' })
})

t.test('LC-20 node options that undo safety refuse the start, or are told', async (t) => {
  const folder = createFolder(t, { 'web.yaml': serviceYaml('web', 1) + ingressYaml('web', 'a.test', { '/': 'web' }) })
  const start = (environment: NodeJS.ProcessEnv, log: Logger) =>
    createGateway({ sources: [folder], environment, flags: quietFlags(t, {}), log })
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => lines.push(line) })
  await t.rejects(start({ NODE_OPTIONS: '--insecure-http-parser' }, log), { message: 'node was started unsafely' })
  await start({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }, log)
  t.match(lines, [/NODE_TLS_REJECT_UNAUTHORIZED=0 is set/])
})

t.test('a gateway without any manifest starts, and serves what comes', async (t) => {
  const { port } = await startUpstream(t, 'web')
  const { http, change } = await startGateway(t, {})
  t.equal((await ask({ port: http, host: 'a.test' })).status, 404)
  await change('web.yaml', serviceYaml('web', port) + ingressYaml('web', 'a.test', { '/': 'web' }))
  t.equal((await ask({ port: http, host: 'a.test' })).status, 200)
})

t.test('reloads and their failures are in the log where nobody listens, and in the metrics', async (t) => {
  const lines: Record<string, unknown>[] = []
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) })
  const good = serviceYaml('web', 1) + ingressYaml('web', 'a.test', { '/': 'web' })
  const folder = createFolder(t, { 'web.yaml': good })
  const flags = quietFlags(t, { strict: 'true', watch: 'false' })
  const gateway = await createGateway({ sources: [folder], environment: {}, flags, log })
  await gateway.start()
  t.teardown(() => gateway.stop())
  writeFileSync(join(folder, 'web.yaml'), good.replace('a.test', 'b.test'))
  await gateway.reload()
  writeFileSync(join(folder, 'web.yaml'), good.replace('port: 80}', 'port: 99999}'))
  await gateway.reload()
  t.match(
    lines.filter(({ msg }) => /changed|failed|99999/.test(String(msg))),
    [
      { msg: /web\.yaml changed$/, changes: [/^- a\.test/, /^\+ b\.test/] },
      { code: 'PORTICO_RES_FIELD_VALUE', at: /web\.yaml:6:\d+$/ },
      { msg: /^reload failed: still serving the configuration as of \d\d:\d\d:\d\d$/ },
    ],
  )
  const { body } = await ask({ port: gateway.ports.admin ?? 0, host: 'localhost', path: '/metrics' })
  t.match(body, /^portico_config_reloads_total\{result="success"\} 2$/m)
  t.match(body, /^portico_config_reloads_total\{result="failure"\} 1$/m)
  t.match(body, /^portico_config_last_reload_successful 0$/m)
})

t.test('an edit that an API server would refuse changes no answer, and is told until it is mended', async (t) => {
  const lines: Record<string, unknown>[] = []
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) })
  const web = await startUpstream(t, 'web')
  const other = await startUpstream(t, 'other')
  const good = serviceYaml('web', web.port) + ingressYaml('web', 'a.test', { '/': 'web' })
  const catchAll =
    'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: all}\n' +
    'spec: {defaultBackend: {service: {name: other, port: {number: 80}}}}\n'
  const folder = createFolder(t, { 'web.yaml': good, 'other.yaml': serviceYaml('other', other.port) + catchAll })
  const flags = quietFlags(t, { watch: 'false' })
  const gateway = await createGateway({ sources: [folder], environment: {}, flags, log })
  await gateway.start()
  t.teardown(() => gateway.stop())
  const { http = 0, admin = 0 } = gateway.ports
  const metrics = async () => (await ask({ port: admin, host: 'localhost', path: '/metrics' })).body
  writeFileSync(join(folder, 'web.yaml'), good.replace('pathType', 'pathTyp'))
  for (const failures of [1, 2]) {
    await gateway.reload()
    t.match(await ask({ port: http, host: 'a.test' }), { status: 200, body: 'web GET /' })
    const text = await metrics()
    t.match(text, /^portico_config_last_reload_successful 0$/m)
    t.match(text, new RegExp(`^portico_config_reloads_total\\{result="failure"\\} ${failures}$`, 'm'))
    t.match(
      lines.filter(({ msg }) => /still serving/.test(String(msg))),
      Array.from({ length: failures }, () => ({
        level: 40,
        msg: /still serving .*web\.yaml as of \d\d:\d\d:\d\d; portico check /,
      })),
    )
    t.equal(lines.filter(({ code }) => code === 'PORTICO_RES_FIELD_REQUIRED').length, failures)
  }
  writeFileSync(join(folder, 'web.yaml'), good)
  await gateway.reload()
  t.match(await metrics(), /^portico_config_last_reload_successful 1$/m)
})

t.test('no default certificate is made where there is no HTTPS', async (t) => {
  const dataDir = createFolder(t, {})
  await startGateway(t, {}, { 'https.enabled': 'false', dataDir })
  t.same(readdirSync(dataDir), ['affinity.key'])
  await startGateway(t, {}, { dataDir })
  t.same(readdirSync(dataDir), ['affinity.key', 'default-certificate.pem'])
})

t.test('a log level that changes in the settings is in force at once', async (t) => {
  const settings = (level: string) =>
    `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nlog: {level: ${level}}\n`
  const folder = createFolder(t, { 'portico.yaml': settings('error') })
  const { 'log.level': _, ...flags } = quietFlags(t, {})
  const gateway = await createGateway({ sources: [folder], environment: {}, flags })
  await gateway.start()
  t.teardown(() => gateway.stop())
  t.equal(gateway.log.level, 'error')
  const reloaded = nextReload(gateway)
  writeFileSync(join(folder, 'portico.yaml'), settings('silent'))
  await reloaded
  t.equal(gateway.log.level, 'silent')
})
