/** Ordinary traffic and reloads with attacks beside them, against a gateway as users start it; what is measured, and the verdict. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type GatewayFigures, GatewayProcess, readProcess } from '../helpers/gateway-process.ts'
import { Attacks } from './attacks.ts'
import { startSoakEndpoint } from './endpoint.ts'
import { HOST, OrdinaryTraffic } from './ordinary.ts'
import { judge, percentile, type Rest, type Sample } from './verdict.ts'

const SETTINGS = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n'
const SAMPLE_MS = 1_000
const RELOAD_MS = 3_000
/** Nothing is held longer for clients that have gone, milliseconds: twice what is promised, for busy machines. */
const REST_MS = 10_000

export type SoakOptions = Readonly<{
  seconds: number
  seed: number
  /** Seconds between two lines. */
  every: number
  onLine?: (line: string) => void
}>

export type SoakOutcome = Readonly<{
  samples: readonly Sample[]
  /** Connections of attackers. */
  attacks: number
  reloads: number
  /** The first requests that failed, in words. */
  failures: readonly string[]
  wrong: readonly string[]
}>

export async function soak({ seconds, seed, every, onLine = () => {} }: SoakOptions): Promise<SoakOutcome> {
  const endpoint = await startSoakEndpoint()
  const gateway = await GatewayProcess.start(manifest(endpoint.port, 0), SETTINGS)
  try {
    const before = await restOf(gateway)
    const ordinary = new OrdinaryTraffic(gateway.ports)
    const attacks = new Attacks(gateway.ports, seed)
    const samples: Sample[] = []
    let latencies: number[] = []
    let reloads = 0
    onLine(HEADINGS)
    const startedAt = performance.now()
    let reloadAt = startedAt + RELOAD_MS
    let lineAt = startedAt + every * 1000
    for (let now = startedAt; now < startedAt + seconds * 1000; now = performance.now()) {
      await sleep(SAMPLE_MS)
      const taken = ordinary.takeLatencies()
      latencies.push(...taken)
      const sample = await measure(gateway, ordinary, taken, (performance.now() - startedAt) / 1000)
      samples.push(sample)
      if (now >= reloadAt) {
        gateway.change(manifest(endpoint.port, ++reloads))
        reloadAt = now + RELOAD_MS
      }
      if (now < lineAt) continue
      onLine(printSample({ ...sample, ...ranks(latencies) }))
      latencies = []
      lineAt = now + every * 1000
    }
    await Promise.all([ordinary.stop(), attacks.stop()])
    const after = await settle(gateway, before)
    onLine(`at rest: ${printRest(before)} before, ${printRest(after)} after`)
    const wrong = judge(samples, before, after)
    return { samples, attacks: attacks.opened, reloads, failures: ordinary.failures, wrong }
  } finally {
    await gateway.stop()
    await endpoint.stop()
  }
}

function manifest(port: number, round: number): string {
  const path = (text: string) =>
    `          - { path: ${text}, pathType: Prefix, backend: { service: { name: soak, port: { number: 80 } } } }`
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: soak }
spec:
  rules:
    - host: ${HOST}
      http:
        paths:
${path('/')}
${path(`/round-${round}`)}
---
apiVersion: v1
kind: Service
metadata: { name: soak, annotations: { portico.dev/endpoints: "127.0.0.1:${port}" } }
spec: { ports: [{ port: 80 }] }
`
}

async function measure(
  gateway: GatewayProcess,
  { ok, failed }: OrdinaryTraffic,
  latencies: readonly number[],
  at: number,
): Promise<Sample> {
  return { at, ok, failed, ...ranks(latencies), ...(await readAll(gateway)) }
}

async function readAll(gateway: GatewayProcess) {
  const figures: GatewayFigures = await gateway.figures()
  const control = readProcess(gateway.pid)
  const [worker = 0] = await gateway.workers()
  return {
    ...figures,
    controlResident: control.resident,
    controlDescriptors: control.descriptors,
    workerDescriptors: readProcess(worker).descriptors,
  }
}

function ranks(latencies: readonly number[]): Pick<Sample, 'p50' | 'p99'> {
  return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) }
}

async function restOf(gateway: GatewayProcess): Promise<Rest> {
  const { inFlight, tunnels, connections, workerDescriptors, controlDescriptors } = await readAll(gateway)
  return { inFlight, tunnels, connections, descriptors: workerDescriptors + controlDescriptors }
}

/** Waits until all is as before, or long enough. */
async function settle(gateway: GatewayProcess, before: Rest): Promise<Rest> {
  const until = performance.now() + REST_MS
  for (;;) {
    const now = await restOf(gateway)
    const isBack = now.inFlight + now.tunnels + now.connections === 0 && now.descriptors <= before.descriptors
    if (isBack || performance.now() > until) return now
    await sleep(500)
  }
}

const COLUMNS: readonly (readonly [heading: string, read: (sample: Sample) => string])[] = [
  ['seconds', ({ at }) => at.toFixed(0)],
  ['ok', ({ ok }) => String(ok)],
  ['failed', ({ failed }) => String(failed)],
  ['p50 ms', ({ p50 }) => p50.toFixed(1)],
  ['p99 ms', ({ p99 }) => p99.toFixed(1)],
  ['worker MiB', ({ workerResident }) => mib(workerResident)],
  ['heap MiB', ({ workerHeap }) => mib(workerHeap)],
  ['control MiB', ({ controlResident }) => mib(controlResident)],
  ['worker fds', ({ workerDescriptors }) => String(workerDescriptors)],
  ['control fds', ({ controlDescriptors }) => String(controlDescriptors)],
  ['in flight', ({ inFlight }) => String(inFlight)],
  ['connections', ({ connections }) => String(connections)],
  ['restarts', ({ restarts }) => String(restarts)],
]

const HEADINGS = COLUMNS.map(([heading]) => heading).join('  ')

function printSample(sample: Sample): string {
  return COLUMNS.map(([heading, read]) => read(sample).padStart(heading.length)).join('  ')
}

function printRest({ inFlight, tunnels, connections, descriptors }: Rest): string {
  return `${inFlight} in flight, ${tunnels} tunnels, ${connections} connections, ${descriptors} descriptors`
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0)
}
