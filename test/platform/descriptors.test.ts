import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { isExhaustion, RAISE_LIMIT } from '../../lib/base/exhaustion.ts'
import { DescriptorReserve, fitConnections, fitSockets } from '../../lib/platform/descriptors.ts'
import { until } from '../helpers/until.ts'

t.test('what fits leaves as many for endpoints, and some for the process itself', async (t) => {
  for (const [limit, connections, sessions] of [
    [undefined, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [64, 8, 16],
    [256, 86, 64],
    [1024, 432, 256],
    [1_048_576, 471_830, 262_144],
  ] as const) {
    t.equal(fitConnections(limit), connections)
    t.equal(fitSockets(limit), sessions)
    t.ok(limit === undefined || 2 * connections <= Math.max(limit, 16))
  }
})

t.test('a descriptor near the limit has the reserve let go until there is enough again', async (t) => {
  const reserve = new DescriptorReserve(1024)
  t.teardown(() => reserve.close())
  reserve.watch(undefined)
  reserve.watch(1024 - 33)
  t.notOk(reserve.isReleased)
  reserve.watch(1024 - 32)
  t.ok(reserve.isReleased)
  await until(() => !reserve.isReleased)
})

t.test('only the want of descriptors is one', async (t) => {
  t.ok(isExhaustion(Object.assign(new Error(), { code: 'EMFILE' })))
  t.ok(isExhaustion(Object.assign(new Error(), { code: 'ENFILE' })))
  for (const other of [undefined, new Error('EMFILE'), { code: 'EACCES' }]) t.notOk(isExhaustion(other))
})

t.test('without a descriptor figures are kept, endpoints are not blamed, and those held back are let go', async (t) => {
  const program = fileURLToPath(new URL('few-descriptors.js', import.meta.url))
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -n 128; exec "$0" "$1"', process.execPath, program])
  t.strictSame(JSON.parse(stdout), {
    limit: 128,
    fitting: 28,
    connected: 'PORTICO_GW_DESCRIPTORS',
    bound: { name: 'StartError', message: 'no file descriptor is left to open port 80 with', help: RAISE_LIMIT },
    read: [
      {
        code: 'PORTICO_FILE_UNREADABLE',
        message: 'cannot be read: no file descriptor is left',
        help: RAISE_LIMIT,
      },
    ],
    probed: 'nothing',
    metrics: true,
    wasHeld: true,
    kept: true,
    isReleased: true,
    measured: true,
    isStillReleased: true,
    isHeldAgain: true,
  })
})
