/** The admin listener over real sockets: probes, metrics, views, and access. */
import { type OutgoingHttpHeaders, request } from 'node:http'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { type AdminState, createAdmin } from '../../lib/admin/admin.ts'
import type { Model } from '../../lib/model/model.ts'
import { INGRESS_TABLE } from '../../lib/model/route-table.ts'
import type { ServedConfiguration } from '../../lib/model/served.ts'
import { createMetrics } from '../../lib/telemetry/metrics.ts'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'
import { makeSettings } from '../helpers/settings.ts'
import { translateText } from '../translate/manifests.ts'
import { service } from '../translate/service-text.ts'

const model: Model = {
  tables: [{ name: INGRESS_TABLE, hosts: [], defaultRoute: undefined, shadowed: [] }],
  upstreams: new Map(),
  services: [],
  certificates: [],
  listeners: [],
  counts: { resources: 0, ingresses: 0, routes: 0 },
}

const locate: ServedConfiguration['locate'] = () => undefined

type Answer = { status: number | undefined; headers: Record<string, unknown>; body: string }

async function start(
  t: Test,
  changes: Record<string, unknown> = {},
  state: Partial<AdminState> = {},
  refresh = async () => {},
) {
  const settings = makeSettings({ 'admin.port': 0, ...changes })
  const served: ServedConfiguration = {
    generation: 7,
    builtAt: 0,
    settings,
    model,
    diagnostics: [],
    provenance: new Map(),
    locate,
  }
  const current: AdminState = { ready: true, served, ports: { http: 8081 }, ...state }
  const admin = createAdmin({
    settings,
    state: () => current,
    refresh,
    metrics: createMetrics({ counts: new RequestCounts(), version: '1.2.3' }),
    log: pino({ level: 'silent' }),
  })
  t.teardown(() => admin.close())
  const { port } = await admin.listen()
  const ask = (path: string, headers: OutgoingHttpHeaders = {}, method = 'GET') =>
    new Promise<Answer>((resolve, reject) => {
      request({ port, host: '127.0.0.1', path, method, headers, agent: false }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
      })
        .on('error', reject)
        .end()
    })
  return { admin, port, ask }
}

t.test('/livez answers as long as the process does; /readyz and /healthz say whether traffic may come', async (t) => {
  const ready = await start(t)
  t.match(await ready.ask('/livez'), { status: 200, body: '{"status":"ok"}' })
  t.match(await ready.ask('/readyz'), { status: 200, body: '{"status":"ready","generation":7}' })
  t.match(await ready.ask('/healthz'), { status: 200 })
  t.match(await ready.ask('/readyz', {}, 'HEAD'), { status: 200, body: '' })

  const draining = await start(t, {}, { ready: false })
  t.match(await draining.ask('/livez'), { status: 200 })
  t.match(await draining.ask('/readyz'), { status: 503, body: /"the gateway is starting or draining"/ })

  const empty = await start(t, {}, { ready: false, served: undefined })
  t.match(await empty.ask('/readyz'), { status: 503, body: /"there is no configuration yet"/ })
  t.match(await empty.ask('/api/v1/routes'), { status: 503 })
})

t.test('/metrics is Prometheus text', async (t) => {
  const { ask } = await start(t)
  const { status, headers, body } = await ask('/metrics')
  t.equal(status, 200)
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
  t.match(body, /^portico_build_info\{version="1\.2\.3",node="v[\d.]+"\} 1$/m)
})

