import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/clock.ts'
import { DeadlineWatch } from '../../../lib/base/deadline.ts'
import type { Connection } from '../../../lib/upstream/transport/connection.ts'
import { ConnectionPool } from '../../../lib/upstream/transport/connection-pool.ts'
import { IdlePrivates, PrivateConnections } from '../../../lib/upstream/transport/private-connections.ts'
import { answerWith, type RawConnection, startRawUpstream } from '../../helpers/raw-upstream.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { until } from '../../helpers/until.ts'
import { openEndpoint, send } from './exchange.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Answers the first request of each connection when told. */
async function startWaiting(t: Test) {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  return upstream
}

/** The bare pool of one connection. */
function openPool(port: number, idlePrivates: IdlePrivates = new IdlePrivates()) {
  const settings = makeSettings({ 'upstream.maxConnections': 1 })
  const surroundings = {
    settings: () => settings,
    policy: () => settings.upstream,
    clock: systemClock,
    watch: new DeadlineWatch(systemClock),
    idlePrivates,
  }
  return new ConnectionPool({ address: '127.0.0.1', port, tls: undefined }, surroundings, undefined as never)
}

t.test('the connection used last is used next, so that the others may go', async (t) => {
  const upstream = await startWaiting(t)
  const endpoint = openEndpoint(t, upstream.port, { settings: { 'timeouts.upstreamKeepAlive': 300 } })
  const sent = [send(endpoint), send(endpoint), send(endpoint)]
  for (const n of [0, 1, 2]) await (await upstream.connection(n)).head()
  for (const connection of upstream.connections) {
    connection.send(OK)
    await Promise.race(sent.filter(({ trailers }) => trailers === undefined).map((each) => each.over()))
    await turn()
  }
  const last = upstream.connections[2]!
  let ended = 0
  for (const connection of upstream.connections) void connection.ended().then(() => ended++)
  for (let n = 2; ended < 2; n++) {
    const again = send(endpoint)
    await last.head(n)
    last.send(OK)
    t.equal((await again.over()).error, undefined)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  t.equal(last.hasEnded, false)
  t.equal(endpoint.connections, 1)
  await last.ended()
  t.equal(upstream.connections.length, 3)
  await until(() => endpoint.connections === 0)
})

t.test('an idle connection that the endpoint ends or resets is let go', async (t) => {
  for (const part of [
    (connection: RawConnection) => connection.socket.end(),
    (connection: RawConnection) => connection.socket.resetAndDestroy(),
  ]) {
    const upstream = await startRawUpstream(answerWith(OK))
    t.teardown(() => upstream.close())
    const endpoint = openEndpoint(t, upstream.port)
    await send(endpoint).over()
    await turn()
    t.equal(endpoint.connections, 1)
    part(upstream.connections[0]!)
    await until(() => endpoint.connections === 0)
    t.equal(endpoint.isIdle, true)
    t.equal((await send(endpoint).over()).body, 'ok')
  }
})

t.test('many idle connections go at once, and none is lost count of', async (t) => {
  const upstream = await startWaiting(t)
  const endpoint = openEndpoint(t, upstream.port)
  const sent = Array.from({ length: 300 }, () => send(endpoint))
  for (const n of sent.keys()) (await upstream.connection(n)).send(OK)
  await Promise.all(sent.map((each) => each.over()))
  t.equal(endpoint.connections, 300)
  t.equal(endpoint.isIdle, true)
  await turn()
  for (const [n, { socket }] of upstream.connections.entries()) if (n % 3 !== 0) socket.destroy()
  await until(() => endpoint.connections <= 100)
  t.equal(endpoint.connections, 100)
  t.equal(endpoint.isIdle, true)
  const again = send(endpoint)
  await again.until(({ connection }) => connection !== undefined)
  t.equal(again.connection!.uses, 1)
  endpoint.close()
  await until(() => endpoint.connections <= 1)
  t.equal(again.error, undefined, 'a leased one ends with its request')
})

t.test('beyond the limit requests wait in order, for a while', async (t) => {
  const upstream = await startWaiting(t)
  const settings = { 'upstream.maxConnections': 1, 'timeouts.connect': 5_000 }
  const endpoint = openEndpoint(t, upstream.port, { settings })
  const sent = ['a', 'b', 'c'].map((name) => send(endpoint, { target: `/${name}` }))
  const connection = await upstream.connection(0)
  for (const n of [0, 1, 2]) {
    await connection.head(n + 1)
    connection.send(OK)
    await sent[n]!.over()
  }
  t.match(connection.text, /GET \/a .*GET \/b .*GET \/c /s)
  t.equal(upstream.connections.length, 1)
})

t.test('a place that becomes free lets the next one connect', async (t) => {
  const upstream = await startWaiting(t)
  const endpoint = openEndpoint(t, upstream.port, { settings: { 'upstream.maxConnections': 1 } })
  const first = send(endpoint)
  const gone = send(endpoint)
  const second = send(endpoint)
  gone.cancelled = true
  await (await upstream.connection(0)).head()
  first.call!.abort()
  const connection = await upstream.connection(1)
  await connection.head()
  connection.send(OK)
  t.equal((await second.over()).body, 'ok')
  t.equal(gone.connection, undefined, 'who does not wait any more is passed over')
})

t.test('those who do not wait any more are let go where many wait', async (t) => {
  const upstream = await startWaiting(t)
  const pool = openPool(upstream.port)
  const ask = () => {
    const waiter = { cancelled: false, onConnection: () => {}, onConnectionError: () => {} }
    pool.acquire(waiter, 'any', [])
    return waiter
  }
  ask()
  for (let n = 0; n < 50; n++) {
    ask().cancelled = true
    t.equal(pool.waiting, 1)
  }
  pool.close()
  ;(await upstream.connection(0)).socket.destroy()
})

t.test('who waits too long is refused', async (t) => {
  const upstream = await startWaiting(t)
  const settings = { 'upstream.maxConnections': 1, 'timeouts.connect': 100 }
  const endpoint = openEndpoint(t, upstream.port, { settings })
  send(endpoint)
  await (await upstream.connection(0)).head()
  t.equal((await send(endpoint).over()).error?.code, 'PORTICO_UP_OVERLOADED')
})

t.test('a fresh connection takes the place of an idle one', async (t) => {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  const endpoint = openEndpoint(t, upstream.port, { settings: { 'upstream.maxConnections': 1 } })
  await send(endpoint).over()
  await turn()
  t.match(await send(endpoint, { past: 'none' }).over(), { body: 'ok', connection: { isStale: false } })
  t.equal(upstream.connections.length, 2)
})

t.test('who waits for a fresh connection does not get one that was used', async (t) => {
  const upstream = await startWaiting(t)
  const endpoint = openEndpoint(t, upstream.port, { settings: { 'upstream.maxConnections': 1 } })
  const first = send(endpoint)
  const second = send(endpoint, { past: 'none' })
  for (const [index, exchange] of [first, second].entries()) {
    const connection = await upstream.connection(index)
    await connection.head()
    connection.send(OK)
    t.equal((await exchange.over()).body, 'ok')
  }
  t.equal(upstream.connections.length, 2)
})

t.test('a connection with a preamble begins with it, and is used once', async (t) => {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  const endpoint = openEndpoint(t, upstream.port)
  const told = send(endpoint, { past: 'none', preamble: Buffer.from('PROXY UNKNOWN\r\n') })
  t.equal((await told.over()).body, 'ok')
  await upstream.connections[0]?.ended()
  t.match(upstream.connections[0]?.text, /^PROXY UNKNOWN\r\nGET /)
  t.equal((await send(endpoint).over()).body, 'ok')
  t.match(upstream.connections[1]?.text, /^GET /)

  const gone = send(endpoint, { past: 'none', preamble: Buffer.from('PROXY UNKNOWN\r\n') })
  gone.cancelled = true
  await upstream.connection(2)
  await until(() => endpoint.isIdle)
  t.equal((await send(endpoint).over()).body, 'ok')
  t.notMatch(upstream.connections[2]?.text, /GET/, 'not even where its request was given up')
})

t.test('a connection that comes after its request was given up stays for the next one', async (t) => {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  const endpoint = openEndpoint(t, upstream.port)
  const gone = send(endpoint)
  gone.cancelled = true
  await upstream.connection(0)
  await until(() => endpoint.isIdle)
  await turn()
  t.equal((await send(endpoint).over()).body, 'ok')
  t.equal(upstream.connections.length, 1)
  t.equal(gone.connection, undefined)
})

t.test('a closed pool refuses, and tells those who wait', async (t) => {
  const upstream = await startWaiting(t)
  const pool = openPool(upstream.port)
  const codes: string[] = []
  const waiter = {
    cancelled: false,
    onConnection: () => {},
    onConnectionError: (error: { code: string }) => codes.push(error.code),
  }
  pool.acquire(waiter, 'any', [])
  pool.acquire(waiter, 'any', [])
  t.equal(pool.waiting, 1)
  pool.close()
  pool.acquire(waiter, 'any', [])
  t.same(codes, ['PORTICO_UP_CONNECT_FAILED', 'PORTICO_UP_CONNECT_FAILED'])
  ;(await upstream.connection(0)).socket.destroy()
})

t.test('those that wait for their clients are few, whatever they lead to', async (t) => {
  const idlePrivates = new IdlePrivates(2)
  const privates = new PrivateConnections()
  const upstreams = await Promise.all([0, 1, 2].map(() => startWaiting(t)))
  for (const [n, { port }] of upstreams.entries()) {
    const pool = openPool(port, idlePrivates)
    const connection = await new Promise<Connection>((resolve, reject) =>
      pool.acquire({ cancelled: false, onConnection: resolve, onConnectionError: reject }, 'any', []),
    )
    connection.claim(privates)
    connection.release()
    t.equal(connection.isIdle, false)
    await turn()
    t.equal(connection.isIdle, true, `${n + 1} of them`)
  }
  await (await upstreams[0]!.connection(0)).ended()
  t.pass('the one that has waited longest is closed')
  t.equal((await upstreams[1]!.connection(0)).hasEnded, false)
  privates.close()
  for (const upstream of upstreams) await (await upstream.connection(0)).ended()
})
