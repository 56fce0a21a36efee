/** Three times as many requests as can be served, once with the gateway and once with the endpoint as what is too slow. */
import { join } from 'node:path'
import { ask, type Candidate, type Place, type Running } from '../candidate.ts'
import type { Bench, Case, Metric, Sample } from '../case.ts'
import { Child } from '../child.ts'
import { runClient } from '../loads/client.ts'
import type { OverloadLoad, OverloadResult } from '../loads/overload-client.ts'
import { printHead } from '../loads/wrk.ts'
import { createScenario, HOST } from '../scenario.ts'
import { readUsage } from '../usage.ts'
import { WATCH_METRICS, Watch } from '../watch.ts'
import { startServing } from './load-case.ts'

const MIB = 1 << 20
const TIMES_CAPACITY = 3
const CONNECTIONS = 64
/** A gateway that has its core to itself carries more than a client on one core can ask three times over. */
const COMPETITORS = 7
const WARM_UP_SECONDS = 3
const CAPACITY_SECONDS = 5
const AFTER_SECONDS = 5
const DRAINED_MS = 60_000
/** An endpoint at rest answers within this time. */
const IDLE_ANSWER_MS = 200

const METRICS: readonly Metric[] = [
  { key: 'goodPercent', label: 'goodput % of capacity', digits: 0, ratio: false },
  { key: 'capacity', label: 'capacity req/s', digits: 0, ratio: false },
  { key: 'offered', label: 'offered req/s', digits: 0, ratio: false },
  { key: 'refused', label: 'refused req/s', digits: 0, ratio: false },
  { key: 'failed', label: 'failed req/s', digits: 0, ratio: false },
  { key: 'quietP99Ms', label: 'p99 ms at capacity', digits: 1, ratio: false },
  { key: 'p50Ms', label: 'p50 ms', digits: 1, ratio: false },
  { key: 'p99Ms', label: 'p99 ms', digits: 1, ratio: false },
  ...WATCH_METRICS,
  { key: 'latePercent', label: 'late %', digits: 0, ratio: false },
]

const NOTE =
  'Goodput: 2xx within 1 s of when they were due. Latencies are those of the requests that were answered 2xx. Failed: cut, or without an ' +
  'answer for 5 s. Late: due while the client itself was behind by 50 ms; with more than a few percent the figures are the client’s.'

type OverloadCase = Readonly<{
  id: string
  title: string
  path: string
  /** Processes that take the proxy's core away from it. */
  competitors: number
  port: (bench: Bench) => number
  refuses: (candidate: Candidate) => string | undefined
}>

const CASES: readonly OverloadCase[] = [
  {
    id: 'overload-gateway',
    title: '3 × what the gateway can carry, which has an eighth of its core',
    path: '/',
    competitors: COMPETITORS,
    port: ({ backend }) => backend.httpPort,
    refuses: ({ name }) => (name.startsWith('portico') ? undefined : 'carries more than the load client can ask'),
  },
  {
    id: 'overload-backend',
    title: '3 × what the endpoint can carry, which works on 8 requests at once for 20 ms each',
    path: '/busy',
    competitors: 0,
    port: ({ backend }) => backend.nodePort,
    refuses: () => undefined,
  },
]

export const OVERLOAD_CASES: readonly Case[] = CASES.map(({ id, title, path, competitors, port, refuses }) => ({
  id,
  title,
  note: NOTE,
  metrics: METRICS,
  needs: competitors > 0 ? ['taskset'] : [],
  refuses,
  open: async (candidate, place, bench) => {
    const running = await startServing(candidate, place, createScenario([`127.0.0.1:${port(bench)}`]))
    return {
      measure: async () => {
        await waitUntilIdle(port(bench), path)
        const spinning = Array.from({ length: competitors }, () => startCompetitor(place))
        try {
          return await measureOverload(running, path, bench)
        } finally {
          await Promise.all(spinning.map((competitor) => competitor.stop()))
        }
      },
      close: () => running.child.stop(),
    }
  },
}))

/** The endpoint goes on with what it was asked by the candidate before, whose clients have long gone. */
async function waitUntilIdle(port: number, path: string): Promise<void> {
  const deadline = performance.now() + DRAINED_MS
  for (;;) {
    const started = performance.now()
    if ((await ask(port, HOST, path)) === 200 && performance.now() - started < IDLE_ANSWER_MS) return
    if (performance.now() > deadline) throw new Error('the endpoint does not come to rest')
  }
}

function startCompetitor({ core, folder }: Place): Child {
  return new Child(process.execPath, ['-e', 'for (;;);'], { core, output: join(folder, 'competitor') })
}

async function measureOverload(running: Running, path: string, bench: Bench): Promise<Sample> {
  const { child, place } = running
  const put = (seconds: number, rate: number): Promise<OverloadResult> => {
    const request = `${printHead('GET', HOST, path)}\r\n`
    const load: OverloadLoad = { port: place.http, request, rate, connections: CONNECTIONS, seconds }
    return runClient('overload-client', load, bench.loadCore, (seconds + 30) * 1000)
  }
  await put(WARM_UP_SECONDS, 0)
  const full = await put(CAPACITY_SECONDS, 0)
  const capacity = full.good / full.countedSeconds
  const watch = new Watch(child)
  try {
    const before = readUsage(child.pid)
    const over = await put(bench.seconds, TIMES_CAPACITY * capacity)
    await new Promise((resolve) => setTimeout(resolve, AFTER_SECONDS * 1000))
    const after = readUsage(child.pid)
    watch.check()
    return {
      goodPercent: (100 * over.good) / over.countedSeconds / capacity,
      capacity,
      offered: over.offered / over.seconds,
      refused: over.refused / over.seconds,
      failed: over.failed / over.seconds,
      quietP99Ms: full.p99Ms,
      p50Ms: over.p50Ms,
      p99Ms: over.p99Ms,
      beforeMiB: before.residentBytes / MIB,
      peakMiB: watch.peakBytes / MIB,
      afterMiB: after.residentBytes / MIB,
      restarts: watch.restarts,
      latePercent: (100 * over.late) / over.offered,
    }
  } finally {
    watch.stop()
  }
}
