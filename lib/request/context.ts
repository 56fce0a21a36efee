/** One request as everything behind the door sees it: checked once, in one canonical form. HOT */
import { isPrivateAddress } from '../base/cidr.ts'
import { findClientNetwork } from '../base/client-network.ts'
import type { Clock } from '../base/clock.ts'
import type { DeadlineWatch } from '../base/deadline.ts'
import { GatewayError, refuseBody } from '../base/errors.ts'
import { parseAuthority } from '../base/hostname.ts'
import { printElapsed, sayBytes } from '../base/measure.ts'
import { type NormalPath, normalizePath, USUAL_PATHS } from '../base/path.ts'
import type { ClientCount } from '../base/per-client.ts'
import { parseParameters } from '../base/query.ts'
import { redactAuthority } from '../base/redact.ts'
import { readTraceparent } from '../base/trace-context.ts'
import { Notes } from '../filters/notes.ts'
import {
  type FilterRequest,
  type Lease,
  type PendingAnswer,
  type Question,
  QuestionFailure,
  type TlsFacts,
} from '../filters/spec.ts'
import { findField, findRequestField } from '../http1/field-line.ts'
import { mayHave } from '../http1/name-traces.ts'
import type { RequestFields } from '../http1/request-fields.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import type { PathMatch } from '../model/route.ts'
import type { RoutedRequest } from '../routing/predicates.ts'
import type { Settings } from '../settings/table.ts'
import type { ServedListener, ServedRoute, Snapshot } from '../snapshot/snapshot.ts'
import type { RequestCourse } from '../telemetry/course.ts'
import type { RequestFacts, RequestRecord } from '../telemetry/record.ts'
import type { PrivateConnections } from '../upstream/transport/private-connections.ts'
import type { AttemptSubject, Attempts } from './attempts.ts'
import { type AskedChain, type FilterStop, type FilterWaitTime, tellCourse } from './course.ts'
import type { Exchange } from './exchange.ts'
import { isTrustedPeer, readTold, type Told } from './forwarded.ts'
import { isServedMethod } from './method.ts'
import { OwnQuestion } from './own-question.ts'
import { chooseRequestId } from './request-id.ts'
import { SideCall } from './side-call.ts'
import { ASTERISK, parseTarget } from './target.ts'
import { Trace } from './trace.ts'

const GRPC_STATUS = 'grpc-status'

export class RequestContext implements AttemptSubject, FilterRequest, RequestFacts, RoutedRequest {
  readonly exchange: Exchange
  /** Taken once: the whole request is served by it. Undefined before the first configuration. */
  readonly snapshot: Snapshot | undefined
  /** The listener of the snapshot that has the place of the connection; undefined: no listener in force has it. */
  readonly listener: ServedListener | undefined
  readonly clock: Clock
  readonly #deadlines: DeadlineWatch
  readonly #isAdminToken: (token: string) => boolean
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly startedMonotonic: number
  /** `''` until the fields were read, or the request was refused. */
  id: string = ''
  /** Undefined until they were read and found good. */
  fields: RequestFields | undefined = undefined
  /** Host as sent, or what overrides it (absolute-form, `:authority`). */
  authority: string = ''
  /** Normal form of the authority, for matching. */
  hostname: string = ''
  /** Undefined also where the target is `*`. */
  path: NormalPath | undefined = undefined
  /** `''` or `?…`, as sent. */
  query: string = ''
  /** The path as sent. */
  rawPath: string = ''
  /** What a trusted proxy says of the client; undefined where no proxy is trusted, or it says nothing. */
  told: Told | undefined = undefined
  clientAddress: string
  scheme: 'http' | 'https'
  served: ServedRoute | undefined = undefined
  /** Undefined: tracing is off. */
  trace: Trace | undefined = undefined
  /** Undefined as long as no endpoint was to be asked. */
  attempts: Attempts | undefined = undefined
  /** When its route was found after waits for filters of the host, by the monotonic clock; 0: at once, or none was. */
  matchedAt: number = 0
  /** Which request of its connection it is. */
  readonly turn: number
  /** The filters that were asked; undefined: none was. */
  asked: AskedChain[] | undefined = undefined
  /** The times that filters took for which it waited. */
  filterWaits: FilterWaitTime[] | undefined = undefined
  /** Its answer is to say how it was served. */
  explains: boolean = false
  /** The filter that answered or refused it. */
  stop: FilterStop | undefined = undefined
  upstreamMs: number | undefined = undefined
  bytesIn: number = 0
  bytesOut: number = 0
  status: number = 0
  error: GatewayError | undefined = undefined
  tunnel: boolean = false
  /** The head of the endpoint's answer that goes to the client; undefined as long as there is none. */
  answered: ResponseHead | undefined = undefined
  /** Trailers of that answer, names and values in turn; undefined: none. */
  trailers: readonly string[] | undefined = undefined
  /** The count of its client's requests under way; undefined where the request is not counted. */
  clientRequests: ClientCount | undefined = undefined
  /** Its record was made. */
  isFinished: boolean = false
  /** Of the query; undefined until one was asked for. */
  #parameters: ReadonlyMap<string, string> | undefined = undefined
  /** Undefined until a filter wants it. */
  #notes: Notes | undefined = undefined
  /** What filters hold for it; undefined: nothing. */
  #leases: Lease[] | undefined = undefined

