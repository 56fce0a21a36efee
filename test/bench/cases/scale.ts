/** Large configurations: how long a start and a change take until they serve, and how much memory they hold. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Running, waitUntilServing } from '../candidate.ts'
import type { Case } from '../case.ts'
import { hostOf, type ManifestOptions, pathOf, printManifest, writeManifests } from '../manifests.ts'
import { createHosts, createScenario } from '../scenario.ts'
import { readUsage } from '../usage.ts'

const MIB = 2 ** 20
const HOSTS = 10_000
/** A change comes once the start's own work is done: a watch that is armed late would not see it. */
const SETTLE_MS = 2_000

const START = { key: 'startMs', label: 'start ms', digits: 0, ratio: true }
const START_CPU = { key: 'startCpuMs', label: 'CPU ms', digits: 0, ratio: true }
const CHANGE = { key: 'changeMs', label: 'change ms', digits: 0, ratio: true }
const CHANGE_CPU = { key: 'changeCpuMs', label: 'CPU ms of it', digits: 0, ratio: true }
const RESIDENT = { key: 'residentMiB', label: 'RSS MiB', digits: 0, ratio: true }

const HOSTS_CASE: Case = {
  id: 'hosts-10000',
  title: '10,000 hosts of two routes: start, one more host, memory',
  note: 'A start counts until the last host answers, a change until the new host does; both as a client sees them.',
  metrics: [START, START_CPU, CHANGE, CHANGE_CPU, RESIDENT],
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
      const running = await candidate.start(scenario, place)
      return await measureChange(running, started, scenario.routes.at(-1)!.host, '/', async () => {
        await running.reload(changed)
        return [changed.routes.at(-1)!.host, '/']
      })
    },
    close: async () => {},
  }),
}

const MANIFESTS: Omit<ManifestOptions, 'endpoints'> = { files: 1_000, ingressesPerFile: 10, pathsPerIngress: 10 }

const COLD_CASE: Case = {
  id: 'cold-100000',
  title: '100,000 routes in 1,000 files (10,000 Ingresses, as many Services): cold start, one changed file, memory',
  note: 'A change counts from the rename of the file until its new path answers, the hold-off of reloads included.',
  metrics: [START, START_CPU, CHANGE, CHANGE_CPU, RESIDENT],
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
        const child = candidate.serveFolder!(folder, place)
        const last = options.files * options.ingressesPerFile - 1
        const running: Running = { child, place, reload: async () => {} }
        return await measureChange(running, started, hostOf(last, options), pathOf(last, 1, options), async () => {
          const half = join(place.folder, 'half')
          writeFileSync(half, printManifest(0, options, ++revision))
          renameSync(half, first!)
          return [hostOf(0, options), pathOf(0, 0, options, revision)]
        })
      },
      close: async () => {},
    }
  },
}

export const SCALE_CASES: readonly Case[] = [HOSTS_CASE, COLD_CASE]

/** Waits for the start, makes a change, waits for what it brings, and stops the candidate. */
async function measureChange(
  running: Running,
  started: number,
  host: string,
  path: string,
  change: () => Promise<readonly [host: string, path: string]>,
) {
  const { pid } = running.child
  try {
    await waitUntilServing(running, host, path)
    const startMs = performance.now() - started
    const startUsage = readUsage(pid)
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
    const before = readUsage(pid)
    const changedAt = performance.now()
    await waitUntilServing(running, ...(await change()))
    const changeMs = performance.now() - changedAt
    const after = readUsage(pid)
    return {
      startMs,
      startCpuMs: startUsage.cpuSeconds * 1000,
      changeMs,
      changeCpuMs: (after.cpuSeconds - before.cpuSeconds) * 1000,
      residentMiB: before.residentBytes / MIB,
    }
  } finally {
    await running.child.stop()
  }
}
