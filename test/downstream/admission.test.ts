/** Limits of connections over real sockets: whose connection is closed for whose, and whose is refused, at every kind of TCP port. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import type { StartedTraffic } from '../helpers/start-traffic.ts'
import { startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'
import { connectRaw, defaultCertificate, openTls, RawClient } from './start-listener.ts'

/** Begins a request that stays under way. */
const UPLOAD = 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
/** Doors tell idle connections apart to within less than this, milliseconds. */
const APART_MS = 250

type Ports = Readonly<{ http: number; https: number; l4: number; l7: number }>

/** A process with every kind of TCP port, all of them leading to the same endpoint. */
async function start(t: Test, changes: Readonly<Record<string, unknown>>): Promise<StartedTraffic & { all: Ports }> {
  const upstream = await startEchoUpstream()
  t.teardown(() => upstream.close())
  const words = {
    upstreams: { web: [upstream.port] },
    routes: [{ to: 'web' }],
    listeners: [
      { to: 'web', port: 0 },
      { to: 'web', port: 0, address: '127.0.0.5', layer: 'L7' },
    ],
  } as const
  const address = { 'http.port': 0, 'https.port': 0, 'http.address': '127.0.0.1', 'https.address': '127.0.0.1' }
  const traffic = await startTraffic(
    t,
    words,
    { ...address, ...changes },
    { defaultCertificate: await defaultCertificate() },
  )
  const [l4 = 0, l7 = 0] = Object.values(traffic.ports)
  const http = (await traffic.traffic.listen('http')).port
  const https = (await traffic.traffic.listen('https')).port
  return { ...traffic, all: { http, https, l4, l7 } }
}

/** A connection on which a request has been answered. */
type Kept = Readonly<{ isOpen: () => boolean; ask: () => Promise<unknown> }>
type Open = (t: Test, ports: Ports) => Promise<Kept>

function keep(client: RawClient): Kept {
  return {
    isOpen: () => !client.socket.destroyed,
    ask: async () => {
      client.received = ''
      client.socket.write(GET)
      await client.until(/\r\n\r\n/)
    },
  }
}

const openPlain: Open = async (t, { http }) => keep(await connectRaw(t, http))
const openSecure: Open = async (t, { https }) => keep(new RawClient(await openTls(t, https)))
const openH2: Open = async (t, { https }) => {
  const session = connectH2(t, https, { tls: true })
  await once(session, 'connect')
  return { isOpen: () => !session.destroyed, ask: () => requestH2(session, { ':authority': 'a.test' }) }
}

/** How a connection that is not taken ends. */
async function refusal(t: Test, port: number, from = '127.0.0.1', to = '127.0.0.1', first = ''): Promise<unknown> {
  const socket = connect({ port, host: to, localAddress: from })
  t.teardown(() => socket.destroy())
  if (first !== '') socket.write(first)
  const [error] = await Promise.race([once(socket, 'error'), once(socket, 'end')])
  return error?.code
}

const DOORS = [
  ['plain, in the fast lane', openPlain, {}],
  ['plain, by node:http', openPlain, { 'fastLane.enabled': false }],
  ['over TLS', openSecure, {}],
  ['over TLS, by node:http', openSecure, { 'fastLane.enabled': false }],
  ['HTTP/2', openH2, {}],
] as const

for (const [name, open, changes] of DOORS) {
  t.test(`at the limit the connection that is idle longest makes room: ${name}`, async (t) => {
    const { all, result, traffic } = await start(t, { 'limits.connections': 3, ...changes })
    const [first, second, third] = [await open(t, all), await open(t, all), await open(t, all)]
    await first.ask()
    await sleep(APART_MS)
    await second.ask()
    await sleep(APART_MS)
    await third.ask()
    await first.ask()
    await sleep(APART_MS)
    const fourth = await open(t, all)
    await fourth.ask()
    await until(() => !second.isOpen())
    t.same(
      [first, second, third, fourth].map((each) => each.isOpen()),
      [true, false, true, true],
    )
    t.equal(result('made_room'), 1)
    t.equal(result('refused_limit'), 0)
    await until(() => [...traffic.connections().values()].reduce((sum, count) => sum + count, 0) === 3)
  })
}

