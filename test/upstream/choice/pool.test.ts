import t from 'tap'
import type { Clock } from '../../../lib/base/clock.ts'
import { GatewayError } from '../../../lib/base/errors.ts'
import type { PathMatch } from '../../../lib/model/route.ts'
import type { EndpointHealth, Upstream } from '../../../lib/model/upstream.ts'
import type { PickContext } from '../../../lib/upstream/choice/pick-context.ts'
import type { UpstreamPool } from '../../../lib/upstream/choice/pool.ts'
import { EndpointRegistry } from '../../../lib/upstream/choice/registry.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { type EndpointWords, makeUpstream } from '../../helpers/snapshot.ts'

type Words = Partial<PickContext> & { cookie?: string; fields?: Readonly<Record<string, string>> }

function by(words: Words = {}): PickContext {
  const { clientAddress = '127.0.0.1', hostname = '', target = '/', cookie, fields = {} } = words
  return { clientAddress, hostname, target, header: (name) => (name === 'cookie' ? cookie : fields[name]) }
}

const NOBODY = by()
const sick = (state: EndpointHealth['state'] = 'unhealthy'): EndpointHealth => ({ state, reason: 'test', since: 0 })

/** A registry whose clock and policy the test moves; pools come into force at once, as at a reload. */
function makeGround(policy: Readonly<Record<string, unknown>> = {}) {
  const read = (changes: Readonly<Record<string, unknown>>) =>
    makeSettings(Object.fromEntries(Object.entries(changes).map(([name, value]) => [`upstream.${name}`, value])))
  const ground = {
    ms: 1_000_000,
    settings: read(policy),
    endpoints: [] as readonly EndpointWords[],
    /** The pool of the same endpoints under another policy. */
    change: (policy: Readonly<Record<string, unknown>>): UpstreamPool => {
      ground.settings = read(policy)
      return ground.pool(ground.endpoints)
    },
    pool: (endpoints: readonly EndpointWords[], name: string = 'web'): UpstreamPool => {
      ground.endpoints = endpoints
      return ground.enter(makeUpstream(name, endpoints))
    },
    enter: (upstream: Upstream): UpstreamPool => {
      const pool = registry.pool(upstream, ground.settings.upstream)
      pool.enter()
      return pool
    },
  }
  const clock: Clock = { now: () => ground.ms, monotonic: () => ground.ms }
  const registry = new EndpointRegistry({ settings: () => ground.settings, clock, affinitySecret: Buffer.alloc(32, 7) })
  return Object.assign(ground, { registry })
}

function makePools(endpoints: readonly EndpointWords[]) {
  const { registry, pool, enter } = makeGround()
  return { registry, enter, pool: pool(endpoints) }
}

function pickPort(pool: UpstreamPool, context: PickContext = NOBODY): number | string {
  const picked = pool.pick(context, [])
  return picked instanceof GatewayError ? picked.code : picked.identity.port
}

const pickPorts = (pool: UpstreamPool, count: number, context: PickContext = NOBODY) =>
  Array.from({ length: count }, () => pickPort(pool, context))

const share = (pool: UpstreamPool, port: number, count: number, context?: PickContext) =>
  pickPorts(pool, count, context).filter((each) => each === port).length / count

t.test('S26a only ready endpoints are picked', async (t) => {
  const { pool } = makePools([{ port: 1 }, { port: 2, ready: false }, { port: 3 }])
  t.same(pickPorts(pool, 4), [1, 3, 1, 3])
})

t.test('S26c without a ready one, those that serve while they terminate', async (t) => {
  const draining = { ready: false, serving: true, terminating: true }
  const { pool } = makePools([
    { port: 1, ...draining },
    { port: 2, ...draining, terminating: false },
    { port: 3, ...draining, serving: false },
  ])
  t.same(pickPorts(pool, 2), [1, 1])
})

