/** Carries one request to an endpoint and the answer back: tries, backpressure both ways, progress limits, failures. HOT */
import type { Socket } from 'node:net'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import { GatewayError, type RequestErrorCode } from '../base/errors.ts'
import { HALF_CLOSED_MS, hangupWatch, type Sighting, type Unread } from '../base/hangup-watch.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import type { UpstreamPolicy } from '../service-settings.ts'
import { sendRequest, type UpstreamCall, type UpstreamEvents } from '../upstream/client.ts'
import type { Connection } from '../upstream/connection.ts'
import type { Waiter } from '../upstream/connection-pool.ts'
import type { EndpointState } from '../upstream/endpoint.ts'
import type { UpstreamPool } from '../upstream/pool.ts'
import { overloaded } from '../upstream/request-queue.ts'
import type { RequestContext } from './context.ts'
import type { BodySink, ExchangeEvents } from './exchange.ts'
import { composeAnswerLines, composeRequestHead, filterHints, filterTrailers } from './headers.ts'
import { KeptBody } from './kept-body.ts'
import { composeProxyHeader, findProxyVersion, type ProxyVersion } from './proxy-protocol.ts'
import { mayRepeat } from './retry.ts'
import { Tries } from './tries.ts'

/** Whoever has the request forwarded. */
export type ForwardOwner = {
  readonly deadlines: DeadlineWatch
  readonly isDraining: boolean
  /** Answers a request of which nothing was answered yet. */
  fail(context: RequestContext, error: GatewayError): void
  /** The endpoint switched protocols: `head` is for the client, then bytes flow both ways, until it calls `forwarding.onClose`. */
  openTunnel(forwarding: Forwarding, head: string, upstream: Socket, early: Buffer): void
  /** The exchange has ended. */
  finish(context: RequestContext, complete: boolean): void
}

const NO_TRAILERS: readonly string[] = Object.freeze([])

export class Forwarding extends Tries implements Waiter, UpstreamEvents, BodySink, ExchangeEvents, Timed, Unread {
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  sighting: Sighting | undefined = undefined
  readonly #owner: ForwardOwner
  /** The protocol that an upgrade asks for. */
  readonly #upgrade: string | undefined
  readonly #proxyVersion: ProxyVersion | undefined
  #connection: Connection | undefined = undefined
  #call: UpstreamCall | undefined = undefined
  /** The try under way has been given a new connection already. */
  #triedFresh = false
  /** Nothing that happens upstream matters any more. */
  #over = false
  /** The endpoint is not read, since the client does not get on. */
  #isAnswerHeld = false
  /** The client is not read, since the endpoint does not get on. */
  #isBodyHeld = false
  #bodyBegun = false
  #bodyEnded: boolean
  /** What came of the body, as long as all of it can be sent again. */
  #kept: KeptBody | undefined = undefined
  #trailers: readonly string[] = NO_TRAILERS
  #limitMs = 0
  #limitCode: RequestErrorCode = 'PORTICO_UP_HEADERS_TIMEOUT'

  constructor(
    owner: ForwardOwner,
    context: RequestContext,
    pool: UpstreamPool,
    policy: UpstreamPolicy,
    upgrade: string | undefined,
  ) {
    super(owner.deadlines, context, pool, policy)
    this.#owner = owner
    this.#upgrade = upgrade
    this.#proxyVersion = findProxyVersion(pool.policy)
    this.#bodyEnded = !context.exchange.hasBody
  }

  start(): void {
    this.context.exchange.events = this
    this.#owner.deadlines.add(this)
    this.begin()
    if (this.context.exchange.isUnread) this.onUnread()
  }

  // ExchangeEvents