for (const [name, open, changes] of DOORS) {
  t.test(`a client with enough connections gets another in place of its own longest idle one: ${name}`, async (t) => {
    const { all, result } = await start(t, { 'limits.connectionsPerClient': 2, ...changes })
    const socket = connect({ port: all.http, host: '127.0.0.1', localAddress: '127.0.0.2' })
    t.teardown(() => socket.destroy())
    const other = keep(new RawClient(socket))
    await other.ask()
    await sleep(APART_MS)
    const [first, second] = [await open(t, all), await open(t, all)]
    await second.ask()
    await sleep(APART_MS)
    await first.ask()
    const third = await open(t, all)
    await third.ask()
    await until(() => !second.isOpen())
    const fourth = await open(t, all)
    await fourth.ask()
    await until(() => !first.isOpen())
    t.same(
      [other, third, fourth].map((each) => each.isOpen()),
      [true, true, true],
      'the connection of another client has been idle for longer, and stays',
    )
    t.same([result('made_room'), result('refused_client')], [2, 0])
  })
}

t.test('idle connections of one port make room at another; those that are busy never do', async (t) => {
  const { all, result, lines } = await start(t, { 'limits.connections': 2 })
  const idle = await openPlain(t, all)
  await idle.ask()
  const busy = await connectRaw(t, all.http)
  busy.socket.write(UPLOAD)
  await sleep(APART_MS)
  const other = await connectRaw(t, all.l4)
  other.socket.write(GET)
  await other.until(/\r\n\r\n/)
  await until(() => !idle.isOpen())
  t.equal(result('made_room'), 1)
  t.equal(await refusal(t, all.l4), 'ECONNRESET')
  t.equal(await refusal(t, all.http), 'ECONNRESET')
  t.equal(result('refused_limit'), 2)
  busy.socket.write('12345')
  t.match(await busy.until(/\r\n\r\n/), /^HTTP\/1\.1 200 /)
  t.equal(lines.filter(({ msg }) => msg === 'connections refused: limits.connections is reached').length, 2)
})

t.test('one that has said nothing yet is let be at first, and makes room later', async (t) => {
  const { all, result } = await start(t, { 'limits.connections': 1 })
  const silent = await connectRaw(t, all.http)
  t.equal(await refusal(t, all.http), 'ECONNRESET')
  await sleep(1200)
  const next = await openPlain(t, all)
  await next.ask()
  await silent.closed
  t.equal(result('made_room'), 1)
})

t.test('one client has so many connections and no more, over all ports together', async (t) => {
  const { all, result, lines, traffic } = await start(t, { 'limits.connectionsPerClient': 4 })
  const held = await Promise.all([connectRaw(t, all.http), openTls(t, all.https), connectRaw(t, all.l4)])
  const l7 = connect({ port: all.l7, host: '127.0.0.5', localAddress: '127.0.0.1' })
  t.teardown(() => l7.destroy())
  l7.write(UPLOAD)
  await until(() => traffic.inFlight === 1)
  for (const port of [all.http, all.https, all.l4]) t.equal(await refusal(t, port), 'ECONNRESET')
  t.equal(await refusal(t, all.l7, '127.0.0.1', '127.0.0.5'), 'ECONNRESET')
  t.equal(result('refused_client'), 4)
  const reports = lines.filter(({ msg }) => msg === 'connections refused: limits.connectionsPerClient is reached')
  t.match(reports, [{ listener: 'http', peer: '127.0.0.1' }, { listener: 'https' }, {}, {}])

  const other = connect({ port: all.http, host: '127.0.0.1', localAddress: '127.0.0.2' })
  t.teardown(() => other.destroy())
  other.write(GET)
  t.match(String((await once(other, 'data'))[0]), /^HTTP\/1\.1 200 /)

  const [first] = held
  first.socket.destroy()
  await sleep(50)
  const next = await openPlain(t, all)
  await next.ask()
})

