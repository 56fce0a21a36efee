/** Asks an upstream something beside a request, and reads all of the answer: of an auth server, or of a Service that has error pages. HOT */
import type { Clock } from '../base/clock.ts'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import type { GatewayError, RequestErrorCode } from '../base/errors.ts'
import { printDuration } from '../base/measure.ts'
import { findProxyVersion, type ProxyVersion } from '../base/proxy-protocol.ts'
import { type FilterAnswer, type Question, QuestionFailure } from '../filters/spec.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import type { Settings } from '../settings/table.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { ClientSide, UpstreamCall, UpstreamEvents, UpstreamRequest } from '../upstream/transport/call.ts'
import { type AttemptSubject, Attempts, type AttemptUser } from './attempts.ts'
import { findConnectTimeout } from './connect-timeout.ts'
import { detachClient } from './detached-client.ts'
import type { Exchange } from './exchange.ts'
import { findRetryReason, isIdempotent } from './retry.ts'

/** The request beside which something is asked. */
export type Asker = Pick<AttemptSubject, 'clock' | 'clientNetwork' | 'clientAddress' | 'hostname' | 'header'> &
  Readonly<{ exchange: Pick<Exchange, 'connection'>; settings: Settings }>

/** The gateway keeps the question back, which says nothing of whether the upstream can be reached. Clients can bring most of it about. */
const KEPT_BACK: ReadonlySet<RequestErrorCode> = new Set([
  'PORTICO_UP_AFFINITY_LOST',
  'PORTICO_UP_CIRCUIT_OPEN',
  'PORTICO_UP_OVERLOADED',
])
/** Bytes of the head of an answer. */
const MAX_HEADER_BYTES = 16_384

/** It is its own subject, request and events: one object for each question. */
export class SideCall implements AttemptSubject, AttemptUser, UpstreamRequest, UpstreamEvents, Timed {
  // Timed
  deadlineAt: number
  watchIndex: number = UNWATCHED
  // AttemptSubject
  readonly clock: Clock
  readonly startedMonotonic: number
  readonly clientNetwork: string
  readonly clientAddress: string
  readonly hostname: string
  readonly privates: undefined = undefined
  // AttemptUser
  readonly canRepeat: boolean = true
  readonly isIdempotent: boolean
  // UpstreamRequest
  readonly client: ClientSide
  readonly proxyVersion: ProxyVersion | undefined
  readonly connectTimeout: number
  readonly method: string
  readonly target: string
  readonly authority: string
  readonly hostSetting: string
  readonly host: undefined = undefined
  readonly lines: string
  readonly addedLines: string = ''
  readonly contentLength: undefined = undefined
  readonly hasBody: boolean = false
  readonly acceptsTrailers: boolean = false
  readonly expectsContinue: boolean = false
  readonly upgrade: undefined = undefined
  readonly authenticatesConnection: boolean = false
  readonly maxHeaderBytes: number = MAX_HEADER_BYTES
  readonly #asker: Asker
  readonly #question: Question
  readonly #deadlines: DeadlineWatch
  readonly #attempts: Attempts
  #resolve!: (answer: FilterAnswer) => void
  #reject!: (failure: QuestionFailure) => void
  #call: UpstreamCall | undefined = undefined
  #hasAnswered = false
  #status = 0
  #answerLines = ''
  #first: Buffer | undefined = undefined
  #others: Buffer[] | undefined = undefined
  #bytes = 0
  #isOver = false

  constructor(asker: Asker, pool: UpstreamPool, question: Question, deadlines: DeadlineWatch) {
    const { clock, clientNetwork, clientAddress, hostname, exchange, settings } = asker
    const { method, target, authority, lines, timeout } = question
    const { policy } = pool
    this.deadlineAt = -timeout
    this.clock = clock
    this.startedMonotonic = clock.monotonic()
    this.clientNetwork = clientNetwork
    this.clientAddress = clientAddress
    this.hostname = hostname
    this.isIdempotent = isIdempotent(method)
    this.proxyVersion = findProxyVersion(policy.proxyProtocol)
    this.client = detachClient(exchange.connection, this.proxyVersion)
    this.connectTimeout = findConnectTimeout(policy, settings.timeouts.connect)
    this.method = method
    this.target = target
    this.authority = authority
    this.hostSetting = policy.host
    this.lines = lines
    this.#asker = asker
    this.#question = question
    this.#deadlines = deadlines
    this.#attempts = new Attempts(this, this, pool, policy, deadlines)
  }

