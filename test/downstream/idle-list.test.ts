import { Socket } from 'node:net'
import t from 'tap'
import type { IdleConnection } from '../../lib/downstream/idle-connection.ts'
import { IdleList } from '../../lib/downstream/idle-list.ts'

/** A list over connections whose reads are counted. */
function makeList() {
  const state = { now: 10_000, reads: 0, closed: [] as string[] }
  const owners = new Map<Socket, string>()
  const connections: IdleConnection[] = []
  const list = new IdleList<string>({ now: () => 0, monotonic: () => state.now }, (socket) => owners.get(socket))
  list.addSource({ listConnections: () => connections })
  const add = (name: string, client: string | undefined, since: number) => {
    const socket = new Socket()
    if (client !== undefined) owners.set(socket, client)
    let isOpen = true
    let idleSince = since
    connections.push({
      socket,
      idleSince: () => {
        state.reads++
        return isOpen ? idleSince : Number.POSITIVE_INFINITY
      },
      closeIdle: () => {
        isOpen = false
        state.closed.push(name)
      },
    })
    return (now: number) => {
      idleSince = now
    }
  }
  const closeOldest = (client?: string) => {
    const taken = list.takeOldest(client)
    return taken !== undefined && list.close(taken)
  }
  return { list, closeOldest, state, add }
}

t.test('the connection that has been idle longest is closed, of all or of one client, and none twice', async (t) => {
  const { closeOldest, state, add } = makeList()
  add('a1', 'a', 300)
  add('b1', 'b', 100)
  add('a2', 'a', 200)
  add('nobody', undefined, 50)
  add('busy', 'a', Number.POSITIVE_INFINITY)
  t.ok(closeOldest('a'))
  t.ok(closeOldest())
  t.ok(closeOldest())
  t.ok(closeOldest())
  t.notOk(closeOldest('a'), 'the other way found it before')
  t.notOk(closeOldest('b'))
  t.notOk(closeOldest('c'))
  t.notOk(closeOldest())
  t.same(state.closed, ['a2', 'nobody', 'b1', 'a1'])
})

t.test('whoever comes at the limit again and again causes few looks at all connections', async (t) => {
  const { closeOldest, state, add } = makeList()
  for (let index = 0; index < 1000; index++) add(`b${index}`, 'b', Number.POSITIVE_INFINITY)
  for (let count = 0; count < 1000; count++) {
    t.equal(closeOldest('a'), false)
    state.now += 0.1
  }
  // 100 ms in which each look serves for 10 ms.
  t.ok(state.reads <= 11 * 1000, `${state.reads} reads`)
})

t.test('a look at few connections is made again at once, at many seldom', async (t) => {
  for (const [count, pause] of [
    [10, 0.1],
    [10_000, 100],
  ] as const) {
    const { closeOldest, state, add } = makeList()
    for (let index = 0; index < count; index++) add(`b${index}`, 'b', Number.POSITIVE_INFINITY)
    t.notOk(closeOldest('a'))
    add('a', 'a', state.now)
    state.now += pause * 0.9
    t.notOk(closeOldest('a'), `${count} connections: after ${pause * 0.9} ms`)
    state.now += pause * 0.2
    t.ok(closeOldest('a'), `${count} connections: after ${pause * 1.1} ms`)
  }
})

t.test('a connection that was taken is not taken again, and stays if it is used before it is closed', async (t) => {
  const { list, state, add } = makeList()
  const used = add('used', 'a', 100)
  add('other', 'a', 200)
  const first = list.takeOldest('a')!
  const second = list.takeOldest('a')!
  state.now += 1_000
  t.equal(list.takeOldest('a'), undefined, 'both are taken')
  used(state.now)
  t.notOk(list.close(first))
  t.ok(list.close(second))
  t.same(state.closed, ['other'])
  state.now += 1
  const again = list.takeOldest()!
  t.equal(again[1], state.now - 1)
  t.ok(list.close(again))
})
