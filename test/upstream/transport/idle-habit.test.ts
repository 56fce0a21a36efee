import t from 'tap'
import type { Connection } from '../../../lib/upstream/transport/connection.ts'
import { IdleHabit } from '../../../lib/upstream/transport/idle-habit.ts'

/** Free since time 0. */
function connection(changes: Partial<Connection> = {}): Connection {
  return { idleSince: 0, idleLimit: Number.POSITIVE_INFINITY, isPrivate: false, ...changes } as Connection
}

t.test('an endpoint of which nothing is known spares a connection for a second', async (t) => {
  const habit = new IdleHabit()
  t.equal(habit.spares(connection(), 1000), true)
  t.equal(habit.spares(connection(), 1001), false)
  t.equal(
    habit.spares(connection({ isPrivate: true }), 60_000),
    true,
    'and for as long as it may, one that knows its client',
  )
})

t.test('what the endpoint says of itself counts', async (t) => {
  const habit = new IdleHabit()
  t.equal(habit.spares(connection({ idleLimit: 4000 }), 4000), true)
  t.equal(habit.spares(connection({ idleLimit: 4000 }), 4001), false)
  t.equal(habit.spares(connection({ idleLimit: 500 }), 501), false)
})

t.test('half of the shortest time that was seen is safe', async (t) => {
  const habit = new IdleHabit()
  habit.note(800, 1000)
  habit.note(600, 1000)
  habit.note(3000, 1000)
  t.equal(habit.spares(connection({ idleSince: 1000 }), 1300), true)
  for (const known of [{}, { idleLimit: 4000 }, { isPrivate: true }]) {
    t.equal(habit.spares(connection({ idleSince: 1000, ...known }), 1301), false)
  }
})

t.test('what is not seen again is forgotten', async (t) => {
  const habit = new IdleHabit()
  const spares = (now: number) => habit.spares(connection({ idleSince: now - 400 }), now)
  habit.note(600, 1000)
  t.equal(spares(61_000), false)
  t.equal(spares(61_001), true)
  habit.note(700, 61_001)
  t.equal(habit.spares(connection({ idleSince: 61_001 }), 61_001 + 350), true, 'another time takes its place')
  habit.note(900, 90_000)
  t.equal(spares(150_000), false, 'one much like it keeps it')
  habit.note(3000, 150_000)
  t.equal(spares(150_001), true, 'a long one does not')
  habit.note(1, 160_000)
  t.equal(spares(160_000), false)
  habit.forget()
  t.equal(spares(160_000), true)
})
