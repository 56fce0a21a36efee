/** What an endpoint takes for its load, by a clock that is set by hand. */
import t from 'tap'
import { SAMPLE_MS } from '../../../lib/upstream/endpoint/adaptive-limit.ts'
import { EndpointState } from '../../../lib/upstream/endpoint/endpoint.ts'
import { describeState } from '../balancer/candidate.ts'

const CAPACITY = 1024
/** Requests that it answers from one look to the next. */
const ANSWERS = 40

t.test(
  'requests whose clients leave do not make an endpoint seem quicker: it is found overloaded as soon',
  async (t) => {
    let now = 1000
    const clock = { now: () => now, monotonic: () => now }
    const queue = { size: 0, notify: () => {} }
    const endpoint = new EndpointState(...describeState('e', clock, queue))
    endpoint.capacity = CAPACITY
    let unanswered = 0
    /** From one look to the next: some come, some are answered, some leave. */
    const look = (come: number, leave: number): void => {
      queue.size += come
      for (; queue.size > 0 && unanswered < CAPACITY && endpoint.takes; queue.size--, unanswered++) endpoint.ask()
      const ms = (unanswered / ANSWERS) * SAMPLE_MS
      for (let count = 0; count < ANSWERS && unanswered > 0; count++, unanswered--) {
        endpoint.hear()
        endpoint.recordAnswer(200, ms)
      }
      for (let count = 0; count < leave && unanswered > 0; count++, unanswered--) endpoint.hear()
      now += SAMPLE_MS
      endpoint.onDeadline()
    }
    for (let count = 0; count < 100; count++) look(ANSWERS + (count === 0 ? 64 : 0), 0)
    for (let count = 0; count < 10; count++) look(ANSWERS + 64, 64)
    let most = 0
    for (let count = 0; count < 40; count++) {
      look(3 * ANSWERS, 0)
      most = Math.max(most, unanswered)
    }
    t.ok(most < CAPACITY / 2, `${most} requests at once`)
  },
)
