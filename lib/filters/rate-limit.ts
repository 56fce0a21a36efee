/** Limits how many requests a client may send in a time: GCRA, one number a client. HOT */
import { GatewayError } from '../base/errors.ts'
import { matching } from './annotation-form.ts'
import { defineFilter } from './spec.ts'

/** So many requests in so many milliseconds, and so many of them at once. */
type Options = Readonly<{ count: number; period: number; burst: number }>

const PERIODS: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
])

const HELP = 'write requests a second, minute or hour, as in "100/s", "600/m" or "10/h"'
/** From 1 to 1,000,000. */
const COUNT = '0*(?:[1-9]\\d{0,5}|1000000)'
/** Clients in each of two tables. */
const MAX_CLIENTS = 50_000
/** Milliseconds; sums of fractions of milliseconds are never wrong by so much. */
const ROUNDING = 1e-3

export const RATE_LIMIT = defineFilter<Options>({
  name: 'rate-limit',
  order: 110,
  isGuard: true,
  dependsOn: 'the number of earlier requests',
  annotations: {
    'rate-limit': {
      about:
        'how many requests each client may send to the routes of the Ingress, as in 100/s, 600/m or 10/h; others are answered with 429. Each of several processes that carry traffic takes an equal part of the limit.',
      form: matching(new RegExp(`^${COUNT}/[smh]$`), 'is no rate', HELP),
    },
    'rate-limit-burst': {
      about:
        'how many of these requests may come at once; where it is left out, as many as the limit allows in a second, and at least 1',
      form: matching(new RegExp(`^${COUNT}$`), 'is no number of requests', 'write a number from 1 to 1000000'),
    },
  },
  read(annotations) {
    const rate = annotations.text('rate-limit')
    const burst = annotations.text('rate-limit-burst')
    if (rate === undefined) {
      const help = 'add portico.dev/rate-limit, as in "100/s"'
      if (burst !== undefined) annotations.refuse('rate-limit-burst', 'there is no limit beside it', help)
      return undefined
    }
    const [digits, unit] = rate.split('/') as [string, string]
    const count = Number(digits)
    const period = PERIODS.get(unit)!
    return { count, period, burst: burst === undefined ? findUsualBurst(count, period) : Number(burst) }
  },
  print: ({ count, period, burst }) => {
    const unit = [...PERIODS].find(([, each]) => each === period)![0]
    return `${count}/${unit} a client, ${burst} at once`
  },
  create({ count, period, burst }, { clock, processes, shared }) {
    const clients = shared(() => new ClientTimes())
    const interval = (period / count) * processes
    const ahead = (Math.ceil(burst / processes) - 1) * interval
    return {
      request({ clientNetwork }) {
        const wait = clients.take(clientNetwork, clock.monotonic(), interval, ahead)
        if (wait === 0) return undefined
        const seconds = Math.ceil(wait / 1000)
        return new GatewayError('PORTICO_REQ_RATE_LIMITED', `the next may come in ${seconds}s`, undefined, seconds)
      },
    }
  },
})

function findUsualBurst(count: number, period: number): number {
  return Math.max(1, Math.floor((count * 1000) / period))
}

/**
 * The time at which each client's next request would be due if its requests came evenly. A client whose time has passed
 * may be forgotten. There are two tables for that: the younger one becomes the older one after the longest time that a
 * client can be ahead, or when it is full. The older one is dropped whole then, and only a full table drops a client too early.
 */
export class ClientTimes {
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  #turnedAt = Number.NEGATIVE_INFINITY

  /** Counts a request, or gives the milliseconds to wait for the next. `ahead`: how far a client's requests may be before their time. */
  take(client: string, now: number, interval: number, ahead: number): number {
    const farthest = ahead + interval
    if (now - this.#turnedAt >= farthest || this.#young.size >= MAX_CLIENTS) this.#turn(now, farthest)
    const known = this.#young.get(client) ?? this.#old.get(client) ?? now
    // A limit that was stricter before a reload does not reach beyond it.
    const due = Math.min(Math.max(known, now), now + farthest)
    const wait = due - now - ahead
    if (wait > ROUNDING) return wait
    this.#young.set(client, due + interval)
    return 0
  }

  #turn(now: number, farthest: number): void {
    // The times of the younger table have passed as well.
    this.#old = now - this.#turnedAt >= 2 * farthest ? new Map() : this.#young
    this.#young = new Map()
    this.#turnedAt = now
  }
}