  onClose(complete: boolean): void {
    this.#close()
    this.context.retries?.end('aborted')
    this.#owner.finish(this.context, complete)
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

  onUnread(): void {
    if (!this.#over) hangupWatch.add(this)
  }

  // Waiter

  get cancelled(): boolean {
    return this.#over
  }

  /** For endpoints that want to hear of the client by PROXY protocol: such a connection is that client's alone. */
  get preamble(): Buffer | undefined {
    const proxyVersion = this.#proxyVersion
    return proxyVersion && composeProxyHeader(proxyVersion, this.context.exchange.connection.path)
  }

  get connectTimeout(): number {
    const { retry, timeouts } = this.policy
    const limit = timeouts.connect || this.context.settings.timeouts.connect
    return retry.tryTimeout > 0 && retry.tryTimeout < limit ? retry.tryTimeout : limit
  }

  onConnection(connection: Connection): void {
    const { context } = this
    const { exchange } = context
    this.#connection = connection
    if (connection.owner.endpoint !== this.endpoint) this.moveTo(connection.owner.endpoint)
    const call = sendRequest(
      connection,
      {
        head: composeRequestHead(context, this.#upgrade, this.endpoint!.hostLine),
        method: exchange.method,
        body: !exchange.hasBody ? 'none' : context.fields!.contentLength === undefined ? 'chunked' : 'counted',
        upgrade: this.#upgrade !== undefined,
        maxHeaderBytes: this.policy.headerBytes,
      },
      this,
    )
    this.#call = call
    if (this.#bodyBegun) this.#sendKept(call)
    else if (this.#bodyEnded) {
      call.end(NO_TRAILERS)
      this.#watchHead()
    } else {
      this.#bodyBegun = true
      if (this.#keepsBody()) this.#kept = new KeptBody(this.policy.retry.bufferBytes)
      this.#watch(this.#requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
      exchange.readBody(this, context.fields!.expect !== undefined)
      if (!this.#over) call.flush()
    }
  }

  onConnectionError(error: GatewayError): void {
    this.failTry(error, error.retry === 'always' ? 'connect-failure' : undefined)
  }

  // BodySink

  onBodyData(chunk: Buffer): void {
    const { context } = this
    context.bytesIn += chunk.length
    if (this.#over) return
    const { settings, exchange } = context
    const limit = settings.limits.bodyBytes
    if (limit > 0 && context.bytesIn > limit) {
      this.fail(new GatewayError('PORTICO_REQ_TOO_LARGE', `more than ${limit} bytes`))
      return
    }
    const declared = context.fields!.contentLength
    if (declared !== undefined && context.bytesIn > declared) {
      this.fail(new GatewayError('PORTICO_REQ_BAD_FRAMING', `more than ${declared} bytes came`))
      return
    }
    if (this.#kept !== undefined && !this.#kept.add(chunk)) this.#kept = undefined
    const call = this.#call
    if (call === undefined) {
      // Between two tries, from a client that was asked to pause.
      if (this.#kept === undefined) this.fail(new GatewayError('PORTICO_UP_RESET', 'the body is too long to repeat'))
    } else if (call.write(chunk)) this.#progress()
    else {
      exchange.pauseBody()
      this.#isBodyHeld = true
      // From here on the endpoint is who does not get on.
      if (exchange.isHeadSent) this.#watchAnswer()
      else this.#watchHead()
    }
  }

  onBodyEnd(trailers: readonly string[]): void {
    if (this.#over) return
    const { context } = this
    const declared = context.fields!.contentLength
    if (declared !== undefined && declared !== context.bytesIn) {
      this.fail(new GatewayError('PORTICO_REQ_BAD_FRAMING', `${context.bytesIn} of ${declared} bytes came`))
      return
    }
    this.#bodyEnded = true
    if (declared === undefined) this.#trailers = filterTrailers(trailers)
    if (this.#call === undefined) return
    this.#call.end(this.#trailers)
    if (!context.exchange.isHeadSent) this.#watchHead()
  }

  // UpstreamEvents

  onDrain(): void {
    const { exchange } = this.context
    if (this.#over || this.#bodyEnded) return
    this.#isBodyHeld = false
    if (exchange.isHeadSent) this.#watchAnswer()
    else this.#watch(this.#requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
    exchange.resumeBody()
  }

  onInformational(status: number, headers: readonly string[]): void {
    if (!this.#over) this.context.exchange.sendInterim(status, filterHints(headers))
  }

  onHead(head: ResponseHead, more: boolean): void {
    if (this.#over) return
    const { context } = this
    const { exchange } = context
    const { status } = head
    const now = context.clock.monotonic()
    const upstreamMs = now - context.startedMonotonic
    if (status >= 400 && this.#bodyEnded && this.retryStatus(status, now)) return
    const bodiless = status === 204 || status === 304 || exchange.method === 'HEAD'
    try {
      exchange.sendHead({
        status,
        reason: head.reason,
        lines: this.#composeLines(head, upstreamMs),
        contentLength: head.contentLength,
        close: this.#owner.isDraining || exchange.offer !== undefined,
        trailers: head.chunked && !bodiless,
      })
    } catch (error) {
      // A field that the client's protocol cannot carry.
      this.failTry(
        new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.endpoint!.label}: ${String(error)}`, error),
        undefined,
      )
      return
    }
    context.upstreamMs = upstreamMs
    context.status = status
    this.settleAnswer(status, now)
    this.#kept = undefined
    this.#watchAnswer()
    if (!more) exchange.flush()
  }

  onData(chunk: Buffer): void {
    if (this.#over) return
    const { context } = this
    context.bytesOut += chunk.length
    if (context.exchange.write(chunk)) this.#progress()
    else {
      this.#call!.pause()
      this.#isAnswerHeld = true
      this.onUnread()
      this.#watchClient()
    }
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#over) return
    const { exchange } = this.context
    this.endpoint?.recordEnd()
    this.#stop()
    this.#call = undefined
    exchange.end(filterTrailers(trailers))
    if (!this.context.isFinished && exchange.pendingBytes > 0) this.#watchClient()
  }

  onUpgrade(head: ResponseHead, socket: Socket, early: Buffer): void {
    const { context } = this
    if (this.#upgrade === undefined || head.upgrade === undefined) {
      socket.destroy()
      const what = this.#upgrade === undefined ? '101 that nobody asked for' : '101 without Upgrade'
      this.failTry(new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.endpoint!.label}: ${what}`), undefined)
      return
    }
    const now = context.clock.monotonic()
    this.settleAnswer(101, now)
    context.upstreamMs = now - context.startedMonotonic
    context.status = 101
    this.endpoint?.recordEnd()
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#call = undefined
    const lines = this.#composeLines(head, context.upstreamMs)
    const text = `HTTP/1.1 101 ${head.reason || 'Switching Protocols'}\r\nConnection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n${lines}\r\n`
    this.#owner.openTunnel(this, text, socket, early)
  }

  #composeLines(head: ResponseHead, upstreamMs: number): string {
    const { context } = this
    const lines = composeAnswerLines(head, context.id, context.startedAt + upstreamMs)
    return lines + this.pool.answerLines(context, this.endpoint!)
  }

  onError(error: GatewayError): void {
    if (this.#over) return
    this.#call = undefined
    this.deadlineAt = Number.POSITIVE_INFINITY
    if (error.code !== 'PORTICO_UP_RESET' || this.#connection!.hasAnswered) this.failTry(error, undefined)
    else if (this.#isStale()) this.#redial()
    else this.failTry(error, 'reset')
  }

  // Tries

  protected override connect(endpoint: EndpointState): void {
    this.#triedFresh = false
    // A tunnel keeps its connection for good, so it does not begin on one that may be about to close.
    endpoint.acquire(this, this.#upgrade !== undefined || this.#proxyVersion !== undefined)
  }

  protected override canRepeat(): boolean {
    return !this.#bodyBegun || this.#kept !== undefined
  }

  protected override get waitsForClient(): boolean {
    return this.#call !== undefined && this.#limitCode === 'PORTICO_REQ_TIMEOUT'
  }

  protected override dropTry(): void {
    this.#call?.abort()
    this.#call = undefined
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#pauseBody()
  }

  protected override onWait(ms: number): void {
    this.#watch(ms, 'PORTICO_UP_OVERLOADED')
  }

  protected override onWaited(): void {
    this.deadlineAt = Number.POSITIVE_INFINITY
  }

  /** The endpoint closed an idle connection just as it was used again: that is nobody's failure. */
  #isStale(): boolean {
    const { exchange } = this.context
    return (
      !this.#triedFresh &&
      this.#connection!.isStale &&
      !exchange.isHeadSent &&
      this.canRepeat() &&
      mayRepeat(exchange.method, this.policy.retry)
    )
  }

  /** Asks the same endpoint once more, on a new connection; it is still the same try. */
  #redial(): void {
    this.#triedFresh = true
    this.context.tries++
    this.#pauseBody()
    this.endpoint!.acquire(this, true)
  }

  // The body, more than once

  #keepsBody(): boolean {
    const { tries, retry } = this.policy
    const { exchange, fields } = this.context
    return tries > 1 && (fields!.contentLength ?? 0) <= retry.bufferBytes && mayRepeat(exchange.method, retry)
  }

  #pauseBody(): void {
    if (this.#bodyBegun && !this.#bodyEnded) this.context.exchange.pauseBody()
  }

  #sendKept(call: UpstreamCall): void {
    const hasRoom = call.write(this.#kept!.bytes)
    if (this.#bodyEnded) call.end(this.#trailers)
    else call.flush()
    if (this.#bodyEnded || !hasRoom) this.#watchHead()
    else {
      this.#watch(this.#requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
      this.context.exchange.resumeBody()
    }
  }

  // Endings

  protected override fail(failure: GatewayError): void {
    if (this.#over) return
    const { context } = this
    const error = context.retries && !context.exchange.isHeadSent ? context.retries.explain(failure) : failure
    this.#close()
    if (!context.exchange.isHeadSent) {
      this.#owner.fail(context, error)
      return
    }
    context.error = error
    context.exchange.abort()
  }

  #stop(): void {
    this.#over = true
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.leaveEndpoint()
  }

  /** Nothing more is to be done upstream, nor waited for. */
  #close(): void {
    this.#stop()
    this.endTries()
    this.#owner.deadlines.delete(this)
    hangupWatch.delete(this)
    this.#kept = undefined
    this.#call?.abort()
    this.#call = undefined
  }

  // Unread: of client and endpoint one is not read

  get isUnread(): boolean {
    return !this.#over && (this.#isAnswerHeld || this.context.exchange.isUnread)
  }

  /** Only of an exchange that is unread where many share it: what the others do says nothing. */
  get clientSocket(): Socket | undefined {
    const { exchange } = this.context
    return exchange.protocol !== 'HTTP/2.0' || exchange.isUnread ? exchange.connection.socket : undefined
  }

  get endpointSocket(): Socket | undefined {
    return this.#call && this.#connection!.socket
  }

  onStill(sighting: Sighting): void {
    const { exchange } = this.context
    // Whoever is gone answers bytes with a reset; while some are under way, their own time limit counts.
    const hasLeft = sighting.client?.isReset || (exchange.pendingBytes === 0 && sighting.hasClientLeft(HALF_CLOSED_MS))
    if (hasLeft) exchange.abort()
    // What the kernel has of the answer is given up only where the client takes nothing.
    else if (sighting.endpoint?.isReset && sighting.hasEndpointLeft(this.context.settings.timeouts.halfClosed))
      sighting.endpoint.socket.destroy()
  }

  // Progress

  get #responseIdle(): number {
    return this.policy.timeouts.responseIdle || this.context.settings.timeouts.responseIdle
  }

  get #requestBodyIdle(): number {
    return this.policy.timeouts.requestBodyIdle || this.context.settings.timeouts.requestBodyIdle
  }

  /** Waits for the answer to begin. */
  #watchHead(): void {
    const { retry, timeouts } = this.policy
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
    this.#watch(this.context.settings.timeouts.writeStall, 'PORTICO_REQ_ABORTED')
  }

  /** Sets the one limit of this request; 0 ms is none. */
  #watch(ms: number, code: RequestErrorCode): void {
    this.#limitMs = ms
    this.#limitCode = code
    this.#progress()
  }

  #progress(): void {
    const ms = this.#limitMs
    this.deadlineAt = ms === 0 ? Number.POSITIVE_INFINITY : -ms
  }

  onDeadline(): void {
    const { context } = this
    const nothing = `nothing for ${this.#limitMs} ms`
    this.deadlineAt = Number.POSITIVE_INFINITY
    if (this.#limitCode === 'PORTICO_REQ_ABORTED') {
      context.error = new GatewayError('PORTICO_REQ_ABORTED', `took ${nothing}`)
      this.#close()
      context.exchange.abort()
      return
    }
    if (this.#limitCode === 'PORTICO_UP_OVERLOADED') {
      this.fail(overloaded(`${this.pool.upstream.key}: no endpoint had room within ${this.#limitMs} ms`, this.#limitMs))
      return
    }
    const error = new GatewayError(this.#limitCode, `${this.endpoint?.label}: ${nothing}`)
    const isTry = this.#limitCode === 'PORTICO_UP_HEADERS_TIMEOUT' && this.#limitMs === this.policy.retry.tryTimeout
    // An endpoint may answer as the request comes: then nobody can tell which of the two is waited for.
    const isMutual = this.#limitCode === 'PORTICO_UP_STALLED' && !this.#bodyEnded
    if (error.fault !== 'upstream' || !this.endpoint || isMutual) this.fail(error)
    else this.failTry(error, isTry && !this.#connection?.hasAnswered ? 'timeout' : undefined)
  }
}
