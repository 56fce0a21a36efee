/** TCP ports of Services over real sockets: bytes, ends and resets pass as they came, and endpoints that are dead are passed over. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { NO_BLACK_HOLES, startBlackHole } from '../helpers/black-hole.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'
import { startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'

async function startBackend(t: Test, behave: Parameters<typeof startRawUpstream>[0] = () => {}) {
  const upstream = await startRawUpstream(behave)
  t.teardown(() => upstream.close())
  return upstream
}

async function open(t: Test, port: number, options: { localAddress?: string } = {}) {
  const client = await connectRaw(port, { allowHalfOpen: true, ...options })
  t.teardown(() => client.destroy())
  return client
}

/** A port where nobody listens. */
async function findDeadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The error with which a connection ends that is not served. */
async function findRefusal(port: number): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1' }).resume()
  const [error] = await Promise.race([once(socket, 'error'), once(socket, 'close')])
  return (error as NodeJS.ErrnoException).code
}

const TO_WEB = [{ to: 'web', port: 0 }]

t.test('a connection counts where it leads, where another address of the name stood in', async (t) => {
  const backend = await startBackend(t)
  const endpoints = ['127.0.0.9', '127.0.0.1'].map((host) => ({ host, name: 'up.test', port: backend.port }))
  const { port, traffic, lines } = await startTraffic(t, { upstreams: { web: endpoints }, listeners: TO_WEB })
  const client = await open(t, port)
  const figures = () =>
    [...traffic.endpoints()].map(({ requests, inFlight, failures }) => [requests, inFlight, failures])
  await until(() => figures()[0]?.[2] === 1)
  t.same(figures(), [
    [1, 0, 1],
    [1, 1, 0],
  ])
  client.reset()
  await until(() => traffic.inFlight === 0)
  t.same(figures(), [
    [1, 0, 1],
    [1, 0, 0],
  ])
  t.match(
    lines.find(({ listener }) => listener !== undefined),
    { endpoint: `127.0.0.1:${backend.port}` },
  )
})

t.test('S15 each connection is passed on to one endpoint in turn, whatever its bytes', async (t) => {
  const [one, two] = [await startBackend(t), await startBackend(t)]
  const { port, traffic, counts } = await startTraffic(t, {
    upstreams: { web: [one.port, two.port] },
    listeners: TO_WEB,
  })
  const bytes = randomBytes(300_000)
  const clients = await Promise.all([open(t, port), open(t, port)])
  for (const client of clients) client.send(bytes)
  for (const upstream of [one, two]) {
    const connection = await upstream.connection(0)
    await connection.until(() => connection.received.length >= bytes.length)
    t.ok(connection.received.equals(bytes))
    connection.send(bytes)
    t.equal(upstream.connections.length, 1)
  }
  for (const client of clients) {
    await client.until(() => client.received.length >= bytes.length)
    t.ok(client.received.equals(bytes))
  }
  t.equal(traffic.inFlight, 2)
  t.same([...traffic.connections()], [['NodePort default/web:80/TCP 127.0.0.1:0', 2]])
  t.same(
    [...traffic.endpoints()].map(({ requests, inFlight, failures }) => [requests, inFlight, failures]),
    [
      [1, 1, 0],
      [1, 1, 0],
    ],
  )
  for (const client of clients) client.reset()
  await until(() => traffic.inFlight === 0)
  t.same(
    [...traffic.endpoints()].map(({ inFlight }) => inFlight),
    [0, 0],
  )
  t.same([...counts.connections.values()], [new Map([['served', 2]])])
})

t.test('an end passes as an end, and the other direction goes on', async (t) => {
  const backend = await startBackend(t)
  const { port, lines } = await startTraffic(t, { upstreams: { web: [backend.port] }, listeners: TO_WEB })

  const first = await open(t, port)
  first.send('question')
  first.end()
  const served = await backend.connection(0)
  await served.ended()
  t.equal(served.text, 'question')
  t.notOk(first.isClosed)
  served.send('answer')
  served.socket.end()
  await first.closed
  t.equal(first.text, 'answer')
  t.equal(first.error, undefined)

  const second = await open(t, port)
  const other = await backend.connection(1)
  other.send('greeting')
  other.socket.end()
  await second.until(() => second.socket.readableEnded)
  second.send('goodbye')
  second.end()
  await other.ended()
  t.equal(other.text, 'goodbye')
  await until(() => lines.filter(({ msg }) => msg === 'connection').length === 2)
  t.match(
    lines.find(({ msg }) => msg === 'connection'),
    { bytes_in: 8, bytes_out: 6, client: '127.0.0.1', endpoint: `127.0.0.1:${backend.port}`, tries: 1 },
  )
})

t.test('a reset passes as a reset, either way', async (t) => {
  const backend = await startBackend(t)
  const { port } = await startTraffic(t, { upstreams: { web: [backend.port] }, listeners: TO_WEB })

  const first = await open(t, port)
  first.send('x')
  const served = await backend.connection(0)
  await served.until((text) => text === 'x')
  const failed = once(served.socket, 'error')
  first.socket.resetAndDestroy()
  t.match(await failed, [{ code: 'ECONNRESET' }])

  const second = await open(t, port)
  const other = await backend.connection(1)
  other.socket.resetAndDestroy()
  await second.closed
  t.match(second.error, { code: 'ECONNRESET' })
})