  /** Rejects with a QuestionFailure. */
  run(): Promise<FilterAnswer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#deadlines.add(this)
      this.#attempts.begin()
    })
  }

  /** Nobody waits for the answer any more: the promise stays pending. */
  cancel(): void {
    if (!this.#isOver) this.#end()
  }

  // AttemptSubject

  header(name: string): string | undefined {
    return this.#asker.header(name)
  }

  // AttemptUser

  attempt(endpoint: EndpointState): void {
    this.#call = endpoint.call(this, this)
    this.#call.start()
  }

  dropAttempt(): void {
    this.#call?.abort()
    this.#call = undefined
  }

  stalledFor(): number {
    return 0
  }

  giveWay(): void {
    this.#fail('the place was needed', false)
  }

  fail(error: GatewayError): void {
    const wasTried = error.fault !== 'gateway' && !KEPT_BACK.has(error.code)
    this.#fail(this.#attempts.explain(error).message, wasTried, error)
  }

  breakOff(error: GatewayError): void {
    this.fail(error)
  }

  // UpstreamEvents

  get isRepeatable(): boolean {
    return this.isIdempotent
  }

  onMoved(endpoint: EndpointState): void {
    this.#attempts.moveTo(endpoint)
  }

  onUnreachable(error: GatewayError): void {
    this.#call = undefined
    this.#attempts.failConnect(error)
  }

  givesUp(): boolean {
    return this.#attempts.givesUp()
  }

  onReady(): void {
    this.#call!.end([])
  }

  onStale(): boolean {
    if (!this.isIdempotent) return false
    this.#attempts.repeatStale()
    return true
  }

  onInformational(): void {}

  onHead({ status, lines }: ResponseHead): void {
    this.#attempts.settleAnswer(status, this.clock.monotonic())
    this.#hasAnswered = true
    this.#status = status
    this.#answerLines = lines
  }

  onData(chunk: Buffer): void {
    if (this.#isOver) return
    const { maxBytes } = this.#question
    this.#bytes += chunk.length
    if (this.#bytes > maxBytes) {
      this.#fail(`an answer of more than ${maxBytes} bytes`, false)
      return
    }
    const kept = Buffer.from(chunk)
    if (this.#first === undefined) this.#first = kept
    else if (this.#others === undefined) this.#others = [this.#first, kept]
    else this.#others.push(kept)
  }

  onEnd(): void {
    if (this.#isOver) return
    this.#attempts.endpoint?.recordEnd()
    this.#call = undefined
    const body = this.#others === undefined ? this.#first : Buffer.concat(this.#others)
    this.#end()
    this.#resolve({ status: this.#status, lines: this.#answerLines, body })
  }

  onUpgrade(_head: ResponseHead, socket: { destroy(): void }): void {
    this.#hasAnswered = true
    socket.destroy()
    this.#fail('status 101', false)
  }

  onError(error: GatewayError): void {
    if (this.#isOver) return
    this.#hasAnswered ||= this.#call!.hasAnswered
    const reason = findRetryReason(error, this.#hasAnswered)
    this.#call = undefined
    this.#attempts.failAttempt(error, reason)
  }

  onDrain(): void {}

  // Timed

  onDeadline(): void {
    this.#fail(`no answer within ${printDuration(this.#question.timeout)}`, this.#attempts.count > 0)
  }

  #fail(why: string, wasTried: boolean, cause?: unknown): void {
    if (this.#isOver) return
    const isUnreached = wasTried && !this.#hasAnswered
    this.#end()
    this.#reject(new QuestionFailure(why, isUnreached, cause))
  }

  #end(): void {
    this.#isOver = true
    this.#deadlines.delete(this)
    this.#attempts.end()
    this.#call?.abort()
    this.#call = undefined
  }
}
