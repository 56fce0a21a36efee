/** Cases that put a load on candidates that all run meanwhile, one after another. */
import { type Candidate, type Place, type Running, waitUntilServing } from '../candidate.ts'
import type { Bench, Case, Metric, Sample } from '../case.ts'
import type { LoadResult } from '../loads/result.ts'
import type { Scenario } from '../scenario.ts'
import { readBusySeconds, readUsage } from '../usage.ts'

const MIB = 1 << 20
/** Seconds of load before the first round: compilers and pools get warm. */
const WARM_UP_SECONDS = 2

export type LoadCase = Readonly<{
  id: string
  title: string
  note?: string
  needs: readonly string[]
  scenario: (bench: Bench) => Scenario
  load: (running: Running, bench: Bench, seconds: number) => Promise<LoadResult>
  /** Bytes of one answer, where throughput matters more than the number of requests. */
  answerBytes?: number
}>

export const CPU_PER_REQUEST: Metric = { key: 'cpuMicros', label: 'CPU µs/req', digits: 1, ratio: true }
export const REQUESTS: Metric = { key: 'perSecond', label: 'req/s', digits: 0, ratio: true }
export const P50: Metric = { key: 'p50Ms', label: 'p50 ms', digits: 2, ratio: false }
export const P99: Metric = { key: 'p99Ms', label: 'p99 ms', digits: 2, ratio: true }
export const RESIDENT: Metric = { key: 'residentMiB', label: 'RSS MiB', digits: 0, ratio: true }
export const FAILURES: Metric = { key: 'failures', label: 'failed', digits: 0, ratio: false }
/** What ran on the proxy's core beside it: noise, when it is more than a few percent. */
export const OTHERS: Metric = { key: 'othersPercent', label: 'others %', digits: 0, ratio: false }
const PER_CPU_SECOND: Metric = { key: 'megabytesPerCpuSecond', label: 'MB/CPU s', digits: 0, ratio: true }

export function createLoadCase({ id, title, note, needs, scenario, load, answerBytes }: LoadCase): Case {
  const usual = [CPU_PER_REQUEST, REQUESTS, P50, P99, RESIDENT, FAILURES, OTHERS]
  return {
    id,
    title,
    ...(note !== undefined && { note }),
    needs,
    metrics: answerBytes === undefined ? usual : [PER_CPU_SECOND, ...usual],
    refuses: (candidate, bench) => candidate.refuses?.(scenario(bench)),
    open: async (candidate, place, bench) => {
      const running = await startServing(candidate, place, scenario(bench))
      await load(running, bench, WARM_UP_SECONDS)
      return {
        measure: () => measureLoad(running, () => load(running, bench, bench.seconds), answerBytes),
        close: () => running.child.stop(),
      }
    },
  }
}

/** Starts a candidate and waits until the scenario's first route is served. */
export async function startServing(candidate: Candidate, place: Place, scenario: Scenario): Promise<Running> {
  const running = await candidate.start(scenario, place)
  try {
    const { host, paths } = scenario.routes[0]!
    await waitUntilServing(running, host, paths[0]!)
    return running
  } catch (error) {
    await running.child.stop()
    throw error
  }
}

/** One load, with what the candidate used meanwhile. */
export async function measureLoad(
  running: Running,
  load: () => Promise<LoadResult>,
  answerBytes?: number,
): Promise<Sample> {
  const { child } = running
  const { core } = running.place
  const started = performance.now()
  const before = readUsage(child.pid)
  const busyBefore = core === 'any' ? Number.NaN : readBusySeconds(core)
  const result = await load()
  const after = readUsage(child.pid)
  const busySeconds = (core === 'any' ? Number.NaN : readBusySeconds(core)) - busyBefore
  const seconds = (performance.now() - started) / 1000
  if (child.isGone) throw new Error(`it ended under load: ${child.lastWords}`)
  if (result.requests === 0) throw new Error(`it answered nothing in ${result.seconds.toFixed(0)} s`)
  const cpuSeconds = after.cpuSeconds - before.cpuSeconds
  return {
    cpuMicros: (cpuSeconds * 1e6) / result.requests,
    perSecond: result.requests / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    residentMiB: after.residentBytes / MIB,
    failures: result.failures,
    othersPercent: Math.max(0, (100 * (busySeconds - cpuSeconds)) / seconds),
    ...(answerBytes !== undefined && { megabytesPerCpuSecond: (answerBytes * result.requests) / 1e6 / cpuSeconds }),
  }
}
