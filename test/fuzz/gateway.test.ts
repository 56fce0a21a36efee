/** The fuzzer of whole gateways, for a few seconds; and that it sees what it looks for. */
import t from 'tap'
import { until } from '../helpers/until.ts'
import { matchSightings } from './connection-judge.ts'
import { makePlan } from './connection-plan.ts'
import { GatewayFuzz } from './gateway-fuzz.ts'

const LIMITS = { mostBytes: 512 * 2 ** 20, reduceMs: 20_000 }
const CONNECTIONS = 500

t.setTimeout(120_000)

t.test('connections of a fixed seed end no worker, hide no request and leave nothing behind', async (t) => {
  const { played, connected, answered, sighted, failure } = await new GatewayFuzz({
    seed: 1,
    connections: CONNECTIONS,
    ...LIMITS,
  }).run()
  t.equal(failure, undefined)
  t.equal(played, CONNECTIONS)
  t.ok(connected > CONNECTIONS * 0.95, `${connected} came about`)
  t.ok(answered > CONNECTIONS / 4, `${answered} were answered`)
  t.ok(sighted > CONNECTIONS / 8, `endpoints saw ${sighted} requests`)
})

t.test('a worker that ends is a fault', async (t) => {
  const { failure } = await new GatewayFuzz({
    seed: 2,
    connections: 0,
    only: [0],
    ...LIMITS,
    onStart: async ([lane]) => {
      const [pid] = await lane!.workers()
      process.kill(pid!, 'SIGKILL')
      await until(() => lane!.fault !== undefined)
    },
  }).run()
  t.match(failure, /^seed 2: .*(worker ended unexpectedly|was not served)/)
})

t.test('what a connection does comes of the seed and its number', async (t) => {
  t.same(makePlan(7, 1001), makePlan(7, 1001))
  t.not(JSON.stringify(makePlan(7, 1001)), JSON.stringify(makePlan(8, 1001)))
})

t.test('a request that was not sent, or is another than was sent, is a fault', async (t) => {
  const sent = [
    { method: 'POST', target: 'http://a.test/x/%2e./a', body: Buffer.from('b'), isWhole: true },
    { method: 'GET', target: '/cut', body: undefined, isWhole: false },
  ]
  const seen = { method: 'POST', target: '/a', body: Buffer.from('b') }
  t.equal(matchSightings(sent, [seen, { method: 'GET', target: '/cut', body: undefined }]), undefined)
  t.equal(matchSightings(sent, [seen, seen]), undefined, 'it may be tried again')
  t.match(matchSightings(sent, Array(5).fill(seen)) ?? '', /an endpoint saw/, 'but not for ever')
  t.match(matchSightings(sent, [{ method: 'GET', target: '/smuggled', body: undefined }]), /\/smuggled/)
  t.match(matchSightings(sent, [{ ...seen, body: Buffer.from('c') }]), /an endpoint saw/)
  t.match(matchSightings(sent, [{ method: 'GET', target: '/cut', body: Buffer.alloc(0) }]), /an endpoint saw/)
})
