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
