/** One connection in the fast lane: its requests one after the other, its time limits, and where it goes when the lane is not for it. HOT */
import type { Socket } from 'node:net'
import { contain } from '../../base/contain.ts'
import { type Timed, UNWATCHED } from '../../base/deadline.ts'
import { GatewayError, headTooLate, type RequestErrorCode } from '../../base/errors.ts'
import { EXTENSIONS_TOO_LARGE, MORE, TRAILERS_TOO_LARGE } from '../../http1/chunked-decoder.ts'
import { DECLINED, PARTIAL, type RequestHead, type ScanLimits, scanRequest } from '../../http1/request-scan.ts'
import { HALF_CLOSED_MS } from '../../platform/hangup-watch.ts'
import { findLent, READ_BUFFER } from '../../platform/lent-bytes.ts'
import { lendReads } from '../../platform/lent-read.ts'
import { ConnectionInfo } from '../../request/connection-info.ts'
import type { ExchangeHandler } from '../../request/exchange.ts'
import { trailersTooLarge } from '../../request/trailers.ts'
import { type IdleConnection, SILENT_MS } from '../idle-connection.ts'
import { LINGER_MS } from '../linger.ts'
import { type ExchangeOwner, FastExchange } from './fast-exchange.ts'

/** A head that comes in more pieces is left to node:http, which does not read it from the start with each piece. */
const MAX_PIECES = 8

/** When this number of bytes waits behind the request that is being served, no more is read ahead. */
const ENOUGH_UNREAD = 16_384
/** Requests of one connection that are served in one turn of the event loop, before other connections have theirs. */
const MAX_IN_A_TURN = 16

/** As node:http says it, so that a log tells the same whichever door a connection came to. */
const LATE = 'Request timeout'
const CUT_SHORT = 'Invalid EOF state (HPE_INVALID_EOF_STATE)'

const CONNECTION: unique symbol = Symbol('connection')
type LaneSocket = Socket & { [CONNECTION]?: LaneConnection | undefined }

/** `head`: a head is awaited, or some of it has come. `deaf`: the last answer is under way, and what comes is dropped. */
type State = 'head' | 'idle' | 'serving' | 'deaf'

/** The door behind the lane, which reads all of HTTP/1. */
export type NextDoor = {
  /** Takes a connection for the rest of its life, with the bytes that the lane could not read, and what the lane has made for it. */
  accept(socket: Socket, read: Buffer, connection: ConnectionInfo | undefined): void
  /** Answers for a connection that carries no request, and closes it. */
  refuse(socket: Socket, failure: GatewayError): void
}

/** The lane that a connection is in. */
export type Lane = {
  readonly handler: ExchangeHandler
  readonly scheme: 'http' | 'https'
  readonly limits: ScanLimits
  /** Milliseconds, as the next. */
  readonly headTimeout: number
  readonly keepAliveTimeout: number
  /** As node:http writes them. */
  readonly keepAliveLines: string
  readonly isDraining: boolean
  readonly door: NextDoor
  /** The connection is the lane's no more. */
  forget(connection: LaneConnection): void
}

export class LaneConnection implements ExchangeOwner, IdleConnection, Timed {
  deadlineAt: number
  watchIndex: number = UNWATCHED
  readonly #lane: Lane
  readonly #socket: Socket
  #state: State = 'head'
  #exchange: FastExchange | undefined = undefined
  /** Received, and read no further yet: part of a head, or what has come behind the request that is being served. */
  #unread: Buffer | undefined = undefined
  #pieces: number = 0
  /** Requests are being read in a loop further down the stack. */
  #isReading: boolean = false
  /** They are read on in a later turn. */
  #isScheduled: boolean = false
  /** The client has sent its FIN. */
  #isHalfClosed: boolean = false
  #info: ConnectionInfo | undefined = undefined
  #onWritten: ((error?: Error | null) => void) | undefined = undefined

