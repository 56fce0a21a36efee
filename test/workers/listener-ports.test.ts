/** The ports of listeners, over starts and reloads, by one process and by workers: opened, kept, given up, and tried again. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { WorkerSet } from '../../lib/workers/worker-set.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'
import { CARRIERS, startCarrier } from '../helpers/start-carrier.ts'
import { until } from '../helpers/until.ts'

/** Ports that were free a moment ago. */
async function findPorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => server.listening || once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map(closeServer))
  return ports
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}

async function startGreeter(t: Test, greeting: string) {
  const upstream = await startRawUpstream((connection) => void connection.send(greeting))
  t.teardown(() => upstream.close())
  return upstream
}

async function greet(port: number): Promise<string> {
  const client = await connectRaw(port)
  const text = await client.until((received) => received !== '')
  client.reset()
  return text
}

async function askUdp(port: number, text: string): Promise<string> {
  const socket = createSocket('udp4')
  const answered = once(socket, 'message')
  const timer = setInterval(() => socket.send(text, port, '127.0.0.1'), 50)
  socket.send(text, port, '127.0.0.1')
  const [answer] = (await answered) as [Buffer]
  clearInterval(timer)
  socket.close()
  return String(answer)
}

for (const [kind, create] of CARRIERS) {
  t.test(`${kind}: a reload opens what is new, gives up what is gone, and leaves alone what stays`, async (t) => {
    const [one, two] = [await startGreeter(t, 'one'), await startGreeter(t, 'two')]
    const upstreams = { one: [one.port], two: [two.port] }
    const [kept = 0, gone = 0, come = 0] = await findPorts(3)
    const { carrier, start, apply } = startCarrier(t, create)
    await start({
      upstreams,
      listeners: [
        { to: 'one', port: kept },
        { to: 'one', port: gone },
      ],
    })
    t.same([...carrier.listeners().values()], ['open', 'open'])
    t.equal(await greet(kept), 'one')
    const staying = await connectRaw(gone)
    t.teardown(() => staying.destroy())
    await staying.until((text) => text === 'one')

    await apply({
      upstreams,
      listeners: [
        { to: 'two', port: kept },
        { to: 'two', port: come },
      ],
    })
    t.equal(await greet(kept), 'two', 'another upstream at the same port')
    t.equal(await greet(come), 'two')
    await t.rejects(connectRaw(gone), { code: 'ECONNREFUSED' })
    t.same(
      [...carrier.listeners()],
      [
        [`NodePort default/two:80/TCP 127.0.0.1:${kept}`, 'open'],
        [`NodePort default/two:80/TCP 127.0.0.1:${come}`, 'open'],
      ],
    )
    const [served] = one.connections.filter(({ isClosed }) => !isClosed)
    staying.send('still here')
    t.equal(await served?.until((text) => text === 'still here'), 'still here')
    await carrier.refresh()
    t.equal(carrier.inFlight >= 1, true)
    t.ok([...carrier.connections()].some(([name, count]) => name.endsWith(`:${gone}`) && count === 1))

    await carrier.drain()
    await t.rejects(connectRaw(kept), { code: 'ECONNREFUSED' })
    await t.rejects(connectRaw(come), { code: 'ECONNREFUSED' })
    t.ok((await carrier.finish(50)) >= 1)
  })

  t.test(`${kind}: configurations that follow at once open what the last wants, and warn of nothing`, async (t) => {
    const greeter = await startGreeter(t, 'hello')
    const upstreams = { web: [greeter.port] }
    const ports = await findPorts(4)
    const { start, apply, warnings } = startCarrier(t, create)
    await start({ upstreams })
    await Promise.all(ports.map((port) => apply({ upstreams, listeners: [{ to: 'web', port }] })))
    t.equal(await greet(ports[3]!), 'hello')
    await t.rejects(connectRaw(ports[2]!), { code: 'ECONNREFUSED' })
    t.same(warnings(), [])
  })

  t.test(`${kind}: a port in use stops nothing, is told once, and is opened when it is free`, async (t) => {
    const greeter = await startGreeter(t, 'hello')
    const blocker = createServer().listen(0, '127.0.0.1')
    await once(blocker, 'listening')
    const { port: busy } = blocker.address() as { port: number }
    const [free = 0] = await findPorts(1)
    const { carrier, start, apply, warnings, lines } = startCarrier(t, create)
    const words = {
      upstreams: { web: [greeter.port] },
      listeners: [
        { to: 'web', port: busy },
        { to: 'web', port: free },
      ],
    }
    await start(words)
    t.equal(await greet(free), 'hello')
    const id = `NodePort default/web:80/TCP 127.0.0.1:${busy}`
    const reason = `port ${busy} is already in use on 127.0.0.1`
    t.equal(carrier.listeners().get(id), reason)
    await apply(words)
    await new Promise((resolve) => setTimeout(resolve, 150))
    t.match(warnings(), [
      { listener: id, reason, help: /stop what uses it, or choose another nodePort of Service default\/web/ },
    ])
    t.equal(warnings().length, 1)
    await closeServer(blocker)
    await until(() => carrier.listeners().get(id) === 'open')
    t.equal(await greet(busy), 'hello')
    t.match(lines.at(-1), { level: 30, listener: id, msg: 'port of a Service opened' })
  })

  t.test(`${kind}: an address that this machine does not have, and a place that two want`, async (t) => {
    const greeter = await startGreeter(t, 'hello')
    const { carrier, start, apply, warnings } = startCarrier(t, create)
    const [port = 0] = await findPorts(1)
    const upstreams = { web: [greeter.port], other: [greeter.port] }
    await start({
      upstreams,
      listeners: [
        { to: 'web', port, kind: 'LoadBalancer', address: '192.0.2.1' },
        { to: 'web', port },
        { to: 'other', port },
      ],
    })
    t.same(
      [...carrier.listeners().values()],
      ['this machine has no address 192.0.2.1', 'open', `NodePort default/web:80/TCP 127.0.0.1:${port} has it`],
    )
    t.equal(warnings().length, 1)
    await apply({ upstreams })
    t.equal(carrier.listeners().size, 0)
    await new Promise((resolve) => setTimeout(resolve, 120))
    t.equal(warnings().length, 1, 'it is not tried any more')
  })

  t.test(`${kind}: UDP`, async (t) => {
    const endpoint = createSocket('udp4')
    endpoint.bind(0, '127.0.0.1')
    await once(endpoint, 'listening')
    t.teardown(() => endpoint.close())
    endpoint.on('message', (datagram, from) => endpoint.send(`echo ${datagram}`, from.port, from.address))
    const { carrier, start, apply } = startCarrier(t, create)
    const upstreams = { dns: [endpoint.address().port] }
    const ports = await findPorts(3)
    await start({ upstreams, listeners: ports.map((port) => ({ to: 'dns', transport: 'UDP', port }) as const) })
    t.same([...carrier.listeners().values()], ['open', 'open', 'open'])
    for (const port of ports) t.equal(await askUdp(port, 'hello'), 'echo hello')
    await carrier.refresh()
    t.equal(
      [...carrier.connections()].reduce((sum, [, count]) => sum + count, 0),
      3,
    )
    await apply({ upstreams })
    const again = createSocket('udp4')
    again.bind(ports[0] ?? 0, '127.0.0.1')
    await once(again, 'listening')
    again.close()
    t.equal(carrier.listeners().size, 0)
  })
}

