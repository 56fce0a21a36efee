/** What requests to the admin listener may change: asked over a Unix socket and with a token, of gateways with workers and without. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { type AddressInfo, createServer as createSocketServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { runPortico, startGateway } from '../bin/process.ts'
import { until } from '../helpers/until.ts'

type Answer = Readonly<{ status: number; body: string; headers: Readonly<Record<string, unknown>> }>

/** An endpoint that answers with its name, `/slow` when it is told to, and fails while it is told to. */
class Backend {
  readonly #server: Server
  readonly #waiting: (() => void)[] = []
  isBad = false
  isBroken = false

  constructor(t: Test, name: string) {
    this.#server = createServer(({ url }, response) => {
      if (this.isBroken) response.destroy()
      else if (this.isBad) response.writeHead(500).end()
      else if (url === '/slow') this.#waiting.push(() => response.end(name))
      else response.end(name)
    })
    t.teardown(() => {
      this.#server.closeAllConnections()
      this.#server.close()
    })
  }

  async listen(): Promise<string> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return this.address
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get waiting(): number {
    return this.#waiting.length
  }

  answer(): void {
    for (const answer of this.#waiting.splice(0)) answer()
  }
}

async function ask(options: object, body?: string): Promise<Answer> {
  const asked = request({ agent: false, ...options })
  asked.end(body)
  const [response] = await once(asked, 'response')
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

const manifests = (one: string, two: string, more = '') => `
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "${one}, ${two}"}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, annotations: {portico.dev/endpoints: "${two}"}}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
    - host: shop.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /api, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}
${more}`

const MORE = '          - {path: /more, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}\n'

async function start(t: Test, workers: string) {
  const [one, two] = [new Backend(t, 'one'), new Backend(t, 'two')]
  await Promise.all([one.listen(), two.listen()])
  const folder = mkdtempSync(join(tmpdir(), 'portico-writes-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'shop.yaml')
  const socket = join(folder, 'admin.sock')
  writeFileSync(file, manifests(one.address, two.address))
  const flags = ['--admin-writes', '--admin-socket', socket, '--workers', workers, '--no-watch', '--no-https']
  const settings = ['--set', 'log.format=json', '--set', 'upstream.tries=1', '--set', 'upstream.ejection.baseTime=10m']
  const started = await startGateway(t, ['run', '-f', file, ...flags, ...settings])
  const get = (path: string) =>
    ask({ port: started.ports.http, host: '127.0.0.1', path, headers: { host: 'shop.test' } })
  const post = (path: string, body: unknown) =>
    ask(
      { socketPath: socket, path: `/api/v1/${path}`, method: 'POST', headers: { 'content-type': 'application/json' } },
      JSON.stringify(body),
    )
  const rows = async (kind: string) => JSON.parse((await ask({ socketPath: socket, path: `/api/v1/${kind}` })).body)
  const names = async (path = '/') => {
    const all = await Promise.all(Array.from({ length: 24 }, () => get(path)))
    return [...new Set(all.map(({ status, body }) => (status === 200 ? body : String(status))))].sort()
  }
  return { ...started, one, two, file, socket, get, post, rows, names }
}

for (const workers of ['0', '2']) {
  t.test(
    `an endpoint is drained: its requests end, no new ones come; reloads keep that; workers ${workers}`,
    async (t) => {
      const { one, two, file, get, post, rows, names } = await start(t, workers)
      t.same(await names(), ['one', 'two'])
      const slow = Promise.all(Array.from({ length: 6 }, () => get('/slow')))
      await until(() => one.waiting + two.waiting === 6)
      const name = `default/web:80/${one.address}`
      const drained = await post('endpoints/drain', { endpoint: name })
      t.match(drained, { status: 200, body: JSON.stringify({ endpoints: [name] }) })
      t.same(await names(), ['two'])
      one.answer()
      two.answer()
      t.same([...new Set((await slow).map(({ status, body }) => `${status} ${body}`))].sort(), ['200 one', '200 two'])
      const stateOf = async () =>
        (await rows('endpoints')).find(({ address }: { address: string }) => address === one.address)
      t.match(await stateOf(), { state: 'drained', reason: /by hand/ })

      writeFileSync(file, manifests(one.address, two.address, MORE))
      const reloaded = await post('reload', {})
      t.match(JSON.parse(reloaded.body), { type: 'reloaded', reloaded: { changes: [{ type: 'added' }] } })
      t.same(await names(), ['two'], 'a reload undoes nothing')
      t.same(await names('/more'), ['two'])

      t.equal((await post('endpoints/drain', { endpoint: two.address })).status, 200, 'by address: of every Service')
      t.match(await get('/'), { status: 503 })
      t.match(await get('/api'), { status: 503 })
      t.match(
        (await rows('routes')).map(({ reason }: { reason: string }) => reason),
        [/drained by hand/, /drained by hand/, /2 of its 2 endpoints are drained by hand/],
      )
      t.match(await post('endpoints/undrain', { endpoint: two.address }), { status: 200 })
      t.match(await post('endpoints/undrain', { endpoint: `default/web/${one.address}` }), { status: 200 })
      t.same(await names(), ['one', 'two'])
      t.match(await post('endpoints/undrain', { endpoint: one.address }), { status: 409, body: /was not drained/ })
      t.match(await post('endpoints/drain', { endpoint: '127.0.0.1:1' }), {
        status: 404,
        body: /No endpoint is 127\.0\.0\.1:1;/,
      })
    },
  )

  t.test(`a route, or all of an Ingress, is put in maintenance and taken out; workers ${workers}`, async (t) => {
    const { get, post, rows, names } = await start(t, workers)
    t.match(await post('maintenance', { on: true, route: 'shop.test/api' }), {
      status: 200,
      body: '{"on":true,"routes":1}',
    })
    t.match(await get('/api/x'), {
      status: 503,
      body: 'This service is under maintenance.\n',
      headers: { 'retry-after': '120' },
    })
    t.same(await names(), ['one', 'two'])
    const states = async () =>
      (await rows('routes')).map(({ state, filters }: Record<string, unknown>) => [state, filters])
    t.match(await states(), [
      ['maintenance', ['maintenance: 503 "This service is under maintenance." (by hand)']],
      ['served', []],
    ])
    t.equal((await post('reload', {})).status, 200)
    t.match(await get('/api'), { status: 503 }, 'a reload undoes nothing')
    t.match(await post('maintenance', { on: true, ingress: 'default/shop' }), { body: '{"on":true,"routes":2}' })
    t.match(await get('/'), { status: 503 })
    t.match(await post('maintenance', { on: false, ingress: 'default/shop' }), { status: 200 })
    t.match(await get('/'), { status: 200 })
    t.match(await get('/api'), { status: 503 }, 'the order for the route stands')
    t.match(await post('maintenance', { on: false, route: 'shop.test/api' }), { status: 200 })
    t.match(await get('/api'), { status: 200 })
    t.match(await states(), [['served'], ['served']])
    t.match(await post('maintenance', { on: true, route: 'shop.test/nothing' }), { status: 404 })
    t.match(await post('maintenance', { on: false, route: 'shop.test/api' }), { status: 409 })
  })

  t.test(`an ejection ends and a circuit closes; workers ${workers}`, async (t) => {
    const { one, two, file, get, post, rows, names } = await start(t, workers)
    one.isBroken = true
    const stateOf = async ({ address }: Backend) =>
      (await rows('endpoints')).find(
        (row: { address: string; service: string }) => row.address === address && row.service === 'web',
      ).state
    await until(async () => {
      await names()
      return (await stateOf(one)) === 'ejected'
    })
    one.isBroken = false
    t.same(await names(), ['two'])
    const cleared = await post('endpoints/clear', { endpoint: `default/web:80/${one.address}` })
    t.same(JSON.parse(cleared.body), { endpoints: [`default/web:80/${one.address}`], circuits: [] })
    t.same(await names(), ['one', 'two'])

    const limits =
      'portico.dev/circuit-error-rate: "50", portico.dev/circuit-minimum-requests: "2", portico.dev/circuit-open-time: 10m'
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('{name: api, annotations: {', `{name: api, annotations: {${limits}, `),
    )
    t.match(JSON.parse((await post('reload', {})).body), { reloaded: { newDiagnostics: [] } })
    two.isBad = true
    await until(async () => (await names('/api')).join() === '503')
    two.isBad = false
    t.match(await get('/api'), { status: 503 })
    const closed = await post('endpoints/clear', { endpoint: `default/api:80/${two.address}` })
    t.same(JSON.parse(closed.body), { endpoints: [], circuits: ['default/api:80'] })
    t.same(await names('/api'), ['two'])
  })

  t.test(`a reload that is refused says why; the whole gateway drains as at SIGTERM; workers ${workers}`, async (t) => {
    const { one, file, get, post, ended, stdout, two } = await start(t, workers)
    writeFileSync(file, 'kind: [\n')
    const broken = await post('reload', {})
    t.match(JSON.parse(broken.body), { type: 'reloaded', reloaded: { kept: [{}], newDiagnostics: [{ code: /YAML/ }] } })
    t.match(await get('/api'), { status: 200 })
    const slow = get('/slow')
    await until(() => one.waiting + two.waiting === 1)
    t.match(await post('drain', {}), { status: 202 })
    await until(async () => (await get('/api').catch(() => undefined)) === undefined)
    one.answer()
    two.answer()
    t.match(await slow, { status: 200 })
    t.equal(await ended, 0)
    const writes = stdout()
      .split('\n')
      .filter((line) => line.includes('"write":'))
      .map((line) => JSON.parse(line))
    t.match(writes, [{ write: 'reload' }, { write: 'drain' }], 'each write is logged')
  })
}

t.test('portico reload and drain say what was done, in the words of the gateway', async (t) => {
  const { one, two, file, socket, ended } = await start(t, '0')
  const run = (...words: string[]) => runPortico([...words, '--admin-socket', socket])
  writeFileSync(file, manifests(one.address, two.address, MORE))
  const reloaded = await run('reload')
  t.match(reloaded, { status: 0, stderr: '' })
  t.match(
    reloaded.stdout,
    /shop\.yaml changed\n {2}\+ shop\.test\/more {2}Prefix → default\/api:80 → .*\n {2}Live after \d+ ms/,
  )
  t.match(await run('reload'), { status: 0, stdout: /^reloaded\n {2}no route changed\n/ })
  writeFileSync(file, 'kind: [\n')
  t.match(await run('reload'), { status: 1, stdout: /shop\.yaml:1:.*PORTICO_YAML[\s\S]*not taken: / })
  t.match(JSON.parse((await run('reload', '-o', 'json')).stdout), { type: 'reloaded', reloaded: { kept: [{}] } })

  const name = `endpoint/default/web:80/${one.address}`
  t.match(await run('drain', name), { status: 0, stdout: `${name} gets no new requests\n` })
  t.match(await run('get', 'endpoints', name, '-o', 'jsonpath={.state}'), { stdout: 'drained\n' })
  t.match(await run('drain', name, '--undo'), { status: 0, stdout: `${name} gets requests again\n` })
  t.match(await run('drain', name, '--undo'), { status: 1, stderr: /was not drained/ })
  t.match(await run('drain', 'nobody'), { status: 1, stderr: /No endpoint is nobody/ })
  t.match(await run('drain', '--undo'), { status: 2 })
  t.match(await run('healthcheck'), { status: 0, stdout: 'ready\n' })
  t.match(await run('drain'), { status: 0, stdout: /^draining: 0 requests in flight, at most \d+ s\n$/ })
  t.equal(await ended, 0)
  t.match(await run('reload'), { status: 4, stderr: /admin\.sock is not there/ })
})

t.test('without admin.writes they say in one line how to turn it on', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': manifests('127.0.0.1:1', '127.0.0.1:2') })
  const { ports } = await startGateway(t, ['run', '-f', 'shop.yaml', '--workers', '0'], { cwd })
  const admin = ['--admin-port', String(ports.admin)]
  for (const [words, way] of [
    [['reload'], 'kill -HUP'],
    [['drain'], 'kill -TERM'],
    [['drain', 'x'], 'admin.writes'],
  ] as const) {
    const { status, stdout, stderr } = await runPortico([...words, ...admin])
    t.equal(status, 1)
    t.equal(stdout, '')
    t.match(stderr, way)
    t.match(stderr, '--admin-writes')
    t.equal(stderr.trim().split('\n').length, 1)
  }
})

t.test('a write must be JSON, of this site, with the token, and of fields that there are', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': manifests('127.0.0.1:1', '127.0.0.1:2') })
  const environment = { PORTICO_ADMIN_TOKEN: 'a-long-enough-token' }
  const { ports } = await startGateway(t, ['run', '-f', 'shop.yaml', '--admin-writes', '--workers', '0'], {
    cwd,
    environment,
  })
  const json = { 'content-type': 'application/json', authorization: 'Bearer a-long-enough-token' }
  const post = (path: string, headers: Readonly<Record<string, string>>, body: string) =>
    ask({ port: ports.admin, host: '127.0.0.1', path: `/api/v1/${path}`, method: 'POST', headers }, body)
  t.match(await post('reload', json, '{}'), { status: 200 })
  t.match(await post('reload', { 'content-type': 'application/json' }, '{}'), { status: 401 })
  t.match(await post('reload', { ...json, authorization: 'Bearer other' }, '{}'), { status: 401 })
  t.match(await post('reload', { ...json, origin: 'http://evil.test' }, '{}'), { status: 403 })
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    t.match(await post('reload', { ...json, 'content-type': type }, '{}'), { status: 415 }, type)
  }
  const { authorization } = json
  t.match(await post('reload', { authorization }, ''), { status: 415 })
  for (const body of ['', '{', '[]', 'null', '"x"', '{"force":true}']) {
    t.match(await post('reload', json, body), { status: 400 }, body)
  }
  for (const body of ['{}', '{"endpoint":7}', '{"endpoint":""}']) {
    t.match(await post('endpoints/drain', json, body), { status: 400 }, body)
  }
  for (const body of ['{"on":"yes","route":"a/"}', '{"on":true}', '{"on":true,"route":"a/","ingress":"b"}']) {
    t.match(await post('maintenance', json, body), { status: 400 }, body)
  }
  t.match(await post('reload', json, `{"x":"${'y'.repeat(2_000)}"}`), { status: 413 })
  t.match(await post('nothing', json, '{}'), { status: 404 })
  const index = await ask({ port: ports.admin, host: '127.0.0.1', path: '/', headers: { authorization } })
  t.match(index.body, 'POST /api/v1/endpoints/clear\n')
})

