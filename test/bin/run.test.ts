import { once } from 'node:events'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { type ClientRequest, createServer, type IncomingMessage, type RequestListener, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { isInContainer } from '../../lib/platform/container.ts'
import { findFreePorts } from '../helpers/free-ports.ts'
import { until } from '../helpers/until.ts'
import { runPortico, runProcess, serveHere, startGateway } from './process.ts'

/** What a process of its own would change nothing of. */
const HERE = ['run', '-f', 'shop.yaml', '--workers', '0']

async function startUpstream(t: Test, answer: RequestListener): Promise<number> {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return (server.address() as AddressInfo).port
}

function manifest(path: string, port: number, more = ''): string {
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop }
spec:
  rules:
    - host: shop.localhost
      http:
        paths:
          - path: ${path}
            pathType: Prefix
            backend: { service: { name: web, port: { number: 80 } } }
${more}---
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: { portico.dev/endpoints: "127.0.0.1:${port}" }
spec:
  ports: [{ port: 80 }]
`
}

async function get(port: number, path: string): Promise<{ status: number | undefined; body: string }> {
  const response = await answerOf(ask(port, path))
  return { status: response.statusCode, body: await text(response) }
}

function ask(port: number, path: string): ClientRequest {
  return request({ host: '127.0.0.1', port, path, agent: false, headers: { host: 'shop.localhost' } }).end()
}

async function answerOf(asked: ClientRequest): Promise<IncomingMessage> {
  const [response] = await once(asked, 'response')
  return response
}

t.test('run serves, says where in the ready file, and SIGTERM ends it with 0', async (t) => {
  const port = await startUpstream(t, (_request, response) => response.end('hello'))
  const cwd = t.testdir({ k8s: { 'shop.yaml': manifest('/', port) } })
  const gateway = await startGateway(t, ['run', '-f', 'k8s/'], { cwd })
  t.equal(gateway.ports.pid, gateway.child.pid)
  t.strictSame(Object.keys(gateway.ports), ['http', 'https', 'admin', 'pid'])
  t.strictSame(await get(gateway.ports.http, '/'), { status: 200, body: 'hello' })
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.ended, 0)
})

t.test(
  'a request in flight at SIGTERM is answered whole before the exit, the ready file is gone at once',
  async (t) => {
    let finish: () => void = () => {}
    const port = await startUpstream(t, (_request, response) => {
      response.write('begun ')
      finish = () => response.end('and ended')
    })
    const cwd = t.testdir({ 'shop.yaml': manifest('/', port) })
    const gateway = await startGateway(t, ['run', '-f', 'shop.yaml'], { cwd })
    const response = await answerOf(ask(gateway.ports.http, '/slow'))
    await once(response, 'readable')
    t.ok(existsSync(gateway.readyFile))
    gateway.child.kill('SIGTERM')
    await gateway.says('drain')
    t.notOk(existsSync(gateway.readyFile))
    finish()
    t.equal(await text(response), 'begun and ended')
    t.equal(await gateway.ended, 0)
  },
)

t.test('a second signal stops at once, with exit code 3', async (t) => {
  const port = await startUpstream(t, (_request, response) => response.write('never ends'))
  const cwd = t.testdir({ 'shop.yaml': manifest('/', port) })
  const gateway = await startGateway(t, ['run', '-f', 'shop.yaml', '--drain-timeout', '1h'], { cwd })
  const response = await answerOf(ask(gateway.ports.http, '/'))
  response.on('error', () => {})
  gateway.child.kill('SIGTERM')
  await gateway.says('drain')
  await sleep(150)
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.ended, 3)
  t.match(gateway.stderr(), 'SIGTERM again: stopped at once')
})

t.test('a signal that comes twice at once, as npm and timeout hand it on, is one', async (t) => {
  let finish: () => void = () => {}
  const port = await startUpstream(t, (_request, response) => {
    response.write('begun ')
    finish = () => response.end('and ended')
  })
  const cwd = t.testdir({ 'shop.yaml': manifest('/', port) })
  const gateway = await startGateway(t, ['run', '-f', 'shop.yaml'], { cwd })
  const response = await answerOf(ask(gateway.ports.http, '/'))
  gateway.child.kill('SIGTERM')
  gateway.child.kill('SIGINT')
  await gateway.says('drain')
  finish()
  t.equal(await text(response), 'begun and ended')
  t.equal(await gateway.ended, 0)
})

t.test(
  'SIGHUP reloads; a broken edit is reported with its position, and the last good version is served on',
  async (t) => {
    const port = await startUpstream(t, (request, response) => response.end(request.url))
    const cwd = t.testdir({ 'shop.yaml': manifest('/old', port) })
    const words = ['run', '-f', 'shop.yaml', '--no-watch', '--log-format', 'pretty', '--strict']
    const gateway = await startGateway(t, words, { cwd })
    t.equal((await get(gateway.ports.http, '/new')).status, 404)
    writeFileSync(join(cwd, 'shop.yaml'), manifest('/new', port))
    gateway.child.kill('SIGHUP')
    await gateway.says('Live after')
    t.equal((await get(gateway.ports.http, '/new')).status, 200)
    t.match(
      gateway.stderr(),
      /shop\.yaml changed\n {2}- shop\.localhost\/old .*\n {2}\+ shop\.localhost\/new .*\n {2}Live after \d+ ms/,
    )
    writeFileSync(join(cwd, 'shop.yaml'), `${manifest('/new', port)}---\nkind: [\n`)
    gateway.child.kill('SIGHUP')
    await gateway.says('still serving the configuration of')
    t.match(gateway.stderr(), /shop\.yaml:\d+:\d+ {2}error {2}PORTICO_YAML_SYNTAX/)
    t.strictSame(await get(gateway.ports.http, '/new'), { status: 200, body: '/new' })
  },
)

t.test('the boot table shows hosts, routes, endpoints, certificates, admin and problems', async (t) => {
  const missing = `          - path: /cart
            pathType: Prefix
            backend: { service: { name: cart, port: { number: 80 } } }
`
  const cwd = t.testdir({ 'shop.yaml': manifest('/', 3000, missing) })
  const { ports, stderr } = await serveHere(t, [...HERE, '--log-format', 'pretty'], { cwd })
  const screen = stderr()
  t.match(screen, /^portico \d+\.\d+\.\d+ {3}1 file, 2 objects, 1 error {3}ready in \d+ ms\n\n/)
  t.match(screen, `http://shop.localhost:${ports.http}   https://shop.localhost:${ports.https}\n`)
  t.match(screen, /\n {4}\/ +Prefix +→ {2}default\/web:80 +→ {2}127\.0\.0\.1:3000\n/)
  t.match(screen, /\n {4}\/cart +Prefix +→ {2}default\/cart:80 +→ {2}503: .*cart.*\n/)
  t.match(screen, /\n {2}any other host {3}→ {2}404\n/)
  t.match(screen, /\n {2}https +self-signed default certificate\n/)
  t.match(screen, `http://127.0.0.1:${ports.admin}`)
  t.match(screen, /\nshop\.yaml:14:\d+ {2}error {2}PORTICO_REF_SERVICE_NOT_FOUND .*\n +14 │ .*cart.*\n +│ +\^\^\^\^/)
})

