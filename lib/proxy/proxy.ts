/** The data path as listeners use it: one function for each way in which a request can arrive. */
import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { GatewayError, type RequestErrorCode } from '../base/errors.ts'
import type { Snapshot } from '../snapshot.ts'
import type { RequestRecord } from '../telemetry/record.ts'
import type { Exchange, UpgradeOffer } from './exchange.ts'
import { composeRawFailure } from './failure.ts'
import { RequestHandler } from './handler.ts'
import { Http1Exchange, isLingering } from './http1-exchange.ts'
import { Http2Exchange } from './http2-exchange.ts'
import { findPeerAddress } from './origin.ts'
import { createRequestId } from './request-id.ts'
import { findUpgrade, hasBody, offersUpgrade, replayWithoutUpgrade } from './upgrade.ts'

export type ProxyOptions = {
  /** What is served now; undefined before the first configuration. Read once per request. */
  snapshot: () => Snapshot | undefined
  clock: Clock
  /** Called exactly once for every request, when it has ended. */
  onFinish: (record: RequestRecord) => void
  isDraining: () => boolean
  /** The port that the HTTPS listener is bound to, for redirects; undefined: none. */
  httpsPort?: () => number | undefined
}

export type Proxy = {
  /** Serves the request of any door. */
  handleExchange(exchange: Exchange): void
  /** For 'request', 'checkContinue' and 'checkExpectation' of an HTTP/1 server, and for the handler of @fastify/http-proxy. */
  handleRequest(request: IncomingMessage, response: ServerResponse): void
  /** For 'stream' of an HTTP/2 server. */
  handleStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]): void
  /** For `shouldUpgradeCallback` of an HTTP/1 server: whether a request with Upgrade is to come by `handleUpgrade`. */
  wantsUpgrade(request: IncomingMessage): boolean
  /** For 'upgrade' of an HTTP/1 server; takes also what `wantsUpgrade` does not, from a Node that does not ask. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** For 'connect' of an HTTP/1 server. */
  handleConnect(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** For 'clientError' of an HTTP/1 server, and for what goes wrong where no request was read, in its words (`HPE_…`, `ERR_HTTP_REQUEST_TIMEOUT`). */
  handleClientError(error: Error & { code?: string }, socket: Duplex): void
  /** Requests and tunnels. */
  readonly inFlight: number
  whenIdle(): Promise<void>
  closeTunnels(): void
}

export function createProxy(options: ProxyOptions): Proxy {
  return new DataPath(options)
}

/** From so many waiting requests on, no more are read from a connection; those already received still come. */
const MAX_PIPELINED = 100

/** What an HTTP/1 connection carries: the request being served, and what waits behind it. */
type Pipeline = {
  exchange: Exchange | undefined
  readonly waiting: (() => void)[]
  /** The request that was read last. */
  last: IncomingMessage
  /** The parser has given up. */
  isBroken: boolean
}

class DataPath implements Proxy {
  readonly #options: ProxyOptions
  readonly #handler: RequestHandler
  readonly #pipelines = new WeakMap<Duplex, Pipeline>()

  constructor(options: ProxyOptions) {
    this.#options = options
    this.#handler = new RequestHandler({ httpsPort: () => undefined, ...options })
  }

  get inFlight(): number {
    return this.#handler.inFlight
  }

  whenIdle(): Promise<void> {
    return this.#handler.whenIdle()
  }

  closeTunnels(): void {
    this.#handler.closeTunnels()
  }

  handleExchange(exchange: Exchange): void {
    this.#handler.handle(exchange, undefined)
  }

