/** Latency where there is room: requests at a fixed rate, half of what the candidate itself was just seen to take. */
import type { Case } from '../case.ts'
import { runClient } from '../loads/client.ts'
import type { OpenLoopLoad } from '../loads/open-loop-client.ts'
import type { LoadResult } from '../loads/result.ts'
import { loadWithWrk, printHead } from '../loads/wrk.ts'
import { createScenario, HOST } from '../scenario.ts'
import { CPU_PER_REQUEST, FAILURES, measureLoad, OTHERS, startServing } from './load-case.ts'

const CONNECTIONS = 64
const SATURATION_SECONDS = 2

export const LATENCY_CASE: Case = {
  id: 'p99-half',
  title: '1 KiB GET at half of saturation, open loop',
  note: 'Latency counts from when a request was due. The rate is half of what wrk reached just before, so it differs.',
  metrics: [
    { key: 'p99Ms', label: 'p99 ms', digits: 2, ratio: true },
    { key: 'p50Ms', label: 'p50 ms', digits: 2, ratio: true },
    { key: 'offered', label: 'offered/s', digits: 0, ratio: true },
    { key: 'perSecond', label: 'answered/s', digits: 0, ratio: false },
    CPU_PER_REQUEST,
    FAILURES,
    OTHERS,
  ],
  needs: ['wrk'],
  refuses: () => undefined,
  open: async (candidate, place, bench) => {
    const running = await startServing(candidate, place, createScenario([`127.0.0.1:${bench.backend.httpPort}`]))
    const origin = `http://127.0.0.1:${place.http}`
    const targets = [[HOST, '/']] as const
    const saturate = () =>
      loadWithWrk(
        { origin, connections: CONNECTIONS, seconds: SATURATION_SECONDS, targets },
        place.folder,
        bench.loadCore,
      )
    await saturate()
    return {
      measure: async () => {
        const saturated = await saturate()
        const load: OpenLoopLoad = {
          port: place.http,
          request: `${printHead('GET', HOST, '/')}\r\n`,
          rate: Math.max(1, saturated.requests / saturated.seconds / 2),
          connections: CONNECTIONS,
          seconds: bench.seconds,
        }
        const timeoutMs = (bench.seconds + 30) * 1000
        const sample = await measureLoad(running, () =>
          runClient<LoadResult>('open-loop-client', load, bench.loadCore, timeoutMs),
        )
        return { ...sample, offered: load.rate }
      },
      close: () => running.child.stop(),
    }
  },
}