t.test('a long table is cut, with a pointer to the rest', async (t) => {
  const paths = Array.from(
    { length: 120 },
    (_, i) => `          - path: /p${i}
            pathType: Prefix
            backend: { service: { name: web, port: { number: 80 } } }
`,
  )
  const cwd = t.testdir({ 'shop.yaml': manifest('/', 3000, paths.join('')) })
  const { stderr } = await serveHere(t, [...HERE, '--log-format', 'pretty'], { cwd })
  t.match(stderr(), '… and 71 more: portico get routes')
  t.ok(stderr().split('\n').length < 80)
})

t.test('without a terminal all is JSON on stdout: the boot facts, problems and requests', async (t) => {
  const port = await startUpstream(t, (_request, response) => response.end('hello'))
  const missing = `          - path: /cart
            pathType: Prefix
            backend: { service: { name: cart, port: { number: 80 } } }
`
  const cwd = t.testdir({ 'shop.yaml': manifest('/', port, missing) })
  const gateway = await startGateway(t, ['run', '-f', 'shop.yaml'], { cwd })
  await get(gateway.ports.http, '/one?two')
  gateway.child.kill('SIGTERM')
  t.equal(await gateway.ended, 0)
  t.equal(gateway.stderr(), '')
  const lines = gateway
    .stdout()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const { http, https, admin } = gateway.ports
  t.match(
    lines.find(({ msg }) => msg === 'ready'),
    { http, https, admin, hosts: 1, routes: 2, warnings: 0, errors: 1 },
  )
  t.match(
    lines.find(({ code }) => code === 'PORTICO_REF_SERVICE_NOT_FOUND'),
    { at: /^shop\.yaml:14:/ },
  )
  t.ok(
    lines.some(({ target, status }) => target === '/one?two' && status === 200),
    'the request was logged',
  )
})