t.test('a socket is asked by names of this machine alone, whoever may open it', async (t) => {
  const { socket } = await start(t, '0')
  t.equal(statSync(socket).mode & 0o777, 0o600)
  const headers = { 'content-type': 'application/json' }
  const post = (host: string) =>
    ask({ socketPath: socket, path: '/api/v1/reload', method: 'POST', headers: { ...headers, host } }, '{}')
  t.match(await post('evil.test'), { status: 421 })
  t.match(await post('localhost'), { status: 200 })
})

t.test('a socket that was left behind is replaced, one that is in use and any other file are not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-socket-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const manifest = join(folder, 'shop.yaml')
  writeFileSync(manifest, manifests('127.0.0.1:1', '127.0.0.1:2'))
  const socket = join(folder, 'admin.sock')
  // Renamed, it is not removed when its server closes.
  const dead = createSocketServer().listen(`${socket}.old`)
  await once(dead, 'listening')
  const { renameSync } = await import('node:fs')
  renameSync(`${socket}.old`, socket)
  dead.close()
  const words = ['run', '-f', manifest, '--admin-socket', socket, '--workers', '0', '--no-https']
  const { child, ended } = await startGateway(t, words)
  t.match(await runPortico(['healthcheck', '--admin-socket', socket]), { status: 0 })
  await t.rejects(startGateway(t, words), /the admin socket cannot be opened: a process listens on .*another gateway/s)
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  t.throws(() => statSync(socket), /ENOENT/, 'it is gone with its gateway')
  writeFileSync(socket, 'precious')
  await t.rejects(startGateway(t, words), /is there and is no socket/)
  t.equal(readFileSync(socket, 'utf8'), 'precious')
})

t.test('writes without a token or a socket are refused where the settings are read', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': manifests('127.0.0.1:1', '127.0.0.1:2') })
  const check = (...words: string[]) => runPortico(['check', '-f', 'shop.yaml', '--admin-writes', ...words], { cwd })
  t.match(await check(), {
    status: 1,
    stdout: /PORTICO_SET_FIELD_VALUE {2}admin\.writes: every user and every program/,
  })
  for (const words of [
    ['--admin-token', 'a-long-enough-token'],
    ['--admin-socket', 'admin.sock'],
  ]) {
    t.match(await check(...words), { status: 0 }, words.join(' '))
  }
})
