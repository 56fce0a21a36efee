import { Socket } from 'node:net'
import t from 'tap'
import type { IdleConnection } from '../../lib/downstream/idle-connection.ts'
import { IdleList } from '../../lib/downstream/idle-list.ts'

/** A list over connections whose reads are counted; each read takes `readMs` by the clock. */
function makeList({ readMs = 0 } = {}) {
  const state = { now: 10_000, reads: 0, closed: [] as string[] }
  const owners = new Map<Socket, string>()
  const connections: IdleConnection[] = []
  const list = new IdleList<string>({ now: () => 0, monotonic: () => state.now }, (socket) => owners.get(socket))
  list.addSource({ listConnections: () => connections })
  const add = (name: string, client: string | undefined, since: number) => {
    const socket = new Socket()
    if (client !== undefined) owners.set(socket, client)
    let isOpen = true
    connections.push({
      socket,
      idleSince: () => {
        state.reads++
        state.now += readMs
        return isOpen ? since : Number.POSITIVE_INFINITY
      },
      closeIdle: () => {
        isOpen = false
        state.closed.push(name)
      },
    })
  }
  return { list, state, add }
}

t.test('the connection that has been idle longest is closed, of all or of one client, and none twice', async (t) => {
  const { list, state, add } = makeList()
  add('a1', 'a', 300)
  add('b1', 'b', 100)
  add('a2', 'a', 200)
  add('nobody', undefined, 50)
  add('busy', 'a', Number.POSITIVE_INFINITY)
  t.ok(list.closeOldest('a'))
  t.ok(list.closeOldest())
  t.ok(list.closeOldest())
  t.ok(list.closeOldest())
  t.notOk(list.closeOldest('a'), 'the other way found it before')
  t.notOk(list.closeOldest('b'))
  t.notOk(list.closeOldest('c'))
  t.notOk(list.closeOldest())
  t.same(state.closed, ['a2', 'nobody', 'b1', 'a1'])
})

t.test('whoever comes at the limit again and again causes few looks at all connections', async (t) => {
  const { list, state, add } = makeList()
  for (let index = 0; index < 1000; index++) add(`b${index}`, 'b', Number.POSITIVE_INFINITY)
  for (let count = 0; count < 1000; count++) {
    t.equal(list.closeOldest('a'), false)
    state.now += 0.1
  }
  // 100 ms in which each look serves for 10 ms.
  t.ok(state.reads <= 11 * 1000, `${state.reads} reads`)
})

t.test('a look that takes long is made seldom', async (t) => {
  const { list, state, add } = makeList({ readMs: 0.005 })
  for (let index = 0; index < 1000; index++) add(`b${index}`, 'b', Number.POSITIVE_INFINITY)
  const begin = state.now
  for (let count = 0; count < 1000; count++) {
    list.closeOldest('a')
    state.now += 1
  }
  const share = (state.reads * 0.005) / (state.now - begin)
  t.ok(share > 0.06 && share < 0.12, `looks take ${share} of the time`)
})
