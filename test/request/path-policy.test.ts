/** P1, P2, P38 what slashes in paths mean is a matter of the listener: what it matches is what filters see and endpoints get. */
import t, { type Test } from 'tap'
import { type DoorRequest, type Doors, startDoors } from '../doors/request-doors.ts'
import { ask, HOST, printOfHost } from '../filters/filtered.ts'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { ONE_ROUTE, runGateway } from '../helpers/running-gateway.ts'
import { startTraffic } from '../helpers/start-traffic.ts'

type Flags = Readonly<Record<string, string>>

const BACKEND = '{service: {name: web, port: {number: 80}}}'

function printIngress(name: string, path: string, annotations: string): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: {${annotations}}}
spec: {rules: [{host: ${HOST}, http: {paths: [{path: "${path}", pathType: Prefix, backend: ${BACKEND}}]}}]}
`
}

/** `/admin` is refused, `/app` is stripped, and all else tells the path that filters see. */
const MANIFESTS = `${printIngress('root', '/', `portico.dev/response-headers-set: "X-Path: \${request.path}"`)}${printIngress(
  'admin',
  '/admin',
  'portico.dev/respond-status: "403"',
)}${printIngress('app', '/app', 'portico.dev/rewrite-prefix: /')}`

/** A path, and the one that the endpoint gets, or the status of the refusal. */
type Row = readonly [sent: string, got: string | 400 | 403]

const AT_ROOT = /^\/(?!app)/

async function check(t: Test, doors: Doors, names: readonly string[], rows: readonly Row[]): Promise<void> {
  for (const door of names) {
    for (const [sent, got] of rows) {
      const { status, field, upstream } = await ask(doors, door, { target: `${sent}?q=//a%2Fb/../%5C` })
      const label = `${sent}, ${door}`
      if (typeof got === 'number') {
        t.same([status, upstream], [got, []], label)
        continue
      }
      t.equal(upstream[0], `GET ${got}?q=//a%2Fb/../%5C HTTP/1.1`, label)
      // What is stripped is the matter of another test.
      if (AT_ROOT.test(sent)) t.same(field('x-path'), [got], label)
    }
  }
}

const CASES: readonly (readonly [flags: Flags, rows: readonly Row[]])[] = [
  [
    {},
    [
      ['/a%2fb', '/a%2fb'],
      ['/admin%2Fx', '/admin%2Fx'],
      ['/a%5Cb', '/a%5Cb'],
      ['/a//b', '/a//b'],
      ['//admin', 403],
      ['/app//x', '//x'],
    ],
  ],
  [
    { 'paths.encodedSlash': 'reject' },
    [
      ['/a%2fb', 400],
      ['/a%5Cb', 400],
      ['/a%252fb', '/a%252fb'],
    ],
  ],
  [
    { 'paths.encodedSlash': 'decode' },
    [
      ['/a%2fb', '/a/b'],
      ['/%2Fadmin', 403],
      ['/admin%2Fx', 403],
      ['/x%2F..%2fadmin', 403],
      ['/x%2f%2e%2E%2Fa', '/a'],
      ['/a%252fb', '/a%252fb'],
      ['/a%5Cb', 400],
      ['/..%2Fadmin', 400],
      ['/app%2Fx', '/x'],
      ['/b%2F%2Fc', '/b//c'],
    ],
  ],
  [
    { 'paths.mergeSlashes': 'always' },
    [
      ['/a//b', '/a/b'],
      ['//admin///x', 403],
      ['///', '/'],
      ['/app//x', '/x'],
      ['/a%2Fb', '/a%2Fb'],
    ],
  ],
  [
    { 'paths.mergeSlashes': 'never' },
    [
      ['//admin', '//admin'],
      ['/admin//x', 403],
      ['/a//b', '/a//b'],
      ['/app//x', '//x'],
      ['//app/x', '//app/x'],
    ],
  ],
  [
    { 'paths.encodedSlash': 'decode', 'paths.mergeSlashes': 'always' },
    [
      ['/a%2F/%2Fb', '/a/b'],
      ['/%2F%2Fadmin', 403],
    ],
  ],
]

