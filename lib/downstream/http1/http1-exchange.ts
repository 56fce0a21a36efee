/** The HTTP/1 door: an Exchange over node:http's request and response. HOT */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { containing, type Victim } from '../../base/contain.ts'
import type { GatewayError } from '../../base/errors.ts'
import { splitLines } from '../../http1/field-line.ts'
import type { RequestFields } from '../../http1/request-fields.ts'
import { HALF_CLOSED_MS } from '../../platform/hangup-watch.ts'
import { writeLent } from '../../platform/lent-bytes.ts'
import { resetSocket } from '../../platform/reset.ts'
import type { ConnectionInfo } from '../../request/connection-info.ts'
import {
  type AnswerHead,
  type BodySink,
  type Exchange,
  type ExchangeEvents,
  NOBODY,
  type UpgradeOffer,
} from '../../request/exchange.ts'
import type { Settings } from '../../settings/table.ts'
import { ignoreError } from '../connection-set.ts'
import { type Protocol, readFields } from '../fields.ts'
import { lingerBeforeClose } from '../linger.ts'
import { findMethod } from './method.ts'
import { announcesBody } from './upgrade.ts'

/** What an upgrade asks for, and the bytes that came behind its head. */
export type Offered = Pick<UpgradeOffer, 'protocol' | 'early'>

export class Http1Exchange implements Exchange, Victim {
  readonly protocol: Protocol
  readonly connection: ConnectionInfo
  readonly method: string
  readonly target: string
  readonly authority = undefined
  readonly canContinue: boolean
  readonly hasOwnAuthority = false
  readonly needsAuthority: boolean
  readonly hasBody: boolean
  readonly offer: UpgradeOffer | undefined
  events: ExchangeEvents = NOBODY
  readonly request: IncomingMessage
  readonly socket: Socket
  readonly #response: ServerResponse
  #bodyEnded = false
  #closed = false
  #closeDelimited = false
  #drainWanted = false
  /** The head is kept back, to go out together with what follows. */
  #headKept = false
  #halfClosed: NodeJS.Timeout | undefined

