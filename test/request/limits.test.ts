/** How many requests an upstream and its endpoints get at once, who waits, and who is refused; over real sockets. */
import t, { type Test } from 'tap'
import { type FaultyUpstream, startFaultyUpstream } from '../helpers/faulty-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { type ProxyServer, startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, type RawClient, requestRaw } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'
import { until } from '../helpers/until.ts'

const get = (path = '/') => `GET ${path} HTTP/1.1\r\nHost: gw.test\r\n\r\n`
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Sends on a connection of its own and waits until the gateway has it. */
async function sendOne(t: Test, server: ProxyServer, bytes: string): Promise<RawClient> {
  const before = server.proxy.inFlight
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  client.send(bytes)
  await until(() => server.proxy.inFlight !== before)
  return client
}

function checkIdle(t: Test, server: ProxyServer): void {
  t.equal(server.proxy.inFlight, 0)
  for (const state of server.registry.states()) t.equal(state.inFlight, 0, `none at ${state.label}`)
}

t.test('an endpoint never has more requests than it may, whatever comes', async (t) => {
  const upstreams: FaultyUpstream[] = []
  const start = async () => {
    const upstream = await startFaultyUpstream(t, async () => {
      // None answers before all have as many as they may, however slowly the clients come.
      do await new Promise((resolve) => setTimeout(resolve, 3))
      while (upstreams.some(({ peak }) => peak < 3))
      return 'ok' as const
    })
    upstreams.push(upstream)
    return upstream
  }
  const [a, b] = [await start(), await start()]
  const settings = { 'upstream.maxRequests': 3, 'upstream.queueTimeout': 60_000 }
  const server = await startProxy(t, [a.port, b.port], { settings })
  const answers = await Promise.all(Array.from({ length: 200 }, () => requestRaw(server.port, get())))
  t.ok(answers.every(({ status }) => status === 200))
  t.equal(a.peak, 3)
  t.equal(b.peak, 3)
  t.equal(a.heads + b.heads, 200)
  checkIdle(t, server)
})

t.test('one queue for all endpoints: the first that came is the first that goes, wherever there is room', async (t) => {
  const [a, b] = [await startRawUpstream(() => {}), await startRawUpstream(() => {})]
  t.teardown(() => Promise.all([a.close(), b.close()]))
  const server = await startProxy(t, [a.port, b.port], { settings: { 'upstream.maxRequests': 1 } })
  const clients: RawClient[] = []
  for (let n = 0; n < 7; n++) clients.push(await sendOne(t, server, get(`/${n}`)))
  const first = await a.connection(0)
  await first.head()
  await (await b.connection(0)).head()
  // The one endpoint answers nothing more: the other serves all.
  for (let n = 2; n < 7; n++) {
    first.send(OK)
    t.match(await first.head(n), new RegExp(`GET /${n} HTTP/1.1(?![\\s\\S]*GET)`), `${n} goes next`)
  }
  first.send(OK)
  for (const n of [0, 2, 3, 4, 5, 6]) t.equal((await clients[n]!.response()).status, 200, `${n}`)
  t.equal(first.text.split('GET').length - 1, 6)
  clients[1]!.destroy()
})

t.test('a request that waits goes to an endpoint that came meanwhile, under its own policy', async (t) => {
  const [gone, come] = [await startRawUpstream(() => {}), await startRawUpstream(() => {})]
  t.teardown(() => Promise.all([gone.close(), come.close()]))
  const limits = { 'upstream.maxRequests': 1, 'upstream.queueTimeout': 60_000 }
  const server = await startProxy(t, [gone.port], { settings: { ...limits, 'upstream.tries': 1 } })
  const holder = await sendOne(t, server, get('/holder'))
  await (await gone.connection(0)).head()
  const waiting = await sendOne(t, server, get('/waiting'))
  server.load({ upstreams: { web: [come.port] }, routes: [{ to: 'web' }] }, { ...limits, 'upstream.tries': 3 })
  const connection = await come.connection(0)
  t.match(await connection.head(), /GET \/waiting /, 'no place became free at the endpoint that is gone')
  connection.socket.destroy()
  t.equal((await waiting.response()).status, 502)
  t.match(await server.record(), { status: 502, tries: 1 }, 'the newer snapshot would try again')
  const held = await gone.connection(0)
  held.send(OK)
  t.equal((await holder.response()).status, 200)
  checkIdle(t, server)
})