t.test('what a client says at once waits for the endpoint', async (t) => {
  const backend = await startBackend(t)
  const { port } = await startTraffic(t, { upstreams: { web: [backend.port] }, listeners: TO_WEB })
  const socket = connect({ port, host: '127.0.0.1' })
  t.teardown(() => socket.destroy())
  socket.end('early, and that is all')
  const served = await backend.connection(0)
  await served.ended()
  t.equal(served.text, 'early, and that is all')
})

t.test('an endpoint that refuses is passed over; without any the client is reset', async (t) => {
  const backend = await startBackend(t)
  const dead = await findDeadPort()
  const { port, traffic, load, result, lines } = await startTraffic(t, {
    upstreams: { web: [dead, backend.port] },
    listeners: TO_WEB,
  })
  for (let index = 0; index < 4; index++) {
    const client = await open(t, port)
    client.send(`hello ${index}`)
    const served = await backend.connection(index)
    await served.until((text) => text === `hello ${index}`)
  }
  const refusing = [...traffic.endpoints()].find(({ identity }) => identity.port === dead)
  t.match(refusing, { failures: 2, inFlight: 0, lastFailure: { error: { code: 'PORTICO_UP_CONNECT_REFUSED' } } })

  await load({ upstreams: { web: [dead] }, listeners: TO_WEB })
  t.equal(await findRefusal(port), 'ECONNRESET')

  await load({ upstreams: { web: [] }, listeners: TO_WEB })
  t.equal(await findRefusal(port), 'ECONNRESET')
  t.equal(result('failed'), 2)
  t.match(
    lines.filter(({ code, msg }) => msg === 'connection' && code !== undefined),
    [{ code: 'PORTICO_UP_CONNECT_REFUSED' }, { code: 'PORTICO_UP_NO_ENDPOINTS' }],
  )
})