  constructor(
    exchange: Exchange,
    snapshot: Snapshot | undefined,
    clock: Clock,
    deadlines: DeadlineWatch,
    isAdminToken: (token: string) => boolean = () => false,
  ) {
    this.exchange = exchange
    this.snapshot = snapshot
    this.listener = snapshot?.listeners.get(exchange.connection.place)
    this.clock = clock
    this.#deadlines = deadlines
    this.#isAdminToken = isAdminToken
    this.startedAt = clock.now()
    this.startedMonotonic = clock.monotonic()
    this.turn = ++exchange.connection.requests
    this.clientAddress = exchange.connection.peerAddress
    this.scheme = exchange.connection.scheme
  }

  // FilterRequest

  get method(): string {
    return this.exchange.method
  }

  get protocol(): string {
    return this.exchange.protocol
  }

  get tls(): TlsFacts | undefined {
    return this.exchange.connection.tls
  }

  get pathname(): string {
    return this.path!.path
  }

  get matchPath(): string {
    return this.path!.matchPath
  }

  get clientAuthority(): string {
    return this.told?.authority?.text ?? this.authority
  }

  /** What the route matched it by; known once it was routed. */
  get match(): PathMatch {
    return this.served!.match
  }

  get route(): string {
    return this.served!.labels.route
  }

  get notes(): Notes {
    this.#notes ??= new Notes()
    return this.#notes
  }

  get connectionNotes(): Notes {
    return this.exchange.connection.notes
  }

  holdToEnd(lease: Lease): void {
    this.#leases ??= []
    this.#leases.push(lease)
  }

