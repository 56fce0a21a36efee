import t from 'tap'
import { DeadlineWatch, type Timed, UNWATCHED } from '../../lib/base/deadline.ts'

let now = 0
const clock = { now: () => now, monotonic: () => now }

class Waiting implements Timed {
  deadlineAt = Number.POSITIVE_INFINITY
  watchIndex = UNWATCHED
  calls = 0
  readonly #onCall: (self: Waiting) => void

  constructor(onCall: (self: Waiting) => void = () => {}) {
    this.#onCall = onCall
  }

  onDeadline(): void {
    this.calls++
    this.#onCall(this)
  }
}

/** Resolves when a tick has called it. */
function waitForTick(watch: DeadlineWatch): Promise<void> {
  return new Promise((resolve) => {
    const probe = new Waiting(() => {
      watch.delete(probe)
      resolve()
    })
    probe.deadlineAt = 0
    watch.add(probe)
    // The watch's own timer keeps no process alive.
    const alive = setInterval(() => probe.calls > 0 && clearInterval(alive), 10)
  })
}

t.test('only what has run out of time is called, at every tick until its deadline lies ahead', async (t) => {
  const watch = new DeadlineWatch(clock)
  const [never, early, late] = [new Waiting(), new Waiting(), new Waiting()]
  for (const each of [never, early, late]) watch.add(each)
  now = 1000
  early.deadlineAt = 1000
  late.deadlineAt = 1001
  await waitForTick(watch)
  t.ok(early.calls > 0)
  t.same([never.calls, late.calls], [0, 0])
  early.deadlineAt = 2000
  const before = early.calls
  late.deadlineAt = 900
  await waitForTick(watch)
  t.equal(early.calls, before)
  t.ok(late.calls > 0)
})

t.test('adding twice is adding once, and what was taken away is not called', async (t) => {
  const watch = new DeadlineWatch(clock)
  const all = [new Waiting(), new Waiting(), new Waiting(), new Waiting()]
  for (const each of all) {
    each.deadlineAt = 0
    watch.add(each)
    watch.add(each)
  }
  watch.delete(all[1]!)
  watch.delete(all[1]!)
  watch.delete(all[3]!)
  await waitForTick(watch)
  t.same(
    all.map(({ calls }) => calls > 0),
    [true, false, true, false],
  )
})

t.test('a callback may remove itself and others', async (t) => {
  const watch = new DeadlineWatch(clock)
  const all: Waiting[] = Array.from(
    { length: 9 },
    () =>
      new Waiting(() => {
        for (const each of all) watch.delete(each)
      }),
  )
  for (const each of all) {
    each.deadlineAt = 0
    watch.add(each)
  }
  await waitForTick(watch)
  t.equal(
    all.reduce((sum, { calls }) => sum + calls, 0),
    1,
  )
})
