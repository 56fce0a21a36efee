/** UDP ports of Services over real sockets: sessions, their ends, and what bounds them. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'

async function bind(t: Test, address = '127.0.0.1', port = 0): Promise<Socket & { port: number }> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  let isOpen = true
  socket.on('close', () => {
    isOpen = false
  })
  socket.bind(port, address)
  await once(socket, 'listening')
  t.teardown(() => isOpen && socket.close())
  return Object.assign(socket, { port: socket.address().port })
}

/** Answers `name:` and what it got, and keeps who asked. */
async function startEcho(t: Test, name: string, port = 0) {
  const socket = await bind(t, '127.0.0.1', port)
  const peers: number[] = []
  socket.on('message', (datagram, from: RemoteInfo) => {
    peers.push(from.port)
    socket.send(`${name}:${datagram}`, from.port, from.address)
  })
  return { socket, peers, port: socket.port }
}

async function ask(client: Socket, port: number, text: string, address = '127.0.0.1'): Promise<string> {
  client.send(text, port, address)
  const [answer, from] = (await once(client, 'message')) as [Buffer, RemoteInfo]
  return from.port === port && from.address === address ? String(answer) : `from ${from.address}:${from.port}`
}

const UDP = { to: 'dns', port: 0, transport: 'UDP' } as const
const LABEL = 'NodePort default/dns:80/UDP 127.0.0.1:0'

/** A clock that a test moves on. */
function makeClock() {
  const clock = { time: 1_000_000, now: () => clock.time, monotonic: () => clock.time }
  return clock
}

t.test('the datagrams of a client go to one endpoint, and the answers come from the port', async (t) => {
  const [one, two] = [await startEcho(t, 'one'), await startEcho(t, 'two')]
  const { port, traffic, counts } = await startTraffic(t, {
    upstreams: { dns: [one.port, two.port] },
    listeners: [UDP],
  })
  const [anna, bert] = [await bind(t), await bind(t)]
  const first = await ask(anna, port, 'a')
  const second = await ask(bert, port, 'b')
  t.same([first, second].sort(), ['one:a', 'two:b'])
  for (let index = 0; index < 5; index++) {
    t.equal(await ask(anna, port, `${index}`), first.replace('a', `${index}`))
    t.equal(await ask(bert, port, `${index}`), second.replace('b', `${index}`))
  }
  t.equal(new Set(one.peers).size, 1)
  t.equal(new Set(two.peers).size, 1)
  t.same([...traffic.connections()], [[LABEL, 2]])
  t.equal(traffic.inFlight, 0, 'nobody waits for sessions at the end')
  t.same(
    [...traffic.endpoints()].map(({ requests, inFlight }) => [requests, inFlight]),
    [
      [1, 1],
      [1, 1],
    ],
  )
  t.same([...counts.connections], [[LABEL, new Map([['served', 2]])]])
})

t.test('balancers see the sessions of each endpoint as they begin and end', async (t) => {
  const echoes = [await startEcho(t, 'one'), await startEcho(t, 'two')]
  const clock = makeClock()
  const { port, traffic } = await startTraffic(
    t,
    { upstreams: { dns: echoes.map((each) => each.port) }, listeners: [UDP] },
    { 'upstream.balancer': 'least-requests', 'timeouts.datagramIdle': 60_000 },
    { clock },
  )
  const counts = () => [...traffic.endpoints()].map(({ inFlight }) => inFlight)
  const first: Record<string, Socket[]> = { one: [], two: [] }
  for (let index = 0; index < 6; index++) {
    const client = await bind(t)
    first[(await ask(client, port, 'a')).slice(0, 3)]!.push(client)
  }
  t.same(counts(), [3, 3])
  clock.time += 50_000
  for (const client of first.one!) await ask(client, port, 'b')
  clock.time += 20_000
  await until(() => traffic.connections().get(LABEL) === 3)
  for (let index = 0; index < 3; index++) t.equal(await ask(await bind(t), port, 'c'), 'two:c')
  t.same(counts(), [3, 3])
})

t.test('datagrams of any size pass, empty ones too', async (t) => {
  const echo = await startEcho(t, '')
  const { port } = await startTraffic(t, { upstreams: { dns: [echo.port] }, listeners: [UDP] })
  const client = await bind(t)
  t.equal(await ask(client, port, ''), ':')
  const large = 'x'.repeat(60_000)
  t.equal(await ask(client, port, large), `:${large}`)
})

t.test('a session ends when nothing comes or goes for timeouts.datagramIdle', async (t) => {
  const echo = await startEcho(t, 'echo')
  const clock = makeClock()
  const words = { upstreams: { dns: [echo.port] }, listeners: [UDP] }
  const { port, traffic } = await startTraffic(t, words, { 'timeouts.datagramIdle': 60_000 }, { clock })
  const client = await bind(t)
  const sessions = () => traffic.connections().get(LABEL)
  await ask(client, port, 'a')
  t.equal(sessions(), 1)
  clock.time += 59_000
  await ask(client, port, 'b')
  clock.time += 59_000
  await ask(client, port, 'c')
  t.equal(new Set(echo.peers).size, 1, 'both are the same session')
  clock.time += 61_000
  await until(() => sessions() === 0)
  await ask(client, port, 'd')
  t.equal(new Set(echo.peers).size, 2)
})

