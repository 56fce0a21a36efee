/**
 * HTTP/1.1 to an endpoint over a leased connection. The forwarder knows this interface alone: which codec speaks on the
 * socket (now node:http's) is decided here. HOT
 */
import { ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import type { Socket } from 'node:net'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { GatewayError } from '../base/errors.ts'
import type { Connection } from './connection-pool.ts'

/** A request as it shall stand on the wire; framing fields included, `Connection` excluded unless it is an upgrade. */
export type UpstreamRequest = Readonly<{
  method: string
  target: string
  /** Names and values in turn. */
  headers: readonly string[]
  /** Largest response head, bytes. */
  maxHeaderBytes: number
}>

export type ResponseHead = Readonly<{
  status: number
  reason: string
  /** Names and values in turn, latin1, as sent. */
  headers: readonly string[]
  /** False where the end of the body is the end of the connection or a count, so that no trailers can follow. */
  chunked: boolean
}>

/** What the forwarder hears. After `onEnd`, `onUpgrade` or `onError` nothing more comes. */
export type UpstreamEvents = {
  onInformational(status: number, headers: readonly string[]): void
  onHead(head: ResponseHead): void
  onData(chunk: Buffer): void
  /** The positive end: the message was complete. */
  onEnd(trailers: readonly string[]): void
  /** The endpoint answered 101: from here on the socket carries bytes, beginning with `early`. */
  onUpgrade(head: ResponseHead, socket: Socket, early: Buffer): void
  onError(error: GatewayError): void
  /** The request body may flow again. */
  onDrain(): void
}

/** A request under way. */
export type UpstreamCall = {
  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean
  /** Ends the request as complete; `trailers` are names and values in turn. */
  end(trailers: readonly string[]): void
  pause(): void
  resume(): void
  /** Cuts the connection, so that nothing unfinished can be taken for a whole. Nothing is heard afterwards. */
  abort(): void
}

/** More than this many fields, or interim answers, are no honest answer. */
const MAX_RESPONSE_FIELDS = 1000
const MAX_INTERIM_ANSWERS = 16

/** Throws a GatewayError when the request cannot be written (a field that no HTTP/1.1 head can hold). */
export function sendRequest(connection: Connection, request: UpstreamRequest, events: UpstreamEvents): UpstreamCall {
  return new NodeCall(connection, request, events)
}

/** The part of node:http's agent that ClientRequest calls: it is handed the socket that the pool has leased. */
class LeasedAgent {
  readonly keepAlive = true
  readonly maxSockets = 1
  readonly defaultPort = 80
  readonly protocol = 'http:'
  readonly options = {}
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  addRequest(request: ClientRequest): void {
    request.onSocket(this.#socket)
  }
}

class NodeCall implements UpstreamCall {
  readonly #connection: Connection
  readonly #events: UpstreamEvents
  readonly #request: ClientRequest
  #response: IncomingMessage | undefined
  #interim = 0
  #settled = false

  constructor(connection: Connection, request: UpstreamRequest, events: UpstreamEvents) {
    this.#connection = connection
    this.#events = events
    const options: RequestOptions = {
      agent: new LeasedAgent(connection.socket) as unknown as NonNullable<RequestOptions['agent']>,
      method: request.method,
      path: request.target,
      headers: request.headers,
      maxHeaderSize: request.maxHeaderBytes,
      insecureHTTPParser: false,
      setHost: false,
    }
    try {
      this.#request = createClientRequest(options)
    } catch (error) {
      connection.release()
      throw new GatewayError('PORTICO_REQ_BAD_HEADER', (error as Error).message, error)
    }
    this.#request.on('response', (response) => this.#onResponse(response))
    this.#request.on('information', (info) => this.#onInformation(info.statusCode, info.rawHeaders))
    this.#request.on('upgrade', (response, socket, early) => this.#onUpgrade(response, socket as Socket, early))
    this.#request.on('drain', () => {
      if (!this.#settled) events.onDrain()
    })
    this.#request.on('error', (error) => this.#fail(this.#explain(error)))
    // Emitted on the socket when request and response are both complete and it may carry the next request.
    connection.socket.once('free', this.#onFree)
  }

  write(chunk: Buffer): boolean {
    return this.#request.write(chunk)
  }

  end(trailers: readonly string[]): void {
    if (trailers.length > 0) this.#request.addTrailers(toPairs(trailers))
    this.#request.end()
  }

  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  abort(): void {
    this.#settled = true
    this.#discard()
  }

  #onFree = (): void => {
    this.#connection.release()
  }

  #discard(): void {
    this.#connection.socket.off('free', this.#onFree)
    this.#connection.destroy()
  }

  #onInformation(status: number, headers: readonly string[]): void {
    if (this.#settled) return
    if (++this.#interim > MAX_INTERIM_ANSWERS) this.#fail(this.#badResponse('too many interim answers'))
    else this.#events.onInformational(status, headers)
  }

  #onResponse(response: IncomingMessage): void {
    // An aborted response reports itself once more; without listener that would end the process.
    response.on('error', (error) => this.#fail(this.#explain(error)))
    if (this.#settled) return
    const head = readHead(response)
    if (head.status < 200 || head.status > 599) {
      this.#fail(this.#badResponse(`status ${head.status}`))
      return
    }
    const coding = response.headers['transfer-encoding']
    if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
      // A coding that was not asked for (no TE was sent), and that would be passed on without its name.
      this.#fail(this.#badResponse(`Transfer-Encoding ${coding}`))
      return
    }
    if (head.headers.length >= 2 * MAX_RESPONSE_FIELDS) {
      this.#fail(this.#badResponse('too many header fields'))
      return
    }
    this.#response = response
    this.#connection.idleLimit = readIdleLimit(response.headers['keep-alive'])
    response.on('data', (chunk: Buffer) => {
      if (!this.#settled) this.#events.onData(chunk)
    })
    response.on('end', () => this.#onEnd(response))
    response.on('aborted', () => this.#fail(this.#explain(new Error('aborted'))))
    this.#events.onHead(head)
  }

  #onEnd(response: IncomingMessage): void {
    if (this.#settled) return
    if (!response.complete) {
      this.#fail(this.#explain(new Error('the answer broke off')))
      return
    }
    this.#settled = true
    // An answer before the whole request was sent: the connection can carry no other.
    if (!this.#request.writableEnded) this.#discard()
    this.#events.onEnd(response.rawTrailers)
  }

  #onUpgrade(response: IncomingMessage, socket: Socket, early: Buffer): void {
    if (this.#settled) {
      socket.destroy()
      return
    }
    this.#settled = true
    socket.off('free', this.#onFree)
    this.#events.onUpgrade(readHead(response), socket, early)
  }

  #fail(error: GatewayError): void {
    // What goes wrong behind a complete answer (surplus bytes) only costs the connection.
    if (this.#settled || this.#response?.complete) return
    this.#settled = true
    this.#discard()
    this.#events.onError(error)
  }

  #badResponse(what: string): GatewayError {
    return new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.#place}: ${what}`)
  }

  #explain(error: NodeJS.ErrnoException): GatewayError {
    const detail = `${this.#place}: ${error.code ?? error.message}`
    if (error.code?.startsWith('HPE_')) {
      return new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.#place}: ${error.message} (${error.code})`, error)
    }
    return new GatewayError(this.#response ? 'PORTICO_UP_TRUNCATED' : 'PORTICO_UP_RESET', detail, error)
  }

  get #place(): string {
    const { remoteAddress, remotePort } = this.#connection.socket
    return remoteAddress === undefined ? 'connection closed' : printEndpointAddress(remoteAddress, remotePort!)
  }
}

/** The types want a URL or options with a host; the socket is connected already. */
function createClientRequest(options: RequestOptions): ClientRequest {
  return new ClientRequest(options as unknown as string)
}

function readHead(response: IncomingMessage): ResponseHead {
  return {
    status: response.statusCode!,
    reason: response.statusMessage!,
    headers: response.rawHeaders,
    chunked: response.headers['transfer-encoding'] !== undefined,
  }
}

/** `Keep-Alive: timeout=5`: one second less, since the endpoint's clock started earlier. Milliseconds. */
function readIdleLimit(keepAlive: string | string[] | undefined): number {
  const seconds = /timeout=(\d{1,6})/.exec(String(keepAlive ?? ''))?.[1]
  return seconds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Number(seconds) * 1000 - 1000)
}

function toPairs(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.push([flat[at]!, flat[at + 1]!])
  return pairs
}
