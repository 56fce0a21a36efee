/** Carries one request to an endpoint and the answer back: attempts, backpressure both ways, progress timers, failures. HOT */
import type { Socket } from 'node:net'
import { GatewayError, type RequestErrorCode } from '../base/errors.ts'
import {
  type ResponseHead,
  sendRequest,
  type UpstreamCall,
  type UpstreamEvents,
  type UpstreamRequest,
} from '../upstream/client.ts'
import type { Connection, Waiter } from '../upstream/connection-pool.ts'
import type { EndpointState } from '../upstream/endpoint.ts'
import type { UpstreamPool } from '../upstream/pool.ts'
import type { RequestContext } from './context.ts'
import type { BodySink } from './exchange.ts'
import { buildRequestHeaders, buildResponseHeaders, filterHints, filterTrailers } from './headers.ts'

export type ForwardOptions = Readonly<{
  context: RequestContext
  pool: UpstreamPool
  /** The protocol that an upgrade asks for. */
  upgrade: string | undefined
  isDraining: () => boolean
  /** Answers a request of which nothing was answered yet. */
  fail: (error: GatewayError) => void
  /** The endpoint switched protocols: `head` is for the client, then bytes flow both ways. */
  openTunnel: (head: ResponseHead, headers: readonly string[], upstream: Socket, early: Buffer) => void
}>

