/**
 * Lets the requests of a connection through to node:http one at a time. By itself node:http makes all that it has bytes of into
 * requests, reads on however many wait, and begins the next answer while one is under way (RFC 9112 §9.3.2). Here what has come
 * behind a request stays a limited number of bytes until that request is answered; and what comes behind the last answer of a
 * connection is dropped.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { containAt } from '../../base/contain.ts'
import { CR, LF } from '../../http1/bytes.ts'
import { ChunkedDecoder, EXTENSIONS_TOO_LARGE, MORE, TRAILERS_TOO_LARGE } from '../../http1/chunked-decoder.ts'
import { METHOD_TOO_LONG, RequestLine } from '../../http1/request-line.ts'
import { TabWatch } from '../../http1/tab-watch.ts'
import { type ParserListeners, takeParserListeners } from '../../platform/http-server.ts'
import { setMethod } from './method.ts'

/** When this number of bytes waits, no more is read ahead. */
const ENOUGH = 16_384

const GATE: unique symbol = Symbol('gate')
type GatedSocket = Socket & { [GATE]?: RequestGate | undefined }

/** Given to node:http in place of a method that it does not know. node:http treats POST like any other method here. */
const STAND_IN = Buffer.from('POST')

/** In the words of node:http's parser, which has none for a method that is too long. */
type ParserError = Error & { code: string }

/** Told of a request line or a body that cannot be read. */
type OnBroken = (error: ParserError, socket: Socket) => void

export class RequestGate {
  readonly #socket: GatedSocket
  /** node:http's own listeners. */
  readonly #parser: ParserListeners
  readonly #onBroken: OnBroken
  /** Received, and for node:http when its turn comes. */
  #rest: Buffer | undefined = undefined
  /** The request being served. */
  #request: IncomingMessage | undefined = undefined
  /** Of its body: bytes still to come, or what finds its end. */
  #bodyLeft = 0
  #decoder: ChunkedDecoder | undefined = undefined
  /** Of the head under way; it is over from there to the head's end. */
  readonly #line = new RequestLine()
  readonly #tabs = new TabWatch()
  /** Some of a head has come, and not its end. */
  #isInHead = false
  /** Of the head that node:http was given last, where another stands in for it. */
  #method: string | undefined = undefined
  /** Where in the bytes that go on next it ends; -1: not there. */
  #methodEnd = -1
  /** The client has sent its FIN. */
  #isEnded: boolean
  #isScheduled = false
  #isPaused = false
  /** What comes now is dropped. */
  #isDeaf = false
  /** The connection was released. */
  #isOver = false

  private constructor(socket: Socket, parser: ParserListeners, onBroken: OnBroken) {
    this.#socket = socket
    this.#parser = parser
    this.#onBroken = onBroken
    this.#isEnded = socket.readableEnded
    this.#socket[GATE] = this
    // node:http resumes the socket for each request, also where the gate wants it paused.
    socket.resume = resumeGated
    // From here on node:http leaves the handle to the stream.
    socket.on('data', onData)
    socket.on('end', onEnd)
  }

  /**
   * For 'connection' of a server of node:http, behind its own listener. Where this Node reads connections in another way, there is
   * no gate, and the door cuts a connection whose requests do not wait for each other.
   */
  static open(socket: Socket, onBroken: OnBroken): void {
    const parser = takeParserListeners(socket)
    if (parser) new RequestGate(socket, parser, onBroken)
  }

  static of(socket: Socket): RequestGate | undefined {
    return (socket as GatedSocket)[GATE]
  }

  /** True if no more may be read ahead. */
  get isFull(): boolean {
    return this.#rest !== undefined && this.#rest.length >= ENOUGH && this.#socket.writable
  }

  /** True if part of a request has come that node:http has not read whole. */
  get isReceiving(): boolean {
    return this.#rest !== undefined || this.#isInHead
  }

  /** node:http has read a request: the next has to wait until this one is answered. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    const { headers } = request
    this.#request = request
    this.#name(request)
    this.#bodyLeft = Number(headers['content-length'] ?? 0)
    this.#decoder = headers['transfer-encoding'] === undefined ? undefined : new ChunkedDecoder()
    response.once('close', this.#onAnswered)
  }

  /** Nothing that comes from here on goes to node:http. */
  silence(): void {
    this.#isDeaf = true
    this.#rest = undefined
  }

  /** Lets the connection go to the handler of `request`; returns what has come behind the request. */
  release(request: IncomingMessage): Buffer | undefined {
    const rest = this.#rest
    this.#name(request)
    const socket = this.#socket
    this.#rest = undefined
    this.#isOver = true
    socket.off('data', onData).off('end', onEnd)
    delete (socket as Partial<Socket>).resume
    socket[GATE] = undefined
    return rest
  }

  #name(request: IncomingMessage): void {
    if (this.#method !== undefined) setMethod(request, this.#method)
  }