t.test('a worker that dies: connections wait for the next, which opens all ports again', async (t) => {
  const greeter = await startGreeter(t, 'hello')
  const endpoint = createSocket('udp4')
  endpoint.bind(0, '127.0.0.1')
  await once(endpoint, 'listening')
  t.teardown(() => endpoint.close())
  endpoint.on('message', (datagram, from) => endpoint.send(`echo ${datagram}`, from.port, from.address))
  const [tcp = 0, udp = 0] = await findPorts(2)
  const { carrier, start } = startCarrier(t, (options) => new WorkerSet({ ...options, size: 1 }))
  await start({
    upstreams: { web: [greeter.port], dns: [endpoint.address().port] },
    listeners: [
      { to: 'web', port: tcp },
      { to: 'dns', transport: 'UDP', port: udp },
    ],
  })
  t.equal(await greet(tcp), 'hello')
  t.equal(await askUdp(udp, 'a'), 'echo a')
  const [before] = carrier.workers()
  process.kill(before?.pid ?? 0, 'SIGKILL')
  const waiting = greet(tcp)
  await until(() => carrier.workers()[0]?.restarts === 1)
  t.equal(await waiting, 'hello')
  t.equal(await askUdp(udp, 'b'), 'echo b')
  t.same([...carrier.listeners().values()], ['open', 'open'])
  t.match(carrier.workers(), [{ isUp: true, restarts: 1 }])
})

t.test('requests and connections of workers are added up by listener', async (t) => {
  const greeter = await startGreeter(t, 'hello')
  const [port = 0] = await findPorts(1)
  const { carrier, start } = startCarrier(t, (options) => new WorkerSet({ ...options, size: 2 }))
  await start({ upstreams: { web: [greeter.port] }, own: { http: {} }, listeners: [{ to: 'web', port }] })
  const clients = await Promise.all(Array.from({ length: 10 }, () => connectRaw(port)))
  await Promise.all(clients.map((client) => client.until((text) => text === 'hello')))
  await carrier.refresh()
  t.same(
    [...carrier.connections()],
    [
      ['http', 0],
      [`NodePort default/web:80/TCP 127.0.0.1:${port}`, 10],
    ],
  )
  t.equal(carrier.inFlight, 10)
  t.equal(
    carrier.workers().reduce((sum, { connections }) => sum + connections, 0),
    10,
  )
  t.match([...carrier.endpoints()], [{ requests: 10, inFlight: 10, failures: 0 }])
  for (const client of clients) client.reset()
})
