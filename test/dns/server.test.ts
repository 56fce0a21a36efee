import { createSocket } from 'node:dgram'
import { promises } from 'node:dns'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { findFreePort } from '../helpers/free-ports.ts'
import { askUdp, connectTcp, encodeName, frame, makeQuery, readHeader } from './client.ts'
import { startServer, WEB } from './start-server.ts'

const WEB_NAME = 'web.default.svc.cluster.local'

t.test("Node's own resolver gets what it asks for", async (t) => {
  const { port } = await startServer(t, WEB)
  const resolver = new promises.Resolver()
  resolver.setServers([`127.0.0.1:${port}`])
  t.same(await resolver.resolve4(WEB_NAME, { ttl: true }), [{ address: '10.96.0.10', ttl: 5 }])
  t.match(await resolver.resolveSrv(`_http._tcp.${WEB_NAME}`), [{ name: WEB_NAME, port: 80, priority: 0, weight: 100 }])
  t.same(await resolver.reverse('10.96.0.10'), [WEB_NAME])
  t.same(await resolver.resolveTxt('dns-version.cluster.local'), [['1.1.0']])
  t.match(await resolver.resolveSoa('cluster.local'), { nsname: 'ns.dns.cluster.local', minttl: 5 })
  await t.rejects(resolver.resolve6(WEB_NAME), { code: 'ENODATA' })
  await t.rejects(resolver.resolve4('nobody.default.svc.cluster.local'), { code: 'ENOTFOUND' })
  await t.rejects(resolver.resolve4('example.com'), { code: 'EREFUSED' })
})

t.test('zone and TTL are as the settings say, and follow them', async (t) => {
  const { port, change } = await startServer(t, WEB, { 'dns.zone': 'Example.Internal.', 'dns.ttl': 60_000 })
  const resolver = new promises.Resolver()
  resolver.setServers([`127.0.0.1:${port}`])
  const name = 'web.default.svc.example.internal'
  t.same(await resolver.resolve4(name, { ttl: true }), [{ address: '10.96.0.10', ttl: 60 }])
  t.match(await resolver.resolveSrv(`_http._tcp.${name}`), [{ name, port: 80, priority: 0, weight: 100 }])
  change(WEB, { 'dns.zone': 'corp.test', 'dns.ttl': 0 })
  t.same(await resolver.resolve4('web.default.svc.corp.test', { ttl: true }), [{ address: '10.96.0.10', ttl: 0 }])
  t.same(await resolver.reverse('10.96.0.10'), ['web.default.svc.corp.test'])
  await t.rejects(resolver.resolve4(name), { code: 'EREFUSED' })
})

t.test('names and labels that cannot be sent are left out, and the rest is served', async (t) => {
  const long = 'a'.repeat(63)
  const { port } = await startServer(
    t,
    `${WEB}---
apiVersion: v1
kind: Service
metadata: {name: long}
spec: {type: ExternalName, externalName: ${'a'.repeat(64)}.test}
---
apiVersion: v1
kind: Service
metadata: {name: ${long}, namespace: ${long}}
spec: {clusterIP: 10.96.0.12, ports: [{name: http, port: 80}]}
`,
    { 'dns.zone': `${long}.${long}` },
  )
  const resolver = new promises.Resolver()
  resolver.setServers([`127.0.0.1:${port}`])
  await t.rejects(resolver.resolveCname(`long.default.svc.${long}.${long}`), { code: 'ENODATA' })
  await t.rejects(resolver.reverse('10.96.0.12'), { code: 'ENOTFOUND' })
  t.same(await resolver.resolve4(`web.default.svc.${long}.${long}`), ['10.96.0.10'])
})

t.test('broken packets are told so, answers are left alone, and none of them ends the server', async (t) => {
  const { port, lines } = await startServer(t, WEB)
  const good = makeQuery(WEB_NAME, 1, { id: 99 })
  const answer = await askUdp(
    port,
    Buffer.alloc(0),
    Buffer.alloc(5),
    makeQuery(WEB_NAME, 1, { id: 1, flags: 0x8180 }),
    good,
  )
  t.match(readHeader(answer), { id: 99, code: 0, counts: [1, 1, 0, 0] }, 'the first answer is to the last packet')
  t.match(readHeader(await askUdp(port, Buffer.concat([good, Buffer.from('x')]))), {
    id: 99,
    code: 1,
    counts: [0, 0, 0, 0],
  })
  const socket = createSocket('udp4')
  const packets = fc.sample(fc.uint8Array({ maxLength: 1400 }), 500)
  for (const packet of packets) {
    socket.send(packet, port, '127.0.0.1')
    socket.send(Buffer.concat([good.subarray(0, 12 + (packet.length % 30)), packet]), port, '127.0.0.1')
    // The server is in this process: it reads when the loop comes round.
    await new Promise((resolve) => setImmediate(resolve))
  }
  socket.close()
  t.match(readHeader(await askUdp(port, good)), { id: 99, code: 0 })
  t.same(lines, [])
})