  handleRequest(request: IncomingMessage, response: ServerResponse): void {
    if (isLingering(request.socket)) return
    // llhttp reads HTTP/0.9 and HTTP/2.0 request lines too.
    if (request.httpVersionMajor !== 1 || request.httpVersionMinor > 1) {
      this.handleClientError(
        Object.assign(new Error('unknown HTTP version'), { code: 'HPE_INVALID_VERSION' }),
        request.socket,
      )
      return
    }
    // Node drops what came together with an Upgrade that it passes over, so what follows may begin anywhere.
    if (offersUpgrade(request)) response.shouldKeepAlive = false
    const pipeline = this.#pipelines.get(request.socket)
    if (pipeline) pipeline.last = request
    if (!pipeline?.exchange) {
      this.#serveHttp1(request, response, undefined)
      return
    }
    // One after the other (RFC 9112 §9.3.2): an answer that closes the connection leaves those behind it unserved.
    request.on('error', ignore)
    response.on('error', ignore)
    pipeline.waiting.push(() => this.#serveHttp1(request, response, undefined))
    if (pipeline.waiting.length === MAX_PIPELINED) {
      request.socket.pause()
      pipeline.exchange.events.onUnread()
    }
  }

  handleStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]): void {
    this.#handler.handle(new Http2Exchange(stream, headers, flags, rawHeaders), undefined)
  }

  wantsUpgrade(request: IncomingMessage): boolean {
    return !hasBody(request)
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // node:http has taken its listeners away: an error now would end the process. Once, however often it is replayed.
    socket.off('error', ignore).on('error', ignore)
    const client = socket as Socket
    // Answers to earlier requests of this connection are still to come, and may not mix with what follows.
    if (this.#pipelines.get(socket)?.exchange) {
      socket.destroy()
      return
    }
    const upgrade = findUpgrade(request)
    if (upgrade === undefined) {
      replayWithoutUpgrade(request, client, head)
      return
    }
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(client)
    response.once('finish', () => {
      response.detachSocket(client)
      client.destroySoon()
    })
    this.#serveHttp1(request, response, { protocol: upgrade, socket: client, early: head })
  }

  handleConnect(_request: IncomingMessage, socket: Duplex, _head: Buffer): void {
    socket.on('error', ignore)
    this.#answerRaw(socket, new GatewayError('PORTICO_REQ_METHOD_NOT_ALLOWED', 'CONNECT'), 'CONNECT')
  }

  handleClientError(error: Error & { code?: string }, socket: Duplex): void {
    socket.on('error', ignore)
    const failure = explainClientError(error)
    const pipeline = this.#pipelines.get(socket)
    if (!failure || !socket.writable || isLingering(socket as Socket)) {
      socket.destroy()
      return
    }
    if (!pipeline?.exchange) {
      this.#answerRaw(socket, failure, '-')
      return
    }
    // Bytes behind a request that closes the connection mean nothing; its answer is still to come (RFC 9112 §9.6).
    if (error.code === 'HPE_CLOSED_CONNECTION') return
    if (pipeline.isBroken) return
    pipeline.isBroken = true
    const { exchange, waiting, last } = pipeline
    if (last.complete) {
      // What is wrong came behind whole requests: those are answered first.
      waiting.push(() => {
        if (socket.writable) this.#answerRaw(socket, failure, '-')
      })
    } else if (waiting.length === 0) exchange.events.onBroken(failure)
    else socket.destroy()
  }

  #serveHttp1(
    request: IncomingMessage,
    response: ServerResponse,
    upgrade: (UpgradeOffer & { protocol: string }) | undefined,
  ): void {
    const { socket } = request
    // The connection is closing, or lost: nobody would get the answer.
    if (!socket.writable) return
    const exchange = new Http1Exchange(request, response, upgrade)
    let pipeline = this.#pipelines.get(socket)
    if (!pipeline) {
      pipeline = { exchange: undefined, waiting: [], last: request, isBroken: false }
      this.#pipelines.set(socket, pipeline)
    }
    const current = pipeline
    const { waiting } = current
    current.exchange = exchange
    response.once('close', () => {
      current.exchange = undefined
      waiting.shift()?.()
      if (waiting.length === MAX_PIPELINED - 1) socket.resume()
    })
    this.#handler.handle(exchange, upgrade?.protocol)
  }

  /** For connections that have no request to answer through. */
  #answerRaw(socket: Duplex, error: GatewayError, method: string): void {
    const { clock, onFinish } = this.#options
    const id = createRequestId()
    const answer = composeRawFailure(error, STATUS_CODES[error.status]!, id, clock.now())
    socket.end(answer, () => socket.destroy())
    const peerAddress = findPeerAddress(socket as Socket)
    onFinish({
      id,
      startedAt: clock.now(),
      durationMs: 0,
      upstreamMs: undefined,
      protocol: 'HTTP/1.1',
      scheme: socket instanceof TLSSocket ? 'https' : 'http',
      method,
      authority: '',
      target: '',
      status: error.status,
      bytesIn: 0,
      bytesOut: answer.length,
      peerAddress,
      clientAddress: peerAddress,
      userAgent: undefined,
      labels: undefined,
      endpoint: undefined,
      tries: 0,
      retries: undefined,
      error: error.code,
      detail: error.detail || undefined,
      tunnel: false,
    })
  }
}

function ignore(): void {}

/** Undefined: the connection is lost, nobody can be answered. */
function explainClientError(error: Error & { code?: string }): GatewayError | undefined {
  const code = clientErrorCode(error.code)
  return code && new GatewayError(code, `${error.message} (${error.code})`, error)
}

function clientErrorCode(code: string | undefined): RequestErrorCode | undefined {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return 'PORTICO_REQ_HEADERS_TOO_LARGE'
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'PORTICO_REQ_TOO_LARGE'
    case 'HPE_UNKNOWN_METHOD':
      return 'PORTICO_REQ_METHOD_NOT_ALLOWED'
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'PORTICO_REQ_TIMEOUT'
    default:
      return code?.startsWith('HPE_') ? 'PORTICO_REQ_MALFORMED' : undefined
  }
}