t.test('S27 nothing left is PORTICO_UP_NO_ENDPOINTS', async (t) => {
  for (const endpoints of [[], [{ port: 1, ready: false, serving: false }], [{ port: 1, weight: 0 }]]) {
    t.equal(pickPort(makePools(endpoints).pool), 'PORTICO_UP_NO_ENDPOINTS')
  }
})

const bad = (state: 'unhealthy' | 'ejected') => ({ health: { state, reason: 'GET /: 503', since: 0 } })
const good = { health: { state: 'healthy', reason: 'GET /: 200', since: 0 } } as const

t.test('endpoints that are not in good health are not picked', async (t) => {
  const { pool } = makePools([
    { port: 1, ...bad('unhealthy') },
    { port: 2, ...bad('ejected') },
    { port: 3, ...good },
  ])
  t.same(
    [1, 2].map(() => pickPort(pool)),
    [3, 3],
  )
})

t.test('in panic health is not looked at', async (t) => {
  const { enter } = makePools([])
  const upstream = makeUpstream('web', [
    { port: 1, ...bad('unhealthy') },
    { port: 2, ...bad('ejected') },
    { port: 3, ready: false },
  ])
  const pool = enter({ ...upstream, inPanic: true })
  t.same(
    [1, 2, 3].map(() => pickPort(pool)),
    [1, 2, 1],
  )
})

t.test('where none is in good health there is none, and the reason says so', async (t) => {
  const { pool } = makePools([
    { port: 1, ...bad('unhealthy') },
    { port: 2, ready: false },
  ])
  t.match(pool.pick(NOBODY, []), {
    code: 'PORTICO_UP_NO_ENDPOINTS',
    detail: 'default/web:80: none of its 1 ready endpoints is in good health (127.0.0.1:1: GET /: 503)',
  })
})

t.test('S26c those that are unhealthy are not ready either', async (t) => {
  const draining = { ready: false, serving: true, terminating: true }
  const { pool } = makePools([
    { port: 1, ...bad('unhealthy') },
    { port: 2, ...draining },
    { port: 3, ...draining, ...bad('unhealthy') },
  ])
  t.same(
    [1, 2].map(() => pickPort(pool)),
    [2, 2],
  )
})

t.test('endpoints that were tried are not picked again', async (t) => {
  const { pool } = makePools([{ port: 1 }, { port: 2 }])
  const [one, two] = pool.states
  t.equal(pool.pick(NOBODY, [one!]), two)
  t.type(pool.pick(NOBODY, [one!, two!]), GatewayError)
})

t.test('states and rotation outlive a reload, and are forgotten when nobody uses them', async (t) => {
  const { registry, enter, pool } = makePools([{ port: 1 }, { port: 2 }, { port: 3 }])
  t.equal(pickPort(pool), 1)
  const next = enter(makeUpstream('web', [{ port: 1 }, { port: 2 }, { port: 4 }]))
  t.equal(next.states[0], pool.states[0])
  t.equal(pickPort(next), 2, 'the rotation goes on')
  pool.states[2]!.inFlight++
  registry.retain([next])
  const ports = () => [...registry.states()].map((state) => state.identity.port).sort()
  t.same(ports(), [1, 2, 3, 4], 'a busy one stays')
  pool.states[2]!.inFlight--
  registry.retain([next])
  t.same(ports(), [1, 2, 4])
  await registry.close()
  t.same(ports(), [])
})

t.test('distant endpoints, and after them backups, get something only where nobody better can be had', async (t) => {
  const { pool } = makeGround()
  const near = { port: 1 }
  const distant = { port: 2, distant: true } as const
  const backup = { port: 3, backup: true } as const
  const all = pool([backup, distant, near])
  t.same(pickPorts(all, 3), [1, 1, 1])
  const [thirdState, secondState, firstState] = all.states
  t.equal(all.pick(NOBODY, [firstState!]), secondState, 'another try goes on to the distant')
  t.equal(all.pick(NOBODY, [firstState!, secondState!]), thirdState, 'and then to the backup')
  t.same(pickPorts(pool([backup, distant, { ...near, health: sick() }]), 2), [2, 2])
  t.same(pickPorts(pool([backup, { ...distant, ready: false, serving: false }]), 2), [3, 3])
  t.same(
    pickPorts(pool([backup, { ...distant, health: sick('ejected') }, { ...near, health: sick() }]), 2),
    [3, 3],
    'a backup in good health is better than others in bad health',
  )
  const allSick = pool([
    { ...backup, health: sick() },
    { ...near, health: sick() },
  ])
  t.same(pickPorts(allSick, 1), ['PORTICO_UP_NO_ENDPOINTS'], 'where all are in bad health nobody gets anything')
})

