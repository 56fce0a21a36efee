/** The adaptive limit against endpoints and a queue that are reckoned, a hundredth of a second at a time. */
import t from 'tap'
import { AdaptiveLimit, LEAST_LIMIT, SAMPLE_MS } from '../../../lib/upstream/endpoint/adaptive-limit.ts'

const CAPACITY = 1024
const STEP_MS = 10
const PATIENCE_MS = 1000
const MAX_QUEUE = 1024
const UNLIMITED = Number.POSITIVE_INFINITY

/** When does it answer what it is sent now? */
type Endpoint = (now: number) => number

/** Works on so many at once, each for so long; the others wait there in the order in which they came. */
function workers(count: number, ms: number | ((now: number) => number)): Endpoint {
  const freeAt = new Array<number>(count).fill(0)
  return (now) => {
    const at = freeAt.indexOf(Math.min(...freeAt))
    const start = Math.max(now, freeAt[at]!)
    freeAt[at] = start + (typeof ms === 'number' ? ms : ms(start))
    return freeAt[at]!
  }
}

/** Works on all at once, on each for so long. */
const concurrent =
  (ms: (now: number) => number): Endpoint =>
  (now) =>
    now + ms(now)

/** In turn one of these. */
function mixed(...endpoints: readonly Endpoint[]): Endpoint {
  let turn = 0
  return (now) => endpoints[turn++ % endpoints.length]!(now)
}

/** The same at each run. */
function createRandom(): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 48271) >>> 0) % 2147483647
    return state / 2147483647
  }
}

type Request = { cameAt: number; sentAt: number; answeredAt: number }

type Seen = {
  /** Answers a second, and those of them within a second of when their request came. */
  rate: number
  good: number
  refused: number
  /** Most that were under way at once. */
  most: number
  lowestLimit: number
}

class Load {
  readonly limit = new AdaptiveLimit()
  unanswered: Request[] = []
  waiting: Request[] = []
  answered = 0
  now = 0
  #carry = 0
  #quickestMs = Number.POSITIVE_INFINITY
  #nextSample = 0

  /** `rate` requests a second come for so many seconds; those that find no room within a second are refused. */
  run(endpoint: Endpoint, rate: number, seconds: number, random: () => number = () => 0.5): Seen {
    const seen: Seen = { rate: 0, good: 0, refused: 0, most: 0, lowestLimit: this.limit.value }
    const end = this.now + seconds * 1000
    while (this.now < end) {
      this.now += STEP_MS
      this.#carry += ((rate * STEP_MS) / 1000) * random() * 2
      this.come(Math.floor(this.#carry))
      this.#carry %= 1
      this.#answer(seen)
      seen.refused += this.#refuse()
      this.#send(endpoint)
      seen.most = Math.max(seen.most, this.unanswered.length)
      this.#sample()
      seen.lowestLimit = Math.min(seen.lowestLimit, this.limit.value)
    }
    seen.rate /= seconds
    seen.good /= seconds
    return seen
  }

  /** So many requests come at once. */
  come(count: number): void {
    for (let left = count; left > 0; left--) this.waiting.push({ cameAt: this.now, sentAt: 0, answeredAt: 0 })
  }

  get #isFull(): boolean {
    return this.unanswered.length >= Math.min(this.limit.value, CAPACITY)
  }

  #answer(seen: Seen): void {
    const left = this.unanswered.filter(({ answeredAt }) => answeredAt > this.now)
    for (const { cameAt, sentAt, answeredAt } of this.unanswered) {
      if (answeredAt > this.now) continue
      this.answered++
      seen.rate++
      if (answeredAt - cameAt <= 1000) seen.good++
      this.#quickestMs = Math.min(this.#quickestMs, answeredAt - sentAt)
    }
    this.unanswered = left
  }

  #refuse(): number {
    const before = this.waiting.length
    this.waiting = this.waiting.filter(({ cameAt }) => this.now - cameAt < PATIENCE_MS)
    return before - this.waiting.length
  }

  /** As the queue does: the newest first when one has waited for half of its time. */
  #send(endpoint: Endpoint): void {
    while (!this.#isFull && this.waiting.length > 0) {
      const isOverloaded = this.now - this.waiting[0]!.cameAt > PATIENCE_MS / 2
      const next = isOverloaded ? this.waiting.pop()! : this.waiting.shift()!
      next.sentAt = this.now
      next.answeredAt = endpoint(this.now)
      this.unanswered.push(next)
    }
    this.waiting.splice(MAX_QUEUE)
  }

  #sample(): void {
    if (
      this.now < this.#nextSample ||
      (this.unanswered.length < LEAST_LIMIT && this.limit.value === Number.POSITIVE_INFINITY)
    )
      return
    this.#nextSample = this.now + SAMPLE_MS
    this.limit.sample({
      now: this.now,
      unanswered: this.unanswered.length,
      answered: this.answered,
      quickestMs: this.#quickestMs,
      capacity: CAPACITY,
      isWanted: this.waiting.length > 0,
      isFull: this.#isFull,
    })
    this.#quickestMs = Number.POSITIVE_INFINITY
  }
}

