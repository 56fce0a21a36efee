/** Opening ports: `::` where the machine has no IPv6, and ports that are closed while they are opened. */
import { createServer } from 'node:net'
import t from 'tap'
import { listenOn, openAt, opened } from '../../lib/platform/listen.ts'

const fail = (code: string) => Object.assign(new Error(code), { code })

t.test('every address is every IPv4 address where there is no IPv6', async (t) => {
  for (const code of ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']) {
    const asked: string[] = []
    const open = async (address: string) => {
      asked.push(address)
      if (address === '::') throw fail(code)
      return 'opened'
    }
    t.equal(await openAt('::', open), 'opened')
    t.same(asked, ['::', '0.0.0.0'], code)
  }
})

t.test('all other failures are told, once they have happened', async (t) => {
  for (const [address, code] of [
    ['::', 'EADDRINUSE'],
    ['::1', 'EADDRNOTAVAIL'],
    ['127.0.0.1', 'EAFNOSUPPORT'],
  ] as const) {
    let asked = 0
    const open = () => {
      asked++
      throw fail(code)
    }
    await t.rejects(openAt(address, open), { code })
    t.equal(asked, 1, `${address} ${code}`)
  }
})

t.test('a server tells where it listens, or why it does not', async (t) => {
  const [first, second] = [createServer(), createServer()]
  t.teardown(() => first.close())
  const bound = await listenOn(first, { address: '127.0.0.1', port: 0 })
  t.equal(bound.address, '127.0.0.1')
  t.ok(bound.port > 0)
  await t.rejects(listenOn(second, bound), { code: 'EADDRINUSE' })
  t.equal(second.listenerCount('error') + second.listenerCount('listening') + second.listenerCount('close'), 0)
})

t.test('a server that is closed while it is opened', async (t) => {
  const server = createServer()
  const opening = opened(server, () => server.emit('close'))
  await t.rejects(opening, { message: 'closed while it was opened' })
})
