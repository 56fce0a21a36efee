/** Lists of addresses, `satisfy`, and limits of clients (IP, AC, RL). */
import type { NginxAnnotation, NginxFeature, NginxReader } from './feature.ts'
import { NUMBER, RANGES } from './feature.ts'

/** The most that rate-limit and concurrency-limit take. */
const MOST_RATE = 1_000_000
const MOST_AT_ONCE = 100_000
const USUAL_MULTIPLIER = 5
/** RL2, RL4: the status of what is refused, unless the ConfigMap of the controller says another. */
const REFUSED = '503'

const LIST: NginxAnnotation = { form: RANGES, onFault: 'closed', options: ['allow-source-range'] }

export const SOURCE_RANGES: NginxFeature = {
  scope: 'location',
  annotations: {
    'allowlist-source-range': LIST,
    'whitelist-source-range': LIST,
    'denylist-source-range': {
      ...LIST,
      options: ['deny-source-range'],
      differs: 'a client that is denied stays out with `satisfy: any` too',
    },
  },
  write(nginx) {
    const name = firstOf(nginx, 'allowlist-source-range', 'whitelist-source-range')
    nginx.copy(name, 'allow-source-range')
    nginx.copy('denylist-source-range', 'deny-source-range')
  },
}

export const SATISFY: NginxFeature = {
  scope: 'location',
  annotations: {
    satisfy: {
      form: { pattern: /^(?:any|all)$/, fault: 'is neither any nor all', help: 'write "any" or "all"' },
      onFault: 'default',
      options: ['satisfy'],
    },
  },
  write: (nginx) => nginx.copy('satisfy', 'satisfy'),
}

const NETWORKS = 'an IPv6 client is its /64 network, and each worker counts its part'
const RATE: NginxAnnotation = {
  form: NUMBER,
  onFault: 'refused',
  options: ['rate-limit', 'rate-limit-burst', 'rate-limit-status'],
  differs: NETWORKS,
}
const EXEMPT: NginxAnnotation = {
  form: RANGES,
  onFault: 'closed',
  options: ['rate-limit-exempt', 'concurrency-limit-exempt'],
}

/** RL2: a leaky bucket with `nodelay` lets a burst and one request more through at once, and is a token bucket of that size. */
export const LIMITS: NginxFeature = {
  scope: 'location',
  annotations: {
    'limit-rps': RATE,
    'limit-rpm': RATE,
    'limit-connections': {
      form: NUMBER,
      onFault: 'refused',
      options: ['concurrency-limit', 'concurrency-limit-status'],
      differs: NETWORKS,
    },
    'limit-burst-multiplier': { form: NUMBER, onFault: 'refused', options: ['rate-limit-burst'] },
    'limit-allowlist': EXEMPT,
    'limit-whitelist': EXEMPT,
  },
  write(nginx) {
    const multiplier = readCount(nginx, 'limit-burst-multiplier') || USUAL_MULTIPLIER
    const rates = (['limit-rps', 'limit-rpm'] as const).flatMap((name) => {
      const count = Math.min(readCount(nginx, name), MOST_RATE)
      return count === 0 ? [] : [{ name, rate: `${count}/${name.at(-1)}`, burst: count * multiplier + 1 }]
    })
    const exempt = firstOf(nginx, 'limit-allowlist', 'limit-whitelist')
    const [first] = rates
    if (first !== undefined) {
      nginx.set('rate-limit', rates.map(({ rate }) => rate).join(', '), first.name)
      const bursts = rates.map(({ burst }) => Math.min(burst, MOST_RATE))
      nginx.set('rate-limit-burst', bursts.join(', '), first.name)
      nginx.set('rate-limit-status', nginx.controller('limit-req-status-code') ?? REFUSED, first.name)
      nginx.copy(exempt, 'rate-limit-exempt')
    }
    const atOnce = Math.min(readCount(nginx, 'limit-connections'), MOST_AT_ONCE)
    if (atOnce === 0) return
    nginx.set('concurrency-limit', String(atOnce), 'limit-connections')
    const status = nginx.controller('limit-conn-status-code') ?? REFUSED
    nginx.set('concurrency-limit-status', status, 'limit-connections')
    nginx.copy(exempt, 'concurrency-limit-exempt')
  },
}

/** KB a second, and KB; the least and the most that `bandwidth` takes. */
const SLOWEST = 4
const FASTEST = 1_048_576

export const BANDWIDTH: NginxFeature = {
  scope: 'location',
  annotations: {
    'limit-rate': {
      form: NUMBER,
      onFault: 'refused',
      options: ['bandwidth'],
      differs: 'from 4 KB to 1 GB a second',
    },
    'limit-rate-after': { form: NUMBER, onFault: 'refused', options: ['bandwidth-after'] },
  },
  write(nginx) {
    const rate = readCount(nginx, 'limit-rate')
    if (rate === 0) return
    nginx.set('bandwidth', `${Math.min(Math.max(rate, SLOWEST), FASTEST)}Ki`, 'limit-rate')
    const after = readCount(nginx, 'limit-rate-after')
    if (after > 0) nginx.set('bandwidth-after', `${Math.min(after, FASTEST)}Ki`, 'limit-rate-after')
  },
}

/** RL7: 0 is no limit. */
function readCount(nginx: NginxReader, name: string): number {
  return Math.max(0, nginx.number(name) ?? 0)
}

/** The first that is written; the last where none is. */
function firstOf(nginx: NginxReader, name: string, other: string): string {
  return nginx.text(name) === undefined ? other : name
}
