import t from 'tap'
import { type DoorRequest, startDoors } from '../doors/request-doors.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, findAll } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'
import { until } from '../helpers/until.ts'

function printIngress(name: string, annotations: object, service: string): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: ${JSON.stringify(annotations)}}
spec: {rules: [{host: ${name}.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ${service}, port: {number: 80}}}}]}}]}
`
}

/** The length is declared; HTTP/1 sends nothing of the body then. */
function declare(door: string, bytes: number): DoorRequest {
  return {
    method: 'POST',
    fields: [
      ['content-length', String(bytes)],
      ['origin', 'https://a.test'],
    ],
    ...(door === 'HTTP/2' && { body: 'x'.repeat(bytes) }),
  }
}

t.test('SL-32 the limit of a route goes before that of all, and is told', async (t) => {
  const small = { 'portico.dev/body-limit': '8', 'portico.dev/cors-allow-origins': '*' }
  const manifests = [
    printIngress('small', { ...small, 'portico.dev/auth-url': 'http://127.0.0.1:1/' }, 'web'),
    printIngress('open', { 'portico.dev/body-limit': '1Ki' }, 'web'),
    printIngress('free', { 'portico.dev/body-limit': 'unlimited' }, 'web'),
    printIngress('usual', {}, 'web'),
    printIngress('service', {}, 'limited'),
    printIngress('both', { 'portico.dev/body-limit': '12' }, 'limited'),
    `---
apiVersion: v1
kind: Service
metadata: {name: limited, annotations: {portico.dev/body-limit: "6", portico.dev/endpoints: "127.0.0.1:1"}}
spec: {ports: [{port: 80}]}
---
`,
  ]
  const doors = await startDoors(t, { 'limits.bodyBytes': '10' }, manifests.join(''))
  for (const door of doors.names) {
    for (const [host, limit, text] of [
      ['small', 8, '8 bytes'],
      ['usual', 10, '10 bytes'],
      ['open', 1024, '1 KiB'],
      ['service', 6, '6 bytes'],
      ['both', 12, '12 bytes'],
    ] as const) {
      for (const request of [declare(door, limit + 1), { method: 'POST', body: 'x'.repeat(limit + 1) }]) {
        const label = `${host}, ${'fields' in request ? 'declared' : 'of unknown length'}, ${door}`
        // Of a body that comes bit by bit, the auth server and the endpoint hear before it turns out too long.
        if (!('fields' in request) && ['small', 'service', 'both'].includes(host)) continue
        const {
          status,
          body = '',
          headers = [],
          upstream,
        } = await doors.ask(door, { host: `${host}.test`, ...request })
        t.equal(status, 413, label)
        t.match(body, `too large: it may have at most ${text}.`, label)
        t.match(body, /"code":"PORTICO_REQ_TOO_LARGE"/)
        t.same(upstream, [], label)
        if (host === 'small') t.same(findAll(headers, 'access-control-allow-origin'), ['*'], label)
      }
    }
    for (const [host, bytes] of [
      ['free', 2_000],
      ['open', 1024],
      ['usual', 10],
    ] as const) {
      const body = 'x'.repeat(bytes)
      const sent = await doors.ask(door, { host: `${host}.test`, method: 'POST', body })
      t.same([sent.status, sent.upstream.at(-1)], [200, body], `${host}, ${door}`)
    }
  }
})

t.test('the limit is told after another try as well', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.until((text) => text.includes('abc'))
    if (upstream.connections.length === 1) connection.socket.resetAndDestroy()
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], { settings: { 'limits.bodyBytes': 10 } })
  const client = await connectRaw(server.port)
  client.send('PUT / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await until(() => upstream.connections[1]?.text.includes('abc') ?? false)
  const { status, body } = await client.send('8\r\ndefghijk\r\n').response()
  t.equal(status, 413)
  t.match(body.toString(), 'too large: it may have at most 10 bytes.')
  t.match(await server.record(), { tries: 2, error: 'PORTICO_REQ_TOO_LARGE' })
})
