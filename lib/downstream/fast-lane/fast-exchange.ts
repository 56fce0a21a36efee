/** The fast lane's door: one request and its answer, straight on a socket. HOT */

import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { contain, type Victim } from '../../base/contain.ts'
import type { GatewayError } from '../../base/errors.ts'
import { flattenText } from '../../base/flat-text.ts'
import { ChunkedDecoder, MORE } from '../../http1/chunked-decoder.ts'
import { joinLines } from '../../http1/field-line.ts'
import type { RequestFields } from '../../http1/request-fields.ts'
import type { RequestHead } from '../../http1/request-scan.ts'
import { writeLent } from '../../platform/lent-bytes.ts'
import type { ConnectionInfo } from '../../request/connection-info.ts'
import { type AnswerHead, type BodySink, type Exchange, type ExchangeEvents, NOBODY } from '../../request/exchange.ts'

/** Bytes up to which copying into one write costs less than a write of many pieces. */
const SMALL = 4096
/** The most of an answer that waits for the end of the present turn. */
const MAX_KEPT = 16_384

/** Status lines as most endpoints write them. */
const STATUS_LINES = new Map(
  Object.entries(STATUS_CODES).map(([status, reason]) => [
    Number(status),
    { reason, text: flattenText(`HTTP/1.1 ${status} ${reason}\r\n`) },
  ]),
)

const NO_TRAILERS: readonly string[] = Object.freeze([])

type Framing = 'none' | 'counted' | 'chunked'

/** The connection that an exchange is on. */
export type ExchangeOwner = Victim & {
  readonly keepAliveLines: string
  /** The answer that begins now is the last of this connection. */
  readonly isLast: boolean
  /** Something has come behind the request that is being served. */
  readonly hasUnread: boolean
  /** Bytes that have come and were not read yet. */
  readonly unreadBytes: number
  /** For the last write of an answer. */
  readonly onWritten: (error?: Error | null) => void
  noteProgress(): void
  /** The request's body is wanted now. */
  deliverBody(): void
  /** Reads on, unless enough waits already. */
  updateFlow(): void
  onExchangeClose(exchange: FastExchange): void
}

export class FastExchange implements Exchange {
  readonly protocol = 'HTTP/1.1'
  readonly connection: ConnectionInfo
  readonly method: string
  readonly target: string
  readonly authority: undefined = undefined
  readonly socket: Socket
  readonly canContinue: boolean = true
  readonly hasOwnAuthority: boolean = false
  readonly needsAuthority: boolean = true
  readonly hasBody: boolean
  readonly offer: undefined = undefined
  events: ExchangeEvents = NOBODY
  isHeadSent: boolean = false
  isRequestComplete: boolean
  /** True if the connection may carry another request afterwards. */
  keepAlive: boolean
  /** The answer began before the request was complete: the client may still be sending when the connection closes. */
  isEarly: boolean = false
  readonly owner: ExchangeOwner
  readonly #fields: RequestFields
  #sink: BodySink | undefined = undefined
  /** Bytes of a counted request body that are still to come. */
  #bodyLeft: number
  #isBodyPaused: boolean = false
  #decoder: ChunkedDecoder | undefined = undefined
  #framing: Framing = 'none'
  /** Bytes of a counted answer that are still to be written. */
  #answerLeft: number = 0
  /** What is ready to be written, and goes out together with what follows. */
  #kept: string = ''
  #willFlush: boolean = false
  #drainWanted: boolean = false
  #ended: boolean = false
  /** The last write will tell when it is through. */
  #isTold: boolean = false
  #over: boolean = false

  constructor(owner: ExchangeOwner, socket: Socket, connection: ConnectionInfo, head: RequestHead) {
    const { fields } = head
    this.owner = owner
    this.socket = socket
    this.#fields = fields
    this.#bodyLeft = fields.contentLength ?? 0
    this.connection = connection
    this.method = head.method
    this.target = head.target
    this.keepAlive = head.keepAlive
    this.hasBody = fields.chunked || this.#bodyLeft > 0
    this.isRequestComplete = !this.hasBody
    if (fields.chunked) this.#decoder = new ChunkedDecoder()
  }