t.test('the balancer follows the settings, also where nothing else changes', async (t) => {
  const ground = makeGround()
  let pool = ground.pool([{ port: 1 }, { port: 2 }, { port: 3 }])
  t.same(pickPorts(pool, 4), [1, 2, 3, 1])
  pool = ground.change({ balancer: 'hash', 'hash.by': 'header:x-user' })
  const ann = by({ fields: { 'x-user': 'ann' } })
  t.equal(new Set(pickPorts(pool, 20, ann)).size, 1)
  t.equal(
    new Set(Array.from({ length: 60 }, (_, at) => pickPort(pool, by({ fields: { 'x-user': `u${at}` } })))).size,
    3,
  )
  pool = ground.change({ balancer: 'hash', 'hash.by': 'path' })
  const paths = (path: string) => pickPorts(pool, 5, by({ target: path }))
  t.equal(new Set([...paths('/a?1'), ...paths('/a?2')]).size, 1)
  pool = ground.change({ balancer: 'least-requests' })
  pool.states[0]!.begin()
  t.notOk(pickPorts(pool, 20).includes(1))
  pool.states[0]!.end()
  t.ok(pickPorts(pool, 20).includes(1))
  pool = ground.change({ maxQueue: 7 })
  t.same(pickPorts(pool, 3).sort(), [1, 2, 3], 'round robin again')
})

t.test('an unrelated setting takes no turn away', async (t) => {
  const ground = makeGround()
  const pool = ground.pool([{ port: 1 }, { port: 2 }, { port: 3 }])
  t.same(pickPorts(pool, 2), [1, 2])
  const after = ground.change({ tries: 3 })
  t.not(after, pool)
  t.same(pickPorts(after, 2), [3, 1])
})

t.test('a pool has its policy for ever; what outlives it follows the one that came into force last', async (t) => {
  const ground = makeGround({ maxRequests: 2, 'circuit.errorRate': 50 })
  const old = ground.pool([{ port: 1 }])
  const circuit = old.circuit
  ground.settings = makeSettings({ 'upstream.maxRequests': 5, 'upstream.circuit.errorRate': 0 })
  const next = ground.registry.pool(makeUpstream('web', [{ port: 1 }]), ground.settings.upstream)
  t.same([old.states[0]!.capacity, old.circuit === circuit], [2, true], 'a pool that has not entered changes nothing')
  t.equal(old.latest, old)
  next.enter()
  t.same([old.policy.maxRequests, next.policy.maxRequests], [2, 5])
  t.same([old.states[0]!.capacity, old.circuit], [5, undefined])
  t.same([old.latest, next.latest], [next, next])
})

t.test('a snapshot that is being left still balances, and takes nothing from the next', async (t) => {
  for (const balancer of ['least-requests', 'hash', 'ewma', 'power-of-two']) {
    const ground = makeGround({ balancer })
    const old = ground.pool([{ port: 1 }, { port: 2 }])
    const next = ground.pool([{ port: 1 }, { port: 2 }, { port: 3 }])
    t.type(pickPort(next), 'number')
    t.ok([1, 2].includes(Number(pickPort(old))))
    for (let count = 0; count < 30; count++) (next.pick(NOBODY, []) as (typeof next.states)[0]).begin()
    const loads = next.states.map(({ inFlight }) => inFlight)
    if (balancer === 'least-requests') t.same(loads, [10, 10, 10], 'the counts are still told to the newer')
    t.equal(
      loads.reduce((sum, load) => sum + load, 0),
      30,
    )
  }
})

