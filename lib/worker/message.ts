/** What the control process and its workers say to each other, and how a large update is cut so that no message stalls anybody. */
import type { RequestErrorCode } from '../base/errors.ts'
import type { Certificate } from '../model/certificate.ts'
import type { Upstream } from '../model/upstream.ts'
import type { Settings } from '../settings-table.ts'
import type { LiveHost, LiveRoute, SnapshotUpdate } from '../snapshot-update.ts'
import type { CountsData } from '../telemetry/request-counts.ts'
import type { EndpointIdentity } from '../upstream/endpoint.ts'

export type ToWorker =
  /** The first, once. */
  | Readonly<{
      type: 'start'
      worker: number
      settings: Settings
      defaultCertificate: Certificate | undefined
      ticketSecret: Buffer
      affinitySecret: Buffer
      httpsPort: number | undefined
    }>
  /** Part of an update; the last part puts it in force, which is answered by `applied`. */
  | Readonly<{ type: 'update'; piece: SnapshotUpdate; isLast: boolean }>
  /** Comes with a bound socket; answered by `listening`. */
  | Readonly<{ type: 'listen'; name: 'http' | 'https' }>
  /** Answered by `reported`. */
  | Readonly<{ type: 'report' }>
  /** Answered by `draining`. */
  | Readonly<{ type: 'drain' }>
  /** Answered by `finished`; then the worker ends. */
  | Readonly<{ type: 'finish'; deadlineMs: number }>
  | Readonly<{ type: 'cut' }>

export type FromWorker =
  | Readonly<{ type: 'applied'; generation: number; inFlight: number }>
  /** `failure` is Node's error, where the socket cannot be listened on. */
  | Readonly<{ type: 'listening'; failure: Readonly<{ code: string | undefined; message: string }> | undefined }>
  /** At each `report`, and every second. */
  | Readonly<{ type: 'figures'; figures: TrafficFigures }>
  | Readonly<{ type: 'reported' }>
  | Readonly<{ type: 'draining'; inFlight: number }>
  | Readonly<{ type: 'finished'; left: number }>

/** What a worker tells of itself: counts since it last did, and figures of this moment. */
export type TrafficFigures = Readonly<{
  counts: CountsData
  /** Those about which there is something new. */
  endpoints: readonly EndpointData[]
  /** Since the last time. */
  logLinesDropped: number
  inFlight: number
  connections: Readonly<{ http: number; https: number }>
  residentBytes: number
  heapBytes: number
  cpuSeconds: number
}>

/** Requests and failures since the last time, and what is under way now. */
export type EndpointData = Readonly<{
  identity: Pick<EndpointIdentity, 'upstream' | 'protocol' | 'host' | 'port'> & Readonly<{ key: string }>
  inFlight: number
  requests: number
  failures: number
  lastFailure: Readonly<{ code: RequestErrorCode; at: number }> | undefined
}>

/** Of routes, endpoints and the like, so many make a message: well below a millisecond of work at the other end. */
const PIECE_WEIGHT = 400
const CERTIFICATE_WEIGHT = 20

/** An update in pieces of bounded size, at least one. Positions in files, which nobody reads over there, are left out. */
export function* cutUpdate(update: SnapshotUpdate): Generator<SnapshotUpdate> {
  const { hosts, upstreams, certificates, removed, settings, defaultRoute, ...rest } = update
  const empty: SnapshotUpdate = {
    ...rest,
    defaultRoute: defaultRoute && pickRoute(defaultRoute),
    settings: undefined,
    hosts: [],
    upstreams: [],
    certificates: [],
    removed: { hosts: [], upstreams: [], certificates: [] },
  }
  yield { ...empty, settings, removed }
  for (const some of group(upstreams, ({ endpoints }) => 1 + endpoints.length)) {
    yield { ...empty, upstreams: some.map(dropPositions) }
  }
  for (const some of group(certificates, () => CERTIFICATE_WEIGHT)) yield { ...empty, certificates: some }
  for (const some of group(hosts, ({ routes }) => 1 + routes.length)) yield { ...empty, hosts: some.map(pickLive) }
}

/** The whole of what `cutUpdate` cut. */
export function joinUpdate(pieces: readonly SnapshotUpdate[]): SnapshotUpdate {
  return {
    ...pieces[0]!,
    hosts: pieces.flatMap(({ hosts }) => hosts),
    upstreams: pieces.flatMap(({ upstreams }) => upstreams),
    certificates: pieces.flatMap(({ certificates }) => certificates),
  }
}

function* group<T>(items: readonly T[], weigh: (item: T) => number): Generator<readonly T[]> {
  let some: T[] = []
  let weight = 0
  for (const item of items) {
    some.push(item)
    weight += weigh(item)
    if (weight < PIECE_WEIGHT) continue
    yield some
    some = []
    weight = 0
  }
  if (some.length > 0) yield some
}

/** Equal actions and Ingresses become the same object, which a message holds once, and so does the memory over there. */
function pickLive({ host, redirectToHttps, routes }: LiveHost): LiveHost {
  const shared = new Map<string, unknown>()
  const share = <T extends object>(value: T): T => {
    const key = Object.values(value).join(' ')
    const known = shared.get(key) as T | undefined
    if (known) return known
    shared.set(key, value)
    return value
  }
  return {
    host,
    redirectToHttps,
    routes: routes.map((route) => {
      const { id, match, action, ingress } = pickRoute(route)
      return { id, match, action: share(action), ingress: share(ingress) }
    }),
  }
}

/** As plain data: a model may compute what it gives, and a message takes only what is there. */
function pickRoute({ id, match, action, ingress }: LiveRoute): LiveRoute {
  return { id, match, action, ingress }
}

function dropPositions(upstream: Upstream): Upstream {
  return { ...upstream, endpoints: upstream.endpoints.map(({ position: _, ...endpoint }) => endpoint) }
}

/** Figures in messages of bounded size, at least one; together they say what `figures` says. */
export function* cutFigures(figures: TrafficFigures): Generator<TrafficFigures> {
  const { counts, endpoints } = figures
  yield { ...figures, counts: { ...counts, series: [] }, endpoints: [] }
  const rest = { ...figures, logLinesDropped: 0, endpoints: [] }
  for (const series of group(counts.series, () => 4)) yield { ...rest, counts: { series, errors: new Map() } }
  for (const some of group(endpoints, () => 2)) {
    yield { ...rest, counts: { series: [], errors: new Map() }, endpoints: some }
  }
}