t.test('a port in use is one clear line with the way out, and exit code 1', async (t) => {
  const port = await startUpstream(t, () => {})
  const cwd = t.testdir({ 'shop.yaml': manifest('/', 1), ready: '{"pid":1}' })
  const words = ['run', '-f', 'shop.yaml', '--http-address', '127.0.0.1', '--http-port', String(port)]
  const free = ['--https-port', '0', '--admin-port', '0', '--data-dir', cwd, '--ready-file', 'ready']
  const { status, stdout, stderr } = await runProcess([...words, ...free], { cwd })
  t.equal(status, 1)
  t.notMatch(stdout, /EADDRINUSE|"error"/, 'the log does not say it again')
  t.match(
    stderr,
    new RegExp(`^portico: port ${port} is already in use on 127\\.0\\.0\\.1\\n {2}.*--http-port ${port + 1}.*\\n$`),
  )
  t.notOk(existsSync(join(cwd, 'ready')), 'the ready file of an earlier run is gone')
})

t.test('the ready file of a gateway that has taken over the name stays', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': manifest('/', 1) })
  const gateway = await serveHere(t, HERE, { cwd })
  writeFileSync(gateway.readyFile, '{"http":1,"pid":1}')
  gateway.raise('SIGTERM')
  t.equal(await gateway.ended, 0)
  t.ok(existsSync(gateway.readyFile))
})

t.test('a ready file that cannot be written is told, and nothing goes on serving', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': manifest('/', 1) })
  const free = ['--http-port', '0', '--https-port', '0', '--admin-port', '0', '--data-dir', cwd]
  const words = ['run', '-f', 'shop.yaml', '--ready-file', 'nowhere/ready', ...free]
  const { status, stderr } = await runProcess(words, { cwd })
  t.equal(status, 1)
  t.match(stderr, /portico: ENOENT.*nowhere\/ready/)
  t.notMatch(stderr, /^ +at /m)
})

t.test('a configuration of which nothing is left is refused, with its problems', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': 'kind: [' })
  const { status, stderr } = await runProcess(['run', '-f', 'shop.yaml', '--http-port', '0'], { cwd })
  t.equal(status, 1)
  t.match(stderr, /shop\.yaml:1:\d+ {2}error {2}PORTICO_YAML_SYNTAX/)
  t.match(stderr, 'nothing is left to serve')
  t.notMatch(stderr, /^ +at /m)
})

t.test('manifests come from stdin with -f -; SIGINT is a clean stop too', async (t) => {
  const port = await startUpstream(t, (_request, response) => response.end('from stdin'))
  const gateway = await startGateway(t, ['run', '-f', '-'], { stdin: manifest('/', port) })
  t.equal((await get(gateway.ports.http, '/')).body, 'from stdin')
  gateway.child.kill('SIGINT')
  t.equal(await gateway.ended, 0)
})

t.test('start with manifests is run; SIGQUIT is a clean stop too', async (t) => {
  const port = await startUpstream(t, (_request, response) => response.end('started'))
  const cwd = t.testdir({ 'shop.yaml': manifest('/', port) })
  const gateway = await startGateway(t, ['start', '-f', 'shop.yaml'], { cwd })
  t.equal((await get(gateway.ports.http, '/')).body, 'started')
  gateway.child.kill('SIGQUIT')
  t.equal(await gateway.ended, 0)
})

t.test('readers of stdout and stderr that go away do not stop the traffic', async (t) => {
  const port = await startUpstream(t, (_request, response) => response.end('hello'))
  const cwd = t.testdir({ 'shop.yaml': manifest('/', port) })
  for (const format of ['json', 'pretty']) {
    const gateway = await startGateway(t, ['run', '-f', 'shop.yaml', '--log-format', format], { cwd })
    gateway.child.stdout?.destroy()
    gateway.child.stderr?.destroy()
    for (let i = 0; i < 20; i++) t.equal((await get(gateway.ports.http, `/${i}`)).status, 200)
    gateway.child.kill('SIGHUP')
    t.equal((await get(gateway.ports.http, '/after')).status, 200)
    gateway.child.kill('SIGTERM')
    t.equal(await gateway.ended, 0)
  }
})

for (const [kind, bug] of [
  ['uncaught exception', "throw new Error('boom')"],
  ['unhandled rejection', "Promise.reject(new Error('boom'))"],
] as const) {
  t.test(`after an ${kind} the gateway tells it with its stack and ends with 1`, async (t) => {
    const cwd = t.testdir({ 'shop.yaml': manifest('/', 1) })
    const module = `data:text/javascript,process.on('SIGUSR2', () => { ${bug} })`
    const gateway = await startGateway(t, ['run', '-f', 'shop.yaml'], { cwd, nodeFlags: ['--import', module] })
    gateway.child.kill('SIGUSR2')
    t.equal(await gateway.ended, 1)
    t.match(gateway.stderr(), new RegExp(`${kind}, a bug: stopping\\nError: boom\\n +at `))
  })
}