for (const direction of ['to the endpoint', 'to the client'] as const) {
  t.test(`a reader that is slow holds up the writer, not the memory: 64 MiB ${direction}`, async (t) => {
    const size = 64 * 1024 * 1024
    const backend = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await once(backend, 'listening')
    t.teardown(() => backend.close())
    const endpoint = (backend.address() as { port: number }).port
    const { port } = await startTraffic(t, { upstreams: { web: [endpoint] }, listeners: TO_WEB })
    const client = connect({ port, host: '127.0.0.1' }).pause()
    const [served] = (await once(backend, 'connection')) as [Socket]
    t.teardown(() => {
      client.destroy()
      served.destroy()
    })
    const [writer, reader] = direction === 'to the endpoint' ? [client, served] : [served, client]
    const chunk = randomBytes(64 * 1024)
    let written = 0
    const pump = () => {
      while (written < size) {
        written += chunk.length
        if (!writer.write(chunk)) {
          writer.once('drain', pump)
          return
        }
      }
      writer.end()
    }
    const before = process.memoryUsage()
    pump()
    // Once nothing moves any more, all buffers on the way are full.
    for (let last = -1; written !== last; ) {
      last = written
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    t.ok(written < size, `${written} bytes were taken while nobody read`)
    const { rss, arrayBuffers } = process.memoryUsage()
    t.ok(rss - before.rss < 32 * 1024 * 1024, `${rss - before.rss} bytes more resident`)
    t.ok(arrayBuffers - before.arrayBuffers < 8 * 1024 * 1024)
    let received = 0
    reader.on('data', (bytes: Buffer) => {
      received += bytes.length
    })
    reader.resume()
    await once(reader, 'end')
    t.equal(received, size)
  })
}

t.test('who is not in the source ranges is reset before anything is read', async (t) => {
  const backend = await startBackend(t)
  const listeners = [{ to: 'web', port: 0, sourceRanges: ['127.0.0.2/32', '10.0.0.0/8'] }]
  const { port, load, result } = await startTraffic(t, { upstreams: { web: [backend.port] }, listeners })
  t.equal(await findRefusal(port), 'ECONNRESET')
  const friend = await open(t, port, { localAddress: '127.0.0.2' })
  friend.send('hello')
  await (await backend.connection(0)).until((text) => text === 'hello')
  t.equal(backend.connections.length, 1)
  t.equal(result('refused_source'), 1)

  await load({ upstreams: { web: [backend.port] }, listeners: [{ to: 'web', port: 0 }] })
  const welcome = await open(t, port)
  welcome.send('hello again')
  await (await backend.connection(1)).until((text) => text === 'hello again')
  friend.send(', still')
  await (await backend.connection(0)).until((text) => text === 'hello, still')
})

t.test('another upstream is for new connections; those that are open stay where they are', async (t) => {
  const [old, next] = [await startBackend(t), await startBackend(t)]
  const upstreams = { old: [old.port], next: [next.port] }
  const { port, load, traffic } = await startTraffic(t, { upstreams, listeners: [{ to: 'old', port: 0 }] })
  const first = await open(t, port)
  await load({ upstreams, listeners: [{ to: 'next', port: 0 }] })
  const second = await open(t, port)
  second.send('to the next')
  await (await next.connection(0)).until((text) => text === 'to the next')
  first.send('to the old')
  await (await old.connection(0)).until((text) => text === 'to the old')

  traffic.unlisten('TCP 127.0.0.1:0')
  await t.rejects(connectRaw(port), { code: 'ECONNREFUSED' })
  first.send(', still')
  await (await old.connection(0)).until((text) => text === 'to the old, still')
  t.equal(traffic.inFlight, 2)
})

t.test('a connection without traffic is closed after timeouts.streamIdle', async (t) => {
  const backend = await startBackend(t)
  const { port } = await startTraffic(
    t,
    { upstreams: { web: [backend.port] }, listeners: TO_WEB },
    { 'timeouts.streamIdle': 100 },
  )
  const client = await open(t, port)
  await client.closed
  t.match(client.error, { code: 'ECONNRESET' })
  const served = await backend.connection(0)
  await served.closed
  t.equal(served.text, '')
})

t.test('a silent endpoint gives way to another one', { skip: NO_BLACK_HOLES }, async (t) => {
  const backend = await startBackend(t)
  await startBlackHole(t, '127.0.0.9', backend.port)
  const { port } = await startTraffic(
    t,
    { upstreams: { web: [`127.0.0.9:${backend.port}`, backend.port] }, listeners: TO_WEB },
    { 'timeouts.connect': 600_000 },
  )
  const client = await open(t, port)
  client.send('hello')
  await (await backend.connection(0)).until((text) => text === 'hello')
})

t.test('a Service can have another streamIdle than all', async (t) => {
  const start = async (own: number) => {
    const backend = await startBackend(t)
    const web = { endpoints: [backend.port], policy: { 'timeouts.streamIdle': own } }
    const { port } = await startTraffic(t, { upstreams: { web }, listeners: TO_WEB }, { 'timeouts.streamIdle': 100 })
    const client = await open(t, port)
    return { client, connection: await backend.connection(0) }
  }
  const patient = await start(60_000)
  const asAll = await start(0)
  await asAll.client.closed
  await asAll.connection.closed
  // The one was opened first, and outlives the other.
  patient.client.send('still here')
  await patient.connection.until((text) => text === 'still here')
  const hasty = await start(50)
  await hasty.client.closed
  t.equal(patient.connection.hasEnded, false)
})

t.test('beyond limits.connections no more are taken', async (t) => {
  const backend = await startBackend(t)
  const words = { upstreams: { web: [backend.port] }, listeners: TO_WEB }
  const { port, lines } = await startTraffic(t, words, { 'limits.connections': 1 })
  const first = await open(t, port)
  first.send('x')
  await (await backend.connection(0)).until((text) => text === 'x')
  await findRefusal(port)
  t.equal(backend.connections.length, 1)
  await until(() => lines.some(({ msg }) => msg === 'connections refused: limits.connections is reached'))
})

t.test('a drain waits for connections as long as it may, and cuts the rest', async (t) => {
  const backend = await startBackend(t)
  const { port, traffic } = await startTraffic(t, { upstreams: { web: [backend.port] }, listeners: TO_WEB })
  const [short, long] = [await open(t, port), await open(t, port)]
  const served = [await backend.connection(0), await backend.connection(1)]
  traffic.drain()
  t.equal(traffic.inFlight, 2)
  await t.rejects(connectRaw(port), { code: 'ECONNREFUSED' })
  short.send('last words')
  await Promise.race(served.map((each) => each.until((text) => text === 'last words')))
  short.end()
  for (const each of served) if (each.text !== '') each.socket.end()
  await short.closed
  t.equal(await traffic.finish(50), 1)
  t.notOk(long.isClosed)
  await traffic.close()
  await long.closed
})

t.test('a client that goes while its endpoint is being connected to costs nothing', async (t) => {
  const backend = await startBackend(t)
  const { port, traffic } = await startTraffic(t, { upstreams: { web: [backend.port] }, listeners: TO_WEB })
  for (let index = 0; index < 50; index++) {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.once('connect', () => socket.resetAndDestroy())
    await once(socket, 'close')
  }
  await until(() => traffic.inFlight === 0)
  t.same(
    [...traffic.endpoints()].map(({ inFlight }) => inFlight),
    [0],
  )
})

t.test('of an https upstream the TLS is the client’s own', async (t) => {
  const backend = await startBackend(t)
  const upstreams = { web: { endpoints: [backend.port], protocol: 'https' as const } }
  const { port, load } = await startTraffic(t, { upstreams, listeners: TO_WEB })
  const client = await open(t, port)
  client.send('as it is')
  await (await backend.connection(0)).until((text) => text === 'as it is')
  await load({ upstreams: { web: { endpoints: [backend.port], protocol: 'https' as const } }, listeners: TO_WEB })
  const again = await open(t, port)
  again.send('as it is')
  const served = await backend.connection(1)
  t.equal(await served.until((text) => text === 'as it is'), 'as it is')
})