t.test('a Service can have another datagramIdle than all', async (t) => {
  const echo = await startEcho(t, 'echo')
  for (const [own, left] of [
    [0, 0],
    [30_000, 0],
    [90_000, 1],
  ]) {
    const clock = makeClock()
    const dns = { endpoints: [echo.port], transport: 'UDP' as const, policy: { 'timeouts.datagramIdle': own } }
    const words = { upstreams: { dns }, listeners: [UDP] }
    const { port, traffic } = await startTraffic(t, words, { 'timeouts.datagramIdle': 60_000 }, { clock })
    await ask(await bind(t), port, 'a')
    clock.time += 61_000
    await until(() => traffic.connections().get(LABEL) === left)
    if (left === 0) continue
    clock.time += 30_000
    await until(() => traffic.connections().get(LABEL) === 0)
  }
})

t.test('sessions are no connections: upstream.maxConnections is not for them, upstream.maxRequests is', async (t) => {
  const echo = await startEcho(t, 'echo')
  const words = { upstreams: { dns: { endpoints: [echo.port], transport: 'UDP' as const } }, listeners: [UDP] }
  const { port } = await startTraffic(t, words, { 'upstream.maxConnections': 1 })
  for (const client of [await bind(t), await bind(t)]) t.equal(await ask(client, port, ''), 'echo:')
  const limited = await startTraffic(t, words, { 'upstream.maxRequests': 1 })
  t.equal(await ask(await bind(t), limited.port, ''), 'echo:')
  ;(await bind(t)).send('', limited.port, '127.0.0.1')
  await until(() => limited.result('failed') === 1)
})

t.test('where the fewest are under way, sessions count: a new one goes where one has ended', async (t) => {
  const names = ['one', 'two', 'three']
  const echoes = await Promise.all(names.map((name) => startEcho(t, name)))
  const clock = makeClock()
  const { port, traffic } = await startTraffic(
    t,
    { upstreams: { dns: echoes.map((echo) => echo.port) }, listeners: [UDP] },
    { 'timeouts.datagramIdle': 60_000, 'upstream.balancer': 'least-requests' },
    { clock },
  )
  const clients = await Promise.all(names.map(() => bind(t)))
  const places: string[] = []
  for (const client of clients) places.push(await ask(client, port, ''))
  t.same([...places].sort(), ['one:', 'three:', 'two:'])
  for (const at of [2, 1, 0]) {
    clock.time += 59_000
    for (const [index, client] of clients.entries()) if (index !== at) await ask(client, port, '')
    clock.time += 2_000
    await until(() => traffic.connections().get(LABEL) === 2)
    t.equal(await ask(clients[at]!, port, ''), places[at], 'the only one with room')
  }
})

