import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import t from 'tap'
import type { Outcome } from '../attacks/attack.ts'
import type { AttackLoad } from './attack-client.ts'
import { runClient } from './client.ts'

const CONNECTIONS = 10
const SECONDS = 2

/** What came of the attack, and the address of each connection and what it sent. */
async function attack(load: Pick<AttackLoad, 'kind' | 'options'>, serve: (socket: Socket) => void) {
  const server = createServer()
  const clients: { address: string | undefined; text: string; socket: Socket }[] = []
  server.on('connection', (socket) => {
    const client = { address: socket.remoteAddress, text: '', socket }
    clients.push(client)
    socket.on('data', (chunk: Buffer) => {
      client.text += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    serve(socket)
  })
  t.teardown(() => server.close())
  const port = await listen(server)
  const target = { http: port, https: port, admin: port, host: 'a' }
  const outcome = await runClient<Outcome>('attack-client', { ...load, target, seconds: SECONDS }, 'any', 30_000)
  return { outcome, clients }
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

t.test('an attack opens as many connections as it says, from an address of its own, and ends by itself', async (t) => {
  const load = { kind: 'slow-post', options: { connections: CONNECTIONS, length: 100 } } as const
  const { outcome, clients } = await attack(load, () => {})
  t.match(outcome, { opened: CONNECTIONS, failed: 0, cut: 0 })
  t.equal(clients.length, CONNECTIONS)
  for (const { address, text, socket } of clients) {
    t.equal(address, '127.0.0.2')
    t.match(text, /^POST \/ HTTP\/1\.1\r\nHost: a\r\n[\s\S]*\r\nContent-Length: 100\r\n\r\nx$/)
    t.ok(socket.destroyed || socket.readableEnded)
  }
})

t.test('an attacker whose connections are cut counts them and comes again', async (t) => {
  const load = { kind: 'slow-post', options: { connections: CONNECTIONS, length: 100 } } as const
  const { outcome, clients } = await attack(load, (socket) => setTimeout(() => socket.destroy(), 100))
  t.ok(clients.length >= 2 * CONNECTIONS, `${clients.length} came`)
  t.ok(outcome.cut >= CONNECTIONS, `${outcome.cut} were cut`)
})

t.test('a pipeliner sends no more than is read', async (t) => {
  const load = { kind: 'pipeliner', options: { connections: 1, secure: false, field: '' } } as const
  const { outcome } = await attack(load, (socket) => socket.pause())
  t.ok(outcome.bytesSent > 0)
  t.ok(outcome.bytesSent < 64 * 2 ** 20, `${outcome.bytesSent} bytes were sent`)
})
