/**
 * Counts the requests of a process by route, and the connections at ports of Services. The counts of one process can be taken out
 * and added to those of another. HOT
 */
import { METHODS } from 'node:http'
import type { Place } from '../base/contain.ts'
import { REQUEST_ERRORS, type RequestErrorCode } from '../base/errors.ts'
import type { RequestFacts, RequestRecord, RouteLabels } from './record.ts'
import { increment, RequestSeries, type SeriesData } from './request-series.ts'
import { MAX_SERIES, OTHER, ResultCounts, type Results } from './result-counts.ts'

const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)

/** Counts as plain data. */
export type CountsData = Readonly<{
  series: readonly SeriesData[]
  errors: ReadonlyMap<RequestErrorCode, number>
  connections: Results<ConnectionResult>
  /** By the mirror's upstream. */
  mirrored: Results<MirrorResult>
  bytes: ReadonlyMap<string, ByteCounts>
  contained: ReadonlyMap<Place, number>
  /** By filter. */
  filtered: Results<FilterResult>
  /** By version of TLS. */
  handshakes: Results<HandshakeResult>
  handshakeFailures: ReadonlyMap<HandshakeFailure, number>
}>

/** What a filter did that did not let a request go on. */
export type FilterResult = 'refused' | 'answered'

export type HandshakeResult = 'full' | 'resumed'

/** Why a TLS handshake came to nothing. */
export type HandshakeFailure =
  /** The client took too long. */
  | 'timeout'
  /** The client went away. */
  | 'reset'
  /** There is no version, or no cipher suite, that both can speak. */
  | 'version'
  | 'cipher'
  /** The client did not like the certificate, or said so otherwise. */
  | 'rejected'
  /** No certificate covers the name, and https.strictSni is on. */
  | 'unknown_name'
  /** A request of plain HTTP. */
  | 'plain_http'
  | 'other'

export type RequestCountsOptions = Readonly<{
  /** Series are by route; otherwise by Ingress and Service. */
  byRoute?: boolean
  /** Most series; further requests are counted together. */
  maxSeries?: number
}>

/** The fate of a connection or UDP session. The HTTP and HTTPS listeners count only refused connections. */
export type ConnectionResult =
  | 'served'
  /** From an address that `loadBalancerSourceRanges` leaves out. */
  | 'refused_source'
  /** Without a PROXY header, or from a peer that may not send one. */
  | 'refused_header'
  /** No endpoint is ready, or none could be connected to. */
  | 'failed'
  /** Beyond limits.datagramSessions. */
  | 'dropped'
  /** Beyond limits.connections, with no idle connection to close. */
  | 'refused_limit'
  /** Beyond limits.connectionsPerClient, with no idle connection of the client to close. */
  | 'refused_client'
  /** No file descriptor is left. */
  | 'refused_descriptors'
  /** An idle connection of any listener was closed to make room on this listener. */
  | 'made_room'

/** The fate of a copy of a request that went to a mirror, or should have gone there. */
export type MirrorResult =
  /** The class of the answer's status. */
  | '2xx'
  | '3xx'
  | '4xx'
  | '5xx'
  /** There was no connection, or no answer in time. */
  | 'failed'
  /** Broken off: the mirror took the body too slowly, or the request itself broke off. */
  | 'cut'
  /** Not made: too many copies were under way. */
  | 'dropped'

/** Bytes from and to clients. */
export type ByteCounts = Readonly<{ bytesIn: number; bytesOut: number }>

export class RequestCounts {
  readonly #series = new Map<string, RequestSeries>()
  /** By identity of the labels, which are made once for each route of a snapshot: this saves building the key. */
  readonly #seriesByLabels = new WeakMap<RouteLabels, RequestSeries>()
  readonly #overflow: RequestSeries
  readonly #byRoute: boolean
  readonly #maxSeries: number
  /** Requests that the gateway itself answered, or cut. */
  #errors = new Map<RequestErrorCode, number>()
  /** By listener. */
  readonly #connections = new ResultCounts<ConnectionResult>()
  readonly #mirrored = new ResultCounts<MirrorResult>()
  /** Bytes of connections at L4 and UDP sessions, by listener. */
  #bytes = new Map<string, { bytesIn: number; bytesOut: number }>()
  /** Bugs that cost one connection. */
  #contained = new Map<Place, number>()
  readonly #filtered = new ResultCounts<FilterResult>()
  readonly #handshakes = new ResultCounts<HandshakeResult>()
  #handshakeFailures = new Map<HandshakeFailure, number>()

  constructor({ byRoute = false, maxSeries = MAX_SERIES }: RequestCountsOptions = {}) {
    this.#byRoute = byRoute
    this.#maxSeries = maxSeries
    this.#overflow = new RequestSeries(OTHER, OTHER, byRoute ? OTHER : '')
  }

