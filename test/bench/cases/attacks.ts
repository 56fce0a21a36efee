/** Attacks by one client, and what they cost the gateway and everybody else. */
import { type AttackOptions, type Outcome, PATIENCE_MS, type Target } from '../attacks/attack.ts'
import type { Candidate, Running } from '../candidate.ts'
import type { Bench, Case, Metric, Sample } from '../case.ts'
import type { AttackKind, AttackLoad } from '../loads/attack-client.ts'
import { runClient } from '../loads/client.ts'
import type { HonestLoad, HonestResult } from '../loads/honest-client.ts'
import { percentile } from '../loads/result.ts'
import { createScenario, HOST } from '../scenario.ts'
import { readUsage, type Usage } from '../usage.ts'
import { startServing } from './load-case.ts'

const MIB = 1 << 20
/** Compilers get warm, and the first samples are left out. */
const WARM_UP_SECONDS = 2
const QUIET_SECONDS = 5
/** An attack needs so long until it is in place. */
const RAMP_SECONDS = 2
const AFTER_SECONDS = 6
/** Nothing may be held so long after its client has gone. */
const HELD_AFTER_SECONDS = 5
const WATCH_MS = 200
const GETS_PER_SECOND = 10
const POSTS_PER_SECOND = 3

const METRICS: readonly Metric[] = [
  { key: 'served', label: 'others served', digits: 0, ratio: false },
  { key: 'asked', label: 'of', digits: 0, ratio: false },
  { key: 'quietP99Ms', label: 'p99 ms before', digits: 1, ratio: false },
  { key: 'p99Ms', label: 'p99 ms', digits: 1, ratio: false },
  { key: 'beforeMiB', label: 'RSS MiB before', digits: 0, ratio: false },
  { key: 'peakMiB', label: 'peak', digits: 0, ratio: false },
  { key: 'afterMiB', label: 'after', digits: 0, ratio: false },
  { key: 'restarts', label: 'restarts', digits: 0, ratio: false },
  { key: 'heldRequests', label: 'requests held', digits: 0, ratio: false },
  { key: 'heldConnections', label: 'connections held', digits: 0, ratio: false },
  { key: 'heldDescriptors', label: 'descriptors held', digits: 0, ratio: false },
  { key: 'sentMiB', label: 'attacker sent MiB', digits: 2, ratio: false },
  { key: 'cut', label: 'cut', digits: 0, ratio: false },
]

type AttackCase = Readonly<{
  id: string
  title: string
  kind: AttackKind
  options: AttackOptions
  /** Of Portico alone, where the others do not have what is attacked or are known not to mind. */
  own?: boolean
  tls?: boolean
}>

const OPTIONS_OF_MANY = { connections: 1_030 }

const CASES: readonly AttackCase[] = [
  {
    id: 'slow-post',
    title: '1,030 uploads of 100 kB, 1 byte in 5 s',
    kind: 'slow-post',
    options: { ...OPTIONS_OF_MANY, length: 100_000 },
  },
  {
    id: 'slow-post-small',
    title: '1,030 uploads of 1 kB, 1 byte in 5 s',
    kind: 'slow-post',
    options: { ...OPTIONS_OF_MANY, length: 1_000 },
  },
  {
    id: 'slow-post-chunked',
    title: '1,030 chunked uploads, 1 byte in 5 s',
    kind: 'slow-post',
    options: { ...OPTIONS_OF_MANY, length: 0 },
  },
  {
    id: 'non-reader',
    title: '1,030 connections that ask for 10 MiB and read nothing',
    kind: 'non-reader',
    options: { ...OPTIONS_OF_MANY, path: '/10m' },
  },
  {
    id: 'long-poll',
    title: '1,030 requests of one client that the endpoint answers late',
    kind: 'long-poll',
    options: { ...OPTIONS_OF_MANY, path: '/wait' },
  },
  {
    id: 'h2-window0-10k',
    title: '11 HTTP/2 connections of 100 streams with a window of 0, for 10 KiB each',
    kind: 'closed-window',
    options: { connections: 11, streams: 100, path: '/10k' },
    tls: true,
  },
  {
    id: 'h2-window0-10m',
    title: '11 HTTP/2 connections of 100 streams with a window of 0, for 10 MiB each',
    kind: 'closed-window',
    options: { connections: 11, streams: 100, path: '/10m' },
    tls: true,
  },
]

export const ATTACK_CASES: readonly Case[] = CASES.map(createAttackCase)

