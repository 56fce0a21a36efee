/** Limits how many requests may be under way at once. HOT */
import { createAddressSet } from '../base/cidr.ts'
import { GatewayError, tooManyUnderWay } from '../base/errors.ts'
import { PerClient } from '../base/per-client.ts'
import { printRanges, RANGES, readRanges } from './address-ranges.ts'
import { listOf } from './annotation-form.ts'
import {
  createKey,
  LIMIT_BY,
  LIMIT_STATUS,
  type LimitBy,
  printBy,
  readBy,
  readLimits,
  readStatus,
} from './limit-key.ts'
import { defineFilter, type FilterRequest, type Lease } from './spec.ts'

type Options = Readonly<{
  limits: readonly Readonly<{ count: number; by: LimitBy }>[]
  /** Ranges whose clients have no limit; undefined: none. */
  exempt: readonly string[] | undefined
  /** Of refused requests; undefined: that of their code. */
  status: number | undefined
}>

/** From 1 to 100,000. */
const COUNT = '0*(?:[1-9]\\d{0,4}|100000)'
/** Seconds until another one may have ended. */
const RETRY_AFTER = 1

export const CONCURRENCY_LIMIT = defineFilter<Options>({
  name: 'concurrency-limit',
  order: 112,
  isGuard: true,
  dependsOn: 'the number of requests under way',
  annotations: {
    'concurrency-limit': {
      about:
        'how many requests of each client may be under way at once, WebSockets and streams included; others are answered with 429, and with 503 where concurrency-limit-by is `route` or `all`. Several with commas between hold all at once',
      form: listOf(COUNT, 'is no number of requests', 'write a number from 1 to 100000'),
    },
    'concurrency-limit-by': {
      about:
        '`client` (where it is left out), `header:NAME`, `cookie:NAME`, `route` or `all`: the requests that are counted together. One value for all limits, or one for each',
      form: LIMIT_BY,
      needs: 'concurrency-limit',
    },
    'concurrency-limit-exempt': {
      about: 'addresses and CIDR ranges, with commas between, whose clients have no limit and are not counted',
      form: RANGES,
      needs: 'concurrency-limit',
    },
    'concurrency-limit-status': {
      about: 'the status of the answers that refuse, from 400 to 599, in place of 429 and 503',
      form: LIMIT_STATUS,
      needs: 'concurrency-limit',
    },
  },
  read(annotations) {
    const counts = readLimits(annotations, 'concurrency-limit')
    const exempt = readRanges(annotations, 'concurrency-limit-exempt')
    const by = counts && readBy(annotations, 'concurrency-limit-by', counts.length)
    if (counts === undefined || by === undefined) return undefined
    const twice = by.find((each, at) => by.indexOf(each) < at)
    if (twice !== undefined) {
      const help = 'keep the lowest limit, and give each limit something of its own to count by'
      annotations.refuse('concurrency-limit-by', `two limits count by ${twice}`, help)
    }
    const limits = counts.map((count, at) => ({ count: Number(count), by: by[at]! }))
    return { limits, exempt, status: readStatus(annotations, 'concurrency-limit-status') }
  },
  print: ({ limits, exempt, status }) =>
    [
      ...limits.map(({ count, by }) => `${count} under way ${printBy(by)}`),
      ...(exempt === undefined ? [] : [`none for ${printRanges(exempt)}`]),
      ...(status === undefined ? [] : [`refuses with ${status}`]),
    ].join('; '),
  create({ limits, exempt, status }, { processes, shared }) {
    const tables = shared(() => new Map<LimitBy, PerClient<Slots>>())
    const checks = limits.map(({ count, by }) => {
      const slots = tables.get(by) ?? new PerClient(() => new Slots())
      tables.set(by, slots)
      // Together the processes let no more through, unless the limit is below their number.
      return { count, most: Math.max(1, Math.floor(count / processes)), by, keyOf: createKey(by), slots }
    })
    const isExempt = exempt && createAddressSet(exempt)
    return {
      request(request) {
        if (isExempt?.has(request.clientAddress)) return undefined
        for (const { count, most, by, keyOf, slots } of checks) {
          const taken = slots.find(keyOf(request)).taken
          if (taken >= most) return refuse(by, taken, count, status)
        }
        for (const check of checks) check.slots.find(check.keyOf(request)).take(request)
        return undefined
      },
    }
  },
})

function refuse(by: LimitBy, taken: number, count: number, status: number | undefined): GatewayError {
  const detail = `${taken} are under way ${printBy(by)}: concurrency-limit`
  const answer = { retryAfter: RETRY_AFTER, status }
  return by === 'route' || by === 'all'
    ? new GatewayError('PORTICO_UP_OVERLOADED', detail, undefined, answer)
    : tooManyUnderWay(count, detail, answer)
}

/** The requests under way of one key. */
class Slots implements Lease {
  taken: number = 0

  get isEmpty(): boolean {
    return this.taken === 0
  }

  take(request: FilterRequest): void {
    this.taken++
    request.holdToEnd(this)
  }

  release(): void {
    this.taken--
  }
}