/** RFC 9110 §9.2.2, those that may carry no body worth losing. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

export class Forwarding implements Waiter, UpstreamEvents, BodySink {
  readonly #context: RequestContext
  readonly #options: ForwardOptions
  readonly #pool: UpstreamPool
  readonly #tried: EndpointState[] = []
  #endpoint: EndpointState | undefined
  #connection: Connection | undefined
  #call: UpstreamCall | undefined
  #triedFresh = false
  /** Nothing that happens upstream matters any more. */
  #over = false
  #bodyEnded: boolean
  #deadline: NodeJS.Timeout | undefined
  #deadlineMs = 0
  #deadlineCode: RequestErrorCode | undefined

  constructor(options: ForwardOptions) {
    const { context, pool } = options
    this.#options = options
    this.#context = context
    this.#pool = pool
    this.#bodyEnded = !context.exchange.hasBody
  }

  get cancelled(): boolean {
    return this.#over
  }

  start(): void {
    this.#context.exchange.onDrain = () => this.#onClientDrain()
    this.#context.onBroken = (error) => this.#fail(error)
    this.#tryNext(undefined)
  }

  /** The response is through, or the client has gone. */
  close(): void {
    this.#stop()
    this.#call?.abort()
  }

  // Waiter

  onConnection(connection: Connection): void {
    const { context, upgrade } = this.#options
    this.#connection = connection
    const request: UpstreamRequest = {
      method: context.exchange.method,
      target: context.path!.path + context.query,
      headers: buildRequestHeaders(context, upgrade),
      maxHeaderBytes: context.settings.upstream.headerBytes,
    }
    try {
      this.#call = sendRequest(connection, request, this)
    } catch (error) {
      this.#fail(
        error instanceof GatewayError ? error : new GatewayError('PORTICO_GW_UNEXPECTED', String(error), error),
      )
      return
    }
    const { timeouts } = context.settings
    if (this.#bodyEnded) {
      this.#call.end([])
      this.#watch(timeouts.responseHeaders, 'PORTICO_UP_HEADERS_TIMEOUT')
    } else {
      this.#watch(timeouts.requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
      context.exchange.readBody(this, context.fields!.expect !== undefined)
    }
  }

  onConnectionError(error: GatewayError): void {
    this.#endpoint!.recordFailure(error)
    this.#leaveEndpoint()
    if (error.retry === 'always' && this.#tried.length < this.#context.settings.upstream.tries) this.#tryNext(error)
    else this.#fail(this.#withHistory(error))
  }

  // BodySink

  onBodyData(chunk: Buffer): void {
    const context = this.#context
    context.bytesIn += chunk.length
    if (this.#over) return
    const limit = context.settings.limits.bodyBytes
    if (limit > 0 && context.bytesIn > limit) {
      this.#fail(new GatewayError('PORTICO_REQ_TOO_LARGE', `more than ${limit} bytes`))
      return
    }
    if (this.#call!.write(chunk)) this.#progress()
    else {
      context.exchange.pauseBody()
      // From here on the endpoint is who does not get on.
      if (!context.exchange.isHeadSent) {
        this.#watch(context.settings.timeouts.responseHeaders, 'PORTICO_UP_HEADERS_TIMEOUT')
      }
    }
  }

  onBodyEnd(trailers: readonly string[]): void {
    if (this.#over) return
    const context = this.#context
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
    const context = this.#context
    if (this.#over || this.#bodyEnded) return
    if (!context.exchange.isHeadSent) this.#watch(context.settings.timeouts.requestBodyIdle, 'PORTICO_REQ_TIMEOUT')
    context.exchange.resumeBody()
  }

  onInformational(status: number, headers: readonly string[]): void {
    if (!this.#over) this.#context.exchange.sendInterim(status, filterHints(headers))
  }

  onHead(head: ResponseHead): void {
    if (this.#over) return
    const context = this.#context
    const { exchange } = context
    const headers = buildResponseHeaders(head, context.id, false)
    if (!headers) {
      this.#fail(new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.#endpoint!.label}: contradicting Content-Length`))
      return
    }
    const bodiless = exchange.method === 'HEAD' || head.status === 204 || head.status === 304
    try {
      exchange.sendHead(head.status, head.reason, headers, {
        close: this.#options.isDraining() || exchange.offer !== undefined,
        trailers: head.chunked && !bodiless,
      })
    } catch (error) {
      // A field that the client's protocol cannot carry.
      this.#fail(new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.#endpoint!.label}: ${String(error)}`, error))
      return
    }
    context.upstreamMs = context.clock.monotonic() - context.startedMonotonic
    context.status = head.status
    this.#watch(context.settings.timeouts.responseIdle, 'PORTICO_UP_STALLED')
  }

  onData(chunk: Buffer): void {
    if (this.#over) return
    const context = this.#context
    context.bytesOut += chunk.length
    if (context.exchange.write(chunk)) this.#progress()
    else {
      this.#call!.pause()
      this.#watchClient()
    }
  }

  onEnd(trailers: readonly string[]): void {
    if (this.#over) return
    const { exchange } = this.#context
    this.#stop()
    this.#call = undefined
    exchange.end(filterTrailers(trailers))
    if (exchange.pendingBytes > 0) this.#watchClient()
  }

  onUpgrade(head: ResponseHead, socket: Socket, early: Buffer): void {
    const context = this.#context
    const headers = this.#options.upgrade === undefined ? undefined : buildResponseHeaders(head, context.id, true)
    if (!headers) {
      socket.destroy()
      this.#fail(new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.#endpoint!.label}: 101 that nobody asked for`))
      return
    }
    context.upstreamMs = context.clock.monotonic() - context.startedMonotonic
    context.status = 101
    this.#clearDeadline()
    this.#call = undefined
    this.#options.openTunnel(head, headers, socket, early)
  }

  onError(error: GatewayError): void {
    if (this.#over) return
    this.#call = undefined
    this.#clearDeadline()
    if (this.#mayRepeat(error)) {
      this.#triedFresh = true
      this.#context.tries++
      this.#endpoint!.acquire(this, true)
      return
    }
    this.#endpoint!.recordFailure(error)
    this.#fail(error)
  }

  // Attempts

  #tryNext(previous: GatewayError | undefined): void {
    const picked = this.#pool.pick(this.#tried)
    if (picked instanceof GatewayError) {
      this.#fail(previous ? this.#withHistory(previous) : picked)
      return
    }
    const context = this.#context
    this.#tried.push(picked)
    this.#endpoint = picked
    context.endpoint = picked
    context.tries++
    picked.requests++
    picked.inFlight++
    // A tunnel keeps its connection for good, so it does not begin on one that may be about to close.
    picked.acquire(this, this.#options.upgrade !== undefined)
  }

  /** The endpoint closed an idle connection just as it was used again: nothing was answered, so it is asked once more on a new one. */
  #mayRepeat(error: GatewayError): boolean {
    const { exchange } = this.#context
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
    const context = this.#context
    this.close()
    if (!context.exchange.isHeadSent) {
      this.#options.fail(error)
      return
    }
    context.error = error
    context.exchange.abort()
  }

  #stop(): void {
    this.#over = true
    this.#clearDeadline()
    this.#leaveEndpoint()
  }

  #leaveEndpoint(): void {
    if (!this.#endpoint) return
    this.#endpoint.inFlight--
    this.#endpoint = undefined
  }

  // Progress

  #onClientDrain(): void {
    if (this.#over) return
    this.#call?.resume()
    this.#watch(this.#context.settings.timeouts.responseIdle, 'PORTICO_UP_STALLED')
  }

  /** Waits for the client to take what was written. */
  #watchClient(): void {
    this.#watch(this.#context.settings.timeouts.writeStall, 'PORTICO_REQ_ABORTED')
  }

  /** Sets the one timer of this request; 0 ms is no limit. */
  #watch(ms: number, code: RequestErrorCode): void {
    this.#clearDeadline()
    if (ms === 0) return
    this.#deadlineMs = ms
    this.#deadlineCode = code
    this.#deadline = setTimeout(this.#onDeadline, ms)
  }

  #progress(): void {
    this.#deadline?.refresh()
  }

  #clearDeadline(): void {
    if (this.#deadline === undefined) return
    clearTimeout(this.#deadline)
    this.#deadline = undefined
  }

  #onDeadline = (): void => {
    const { exchange } = this.#context
    if (this.#deadlineCode === 'PORTICO_REQ_ABORTED') {
      this.#context.error = new GatewayError('PORTICO_REQ_ABORTED', `took nothing for ${this.#deadlineMs} ms`)
      this.close()
      exchange.abort()
      return
    }
    const error = new GatewayError(this.#deadlineCode!, `${this.#endpoint?.label}: nothing for ${this.#deadlineMs} ms`)
    if (error.fault === 'upstream') this.#endpoint?.recordFailure(error)
    this.#fail(error)
  }
}