  ask(question: Question): PendingAnswer {
    if (question.upstream === undefined) {
      const own = new OwnQuestion(this, question, this.#deadlines)
      return { answer: own.run(), cancel: () => own.cancel() }
    }
    const pool = this.served?.asked?.get(question.upstream)
    if (pool === undefined) {
      return { answer: Promise.reject(new QuestionFailure('it is not there', false)), cancel: () => {} }
    }
    const call = new SideCall(this, pool, question, this.#deadlines)
    return { answer: call.run(), cancel: () => call.cancel() }
  }

  /** Lets go of what filters hold for the request. */
  releaseLeases(): void {
    if (this.#leases === undefined) return
    for (const lease of this.#leases) lease.release()
    this.#leases = undefined
  }

  get lines(): string {
    return this.fields!.lines
  }

  // AttemptSubject

  get target(): string {
    return this.rawPath + this.query
  }

  header(name: string): string | undefined {
    const { lines, fronts, backs, origin, authorization } = this.fields!
    if (name === 'origin') return origin
    if (name === 'authorization') return authorization
    return mayHave(name, fronts, backs) ? findRequestField(lines, name) : undefined
  }

  parameter(name: string): string | undefined {
    this.#parameters ??= parseParameters(this.query)
    return this.#parameters.get(name)
  }

  get privates(): PrivateConnections | undefined {
    return this.exchange.connection.privates
  }

  /** The client that limits count the request for. */
  get clientNetwork(): string {
    const { peerAddress, peerNetwork } = this.exchange.connection
    return this.clientAddress === peerAddress ? peerNetwork : findClientNetwork(this.clientAddress)
  }

  get traceId(): string | undefined {
    return this.trace?.traceId ?? readTraceparent(this.field('traceparent') ?? '')?.traceId
  }

  /** Its peer is one of the trusted proxies. */
  get isFromTrusted(): boolean {
    return isTrustedPeer(this.exchange.connection.peerAddress, this.settings)
  }

  /** True if it asks about the gateway as a whole (RFC 9110 §9.3.7); known once it was examined. */
  get isServerWide(): boolean {
    return this.rawPath === ASTERISK.path
  }

  /** The settings of the snapshot. Every request that is examined or forwarded has a snapshot. */
  get settings(): Settings {
    return this.snapshot!.settings
  }

  /** Checks the request and fills what matching and forwarding need; the reason when it is refused. */
  examine(): GatewayError | undefined {
    const { exchange, settings } = this
    const { limits } = settings
    if (exchange.target.length > limits.targetBytes) {
      return targetTooLong(limits.targetBytes, exchange.target.length)
    }
    const fields = exchange.readFields(settings)
    if (fields instanceof GatewayError) return fields
    this.fields = fields
    this.id = chooseRequestId(fields.requestId)
    if (fields.explain !== undefined) this.explains = this.#mayExplain(fields.explain)
    if (settings.trustedProxies.length > 0) this.#believe(fields)
    this.trace = Trace.begin(settings.tracing, this)
    const refused = this.#examineTarget(fields)
    if (refused) return refused
    if (fields.expect !== undefined && fields.expect.toLowerCase() !== '100-continue') {
      return new GatewayError('PORTICO_REQ_EXPECTATION', fields.expect)
    }
    const length = fields.contentLength
    if (length !== undefined && length > 0 && !exchange.hasBody) {
      return new GatewayError('PORTICO_REQ_BAD_FRAMING', `0 of ${length} bytes came`)
    }
    return undefined
  }

  /** Why a body of so many bytes is refused; undefined: it is not. What the limit is depends on the route. */
  refuseBody(bytes: number): GatewayError | undefined {
    return refuseBody(bytes, this.served?.policy?.bodyLimit ?? 0, this.settings.limits.bodyBytes)
  }

  /** What the client left behind: an answer that had begun, an endpoint that had not answered, or neither. */
  #tellLeft(durationMs: number): string {
    const gone = `the client went away after ${printElapsed(durationMs)}`
    const label = this.attempts?.last?.label
    if (label === undefined) return `${gone}; no endpoint had been asked`
    return this.upstreamMs === undefined ? `${gone}; ${label} had not answered` : `${gone}, in the answer of ${label}`
  }

  /** Whether somebody may know how the request is served: with the token of the admin listener, and from a peer that may be believed. */
  #mayExplain(token: string): boolean {
    const { peerAddress } = this.exchange.connection
    const isNear = isPrivateAddress(peerAddress) === 'loopback' || isTrustedPeer(peerAddress, this.settings)
    return isNear && this.#isAdminToken(token)
  }

  /** Takes a trusted proxy's word for who the client is. */
  #believe({ claims }: RequestFields): void {
    const { peerAddress, scheme } = this.exchange.connection
    if (!claims || !isTrustedPeer(peerAddress, this.settings)) return
    const told = readTold(peerAddress, claims, this.settings)
    this.told = told
    this.clientAddress = told.clientAddress
    this.scheme = told.scheme ?? scheme
  }

  #examineTarget({ host }: RequestFields): GatewayError | undefined {
    const { exchange } = this
    const { method } = exchange
    if (!isServedMethod(method)) {
      return new GatewayError('PORTICO_REQ_METHOD_NOT_ALLOWED', method)
    }
    const target = method === 'OPTIONS' && exchange.target === '*' ? ASTERISK : parseTarget(exchange.target)
    // RFC 9113 §8.3.1: `:path` holds no authority.
    if (!target || (exchange.hasOwnAuthority && target.authority !== undefined)) {
      return new GatewayError('PORTICO_REQ_BAD_TARGET', exchange.target)
    }
    const authority = target.authority ?? exchange.authority ?? host
    if (host === '' || authority === '' || (authority === undefined && exchange.needsAuthority)) {
      return new GatewayError('PORTICO_REQ_BAD_HOST', 'there is none')
    }
    if (host !== undefined && host !== authority) {
      // A Host that the target overrides must still be one (RFC 9112 §3.2).
      if (!parseAuthority(host)) return new GatewayError('PORTICO_REQ_BAD_HOST', redactAuthority(host))
      if (exchange.hasOwnAuthority && authority?.toLowerCase() !== host.toLowerCase()) {
        return new GatewayError(
          'PORTICO_REQ_BAD_HOST',
          `:authority ${redactAuthority(authority ?? '')}, host ${redactAuthority(host)}`,
        )
      }
    }
    const hostname = exchange.connection.findHostname(authority ?? '')
    if (hostname === undefined) return new GatewayError('PORTICO_REQ_BAD_HOST', redactAuthority(authority ?? ''))
    this.authority = authority ?? ''
    this.hostname = hostname
    this.rawPath = target.path
    if (target === ASTERISK) return undefined
    const path = normalizePath(target.path, this.listener?.listener.paths ?? USUAL_PATHS)
    if (!path || !isCleanQuery(target.query)) return new GatewayError('PORTICO_REQ_BAD_PATH', exchange.target)
    this.path = path
    this.query = target.query
    return undefined
  }

