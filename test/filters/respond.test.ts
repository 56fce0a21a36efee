import t from 'tap'
import { connectRaw } from '../helpers/raw-client.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { ask, startFiltered } from './filtered.ts'

t.test("the gateway answers in the endpoint's place, at every door, whatever the method", async (t) => {
  const doors = await startFiltered(t, {
    'respond-status': '451',
    'respond-body': '{"no": "ü"}',
    'respond-content-type': 'application/json',
    'respond-headers': 'Cache-Control: no-store\nX-Why: law',
  })
  for (const door of doors.names) {
    // The frames of an answer to HEAD cannot be read back by the client that these tests have for HTTP/2.
    for (const method of door === 'HTTP/2' ? ['GET', 'POST'] : ['GET', 'POST', 'HEAD']) {
      const { status, field, body, upstream } = await ask(doors, door, {
        method,
        ...(method === 'POST' && { body: 'upload' }),
      })
      t.equal(status, 451, `${door} ${method}`)
      t.equal(Buffer.from(body, 'latin1').toString(), method === 'HEAD' ? '' : '{"no": "ü"}')
      t.same(field('content-type'), ['application/json'])
      t.same(field('cache-control'), ['no-store'])
      t.same(field('x-why'), ['law'])
      t.equal(field('x-request-id').length, 1)
      t.same(upstream, [])
    }
  }
})

t.test('without a body there is none, and what cannot be used is left out', async (t) => {
  const empty = await startFiltered(t, { 'respond-status': '204' })
  for (const door of empty.names) t.match(await ask(empty, door, {}), { status: 204, body: '', upstream: [] }, door)
  for (const annotations of [
    { 'respond-status': '204', 'respond-body': 'x' },
    { 'respond-status': '99' },
    { 'respond-headers': 'Content-Length: 5' },
    { 'respond-headers': 'no field' },
    { 'respond-body': 'x', 'respond-content-type': 'a\r\nb: c' },
  ]) {
    const doors = await startFiltered(t, annotations)
    t.equal((await ask(doors, 'lane', {})).status, 200, JSON.stringify(annotations))
  }
})

const PAGES = `apiVersion: v1
kind: ConfigMap
metadata: {name: pages}
data:
  sorry.html: |
    <h1>Später</h1>
  note.unknown: plain
binaryData: {icon.png: iVBORw0A/w==}
`

t.test('the body stands in a ConfigMap, at every door; the ending of its key says what it is', async (t) => {
  const from = { 'respond-status': '410', 'respond-body-from': 'pages/sorry.html' }
  const page = await startFiltered(t, from, '/', PAGES)
  for (const door of page.names) {
    const { status, field, body, upstream } = await ask(page, door, {})
    t.equal(status, 410, door)
    t.equal(Buffer.from(body, 'latin1').toString(), '<h1>Später</h1>\n')
    t.same(field('content-type'), ['text/html; charset=utf-8'])
    t.same(upstream, [])
  }
  for (const [annotations, type, bytes] of [
    [{ 'respond-body-from': 'pages/icon.png' }, 'image/png', '\x89PNG\r\x00\xff'],
    [{ 'respond-body-from': 'pages/note.unknown' }, 'text/plain; charset=utf-8', 'plain'],
    [{ 'respond-body-from': 'pages/note.unknown', 'respond-content-type': 'text/x' }, 'text/x', 'plain'],
  ] as const) {
    const doors = await startFiltered(t, annotations, '/', PAGES)
    const { status, field, body } = await ask(doors, 'lane', {})
    t.same([status, field('content-type'), body], [200, [type], bytes])
  }
})

t.test('a body that is not there, or stands there twice, leaves the filter out', async (t) => {
  for (const annotations of [
    { 'respond-body-from': 'page/sorry.html' },
    { 'respond-body-from': 'pages/sorry' },
    { 'respond-body-from': 'pages' },
    { 'respond-body-from': 'default/pages/sorry.html' },
    { 'respond-body-from': 'pages/sorry.html', 'respond-body': 'x' },
    { 'respond-body-from': 'pages/sorry.html', 'respond-status': '204' },
  ]) {
    const doors = await startFiltered(t, annotations, '/', PAGES)
    t.equal((await ask(doors, 'lane', {})).upstream.length > 0, true, JSON.stringify(annotations))
  }
})

t.test('workers get the body, up to 1 MiB, and a change of the ConfigMap changes the answer', async (t) => {
  const write = (body: string) => `apiVersion: v1
kind: ConfigMap
metadata: {name: pages}
data: {a: "${body}"}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {portico.dev/respond-body-from: pages/a}}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
  const running = await runGateway(t, write('one'), { flags: { workers: '2', 'https.enabled': 'false' } })
  const get = async () => {
    const client = await connectRaw(running.http)
    const { status, body } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    client.destroy()
    return [status, body.toString()]
  }
  t.same(await get(), [200, 'one'])
  await running.change(write('two'))
  t.same([await get(), await get(), await get()], Array(3).fill([200, 'two']))
  const large = 'x'.repeat(1_048_576)
  await running.change(write(large))
  t.same(await get(), [200, large])
})
