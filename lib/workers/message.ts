/** What the control process and its workers say to each other, and how a large update is cut so that no message stalls anybody. */
import type { RequestErrorCode } from '../base/errors.ts'
import type { Certificate } from '../model/certificate.ts'
import type { FilterConfig } from '../model/filter.ts'
import type { VirtualHost } from '../model/route.ts'
import type { EndpointTrouble, UpstreamKey } from '../model/upstream.ts'
import type { Settings } from '../settings/table.ts'
import type { SnapshotUpdate } from '../snapshot/update.ts'
import type { BufferedBytes, LoopDelay, MemoryKinds } from '../telemetry/metrics.ts'
import type { CountsData } from '../telemetry/request-counts.ts'
import type { RequestQuery } from '../telemetry/request-query.ts'
import type { FollowedRequests, KeptRequest } from '../telemetry/request-records.ts'
import type { TrafficData } from '../telemetry/traffic-meter.ts'
import type { CircuitState } from '../upstream/choice/circuit.ts'
import type { EndpointIdentity } from '../upstream/endpoint/endpoint.ts'

export type ToWorker =
  /** The first, once. */
  | Readonly<{
      type: 'start'
      worker: number
      settings: Settings
      defaultCertificate: Certificate | undefined
      ticketSecret: Buffer
      affinitySecret: Buffer
      dataFolder: string
      processes: number
    }>
  /** Part of an update; the last part puts it in force, which is answered by `applied`. */
  | Readonly<{ type: 'update'; piece: SnapshotUpdate; isLast: boolean }>
  /** Comes with a bound socket, unless it is for UDP; answered by `listening`. */
  | Readonly<{ type: 'listen'; place: string }>
  /** Takes no more connections there; answered by `unlistened`. */
  | Readonly<{ type: 'unlisten'; place: string }>
  /** Answered by `reported`. */
  | Readonly<{ type: 'report' }>
  /** Answered by `found`, once or several times. */
  | Readonly<{ type: 'find'; query: RequestQuery; limit: number }>
  /** From now on the worker tells by `followed` of requests that the query wants, until `unfollow`. */
  | Readonly<{ type: 'follow'; follower: number; query: RequestQuery }>
  | Readonly<{ type: 'unfollow'; follower: number }>
  /** Answered by `traffic`, once or several times. */
  | Readonly<{ type: 'measure' }>
  | Readonly<{ type: 'close-circuits'; port: UpstreamKey }>
  /** Answered by `draining`. */
  | Readonly<{ type: 'drain' }>
  /** Answered by `finished`; then the worker ends. */
  | Readonly<{ type: 'finish'; deadlineMs: number }>
  | Readonly<{ type: 'cut' }>
  /** The file of the access log has another name now. */
  | Readonly<{ type: 'reopen-log' }>

export type FromWorker =
  | Readonly<{ type: 'applied'; generation: number; inFlight: number }>
  /** `failure` is Node's error, where the socket cannot be listened on. */
  | Readonly<{ type: 'listening'; place: string; failure: ListenFailure | undefined }>
  | Readonly<{ type: 'unlistened'; place: string }>
  /** At each `report`, and every second. */
  | Readonly<{ type: 'figures'; figures: TrafficFigures }>
  | Readonly<{ type: 'reported' }>
  | Readonly<{ type: 'found'; requests: readonly KeptRequest[]; isLast: boolean }>
  | (Readonly<{ type: 'followed'; follower: number }> & FollowedRequests)
  | Readonly<{ type: 'traffic'; traffic: TrafficData; isLast: boolean }>
  /** At once, so that the endpoint can be ejected. */
  | Readonly<{ type: 'trouble'; trouble: EndpointTrouble }>
  | Readonly<{ type: 'draining'; inFlight: number }>
  | Readonly<{ type: 'finished'; left: number }>

/** As Node says it. */
export type ListenFailure = Readonly<{ code: string | undefined; message: string }>

