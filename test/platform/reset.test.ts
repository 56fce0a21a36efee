import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { resetSocket } from '../../lib/platform/reset.ts'

async function connectPair(t: Test): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [far] = await accepted
  t.teardown(() => {
    near.destroy()
    far.destroy()
    server.close()
  })
  return [near, far]
}

t.test('the other side learns of a reset', async (t) => {
  const [near, far] = await connectPair(t)
  far.resume()
  const failed = once(far, 'error')
  resetSocket(near)
  t.match(await failed, [{ code: 'ECONNRESET' }])
})

t.test('a socket that is shutting down is closed all the same', async (t) => {
  const [near] = await connectPair(t)
  const errors: Error[] = []
  near.on('error', (error) => errors.push(error))
  const closed = once(near, 'close')
  near.end('bytes')
  resetSocket(near)
  await closed
  t.same(errors, [])
})