t.test('healthcheck, get and explain go with a running gateway', async (t) => {
  const port = await startUpstream(t, (_request, response) => response.end('hello'))
  const cwd = t.testdir({ 'shop.yaml': manifest('/', port) })
  const gateway = await serveHere(t, ['run', '-f', 'shop.yaml'], { cwd })
  const admin = ['--admin-port', String(gateway.ports.admin)]
  t.equal((await runPortico(['healthcheck', ...admin])).status, 0)

  const routes = await runPortico(['get', 'routes', ...admin])
  t.equal(routes.status, 0, routes.stderr)
  t.match(
    routes.stdout,
    /^HOST +PATH +TYPE +BACKEND +ENDPOINTS +STATE +SOURCE\nshop\.localhost +\/ +Prefix +default\/web:80 +127\.0\.0\.1:\d+ +served +shop\.yaml:\d+:\d+\n$/,
  )
  for (const kind of ['services', 'endpoints', 'certificates', 'listeners']) {
    const live = await runPortico(['get', kind, '-o', 'json', ...admin])
    t.equal(live.status, 0, live.stderr)
    const response = await fetch(`http://127.0.0.1:${gateway.ports.admin}/api/v1/${kind}`)
    t.strictSame(JSON.parse(live.stdout), await response.json(), `${kind} as the admin API has them`)
  }
  const workers = await runPortico(['get', 'workers', ...admin])
  t.match(workers.stdout, /^NAME +PID +STATE .*\n1 +\d+ +serving +0 +1 +0 +\d+ +\d+Mi +[\d.]+s\n$/)
  const settings = await runPortico(['get', 'settings', '-o', 'wide', ...admin])
  t.match(settings.stdout, /^http\.port +0 /m)
  gateway.raise('SIGTERM')
  await gateway.ended
  const gone = await runPortico(['get', 'routes', ...admin])
  t.equal(gone.status, 4)
  t.match(gone.stderr, 'no running gateway reached')
  t.equal((await runPortico(['healthcheck', ...admin])).status, 1)
})

t.test('a listener that is off is left out of the ready file', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': manifest('/', 1) })
  const { ports } = await serveHere(t, [...HERE, '--no-https'], { cwd })
  t.strictSame(Object.keys(ports), ['http', 'admin', 'pid'])
})

t.test('a refusal at loopback is explained where this runs in a container, once', async (t) => {
  const [free = 0, nodePort = 0] = await findFreePorts(2)
  const node = `---
apiVersion: v1
kind: Service
metadata: { name: raw, annotations: { portico.dev/endpoints: "127.0.0.1:${free}" } }
spec: { type: NodePort, ports: [{ port: 80, nodePort: ${nodePort} }] }
`
  const cwd = t.testdir({ 'shop.yaml': manifest('/', free, node) })
  const words = ['run', '--local', '-f', 'shop.yaml', '--workers', '0', '--set', 'nodePorts.range=20000-29999']
  for (const isHttp of [true, false]) {
    const gateway = await startGateway(t, words, { cwd })
    if (isHttp) for (const _ of [1, 2]) t.equal((await get(gateway.ports.http, '/')).status, 502)
    else await once(ask(nodePort, '/'), 'error')
    gateway.child.kill('SIGTERM')
    await gateway.ended
    const hints = gateway.stdout().match(/PORTICO_SVC_LOOPBACK/g) ?? []
    t.equal(hints.length, isInContainer() ? 1 : 0)
  }
})

t.test('the only manifest is deleted: its routes go; the folder is: they stay, and the log says why', async (t) => {
  const port = await startUpstream(t, (_request, response) => response.end('hello'))
  const cwd = t.testdir({ k8s: {} })
  const file = join(cwd, 'k8s', 'shop.yaml')
  const words = ['run', '--local', '-f', 'k8s', '--workers', '0', '--log-format', 'json']
  writeFileSync(file, manifest('/', port))
  const gateway = await startGateway(t, words, { cwd })
  const statusBecomes = (status: number) => until(async () => (await get(gateway.ports.http, '/')).status === status)
  await statusBecomes(200)
  rmSync(file)
  await statusBecomes(404)
  await gateway.says('no manifest found in k8s')
  writeFileSync(file, manifest('/', port))
  await statusBecomes(200)
  rmSync(join(cwd, 'k8s'), { recursive: true })
  await gateway.says('still serving k8s as of')
  t.equal((await get(gateway.ports.http, '/')).status, 200)
})
