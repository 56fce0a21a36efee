/** Attacks by one client, and what they cost the gateway and everybody else. */
import { type AttackOptions, type Outcome, PATIENCE_MS, type Target } from '../attacks/attack.ts'
import type { Candidate, Running } from '../candidate.ts'
import type { Bench, Case, Metric, Sample } from '../case.ts'
import type { AttackKind, AttackLoad } from '../loads/attack-client.ts'
import { runClient } from '../loads/client.ts'
import type { HonestLoad, HonestResult } from '../loads/honest-client.ts'
import { percentile } from '../loads/result.ts'
import { createScenario, HOST } from '../scenario.ts'
import { readUsage } from '../usage.ts'
import { WATCH_METRICS, Watch } from '../watch.ts'
import { startServing } from './load-case.ts'
import { OVERLOAD_CASES } from './overload.ts'

const MIB = 1 << 20
/** Compilers get warm, and the first samples are left out. */
const WARM_UP_SECONDS = 2
const QUIET_SECONDS = 5
/** An attack needs so long until it is in place. */
const RAMP_SECONDS = 5
const AFTER_SECONDS = 6
/** Nothing may be held so long after its client has gone. */
const HELD_AFTER_SECONDS = 5
const GETS_PER_SECOND = 10
const POSTS_PER_SECOND = 3

const METRICS: readonly Metric[] = [
  { key: 'served', label: 'others served', digits: 0, ratio: false },
  { key: 'asked', label: 'of', digits: 0, ratio: false },
  { key: 'quietP99Ms', label: 'p99 ms before', digits: 1, ratio: false },
  { key: 'p99Ms', label: 'p99 ms', digits: 1, ratio: false },
  ...WATCH_METRICS,
  { key: 'heldRequests', label: 'requests held', digits: 0, ratio: false },
  { key: 'heldConnections', label: 'connections held', digits: 0, ratio: false },
  { key: 'heldDescriptors', label: 'descriptors held', digits: 0, ratio: false },
  { key: 'sentMiB', label: 'attacker sent MiB', digits: 2, ratio: false },
  { key: 'cut', label: 'cut', digits: 0, ratio: false },
]

const NOTE =
  'Others: 10 GETs and 3 POSTs a second by another client, served with a 2xx within 5 s; one that was not counts with 5,000 ms. Held: ' +
  'what is more than before the attack 5 s after the attacker has gone. Cut: connections of the attacker that the candidate ended.'

type AttackCase = Readonly<{
  id: string
  title: string
  kind: AttackKind
  options: AttackOptions
  tls?: boolean
  /** The endpoint is the backend that costs least, not the one in Node. */
  plainBackend?: boolean
  /** Of Portico alone: the others have nothing of the kind, or are not started so. */
  own?: boolean
  /** Most open files and sockets of the candidate. */
  descriptors?: number
  /** Whether the others ask the admin listener whether it lives, in place of the Service. */
  admin?: boolean
}>

const MANY = 1_030
/** A field that no client of today sends leads to node:http. */
const UNUSUAL = 'Keep-Alive: 1'

const CASES: readonly AttackCase[] = [
  {
    id: 'upgrade-crash',
    title: 'handshakes behind requests that should have ended their connection, 4 a second',
    kind: 'upgrade-crash',
    options: { perSecond: 4 },
  },
  {
    id: 'pipelining-lane',
    title: '1 connection that pipelines small GETs and reads every answer',
    kind: 'pipeliner',
    options: { connections: 1, secure: false, field: '' },
    plainBackend: true,
  },
  {
    id: 'pipelining-lane-tls',
    title: 'the same over TLS',
    kind: 'pipeliner',
    options: { connections: 1, secure: true, field: '' },
    tls: true,
    plainBackend: true,
  },
  {
    id: 'pipelining-node',
    title: '4 connections that pipeline small GETs with an unusual field and read every answer',
    kind: 'pipeliner',
    options: { connections: 4, secure: false, field: UNUSUAL },
    plainBackend: true,
  },
  {
    id: 'pipelining-node-tls',
    title: 'the same over TLS',
    kind: 'pipeliner',
    options: { connections: 4, secure: true, field: UNUSUAL },
    tls: true,
    plainBackend: true,
  },
  {
    id: 'descriptors',
    title: '1,200 idle connections where 1,024 files may be open',
    kind: 'idle-crowd',
    options: { connections: 1_200 },
    own: true,
    descriptors: 1_024,
  },
  {
    id: 'slow-post',
    title: '1,030 uploads of 100 kB, 1 byte in 5 s',
    kind: 'slow-post',
    options: { connections: MANY, length: 100_000 },
  },
  {
    id: 'slow-post-small',
    title: '1,030 uploads of 1 kB, 1 byte in 5 s',
    kind: 'slow-post',
    options: { connections: MANY, length: 1_000 },
  },
  {
    id: 'slow-post-chunked',
    title: '1,030 chunked uploads, 1 byte in 5 s',
    kind: 'slow-post',
    options: { connections: MANY, length: 0 },
  },
  {
    id: 'non-reader',
    title: '1,030 connections that ask for 10 MiB and read nothing',
    kind: 'non-reader',
    options: { connections: MANY, path: '/10m' },
    plainBackend: true,
  },
  {
    id: 'long-poll',
    title: '1,030 requests of one client that the endpoint answers late',
    kind: 'long-poll',
    options: { connections: MANY, path: '/wait' },
  },
  {
    id: 'h2-window0-10k',
    title: '11 HTTP/2 connections of 100 streams with a window of 0, for 10 KiB each',
    kind: 'closed-window',
    options: { connections: 11, streams: 100, path: '/10k' },
    tls: true,
    plainBackend: true,
  },
  {
    id: 'h2-window0-1m',
    title: '11 HTTP/2 connections of 100 streams with a window of 0, for 1 MiB each',
    kind: 'closed-window',
    options: { connections: 11, streams: 100, path: '/1m' },
    tls: true,
    plainBackend: true,
  },
  {
    id: 'h2-window0-10m',
    title: '11 HTTP/2 connections of 100 streams with a window of 0, for 10 MiB each',
    kind: 'closed-window',
    options: { connections: 11, streams: 100, path: '/10m' },
    tls: true,
    plainBackend: true,
  },
  {
    id: 'gone-websockets',
    title: '400 WebSockets to an endpoint that reads nothing; then the client goes',
    kind: 'gone-websockets',
    options: { connections: 400 },
  },
  {
    id: 'gone-uploads',
    title: '200 uploads to an endpoint that reads nothing; then the client goes',
    kind: 'gone-uploads',
    options: { connections: 200 },
  },
  {
    id: 'gone-upgrades',
    title: '200 handshakes that the endpoint does not answer; then the client goes',
    kind: 'gone-upgrades',
    options: { connections: 200 },
  },
  {
    id: 'admin',
    title: '600 slow connections at the admin listener; the others ask /livez',
    kind: 'admin-crowd',
    options: { connections: 600 },
    own: true,
    admin: true,
  },
]

