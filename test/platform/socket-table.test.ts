/** The kernel's table of sockets tells of the ends of connections that nobody reads, whatever their addresses look like. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { readSocketTable, SocketRow } from '../../lib/platform/socket-table.ts'

function rowOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): SocketRow {
  return new SocketRow(localAddress!, localPort!, remoteAddress!, remotePort!)
}

for (const [name, listening, host] of [
  ['IPv4', '127.0.0.1', '127.0.0.1'],
  ['IPv6', '::1', '::1'],
  ['IPv4 on a socket for both', '::', '127.0.0.1'],
] as const) {
  t.test(name, { skip: process.platform !== 'linux' }, async (t) => {
    const accepted: Socket[] = []
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => accepted.push(socket))
    server.listen(0, listening)
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const clients = await Promise.all(
      [0, 1].map(async () => {
        const client = connect({ host, port })
        await once(client, 'connect')
        return client
      }),
    )
    t.teardown(() => {
      for (const socket of [...clients, ...accepted]) socket.destroy()
      server.close()
    })
    while (accepted.length < 2) await sleep(5)
    const [leaving, staying] = clients as [Socket, Socket]
    const find = (client: Socket) => rowOf(accepted.find(({ remotePort }) => remotePort === client.localPort)!)
    const rows = [find(leaving), find(staying)]
    t.ok((await readSocketTable(rows)) > 0)
    t.same(
      rows.map(({ hasFin, unacknowledged }) => [hasFin, unacknowledged]),
      [
        [false, 0],
        [false, 0],
      ],
    )
    leaving.end('unread')
    await once(leaving, 'finish')
    await readSocketTable(rows)
    t.same(
      rows.map(({ hasFin }) => hasFin),
      [true, false],
    )
  })
}

t.test('a socket that is not there stays as it is', async (t) => {
  const row = new SocketRow('192.0.2.1', 1, '192.0.2.2', 2)
  await readSocketTable([row])
  t.same([row.hasFin, row.unacknowledged], [false, -1])
})

t.test('nothing is read for nothing', async (t) => {
  t.equal(await readSocketTable([]), 0)
})