t.test('an endpoint where nobody listens ends the session; the next datagram goes elsewhere', async (t) => {
  const gone = await startEcho(t, 'gone')
  const echo = await startEcho(t, 'echo')
  gone.socket.close()
  const { port, traffic } = await startTraffic(t, {
    upstreams: { dns: [gone.port, echo.port] },
    listeners: [UDP],
  })
  const clients = await Promise.all(Array.from({ length: 6 }, () => bind(t)))
  for (const client of clients) {
    let answer: string | undefined
    client.on('message', (datagram) => {
      answer = String(datagram)
    })
    while (answer === undefined) {
      client.send('hello', port, '127.0.0.1')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    t.equal(answer, 'echo:hello')
  }
  const refusing = [...traffic.endpoints()].find(({ identity }) => identity.port === gone.port)
  t.match(refusing, { requests: 1, failures: 1, inFlight: 0 }, 'who refused is avoided for a while')
  t.equal(traffic.connections().get(LABEL), 6)
})

t.test('sessions of an endpoint that is gone from the upstream end; the others stay', async (t) => {
  const [one, two] = [await startEcho(t, 'one'), await startEcho(t, 'two')]
  const { port, load } = await startTraffic(t, { upstreams: { dns: [one.port, two.port] }, listeners: [UDP] })
  const clients = [await bind(t), await bind(t)]
  for (const client of clients) await ask(client, port, 'a')
  await load({ upstreams: { dns: [two.port] }, listeners: [UDP] })
  for (const client of clients) t.equal(await ask(client, port, 'b'), 'two:b')
  t.equal(new Set(one.peers).size, 1)
  t.equal(new Set(two.peers).size, 2)
  t.equal(two.peers.filter((peer) => peer === two.peers[0]).length, 2, 'its session went on')
})

t.test('who is not in the source ranges has no session', async (t) => {
  const echo = await startEcho(t, 'echo')
  const { port, result } = await startTraffic(t, {
    upstreams: { dns: [echo.port] },
    listeners: [{ ...UDP, sourceRanges: ['127.0.0.2'] }],
  })
  const [stranger, friend] = [await bind(t), await bind(t, '127.0.0.2')]
  stranger.send('hello', port, '127.0.0.1')
  await until(() => result('refused_source') === 1)
  t.equal(await ask(friend, port, 'hello'), 'echo:hello')
  t.equal(echo.peers.length, 1)
})

t.test('beyond limits.datagramSessions datagrams of new clients are dropped, over all ports', async (t) => {
  const echo = await startEcho(t, 'echo')
  const clock = makeClock()
  const { ports, result, lines } = await startTraffic(
    t,
    { upstreams: { dns: [echo.port] }, listeners: [UDP, { ...UDP, address: '127.0.0.3' }] },
    { 'limits.datagramSessions': 2 },
    { clock },
  )
  const port = ports['UDP 127.0.0.1:0'] ?? 0
  const other = ports['UDP 127.0.0.3:0'] ?? 0
  const [anna, bert, carl] = [await bind(t), await bind(t), await bind(t)]
  await ask(anna, port, 'a')
  await ask(bert, other, 'b', '127.0.0.3')
  carl.send('c', port, '127.0.0.1')
  await until(() => result('dropped') === 1)
  t.equal(await ask(anna, port, 'a'), 'echo:a', 'those that are there stay')
  t.match(
    lines.find(({ level }) => level === 40),
    { msg: /limits\.datagramSessions is reached/ },
  )
  clock.time += 60_000
  await until(() => result('served') === 2)
  let answer: Buffer | undefined
  carl.on('message', (datagram) => {
    answer = datagram
  })
  while (answer === undefined) {
    carl.send('c', port, '127.0.0.1')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  t.equal(String(answer), 'echo:c')
})

t.test('a port of every address takes IPv4 and IPv6', async (t) => {
  const echo = await startEcho(t, 'echo')
  const { port } = await startTraffic(t, {
    upstreams: { dns: [echo.port] },
    listeners: [{ ...UDP, address: '::', sourceRanges: ['127.0.0.0/8', '::1'] }],
  })
  t.equal(await ask(await bind(t), port, 'four'), 'echo:four')
  t.equal(await ask(await bind(t, '::1'), port, 'six', '::1'), 'echo:six')
})

t.test('a port that is given up is free, and its sessions are over', async (t) => {
  const echo = await startEcho(t, 'echo')
  const { port, traffic } = await startTraffic(t, { upstreams: { dns: [echo.port] }, listeners: [UDP] })
  await ask(await bind(t), port, 'a')
  traffic.unlisten('UDP 127.0.0.1:0')
  t.equal([...traffic.endpoints()][0]?.inFlight, 0)
  t.equal((await bind(t, '127.0.0.1', port)).port, port)
})

t.test('a port that is given up while it is opened is not opened', async (t) => {
  const { traffic } = await startTraffic(t, { upstreams: { dns: [] }, listeners: [UDP, { ...UDP, transport: 'TCP' }] })
  for (const place of ['UDP 127.0.0.1:0', 'TCP 127.0.0.1:0']) {
    traffic.unlisten(place)
    const opening = traffic.listen(place)
    traffic.unlisten(place)
    await t.rejects(opening, { message: 'closed while it was opened' })
    t.same([...traffic.connections()], place.startsWith('UDP') ? [['NodePort default/dns:80/TCP 127.0.0.1:0', 0]] : [])
    await traffic.listen(place)
    traffic.unlisten(place)
  }
})

t.test('without an endpoint nothing is said, and it is counted', async (t) => {
  const { port, result } = await startTraffic(t, { upstreams: { dns: [] }, listeners: [UDP] })
  const client = await bind(t)
  client.send('hello', port, '127.0.0.1')
  await until(() => result('failed') === 1)
  t.equal(result('served'), 0)
})

t.test('at a drain sessions go on, and none begins', async (t) => {
  const echo = await startEcho(t, 'echo')
  const { port, traffic, result } = await startTraffic(t, { upstreams: { dns: [echo.port] }, listeners: [UDP] })
  const [anna, bert] = [await bind(t), await bind(t)]
  await ask(anna, port, 'a')
  traffic.drain()
  bert.send('b', port, '127.0.0.1')
  t.equal(await ask(anna, port, 'a'), 'echo:a')
  t.equal(result('served'), 1)
})

t.test('a port in use says so', async (t) => {
  const other = await bind(t)
  const listener = { ...UDP, port: other.port }
  await t.rejects(startTraffic(t, { upstreams: { dns: [1] }, listeners: [listener] }), { code: 'EADDRINUSE' })
})