t.test('who waits for an endpoint of its own holds up nobody who takes any', async (t) => {
  const [a, b] = [await startRawUpstream(() => {}), await startRawUpstream(() => {})]
  t.teardown(() => Promise.all([a.close(), b.close()]))
  const settings = {
    'upstream.maxRequests': 1,
    'upstream.queueTimeout': 60_000,
    'upstream.affinity.type': 'cookie',
    'upstream.affinity.onDead': 'refuse',
  }
  const server = await startProxy(t, [a.port, b.port], { settings })
  const first = await sendOne(t, server, get('/first'))
  const own = [a, b].find(({ connections }) => connections.length > 0) ?? a
  const served = await own.connection(0)
  await served.head()
  served.send(OK)
  const cookie = (await first.response()).header('set-cookie')!.split(';')[0]!
  const held = `GET /held HTTP/1.1\r\nHost: gw.test\r\nCookie: ${cookie}\r\n\r\n`
  const clients = [await sendOne(t, server, held), await sendOne(t, server, held)]
  const other = await sendOne(t, server, get('/other'))
  const free = await (own === a ? b : a).connection(0)
  t.match(await free.head(), /GET \/other /, 'it goes where there is room')
  const late = await sendOne(t, server, get('/late'))
  free.send(OK)
  t.match(await free.head(2), /GET \/late /, 'and so does who had to wait')
  free.send(OK)
  t.equal((await other.response()).status, 200)
  t.equal((await late.response()).status, 200)
  await served.head(2)
  served.send(OK)
  await served.head(3)
  served.send(OK)
  for (const client of clients) t.equal((await client.response()).status, 200)
  checkIdle(t, server)
})

t.test('a full queue is refused with the time that it may take', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'hang')
  const settings = { 'upstream.maxRequests': 1, 'upstream.maxQueue': 2, 'upstream.queueTimeout': 60_000 }
  const server = await startProxy(t, [upstream.port], { settings })
  for (let n = 0; n < 3; n++) await sendOne(t, server, get())
  const refused = await requestRaw(server.port, get())
  t.equal(refused.status, 503)
  t.equal(JSON.parse(refused.body.toString()).code, 'PORTICO_UP_OVERLOADED')
  t.equal(refused.header('retry-after'), '1')
  const record = await server.record()
  t.match(record, { error: 'PORTICO_UP_OVERLOADED', detail: '2 requests wait already', tries: 0 })
  const session = connectH2(t, server.h2Port)
  t.match(
    await requestH2(session, { ':path': '/' }),
    { status: 503, headers: { 'retry-after': '1' } },
    'over HTTP/2 alike',
  )
})

t.test('without a queue whoever comes to full endpoints is refused at once', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'hang')
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.maxConnections': 1, 'upstream.maxQueue': 0 },
  })
  await sendOne(t, server, get())
  t.equal((await requestRaw(server.port, get())).status, 503)
  upstream.release()
})

t.test('who waits too long is refused', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'hang')
  const settings = { 'upstream.maxRequests': 1, 'upstream.queueTimeout': 1_200 }
  const server = await startProxy(t, [upstream.port], { settings })
  await sendOne(t, server, get())
  const refused = await requestRaw(server.port, get())
  t.equal(refused.status, 503)
  t.equal(refused.header('retry-after'), '2')
  t.match(await server.record(), { error: 'PORTICO_UP_OVERLOADED', detail: /no endpoint had room within 1200 ms/ })
  t.equal(upstream.heads, 1)
})

t.test('a client that goes leaves its place at once', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const settings = { 'upstream.maxRequests': 1, 'upstream.maxQueue': 1, 'upstream.queueTimeout': 10_000 }
  const server = await startProxy(t, [upstream.port], { settings })
  const holder = await sendOne(t, server, get('/holder'))
  const gone = await sendOne(t, server, get('/gone'))
  t.equal((await requestRaw(server.port, get())).status, 503)
  await server.record()
  gone.destroy()
  t.match(await server.record(), { status: 499, tries: 0 })
  const next = await sendOne(t, server, get('/next'))
  const connection = await upstream.connection(0)
  connection.send(OK)
  t.equal((await holder.response()).status, 200)
  t.match(await connection.head(2), /GET \/next/)
  connection.send(OK)
  t.equal((await next.response()).status, 200)
  t.notMatch(connection.text, /gone/)
})

t.test('the body of who waits is not read before its turn', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], { settings: { 'upstream.maxRequests': 1 } })
  const holder = await sendOne(t, server, get())
  const client = await sendOne(
    t,
    server,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n',
  )
  const connection = await upstream.connection(0)
  connection.send(OK)
  t.equal((await holder.response()).status, 200)
  t.equal((await client.response()).status, 100, 'and it is asked for then')
  client.send('abc')
  await connection.until((text) => text.endsWith('abc'))
  connection.send(OK)
  t.equal((await client.response()).status, 200)
})

t.test('a reload loses nobody who waits, and gives them what came', async (t) => {
  const [old, fresh] = [await startFaultyUpstream(t, () => 'hang'), await startFaultyUpstream(t, () => 'ok')]
  const words = (ports: number[]) => ({ upstreams: { web: ports }, routes: [{ to: 'web' }] })
  const server = await startProxy(t, words([old.port]), { settings: { 'upstream.maxRequests': 1 } })
  const holder = await sendOne(t, server, get())
  const waiting = [await sendOne(t, server, get()), await sendOne(t, server, get())]
  server.load(words([fresh.port]))
  for (const client of waiting) t.equal((await client.response()).status, 200)
  t.equal(old.heads, 1)
  t.equal(fresh.heads, 2)
  old.release()
  t.equal((await holder.response()).status, 200, 'what was under way ends where it was')
})

