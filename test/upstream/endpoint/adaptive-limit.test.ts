/** The adaptive limit against endpoints that are reckoned, a hundredth of a second at a time. */
import t from 'tap'
import { AdaptiveLimit, LEAST_LIMIT, SAMPLE_MS } from '../../../lib/upstream/endpoint/adaptive-limit.ts'

const CAPACITY = 1024
const STEP_MS = 10

/** Where `unanswered` requests have been sent, how many does it answer in a step? Fractions add up. */
type Endpoint = (unanswered: number) => number

/** Works on so many at once, each for so long; the others wait there. */
const workers =
  (count: number, ms: number): Endpoint =>
  (unanswered) =>
    (Math.min(count, unanswered) * STEP_MS) / ms

class Load {
  readonly limit = new AdaptiveLimit()
  unanswered = 0
  answered = 0
  waiting = 0
  #now = 0
  #carry = 0
  #nextSample = SAMPLE_MS

  /** `rate` requests a second come for so many seconds; those that find no room within a second are refused. */
  run(endpoint: Endpoint, rate: number, seconds: number): number {
    const before = this.answered
    for (let step = 0; step < (seconds * 1000) / STEP_MS; step++) {
      this.#now += STEP_MS
      this.waiting = Math.min(this.waiting + (rate * STEP_MS) / 1000, rate)
      this.#carry += endpoint(this.unanswered)
      const done = Math.min(Math.floor(this.#carry), this.unanswered)
      this.#carry = done === this.unanswered ? 0 : this.#carry - done
      this.unanswered -= done
      this.answered += done
      const room = Math.floor(Math.min(this.limit.value, CAPACITY)) - this.unanswered
      const sent = Math.max(0, Math.min(room, Math.floor(this.waiting)))
      this.unanswered += sent
      this.waiting -= sent
      if (this.#now < this.#nextSample) continue
      this.#nextSample += SAMPLE_MS
      const isFull = this.unanswered >= Math.min(this.limit.value, CAPACITY)
      this.limit.sample({
        now: this.#now,
        unanswered: this.unanswered,
        answered: this.answered,
        capacity: CAPACITY,
        isWanted: this.waiting >= 1,
        isFull,
      })
    }
    return (this.answered - before) / seconds
  }
}

t.test('an endpoint asked three times too much gets few at once, and answers as many as before', async (t) => {
  const load = new Load()
  const endpoint = workers(8, 20)
  load.run(endpoint, 380, 5)
  t.equal(load.limit.value, Number.POSITIVE_INFINITY, 'nothing is done while it keeps up')
  load.run(endpoint, 1200, 8)
  t.ok(load.limit.value >= LEAST_LIMIT && load.limit.value <= 128, `${load.limit.value}`)
  const rate = load.run(endpoint, 1200, 20)
  t.ok(rate > 390, `${rate} answers a second`)
  t.ok(load.unanswered <= 256, `${load.unanswered} at once`)
})

t.test('nor need it have been seen with fewer before', async (t) => {
  const load = new Load()
  const endpoint = workers(8, 20)
  load.run(endpoint, 20_000, 20)
  t.ok(load.limit.value <= 128, `${load.limit.value}`)
  const rate = load.run(endpoint, 20_000, 20)
  t.ok(rate > 390, `${rate} answers a second`)
})

t.test('where it could do more, half as many cost little', async (t) => {
  const load = new Load()
  const slow = workers(5000, 2000)
  const rate = load.run(slow, 20_000, 120)
  t.ok(rate > 500, `${rate} of 512 answers a second`)
})

t.test('the limit goes when nobody waits any more', async (t) => {
  const load = new Load()
  const endpoint = workers(8, 20)
  load.run(endpoint, 1200, 10)
  t.ok(load.limit.value < CAPACITY)
  load.run(endpoint, 100, 30)
  t.equal(load.limit.value, Number.POSITIVE_INFINITY)
})

t.test('an endpoint that answers more the more it is asked is left alone, however full it is', async (t) => {
  const load = new Load()
  const slow = workers(5000, 2000)
  load.run(slow, 100, 10)
  load.run(slow, 400, 10)
  const rate = load.run(slow, 2000, 30)
  t.equal(load.limit.value, Number.POSITIVE_INFINITY)
  t.ok(rate > 500, `${rate} answers a second`)
})

t.test('requests that became slow are not taken for too many for long', async (t) => {
  const load = new Load()
  load.run(workers(5000, 2), 4000, 20)
  const slow = workers(5000, 2000)
  load.run(slow, 2000, 15)
  const rate = load.run(slow, 2000, 30)
  t.ok(rate > 500, `${rate} answers a second`)
})

t.test('an endpoint that recovers is asked more again', async (t) => {
  const load = new Load()
  load.run(workers(8, 20), 3000, 15)
  t.ok(load.limit.value < 128)
  const recovered = workers(5000, 300)
  load.run(recovered, 3000, 120)
  const rate = load.run(recovered, 3000, 10)
  t.ok(rate > 2500, `${rate} of 3000`)
})

t.test('connections that stay for long count for nothing', async (t) => {
  const load = new Load()
  load.run(() => 0, 2000, 60)
  t.equal(load.limit.value, Number.POSITIVE_INFINITY)
})
