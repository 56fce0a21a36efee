/** Carries one request to an endpoint and the answer back: backpressure both ways, progress limits, failures. HOT */
import type { Socket } from 'node:net'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import { bodyTooSlow, buffersFull, GatewayError, type RequestErrorCode } from '../base/errors.ts'
import type { FilterChain } from '../filters/chain.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import { HALF_CLOSED_MS, hangupWatch, type Sighting, type Unread } from '../platform/hangup-watch.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { UpstreamCall, UpstreamEvents } from '../upstream/transport/call.ts'
import { type BodyPlan, filterHead, filterSwitch, findAsked, HELD_BYTES, openAnswerBody } from './answer.ts'
import { Attempts, type AttemptUser } from './attempts.ts'
import { type BodyTaker, TransformedBody } from './body-transform.ts'
import { BufferedAnswer, type BufferedAnswerOwner, mayBufferAnswer } from './buffered-answer.ts'
import { type BodyHolder, BufferedBody, type BufferedBodyOwner, mayBufferBody } from './buffered-body.ts'
import type { RequestContext } from './context.ts'
import { Draft } from './draft.ts'
import type { AnswerSink, BodySink, Exchange, ExchangeEvents } from './exchange.ts'
import { composeExplainLines } from './explain-lines.ts'
import { composeAnswerLines, filterHints } from './headers.ts'
import { HeldError } from './held-error.ts'
import { KeptBody } from './kept-body.ts'
import type { Mirrors, RequestCopies } from './mirrors.ts'
import type { WholeAnswer } from './own-answer.ts'
import { findRetryReason, mayRepeat } from './retry.ts'
import { composeSplitCookie } from './split-cookie.ts'
import type { Spools } from './spools.ts'
import { filterTrailers, readTrailers } from './trailers.ts'

/** The owner of forwarded requests. */
export type ForwardOwner = {
  readonly deadlines: DeadlineWatch
  readonly mirrors: Mirrors
  readonly spools: Spools
  readonly isDraining: boolean
  /** Answers a request of which nothing was answered yet. */
  fail(context: RequestContext, error: GatewayError): void
  /** Answers with an endpoint's error, of which nothing was answered yet. */
  answerError(context: RequestContext, error: WholeAnswer): void
  /** The endpoint switched protocols, and the client was told: bytes flow both ways, beginning with `early`, until it calls `forward.onClose`. */
  openTunnel(forward: Forward, client: Socket, upstream: Socket, early: Buffer): void
  /** The exchange has ended. */
  finish(context: RequestContext, complete: boolean): void
}

const NO_TRAILERS: readonly string[] = Object.freeze([])

/** An upload is under way, and gets an endpoint, when so many bytes of it have come. */
const UNDER_WAY_BYTES = 16_384
/** A declared body up to this length is short: it is read whole before an endpoint is chosen, unless the route says `none`. */
const SHORT_BYTES = 65_536
/** The body is awaited whatever its length. */
const WHOLE = Number.POSITIVE_INFINITY

/** So long an endpoint may think about whether it wants a body that its client holds back: many never say (RFC 9110 §10.1.1). */
const CONTINUE_MS = 1000

/** A client that takes fewer bytes a second has stalled. */
const LEAST_DOWNLOAD_RATE = 240

