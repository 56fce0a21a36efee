/** One copy of a request on its way to a mirror. Whatever becomes of it, the request itself neither waits for it nor fails. HOT */
import type { Clock } from '../base/clock.ts'
import { contain } from '../base/contain.ts'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import type { GatewayError } from '../base/errors.ts'
import { findProxyVersion } from '../base/proxy-protocol.ts'
import type { Mirror } from '../filters/spec.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import type { MirrorResult } from '../telemetry/request-counts.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from '../upstream/transport/call.ts'
import { type AttemptSubject, Attempts, type AttemptUser } from './attempts.ts'
import { findConnectTimeout } from './connect-timeout.ts'
import type { RequestContext } from './context.ts'
import { detachClient } from './detached-client.ts'
import { KeptBody } from './kept-body.ts'
import { mayRepeat } from './retry.ts'

/** What the copies of a process share. */
export type CopyOwner = {
  readonly clock: Clock
  readonly deadlines: DeadlineWatch
  /** Sets bytes of memory aside; false: too many are set aside already. */
  hold(bytes: number): boolean
  release(bytes: number): void
  /** The copy is over; `result` is undefined where nothing of it was sent. */
  finish(copy: MirrorCopy, result: MirrorResult | undefined): void
}

/** Bytes of a body that are held back for one copy while its mirror does not take them. */
const MAX_HELD_BYTES = 262_144
/** Bytes of an answer that are read so that the connection can be kept; beyond, it is given up. */
const MAX_ANSWER_BYTES = 1_048_576
/** Milliseconds from the end of the request to the end of the answer. */
const LIMIT_MS = 15_000

const ANSWERED: readonly MirrorResult[] = ['2xx', '3xx', '4xx', '5xx']

export class MirrorCopy implements AttemptUser, UpstreamEvents, Timed {
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  /** Requests that wait for a place at the mirror's endpoints go before copies. */
  readonly neverWaits: boolean = true
  /** The mirror may have had it: no other attempt follows. */
  readonly isIdempotent: boolean = false
  readonly pool: UpstreamPool
  readonly #owner: CopyOwner
  readonly #context: RequestContext
  readonly #request: UpstreamRequest
  /** Undefined until something of the request is to be sent. */
  #attempts: Attempts | undefined = undefined
  #call: UpstreamCall | undefined = undefined
  /** The endpoint takes the request. */
  #isReady = false
  /** The endpoint does not get on. */
  #isFull = false
  /** What came of the body while the endpoint did not take it. */
  #kept: KeptBody | undefined = undefined
  #heldBytes = 0
  /** All of the request has come. */
  #hasEnded = false
  /** All of it was given to the endpoint. */
  #isSent = false
  #trailers: readonly string[] = []
  #answerBytes = 0
  /** Known once the answer has begun. */
  #result: MirrorResult | undefined = undefined
  #isOver = false

  /** `request` is the copy itself. */
  constructor(owner: CopyOwner, context: RequestContext, request: UpstreamRequest, pool: UpstreamPool) {
    this.#owner = owner
    this.#context = context
    this.#request = request
    this.pool = pool
  }

  // The request, as it comes

