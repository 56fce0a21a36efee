import t, { type Test } from 'tap'
import { GatewayError } from '../../../lib/base/errors.ts'
import type { UpstreamPool } from '../../../lib/upstream/choice/pool.ts'
import { NO_BLACK_HOLES, startBlackHole } from '../../helpers/black-hole.ts'
import { answerWith, startRawUpstream } from '../../helpers/raw-upstream.ts'
import { type Exchange, openPool, send } from './exchange.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

const NOBODY = { clientAddress: '127.0.0.1', hostname: '', target: '/', header: () => undefined }

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The addresses of one name; the upstream listens on 127.0.0.1 alone. */
async function startNamed(t: Test, addresses: readonly string[], settings: Readonly<Record<string, unknown>> = {}) {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  const pool = openPool(
    t,
    addresses.map((host) => ({ host, name: 'up.test', port: upstream.port })),
    { settings },
  )
  const connections = () => pool.states.reduce((sum, state) => sum + state.connections, 0)
  return { upstream, pool, connections }
}

/** Sends to whom the pool picks. */
function sendTo(pool: UpstreamPool): Exchange {
  const picked = pool.pick(NOBODY, [])
  if (picked instanceof GatewayError) throw picked
  return send(picked)
}

t.test('RFC 8305 an address that refuses costs nothing but the try, and is not tried first again', async (t) => {
  const { upstream, pool } = await startNamed(t, ['127.0.0.9', '::1', '127.0.0.1'])
  for (let n = 0; n < 6; n++) {
    const startedAt = performance.now()
    t.match(await sendTo(pool).over(), { error: undefined, body: 'ok' })
    t.ok(performance.now() - startedAt < 5_000)
    await turn()
  }
  t.ok(upstream.connections.length <= 2, `${upstream.connections.length} connections`)
})

t.test('addresses that are asked because none is ready stand in for each other as well', async (t) => {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  const draining = { name: 'up.test', port: upstream.port, ready: false, terminating: true }
  const pool = openPool(
    t,
    ['127.0.0.9', '127.0.0.1'].map((host) => ({ ...draining, host })),
  )
  for (let n = 0; n < 3; n++) {
    t.match(await sendTo(pool).over(), { error: undefined, body: 'ok' })
    await turn()
  }
})

t.test(
  'RFC 8305 §5 an address that does not answer delays, and is given up when another one did',
  { skip: NO_BLACK_HOLES },
  async (t) => {
    const { upstream, pool, connections } = await startNamed(t, ['127.0.0.9', '127.0.0.1'], {
      'timeouts.connect': 60_000,
    })
    await startBlackHole(t, '127.0.0.9', upstream.port)
    const startedAt = performance.now()
    t.match(await sendTo(pool).over(), { error: undefined, body: 'ok' })
    t.ok(performance.now() - startedAt > 240)
    t.equal(connections(), 1)
    for (let n = 2; n < 5; n++) {
      await turn()
      t.match(await sendTo(pool).over(), { body: 'ok', connection: { uses: n } }, 'the slow one is avoided')
    }
    t.equal(upstream.connections.length, 1)
  },
)

t.test('the time to connect covers all addresses', { skip: NO_BLACK_HOLES }, async (t) => {
  const { upstream, pool, connections } = await startNamed(t, ['127.0.0.8', '127.0.0.9'], { 'timeouts.connect': 400 })
  await Promise.all(['127.0.0.8', '127.0.0.9'].map((address) => startBlackHole(t, address, upstream.port)))
  const { error } = await sendTo(pool).over()
  t.equal(error?.code, 'PORTICO_UP_CONNECT_TIMEOUT')
  t.match(error?.detail, '127.0.0.8')
  t.match(error?.detail, '127.0.0.9')
  t.equal(connections(), 0)
})

t.test('when no address answers, the last reason is told', async (t) => {
  const { upstream, pool, connections } = await startNamed(t, ['127.0.0.8', '127.0.0.9'])
  await upstream.close()
  t.equal((await sendTo(pool).over()).error?.code, 'PORTICO_UP_CONNECT_REFUSED')
  t.equal(connections(), 0)
  t.ok(pool.states.every((state) => state.isIdle))
})