t.test('slow start: who joins gets a tenth of its share at first, and all of it in the end', async (t) => {
  for (const balancer of ['round-robin', 'least-requests', 'random', 'power-of-two', 'ewma']) {
    const ground = makeGround({ balancer, slowStart: 10_000 })
    const old = ground.pool([{ port: 1 }, { port: 2 }, { port: 3 }])
    t.ok(Math.abs(share(old, 1, 3_000) - 1 / 3) < 0.05, `${balancer}: a pool that is all new is not slowed`)
    ground.ms += 60_000
    const pool = ground.pool([{ port: 1 }, { port: 2 }, { port: 3 }, { port: 4 }])
    for (const [after, of] of [
      [0, 0.1],
      [5_000, 0.55],
      [9_999, 1],
      [10_500, 1],
    ] as const) {
      const start = ground.ms
      ground.ms += after
      const expected = of / (3 + of)
      const got = share(pool, 4, 8_000)
      // Of two drawn the newcomer is compared like any other, so chance alone decides there too.
      t.ok(
        Math.abs(got - expected) < 0.03,
        `${balancer}: ${got.toFixed(3)} after ${after} ms, for ${expected.toFixed(3)}`,
      )
      ground.ms = start
    }
  }
})

t.test('slow start: who comes back to health has joined; who was there all along has not', async (t) => {
  const ground = makeGround({ slowStart: 10_000 })
  ground.pool([{ port: 1 }, { port: 2 }])
  ground.ms += 60_000
  ground.pool([{ port: 1 }, { port: 2, health: sick('ejected') }])
  ground.ms += 60_000
  const healed = ground.pool([{ port: 1 }, { port: 2, health: sick('healthy') }])
  t.ok(Math.abs(share(healed, 2, 1_100) - 0.1 / 1.1) < 0.01)
  ground.ms += 5_000
  const again = ground.pool([{ port: 1 }, { port: 2 }])
  t.ok(Math.abs(share(again, 2, 1_550) - 0.55 / 1.55) < 0.02, 'a reload does not begin it anew')
  ground.ms += 6_000
  t.equal(share(again, 2, 100), 0.5)
  const replaced = ground.pool([{ port: 3 }, { port: 4 }])
  t.equal(share(replaced, 3, 100), 0.5, 'all are new')
})