  constructor(lane: Lane, socket: Socket) {
    this.#lane = lane
    this.#socket = socket
    this.deadlineAt = -lane.headTimeout
    const own: LaneSocket = socket
    own[CONNECTION] = this
    // Bytes that were put back into the socket come as 'data' even so.
    if (lane.scheme === 'http') lendReads(socket, onLentRead)
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('drain', onDrain)
    socket.on('close', onClose)
  }

  // For the exchange

  get keepAliveLines(): string {
    return this.#lane.keepAliveLines
  }

  /** The answer that begins now is the last of this connection. */
  get isLast(): boolean {
    return this.#lane.isDraining || (this.#isHalfClosed && this.#unread === undefined)
  }

  /** Something has come behind the request that is being served. */
  get hasUnread(): boolean {
    return this.#unread !== undefined || this.#socket.readableLength > 0
  }

  /** Bytes that have come and were not read yet. */
  get unreadBytes(): number {
    return (this.#unread?.length ?? 0) + this.#socket.readableLength
  }

  get onWritten(): (error?: Error | null) => void {
    this.#onWritten ??= (error) => {
      try {
        if (!error) this.#exchange?.onWritten()
      } catch (thrown) {
        contain('lane', thrown, this)
      }
    }
    return this.#onWritten
  }

