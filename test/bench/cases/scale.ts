/** Large configurations: how long a start and a change take until they serve, and how much memory they hold. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask, type Running, waitUntilServing } from '../candidate.ts'
import type { Case, Sample } from '../case.ts'
import type { Core } from '../child.ts'
import { runClient } from '../loads/client.ts'
import type { OpenLoopLoad, OpenLoopResult } from '../loads/open-loop-client.ts'
import { printHead } from '../loads/wrk.ts'
import { hostOf, type ManifestOptions, printManifest, writeManifests } from '../manifests.ts'
import { createHosts, createScenario } from '../scenario.ts'
import { readUsage } from '../usage.ts'
import { FAILURES } from './load-case.ts'

const MIB = 2 ** 20
const HOSTS = 10_000
/** A change comes once the start's own work is done: a watch that is armed late would not see it. */
const SETTLE_MS = 2_000
/** Requests a second, far below what anything here takes. */
const STEADY_RATE = 200
const STEADY_SECONDS = 8

const START = { key: 'startMs', label: 'start ms', digits: 0, ratio: true }
const START_CPU = { key: 'startCpuMs', label: 'CPU ms', digits: 0, ratio: true }
const CHANGE = { key: 'changeMs', label: 'change ms', digits: 0, ratio: true }
const CHANGE_CPU = { key: 'changeCpuMs', label: 'CPU ms of it', digits: 0, ratio: true }
const SLOWEST = { key: 'slowestMs', label: 'slowest answer ms', digits: 0, ratio: true }
const RESIDENT = { key: 'residentMiB', label: 'RSS MiB', digits: 0, ratio: true }

const METRICS = [START, START_CPU, CHANGE, CHANGE_CPU, SLOWEST, FAILURES, RESIDENT]
const NOTE =
  'Not pinned. A start counts until the last host answers, a change until the new host does; both as a client sees them, any hold-off ' +
  'included. Meanwhile requests for another host are due at a steady rate: the slowest answer tells of stalls.'

const HOSTS_CASE: Case = {
  id: 'hosts-10000',
  title: '10,000 hosts of two routes: start, one more host, memory',
  note: NOTE,
  metrics: METRICS,
  needs: [],
  mostRounds: 3,
  refuses: (candidate, bench) =>
    candidate.refuses?.(createScenario([`127.0.0.1:${bench.backend.httpPort}`], { routes: createHosts(HOSTS) })),
  open: async (candidate, place, bench) => ({
    measure: async () => {
      const endpoints = [`127.0.0.1:${bench.backend.httpPort}`]
      const scenario = createScenario(endpoints, { routes: createHosts(HOSTS) })
      const changed = createScenario(endpoints, { routes: createHosts(HOSTS + 1) })
      const started = performance.now()
      const running = await candidate.start(scenario, { ...place, core: 'any' })
      const last = scenario.routes.at(-1)!.host
      return await measureChange(
        running,
        started,
        last,
        () => running.reload(changed),
        changed.routes.at(-1)!.host,
        bench.loadCore,
      )
    },
    close: async () => {},
  }),
}

const MANIFESTS: Omit<ManifestOptions, 'endpoints'> = { files: 1_000, ingressesPerFile: 10, pathsPerIngress: 10 }

const COLD_CASE: Case = {
  id: 'cold-100000',
  title: '100,000 routes in 1,000 files (10,000 Ingresses, as many Services): cold start, one changed file, memory',
  note: NOTE,
  metrics: METRICS,
  needs: [],
  mostRounds: 3,
  refuses: (candidate) => (candidate.serveFolder === undefined ? 'reads no Kubernetes manifests' : undefined),
  open: async (candidate, place, bench) => {
    const folder = join(place.folder, 'manifests')
    const options = { ...MANIFESTS, endpoints: `127.0.0.1:${bench.backend.httpPort}` }
    const [first] = writeManifests(folder, options)
    let revision = 0
    return {
      measure: async () => {
        const started = performance.now()
        const child = candidate.serveFolder!(folder, { ...place, core: 'any' })
        const last = options.files * options.ingressesPerFile - 1
        const running: Running = { child, place, reload: async () => {} }
        const moved = `moved-${++revision}.example.com`
        const change = async () => {
          const half = join(place.folder, 'half')
          writeFileSync(half, printManifest(0, options).replaceAll(hostOf(0, options), moved))
          renameSync(half, first!)
        }
        return await measureChange(running, started, hostOf(last, options), change, moved, bench.loadCore)
      },
      close: async () => {},
    }
  },
}

export const SCALE_CASES: readonly Case[] = [HOSTS_CASE, COLD_CASE]

/** Waits for the start, which `host` tells, makes a change, waits for the host it brings, and stops the candidate. */
async function measureChange(
  running: Running,
  started: number,
  host: string,
  change: () => Promise<void>,
  newHost: string,
  loadCore: Core,
): Promise<Sample> {
  const { child, place } = running
  try {
    await waitUntilServing(running, host, '/')
    const startMs = performance.now() - started
    const startCpuMs = readUsage(child.pid).cpuSeconds * 1000
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
    if ((await ask(place.http, newHost, '/')) === 200) throw new Error(`${newHost} is served before it is configured`)
    const load: OpenLoopLoad = {
      port: place.http,
      request: `${printHead('GET', host, '/')}\r\n`,
      rate: STEADY_RATE,
      connections: 16,
      seconds: STEADY_SECONDS,
    }
    const steady = runClient<OpenLoopResult>('open-loop-client', load, loadCore, (STEADY_SECONDS + 30) * 1000)
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
    const before = readUsage(child.pid)
    const changedAt = performance.now()
    await change()
    await waitUntilServing(running, newHost, '/')
    const changeMs = performance.now() - changedAt
    const changeCpuMs = (readUsage(child.pid).cpuSeconds - before.cpuSeconds) * 1000
    const { slowestMs, failures } = await steady
    return { startMs, startCpuMs, changeMs, changeCpuMs, slowestMs, failures, residentMiB: before.residentBytes / MIB }
  } finally {
    await child.stop()
  }
}
