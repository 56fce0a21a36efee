/** The complete HTTP/1 server of a listener: strict parsing, time limits, and an answer of the gateway's own where Node would give one by itself. */
import { createServer, type IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.ts'
import { containAt, explain } from '../../base/contain.ts'
import { GatewayError } from '../../base/errors.ts'
import { allowHalfOpen, startTimeChecks } from '../../platform/http-server.ts'
import { ConnectionInfo } from '../../request/connection-info.ts'
import type { Exchange, ExchangeHandler } from '../../request/exchange.ts'
import type { Settings } from '../../settings/table.ts'
import type { RequestObserver } from '../../telemetry/record.ts'
import { type IdleConnection, type IdleSource, RequestWatch, RequestWatches } from '../idle-connection.ts'
import { type CatchAll, createCatchAll } from './catch-all.ts'
import { type ClientError, explainClientError } from './client-error.ts'
import { Http1Exchange } from './http1-exchange.ts'
import { answerRaw } from './raw-answer.ts'
import { RequestGate } from './request-gate.ts'
import { announcesBody, composeWithoutUpgrade, findUpgrade, offersUpgrade } from './upgrade.ts'

/** How often head and keep-alive times are checked, in milliseconds: they are exact to this. */
const CHECK_INTERVAL = 1000

export type Http1DoorOptions = Readonly<{
  settings: Settings
  handler: ExchangeHandler
  /** Called once for each answer to what could not be read as a request; the handler tells of the requests. */
  onFinish: RequestObserver
  clock: Clock
}>

/** Its server takes connections by `accept` alone and never listens itself. */
export class Http1Door implements IdleSource {
  readonly #options: Http1DoorOptions
  readonly #server: Server
  readonly #catchAll: CatchAll
  readonly #watches = new RequestWatches()
  readonly #connections = new WeakMap<Socket, ConnectionInfo>()
  /** The request that a connection carries now. */
  readonly #exchanges = new WeakMap<Socket, Exchange>()

  constructor(options: Http1DoorOptions) {
    const server = createHttp1Server(options.settings)
    this.#options = options
    this.#server = server
    this.#catchAll = createCatchAll(server, this.#serve)
    server.on('connection', this.#onConnection)
    server.on('request', this.#onRequest)
    server.on('checkContinue', this.#onRequest)
    server.on('checkExpectation', this.#onRequest)
    server.on('upgrade', this.#onUpgrade)
    server.on('connect', this.#onConnect)
    server.on('clientError', this.#onClientError)
  }

  /** Before this resolves, no connection may come. */
  async ready(): Promise<void> {
    await this.#catchAll.app.ready()
  }

  /**
   * Takes a connection that has an error listener; from another door with what that has read of it, which does not stand in it
   * again, and with what it has made for the connection.
   */
  accept(socket: Socket, read?: Buffer, connection?: ConnectionInfo): void {
    if (connection) this.#adopt(socket, connection)
    this.#server.emit('connection', socket)
    socket.resume()
    if (read) socket.emit('data', read)
  }

  /** Answers for a connection that carries no request, and closes it. */
  refuse(socket: Socket, failure: GatewayError): void {
    if (socket.writable) answerRaw(socket, failure, '-', this.#options)
    else socket.destroy()
  }

  listConnections(): Iterable<IdleConnection> {
    return this.#watches.listConnections()
  }

  /** Closes connections that carry no request; the handler answers the others with `Connection: close`. */
  drain(): void {
    this.#server.closeIdleConnections()
    // Node does not count a connection as idle that has not sent anything yet.
    for (const socket of this.#watches.sockets()) if (socket.bytesRead === 0) socket.destroy()
  }

  /** Resolves when its connections are closed. */
  async close(): Promise<void> {
    this.#server.close()
    await this.#catchAll.app.close()
  }

  /** For a new connection, and again for a connection whose request is replayed without its upgrade. */
  #onConnection = (socket: Socket): void => {
    if (!this.#watches.find(socket)) {
      this.#watches.add(
        new RequestWatch(socket, {
          clock: this.#options.clock,
          isReceiving: () => RequestGate.of(socket)?.isReceiving === true,
          close: () => socket.destroy(),
        }),
      )
    }
    RequestGate.open(socket, this.#onClientError)
  }

  #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request
    const watch = this.#watches.find(socket)
    watch?.begin()
    response.once('close', () => watch?.end())
    RequestGate.of(socket)?.begin(request, response)
    this.#catchAll.onRequest(request, response)
  }

  /** A request that came through Fastify. */
  #serve = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request
    try {
      if (!this.#isFree(socket)) return
      // llhttp reads HTTP/0.9 and HTTP/2.0 request lines too.
      if (request.httpVersionMajor !== 1 || request.httpVersionMinor > 1) {
        const failure = new GatewayError('PORTICO_REQ_MALFORMED', 'unknown HTTP version (HPE_INVALID_VERSION)')
        this.refuse(socket, failure)
        return
      }
      // Node drops what came together with an Upgrade that it passes over, so what follows may begin anywhere.
      if (offersUpgrade(request)) response.shouldKeepAlive = false
      this.#begin(new Http1Exchange(request, response, this.#findConnection(socket)), response)
    } catch (thrown) {
      this.#contain(thrown, socket)
    }
  }

  /** Takes also an upgrade that is to be served as an ordinary request, from a Node that does not ask. */
  #onUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    const early = this.#release(request, socket, head)
    try {
      if (!this.#isFree(socket)) return
      const protocol = findUpgrade(request)
      if (protocol === undefined) {
        // node:http has let go of the connection, so it comes once more, with the head again in front of what came behind it.
        this.#server.emit('connection', socket)
        // Nothing can be put back into a stream whose end was told.
        socket.emit('data', Buffer.concat([composeWithoutUpgrade(request), early]))
        return
      }
      const response = new ServerResponse(request)
      response.shouldKeepAlive = false
      response.assignSocket(socket)
      response.once('finish', () => {
        response.detachSocket(socket)
        socket.destroySoon()
      })
      this.#begin(new Http1Exchange(request, response, this.#findConnection(socket), { protocol, early }), response)
    } catch (thrown) {
      this.#contain(thrown, socket)
    }
  }

  #onConnect = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
    this.#release(request, socket, head)
    try {
      if (!this.#isFree(socket)) return
      const failure = new GatewayError('PORTICO_REQ_METHOD_NOT_ALLOWED', 'CONNECT')
      answerRaw(socket, failure, 'CONNECT', this.#options)
    } catch (thrown) {
      this.#contain(thrown, socket)
    }
  }

  #onClientError = (error: ClientError, socket: Socket): void => {
    RequestGate.of(socket)?.silence()
    try {
      // Nothing is read behind a whole request before that is answered: what is wrong is its body.
      const exchange = this.#exchanges.get(socket)
      const failure = explainClientError(error, exchange !== undefined, this.#options.settings)
      if (!failure || !socket.writable) {
        socket.destroy()
        return
      }
      if (exchange) exchange.events.onBroken(failure)
      else this.refuse(socket, failure)
    } catch (thrown) {
      this.#contain(thrown, socket)
    }
  }

  /** Takes the connection from node:http; returns all that has come behind the head of the request. */
  #release(request: IncomingMessage, socket: Socket, head: Buffer): Buffer {
    // What comes of it stays under way for as long as the connection lives.
    this.#watches.find(socket)?.begin()
    const rest = RequestGate.of(socket)?.release(request)
    return rest ? Buffer.concat([head, rest]) : head
  }

  /**
   * True if the connection may carry another request now: not behind its last answer. Where another request is being served, this
   * one came past the gate (request-gate), and the client could not tell the two answers apart: the connection is cut.
   */
  #isFree(socket: Socket): boolean {
    if (!socket.writable) return false
    if (!this.#exchanges.has(socket)) return true
    socket.destroy()
    return false
  }

  #findConnection(socket: Socket): ConnectionInfo {
    return (
      this.#connections.get(socket) ??
      this.#adopt(socket, new ConnectionInfo(socket, socket instanceof TLSSocket ? 'https' : 'http'))
    )
  }

  #adopt(socket: Socket, connection: ConnectionInfo): ConnectionInfo {
    this.#connections.set(socket, connection)
    connection.watchSocket()
    return connection
  }

  #begin(exchange: Http1Exchange, response: ServerResponse): void {
    const { socket } = exchange
    this.#exchanges.set(socket, exchange)
    response.once('close', () => this.#exchanges.delete(socket))
    this.#options.handler.handle(exchange)
  }

  /** The request that is being served hears of it first, so that its record says why. */
  #contain(thrown: unknown, socket: Socket): void {
    try {
      this.#exchanges.get(socket)?.events.breakOff(explain(thrown))
    } finally {
      containAt('http1', thrown, socket)
    }
  }
}

/** Node 20 does not know the option: every Upgrade is an 'upgrade' there. */
type UpgradeOptions = ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean }

function createHttp1Server({ timeouts, limits }: Settings): Server {
  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: timeouts.requestHeaders,
    requestTimeout: 0, // Progress is timed, not the whole: an honest slow upload may take hours.
    keepAliveTimeout: timeouts.keepAlive,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL, timeouts.requestHeaders),
    requireHostHeader: false, // The handler judges Host, so that the refusal is logged and counted.
    noDelay: true,
    keepAlive: true,
    shouldUpgradeCallback: (request) => !announcesBody(request),
  } as UpgradeOptions)
  // Beyond this number Node drops fields in silence; the size of the head bounds them, and the handler counts them.
  server.maxHeadersCount = 0
  // A client that sends FIN after its request still gets its answer (SL-08).
  allowHalfOpen(server)
  startTimeChecks(server)
  return server
}