t.test('ClientIP affinity (S24)', async (t) => {
  const client = (at: number) => by({ clientAddress: `192.0.2.${at}` })
  const policy = { 'affinity.type': 'client-ip', 'affinity.timeout': 60_000 }
  const five = [1, 2, 3, 4, 5].map((port) => ({ port }))

  t.test('one client stays, clients spread', async (t) => {
    const ground = makeGround(policy)
    const pool = ground.pool(five)
    t.equal(new Set(pickPorts(pool, 50, client(1))).size, 1)
    t.equal(new Set(Array.from({ length: 100 }, (_, at) => pickPort(pool, client(at)))).size, 5)
  })

  t.test('workers that share nothing give a client the same endpoint', async (t) => {
    const [one, other] = [makeGround(policy).pool(five), makeGround(policy).pool(five)]
    for (let at = 0; at < 100; at++) t.equal(pickPort(one, client(at)), pickPort(other, client(at)))
  })

  t.test(
    'endpoints that come move nobody who was here of late; those that go move their own clients alone',
    async (t) => {
      const ground = makeGround(policy)
      const clients = Array.from({ length: 100 }, (_, at) => client(at))
      const pool = ground.pool(five)
      const before = clients.map((each) => pickPort(pool, each))
      const more = ground.pool([...five, { port: 6 }, { port: 7 }])
      t.same(
        clients.map((each) => pickPort(more, each)),
        before,
      )
      const fewer = ground.pool(five.slice(1))
      const after = clients.map((each) => pickPort(fewer, each))
      t.ok(after.every((port, at) => (before[at] === 1 ? port !== 1 : port === before[at])))
      const back = ground.pool(five)
      t.same(
        clients.map((each) => pickPort(back, each)),
        after,
        'who was given another stays with that',
      )
    },
  )

  t.test('the timeout counts from the last use', async (t) => {
    const ground = makeGround(policy)
    const few = ground.pool([{ port: 1 }])
    const clients = Array.from({ length: 40 }, (_, at) => client(at))
    for (const each of clients) pickPort(few, each)
    const pool = ground.pool(five)
    for (let step = 0; step < 5; step++) {
      ground.ms += 50_000
      t.ok(
        clients.every((each) => pickPort(pool, each) === 1),
        'each use renews it',
      )
    }
    ground.ms += 61_000
    t.ok(new Set(clients.map((each) => pickPort(pool, each))).size > 1, 'then all are given one anew')
  })

  t.test('a dead endpoint: another, or none', async (t) => {
    const ground = makeGround(policy)
    const pool = ground.pool(five)
    const first = pool.pick(client(1), [])
    const second = pool.pick(client(1), [first as (typeof pool.states)[0]])
    t.not(second, first)
    t.equal(pool.pick(client(1), []), second, 'it stays with whom it was given then')
    const { port } = (second as (typeof pool.states)[0]).identity
    ground.change({ ...policy, 'affinity.onDead': 'keep' })
    const sickOne = ground.pool(five.map((each) => (each.port === port ? { ...each, health: sick() } : each)))
    t.equal(pickPort(sickOne, client(1)), 'PORTICO_UP_AFFINITY_LOST', 'keep: until it is gone')
    ground.pool(five)
    t.equal(ground.change({ ...policy, 'affinity.onDead': 'refuse' }).pick(client(1), []), second)
    const left = ground.pool(five.filter(({ port }) => port !== (second as (typeof pool.states)[0]).identity.port))
    t.equal(pickPort(left, client(1)), 'PORTICO_UP_AFFINITY_LOST')
    t.type(pickPort(left, client(99)), 'number', 'who is new gets one')
    ground.ms += 61_000
    t.type(pickPort(left, client(1)), 'number', 'and so does who was forgotten')
  })

  t.test('what is remembered is bounded', async (t) => {
    const ground = makeGround({ ...policy, 'affinity.clients': 10 })
    const few = ground.pool([{ port: 1 }])
    for (let at = 0; at < 100; at++) pickPort(few, client(at))
    const pool = ground.pool([{ port: 2 }, { port: 1 }, { port: 3 }])
    const ports = Array.from({ length: 10 }, (_, at) => pickPort(pool, client(90 + at)))
    t.ok(
      ports.every((port) => port === 1),
      'the last ten are known',
    )
    const old = Array.from({ length: 30 }, (_, at) => pickPort(pool, client(at)))
    t.ok(new Set(old).size > 1, 'those before are not')
  })
})