  // RequestFacts

  get grpcStatus(): string | undefined {
    const { answered, trailers } = this
    const at = trailers?.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === GRPC_STATUS) ?? -1
    if (at >= 0) return trailers![at + 1]
    return answered && mayHave(GRPC_STATUS, answered.fronts, answered.backs)
      ? findField(answered.lines, GRPC_STATUS)
      : undefined
  }

  field(name: string): string | undefined {
    return this.fields === undefined ? undefined : this.header(name)
  }

  /** Of the host that the client asked for, as far as it is known. */
  get clientHostname(): string {
    const { told, hostname } = this
    return told?.authority?.hostname ?? hostname
  }

  noteAsked(chain: AskedChain): void {
    this.asked ??= []
    this.asked.push(chain)
  }

  noteStop(chain: AskedChain, index: number): void {
    this.stop = { chain, index }
  }

  beginWait(chain: AskedChain, index: number): FilterWaitTime {
    const wait = { chain, index, from: this.clock.monotonic(), until: 0 }
    this.filterWaits ??= []
    this.filterWaits.push(wait)
    return wait
  }

  endWait(wait: FilterWaitTime): void {
    wait.until = this.clock.monotonic()
  }

  tellCourse(): RequestCourse {
    return tellCourse(this)
  }

  /** What is known when the request has ended; `complete` is false when the client went away or was cut. */
  record(complete: boolean): RequestRecord {
    const { exchange, fields, attempts } = this
    const { connection } = exchange
    const durationMs = this.clock.monotonic() - this.startedMonotonic
    const left = complete || this.error !== undefined ? undefined : this.#tellLeft(durationMs)
    return {
      id: this.id,
      startedAt: this.startedAt,
      durationMs,
      upstreamMs: this.upstreamMs,
      protocol: exchange.protocol,
      scheme: connection.scheme,
      method: exchange.method,
      authority: this.authority === '' ? redactAuthority(exchange.authority ?? fields?.host ?? '') : this.authority,
      target: exchange.target,
      status: this.status === 0 ? 499 : this.status,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      peerAddress: connection.peerAddress,
      clientAddress: this.clientAddress,
      userAgent: fields?.userAgent,
      labels: this.served?.labels,
      endpoint: attempts?.last?.label,
      tries: attempts?.count ?? 0,
      retries: attempts?.retries?.outcomes,
      error: this.error?.code ?? (complete ? undefined : 'PORTICO_REQ_ABORTED'),
      detail: this.error?.detail || attempts?.retries?.text || left,
      tunnel: this.tunnel,
      filter: this.stop?.chain.nameStep(this.stop.index),
      isLogged: this.served?.filters?.isLogged !== false,
    }
  }
}

/** Spaces and control bytes would break the request line that goes to the upstream, and no URL holds bytes above 0x7E. */
function isCleanQuery(query: string): boolean {
  for (let at = 0; at < query.length; at++) {
    const code = query.charCodeAt(at)
    if (code <= 0x20 || code >= 0x7f) return false
  }
  return true
}

/** A target of more than `limit` bytes: the client is told the limit. */
function targetTooLong(limit: number, bytes: number): GatewayError {
  const sentence = `The request target is too long: it may have at most ${sayBytes(limit)}.`
  const detail = `${bytes} bytes, more than limits.targetBytes (${limit} bytes)`
  return new GatewayError('PORTICO_REQ_TARGET_TOO_LONG', detail, undefined, { sentence })
}