  observe(record: RequestRecord, facts?: RequestFacts): void {
    const { error } = record
    const found = this.#findRoute(record.labels)
    const { method } = record
    found.count(found.requests.has(method) || KNOWN_METHODS.has(method) ? method : 'other', record.status)
    found.bytesIn += record.bytesIn
    found.bytesOut += record.bytesOut
    if (!record.tunnel) {
      const seconds = record.durationMs / 1000
      const { duration } = found
      const bucket = duration.observe(seconds)
      found.requestBytes.observe(record.bytesIn)
      found.responseBytes.observe(record.bytesOut)
      const { startedAt } = record
      if (facts !== undefined && duration.wantsExemplar(bucket, startedAt)) {
        const { traceId } = facts
        if (traceId !== undefined) duration.setExemplar(bucket, { traceId, value: seconds, at: startedAt })
      }
    }
    if (record.filter !== undefined) this.#filtered.count(record.filter, error ? 'refused' : 'answered')
    if (record.upstreamMs !== undefined) found.upstream.observe(record.upstreamMs / 1000)
    if (record.retries)
      for (const { reason, result } of record.retries) increment(found.retries, `${reason} ${result}`, 1)
    if (error) {
      increment(this.#errors, error, 1)
      if (REQUEST_ERRORS[error][1] === 'upstream') increment(found.upstreamErrors, error, 1)
    }
  }

  /** `listener` comes from configuration. */
  countConnection(listener: string, result: ConnectionResult): void {
    this.#connections.count(listener, result)
  }

  /** `mirror` is the upstream that the copy was for. */
  countMirrored(mirror: string, result: MirrorResult): void {
    this.#mirrored.count(mirror, result)
  }

  /** `listener` comes from configuration, as in `countConnection`. */
  countBytes(listener: string, { bytesIn, bytesOut }: ByteCounts): void {
    const known = this.#bytes.get(listener)
    if (known) {
      known.bytesIn += bytesIn
      known.bytesOut += bytesOut
    } else if (this.#bytes.size >= MAX_SERIES && listener !== OTHER) this.countBytes(OTHER, { bytesIn, bytesOut })
    else this.#bytes.set(listener, { bytesIn, bytesOut })
  }

  /** `version` is as OpenSSL has it. */
  countHandshake(version: string, isResumed: boolean): void {
    this.#handshakes.count(version, isResumed ? 'resumed' : 'full')
  }

  countHandshakeFailure(reason: HandshakeFailure): void {
    increment(this.#handshakeFailures, reason, 1)
  }

  countContained(place: Place): void {
    increment(this.#contained, place, 1)
  }

  get contained(): ReadonlyMap<Place, number> {
    return this.#contained
  }

  get connections(): Results<ConnectionResult> {
    return this.#connections.all
  }

  get mirrored(): Results<MirrorResult> {
    return this.#mirrored.all
  }

  get filtered(): Results<FilterResult> {
    return this.#filtered.all
  }

  get handshakes(): Results<HandshakeResult> {
    return this.#handshakes.all
  }

  get handshakeFailures(): ReadonlyMap<HandshakeFailure, number> {
    return this.#handshakeFailures
  }

  get bytes(): ReadonlyMap<string, ByteCounts> {
    return this.#bytes
  }

  get errors(): ReadonlyMap<RequestErrorCode, number> {
    return this.#errors
  }

  /** The series that have counted something. */
  *series(): Iterable<RequestSeries> {
    for (const series of this.#series.values()) if (series.requests.size > 0) yield series
    if (this.#overflow.requests.size > 0) yield this.#overflow
  }

  /** Takes out all counts since the last call. */
  take(): CountsData {
    const errors = this.#errors
    this.#errors = new Map()
    const connections = this.#connections.take()
    const mirrored = this.#mirrored.take()
    const bytes = this.#bytes
    this.#bytes = new Map()
    const contained = this.#contained
    this.#contained = new Map()
    const series: SeriesData[] = []
    for (const each of this.series()) series.push(each.take() as SeriesData)
    const filtered = this.#filtered.take()
    const handshakes = this.#handshakes.take()
    const handshakeFailures = this.#handshakeFailures
    this.#handshakeFailures = new Map()
    return { series, errors, connections, mirrored, bytes, contained, filtered, handshakes, handshakeFailures }
  }

  /** Adds the counts of another process. */
  add(data: CountsData): void {
    const { series, errors, connections, mirrored, bytes, contained } = data
    this.#filtered.add(data.filtered)
    this.#handshakes.add(data.handshakes)
    for (const [reason, count] of data.handshakeFailures) increment(this.#handshakeFailures, reason, count)
    for (const each of series) {
      const isOther = each.ingress === OTHER && each.service === OTHER
      const own = isOther ? this.#overflow : this.#find(each.ingress, each.service, each.route)
      own.add(each)
    }
    for (const [code, count] of errors) increment(this.#errors, code, count)
    for (const [place, count] of contained) increment(this.#contained, place, count)
    for (const [listener, counts] of bytes) this.countBytes(listener, counts)
    this.#connections.add(connections)
    this.#mirrored.add(mirrored)
  }

  #findRoute(labels: RouteLabels | undefined): RequestSeries {
    if (!labels) return this.#find('', '', '')
    let found = this.#seriesByLabels.get(labels)
    if (!found) {
      found = this.#find(labels.ingress, labels.upstream, this.#byRoute ? labels.route : '')
      this.#seriesByLabels.set(labels, found)
    }
    return found
  }

  #find(ingress: string, service: string, route: string): RequestSeries {
    const key = `${ingress} ${service} ${route}`
    let found = this.#series.get(key)
    if (!found) {
      if (this.#series.size >= this.#maxSeries) return this.#overflow
      found = new RequestSeries(ingress, service, route)
      this.#series.set(key, found)
    }
    return found
  }
}