/** What a worker tells of itself: counts since it last did, and figures of this moment. */
export type TrafficFigures = Readonly<{
  counts: CountsData
  /** Those about which there is something new. */
  endpoints: readonly EndpointData[]
  /** Those that are not closed. */
  circuits: readonly (readonly [UpstreamKey, CircuitState])[]
  /** Since the last time. */
  logLinesDropped: number
  inFlight: number
  tunnels: number
  buffered: BufferedBytes
  /** Open client connections and UDP sessions by listener, as metrics name it. */
  connections: Readonly<Record<string, number>>
  /** Requests of HTTP/2 under way. */
  streams: number
  /** Requests that wait for a place, by upstream; none where nobody waits. */
  queued: readonly (readonly [UpstreamKey, number])[]
  residentBytes: number
  heapBytes: number
  /** By kind. */
  memory: MemoryKinds
  loopDelay: LoopDelay
  cpuSeconds: number
}>

/** Requests, failures and answers since the last time; failures since the last answer; and what is under way now. */
export type EndpointData = Readonly<{
  identity: Pick<EndpointIdentity, 'key' | 'upstream' | 'host' | 'port'> & Readonly<{ name?: string }>
  inFlight: number
  requests: number
  failures: number
  answers: number
  failuresInRow: number
  lastFailure: Readonly<{ code: RequestErrorCode; at: number }> | undefined
}>

/** Of routes, endpoints and the like, so many make a message: well below a millisecond of work at the other end. */
const PIECE_WEIGHT = 400
const CERTIFICATE_WEIGHT = 20
/** Options of filters may hold long texts. */
const CHARACTERS_PER_WEIGHT = 16_384
/** Kept requests, and measured routes and endpoints, in a message. */
const FOUND_AT_ONCE = 100
const METERS_AT_ONCE = 100

/** An update in pieces of bounded size, at least one. What is in them is as it was: nothing is copied, left out or changed. */
export function* cutUpdate(update: SnapshotUpdate): Generator<SnapshotUpdate> {
  const { tables, upstreams, certificates, listeners } = update
  const heads = tables.map((table) => ({ ...table, hosts: [] }))
  yield { ...update, tables: heads, upstreams: [], certificates: [], listeners: [] }
  const empty = {
    ...update,
    settings: undefined,
    tables: [],
    upstreams: [],
    certificates: [],
    listeners: [],
    removed: { tables: [], upstreams: [], certificates: [], listeners: [] },
  }
  for (const some of group(upstreams, ({ endpoints }) => 1 + endpoints.length)) yield { ...empty, upstreams: some }
  for (const some of group(certificates, () => CERTIFICATE_WEIGHT)) yield { ...empty, certificates: some }
  for (const some of group(listeners, ({ sourceRanges }) => 1 + sourceRanges.length))
    yield { ...empty, listeners: some }
  for (const { name, hosts } of tables) {
    const rest = { name, defaultRoute: undefined, removed: [] }
    for (const some of group(hosts, createHostScale())) {
      yield { ...empty, tables: [{ ...rest, hosts: some }] }
    }
  }
}

/** The whole of what `cutUpdate` cut. */
export function joinUpdate(pieces: readonly SnapshotUpdate[]): SnapshotUpdate {
  const first = pieces[0]!
  const hosts = new Map(first.tables.map(({ name }) => [name, [] as VirtualHost[]]))
  for (const { tables } of pieces) for (const table of tables) hosts.get(table.name)?.push(...table.hosts)
  return {
    ...first,
    tables: first.tables.map((table) => ({ ...table, hosts: hosts.get(table.name)! })),
    upstreams: pieces.flatMap(({ upstreams }) => upstreams),
    certificates: pieces.flatMap(({ certificates }) => certificates),
    listeners: pieces.flatMap(({ listeners }) => listeners),
  }
}

