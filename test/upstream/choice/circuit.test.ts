import t from 'tap'
import { GatewayError } from '../../../lib/base/errors.ts'
import { Circuit, type CircuitFlip, type CircuitLimits } from '../../../lib/upstream/choice/circuit.ts'

const POLICY = { errorRate: 50, minimumRequests: 4, openTime: 1_000 }
const LIMITS: CircuitLimits = { windowMs: 10_000, maxOpenMs: 3_000, probes: 2 }

/** A circuit with a clock that stands still. */
function open({ openTime = POLICY.openTime, limits = LIMITS } = {}) {
  const flips: CircuitFlip[] = []
  const circuit = new Circuit('default/web:80', { ...POLICY, openTime }, (flip) => flips.push(flip), limits)
  let now = 100_000
  return {
    circuit,
    flips,
    states: () => flips.map(({ state }) => state),
    pass(ms: number) {
      now += ms
    },
    /** Tries, each answered well or not before the next. */
    tries(...results: boolean[]) {
      for (const isGood of results) {
        const ticket = circuit.admit(now)
        if (ticket instanceof GatewayError) return ticket
        circuit.settle(ticket, isGood, now)
      }
      return undefined
    },
    admit: () => circuit.admit(now),
    settle: (ticket: number | GatewayError, isGood: boolean) => circuit.settle(ticket as number, isGood, now),
  }
}

t.test('it opens at the rate, not before there are enough tries', async (t) => {
  const one = open()
  t.equal(one.tries(false, false, false), undefined)
  t.equal(one.circuit.state, 'closed')
  one.tries(true, true, true, true, true, false)
  t.equal(one.circuit.state, 'closed', '4 of 9')
  one.tries(false)
  t.equal(one.circuit.state, 'open', '5 of 10')
})

t.test('what is long ago does not count', async (t) => {
  const one = open()
  one.tries(false, false, false)
  one.pass(10_001)
  one.tries(false, false, false)
  t.equal(one.circuit.state, 'closed')
  one.pass(5_000)
  one.tries(false)
  t.equal(one.circuit.state, 'open')
  t.match(one.flips, [{ state: 'open', reason: /^4 of 4 tries failed; / }])
})

t.test('open it refuses with the time that is left', async (t) => {
  const one = open({ openTime: 2_500 })
  one.tries(false, false, false, false)
  t.match(one.admit(), { code: 'PORTICO_UP_CIRCUIT_OPEN', status: 503, retryAfter: 3 })
  one.pass(2_000)
  t.match(one.admit(), { retryAfter: 1 })
  t.same(one.states(), ['open'], 'told once')
})

t.test('half-open it lets a few through; all good closes it', async (t) => {
  const one = open()
  one.tries(false, false, false, false)
  one.pass(1_000)
  const probes = [one.admit(), one.admit()]
  t.equal(one.circuit.state, 'half-open')
  t.match(one.admit(), { code: 'PORTICO_UP_CIRCUIT_OPEN', retryAfter: 1 }, 'no more than those')
  for (const probe of probes) one.settle(probe, true)
  t.same(one.states(), ['open', 'half-open', 'closed'])
  t.equal(one.tries(false, false, false), undefined, 'and it begins to count anew')
  t.equal(one.circuit.state, 'closed')
})

t.test('one bad probe opens it again, for longer each time', async (t) => {
  const one = open()
  one.tries(false, false, false, false)
  for (const time of [1_000, 2_000, 3_000, 3_000]) {
    one.pass(time - 1)
    t.type(one.admit(), GatewayError)
    one.pass(1)
    t.equal(one.tries(false), undefined)
    t.equal(one.circuit.state, 'open')
  }
  one.pass(3_000)
  one.tries(true, true)
  t.equal(one.circuit.state, 'closed')
  one.tries(false, false, false, false)
  one.pass(1_000)
  t.type(one.admit(), 'number', 'after it was closed the time is short again')
})

t.test('a try of another state decides nothing', async (t) => {
  const one = open()
  const old = one.admit()
  one.tries(false, false, false, false)
  one.settle(old, true)
  t.equal(one.circuit.state, 'open')
  one.pass(1_000)
  const probe = one.admit()
  one.settle(old, false)
  t.equal(one.circuit.state, 'half-open')
  one.settle(probe, false)
  t.equal(one.circuit.state, 'open')
})

t.test('a probe that was given up leaves its place', async (t) => {
  const one = open({ limits: { ...LIMITS, probes: 1 } })
  one.tries(false, false, false, false)
  one.pass(1_000)
  const probe = one.admit() as number
  t.type(one.admit(), GatewayError)
  one.circuit.abandon(probe)
  t.equal(one.tries(true), undefined)
  t.equal(one.circuit.state, 'closed')
})

t.test('who keeps a probe open for ever keeps the circuit open no longer than its open time', async (t) => {
  const one = open()
  one.tries(false, false, false, false)
  one.pass(1_000)
  const slow = [one.admit(), one.admit()]
  one.pass(999)
  t.type(one.admit(), GatewayError)
  one.pass(1)
  const others = [one.admit(), one.admit()]
  t.match(others, [Number, Number], 'others are let through in their place')
  t.type(one.admit(), GatewayError)
  one.circuit.abandon(slow[0] as number)
  t.type(one.admit(), GatewayError, 'a place that was given away is not left once more')
  for (const probe of others) one.settle(probe, true)
  t.equal(one.circuit.state, 'closed')
  t.same(one.states(), ['open', 'half-open', 'closed'])
  one.settle(slow[1]!, false)
  t.equal(one.circuit.state, 'closed')
})

t.test('a probe that is let through late does not lose what was answered well before', async (t) => {
  const one = open()
  one.tries(false, false, false, false)
  one.pass(1_000)
  one.admit()
  one.tries(true)
  one.pass(1_000)
  one.tries(true)
  t.equal(one.circuit.state, 'closed')
})

t.test('other limits hold from then on, and its state stays', async (t) => {
  const one = open()
  one.tries(false, false, false, false)
  one.circuit.update({ ...POLICY, minimumRequests: 1 })
  t.equal(one.circuit.state, 'open')
  one.pass(1_000)
  one.tries(true, true, false)
  t.equal(one.circuit.state, 'open')
})

t.test(
  'without limits of its own a circuit counts for ten seconds, opens for a minute at most and asks for three answers',
  async (t) => {
    const flips: CircuitFlip[] = []
    const circuit = new Circuit('default/web:80', { ...POLICY, openTime: 50_000 }, (flip) => flips.push(flip))
    const fail = (now: number) => circuit.settle(circuit.admit(now) as number, false, now)
    for (const now of [0, 0, 0, 10_000]) fail(now)
    t.equal(circuit.state, 'closed', 'the first three are forgotten')
    for (let count = 0; count < 3; count++) fail(10_000)
    t.match(flips, [{ state: 'open', reason: /^4 of 4 tries failed; no requests for 50 s$/ }])
    fail(60_000)
    t.match(flips.at(-1), { state: 'open', reason: /no requests for 60 s$/ })
    for (let count = 0; count < 3; count++) {
      t.not(circuit.state, 'closed')
      circuit.settle(circuit.admit(120_000) as number, true, 120_000)
    }
    t.equal(circuit.state, 'closed')
  },
)