t.test('/ lists the paths, and each answers JSON', async (t) => {
  const { ask } = await start(t)
  const { body } = await ask('/')
  const paths = body.split('\n').filter((line) => /^\/api\/\S+$/.test(line))
  t.equal(paths.length, 14)
  for (const path of paths) {
    const { status, headers, body: text } = await ask(path)
    t.equal(status, 200, path)
    t.match(headers, {
      'content-type': /^application\/json/,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    t.doesNotThrow(() => JSON.parse(text))
  }
  t.match(JSON.parse((await ask('/api/v1/listeners')).body), [{ name: 'http', port: 8081 }, { port: 8443 }, {}])
})

t.test('listeners of Services are listed with their state', async (t) => {
  const { model: full } = translateText(service('web', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]'))
  const served = {
    generation: 7,
    builtAt: 0,
    settings: makeSettings(),
    model: full,
    diagnostics: [],
    provenance: new Map(),
    locate,
  }
  const id = 'NodePort default/web:80/TCP [::]:30080'
  const { ask } = await start(t, {}, { served, listenerStates: new Map([[id, 'open']]) })
  t.match(JSON.parse((await ask('/api/v1/listeners')).body)[4], { name: 'default/web:80/TCP', state: 'open' })
  t.match(JSON.parse((await ask('/api/v1/services')).body), [{ name: 'web', ports: ['80:30080/TCP'] }])
})

t.test('figures are the newest whenever they are shown, and workers are listed', async (t) => {
  let refreshed = 0
  const worker = {
    worker: 1,
    pid: 42,
    isUp: false,
    generation: 7,
    restarts: 3,
    inFlight: 4,
    connections: 5,
    residentBytes: 6,
    cpuSeconds: 7,
  }
  const { ask } = await start(t, {}, { workers: [worker] }, async () => void refreshed++)
  const { isUp: _, ...rest } = worker
  t.same(JSON.parse((await ask('/api/v1/workers')).body), [{ ...rest, state: 'starting' }])
  await ask('/metrics')
  await ask('/api/v1/endpoints')
  t.equal(refreshed, 3)
  await ask('/api/v1/routes')
  t.equal(refreshed, 3, 'where no figures are, nobody is asked')
})

t.test('AD-02 an address that other machines can reach needs a token', async (t) => {
  for (const address of ['0.0.0.0', '::', '10.0.0.1', 'admin.test']) {
    const settings = makeSettings({ 'admin.address': address })
    const options = { settings, state: () => ({ ready: true, served: undefined, ports: {} }) }
    const rest = { metrics: createMetrics({ counts: new RequestCounts() }), log: pino({ level: 'silent' }) }
    t.throws(() => createAdmin({ ...options, ...rest }), /needs admin\.token/, address)
    const withToken = makeSettings({ 'admin.address': address, 'admin.token': 'x' })
    t.doesNotThrow(() => createAdmin({ ...options, ...rest, settings: withToken }), address)
  }
})

t.test('AD-03 with a token set, everything but the probes asks for it', async (t) => {
  const { ask } = await start(t, { 'admin.token': 'open sesame' })
  for (const authorization of [
    undefined,
    'Bearer wrong',
    'Bearer ',
    'Basic open sesame',
    'open sesame',
    'Bearer open sesame2',
  ]) {
    for (const path of ['/metrics', '/api/v1/routes', '/', '/nothing']) {
      const answer = await ask(path, authorization === undefined ? {} : { authorization })
      t.match(answer, { status: 401, headers: { 'www-authenticate': 'Bearer' } }, `${authorization} ${path}`)
    }
  }
  t.match(await ask('/metrics', { authorization: 'Bearer open sesame' }), { status: 200 })
  t.match(await ask('/metrics', { authorization: 'bearer open sesame', host: 'gateway.internal:9901' }), {
    status: 200,
  })
  for (const path of ['/livez', '/readyz', '/healthz']) t.match(await ask(path), { status: 200 }, path)
})

t.test('AD-04 other sites and other methods are refused', async (t) => {
  const { ask, port } = await start(t)
  for (const origin of ['https://evil.test', 'null', 'http://127.0.0.1:1']) {
    t.match(await ask('/api/v1/routes', { origin }), { status: 403 }, origin)
  }
  t.match(await ask('/api/v1/routes', { origin: `http://127.0.0.1:${port}` }), { status: 200 }, 'its own pages')
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.match(await ask('/api/v1/routes', {}, method), { status: 405, headers: { allow: 'GET, HEAD' } }, method)
  }
})

t.test('AD-05 a name that was made to lead to loopback is refused', async (t) => {
  const { ask, port } = await start(t)
  for (const host of [
    'evil.test',
    `evil.test:${port}`,
    'localhost.evil.test',
    '127.0.0.1.evil.test',
    '10.0.0.1',
    'a b',
  ]) {
    t.match(await ask('/metrics', { host }), { status: 421 }, host)
  }
  for (const host of [
    'localhost',
    `localhost:${port}`,
    'LOCALHOST',
    '127.0.0.1',
    '127.8.8.8:1',
    '[::1]:99',
    'x.localhost',
  ]) {
    t.match(await ask('/metrics', { host }), { status: 200 }, host)
  }
  t.match(await ask('/readyz', { host: 'evil.test' }), { status: 200 }, 'probes tell nothing')
})

t.test('AD-07 no secret is shown', async (t) => {
  const { ask } = await start(t, { 'admin.token': 'open sesame' })
  const { body } = await ask('/api/v1/settings', { authorization: 'Bearer open sesame' })
  t.notMatch(body, /sesame/)
  t.equal(JSON.parse(body).admin.token, '[redacted]')
})

t.test('unknown paths are 404 in JSON; a port in use rejects with its code', async (t) => {
  const { ask, port } = await start(t)
  t.match(await ask('/nothing'), { status: 404, body: /"message"/ })
  t.match(await ask('/%zz'), { status: 400 })
  await t.rejects(start(t, { 'admin.port': port }), { code: 'EADDRINUSE' })
})