t.test('several questions on a connection, in pieces, and behind an end', async (t) => {
  const { port } = await startServer(t, WEB)
  const client = await connectTcp(port)
  client.send(...[1, 2, 3].map((id) => makeQuery(WEB_NAME, 1, { id })))
  t.same(
    [await client.next(), await client.next(), await client.next()].map((each) => readHeader(each).id),
    [1, 2, 3],
  )
  const framed = frame(makeQuery(WEB_NAME, 1, { id: 4 }))
  for (const byte of framed) {
    client.socket.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(readHeader(await client.next()).id, 4)
  client.send(makeQuery(WEB_NAME, 1, { id: 5 }))
  client.socket.end()
  t.equal(readHeader(await client.next()).id, 5, 'a side that has ended still hears')
  await client.closed
})

t.test('a client that sends many questions and reads late gets all answers', async (t) => {
  const { port } = await startServer(t, WEB)
  const client = await connectTcp(port)
  client.socket.pause()
  const ids = Array.from({ length: 20_000 }, (_, index) => index)
  client.send(...ids.map((id) => makeQuery(WEB_NAME, 1, { id })))
  client.socket.resume()
  for (const id of ids) if (readHeader(await client.next()).id !== id) t.fail(`answer ${id} is missing`)
  client.socket.end()
  await client.closed
})

t.test('a connection that asks nothing is closed, dripping bytes or not', async (t) => {
  const { port } = await startServer(t, WEB, {}, { idleMs: 150 })
  const silent = await connectTcp(port)
  const dripping = await connectTcp(port)
  const drip = setInterval(() => dripping.socket.write(Buffer.from([1])), 20)
  t.teardown(() => clearInterval(drip))
  await Promise.all([silent.closed, dripping.closed])
})

t.test('a message of a length that no question has ends its connection', async (t) => {
  const { port } = await startServer(t, WEB)
  for (const length of [0, 11, 4097, 0xffff]) {
    const client = await connectTcp(port)
    client.socket.write(Buffer.from([length >> 8, length & 255, 0]))
    await client.closed
  }
})

t.test('connections beyond the limit are closed at once', async (t) => {
  const { port } = await startServer(t, WEB, {}, { connections: 2 })
  const held = [await connectTcp(port), await connectTcp(port)]
  for (const [id, client] of held.entries()) {
    client.send(makeQuery(WEB_NAME, 1, { id }))
    t.equal(readHeader(await client.next()).id, id)
  }
  const third = await connectTcp(port)
  await third.closed
  for (const { socket } of held) socket.destroy()
})

t.test('a port that is taken, for TCP or for UDP alone', async (t) => {
  const tcp = createServer().listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  t.teardown(() => tcp.close())
  await t.rejects(startServer(t, WEB, { 'dns.port': (tcp.address() as AddressInfo).port }), { code: 'EADDRINUSE' })
  // One that nobody has for TCP.
  const port = await findFreePort()
  const udp = createSocket('udp4').bind(port, '127.0.0.1')
  await once(udp, 'listening')
  t.teardown(() => udp.close())
  await t.rejects(startServer(t, WEB, { 'dns.port': port }), { code: 'EADDRINUSE' })
  const again = createServer().listen(port, '127.0.0.1')
  await once(again, 'listening')
  t.pass('nothing is left open')
  again.close()
})

t.test('every address, IPv6 too', async (t) => {
  const { port } = await startServer(t, WEB, { 'dns.address': '::' })
  const resolver = new promises.Resolver()
  for (const server of [`127.0.0.1:${port}`, `[::1]:${port}`]) {
    resolver.setServers([server])
    t.same(await resolver.resolve4(WEB_NAME), ['10.96.0.10'], server)
  }
  await t.rejects(resolver.resolve4('ns.dns.cluster.local'), { code: 'ENODATA' }, 'which of them is for nobody to say')
})

t.test('questions are counted under labels of a short list', async (t) => {
  const { server, port } = await startServer(t, WEB)
  await askUdp(port, makeQuery(WEB_NAME, 1))
  await askUdp(port, makeQuery(WEB_NAME, 1))
  await askUdp(port, makeQuery(WEB_NAME, 28))
  for (const type of [12345, 54321]) await askUdp(port, makeQuery('nobody.cluster.local', type))
  await askUdp(port, Buffer.concat([makeQuery('', 1), encodeName('')]))
  t.same(
    [...server.counts()].map(({ type, code, count }) => `${type} ${code} ${count}`),
    ['A NOERROR 2', 'AAAA NOERROR 1', 'other NXDOMAIN 2', 'other FORMERR 1'],
  )
})

t.test('addresses stand beside the targets of SRV where these are few', async (t) => {
  const endpoints = (count: number) =>
    Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}:80`).join()
  const service = (name: string, count: number) => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, annotations: {portico.dev/endpoints: "${endpoints(count)}"}}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
`
  const { port } = await startServer(t, service('few', 256) + service('many', 257))
  const client = await connectTcp(port)
  t.teardown(() => client.socket.destroy())
  for (const [name, count, beside] of [
    ['few', 256, 256],
    ['many', 257, 0],
  ] as const) {
    client.send(makeQuery(`_http._tcp.${name}.default.svc.cluster.local`, 33))
    t.match(readHeader(await client.next()), { isCut: false, counts: [1, count, 0, beside] })
  }
})
