import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '../../lib/base/clock.ts'
import { HangupWatch, type Unread } from '../../lib/platform/hangup-watch.ts'
import { until } from '../helpers/until.ts'

t.jobs = 2

/** A tenth faster, so that two looks are always more than half a second apart. */
const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() * 1.1 }

/** The end of a connection that the watch looks at; the other one reads nothing. */
async function openSocket(t: Test): Promise<Socket> {
  const server = createServer({ pauseOnConnect: true }, (socket) => t.teardown(() => socket.destroy()))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

t.test('a connection on which nothing moves is told', async (t) => {
  const socket = await openSocket(t)
  let told = 0
  new HangupWatch(clock).add({
    sighting: undefined,
    isUnread: true,
    clientSocket: socket,
    endpointSocket: undefined,
    onStill: () => told++,
  })
  await until(() => told > 0)
  t.pass()
})

t.test('a connection that moves while the table of sockets is read is not told', async (t) => {
  const socket = await openSocket(t)
  let told = 0
  let written = 0
  const unread: Unread = {
    sighting: undefined,
    isUnread: true,
    get clientSocket() {
      // Just after this look, which is the first one to find that nothing has moved for a second.
      if ((unread.sighting?.stillMs ?? 0) > 400) queueMicrotask(() => socket.write('x', () => written++))
      return socket
    },
    endpointSocket: undefined,
    onStill: () => told++,
  }
  new HangupWatch(clock).add(unread)
  await until(() => written >= 2)
  await sleep(100)
  t.equal(told, 0)
})