/** At work for long enough to be used to load. */
function workOn(load: Load, endpoint: Endpoint): void {
  load.run(endpoint, 390, 15, createRandom())
}

const exponential =
  (mean: number, random = createRandom()) =>
  (): number =>
    -mean * Math.log(1 - random())

t.test('an endpoint asked three times too much never gets seconds of work, and answers in time', async (t) => {
  for (const times of [1.5, 2, 3]) {
    const load = new Load()
    const endpoint = workers(8, exponential(20))
    workOn(load, endpoint)
    const first = load.run(endpoint, 400 * times, 5, createRandom())
    const then = load.run(endpoint, 400 * times, 20, createRandom())
    t.ok(
      first.good > 0.9 * 400,
      `${times}: ${first.good} of 400 answers a second within a second of their request, at first`,
    )
    t.ok(then.good > 0.95 * 400, `${times}: ${then.good} afterwards`)
    t.ok(first.most < 400, `${times}: ${first.most} at once`)
    t.ok(then.most <= 128, `${times}: ${then.most} at once afterwards`)
  }
})

t.test('an overloaded endpoint that stands still now and then', async (t) => {
  for (const ms of [200, 400, 800]) {
    const load = new Load()
    const work = exponential(20)
    const endpoint = workers(8, (now) => {
      const into = now % 5000
      return now > 16_000 && into < ms ? ms - into : work()
    })
    workOn(load, endpoint)
    const { good } = load.run(endpoint, 1200, 30, createRandom())
    const possible = (400 * (5000 - ms)) / 5000
    t.ok(good > 0.85 * possible, `${ms} ms: ${good} of ${possible}`)
  }
})

t.test('an endpoint that answers a tenth of what it did is found out within twenty seconds', async (t) => {
  const load = new Load()
  const endpoint = workers(8, (now) => (now < 20_000 ? 2 : 20))
  load.run(endpoint, 3900, 20, createRandom())
  load.run(endpoint, 1200, 20, createRandom())
  const { good } = load.run(endpoint, 1200, 20, createRandom())
  t.ok(good > 0.9 * 400, `${good} of 400`)
})

t.test('a flood fills it at once, but not for long', async (t) => {
  const load = new Load()
  const endpoint = workers(8, exponential(20))
  workOn(load, endpoint)
  load.run(endpoint, 20_000, 3)
  const { good, most } = load.run(endpoint, 20_000, 10)
  t.ok(good > 0.95 * 400, `${good} of 400`)
  t.ok(most <= 128, `${most} at once`)
})

t.test('an endpoint that is new to load is found out only once it is full', async (t) => {
  const load = new Load()
  const endpoint = workers(8, 20)
  load.run(endpoint, 20_000, 20)
  const { rate, most } = load.run(endpoint, 20_000, 20)
  t.ok(rate > 390, `${rate} answers a second`)
  t.ok(most <= 128 && most >= LEAST_LIMIT, `${most} at once`)
})

t.test('where it could do more, half as many cost little', async (t) => {
  const load = new Load()
  const { rate } = load.run(
    concurrent(() => 2000),
    20_000,
    120,
  )
  t.ok(rate > 480, `${rate} of 512 answers a second`)
})

t.test('the limit goes when nobody waits any more', async (t) => {
  const load = new Load()
  const endpoint = workers(8, 20)
  workOn(load, endpoint)
  load.run(endpoint, 1200, 10)
  t.ok(load.limit.value < CAPACITY)
  load.run(endpoint, 100, 30)
  t.equal(load.limit.value, UNLIMITED)
})

t.test('an endpoint that recovers is asked more again', async (t) => {
  const load = new Load()
  load.run(workers(8, 20), 3000, 20)
  t.ok(load.limit.value < 128)
  const recovered = concurrent(() => 300)
  load.run(recovered, 3000, 120)
  const { rate } = load.run(recovered, 3000, 10)
  t.ok(rate > 2500, `${rate} of 3000`)
})

