/** Limits how many requests may come in a time: GCRA, a token bucket of which one number is kept for each key. HOT */
import { createAddressSet } from '../base/cidr.ts'
import { GatewayError, statusOf } from '../base/errors.ts'
import { flattenText } from '../base/flat-text.ts'
import { printRanges, RANGES, readRanges } from './address-ranges.ts'
import { listOf, oneOf } from './annotation-form.ts'
import {
  createKey,
  LIMIT_BY,
  LIMIT_STATUS,
  type LimitBy,
  printBy,
  readBy,
  readEach,
  readLimits,
  readStatus,
} from './limit-key.ts'
import { NoteKey } from './notes.ts'
import { defineFilter, type FilterEnvironment, type FilterRequest } from './spec.ts'

/** So many requests in so many milliseconds, and so many of them at once. */
type Rate = Readonly<{ count: number; period: number; burst: number; by: LimitBy }>

type Options = Readonly<{
  limits: readonly Rate[]
  /** Ranges whose clients have no limit; undefined: none. */
  exempt: readonly string[] | undefined
  /** All answers tell of the limits, not only those that refuse. */
  tellsAlways: boolean
  /** Of refused requests; undefined: 429. */
  status: number | undefined
}>

const PERIODS: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
])

/** From 1 to 1,000,000. */
const COUNT = '0*(?:[1-9]\\d{0,5}|1000000)'
/** Keys in each of two tables. */
const MAX_KEYS = 50_000
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
        'how many requests each client may send to the routes of the Ingress, as in 100/s, 600/m or 10/h; others are answered with 429. Several with commas between, as in `10/s, 1000/h`, hold all at once',
      form: listOf(
        `${COUNT}/[smh]`,
        'is no rate',
        'write requests a second, minute or hour, as in "100/s", "600/m" or "10/h"',
      ),
    },
    'rate-limit-burst': {
      about:
        'how many of these requests may come at once; where it is left out, as many as the limit allows in a second, and at least 1. One value for all limits, or one for each',
      form: listOf(COUNT, 'is no number of requests', 'write a number from 1 to 1000000'),
      needs: 'rate-limit',
    },
    'rate-limit-by': {
      about:
        '`client` (where it is left out), `header:NAME`, `cookie:NAME`, `route` or `all`: the requests that are counted together. One value for all limits, or one for each',
      form: LIMIT_BY,
      needs: 'rate-limit',
    },
    'rate-limit-exempt': {
      about: 'addresses and CIDR ranges, with commas between, whose clients have no limit and are not counted',
      form: RANGES,
      needs: 'rate-limit',
    },
    'rate-limit-fields': {
      about:
        '`refused` (where it is left out) or `always`: the answers that tell of the limits in `RateLimit` and `RateLimit-Policy`',
      form: oneOf(['refused', 'always']),
      needs: 'rate-limit',
    },
    'rate-limit-status': {
      about: 'the status of the answers that refuse, from 400 to 599 (`429`)',
      form: LIMIT_STATUS,
      needs: 'rate-limit',
    },
  },
  read(annotations) {
    const rates = readLimits(annotations, 'rate-limit')
    const exempt = readRanges(annotations, 'rate-limit-exempt')
    if (rates === undefined) return undefined
    const bursts = readEach(annotations, 'rate-limit-burst', rates.length, '')
    const by = readBy(annotations, 'rate-limit-by', rates.length)
    if (bursts === undefined || by === undefined) return undefined
    const limits = rates.map((rate, at) => {
      const [digits, unit] = rate.split('/') as [string, string]
      const count = Number(digits)
      const period = PERIODS.get(unit)!
      const burst = bursts[at] === '' ? findUsualBurst(count, period) : Number(bursts[at])
      return { count, period, burst, by: by[at]! }
    })
    const tellsAlways = annotations.text('rate-limit-fields') === 'always'
    return { limits, exempt, tellsAlways, status: readStatus(annotations, 'rate-limit-status') }
  },
  print: ({ limits, exempt, status }) =>
    [
      ...limits.map((rate) => `${printRate(rate)} ${printBy(rate.by)}, ${rate.burst} at once`),
      ...(exempt === undefined ? [] : [`none for ${printRanges(exempt)}`]),
      ...(status === undefined ? [] : [`refuses with ${status}`]),
    ].join('; '),
  create({ limits: rates, exempt, tellsAlways, status }, environment) {
    const { clock } = environment
    const limits = createLimits(rates, environment)
    const isExempt = exempt && createAddressSet(exempt)
    const refused = new NoteKey<true>()
    const refusal = status ?? statusOf('PORTICO_REQ_RATE_LIMITED')
    const policies = `RateLimit-Policy: ${limits.map(({ policy }) => policy).join(', ')}\r\n`
    return {
      request(request) {
        if (isExempt?.has(request.clientAddress)) return undefined
        const now = clock.monotonic()
        let longest = 0
        let reached: Limit | undefined
        for (const limit of limits) {
          const wait = limit.ask(request, now)
          if (wait <= longest) continue
          longest = wait
          reached = limit
        }
        if (longest === 0) {
          for (const limit of limits) limit.take(now)
          return undefined
        }
        request.notes.set(refused, true)
        const seconds = Math.ceil(longest / 1000)
        const { rate, text } = reached!
        return new GatewayError(
          'PORTICO_REQ_RATE_LIMITED',
          `the next may come in ${seconds}s: rate-limit ${text}`,
          undefined,
          {
            sentence: `The client sends too many requests: ${rate} are allowed.`,
            retryAfter: seconds,
            status,
          },
        )
      },
      response(head, request) {
        const isTold = tellsAlways
          ? !isExempt?.has(request.clientAddress)
          : head.status === refusal && request.notes.get(refused) === true
        if (!isTold) return
        const now = clock.monotonic()
        head.add(`${policies}RateLimit: ${limits.map((limit) => limit.describe(request, now)).join(', ')}\r\n`)
      },
    }
  },
})