  /** `offer` is there for an upgrade. */
  constructor(request: IncomingMessage, response: ServerResponse, connection: ConnectionInfo, offer?: Offered) {
    const { socket } = request
    this.request = request
    this.socket = socket
    this.#response = response
    this.offer = offer && { ...offer, accept: (reason, upgrade, lines) => this.#accept(reason, upgrade, lines) }
    const isOld = request.httpVersion === '1.0'
    this.protocol = isOld ? 'HTTP/1.0' : 'HTTP/1.1'
    this.canContinue = !isOld
    this.needsAuthority = !isOld
    this.method = findMethod(request)
    this.target = request.url!
    this.connection = connection
    this.hasBody = announcesBody(request)
    request.on('error', ignoreError)
    if (!offer) socket.on('end', this.#onClientEnd)
    response.on('error', ignoreError)
    response.on(
      'finish',
      this.#containing(() => this.#close(true)),
    )
    response.on(
      'close',
      this.#containing(() => this.#close(response.writableFinished)),
    )
    response.on(
      'drain',
      this.#containing(() => this.#onDrain()),
    )
  }

  get isHeadSent(): boolean {
    return this.#response.headersSent
  }

  /** The socket of an upgrade is not read until the upgrade is answered, and a body is not read until `readBody`. */
  get isUnread(): boolean {
    if (this.#closed) return false
    if (this.offer !== undefined || this.socket.isPaused()) return true
    return !this.isRequestComplete && this.request.readableFlowing !== true
  }

  get isRequestComplete(): boolean {
    return !this.hasBody || this.#bodyEnded
  }

  get receivedBytes(): number {
    return this.request.readableLength
  }

  get pendingBytes(): number {
    return this.#response.writableLength
  }

  readFields(settings: Settings): RequestFields | GatewayError {
    return readFields(this.request.rawHeaders, this.protocol, settings)
  }

  readBody(sink: BodySink): void {
    const { request } = this
    request.on(
      'data',
      this.#containing((chunk: Buffer) => sink.onBodyData(chunk)),
    )
    request.on(
      'end',
      this.#containing(() => this.#endBody(sink)),
    )
  }

  pauseBody(): void {
    this.request.pause()
    this.events.onUnread()
  }

  resumeBody(): void {
    this.request.resume()
  }

  sendInterim(status: number, headers: readonly string[]): void {
    if (this.protocol === 'HTTP/1.0' || this.isHeadSent) return
    if (status === 100) this.#response.writeContinue()
    if (status !== 103) return
    const hints: Record<string, string | string[]> = {}
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at]!.toLowerCase()
      const known = hints[name]
      hints[name] = known === undefined ? headers[at + 1]! : [...[known].flat(), headers[at + 1]!]
    }
    try {
      this.#response.writeEarlyHints(hints)
    } catch {
      // A Link that node does not understand: a hint left out changes nothing.
    }
  }

  sendHead(head: AnswerHead): void {
    const response = this.#response
    const { status, contentLength } = head
    const isWhole = this.isRequestComplete
    if (head.close || !isWhole) response.shouldKeepAlive = false
    if (!isWhole) lingerBeforeClose(this.socket)
    const headers = splitLines(head.lines)
    if (contentLength !== undefined) headers.push('Content-Length', String(contentLength))
    // It is among the lines, for all doors alike.
    response.sendDate = false
    response.writeHead(status, head.reason, headers)
    const bodiless = this.method === 'HEAD' || status === 204 || status === 304
    this.#closeDelimited = !bodiless && this.protocol === 'HTTP/1.0' && contentLength === undefined
    this.#headKept = !bodiless
  }

  flush(): void {
    // An empty latin1 write puts the head on the wire; flushHeaders would write it as UTF-8 and so alter latin1 values.
    if (this.#headKept) this.#response.write('', 'latin1')
    this.#headKept = false
  }

  write(chunk: Buffer): boolean {
    if (chunk.length === 0) return true
    this.#halfClosed?.refresh()
    this.#headKept = false
    const room = writeLent(this.#response, chunk)
    if (!room) this.#drainWanted = true
    return room
  }

  end(trailers: readonly string[]): void {
    const response = this.#response
    this.#headKept = false
    if (trailers.length > 0 && response.chunkedEncoding) {
      const pairs: [string, string][] = []
      for (let at = 0; at < trailers.length; at += 2) pairs.push([trailers[at]!, trailers[at + 1]!])
      response.addTrailers(pairs)
    }
    response.end()
    // The rest of the request body is dropped: unread, it would stop the connection.
    if (!this.isRequestComplete) {
      this.request.removeAllListeners('data')
      this.request.resume()
    }
  }

  #accept(reason: string, upgrade: string, lines: string): Socket {
    this.#closed = true
    this.#response.detachSocket(this.socket)
    const line = `HTTP/1.1 101 ${reason || 'Switching Protocols'}\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
    this.socket.write(`${line}${lines}\r\n`, 'latin1')
    return this.socket
  }

  abort(): void {
    // Where the end of the connection is the end of the body, only a reset tells that the body is not whole.
    if (this.#closeDelimited && this.isHeadSent) resetSocket(this.socket)
    else this.socket.destroy()
    this.#close(false)
  }

  /** Ends the connection as well, since the state of node:http is not known after a bug. */
  breakOff(error: GatewayError): void {
    try {
      this.events.breakOff(error)
    } finally {
      this.socket.destroy()
    }
  }

  #containing<Arguments extends unknown[]>(run: (...given: Arguments) => void): (...given: Arguments) => void {
    return containing('http1', this, run)
  }

  #endBody(sink: BodySink): void {
    const { request } = this
    // `end` alone also follows some aborts: only a complete message is one.
    if (!request.complete || this.#closed) return
    this.#bodyEnded = true
    sink.onBodyEnd(request.rawTrailers)
  }

  #onDrain(): void {
    this.#halfClosed?.refresh()
    if (!this.#drainWanted) return
    this.#drainWanted = false
    this.events.onClientDrain()
  }

  #onClientEnd = (): void => {
    this.#halfClosed = setTimeout(
      this.#containing(() => this.#onHalfClosed()),
      HALF_CLOSED_MS,
    )
  }

  #onHalfClosed(): void {
    // A client that has gone answers bytes with a reset; while bytes are under way, their own time limit counts.
    if (this.pendingBytes > 0) this.#halfClosed?.refresh()
    else this.abort()
  }

  #close(complete: boolean): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#halfClosed)
    this.socket.off('end', this.#onClientEnd)
    this.events.onClose(complete)
  }
}
