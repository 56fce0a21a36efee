/** A gateway whose processes may have few file descriptors, and clients that use them up: nobody dies of it, and it passes. */
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Started, startGateway } from './bin/process.ts'
import { ONE_ROUTE } from './helpers/running-gateway.ts'
import { until } from './helpers/until.ts'

const DESCRIPTORS = 256
/** Nine tenths of half of what is left beyond 64. */
const FITTING = 86

async function start(t: Test, flags: readonly string[] = []): Promise<Started> {
  const server = createServer((request, response) => request.resume().on('end', () => response.end('ok')))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const endpoints = ['--endpoints', `default/web=127.0.0.1:${port}`, '--no-https', '--no-access-log']
  const options = { stdin: ONE_ROUTE, descriptors: DESCRIPTORS }
  return startGateway(t, ['run', '-f', '-', ...endpoints, ...flags], options)
}

/** Connections that send `first`, each `perAddress` of them from another address; none is given up by its client. */
async function attack(t: Test, port: number, count: number, perAddress: number, first: string): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, (_, index) => {
    const localAddress = `127.0.1.${1 + Math.floor(index / perAddress)}`
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    socket.on('error', () => {})
    socket.write(first)
    return socket
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  await Promise.all(
    sockets.map((socket) => new Promise((resolve) => socket.on('connect', resolve).on('close', resolve))),
  )
  return sockets
}

async function ask(port: number, path: string): Promise<string> {
  const request = get({ port, host: '127.0.0.1', path, agent: false })
  const [response] = await once(request, 'response')
  return `${response.statusCode} ${await text(response)}`
}

/** What the first line of this name says. */
async function readMetric(admin: number, name: string): Promise<number> {
  const line = (await ask(admin, '/metrics')).split('\n').find((each) => each.startsWith(`${name} `))
  return Number(line?.slice(name.length))
}

async function sawNoDeath(t: Test, gateway: Started): Promise<void> {
  t.equal(await readMetric(gateway.ports.admin, 'portico_worker_restarts_total{worker="1"}'), 0)
  t.notMatch(gateway.stdout(), /a bug|EMFILE|listener failed/)
  const refusals = gateway.stdout().match(/connections refused/g) ?? []
  t.ok(refusals.length <= 3, `${refusals.length} lines about refused connections`)
}

const SLOW = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n'
const KEPT = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

t.test('what fits is taken, the rest refused, and no timer throws', async (t) => {
  const gateway = await start(t)
  const { http, admin } = gateway.ports
  await gateway.says(`${DESCRIPTORS} file descriptors: ${FITTING} client connections to each worker`)
  t.match(gateway.stdout(), 'LimitNOFILE=65536')
  const sockets = await attack(t, http, 600, 10, SLOW)
  // Longer than workers take to measure themselves.
  await sleep(2_500)
  const open = sockets.filter((socket) => !socket.destroyed).length
  t.ok(open <= FITTING, `${open} connections are open`)
  t.ok(open >= FITTING / 2, `${open} connections are open`)
  const refused = await readMetric(admin, 'portico_listener_connections_total{listener="http",result="refused_limit"}')
  t.equal(refused, 600 - FITTING)
  await sawNoDeath(t, gateway)
  for (const socket of sockets) socket.destroy()
  await until(async () => (await ask(http, '/').catch(() => '')) === '200 ok')
})

t.test('idle connections make room, so that everybody is served', async (t) => {
  const gateway = await start(t)
  const { http, admin } = gateway.ports
  await attack(t, http, 300, 10, KEPT)
  await sleep(200)
  for (let count = 0; count < 20; count++) {
    const client = connect({ port: http, host: '127.0.0.1', localAddress: '127.0.0.2' })
    t.teardown(() => client.destroy())
    client.write(KEPT)
    t.match(String((await once(client, 'data'))[0]), /^HTTP\/1\.1 200 /)
  }
  t.ok((await readMetric(admin, 'portico_listener_connections_total{listener="http",result="made_room"}')) >= 20)
  await sawNoDeath(t, gateway)
})

t.test('where limits are higher than what the system gives, descriptors run out, and come back', async (t) => {
  const unlimited = ['--limits-connections', '100000', '--limits-connections-per-client', '100000']
  const gateway = await start(t, unlimited)
  const { http, admin } = gateway.ports
  await gateway.says(`limits.connections is 100000, and ${FITTING} are sure`)
  const sockets = await attack(t, http, 600, 600, SLOW)
  await sleep(2_500)
  const name = 'portico_listener_connections_total{listener="http",result="refused_descriptors"}'
  t.ok((await readMetric(admin, name)) > 100)
  await sawNoDeath(t, gateway)
  t.equal(await ask(admin, '/livez'), '200 {"status":"ok"}')
  for (const socket of sockets) socket.destroy()
  await until(async () => (await ask(http, '/').catch(() => '')) === '200 ok')
})