for (const [flags, rows] of CASES) {
  t.test(`at every door: ${JSON.stringify(flags)}`, async (t) => {
    const doors = await startDoors(t, flags, MANIFESTS)
    await check(t, doors, doors.names, rows)
  })
}

t.test('HTTP and HTTPS have their own policies, and the general one where they say inherit', async (t) => {
  const doors = await startDoors(
    t,
    {
      'paths.mergeSlashes': 'always',
      'http.paths.mergeSlashes': 'never',
      'http.paths.encodedSlash': 'decode',
      'https.paths.encodedSlash': 'reject',
    },
    MANIFESTS,
  )
  await check(
    t,
    doors,
    ['lane', 'node:http'],
    [
      ['/a%2Fb//c', '/a/b//c'],
      ['//admin', '//admin'],
    ],
  )
  await check(
    t,
    doors,
    ['lane over TLS', 'node:http over TLS', 'HTTP/2'],
    [
      ['/a//c', '/a/c'],
      ['//admin', 403],
      ['/a%2Fb', 400],
    ],
  )
})

t.test('an absolute target has the path policy, and OPTIONS * has no path', async (t) => {
  const doors = await startDoors(t, { 'paths.encodedSlash': 'decode', 'paths.mergeSlashes': 'always' }, MANIFESTS)
  for (const door of doors.names.filter((name) => name !== 'HTTP/2')) {
    const request: DoorRequest = { target: `http://${HOST}/a%2F/b?x=%2F//`, host: 'other.test' }
    t.equal((await ask(doors, door, request)).upstream[0], 'GET /a/b?x=%2F// HTTP/1.1', door)
    t.equal((await ask(doors, door, { target: `http://${HOST}//admin` })).status, 403)
  }
  for (const door of doors.names)
    t.equal((await ask(doors, door, { method: 'OPTIONS', target: '*' })).status, 200, door)
})

t.test('the policy changes with a reload, without a socket that is closed', async (t) => {
  const echo = await startEchoUpstream({ name: 'web' })
  t.teardown(() => echo.close())
  const running = await runGateway(t, ONE_ROUTE, { endpoints: { web: [echo.port] }, flags: { workers: '1' } })
  const client = await connectRaw(running.http)
  t.teardown(() => client.destroy())
  const send = async (target: string) => {
    const response = await client.send(`GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`).response()
    return response.status === 200 ? JSON.parse(response.body.toString()).url : response.status
  }
  t.equal(await send('/a%2Fb//c'), '/a%2Fb//c')
  const settings = (text: string) =>
    `${ONE_ROUTE}---\napiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n${text}\n`
  await running.change(settings('paths: {encodedSlash: decode}\nhttp: {paths: {mergeSlashes: always}}'))
  t.equal(await send('/a%2Fb//c'), '/a/b/c', 'on the same connection')
  await running.change(settings('http: {paths: {encodedSlash: reject}}'))
  t.equal(await send('/a//b'), '/a//b')
  t.equal(await send('/a%2Fb'), 400)
})

t.test('a port of a Service has the general policy', async (t) => {
  const echo = await startEchoUpstream({ name: 'web' })
  t.teardown(() => echo.close())
  const paths = { encodedSlash: 'decode', mergeSlashes: 'always' } as const
  const listeners = [{ to: 'web', port: 0, layer: 'L7', paths }] as const
  const { port } = await startTraffic(t, { upstreams: { web: [echo.port] }, listeners })
  const client = await connectRaw(port)
  t.teardown(() => client.destroy())
  const response = await client.send('GET /a%2F/b HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
  t.equal(JSON.parse(response.body.toString()).url, '/a/b')
})

t.test('what a rewriting joins together is sent as it was written', async (t) => {
  const annotations = { 'rewrite-regex': '^/old(/.*)$', 'rewrite-replacement': '/new/$1' }
  const doors = await startDoors(t, { 'paths.mergeSlashes': 'always' }, printOfHost(annotations))
  const { upstream } = await ask(doors, 'lane', { target: '//old//x' })
  t.equal(upstream[0], 'GET /new//x HTTP/1.1')
})
