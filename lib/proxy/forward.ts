/** Carries one request to an endpoint and the answer back: attempts, backpressure both ways, progress limits, failures. HOT */
import type { Socket } from 'node:net'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import { GatewayError, type RequestErrorCode } from '../base/errors.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import { sendRequest, type UpstreamCall, type UpstreamEvents } from '../upstream/client.ts'
import type { Connection } from '../upstream/connection.ts'
import type { Waiter } from '../upstream/connection-pool.ts'
import type { EndpointState } from '../upstream/endpoint.ts'
import type { UpstreamPool } from '../upstream/pool.ts'
import type { RequestContext } from './context.ts'
import type { BodySink, ExchangeEvents } from './exchange.ts'
import { composeAnswerLines, composeRequestHead, filterHints, filterTrailers } from './headers.ts'

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

/** RFC 9110 §9.2.2, those that may carry no body worth losing. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

export class Forwarding implements Waiter, UpstreamEvents, BodySink, ExchangeEvents, Timed {
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  readonly context: RequestContext
  readonly #owner: ForwardOwner
  readonly #pool: UpstreamPool
  /** The protocol that an upgrade asks for. */
  readonly #upgrade: string | undefined
  #tried: readonly EndpointState[] = []
  #endpoint: EndpointState | undefined = undefined
  #connection: Connection | undefined = undefined
  #call: UpstreamCall | undefined = undefined
  #triedFresh = false
  /** Nothing that happens upstream matters any more. */
  #over = false
  #bodyEnded: boolean
  #limitMs = 0
  #limitCode: RequestErrorCode = 'PORTICO_UP_HEADERS_TIMEOUT'

  constructor(owner: ForwardOwner, context: RequestContext, pool: UpstreamPool, upgrade: string | undefined) {
    this.context = context
    this.#owner = owner
    this.#pool = pool
    this.#upgrade = upgrade
    this.#bodyEnded = !context.exchange.hasBody
  }

  get cancelled(): boolean {
    return this.#over
  }

  start(): void {
    this.context.exchange.events = this
    this.#owner.deadlines.add(this)
    this.#tryNext(undefined)
  }

  // ExchangeEvents

  onClose(complete: boolean): void {
    this.#close()
    this.#owner.finish(this.context, complete)
  }

  onClientDrain(): void {
    if (this.#over) return
    this.#call?.resume()
    this.#watch(this.context.settings.timeouts.responseIdle, 'PORTICO_UP_STALLED')
  }

  onBroken(error: GatewayError): void {
    this.#fail(error)
  }

  // Waiter

  onConnection(connection: Connection): void {
    const { context } = this
    const { exchange, settings } = context
    const { timeouts } = settings
    this.#connection = connection
    const call = sendRequest(
      connection,
      {
        head: composeRequestHead(context, this.#upgrade),
        method: exchange.method,
        body: !exchange.hasBody ? 'none' : context.fields!.contentLength === undefined ? 'chunked' : 'counted',
        upgrade: this.#upgrade !== undefined,
        maxHeaderBytes: this.#pool.policy.headerBytes,
      },
      this,
    )
    this.#call = call
    if (this.#bodyEnded) {
      call.end([])
      this.#watch(timeouts.responseHeaders, 'PORTICO_UP_HEADERS_TIMEOUT')
      return
    }
    this.#watch(timeouts.requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
    exchange.readBody(this, context.fields!.expect !== undefined)
    if (!this.#over) call.flush()
  }

  onConnectionError(error: GatewayError): void {
    this.#endpoint!.recordFailure(error)
    this.#leaveEndpoint()
    if (error.retry === 'always' && this.#tried.length < this.#pool.policy.tries) this.#tryNext(error)
    else this.#fail(this.#withHistory(error))
  }

  // BodySink

  onBodyData(chunk: Buffer): void {
    const { context } = this
    context.bytesIn += chunk.length
    if (this.#over) return
    const { settings, exchange } = context
    const limit = settings.limits.bodyBytes
    if (limit > 0 && context.bytesIn > limit) {
      this.#fail(new GatewayError('PORTICO_REQ_TOO_LARGE', `more than ${limit} bytes`))
      return
    }
    const declared = context.fields!.contentLength
    if (declared !== undefined && context.bytesIn > declared) {
      this.#fail(new GatewayError('PORTICO_REQ_BAD_FRAMING', `more than ${declared} bytes came`))
      return
    }
    if (this.#call!.write(chunk)) this.#progress()
    else {
      exchange.pauseBody()
      // From here on the endpoint is who does not get on.
      if (!exchange.isHeadSent) this.#watch(settings.timeouts.responseHeaders, 'PORTICO_UP_HEADERS_TIMEOUT')
    }
  }

  onBodyEnd(trailers: readonly string[]): void {
    if (this.#over) return
    const { context } = this
    const declared = context.fields!.contentLength
    if (declared !== undefined && declared !== context.bytesIn) {
      this.#fail(new GatewayError('PORTICO_REQ_BAD_FRAMING', `${context.bytesIn} of ${declared} bytes came`))
      return
    }
    this.#bodyEnded = true
    this.#call!.end(declared === undefined ? filterTrailers(trailers) : [])
    if (!context.exchange.isHeadSent) {
      this.#watch(context.settings.timeouts.responseHeaders, 'PORTICO_UP_HEADERS_TIMEOUT')
    }
  }

  // UpstreamEvents

  onDrain(): void {
    const { exchange, settings } = this.context
    if (this.#over || this.#bodyEnded) return
    if (!exchange.isHeadSent) this.#watch(settings.timeouts.requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
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
    const upstreamMs = context.clock.monotonic() - context.startedMonotonic
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
      this.#fail(new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.#endpoint!.label}: ${String(error)}`, error))
      return
    }
    context.upstreamMs = upstreamMs
    context.status = status
    this.#endpoint?.recordAnswer(status, upstreamMs)
    this.#watch(context.settings.timeouts.responseIdle, 'PORTICO_UP_STALLED')
    if (!more) exchange.flush()
  }

  onData(chunk: Buffer): void {
    if (this.#over) return
    const { context } = this
    context.bytesOut += chunk.length
    if (context.exchange.write(chunk)) this.#progress()
    else {
      this.#call!.pause()
      this.#watchClient()
    }
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#over) return
    const { exchange } = this.context
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
      this.#fail(new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.#endpoint!.label}: ${what}`))
      return
    }
    context.upstreamMs = context.clock.monotonic() - context.startedMonotonic
    context.status = 101
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#call = undefined
    const lines = this.#composeLines(head, context.upstreamMs)
    const text = `HTTP/1.1 101 ${head.reason || 'Switching Protocols'}\r\nConnection: Upgrade\r\nUpgrade: ${head.upgrade}\r\n${lines}\r\n`
    this.#owner.openTunnel(this, text, socket, early)
  }

  #composeLines(head: ResponseHead, upstreamMs: number): string {
    const { context } = this
    const lines = composeAnswerLines(head, context.id, context.startedAt + upstreamMs)
    return lines + this.#pool.answerLines(context, this.#endpoint!)
  }

  onError(error: GatewayError): void {
    if (this.#over) return
    this.#call = undefined
    this.deadlineAt = Number.POSITIVE_INFINITY
    if (this.#mayRepeat(error)) {
      this.#triedFresh = true
      this.context.tries++
      this.#endpoint!.acquire(this, true)
      return
    }
    this.#endpoint!.recordFailure(error)
    this.#fail(error)
  }

  // Attempts

  #tryNext(previous: GatewayError | undefined): void {
    const picked = this.#pool.pick(this.context, this.#tried)
    if (picked instanceof GatewayError) {
      this.#fail(previous ? this.#withHistory(previous) : picked)
      return
    }
    const { context } = this
    this.#tried = this.#tried.length === 0 ? [picked] : [...this.#tried, picked]
    this.#endpoint = picked
    context.endpoint = picked
    context.tries++
    picked.begin()
    // A tunnel keeps its connection for good, so it does not begin on one that may be about to close.
    picked.acquire(this, this.#upgrade !== undefined)
  }

  /** The endpoint closed an idle connection just as it was used again: nothing was answered, so it is asked once more on a new one. */
  #mayRepeat(error: GatewayError): boolean {
    const { exchange } = this.context
    return (
      error.code === 'PORTICO_UP_RESET' &&
      !this.#triedFresh &&
      !exchange.hasBody &&
      !exchange.isHeadSent &&
      this.#connection!.isStale &&
      REPEATABLE.has(exchange.method)
    )
  }

  #withHistory(error: GatewayError): GatewayError {
    if (this.#tried.length < 2) return error
    const labels = this.#tried.map((endpoint) => endpoint.label).join(', ')
    return new GatewayError(error.code, `${error.detail} (tried ${labels})`, error)
  }

  // Endings

  #fail(error: GatewayError): void {
    if (this.#over) return
    const { context } = this
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
    this.#leaveEndpoint()
  }

  /** Nothing more is to be done upstream, nor waited for. */
  #close(): void {
    this.#stop()
    this.#owner.deadlines.delete(this)
    this.#call?.abort()
    this.#call = undefined
  }

  #leaveEndpoint(): void {
    if (!this.#endpoint) return
    this.#endpoint.end()
    this.#endpoint = undefined
  }

  // Progress

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
    const error = new GatewayError(this.#limitCode, `${this.#endpoint?.label}: ${nothing}`)
    if (error.fault === 'upstream') this.#endpoint?.recordFailure(error)
    this.#fail(error)
  }
}
