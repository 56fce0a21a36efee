import t from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import { GatewayError } from '../../lib/base/errors.ts'
import { EndpointRegistry } from '../../lib/upstream/registry.ts'
import { makeSettings } from '../helpers/settings.ts'
import { type EndpointWords, makeUpstream } from '../helpers/snapshot.ts'

const NOBODY = { clientAddress: '127.0.0.1', target: '/', header: () => undefined }

function makePools(endpoints: readonly EndpointWords[]) {
  const settings = makeSettings()
  const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
  return { registry, pool: registry.pool(makeUpstream('web', endpoints)) }
}

function pickPort(pool: ReturnType<typeof makePools>['pool']): number | string {
  const picked = pool.pick(NOBODY, [])
  return picked instanceof GatewayError ? picked.code : picked.identity.port
}

t.test('S26a only ready endpoints are picked', async (t) => {
  const { pool } = makePools([{ port: 1 }, { port: 2, ready: false }, { port: 3 }])
  t.same(
    [1, 2, 3, 4].map(() => pickPort(pool)),
    [1, 3, 1, 3],
  )
})

t.test('S26c without a ready one, those that serve while they terminate', async (t) => {
  const draining = { ready: false, serving: true, terminating: true }
  const { pool } = makePools([
    { port: 1, ...draining },
    { port: 2, ...draining, terminating: false },
    { port: 3, ...draining, serving: false },
  ])
  t.same(
    [1, 2].map(() => pickPort(pool)),
    [1, 1],
  )
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
  const { registry } = makePools([])
  const upstream = makeUpstream('web', [
    { port: 1, ...bad('unhealthy') },
    { port: 2, ...bad('ejected') },
    { port: 3, ready: false },
  ])
  const pool = registry.pool({ ...upstream, inPanic: true })
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
    detail: 'default/web:80: none of 1 ready endpoints is in good health (127.0.0.1:1: GET /: 503)',
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
  const { registry, pool } = makePools([{ port: 1 }, { port: 2 }, { port: 3 }])
  t.equal(pickPort(pool), 1)
  const next = registry.pool(makeUpstream('web', [{ port: 1 }, { port: 2 }, { port: 4 }]))
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
