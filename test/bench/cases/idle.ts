/** What a connection costs that does nothing: memory before and after many are open. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from '../case.ts'
import { startClient } from '../loads/client.ts'
import type { IdleLoad } from '../loads/idle-client.ts'
import { loadWithWrk, printHead } from '../loads/wrk.ts'
import { createScenario, HOST } from '../scenario.ts'
import { readUsage } from '../usage.ts'
import { startServing } from './load-case.ts'

const CONNECTIONS = 10_000
const OPEN_MS = 120_000
/** For garbage of the handshakes to be collected where it is. */
const SETTLE_MS = 2_000

export const IDLE_CASE: Case = {
  id: 'idle-10000',
  title: '10,000 idle keep-alive connections, one request answered on each',
  note: 'Each candidate starts anew in every round and is warmed up by a short load; then RSS before and after.',
  metrics: [
    { key: 'kibPerConnection', label: 'KiB/connection', digits: 1, ratio: true },
    { key: 'beforeMiB', label: 'RSS MiB before', digits: 0, ratio: true },
    { key: 'afterMiB', label: 'RSS MiB with them', digits: 0, ratio: true },
    { key: 'open', label: 'open', digits: 0, ratio: false },
  ],
  needs: ['wrk'],
  mostRounds: 3,
  refuses: () => undefined,
  open: async (candidate, place, bench) => ({
    measure: async () => {
      const scenario = createScenario([`127.0.0.1:${bench.backend.httpPort}`])
      const running = await startServing(candidate, place, scenario)
      try {
        const origin = `http://127.0.0.1:${place.http}`
        const warm = { origin, connections: 64, seconds: 2, targets: [[HOST, '/']] as const }
        await loadWithWrk(warm, place.folder, bench.loadCore)
        await settle()
        const before = readUsage(running.child.pid).residentBytes
        const load: IdleLoad = {
          port: place.http,
          request: `${printHead('GET', HOST, '/')}\r\n`,
          connections: CONNECTIONS,
        }
        const output = join(place.folder, `idle-${process.hrtime.bigint()}`)
        const client = startClient('idle-client', load, bench.loadCore, output)
        try {
          const deadline = performance.now() + OPEN_MS
          while (readFileSync(output, 'utf8') === '') {
            if (client.isGone || performance.now() > deadline) throw new Error('the connections do not open')
            await new Promise((resolve) => setTimeout(resolve, 50))
          }
          await settle()
          const after = readUsage(running.child.pid).residentBytes
          const { open } = JSON.parse(readFileSync(output, 'utf8')) as { open: number }
          if (open === 0) throw new Error('no connection stayed open')
          return {
            kibPerConnection: (after - before) / 1024 / open,
            beforeMiB: before / 2 ** 20,
            afterMiB: after / 2 ** 20,
            open,
          }
        } finally {
          await client.stop()
        }
      } finally {
        await running.child.stop()
      }
    },
    close: async () => {},
  }),
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
}