  get receivedBytes(): number {
    return this.owner.unreadBytes
  }

  get isUnread(): boolean {
    return this.socket.isPaused()
  }

  get pendingBytes(): number {
    return this.#kept.length + this.socket.writableLength
  }

  readFields(): RequestFields {
    return this.#fields
  }

  // The request's body

  readBody(sink: BodySink): void {
    this.#sink = sink
    this.owner.deliverBody()
  }

  get wantsBody(): boolean {
    return this.#sink !== undefined && !this.#isBodyPaused
  }

  pauseBody(): void {
    this.#isBodyPaused = true
    this.owner.updateFlow()
  }

  resumeBody(): void {
    if (!this.#isBodyPaused) return
    this.#isBodyPaused = false
    this.owner.deliverBody()
  }

  /** Takes bytes of the body; returns where in them it ended, MORE, or what is wrong, as ChunkedDecoder does. */
  receive(bytes: Buffer): number {
    if (this.#decoder !== undefined) return this.#receiveChunked(this.#decoder, bytes)
    const size = Math.min(this.#bodyLeft, bytes.length)
    this.#bodyLeft -= size
    this.#sink?.onBodyData(size === bytes.length ? bytes : bytes.subarray(0, size))
    if (this.#bodyLeft > 0) return MORE
    this.#completeRequest(NO_TRAILERS)
    return size
  }

  #receiveChunked(decoder: ChunkedDecoder, bytes: Buffer): number {
    const end = decoder.decode(bytes, 0)
    if (decoder.data !== undefined) this.#sink?.onBodyData(decoder.data)
    if (end >= 0) this.#completeRequest(decoder.trailers)
    return end
  }

  #completeRequest(trailers: readonly string[]): void {
    this.isRequestComplete = true
    this.#sink?.onBodyEnd(trailers)
    this.#sink = undefined
  }

  /** The request turned out malformed, or will never be complete. */
  break(error: GatewayError): void {
    this.#sink = undefined
    this.keepAlive = false
    if (!this.#over) this.events.onBroken(error)
  }

  // The answer

  /** 103 alone, and only with the fields it is for (RFC 8297): a request that expects a 100 does not come by this lane. */
  sendInterim(status: number, headers: readonly string[]): void {
    if (status !== 103 || this.isHeadSent || this.#over) return
    let links = ''
    let others = ''
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at]!.toLowerCase()
      if (name !== 'link') others += `${name}: ${headers[at + 1]}\r\n`
      else links += links === '' ? headers[at + 1] : `, ${headers[at + 1]}`
    }
    if (links === '') return
    this.socket.write(`HTTP/1.1 103 Early Hints\r\nLink: ${links}\r\n${others}\r\n`, 'latin1')
  }

  sendHead(head: AnswerHead): void {
    const { status, contentLength } = head
    this.isHeadSent = true
    if (!this.isRequestComplete) this.isEarly = true
    if (head.close || this.isEarly || this.owner.isLast) this.keepAlive = false
    const isBodiless = this.method === 'HEAD' || status === 204 || status === 304
    let framing = ''
    if (contentLength !== undefined) {
      // RFC 9110 §8.6 forbids it with 204.
      if (status !== 204) framing = `Content-Length: ${contentLength}\r\n`
      if (!isBodiless) {
        this.#framing = 'counted'
        this.#answerLeft = contentLength
      }
    } else if (!isBodiless) {
      this.#framing = 'chunked'
      framing = 'Transfer-Encoding: chunked\r\n'
    }
    const persistence = this.keepAlive ? this.owner.keepAliveLines : 'Connection: close\r\n'
    const line = STATUS_LINES.get(status)
    const start =
      line !== undefined && line.reason === head.reason ? line.text : `HTTP/1.1 ${status} ${head.reason}\r\n`
    // In the order in which node:http writes them.
    const last = contentLength === undefined ? persistence + framing : framing + persistence
    this.#kept = `${start}${head.lines}${last}\r\n`
  }

  flush(): void {
    if (this.#kept === '' || this.#over) return
    const text = this.#kept
    this.#kept = ''
    this.#put(text, false)
  }

  write(chunk: Buffer): boolean {
    if (this.#over || this.#framing === 'none' || chunk.length === 0) return true
    this.owner.noteProgress()
    if (this.#framing === 'chunked') return this.#writeChunk(chunk)
    this.#answerLeft -= chunk.length
    if (this.#answerLeft < 0) {
      // More than was declared would be read as the next answer.
      this.abort()
      return true
    }
    const text = this.#kept
    this.#kept = ''
    const last = this.#answerLeft === 0
    if (text === '') this.#put(chunk, last)
    else if (chunk.length <= SMALL) this.#put(text + chunk.toString('latin1'), last)
    else {
      this.socket.cork()
      this.#put(text, false)
      this.#put(chunk, last)
      this.socket.uncork()
    }
    return this.#hasRoom()
  }

  #writeChunk(chunk: Buffer): boolean {
    const start = `${this.#kept + chunk.length.toString(16)}\r\n`
    if (chunk.length <= SMALL) {
      this.#kept = `${start + chunk.toString('latin1')}\r\n`
      this.#flushLater()
      if (this.#kept.length >= MAX_KEPT) this.flush()
      // Also where all is kept: what the turns before brought may still wait.
      return this.#hasRoom()
    }
    this.socket.cork()
    this.#put(start, false)
    this.#put(chunk, false)
    this.socket.uncork()
    this.#kept = '\r\n'
    this.#flushLater()
    return this.#hasRoom()
  }

  end(trailers: readonly string[]): void {
    if (this.#over || this.#ended) return
    this.#ended = true
    if (this.#framing === 'counted' && this.#answerLeft > 0) {
      // Fewer bytes than were declared are no whole answer.
      this.abort()
      return
    }
    if (this.#framing === 'chunked') this.#kept += `0\r\n${joinLines(trailers)}\r\n`
    if (this.#kept !== '') {
      const text = this.#kept
      this.#kept = ''
      this.#put(text, true)
    }
    if (this.#isTold) return
    // TLS passes on later what it has taken; a little of it need not hold up a request that is still to come.
    const left = this.socket.writableLength
    const isWaitedFor = left > MAX_KEPT || !this.keepAlive || this.connection.scheme === 'http' || this.owner.hasUnread
    if (left === 0 || !isWaitedFor) this.#close(true)
    else this.#put('', true)
  }

  abort(): void {
    // All answers are framed, so the client sees that this one is cut off.
    this.socket.destroy()
    this.#close(false)
  }

  /** The socket has taken all that was written. */
  onWritten(): void {
    this.#isTold = false
    if (this.#ended) this.#close(true)
  }

  onSocketDrain(): void {
    this.owner.noteProgress()
    if (!this.#drainWanted || this.#over) return
    this.#drainWanted = false
    this.events.onClientDrain()
  }

  onSocketClose(): void {
    this.#close(false)
  }

  /** The last write reports when it is through, unless that is seen at once or does not matter (`end`). */
  #put(data: string | Buffer, last: boolean): void {
    const tells = last && (data === '' || (data.length > MAX_KEPT && this.connection.scheme === 'https'))
    if (tells) this.#isTold = true
    const callback = tells ? this.owner.onWritten : undefined
    if (typeof data === 'string') this.socket.write(data, 'latin1', callback)
    else writeLent(this.socket, data, callback)
  }

  /** Node answers a large write with false even if the kernel has taken all of it. */
  #hasRoom(): boolean {
    if (!this.socket.writableNeedDrain || this.socket.writableLength === 0) return true
    this.#drainWanted = true
    return false
  }

  #flushLater(): void {
    if (this.#willFlush) return
    this.#willFlush = true
    process.nextTick(flushKept, this)
  }

  /** For the end of the turn in which something was kept. */
  flushKept(): void {
    this.#willFlush = false
    this.flush()
  }

  #close(complete: boolean): void {
    if (this.#over) return
    this.#over = true
    this.#sink = undefined
    this.#kept = ''
    this.events.onClose(complete)
    this.owner.onExchangeClose(this)
  }
}

function flushKept(exchange: FastExchange): void {
  try {
    exchange.flushKept()
  } catch (thrown) {
    contain('lane', thrown, exchange.owner)
  }
}