t.test('a higher limit is for those who wait already', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'hang')
  const words = { upstreams: { web: [upstream.port] }, routes: [{ to: 'web' }] }
  const server = await startProxy(t, words, { settings: { 'upstream.maxRequests': 1 } })
  for (let n = 0; n < 4; n++) await sendOne(t, server, get())
  t.equal(upstream.heads, 1)
  server.load(words, { 'upstream.maxRequests': 3 })
  await upstream.until(({ heads }) => heads === 3)
  upstream.release()
  await upstream.until(({ heads }) => heads === 4)
  t.equal(upstream.peak, 3)
})

t.test('a retry passes over endpoints that are full', async (t) => {
  const busy = await startFaultyUpstream(t, () => 'hang')
  const failing = await startFaultyUpstream(t, (_request, index) => (index === 0 ? 'reset' : 'ok'))
  const settings = { 'upstream.maxRequests': 1, 'upstream.retry.backoff': 1 }
  const server = await startProxy(t, [busy.port, failing.port], { settings })
  await sendOne(t, server, get())
  await busy.until(({ heads }) => heads === 1)
  t.equal((await requestRaw(server.port, get())).status, 200)
  t.equal(failing.heads, 2)
})

t.test('a tunnel counts for as long as it is open', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.maxRequests': 1, 'upstream.maxQueue': 1 },
  })
  const KEY = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n'
  const tunnel = await sendOne(
    t,
    server,
    `GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n`,
  )
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
  t.equal((await tunnel.response({ headOnly: true })).status, 101)
  const waiting = await sendOne(t, server, get())
  tunnel.end()
  connection.socket.end()
  await (await upstream.connection(1)).head()
  upstream.connections[1]!.send(OK)
  t.equal((await waiting.response()).status, 200)
})

t.test('an open circuit answers at once and leaves the endpoints alone; good answers close it', async (t) => {
  let isBroken = true
  const upstream = await startFaultyUpstream(t, () => (isBroken ? 503 : 'ok'))
  const settings = {
    'upstream.tries': 1,
    'upstream.circuit.errorRate': 50,
    'upstream.circuit.minimumRequests': 4,
    'upstream.circuit.openTime': 2_000,
  }
  const server = await startProxy(t, [upstream.port], { settings })
  for (let n = 0; n < 4; n++) t.equal((await requestRaw(server.port, get())).body.toString(), '503')
  for (let n = 0; n < 5; n++) {
    const refused = await requestRaw(server.port, get())
    t.equal(refused.status, 503)
    t.equal(JSON.parse(refused.body.toString()).code, 'PORTICO_UP_CIRCUIT_OPEN')
    t.match(refused.header('retry-after'), /^[12]$/)
  }
  t.equal(upstream.heads, 4)
  t.same([...server.registry.circuits()], [['default/web:80', 'open']])
  isBroken = false
  const askUntilAnswered = async () => {
    while ((await requestRaw(server.port, get())).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await askUntilAnswered()
  t.equal(upstream.heads, 5)
  for (let n = 0; n < 2; n++) {
    t.same([...server.registry.circuits()], [['default/web:80', 'half-open']])
    t.equal((await requestRaw(server.port, get())).status, 200)
  }
  t.same([...server.registry.circuits()], [])
  checkIdle(t, server)
})

t.test('the circuit sees resets and refused connections, and stops further tries', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'reset')
  const settings = {
    'upstream.tries': 10,
    'upstream.retry.backoff': 1,
    'upstream.circuit.errorRate': 100,
    'upstream.circuit.minimumRequests': 3,
  }
  const server = await startProxy(t, [upstream.port], { settings })
  const response = await requestRaw(server.port, get())
  t.equal(response.status, 503)
  t.equal(upstream.heads, 3)
  t.match(await server.record(), { error: 'PORTICO_UP_CIRCUIT_OPEN', detail: /ECONNRESET; .*circuit is open/ })
  checkIdle(t, server)
})

t.test('a half-open circuit keeps its place for the next where a client goes away', async (t) => {
  let answer: 'reset' | 'hang' | 'ok' = 'reset'
  const upstream = await startFaultyUpstream(t, () => answer)
  const settings = {
    'upstream.tries': 1,
    'upstream.circuit.errorRate': 50,
    'upstream.circuit.minimumRequests': 1,
    'upstream.circuit.openTime': 2_000,
  }
  const server = await startProxy(t, [upstream.port], { settings })
  t.equal((await requestRaw(server.port, get())).status, 502)
  answer = 'hang'
  await new Promise((resolve) => setTimeout(resolve, 2_100))
  const probes = [await sendOne(t, server, get()), await sendOne(t, server, get()), await sendOne(t, server, get())]
  await upstream.until(({ heads }) => heads === 4)
  t.equal((await requestRaw(server.port, get())).status, 503)
  for (const probe of probes) probe.destroy()
  await until(() => server.proxy.inFlight === 0)
  answer = 'ok'
  for (let n = 0; n < 3; n++) t.equal((await requestRaw(server.port, get())).status, 200)
  t.same([...server.registry.circuits()], [])
})