/** Weighs the hosts of a message. A body that many routes answer with is one object, and weighs once in each message. */
function createHostScale(): (host: VirtualHost, isFirst: boolean) => number {
  const weighed = new Set<readonly FilterConfig[]>()
  return ({ routes }, isFirst) => {
    if (isFirst) weighed.clear()
    let weight = 1 + routes.length
    for (const { filters } of routes) {
      if (filters === undefined || weighed.has(filters)) continue
      weighed.add(filters)
      for (const { options } of filters) weight += countCharacters(options) / CHARACTERS_PER_WEIGHT
    }
    return weight
  }
}

/** Characters of the texts in a plain value. */
function countCharacters(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce<number>((sum, inner) => sum + countCharacters(inner), 0)
}

/** Items in groups of bounded weight; `isFirst` is true for the first item of a group. */
function* group<T>(items: readonly T[], weigh: (item: T, isFirst: boolean) => number): Generator<readonly T[]> {
  let some: T[] = []
  let weight = 0
  for (const item of items) {
    some.push(item)
    weight += weigh(item, some.length === 1)
    if (weight < PIECE_WEIGHT) continue
    yield some
    some = []
    weight = 0
  }
  if (some.length > 0) yield some
}

const NO_COUNTS: CountsData = {
  series: [],
  errors: new Map(),
  connections: new Map(),
  mirrored: new Map(),
  bytes: new Map(),
  contained: new Map(),
  filtered: new Map(),
  handshakes: new Map(),
  handshakeFailures: new Map(),
}

/** Figures in messages of bounded size, at least one; together they say what `figures` says. */
export function* cutFigures(figures: TrafficFigures): Generator<TrafficFigures> {
  const { counts, endpoints } = figures
  // Of these there is but a short list.
  const { errors, contained, filtered, handshakes, handshakeFailures } = counts
  const few = { ...NO_COUNTS, errors, contained, filtered, handshakes, handshakeFailures }
  yield { ...figures, counts: few, endpoints: [] }
  const rest = { ...figures, logLinesDropped: 0, counts: NO_COUNTS, endpoints: [] }
  for (const series of group(counts.series, () => 4)) yield { ...rest, counts: { ...NO_COUNTS, series } }
  for (const some of group([...counts.connections], () => 2)) {
    yield { ...rest, counts: { ...NO_COUNTS, connections: new Map(some) } }
  }
  for (const some of group([...counts.mirrored], () => 2)) {
    yield { ...rest, counts: { ...NO_COUNTS, mirrored: new Map(some) } }
  }
  for (const some of group([...counts.bytes], () => 2)) {
    yield { ...rest, counts: { ...NO_COUNTS, bytes: new Map(some) } }
  }
  for (const some of group(endpoints, () => 2)) yield { ...rest, endpoints: some }
}

/** Kept requests in messages of bounded size, at least one. */
export function* cutFound(requests: readonly KeptRequest[]): Generator<Extract<FromWorker, { type: 'found' }>> {
  for (let at = 0; at === 0 || at < requests.length; at += FOUND_AT_ONCE) {
    const some = requests.slice(at, at + FOUND_AT_ONCE)
    yield { type: 'found', requests: some, isLast: at + FOUND_AT_ONCE >= requests.length }
  }
}

/** What a worker has to do, in messages of bounded size, at least one; the first has the totals. */
export function* cutTraffic(traffic: TrafficData): Generator<Extract<FromWorker, { type: 'traffic' }>> {
  const { routes, endpoints } = traffic
  const most = Math.max(routes.length, endpoints.length)
  for (let at = 0; at === 0 || at < most; at += METERS_AT_ONCE) {
    const end = at + METERS_AT_ONCE
    const some = { ...traffic, routes: routes.slice(at, end), endpoints: endpoints.slice(at, end) }
    yield { type: 'traffic', traffic: some, isLast: end >= most }
  }
}

export function joinTraffic(pieces: readonly TrafficData[]): TrafficData {
  return {
    ...pieces[0]!,
    routes: pieces.flatMap(({ routes }) => routes),
    endpoints: pieces.flatMap(({ endpoints }) => endpoints),
  }
}