  receive(bytes: Buffer): void {
    this.#rest = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes])
    if (!this.#isScheduled) this.#pass()
  }

  receiveEnd(): void {
    this.#isEnded = true
    if (!this.#isScheduled) this.#pass()
  }

  /** One request after the other, each in a turn of its own: other connections have theirs between. */
  #onAnswered = (): void => {
    this.#request = undefined
    if (this.#isOver || this.#isScheduled || (this.#rest === undefined && !this.#isEnded)) return
    this.#isScheduled = true
    setImmediate(passOn, this.#socket)
  }

  passOn(): void {
    this.#isScheduled = false
    this.#pass()
  }

  #pass(): void {
    const socket = this.#socket
    while (this.#rest !== undefined) {
      const bytes = this.#rest
      if (this.#isDeaf || !socket.writable) {
        this.#rest = undefined
        break
      }
      const size = this.#measure(bytes)
      if (size === 0) break
      this.#rest = size < bytes.length ? bytes.subarray(size) : undefined
      this.#parser.parse(this.#replaceMethod(size < bytes.length ? bytes.subarray(0, size) : bytes))
    }
    if (this.#isOver) return
    if (this.isFull) {
      this.#isPaused = true
      socket.pause()
    } else if (this.#isPaused) {
      this.#isPaused = false
      socket.resume()
    }
    if (this.#isEnded && this.#rest === undefined && !this.#isDeaf && socket.writable) this.#tellEnd()
  }

  #replaceMethod(bytes: Buffer): Buffer {
    const end = this.#methodEnd
    if (end < 0) return bytes
    this.#methodEnd = -1
    return Buffer.concat([STAND_IN, bytes.subarray(end)])
  }

  /** How much of `bytes` may go on: of a head or a body, to its end. */
  #measure(bytes: Buffer): number {
    const request = this.#request
    if (request === undefined) return this.#measureHead(bytes)
    if (request.complete) return 0
    if (this.#decoder === undefined) {
      const size = Math.min(this.#bodyLeft, bytes.length)
      this.#bodyLeft -= size
      return size
    }
    // It writes over what it reads.
    const end = this.#decoder.decode(Buffer.from(bytes), 0)
    if (end >= MORE) return end === MORE ? bytes.length : end
    return this.#refuse(explainBody(end))
  }

  #measureHead(bytes: Buffer): number {
    const line = this.#line
    this.#isInHead = true
    let start = 0
    if (!line.isOver) {
      const end = line.read(bytes, 0)
      if (end < 0) return this.#refuse(explainLine(end))
      if (line.unknownEnd >= 0) this.#methodEnd = line.unknownEnd
      if (!line.isOver) return this.#isEnded ? bytes.length : end
      // With its LF the end of the head may begin.
      start = end - 1
    }
    const end = findHeadEnd(bytes, start)
    // Bytes that may be the first half of the head's end are not passed without the second half.
    const size = end >= 0 ? end : bytes.length - (this.#isEnded ? 0 : countLineEnd(bytes))
    if (!this.#tabs.read(bytes, start, size)) {
      return this.#refuse(describe('HPE_INVALID_TRANSFER_ENCODING', 'a tab stands behind Transfer-Encoding'))
    }
    if (end >= 0) {
      this.#isInHead = false
      this.#method = line.unknownMethod
      line.reset()
    }
    return size
  }

  #refuse(error: ParserError): 0 {
    this.silence()
    this.#onBroken(error, this.#socket)
    return 0
  }

  #tellEnd(): void {
    this.#isEnded = false
    this.#parser.end()
  }
}

/** The index behind the empty line that ends a head; -1: there is none. node:http decides whether the lines end correctly. */
function findHeadEnd(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF) return at + 2
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3
  }
  return -1
}

/** Bytes at the end that are LF, or LF and CR. */
function countLineEnd(bytes: Buffer): number {
  const last = bytes.length - 1
  if (bytes[last] === LF) return 1
  return bytes[last] === CR && bytes[last - 1] === LF ? 2 : 0
}

/** What RequestLine found wrong. */
function explainLine(found: number): ParserError {
  return describe(
    found === METHOD_TOO_LONG ? 'HPE_UNKNOWN_METHOD' : 'HPE_INVALID_CONSTANT',
    'the request line cannot be served',
  )
}

/** What ChunkedDecoder found wrong, as the parser would tell it. */
function explainBody(found: number): ParserError {
  const code =
    found === EXTENSIONS_TOO_LARGE
      ? 'HPE_CHUNK_EXTENSIONS_OVERFLOW'
      : found === TRAILERS_TOO_LARGE
        ? 'HPE_HEADER_OVERFLOW'
        : 'HPE_INVALID_CHUNK_SIZE'
  return describe(code, 'the request body is not chunked correctly')
}

function describe(code: string, message: string): ParserError {
  return Object.assign(new Error(message), { code })
}

// Shared by all connections.

function passOn(socket: GatedSocket): void {
  try {
    socket[GATE]?.passOn()
  } catch (thrown) {
    containAt('http1', thrown, socket)
  }
}

function onData(this: GatedSocket, bytes: Buffer): void {
  try {
    this[GATE]?.receive(bytes)
  } catch (thrown) {
    containAt('http1', thrown, this)
  }
}

function onEnd(this: GatedSocket): void {
  try {
    this[GATE]?.receiveEnd()
  } catch (thrown) {
    containAt('http1', thrown, this)
  }
}

function resumeGated<T extends GatedSocket>(this: T): T {
  return this[GATE]?.isFull ? this : Object.getPrototypeOf(this).resume.call(this)
}