  noteProgress(): void {
    if (this.#isHalfClosed && this.#exchange) this.deadlineAt = -HALF_CLOSED_MS
  }

  /** The request's body is wanted now. */
  deliverBody(): void {
    const bytes = this.#unread
    if (bytes === undefined || this.#exchange?.isRequestComplete !== false) {
      this.updateFlow()
      return
    }
    this.#unread = undefined
    this.#receiveBody(bytes)
  }

  /** Reads on, unless enough waits already: a little is read ahead, since only a socket that is read tells that the client has gone. */
  updateFlow(): void {
    if (this.#isReading) return
    const waits = this.#exchange !== undefined || this.#isScheduled
    if (waits && this.#unread !== undefined && this.#unread.length >= ENOUGH_UNREAD) {
      this.#socket.pause()
      this.#exchange?.events.onUnread()
    } else if (this.#socket.isPaused()) this.#socket.resume()
  }

  onExchangeClose(exchange: FastExchange): void {
    this.#exchange = undefined
    if (this.#socket.destroyed) return
    if (exchange.keepAlive && !this.isLast) {
      this.#state = 'idle'
      this.deadlineAt = -this.#lane.keepAliveTimeout
      this.#goOn()
      return
    }
    this.#goDeaf()
    // A client that may still be sending gets time to read the answer (linger).
    if (exchange.isEarly && !this.#isHalfClosed) this.#socket.end()
    else this.#socket.destroySoon()
  }

  // For the lane

  get socket(): Socket {
    return this.#socket
  }

  /** Closes the connection if it carries no request and has not begun to receive one. */
  closeIdle(): void {
    if (this.#exchange === undefined && this.#state !== 'deaf' && !this.hasUnread) this.#socket.destroy()
  }

  /** Known from the time limit, so that nothing need be noted with each request. A new connection counts as busy for a while: its request is about to come. */
  idleSince(now: number): number {
    const isSilent = this.#state === 'head' && this.#unread === undefined
    if ((this.#state !== 'idle' && !isSilent) || this.hasUnread || this.#socket.destroyed)
      return Number.POSITIVE_INFINITY
    const { keepAliveTimeout, headTimeout } = this.#lane
    const since = this.deadlineAt < 0 ? now : this.deadlineAt - (isSilent ? headTimeout : keepAliveTimeout)
    return isSilent && now - since < SILENT_MS ? Number.POSITIVE_INFINITY : since
  }

  onDeadline(): void {
    this.deadlineAt = Number.POSITIVE_INFINITY
    if (this.#state === 'head') {
      this.#refuse(headTooLate(this.#lane.headTimeout, LATE))
    } else if (this.#state === 'idle' || this.#exchange === undefined) {
      this.#socket.destroy()
    } else if (this.#exchange.pendingBytes > 0) {
      // A client that has gone answers bytes with a reset; while bytes are under way, their own time limit counts.
      this.noteProgress()
    } else {
      this.#exchange.abort()
    }
  }

  // For the socket

  /** The chunk is lent: its bytes are gone when the call returns. */
  receiveLent(chunk: Buffer): void {
    this.receive(chunk)
    const unread = this.#unread
    if (unread !== undefined && unread.buffer === READ_BUFFER.buffer) this.#unread = Buffer.from(unread)
  }

  receive(chunk: Buffer): void {
    if (this.#state === 'deaf') return
    const exchange = this.#exchange
    if (exchange?.wantsBody === true) {
      this.#receiveBody(chunk)
      return
    }
    this.#unread = this.#unread === undefined ? chunk : Buffer.concat([this.#unread, chunk])
    if (exchange === undefined && !this.#isScheduled) this.#readRequests()
    else this.updateFlow()
  }

  /** What the client sent before has been received, though perhaps not read. */
  onClientEnd(): void {
    this.#isHalfClosed = true
    if (this.#exchange !== undefined) {
      this.noteProgress()
      if (this.#unread === undefined) this.#missRest(this.#exchange)
    } else if (this.#state === 'deaf') {
      this.#socket.destroy()
    } else if (this.#isScheduled) {
      // What waits is read first.
    } else if (this.#unread !== undefined) {
      this.#fail('PORTICO_REQ_MALFORMED', CUT_SHORT)
    } else {
      this.#goDeaf()
      this.#socket.destroySoon()
    }
  }

  onSocketDrain(): void {
    this.#exchange?.onSocketDrain()
  }

  onSocketClose(): void {
    this.#lane.forget(this)
    this.#exchange?.onSocketClose()
    this.#info?.close()
  }

  /** After a bug: the request that is being served ends with it, and the connection. */
  breakOff(error: GatewayError): void {
    try {
      this.#exchange?.events.breakOff(error)
    } finally {
      this.#ignoreRest()
      this.#socket.destroy()
    }
  }

  /** Called in a later turn than the one in which the last answer ended. */
  readOn(): void {
    this.#isScheduled = false
    if (!this.#socket.destroyed && this.#exchange === undefined) this.#readRequests()
  }

  /** The last request has been answered. */
  #goOn(): void {
    if (this.#isReading) return
    if (this.#unread !== undefined && this.#exchange === undefined && this.#state !== 'deaf') this.#readLater()
    this.updateFlow()
  }

  #readLater(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(readOn, this)
  }

  /** Serves what has been received, one request after the other (RFC 9112 §9.3.2), until one takes its time. */
  #readRequests(): void {
    this.#isReading = true
    let served = 0
    while (this.#unread !== undefined && this.#exchange === undefined && this.#state !== 'deaf') {
      if (served++ === MAX_IN_A_TURN) {
        this.#readLater()
        break
      }
      const bytes = this.#unread
      const head = scanRequest(bytes, 0, this.#lane.limits)
      if (head === PARTIAL && ++this.#pieces < MAX_PIECES) {
        if (this.#isHalfClosed) this.#fail('PORTICO_REQ_MALFORMED', CUT_SHORT)
        else if (this.#state === 'idle') {
          this.#state = 'head'
          this.deadlineAt = -this.#lane.headTimeout
        }
        break
      }
      if (head === PARTIAL || head === DECLINED) {
        this.#handOver(bytes)
        return
      }
      this.#unread = head.end < bytes.length ? bytes.subarray(head.end) : undefined
      this.#serve(head)
    }
    this.#isReading = false
    this.updateFlow()
  }

  #serve(head: RequestHead): void {
    this.#pieces = 0
    this.#state = 'serving'
    this.deadlineAt = this.#isHalfClosed ? -HALF_CLOSED_MS : Number.POSITIVE_INFINITY
    this.#info ??= new ConnectionInfo(this.#socket, this.#lane.scheme)
    const exchange = new FastExchange(this, this.#socket, this.#info, head)
    this.#exchange = exchange
    if (!head.keepAlive && exchange.isRequestComplete) this.#ignoreRest()
    this.#lane.handler.handle(exchange)
  }

  #receiveBody(bytes: Buffer): void {
    const exchange = this.#exchange!
    const end = exchange.receive(bytes)
    if (end < MORE) {
      this.#ignoreRest()
      exchange.break(explainBody(end))
    } else if (end !== MORE && !exchange.keepAlive) this.#ignoreRest()
    else if (end === MORE) {
      if (this.#isHalfClosed) this.#missRest(exchange)
    } else if (end < bytes.length) this.#unread = bytes.subarray(end)
    // What the last bytes brought may have been answered already.
    this.#goOn()
  }

  /** The client sends no more. */
  #missRest(exchange: FastExchange): void {
    if (exchange.isRequestComplete) return
    exchange.break(new GatewayError('PORTICO_REQ_MALFORMED', 'the connection ended inside the request'))
  }

  /** What comes behind a request that closes the connection, or behind a broken one, is dropped (RFC 9112 §9.6). */
  #ignoreRest(): void {
    this.#state = 'deaf'
    this.#unread = undefined
  }

  #goDeaf(): void {
    this.#ignoreRest()
    this.deadlineAt = -LINGER_MS
    this.#socket.resume()
  }

  /** There is no request to answer; the next door answers as it does for its own connections. */
  #fail(code: RequestErrorCode, detail: string): void {
    this.#refuse(new GatewayError(code, detail))
  }

  #refuse(error: GatewayError): void {
    this.#goDeaf()
    this.#lane.door.refuse(this.#socket, error)
  }

  /** The next door reads all of HTTP/1, and decides what is wrong with these bytes, if anything is. */
  #handOver(bytes: Buffer): void {
    const socket: LaneSocket = this.#socket
    this.#unread = undefined
    this.#state = 'deaf'
    this.#lane.forget(this)
    socket[CONNECTION] = undefined
    socket.off('data', onData).off('end', onEnd).off('drain', onDrain).off('close', onClose)
    this.#lane.door.accept(socket, bytes.buffer === READ_BUFFER.buffer ? Buffer.from(bytes) : bytes, this.#info)
  }
}

/** What ChunkedDecoder found wrong, as a failure of node:http's parser is told. */
function explainBody(found: number): GatewayError {
  if (found === EXTENSIONS_TOO_LARGE) return new GatewayError('PORTICO_REQ_TOO_LARGE', 'chunk extensions are too large')
  if (found === TRAILERS_TOO_LARGE) return trailersTooLarge()
  return new GatewayError('PORTICO_REQ_MALFORMED', 'the request body is not chunked correctly')
}

function readOn(connection: LaneConnection): void {
  try {
    connection.readOn()
  } catch (thrown) {
    contain('lane', thrown, connection)
  }
}

// Shared by all connections, so that an idle one costs little.

function onData(this: LaneSocket, chunk: Buffer): void {
  const connection = this[CONNECTION]!
  try {
    connection.receive(chunk)
  } catch (thrown) {
    contain('lane', thrown, connection)
  }
}

/**
 * Bytes that wait in the stream may not be overtaken, and a socket that was handed over is an ordinary stream again. False stops
 * reading until the stream is read.
 */
function onLentRead(this: LaneSocket, size: number): boolean {
  const bytes = findLent(size)
  const connection = this[CONNECTION]
  if (connection === undefined || this.readableLength > 0 || this.isPaused()) return this.push(Buffer.from(bytes))
  try {
    connection.receiveLent(bytes)
  } catch (thrown) {
    contain('lane', thrown, connection)
  }
  return true
}

function onEnd(this: LaneSocket): void {
  const connection = this[CONNECTION]!
  try {
    connection.onClientEnd()
  } catch (thrown) {
    contain('lane', thrown, connection)
  }
}

function onDrain(this: LaneSocket): void {
  const connection = this[CONNECTION]!
  try {
    connection.onSocketDrain()
  } catch (thrown) {
    contain('lane', thrown, connection)
  }
}

function onClose(this: LaneSocket): void {
  const connection = this[CONNECTION]!
  try {
    connection.onSocketClose()
  } catch (thrown) {
    contain('lane', thrown, connection)
  }
}