// Without overload no limit is set, or none that costs anything: a request that is refused for nothing is worse than a late answer.

t.test('bursts', async (t) => {
  for (const background of [0, 100, 200]) {
    const load = new Load()
    const endpoint = workers(8, 20)
    workOn(load, endpoint)
    for (const size of [100, 200, 300, 390]) {
      load.come(size)
      t.equal(load.run(endpoint, background, 4).refused, 0, `${size} over ${background} a second`)
    }
  }
})

t.test('more requests for an endpoint that takes long for each, however many it has', async (t) => {
  for (const ms of [100, 300, 600, 1000, 2000]) {
    const load = new Load()
    const random = createRandom()
    const endpoint = concurrent(() => ms * (0.7 + 0.6 * random()))
    const most = 800_000 / ms
    for (const part of [0.1, 0.9, 0.1, 0.5]) {
      const { refused, lowestLimit } = load.run(endpoint, most * part, 10, random)
      t.equal(refused, 0, `${ms} ms, ${part}`)
      t.equal(lowestLimit, UNLIMITED, `${ms} ms, ${part}`)
    }
  }
})

t.test('long polls', async (t) => {
  const load = new Load()
  workOn(load, workers(8, 20))
  load.run(
    concurrent(() => 60_000),
    2000,
    50,
  )
  t.equal(load.limit.value, UNLIMITED)
})

t.test('quick and slow requests', async (t) => {
  for (const slow of [500, 1500, 5000]) {
    const load = new Load()
    const random = createRandom()
    const endpoint = mixed(
      concurrent(() => 20 + 10 * random()),
      concurrent(() => slow * (0.7 + 0.6 * random())),
    )
    for (const part of [0.1, 1, 0.1, 1]) {
      const { refused, lowestLimit } = load.run(endpoint, (1_600_000 / slow) * part, 10, random)
      t.equal(refused, 0, `${slow} ms, ${part}`)
      t.equal(lowestLimit, UNLIMITED, `${slow} ms, ${part}`)
    }
  }
})

t.test('an endpoint that has just started and is slow at first', async (t) => {
  for (const ms of [40, 80, 200]) {
    for (const rate of [200, 300, 350]) {
      const cold = new Load()
      t.equal(
        cold.run(
          workers(8, (now) => (now < 1000 ? ms : 20)),
          rate,
          12,
        ).refused,
        0,
        `${ms} ms, ${rate} a second`,
      )
      const warming = new Load()
      const endpoint = workers(8, (now) => Math.max(20, ms - ((ms - 20) * now) / 2000))
      t.equal(warming.run(endpoint, rate, 12).refused, 0, `${ms} ms at first, ${rate} a second`)
    }
  }
})

t.test('an endpoint that stands still for a while', async (t) => {
  for (const ms of [300, 600, 900]) {
    for (const rate of [100, 300, 380]) {
      const load = new Load()
      const until = 20_000 + ms
      const endpoint = workers(8, (now) => (now > 20_000 && now < until ? until - now : 20))
      t.equal(load.run(endpoint, rate, 40).refused, 0, `${ms} ms, ${rate} a second`)
    }
  }
})

t.test('requests that become slow, at once or one after the other', async (t) => {
  for (const ms of [300, 600, 1000]) {
    for (const seconds of [0.01, 1, 5, 20]) {
      const load = new Load()
      const random = createRandom()
      const slowness = (now: number): number => Math.min(1, Math.max(0, (now - 10_000) / 1000 / seconds))
      const endpoint = concurrent((now) => (20 + (ms - 20) * slowness(now)) * (0.8 + 0.4 * random()))
      const { refused } = load.run(endpoint, 400, seconds + 30, random)
      t.equal(refused, 0, `${ms} ms within ${seconds} s`)
      t.ok(load.run(endpoint, 400, 10, random).rate > 360, `${ms} ms within ${seconds} s: all are answered`)
    }
  }
})

t.test(
  'requests that became slow beyond what the endpoint may have at once are not taken for too many for long',
  async (t) => {
    const load = new Load()
    load.run(
      concurrent(() => 2),
      4000,
      20,
    )
    const slow = concurrent(() => 2000)
    load.run(slow, 2000, 15)
    const { rate } = load.run(slow, 2000, 30)
    t.ok(rate > 480, `${rate} answers a second`)
  },
)
