/** Prints what a pick costs at 10 and 1,000 endpoints, for every balancer: `node dist/test/bench/balancing.js`. */
import { systemClock } from '../../lib/base/clock.ts'
import type { PickContext } from '../../lib/upstream/choice/pick-context.ts'
import { EndpointRegistry } from '../../lib/upstream/choice/registry.ts'
import type { EndpointState } from '../../lib/upstream/endpoint/endpoint.ts'
import { makeSettings } from '../helpers/settings.ts'
import { makeUpstream } from '../helpers/snapshot.ts'

const ROUNDS = 5
const PICKS = 500_000
/** Requests under way meanwhile. */
const AT_ONCE = 64

type Shape = Readonly<{ name: string; policy: Readonly<Record<string, unknown>>; weightOf?: (index: number) => number }>

const SHAPES: readonly Shape[] = [
  { name: 'round robin', policy: {} },
  { name: 'round robin, 3 weights', policy: {}, weightOf: (index) => (index % 3) + 1 },
  { name: 'round robin, all weights differ', policy: {}, weightOf: (index) => index + 1 },
  { name: 'least requests', policy: { balancer: 'least-requests' } },
  { name: 'least requests, 3 weights', policy: { balancer: 'least-requests' }, weightOf: (index) => (index % 3) + 1 },
  { name: 'power of two', policy: { balancer: 'power-of-two' } },
  { name: 'ewma', policy: { balancer: 'ewma' } },
  { name: 'random, 3 weights', policy: { balancer: 'random' }, weightOf: (index) => (index % 3) + 1 },
  { name: 'hash of the client IP, ring', policy: { balancer: 'hash' } },
  { name: 'hash of the client IP, maglev', policy: { balancer: 'hash', 'hash.table': 'maglev' } },
  { name: 'hash of a header, ring', policy: { balancer: 'hash', 'hash.by': 'header:x-user' } },
  { name: 'hash of the URI, ring, no bound', policy: { balancer: 'hash', 'hash.by': 'uri', 'hash.boundedLoad': 0 } },
  { name: 'affinity by client IP', policy: { 'affinity.type': 'client-ip' } },
  { name: 'affinity by cookie', policy: { 'affinity.type': 'cookie', 'affinity.cookie.name': 'sid' } },
]

for (const shape of SHAPES) {
  for (const count of [10, 1_000]) {
    const policy = Object.entries(shape.policy).map(([name, value]) => [`upstream.${name}`, value])
    const settings = makeSettings(Object.fromEntries(policy))
    const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
    const endpoints = Array.from({ length: count }, (_, index) => ({
      host: `10.0.${index >> 8}.${index & 255}`,
      port: 80,
      weight: Math.min(1_000, shape.weightOf?.(index) ?? 1),
    }))
    const pool = registry.pool(makeUpstream('web', endpoints), settings.upstream)
    pool.enter()
    const contexts = Array.from({ length: 4_096 }, (_, index): PickContext => {
      const clientAddress = `203.0.${index >> 8}.${index & 255}`
      const context = { clientAddress, hostname: 'web.test', target: `/shop/items/${index}?page=1` }
      const user = `user-${index}`
      return { ...context, header: (name) => (name === 'cookie' ? cookies[index] : user) }
    })
    const cookies: string[] = []
    const pick = (at: number): EndpointState => {
      const picked = pool.pick(contexts[at & 4_095]!, [])
      if (picked instanceof Error) throw picked
      return picked
    }
    const begun = process.cpuUsage()
    const first = pick(0)
    const firstMs = cpuNs(begun) / 1e6
    for (const state of pool.states) {
      const line = pool.answerLines(
        { header: () => undefined, scheme: 'http', startedAt: 0, match: { type: 'prefix', path: '/' } },
        state,
      )
      if (line !== '') cookies.push(/^Set-Cookie: ([^;]+)/.exec(line)![1]!)
    }
    for (let index = cookies.length; index > 0 && index < 4_096; index++) cookies.push(cookies[index % count]!)
    const alone = measure(pick)
    const underWay: EndpointState[] = Array.from({ length: AT_ONCE }, () => first)
    for (const state of underWay) state.begin()
    const whole = measure((at) => {
      const state = pick(at)
      state.begin()
      underWay[at % AT_ONCE]!.end()
      state.recordAnswer(200, 5)
      underWay[at % AT_ONCE] = state
    })
    console.log(
      `${shape.name.padEnd(33)} ${String(count).padStart(5)} endpoints  pick ${alone.toFixed(0).padStart(4)} ns  ` +
        `with begin, answer and end ${whole.toFixed(0).padStart(4)} ns  first ${firstMs.toFixed(1)} ms`,
    )
  }
}

/** Nanoseconds of processor time a call, the best of several rounds. */
function measure(run: (at: number) => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.cpuUsage()
    for (let at = 0; at < PICKS; at++) run(at)
    best = Math.min(best, cpuNs(start) / PICKS)
  }
  return best
}

/** Nanoseconds of processor time since then, which others on the machine do not add to. */
function cpuNs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start)
  return (user + system) * 1_000
}