export class Forward
  implements
    AttemptUser,
    UpstreamEvents,
    BodySink,
    BodyTaker,
    BufferedBodyOwner,
    BufferedAnswerOwner,
    ExchangeEvents,
    Timed,
    Unread
{
  readonly context: RequestContext
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  sighting: Sighting | undefined = undefined
  readonly #owner: ForwardOwner
  readonly #attempts: Attempts
  /** The whole request is served by it. */
  readonly #policy: UpstreamPolicy
  /** Made with the first attempt, or before the body is read where filters transform it. */
  #draft: Draft | undefined = undefined
  /** Of the attempt under way. */
  #call: UpstreamCall | undefined = undefined
  /** The endpoint takes the request. */
  #isReady = false
  /** Nothing that happens upstream matters any more. */
  #over = false
  /** The client does not get on; the endpoint is not read then, unless its answer is buffered. */
  #isAnswerHeld = false
  /** The endpoint does not get on, or the disk: the client is not read. */
  #isBodyHeld = false
  /** All of the body has come, and waits to be read. */
  #isBodyHere = false
  #bodyBegun = false
  #bodyEnded: boolean
  /** The client holds its body back until it is asked for it. */
  #expectsContinue: boolean
  /** Bytes of the body that are awaited before an endpoint is chosen; 0: one has been, or is to be chosen at once. */
  #awaited = 0
  /** What came of the body, as long as all of it can be sent, or sent again. */
  #kept: KeptBody | undefined = undefined
  /** Undefined unless the route buffers bodies of requests, and this one is neither short nor a stream. */
  #buffered: BufferedBody | undefined = undefined
  #trailers: readonly string[] = NO_TRAILERS
  /** The body as filters transform it; undefined: none does. */
  #transformed: TransformedBody | undefined = undefined
  /** Undefined: no mirror gets a copy of the request. */
  #copies: RequestCopies | undefined = undefined
  /** Takes the body of the answer. */
  #answer: AnswerSink
  /** The same; undefined unless the route buffers answers, and this one is neither short nor a stream. */
  #bufferedAnswer: BufferedAnswer | undefined = undefined
  /** Bytes that the client was seen to take when it was last looked at. */
  #takenBefore = 0
  #limitMs = 0
  #limitCode: RequestErrorCode = 'PORTICO_UP_HEADERS_TIMEOUT'

  constructor(owner: ForwardOwner, context: RequestContext, pool: UpstreamPool, policy: UpstreamPolicy) {
    this.context = context
    this.#owner = owner
    this.#policy = policy
    this.#attempts = new Attempts(context, this, pool, policy, owner.deadlines)
    this.#answer = context.exchange
    const { hasBody, canContinue } = context.exchange
    this.#bodyEnded = !hasBody
    this.#expectsContinue = hasBody && canContinue && context.fields!.expect !== undefined
  }

  start(): void {
    const { context } = this
    const { exchange } = context
    context.attempts = this.#attempts
    exchange.events = this
    this.#owner.deadlines.add(this)
    const { filters } = context.served!
    if (filters?.transformsRequests && exchange.hasBody) this.#transformBody(filters)
    if (filters?.mirrorsRequests && exchange.offer === undefined) this.#copyRequest(filters)
    const awaited = this.#chooseAwaited()
    if (awaited > exchange.receivedBytes) this.#awaitBody(awaited)
    else {
      this.#isBodyHere = awaited > 0 && awaited === context.fields!.contentLength
      if (this.#bodyEnded || this.#isBodyHere) this.#attempts.limit(false)
      // Nothing has been waited for so far.
      if (context.filterWaits === undefined) this.#attempts.begin(context.startedMonotonic)
      else this.#attempts.begin()
    }
    if (!exchange.hasBody) this.#copies?.end(NO_TRAILERS)
    if (exchange.isUnread) this.onUnread()
  }

  // ExchangeEvents

  onClose(complete: boolean): void {
    try {
      this.#close()
      this.#attempts.retries?.end('aborted')
    } finally {
      this.#owner.finish(this.context, complete)
    }
  }

  onClientDrain(): void {
    if (this.#over) return
    this.#isAnswerHeld = false
    this.#call?.resume()
    this.#watchAnswer()
  }

  onBroken(error: GatewayError): void {
    this.fail(error)
  }

  /** After a bug: answers the request if nothing was answered yet, and cuts it if something was. */
  breakOff(error: GatewayError): void {
    const { context } = this
    if (context.isFinished) return
    try {
      if (!this.#over) this.fail(error)
    } finally {
      if (!context.isFinished && context.error !== error) {
        context.error = error
        context.exchange.abort()
      }
    }
  }

  onUnread(): void {
    if (!this.#over) hangupWatch.add(this)
  }

  // BodySink

  onBodyData(chunk: Buffer): void {
    const { context } = this
    context.bytesIn += chunk.length
    if (this.#over) return
    const refused = context.refuseBody(context.bytesIn)
    if (refused) {
      this.fail(refused)
      return
    }
    const declared = context.fields!.contentLength
    if (declared !== undefined && context.bytesIn > declared) {
      this.fail(new GatewayError('PORTICO_REQ_BAD_FRAMING', `more than ${declared} bytes came`))
      return
    }
    if (this.#transformed === undefined) this.takeBody(chunk)
    else if (this.#transformed.write(chunk) && !this.#isBodyHeld) this.#progress(chunk.length)
  }

  onBodyEnd(trailers: readonly string[]): void {
    if (this.#over) return
    const { context } = this
    const declared = context.fields!.contentLength
    if (declared !== undefined && declared !== context.bytesIn) {
      this.fail(new GatewayError('PORTICO_REQ_BAD_FRAMING', `${context.bytesIn} of ${declared} bytes came`))
      return
    }
    const kept = readTrailers(trailers, context.settings)
    if (kept instanceof GatewayError) {
      this.fail(kept)
      return
    }
    if (declared === undefined) this.#trailers = context.served!.filters?.filterRequestTrailers(kept) ?? kept
    if (this.#transformed === undefined) this.endBody()
    else this.#transformed.end()
  }

  // BodyTaker: the body as the endpoint is to get it

  takeBody(chunk: Buffer): void {
    this.#copies?.write(chunk)
    if (this.#buffered !== undefined) {
      if (this.#buffered.add(chunk) && this.#transformed === undefined) this.#progress(chunk.length)
      return
    }
    const call = this.#isReady ? this.#call : undefined
    // What comes of a client that was asked to pause is little, and has to be kept.
    if (call !== undefined && this.#isTooLong(chunk)) this.#dropKept()
    else this.#kept?.add(chunk)
    if (call === undefined) {
      if (this.#awaited > 0) this.#noteBody(chunk.length)
    } else if (!call.write(chunk)) {
      this.#bodySource.pauseBody()
      this.onBodyHeld('endpoint')
    } else if (this.#transformed === undefined) this.#progress(chunk.length)
  }

  endBody(): void {
    this.#bodyEnded = true
    this.#copies?.end(this.#trailers)
    if (!this.context.exchange.isHeadSent) this.#attempts.limit(true)
    if (this.#awaited > 0) {
      this.#leaveBody()
      return
    }
    if (!this.#isReady) return
    this.#call!.end(this.#trailers)
    if (!this.context.exchange.isHeadSent) this.#watchHead()
  }

  // UpstreamEvents

  onMoved(endpoint: EndpointState): void {
    this.#attempts.moveTo(endpoint)
  }

  onUnreachable(error: GatewayError): void {
    if (this.#over) return
    this.#call = undefined
    this.#attempts.failConnect(error)
  }

  givesUp(): boolean {
    return this.#attempts.givesUp()
  }

  onReady(): void {
    const call = this.#call!
    this.#isReady = true
    this.#attempts.noteConnection(call.isReused)
    if (this.#buffered !== undefined) {
      this.#isBodyHeld = false
      this.#watchHead()
      this.#buffered.send(call, this.#trailers)
    } else if (this.#bodyBegun) this.#sendKept(call)
    else if (this.#bodyEnded) {
      call.end(NO_TRAILERS)
      this.#watchHead()
    } else if (this.#expectsContinue) {
      call.flush()
      this.#watch(CONTINUE_MS, 'PORTICO_UP_HEADERS_TIMEOUT')
    } else this.#readBody()
  }

  onStale(): boolean {
    if (this.#over || !this.canRepeat || !this.isIdempotent) return false
    this.#isReady = false
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#draft!.expectsContinue = this.#expectsContinue
    this.#buffered?.stop()
    this.#attempts.repeatStale()
    this.#pauseBody()
    return true
  }

  onDrain(): void {
    const { exchange } = this.context
    if (this.#over) return
    this.#isBodyHeld = false
    if (exchange.isHeadSent || this.#buffered !== undefined) this.#watchEndpoint()
    this.#buffered?.resume()
    if (this.#bodyEnded) return
    if (!exchange.isHeadSent) this.#watch(this.#requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
    this.#bodySource.resumeBody()
  }

  onInformational(status: number, headers: readonly string[]): void {
    if (this.#over) return
    if (status !== 100) this.context.exchange.sendInterim(status, filterHints(headers))
    else if (this.#expectsContinue) this.#askForBody()
  }

  onHead(head: ResponseHead, more: boolean): void {
    if (this.#over) return
    const { context } = this
    const { exchange } = context
    const { status } = head
    const now = context.clock.monotonic()
    const upstreamMs = now - context.startedMonotonic
    if (status >= 400 && (this.#bodyEnded || this.#expectsContinue) && this.#attempts.retryStatus(status, now)) return
    if (status >= 400 && this.#bodyEnded && findAsked(context, status) !== undefined) {
      this.#holdError(head, now)
      return
    }
    this.#expectsContinue = false
    const bodiless = status === 204 || status === 304 || exchange.method === 'HEAD'
    const answerHead = {
      status,
      isOwn: false,
      reason: head.reason,
      lines: this.#composeLines(head, upstreamMs),
      contentLength: head.contentLength,
      close: this.#owner.isDraining || exchange.offer !== undefined,
      trailers: head.chunked && !bodiless,
    }
    const plan = filterHead(context, answerHead, head)
    try {
      exchange.sendHead(answerHead)
    } catch (error) {
      // A field that the client's protocol cannot carry.
      const why = `${this.#attempts.endpoint!.label}: ${String(error)}`
      this.#attempts.failAttempt(new GatewayError('PORTICO_UP_BAD_RESPONSE', why, error), undefined)
      return
    }
    context.upstreamMs = upstreamMs
    context.answered = head
    context.status = status
    this.#attempts.settleAnswer(status, now)
    this.#dropKept()
    this.#watchAnswer()
    this.#answer = this.#openAnswer(head, plan, bodiless)
    if (!more) exchange.flush()
  }

  #openAnswer(head: ResponseHead, plan: BodyPlan | undefined, bodiless: boolean): AnswerSink {
    const { context } = this
    const isWanted = this.#policy.responseBuffering === 'all' && !bodiless && plan?.page === undefined
    if (!isWanted || !mayBufferAnswer(head)) return openAnswerBody(context, plan)
    const buffered = new BufferedAnswer(context, this.#owner.spools, this)
    this.#bufferedAnswer = buffered
    return buffered.leadTo(openAnswerBody(context, plan))
  }

  /** Keeps an error until it is whole, since a page may take its place, or it may have to go out after all. */
  #holdError(head: ResponseHead, now: number): void {
    const { context } = this
    context.upstreamMs = now - context.startedMonotonic
    this.#attempts.settleAnswer(head.status, now)
    this.#dropKept()
    this.#watchAnswer()
    const lines = this.#composeLines(head, context.upstreamMs)
    this.#answer = new HeldError((body) => {
      this.#close()
      const { status, contentLength } = head
      const isHead = context.exchange.method === 'HEAD'
      this.#owner.answerError(context, { status, lines, body, ...(isHead && { contentLength }) })
    })
  }

  onData(chunk: Buffer): void {
    if (this.#over) return
    const { context } = this
    const answer = this.#answer
    // What filters make of the bytes is counted where it comes out.
    if (answer === context.exchange) context.bytesOut += chunk.length
    if (answer.write(chunk) || answer.pendingBytes < HELD_BYTES) this.#progress(0)
    else {
      if (this.#bufferedAnswer?.hasRoom !== true) this.#call!.pause()
      if (this.#isAnswerHeld) return
      this.#isAnswerHeld = true
      this.onUnread()
      this.#watchClient()
    }
  }

  // BufferedAnswerOwner

  onAnswerRoom(): void {
    if (!this.#over) this.#call?.resume()
  }

  onAnswerTaken(): void {
    if (this.#limitCode === 'PORTICO_REQ_ABORTED') this.#progress(0)
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#over) return
    const answer = this.#answer
    this.#attempts.endpoint?.recordEnd()
    this.#stop()
    this.#call = undefined
    const kept = filterTrailers(trailers)
    if (kept.length > 0) this.context.trailers = kept
    answer.end(this.context.served!.filters?.filterResponseTrailers(kept) ?? kept)
    if (this.context.isFinished || answer.pendingBytes === 0) return
    this.#attempts.noteEnd()
    this.#isAnswerHeld = true
    hangupWatch.add(this)
    this.#watchClient()
  }

  onUpgrade(head: ResponseHead, socket: Socket, early: Buffer): void {
    const { context } = this
    const now = context.clock.monotonic()
    this.#attempts.settleAnswer(101, now)
    context.upstreamMs = now - context.startedMonotonic
    context.status = 101
    this.#attempts.endpoint?.recordEnd()
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#call = undefined
    const lines = filterSwitch(context, this.#composeLines(head, context.upstreamMs))
    const client = context.exchange.offer!.accept(head.reason, head.upgrade!, lines)
    this.#owner.openTunnel(this, client, socket, early)
  }

  #composeLines(head: ResponseHead, upstreamMs: number): string {
    const { context } = this
    const { pool, endpoint } = this.#attempts
    const lines = composeAnswerLines(head, context.id, context.startedAt + upstreamMs)
    const cookies = pool.answerLines(context, endpoint!) + composeSplitCookie(context)
    return lines + cookies + composeExplainLines(context, head.status)
  }

  onError(error: GatewayError): void {
    if (this.#over) return
    const reason = findRetryReason(error, this.#call!.hasAnswered)
    this.#call = undefined
    this.#isReady = false
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#attempts.failAttempt(error, reason)
  }

  /** True if it can be sent again where the endpoint closes the connection just then, however much of it was sent. */
  get isRepeatable(): boolean {
    if (!this.context.exchange.hasBody || this.#expectsContinue || this.#buffered !== undefined)
      return this.isIdempotent
    return this.#bodyLength !== undefined && this.#keepsBody()
  }

  // AttemptUser

  attempt(endpoint: EndpointState): void {
    this.#draft ??= new Draft(this.context, this.#policy)
    this.#draft.expectsContinue = this.#expectsContinue
    // Trailers can follow chunks alone.
    if (this.#buffered !== undefined && this.#trailers.length === 0) this.#draft.contentLength = this.#buffered.length
    this.#draft.beginTry(this.context)
    this.#call = endpoint.call(this.#draft, this)
    this.#call.start()
  }

  get canRepeat(): boolean {
    if (this.context.exchange.isHeadSent) return false
    return !this.#bodyBegun || this.#kept !== undefined || this.#buffered !== undefined
  }

  get isIdempotent(): boolean {
    return mayRepeat(this.context.exchange.method, this.#policy.retry)
  }

  get #waitsForClient(): boolean {
    return this.#limitCode === 'PORTICO_REQ_TIMEOUT' && (this.#isReady || this.#awaited > 0)
  }

  stalledFor(now: number): number {
    const waits = this.#limitCode === 'PORTICO_REQ_ABORTED' || this.#waitsForClient
    // A limit below zero was set in this tick, an endless one is none.
    if (!waits || this.deadlineAt < 0 || this.deadlineAt === Number.POSITIVE_INFINITY) return 0
    return this.#limitMs - (this.deadlineAt - now)
  }

  giveWay(): void {
    this.#failClient(', and others wait for its place at an endpoint')
  }

  dropAttempt(): void {
    this.#call?.abort()
    this.#call = undefined
    this.#isReady = false
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#buffered?.stop()
    this.#pauseBody()
  }

  // The body, before an endpoint is chosen, and more than once

  /** Has the filters say what the body passes. Its length is not known then, so that it goes on in chunks. */
  #transformBody(filters: FilterChain): void {
    const { context } = this
    const draft = new Draft(context, this.#policy)
    this.#draft = draft
    const makers = draft.transformBody(filters, context)
    if (makers === undefined) return
    draft.contentLength = undefined
    this.#transformed = new TransformedBody(makers, context.exchange, this)
  }

  /** Mirrors get the request as an endpoint does. */
  #copyRequest(filters: FilterChain): void {
    const mirrors = filters.chooseMirrors(this.context)
    if (mirrors.length === 0) return
    this.#draft ??= new Draft(this.context, this.#policy)
    this.#copies = this.#owner.mirrors.copy(this.context, this.#draft, mirrors)
  }

  /** Bytes of the body that the endpoint is to get; undefined: not known, or there is none. */
  get #bodyLength(): number | undefined {
    return this.#transformed === undefined ? this.context.fields!.contentLength : undefined
  }

  /** Gives the body, and is held where the endpoint does not get on. */
  get #bodySource(): Pick<Exchange, 'pauseBody' | 'resumeBody'> {
    return this.#transformed ?? this.context.exchange
  }

  /** Bytes of the body that are to come before an endpoint is chosen. */
  #chooseAwaited(): number {
    const { requestBuffering } = this.#policy
    if (this.#bodyEnded || requestBuffering === 'none') return 0
    const length = this.#bodyLength
    // A client that sends Expect wants to hear of the endpoint first, where the whole is not read in any case.
    const isCounted = length !== undefined && !this.#expectsContinue
    if (isCounted && length <= SHORT_BYTES) return length
    if (requestBuffering === 'all' && mayBufferBody(this.context)) return WHOLE
    return isCounted ? UNDER_WAY_BYTES : 0
  }

  #awaitBody(bytes: number): void {
    this.#awaited = bytes
    this.#bodyBegun = true
    if (bytes === WHOLE) this.#buffered = new BufferedBody(this.#owner.spools, this.context.clientNetwork, this)
    else this.#kept = new KeptBody(this.#bodyLength ?? 0)
    if (this.#expectsContinue) this.#sendContinue()
    this.#watch(this.#requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
    this.context.exchange.readBody(this)
  }

  /** The endpoint wants it, or does not say so in time. */
  #askForBody(): void {
    this.#sendContinue()
    this.#readBody()
  }

  #sendContinue(): void {
    this.#expectsContinue = false
    this.context.exchange.sendInterim(100, NO_TRAILERS)
  }

  /** Sends it on as it comes. */
  #readBody(): void {
    this.#bodyBegun = true
    if (this.#keepsBody()) this.#kept = new KeptBody(this.#bodyLength ?? 0)
    this.#watch(this.#requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
    this.context.exchange.readBody(this)
    this.#call?.flush()
  }

  #noteBody(bytes: number): void {
    const { bytesIn, exchange, fields } = this.context
    if (bytesIn < this.#awaited || bytesIn === fields!.contentLength) {
      // A body that is here as a whole is so when its end was told.
      this.#progress(bytes)
      return
    }
    exchange.pauseBody()
    this.#leaveBody()
  }

  // BufferedBodyOwner

  onBodyHeld(by: BodyHolder): void {
    if (this.#over) return
    this.#isBodyHeld = true
    if (by === 'disk') {
      this.#bodySource.pauseBody()
      this.#watch(this.context.settings.timeouts.writeStall, 'PORTICO_GW_BUFFERS_FULL')
    } else this.#watchEndpoint()
  }

  onBodyRoom(): void {
    if (this.#over || this.#bodyEnded) return
    this.#isBodyHeld = false
    this.#watch(this.#requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
    this.#bodySource.resumeBody()
  }

  /** As much has come as an endpoint need not wait for. */
  #leaveBody(): void {
    this.#awaited = 0
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#attempts.begin()
  }

  #keepsBody(): boolean {
    const { tries, retry } = this.#policy
    return tries > 1 && (this.#bodyLength ?? 0) <= retry.bufferBytes && this.isIdempotent
  }

  /** The body is not sent again. */
  #dropKept(): void {
    this.#kept?.drop()
    this.#kept = undefined
    this.#buffered?.keepNoLonger()
  }

  #isTooLong(chunk: Buffer): boolean {
    return this.#kept !== undefined && this.#kept.length + chunk.length > this.#policy.retry.bufferBytes
  }

  #pauseBody(): void {
    if (this.#bodyBegun && !this.#bodyEnded) this.#bodySource.pauseBody()
  }

  #sendKept(call: UpstreamCall): void {
    const kept = this.#kept!
    const isForGood = !this.#keepsBody()
    if (isForGood) this.#kept = undefined
    const hasRoom = call.write(kept.bytes, isForGood ? () => kept.drop() : undefined)
    this.#isBodyHeld = !hasRoom
    if (this.#bodyEnded) call.end(this.#trailers)
    else call.flush()
    if (this.#bodyEnded || !hasRoom) this.#watchHead()
    else {
      this.#watch(this.#requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
      this.#bodySource.resumeBody()
    }
  }

  // Endings

  fail(failure: GatewayError): void {
    if (this.#over) return
    const { context } = this
    const error = context.exchange.isHeadSent ? failure : this.#attempts.explain(failure)
    this.#close()
    if (!context.exchange.isHeadSent) {
      // The connection can go on, as where the body was read before.
      if (this.#isBodyHere && !this.#bodyBegun) context.exchange.readBody(this)
      this.#owner.fail(context, error)
      return
    }
    context.error = error
    context.exchange.abort()
  }

  #stop(): void {
    this.#over = true
    this.#transformed?.destroy()
    this.#copies?.cut()
    this.#buffered?.drop()
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#attempts.leaveEndpoint()
  }

  /** Nothing more is to be done upstream, nor waited for. */
  #close(): void {
    this.#stop()
    this.#attempts.end()
    this.#owner.deadlines.delete(this)
    this.#dropKept()
    hangupWatch.delete(this)
    this.#call?.abort()
    this.#call = undefined
  }

  // Unread: of client and endpoint one is not read

  get isUnread(): boolean {
    if (this.context.isFinished) return false
    return this.#isAnswerHeld || (!this.#over && this.context.exchange.isUnread)
  }

  /** None where many share it: what the others do says nothing. */
  get clientSocket(): Socket | undefined {
    return this.context.exchange.socket
  }

  get endpointSocket(): Socket | undefined {
    return this.#call?.socket
  }

  onStill(sighting: Sighting): void {
    const { exchange } = this.context
    // A client that has gone answers bytes with a reset; while some are under way, their own time limit counts.
    const hasLeft = sighting.client?.isReset || (exchange.pendingBytes === 0 && sighting.hasClientLeft(HALF_CLOSED_MS))
    if (hasLeft) exchange.abort()
    // What the kernel has of the answer is given up only where the client takes nothing.
    else if (sighting.endpoint?.isReset && sighting.hasEndpointLeft(this.context.settings.timeouts.halfClosed))
      sighting.endpoint.socket.destroy()
  }

  // Progress

  get tunnelIdle(): number {
    return this.#policy.timeouts.tunnelIdle || this.context.settings.timeouts.tunnelIdle
  }

  get #responseIdle(): number {
    return this.#policy.timeouts.responseIdle || this.context.settings.timeouts.responseIdle
  }

  get #requestBodyIdle(): number {
    return this.#policy.timeouts.requestBodyIdle || this.context.settings.timeouts.requestBodyIdle
  }

  /** Waits for the endpoint, and no longer for the client. */
  #watchEndpoint(): void {
    if (this.context.exchange.isHeadSent) this.#watchAnswer()
    else this.#watchHead()
  }

  /** Waits for the answer to begin. */
  #watchHead(): void {
    const { retry, timeouts } = this.#policy
    const limit = timeouts.responseHeaders || this.context.settings.timeouts.responseHeaders
    const { tryTimeout } = retry
    this.#watch(tryTimeout > 0 && tryTimeout < limit ? tryTimeout : limit, 'PORTICO_UP_HEADERS_TIMEOUT')
  }

  /** Waits for more of the answer; not for ever from an endpoint that leaves the body where it is as well. */
  #watchAnswer(): void {
    const limit = this.#responseIdle || (this.#isBodyHeld ? this.context.settings.timeouts.writeStall : 0)
    this.#watch(limit, 'PORTICO_UP_STALLED')
  }

  /** Waits for the client to take what was written. */
  #watchClient(): void {
    this.#takenBefore = this.sighting?.client?.acknowledged ?? 0
    this.#watch(this.context.settings.timeouts.writeStall, 'PORTICO_REQ_ABORTED')
  }

  /** Sets the one limit of this request; 0 ms is none. */
  #watch(ms: number, code: RequestErrorCode): void {
    this.#limitMs = ms
    this.#limitCode = code
    this.deadlineAt = ms === 0 ? Number.POSITIVE_INFINITY : -ms
  }

  /**
   * Sets the limit anew. Of a body so few bytes may have come that they give back only a part of the time that was used up:
   * below limits.uploadRate it runs out, however often something comes.
   */
  #progress(bytes: number): void {
    const ms = this.#limitMs
    if (ms === 0) {
      this.deadlineAt = Number.POSITIVE_INFINITY
      return
    }
    const rate = this.#limitCode === 'PORTICO_REQ_TIMEOUT' ? this.context.settings.limits.uploadRate : 0
    if (bytes * 1000 >= rate * ms) this.deadlineAt = -ms
    else if (this.deadlineAt >= 0) {
      const latest = this.context.clock.monotonic() + ms
      this.deadlineAt = Math.min(this.deadlineAt + (bytes * 1000) / rate, latest)
    }
  }

  /** A client may be slow, and what the kernel has of the answer be much: then all there is to see is what the client acknowledges. */
  #hasTakenEnough(): boolean {
    const taken = this.sighting?.client?.acknowledged ?? 0
    const more = taken - this.#takenBefore
    if (more <= 0 || more * 1000 < LEAST_DOWNLOAD_RATE * this.#limitMs) return false
    this.#takenBefore = taken
    this.deadlineAt = -this.#limitMs
    return true
  }

  /** Ends a request whose client is too slow; `how` ends the sentence that says so. */
  #failClient(how: string): void {
    const { context } = this
    if (!context.exchange.isHeadSent) {
      this.fail(bodyTooSlow(this.#requestBodyIdle, `the client sent too little of the request body${how}`))
      return
    }
    context.error = new GatewayError('PORTICO_REQ_ABORTED', `the client took too little of the answer${how}`)
    this.#close()
    context.exchange.abort()
  }

  onDeadline(): void {
    if (this.#limitCode === 'PORTICO_REQ_ABORTED' && this.#hasTakenEnough()) return
    if (this.#expectsContinue && this.#isReady) {
      this.#askForBody()
      return
    }
    this.deadlineAt = Number.POSITIVE_INFINITY
    if (this.#limitCode === 'PORTICO_GW_BUFFERS_FULL') {
      this.fail(buffersFull(`the disk took nothing for ${this.#limitMs} ms`))
      return
    }
    if (this.#limitCode === 'PORTICO_REQ_ABORTED' || this.#waitsForClient) {
      this.#failClient(` for ${this.#limitMs} ms`)
      return
    }
    // An endpoint may answer while the request still comes: then either of the two may be what is waited for.
    const isMutual = this.#limitCode === 'PORTICO_UP_STALLED' && !this.#bodyEnded
    const whose = isMutual && !this.#isBodyHeld ? 'the client and ' : ''
    const attempts = this.#attempts
    const { endpoint } = attempts
    const error = new GatewayError(this.#limitCode, `${whose}${endpoint?.label}: nothing for ${this.#limitMs} ms`)
    const isAttempt =
      this.#limitCode === 'PORTICO_UP_HEADERS_TIMEOUT' && this.#limitMs === this.#policy.retry.tryTimeout
    if (error.fault !== 'upstream' || !endpoint || isMutual) this.fail(error)
    else attempts.failAttempt(error, isAttempt && !this.#call?.hasAnswered ? 'timeout' : undefined)
  }
}
