import t from 'tap'
import { startDoors } from '../doors/request-doors.ts'
import { printFiltered } from '../filters/filtered.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'
import { runGateway } from '../helpers/running-gateway.ts'

t.test('a route has a time limit for its requests, at every door', async (t) => {
  const more = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: quick, annotations: {portico.dev/timeouts-request: 100ms, portico.dev/cors-allow-origins: "*"}}
spec: {rules: [{host: quick.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
`
  const doors = await startDoors(t, {}, more, { '/hang': { pieces: [] } })
  for (const door of doors.names) {
    for (const request of [{}, { method: 'POST', body: 'b' }]) {
      const started = performance.now()
      const { status, body } = await doors.ask(door, { host: 'quick.test', target: '/hang', ...request })
      t.match({ status, body }, { status: 504, body: /PORTICO_UP_HEADERS_TIMEOUT/ }, door)
      t.ok(performance.now() - started < 5_000)
      t.match(await doors.play(door, { host: 'quick.test', ...request }), { answer: 200 }, door)
    }
  }
})

t.test('events and tunnels that have begun are not cut', async (t) => {
  for (const [name, head, request] of [
    ['events', 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n', ''],
    [
      'a tunnel',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      'Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
    ],
  ] as const) {
    const upstream = await startRawUpstream(async (connection) => {
      await connection.head()
      connection.send(head)
      await new Promise((resolve) => setTimeout(resolve, 400))
      connection.send('late')
    })
    t.teardown(() => upstream.close())
    const manifests = printFiltered({ 'timeouts-request': '100ms' })
    const running = await runGateway(t, manifests, { endpoints: { web: [upstream.port] } })
    const client = await connectRaw(running.http)
    client.send(`GET / HTTP/1.1\r\nHost: gw.test\r\n${request}\r\n`)
    t.match(await client.until((text) => text.includes('late')), 'late', name)
    client.destroy()
  }
})