t.test('cookie affinity', async (t) => {
  const policy = { 'affinity.type': 'cookie', 'affinity.cookie.name': 'sid' }
  const three = [1, 2, 3].map((port) => ({ port }))
  type Ground = ReturnType<typeof makeGround>
  let match: PathMatch = { type: 'prefix', path: '/' }
  /** The lines that an answer of this endpoint gets. */
  const linesOf = (pool: UpstreamPool, port: number, cookie?: string, scheme: 'http' | 'https' = 'http') =>
    pool.answerLines(
      { ...by(cookie === undefined ? {} : { cookie }), scheme, startedAt: 1_000, match },
      find(pool, port),
    )
  const find = (pool: UpstreamPool, port: number) => pool.states.find(({ identity }) => identity.port === port)!
  const cookieOf = (pool: UpstreamPool, port: number) => /^Set-Cookie: (\S+=[^;]+);/.exec(linesOf(pool, port))![1]!
  const start = (ground: Ground) => {
    const pool = ground.pool(three)
    pickPort(pool)
    return pool
  }

  t.test('without one the balancer chooses, and the answer sets it; with it nothing is set again', async (t) => {
    const pool = start(makeGround(policy))
    t.equal(new Set(pickPorts(pool, 3)).size, 3)
    for (const port of [1, 2, 3]) {
      const cookie = cookieOf(pool, port)
      t.same(pickPorts(pool, 5, by({ cookie: `a=b; ${cookie}; c=d` })), Array(5).fill(port))
      t.equal(linesOf(pool, port, cookie), '')
      t.match(cookie, /^sid=[\w-]{12}\.[\w-]{22}$/)
      t.match(linesOf(pool, (port % 3) + 1, cookie), /^Set-Cookie: sid=/, 'another one answered')
    }
    t.equal(
      linesOf(pool, 1),
      `Set-Cookie: ${cookieOf(pool, 1)}; Path=/; HttpOnly; SameSite=Lax\r\nCache-Control: private\r\n`,
    )
  })

  t.test('it outlives reloads and restarts with the same secret, and is worth nothing elsewhere', async (t) => {
    const ground = makeGround(policy)
    const cookie = cookieOf(start(ground), 2)
    const after = ground.pool([{ port: 4 }, { port: 2 }, { port: 5 }])
    t.same(pickPorts(after, 5, by({ cookie })), Array(5).fill(2))
    t.same(pickPorts(start(makeGround(policy)), 5, by({ cookie })), Array(5).fill(2))
    const other = ground.pool(three, 'other')
    t.equal(new Set(pickPorts(other, 3, by({ cookie }))).size, 3)
  })

  t.test('what is no cookie of ours counts for nothing', async (t) => {
    const ground = makeGround({ ...policy, 'affinity.onDead': 'refuse' })
    const pool = start(ground)
    const cookie = cookieOf(pool, 2)
    const hostile = [
      '',
      'sid=',
      'sid',
      'sid="',
      cookie.slice(0, -1),
      `${cookie}x`,
      cookie.slice(0, -1) + (cookie.endsWith('A') ? 'B' : 'A'),
      `sid=${'A'.repeat(12)}.${'A'.repeat(22)}`,
      `sid=${'é'.repeat(35)}`,
      `x${cookie}`,
      `sid=${'x'.repeat(20_000)}`,
      'sid=a;'.repeat(3_000),
      `sid=__proto__; ${cookie}`,
    ]
    for (const cookie of hostile) {
      t.equal(new Set(pickPorts(pool, 3, by({ cookie }))).size, 3, JSON.stringify(cookie.slice(0, 50)))
    }
    t.equal(
      pickPort(pool, by({ cookie: `\t${cookie.replace('=', '="')}" ;` })),
      2,
      'quotes and space around do not matter',
    )
  })

  t.test('a dead endpoint: another, or none', async (t) => {
    const ground = makeGround(policy)
    const cookie = cookieOf(start(ground), 2)
    for (const endpoints of [
      [{ port: 1 }, { port: 3 }],
      [{ port: 1 }, { port: 2, health: sick() }, { port: 3 }],
    ]) {
      ground.change(policy)
      let left = ground.pool(endpoints)
      t.same(pickPorts(left, 4, by({ cookie })).sort(), [1, 1, 3, 3], 'reassign')
      t.match(linesOf(left, 1, cookie), /^Set-Cookie: sid=/, 'and the answer tells which')
      left = ground.change({ ...policy, 'affinity.onDead': 'refuse' })
      t.equal(pickPort(left, by({ cookie })), 'PORTICO_UP_AFFINITY_LOST')
      t.type(pickPort(left), 'number')
    }
    const pool = ground.pool(three)
    t.match(pool.pick(by({ cookie }), [find(pool, 2)]), { code: 'PORTICO_UP_AFFINITY_LOST' }, 'one that was tried')
  })

  t.test('keep: clients stay with a dead endpoint until it is gone or not ready', async (t) => {
    const ground = makeGround({ ...policy, 'affinity.onDead': 'keep' })
    const cookie = cookieOf(start(ground), 2)
    const others = [{ port: 1 }, { port: 3 }]
    const sickOne = ground.pool([...others, { port: 2, health: sick() }])
    t.equal(pickPort(sickOne, by({ cookie })), 'PORTICO_UP_AFFINITY_LOST')
    t.type(pickPort(sickOne), 'number')
    t.equal(new Set(pickPorts(sickOne, 4, by({ cookie: `${cookie.slice(0, -1)}?` }))).size, 2, 'its signature counts')
    const pool = ground.pool(three)
    t.match(pool.pick(by({ cookie }), [find(pool, 2)]), { code: 'PORTICO_UP_AFFINITY_LOST' }, 'one that was tried')
    t.same(pickPorts(ground.pool(others), 4, by({ cookie })).sort(), [1, 1, 3, 3])
    const leaving = ground.pool([...others, { port: 2, ready: false, serving: true, terminating: true }])
    t.same(pickPorts(leaving, 4, by({ cookie })).sort(), [1, 1, 3, 3])
  })

  t.test('who was given a backup comes back when there is better', async (t) => {
    const ground = makeGround(policy)
    const backup = { port: 9, backup: true } as const
    const pool = ground.pool([{ port: 1, health: sick() }, backup])
    t.equal(pickPort(pool), 9)
    const cookie = cookieOf(pool, 9)
    t.equal(pickPort(ground.pool([{ port: 1 }, backup]), by({ cookie })), 1)
  })

  t.test('attributes are as the settings say', async (t) => {
    const ground = makeGround(policy)
    let pool = start(ground)
    const attributes = (changes: Readonly<Record<string, unknown>>, scheme: 'http' | 'https') => {
      const named = Object.entries(changes).map(([name, value]) => [`affinity.cookie.${name}`, value])
      pool = ground.change({ ...policy, ...Object.fromEntries(named) })
      pickPort(pool)
      return linesOf(pool, 1, undefined, scheme)
        .split('\r\n')[0]!
        .replace(/^[^;]*; /, '')
    }
    t.equal(attributes({}, 'https'), 'Path=/; Secure; HttpOnly; SameSite=Lax')
    t.equal(attributes({ secure: 'never' }, 'https'), 'Path=/; HttpOnly; SameSite=Lax')
    t.equal(attributes({ secure: 'always', httpOnly: false }, 'http'), 'Path=/; Secure; SameSite=Lax')
    t.equal(attributes({ sameSite: 'none' }, 'https'), 'Path=/; Secure; HttpOnly; SameSite=None')
    t.equal(attributes({ sameSite: 'none' }, 'http'), 'Path=/; HttpOnly', 'SameSite=None needs Secure')
    t.equal(attributes({ sameSite: 'unset' }, 'http'), 'Path=/; HttpOnly')
    t.equal(
      attributes({ path: '/shop', domain: 'example.com', maxAge: 90_500, sameSite: 'strict' }, 'http'),
      'Path=/shop; Domain=example.com; Max-Age=91; HttpOnly; SameSite=Strict',
    )
    for (const [type, path, sent] of [
      ['prefix', '/shop', '/shop'],
      ['exact', '/shop/', '/shop/'],
      ['regex', '/shop(/.*)?', '/'],
      ['prefix', '/a;b', '/'],
      ['prefix', '/é', '/'],
    ] as const) {
      match = { type, path }
      t.equal(attributes({ path: 'route' }, 'http'), `Path=${sent}; HttpOnly; SameSite=Lax`, path)
    }
    t.equal(
      attributes({ expires: 90_000, maxAge: 34_560_000_000 }, 'http'),
      'Path=/; Max-Age=34560000; Expires=Thu, 01 Jan 1970 00:01:31 GMT; HttpOnly; SameSite=Lax',
    )
    pool = ground.change({ 'affinity.type': 'cookie' })
    pickPort(pool)
    const other = ground.pool(three, 'other')
    pickPort(other)
    const [name, otherName] = [pool, other].map(
      (each) => /^Set-Cookie: (portico_[0-9a-f]{8})=/.exec(linesOf(each, 1))![1],
    )
    t.not(name, otherName, 'each Service port has a name of its own')
  })
})
