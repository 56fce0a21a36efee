/** Lent reads depend on parts of node:net that have no name outside it; here it shows if a Node has them no more. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { findLent } from '../../lib/platform/lent-bytes.ts'
import { lendReads } from '../../lib/platform/lent-read.ts'
import { until } from '../helpers/until.ts'

t.test('an accepted connection tells its reader what came, and its end', async (t) => {
  const heard: string[] = []
  function hear(this: Socket, size: number): boolean {
    heard.push(findLent(size).toString('latin1'))
    return true
  }
  const server = createServer({ allowHalfOpen: true })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.on('data', () => t.fail('nothing comes as a stream'))
  t.equal(lendReads(socket, hear), true)
  client.write('one')
  await until(() => heard.length !== 0)
  client.end('two')
  await once(socket, 'end')
  t.equal(heard.join(''), 'onetwo')
  socket.end()
  await once(client, 'close')
})