  /** The chunk is lent. */
  write(chunk: Buffer): void {
    if (this.#isOver || !this.#request.hasBody) return
    try {
      this.#keep(chunk)
      if (this.#attempts === undefined) this.#begin()
      else if (this.#isReady && !this.#isFull) this.#flush()
    } catch (thrown) {
      contain('mirror', thrown, this)
    }
  }

  /** The request is whole; `trailers` are names and values in turn. */
  end(trailers: readonly string[]): void {
    if (this.#isOver || this.#hasEnded) return
    try {
      this.#hasEnded = true
      if (this.#request.hasBody) this.#trailers = trailers
      this.deadlineAt = -LIMIT_MS
      this.#owner.deadlines.add(this)
      if (this.#attempts === undefined) this.#begin()
      else if (this.#isReady && !this.#isFull) this.#flush()
    } catch (thrown) {
      contain('mirror', thrown, this)
    }
  }

  /** Nothing more comes of the request: a copy that is not whole is broken off. */
  cut(): void {
    if (!this.#hasEnded) this.#finish(this.#attempts && (this.#result ?? 'cut'))
  }

  abort(): void {
    this.#finish(this.#result ?? 'cut')
  }

  #keep(chunk: Buffer): void {
    if (this.#heldBytes + chunk.length > MAX_HELD_BYTES || !this.#owner.hold(chunk.length)) {
      this.abort()
      return
    }
    this.#heldBytes += chunk.length
    this.#kept ??= new KeptBody(0)
    this.#kept.add(chunk)
  }

  #begin(): void {
    if (this.#isOver) return
    const { clock, deadlines } = this.#owner
    const context = this.#context
    const { clientAddress, clientNetwork, hostname, target } = context
    const subject: AttemptSubject = {
      clock,
      clientNetwork,
      clientAddress,
      hostname,
      header: (name) => context.header(name),
      target,
      privates: undefined,
      startedMonotonic: clock.monotonic(),
    }
    this.#attempts = new Attempts(subject, this, this.pool, this.pool.policy, deadlines)
    this.#attempts.begin()
  }

  /** Gives the endpoint all that has come. */
  #flush(): void {
    if (this.#isOver) return
    const call = this.#call!
    const kept = this.#kept
    this.#kept = undefined
    if (kept !== undefined) {
      const { length } = kept
      this.#isFull = !call.write(kept.bytes, () => {
        kept.drop()
        this.#release(length)
      })
    }
    if (!this.#hasEnded || this.#isSent) return
    this.#isSent = true
    call.end(this.#trailers)
  }

  #release(bytes: number): void {
    // What was held when it ended is released already.
    if (this.#isOver) return
    this.#heldBytes -= bytes
    this.#owner.release(bytes)
  }

  // AttemptUser

  attempt(endpoint: EndpointState): void {
    this.#call = endpoint.call(this.#request, this)
    this.#call.start()
  }

  /** What was sent is not kept. */
  get canRepeat(): boolean {
    return !this.#isReady
  }

  dropAttempt(): void {
    this.#call?.abort()
    this.#call = undefined
  }

  stalledFor(): number {
    return 0
  }

  giveWay(): void {
    this.abort()
  }

  fail(): void {
    this.#conclude()
  }

  breakOff(): void {
    this.#conclude()
  }

  // UpstreamEvents

  get isRepeatable(): boolean {
    return !this.#request.hasBody && mayRepeat(this.#request.method, this.pool.policy.retry)
  }

  onMoved(endpoint: EndpointState): void {
    this.#attempts!.moveTo(endpoint)
  }

  onUnreachable(error: GatewayError): void {
    if (this.#isOver) return
    this.#call = undefined
    this.#attempts!.failConnect(error)
  }

  givesUp(): boolean {
    return this.#attempts!.givesUp()
  }

  onReady(): void {
    this.#isReady = true
    this.#flush()
  }

  onStale(): boolean {
    if (!this.isRepeatable) return false
    this.#isReady = false
    this.#isSent = false
    this.#attempts!.repeatStale()
    return true
  }

  onInformational(): void {}

  onHead({ status }: ResponseHead): void {
    if (this.#isOver) return
    this.#result = ANSWERED[Math.min(Math.floor(status / 100), 5) - 2]!
    this.#attempts!.settleAnswer(status, this.#owner.clock.monotonic())
  }

  onData(chunk: Buffer): void {
    this.#answerBytes += chunk.length
    if (this.#answerBytes > MAX_ANSWER_BYTES) this.#conclude()
  }

  onEnd(): void {
    this.#attempts!.endpoint?.recordEnd()
    this.#call = undefined
    this.#conclude()
  }

  onUpgrade(_head: ResponseHead, socket: { destroy(): void }): void {
    socket.destroy()
    this.#conclude()
  }

  onError(error: GatewayError): void {
    if (this.#isOver) return
    this.#call = undefined
    this.#attempts!.failAttempt(error, undefined)
  }

  onDrain(): void {
    this.#isFull = false
    this.#flush()
  }

  // Timed

  onDeadline(): void {
    this.#conclude()
  }

  /** It is answered, or will not be. */
  #conclude(): void {
    this.#finish(this.#result ?? 'failed')
  }

  #finish(result: MirrorResult | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#owner.deadlines.delete(this)
    this.#owner.release(this.#heldBytes)
    this.#kept?.drop()
    this.#kept = undefined
    this.#attempts?.end()
    this.#call?.abort()
    this.#call = undefined
    this.#owner.finish(this, result)
  }
}

/** The request as the mirror's Service has its requests; `draft` is the request as an endpoint gets it. */
export function copyRequest(
  { exchange, settings }: RequestContext,
  draft: UpstreamRequest,
  pool: UpstreamPool,
  mirror: Mirror,
): UpstreamRequest {
  const { policy } = pool
  const { method, host, lines, addedLines, acceptsTrailers } = draft
  const proxyVersion = findProxyVersion(policy.proxyProtocol)
  const hasBody = draft.hasBody && mirror.hasBody
  return {
    client: detachClient(exchange.connection, proxyVersion),
    proxyVersion,
    connectTimeout: findConnectTimeout(policy, settings.timeouts.connect),
    method,
    target: mirror.target ?? draft.target,
    authority: mirror.authority ?? draft.authority,
    hostSetting: policy.host,
    host,
    lines,
    addedLines: `${addedLines}X-Portico-Copy: 1\r\n`,
    contentLength: hasBody ? draft.contentLength : undefined,
    hasBody,
    acceptsTrailers,
    // What the client holds back comes once an endpoint has asked for it.
    expectsContinue: false,
    upgrade: undefined,
    authenticatesConnection: false,
    maxHeaderBytes: policy.headerBytes,
  }
}
