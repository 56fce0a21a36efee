/** The data path as listeners use it: one function for each way in which a request can arrive. */
import { type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { containAt, explain } from '../base/contain.ts'
import { GatewayError, type RequestErrorCode } from '../base/errors.ts'
import type { Exchange } from '../request/exchange.ts'
import { composeRawFailure } from '../request/failure.ts'
import { RequestHandler } from '../request/handler.ts'
import { findPeerAddress } from '../request/origin.ts'
import { createRequestId } from '../request/request-id.ts'
import { findUpgrade, hasBody, offersUpgrade, replayWithoutUpgrade } from '../request/upgrade.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import type { RequestRecord } from '../telemetry/record.ts'
import { Http1Exchange } from './http1/http1-exchange.ts'
import { Http2Exchange } from './http2/http2-exchange.ts'

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
  readonly tunnels: number
  whenIdle(): Promise<void>
  closeTunnels(): void
}

export function createProxy(options: ProxyOptions): Proxy {
  return new DataPath(options)
}

class DataPath implements Proxy {
  readonly #options: ProxyOptions
  readonly #handler: RequestHandler
  /** What an HTTP/1 connection carries. */
  readonly #exchanges = new WeakMap<Duplex, Exchange>()

  constructor(options: ProxyOptions) {
    this.#options = options
    this.#handler = new RequestHandler({ httpsPort: () => undefined, ...options })
  }

  get inFlight(): number {
    return this.#handler.inFlight
  }

  get tunnels(): number {
    return this.#handler.tunnels
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
    try {
      if (!this.#isFree(request.socket)) return
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
      this.#serveHttp1(request, response, undefined)
    } catch (thrown) {
      this.#containHttp1(thrown, request.socket)
    }
  }

  handleStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]): void {
    try {
      this.#handler.handle(new Http2Exchange(stream, headers, flags, rawHeaders), undefined)
    } catch (thrown) {
      containAt('http2', thrown, stream)
    }
  }

  wantsUpgrade(request: IncomingMessage): boolean {
    return !hasBody(request)
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // node:http has taken its listeners away: an error now would end the process. Once, however often it is replayed.
    socket.off('error', ignore).on('error', ignore)
    const client = socket as Socket
    try {
      if (!this.#isFree(client)) return
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
      this.#serveHttp1(request, response, { protocol: upgrade, early: head })
    } catch (thrown) {
      this.#containHttp1(thrown, client)
    }
  }

  handleConnect(_request: IncomingMessage, socket: Duplex, _head: Buffer): void {
    socket.off('error', ignore).on('error', ignore)
    try {
      if (!this.#isFree(socket)) return
      this.#answerRaw(socket, new GatewayError('PORTICO_REQ_METHOD_NOT_ALLOWED', 'CONNECT'), 'CONNECT')
    } catch (thrown) {
      this.#containHttp1(thrown, socket)
    }
  }

  handleClientError(error: Error & { code?: string }, socket: Duplex): void {
    socket.off('error', ignore).on('error', ignore)
    try {
      const failure = explainClientError(error)
      if (!failure || !socket.writable) {
        socket.destroy()
        return
      }
      // Nothing is read behind a whole request before that is answered: what is wrong is its body.
      const exchange = this.#exchanges.get(socket)
      if (exchange) exchange.events.onBroken(failure)
      else this.#answerRaw(socket, failure, '-')
    } catch (thrown) {
      this.#containHttp1(thrown, socket)
    }
  }

  /**
   * Whether the connection may carry another request now. Behind its last answer it may not; and where another one is being
   * served, whoever gave this one did not wait (downstream/http1/request-gate), and nobody can tell whose answer is whose.
   */
  #isFree(socket: Duplex): boolean {
    if (!socket.writable) return false
    if (!this.#exchanges.has(socket)) return true
    socket.destroy()
    return false
  }

  /** The request that is being served hears of it first, so that its record says why. */
  #containHttp1(thrown: unknown, socket: Duplex): void {
    try {
      this.#exchanges.get(socket)?.events.breakOff(explain(thrown))
    } finally {
      containAt('http1', thrown, socket)
    }
  }

  #serveHttp1(
    request: IncomingMessage,
    response: ServerResponse,
    upgrade: Readonly<{ protocol: string; early: Buffer }> | undefined,
  ): void {
    const { socket } = request
    const exchange = new Http1Exchange(request, response, upgrade?.early)
    this.#exchanges.set(socket, exchange)
    response.once('close', () => this.#exchanges.delete(socket))
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
