/**
 * What a second worker brings. Two cores carry the proxy, the load and the backend, so the rate itself cannot double; what the
 * workers could carry were the load elsewhere follows from what a request costs and from how evenly they share the work.
 */
import type { Case, Metric, Sample } from '../case.ts'
import { loadWithWrk } from '../loads/wrk.ts'
import { createScenario, HOST } from '../scenario.ts'
import { readUsage } from '../usage.ts'
import { CPU_PER_REQUEST, FAILURES, P99, REQUESTS, RESIDENT, startServing } from './load-case.ts'

const CONNECTIONS = 64
const WARM_UP_SECONDS = 2

const BUSIEST: Metric = { key: 'busiestShare', label: 'busiest process', digits: 2, ratio: false }
const CORES: Metric = { key: 'cores', label: 'cores used', digits: 2, ratio: false }
const CAPACITY: Metric = { key: 'capacity', label: 'capacity req/s', digits: 0, ratio: true }

export const WORKER_CASES: readonly Case[] = [1, 2].map((workers) => ({
  id: `workers-${workers}`,
  title: `1 KiB GET, ${workers} worker${workers === 1 ? '' : 's'}, nothing pinned`,
  note:
    'capacity: requests a second were every worker as busy as the busiest could be, the load on other cores: ' +
    '1 / (CPU seconds a request × the busiest process’s share). Threads of one process count as evenly busy.',
  metrics: [CAPACITY, REQUESTS, CPU_PER_REQUEST, CORES, BUSIEST, P99, RESIDENT, FAILURES],
  needs: ['wrk'],
  refuses: () => undefined,
  open: async (candidate, place, bench) => {
    const scenario = createScenario([`127.0.0.1:${bench.backend.httpPort}`], { workers })
    const running = await startServing(candidate, { ...place, core: 'any' }, scenario)
    const load = (seconds: number) =>
      loadWithWrk(
        {
          origin: `http://127.0.0.1:${place.http}`,
          connections: CONNECTIONS,
          seconds,
          targets: [[HOST, '/']],
        },
        place.folder,
        'any',
      )
    await load(WARM_UP_SECONDS)
    return {
      measure: async (): Promise<Sample> => {
        const { pid } = running.child
        const before = readUsage(pid)
        const result = await load(bench.seconds)
        const after = readUsage(pid)
        if (result.requests === 0) throw new Error('it answered nothing')
        const cpuSeconds = after.cpuSeconds - before.cpuSeconds
        const shares = [...after.perProcess].map(([id, used]) => (used - (before.perProcess.get(id) ?? 0)) / cpuSeconds)
        // Of one process with threads, the kernel says nothing of the busiest here: they take turns on the connections.
        const carrying = shares.filter((share) => share > 0.05).length
        const busiest = carrying < workers ? 1 / workers : Math.max(...shares)
        return {
          capacity: result.requests / (cpuSeconds * busiest),
          perSecond: result.requests / result.seconds,
          cpuMicros: (cpuSeconds * 1e6) / result.requests,
          cores: cpuSeconds / result.seconds,
          busiestShare: busiest,
          p99Ms: result.p99Ms,
          residentMiB: after.residentBytes / 2 ** 20,
          failures: result.failures,
        }
      },
      close: () => running.child.stop(),
    }
  },
}))