function createAttackCase({ id, title, kind, options, own = false, tls = false }: AttackCase): Case {
  const scenario = (bench: Bench) => createScenario([`127.0.0.1:${bench.backend.nodePort}`], { tls, websocket: true })
  return {
    id,
    title,
    metrics: METRICS,
    needs: [],
    refuses: (candidate, bench) =>
      own && !isPortico(candidate) ? 'is not asked this' : candidate.refuses?.(scenario(bench)),
    open: async (candidate, place, bench) => {
      const running = await startServing(candidate, place, scenario(bench))
      const target: Target = { http: place.http, https: place.https, admin: place.admin, host: HOST }
      const load = { kind, options, target, seconds: bench.seconds }
      return {
        measure: () => measureAttack(running, load, bench, isPortico(candidate)),
        close: () => running.child.stop(),
      }
    },
  }
}

function isPortico({ name }: Candidate): boolean {
  return name.startsWith('portico')
}

/** A quiet time, the attack, and a time after it; the honest client goes on through all of them. */
async function measureAttack(running: Running, attack: AttackLoad, bench: Bench, hasMetrics: boolean): Promise<Sample> {
  const { child, place } = running
  const seconds = WARM_UP_SECONDS + QUIET_SECONDS + attack.seconds + AFTER_SECONDS
  const honest: HonestLoad = {
    port: place.http,
    host: HOST,
    path: '/',
    getsPerSecond: GETS_PER_SECOND,
    postsPerSecond: POSTS_PER_SECOND,
    seconds,
  }
  const others = runClient<HonestResult>('honest-client', honest, bench.loadCore, (seconds + 30) * 1000)
  // Awaited below; were it to fail before, that would be told then.
  others.catch(() => {})
  const watch = new Watch(child.pid)
  try {
    await pause(WARM_UP_SECONDS)
    const quietFrom = Date.now()
    await pause(QUIET_SECONDS)
    const before = readUsage(child.pid)
    const heldBefore = hasMetrics ? await readHeld(place.admin) : NOTHING_KNOWN
    const attackFrom = Date.now()
    const timeoutMs = (attack.seconds + 30) * 1000
    const outcome = await runClient<Outcome>('attack-client', attack, bench.loadCore, timeoutMs)
    const attackEnd = Date.now()
    await pause(HELD_AFTER_SECONDS)
    const after = readUsage(child.pid)
    const held = hasMetrics ? await readHeld(place.admin) : NOTHING_KNOWN
    const all = await others
    if (child.isGone) throw new Error(`it ended: ${child.lastWords}`)
    const quiet = summarize(all, quietFrom, attackFrom)
    // Those due later may have been answered because the attack was over.
    const during = summarize(all, attackFrom + RAMP_SECONDS * 1000, attackEnd - PATIENCE_MS)
    return {
      served: during.served,
      asked: during.asked,
      quietP99Ms: quiet.p99Ms,
      p99Ms: during.p99Ms,
      beforeMiB: before.residentBytes / MIB,
      peakMiB: watch.peakBytes / MIB,
      afterMiB: after.residentBytes / MIB,
      restarts: watch.restarts,
      heldRequests: held.requests - heldBefore.requests,
      heldConnections: held.connections - heldBefore.connections,
      heldDescriptors: after.descriptors - before.descriptors,
      sentMiB: outcome.bytesSent / MIB,
      cut: outcome.cut,
    }
  } finally {
    watch.stop()
  }
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000))
}

/** A request that was not served counts with the time its client waited. */
function summarize(all: HonestResult, from: number, to: number): { served: number; asked: number; p99Ms: number } {
  const due = all.filter(([dueAt]) => dueAt >= from && dueAt < to)
  const served = due.filter(([, ms]) => ms !== null)
  const sorted = due.map(([, ms]) => ms ?? PATIENCE_MS).sort((left, right) => left - right)
  return { served: served.length, asked: due.length, p99Ms: percentile(sorted, 0.99) }
}

type Held = Readonly<{ requests: number; connections: number }>

const NOTHING_KNOWN: Held = { requests: Number.NaN, connections: Number.NaN }

/** What Portico's own metrics say is under way. */
async function readHeld(adminPort: number): Promise<Held> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  const sum = (name: string) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
  return { requests: sum('portico_requests_in_flight'), connections: sum('portico_connections') }
}

/** Looks at the processes of a candidate until it is stopped: their greatest memory, and how many came in place of others. */
class Watch {
  peakBytes = 0
  readonly #group: number
  readonly #seen: Set<number>
  readonly #atFirst: number
  readonly #timer: NodeJS.Timeout

  constructor(group: number) {
    this.#group = group
    const first = this.#look()
    this.#seen = new Set(first.perProcess.keys())
    this.#atFirst = this.#seen.size
    this.#timer = setInterval(() => {
      for (const id of this.#look().perProcess.keys()) this.#seen.add(id)
    }, WATCH_MS)
  }

  get restarts(): number {
    return this.#seen.size - this.#atFirst
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): Usage {
    const usage = readUsage(this.#group)
    this.peakBytes = Math.max(this.peakBytes, usage.residentBytes)
    return usage
  }
}