t.test('who has too many connections drives nobody out', async (t) => {
  const { all, result } = await start(t, { 'limits.connections': 2, 'limits.connectionsPerClient': 1 })
  const socket = connect({ port: all.http, host: '127.0.0.1', localAddress: '127.0.0.2' })
  t.teardown(() => socket.destroy())
  const idle = keep(new RawClient(socket))
  await idle.ask()
  const busy = await connectRaw(t, all.http)
  busy.socket.write(UPLOAD)
  await sleep(APART_MS)
  for (let count = 0; count < 5; count++) t.equal(await refusal(t, all.http), 'ECONNRESET')
  t.equal(result('refused_client'), 5)
  t.equal(result('made_room'), 0)
  t.ok(idle.isOpen())
})

t.test('trusted proxies are not counted, and a PROXY header says who is', async (t) => {
  const { all, result } = await start(t, {
    'limits.connectionsPerClient': 2,
    trustedProxies: ['127.0.0.1/32'],
    'https.proxyProtocol': 'required',
  })
  for (let count = 0; count < 5; count++) await connectRaw(t, all.http)
  const open: Socket[] = []
  const bring = async (source: string): Promise<unknown> => {
    const family = source.includes(':') ? 'TCP6' : 'TCP4'
    const socket = connect(all.https, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.write(`PROXY ${family} ${source} ${family === 'TCP6' ? '::1' : '192.0.2.9'} 40000 443\r\n`)
    // Answered in clear, so that it is seen that the connection was taken.
    socket.write('GET / HTTP/1.1\r\n\r\n')
    socket.pause()
    open.push(socket)
    const [outcome] = await Promise.race([once(socket, 'error'), once(socket, 'readable')])
    return outcome?.code ?? 'taken'
  }
  t.same(await Promise.all(['192.0.2.1', '192.0.2.1'].map(bring)), ['taken', 'taken'])
  t.equal(await bring('192.0.2.1'), 'ECONNRESET')
  t.equal(await bring('192.0.2.2'), 'taken')
  t.equal(await bring('2001:db8::1'), 'taken')
  t.equal(await bring('2001:db8::2:3:4:5'), 'taken')
  t.equal(await bring('2001:db8::ffff:0:0:1'), 'ECONNRESET', 'a client of IPv6 has its /64')
  t.equal(await bring('2001:db8:0:1::1'), 'taken')
  t.equal(result('refused_client'), 2)
})

t.test('a client that a PROXY header names gets another connection in place of its own idle one', async (t) => {
  const { all, result } = await start(t, {
    'limits.connectionsPerClient': 1,
    trustedProxies: ['127.0.0.1/32'],
    'http.proxyProtocol': 'required',
  })
  const bring = async (source: string): Promise<RawClient> => {
    const client = await connectRaw(t, all.http)
    client.socket.write(`PROXY TCP4 ${source} 192.0.2.9 40000 80\r\n${GET}`)
    await client.until(/\r\n\r\n/)
    return client
  }
  const [one, other] = [await bring('192.0.2.1'), await bring('192.0.2.2')]
  await sleep(APART_MS)
  const next = await bring('192.0.2.2')
  await other.closed
  t.same(
    [one, next].map(({ socket }) => socket.destroyed),
    [false, false],
  )
  t.same([result('made_room'), result('refused_client')], [1, 0])
})

t.test('no connection is counted as closed that is not: one whose pipelined requests wait is not idle', async (t) => {
  const { all, result } = await start(t, { 'limits.connections': 8, 'limits.connectionsPerClient': 1000 })
  const pipelined = GET.repeat(200)
  const busy = await Promise.all(Array.from({ length: 8 }, () => connectRaw(t, all.http)))
  const isOpen = ({ socket }: RawClient) => !socket.destroyed && !socket.readableEnded
  const pump = setInterval(() => {
    for (const client of busy) if (isOpen(client) && client.socket.writableLength === 0) client.socket.write(pipelined)
  }, 1)
  t.teardown(() => clearInterval(pump))
  for (let n = 0; n < 50; n++) {
    const socket = connect(all.http, '127.0.0.1').on('error', () => {})
    t.teardown(() => socket.destroy())
    socket.write('GET /')
    await sleep(5)
  }
  clearInterval(pump)
  await sleep(50)
  t.equal(busy.filter((client) => !isOpen(client)).length, result('made_room'))
})
