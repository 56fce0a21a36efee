import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { connectRaw } from '../helpers/raw-client.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { ask, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

t.test('every request is answered 503 at every door, and none reaches an endpoint', async (t) => {
  const doors = await startFiltered(t, { maintenance: 'true', 'maintenance-message': 'Zurück um zehn.' })
  const text = Buffer.from('Zurück um zehn.\n').toString('latin1')
  for (const door of doors.names) {
    for (const method of ['GET', 'HEAD', 'POST']) {
      const body = method === 'POST' ? { body: 'b' } : {}
      const answer = await ask(doors, door, { method, target: '/x', ...body })
      t.equal(answer.status, 503, `${method}, ${door}`)
      t.same(answer.field('retry-after'), ['120'])
      t.same(answer.field('content-type'), ['text/plain; charset=utf-8'])
      t.equal(answer.body, method === 'HEAD' ? '' : text)
      t.same(answer.upstream, [])
    }
    const { status } = await ask(doors, door, { host: 'gw.test' })
    t.equal(status, 200, 'other routes are left alone')
  }
})

t.test('the answer may stand in a ConfigMap', async (t) => {
  const pages = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pages}\ndata: {off.html: <p>later</p>}\n'
  const doors = await startFiltered(
    t,
    { maintenance: 'true', 'maintenance-message-from': 'pages/off.html' },
    '/',
    pages,
  )
  for (const door of doors.names) {
    const { status, field, body } = await ask(doors, door, {})
    t.same([status, body, field('retry-after')], [503, '<p>later</p>', ['120']], door)
    t.same(field('content-type'), ['text/html; charset=utf-8'])
  }
  for (const more of [
    { 'maintenance-message-from': 'pages/on' },
    { 'maintenance-message-from': 'pages/off.html', 'maintenance-message': 'x' },
  ]) {
    const without = await startFiltered(t, { maintenance: 'true', ...more }, '/', pages)
    t.equal((await ask(without, 'lane', {})).status, 200, 'the filter is left out')
  }
})

t.test('it is off unless it says "true", and tells what it cannot use', async (t) => {
  const cases: readonly (readonly [annotations: object, filters: number, message?: RegExp])[] = [
    [{ maintenance: 'true' }, 1],
    [{ maintenance: 'true', 'maintenance-message': 'x'.repeat(500) }, 1],
    [{ maintenance: 'false', 'maintenance-message': 'Back at ten.' }, 0],
    [{ 'maintenance-message': 'Back at ten.' }, 0, /it says nothing without maintenance$/],
    [{ maintenance: 'yes' }, 0, /maintenance: "yes" is neither "true" nor "false"$/],
    [{ maintenance: 'true', 'maintenance-allow': '10.0.0.1/8, ::1', 'maintenance-content-type': 'text/html' }, 1],
    [{ maintenance: 'false', 'maintenance-allow': '10.0.0.0/8' }, 0],
    [{ 'maintenance-allow': '10.0.0.0/8' }, 0, /it says nothing without maintenance$/],
    [{ maintenance: 'true', 'maintenance-allow': '' }, 0, /maintenance-allow: it names no address$/],
    [{ maintenance: 'true', 'maintenance-allow': '10.0.0.0/33' }, 0, /"10\.0\.0\.0\/33" is not a CIDR range/],
    [{ maintenance: 'true', 'maintenance-allow': 'office.test' }, 0, /"office\.test" is not a CIDR range/],
    [{ maintenance: 'true', 'maintenance-content-type': 'a\nb' }, 0, /is no media type$/],
    [{ maintenance: 'true', 'maintenance-message': ' ' }, 0, /maintenance-message: it is empty$/],
    [{ maintenance: 'true', 'maintenance-message': 'x'.repeat(501) }, 0, /it has 501 characters, and 500 are allowed$/],
  ]
  for (const [annotations, filters, message] of cases) {
    const { route, diagnostics } = translateFiltered(annotations)
    const label = JSON.stringify(annotations).slice(0, 60)
    t.equal(route?.filters?.length ?? 0, filters, label)
    t.equal(route?.action.type, 'forward', 'it does not guard')
    if (message === undefined) t.same(diagnostics, [], label)
    else t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message }], label)
  }
})

t.test('clients that are allowed are served, at every door', async (t) => {
  for (const [allow, status] of [
    ['127.0.0.0/8', 200],
    ['10.0.0.0/8, ::1', 503],
  ] as const) {
    const doors = await startFiltered(t, { maintenance: 'true', 'maintenance-allow': allow })
    for (const door of doors.names) t.equal((await ask(doors, door, {})).status, status, `${door} ${allow}`)
  }
})

t.test('the message may have a type of its own', async (t) => {
  const doors = await startFiltered(t, {
    maintenance: 'true',
    'maintenance-message': '{"error": "maintenance"}',
    'maintenance-content-type': 'application/json',
  })
  for (const door of doors.names) {
    t.same((await ask(doors, door, {})).field('content-type'), ['application/json'], door)
  }
})

t.test('who the client is, a trusted proxy alone may tell; probes and active checks go on', async (t) => {
  let checks = 0
  const server = createServer(({ url }, response) => {
    if (url === '/health') checks++
    response.end('ok')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const manifests = printFiltered({ maintenance: 'true', 'maintenance-allow': '192.0.2.0/24' })
  const { port } = server.address() as AddressInfo
  const running = await runGateway(t, manifests, {
    endpoints: { web: [port] },
    flags: {
      trustedProxies: '127.0.0.2',
      'admin.enabled': 'true',
      'admin.port': '0',
      'upstream.health.check': 'http',
      'upstream.health.path': '/health',
      'upstream.health.interval': '50ms',
    },
  })
  const ask = async (localAddress: string, told: string): Promise<number> => {
    const client = await connectRaw(running.http, { localAddress })
    const request = `GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: ${told}\r\n\r\n`
    const { status } = await client.send(request).response()
    client.destroy()
    return status
  }
  t.equal(await ask('127.0.0.2', '192.0.2.7'), 200)
  t.equal(await ask('127.0.0.2', '192.0.2.7, 198.51.100.1'), 503)
  t.equal(await ask('127.0.0.1', '192.0.2.7'), 503, 'nobody can claim the address')
  for (const path of ['/livez', '/readyz']) {
    t.equal((await fetch(`http://127.0.0.1:${running.admin}${path}`)).status, 200, path)
  }
  const before = checks
  await until(() => checks > before + 1)
  t.pass('the endpoint is checked meanwhile')
})