export const ATTACK_CASES: readonly Case[] = [...CASES.map(createAttackCase), ...OVERLOAD_CASES]

function createAttackCase(attack: AttackCase): Case {
  const {
    id,
    title,
    kind,
    options,
    tls = false,
    plainBackend = false,
    own = false,
    descriptors,
    admin = false,
  } = attack
  const scenario = (bench: Bench) =>
    createScenario([`127.0.0.1:${plainBackend ? bench.backend.httpPort : bench.backend.nodePort}`], {
      tls,
      websocket: true,
    })
  return {
    id,
    title,
    note: NOTE,
    metrics: METRICS,
    needs: descriptors === undefined ? [] : ['prlimit'],
    refuses: (candidate, bench) =>
      own && !isPortico(candidate) ? 'is not asked this' : candidate.refuses?.(scenario(bench)),
    open: async (candidate, place, bench) => {
      const limited = descriptors === undefined ? place : { ...place, descriptors }
      const running = await startServing(candidate, limited, scenario(bench))
      const target: Target = { http: place.http, https: place.https, admin: place.admin, host: HOST }
      const load = { kind, options, target, seconds: bench.seconds }
      const honest: HonestLoad = {
        ...(admin
          ? { port: place.admin, path: '/livez', postsPerSecond: 0 }
          : { port: place.http, path: '/', postsPerSecond: POSTS_PER_SECOND }),
        host: HOST,
        getsPerSecond: GETS_PER_SECOND,
        seconds: WARM_UP_SECONDS + QUIET_SECONDS + bench.seconds + AFTER_SECONDS,
      }
      return {
        measure: () => measureAttack(running, load, honest, bench, isPortico(candidate)),
        close: () => running.child.stop(),
      }
    },
  }
}

function isPortico({ name }: Candidate): boolean {
  return name.startsWith('portico')
}

/** A quiet time, the attack, and a time after it; the honest client goes on through all of them. */
async function measureAttack(
  running: Running,
  attack: AttackLoad,
  honest: HonestLoad,
  bench: Bench,
  hasMetrics: boolean,
): Promise<Sample> {
  const { child, place } = running
  const others = runClient<HonestResult>('honest-client', honest, bench.loadCore, (honest.seconds + 30) * 1000)
  // Awaited below; were it to fail before, that would be told then.
  others.catch(() => {})
  const watch = new Watch(child)
  try {
    await pause(WARM_UP_SECONDS)
    const quietFrom = Date.now()
    await pause(QUIET_SECONDS)
    const before = readUsage(child.pid)
    const heldBefore = hasMetrics ? await readHeld(place.admin) : NOTHING_KNOWN
    const attackFrom = Date.now()
    const timeoutMs = (attack.seconds + 30) * 1000
    const outcome = await runClient<Outcome>('attack-client', attack, bench.loadCore, timeoutMs)
    await pause(HELD_AFTER_SECONDS)
    const after = readUsage(child.pid)
    const held = hasMetrics ? await readHeld(place.admin) : NOTHING_KNOWN
    const all = await others
    watch.check()
    const quiet = summarize(all, quietFrom, attackFrom)
    // Those due later may have been answered because the attack was over.
    const attackEnd = attackFrom + attack.seconds * 1000
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