function printRate({ count, period }: Rate): string {
  return `${count}/${[...PERIODS].find(([, each]) => each === period)![0]}`
}

function findUsualBurst(count: number, period: number): number {
  return Math.max(1, Math.floor((count * 1000) / period))
}

/** What keys have used stays theirs over reloads where there is a limit by the same, however strict it is now. */
function createLimits(
  rates: readonly Rate[],
  { processes, shared }: Omit<FilterEnvironment, 'clock'>,
): readonly Limit[] {
  const tables = shared(() => new Map<string, DueTimes>())
  const used = new Map<string, DueTimes>()
  const limits = rates.map((rate) => {
    const nth = [...used.keys()].filter((name) => name.startsWith(`${rate.by} `)).length
    const name = `${rate.by} ${nth}`
    const times = tables.get(name) ?? new DueTimes()
    used.set(name, times)
    return new Limit(rate, processes, times)
  })
  tables.clear()
  for (const [name, times] of used) tables.set(name, times)
  return limits
}

/** One limit. `ask` comes before `take`: a request that one limit refuses is counted by none. */
class Limit {
  /** An item of RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10 §3). */
  readonly policy: string
  /** `100/s`; and with what it counts by: `100/s a client`. */
  readonly rate: string
  readonly text: string
  readonly #name: string
  readonly #keyOf: (request: FilterRequest) => string
  readonly #times: DueTimes
  readonly #processes: number
  /** Milliseconds between two requests that come evenly, in this process. */
  readonly #interval: number
  /** How far requests may be before their time, in milliseconds. */
  readonly #ahead: number
  #key = ''
  #due = 0

  constructor(rate: Rate, processes: number, times: DueTimes) {
    const { count, period, burst, by } = rate
    this.rate = printRate(rate)
    this.text = `${this.rate} ${printBy(by)}`
    this.#name = `"${this.text}"`
    this.policy = `${this.#name};q=${count};w=${period / 1000}`
    this.#keyOf = createKey(by)
    this.#times = times
    this.#processes = processes
    this.#interval = (period / count) * processes
    this.#ahead = (Math.ceil(burst / processes) - 1) * this.#interval
  }

  /** The milliseconds to wait; 0: the request may come now. */
  ask(request: FilterRequest, now: number): number {
    this.#key = this.#keyOf(request)
    const known = this.#times.find(this.#key)
    // A limit that was stricter before a reload does not reach beyond it.
    this.#due = known === undefined ? now : Math.min(Math.max(known, now), now + this.#ahead + this.#interval)
    const wait = this.#due - now - this.#ahead
    return wait > ROUNDING ? wait : 0
  }

  /** Counts the request that was asked for last. */
  take(now: number): void {
    this.#times.set(this.#key, this.#due + this.#interval, now, this.#ahead + this.#interval)
  }

  /** An item of RateLimit (draft-ietf-httpapi-ratelimit-headers-10 §4): what other processes would let through is taken to be as much. */
  describe(request: FilterRequest, now: number): string {
    const wait = this.ask(request, now)
    if (wait > 0) return `${this.#name};r=0;t=${Math.ceil(wait / 1000)}`
    const left = Math.floor((now + this.#ahead - this.#due + ROUNDING) / this.#interval) + 1
    return `${this.#name};r=${left * this.#processes}`
  }
}

/**
 * The time at which the next request of each key would be due if its requests came evenly. A key whose time has passed may be
 * forgotten. There are two tables for that: the younger one becomes the older one after the longest time that a key can be ahead,
 * or when it is full. The older one is dropped whole then; where there are too many keys, these are the ones not asked about for longest.
 */
class DueTimes {
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  #turnedAt = Number.NEGATIVE_INFINITY

  find(key: string): number | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    // One that is refused again and again is not to be forgotten for that.
    if (old !== undefined && this.#young.size < MAX_KEYS) this.#young.set(flattenText(key), old)
    return old
  }

  /** `farthest`: the longest time that a key can be ahead. */
  set(key: string, due: number, now: number, farthest: number): void {
    if (now - this.#turnedAt >= farthest || this.#young.size >= MAX_KEYS) this.#turn(now, farthest)
    // A text cut out of the head of a request would keep the whole head.
    this.#young.set(this.#young.has(key) ? key : flattenText(key), due)
  }

  #turn(now: number, farthest: number): void {
    // The times of the younger table have passed as well.
    this.#old = now - this.#turnedAt >= 2 * farthest ? new Map() : this.#young
    this.#young = new Map()
    this.#turnedAt = now
  }
}
