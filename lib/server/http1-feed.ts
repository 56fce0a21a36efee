/**
 * Gives node:http what a connection receives, message by message, and looks at what its parser takes and does not tell of:
 * how a request line was written, and how much there is of extensions and trailers of chunks in all.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { CR, LF } from '../http1/bytes.ts'
import { ChunkedDecoder, EXTENSIONS_TOO_LARGE, MORE, TRAILERS_TOO_LARGE } from '../http1/chunked-decoder.ts'
import { RequestLine, UNKNOWN_METHOD } from '../http1/request-line.ts'

/** In the words of node:http's parser, which has none for a method that it does not know and that is one. */
type ParserError = Error & { code: string }

const FEED: unique symbol = Symbol('feed')
type FedSocket = Socket & { [FEED]?: Http1Feed | undefined }

/** What the next byte belongs to; `rest`: nothing that is looked at. */
type Part = 'line' | 'fields' | 'counted' | 'chunked' | 'rest'

export class Http1Feed {
  readonly #socket: FedSocket
  /** node:http's own listener. */
  readonly #parse: (bytes: Buffer) => void
  readonly #onError: (error: ParserError, socket: Socket) => void
  readonly #line = new RequestLine()
  #part: Part = 'line'
  /** Received, and not given to node:http yet. */
  #unread: Buffer | undefined = undefined
  /** Of the empty line that ends a head: how many of its bytes have come. */
  #endSeen = 0
  /** Bytes of a counted body that are still to come. */
  #bodyLeft = 0
  #decoder: ChunkedDecoder | undefined = undefined

  /** For 'connection' of a server of node:http, behind its own listener. `onError` takes what 'clientError' does. */
  constructor(socket: Socket, onError: (error: ParserError, socket: Socket) => void) {
    const parse = socket.listeners('data').at(-1) as (bytes: Buffer) => void
    this.#socket = socket
    this.#parse = parse
    this.#onError = onError
    this.#socket[FEED] = this
    socket.off('data', parse)
    // From here on node:http leaves the handle to the stream.
    socket.on('data', onData)
    socket.prependListener('end', onEnd)
  }

  static of(socket: Socket): Http1Feed | undefined {
    return (socket as FedSocket)[FEED]
  }

  /** node:http has read a head: how the body behind it is framed. */
  begin({ headers }: IncomingMessage): void {
    const coding = headers['transfer-encoding']
    this.#bodyLeft = Number(headers['content-length'] ?? 0)
    if (coding === undefined) this.#part = this.#bodyLeft > 0 ? 'counted' : 'line'
    // Another coding is refused, and nothing that follows it is read.
    else if (coding.toLowerCase() !== 'chunked') this.#part = 'rest'
    else {
      this.#part = 'chunked'
      this.#decoder = new ChunkedDecoder()
    }
  }

  /** Gives the connection away, with what node:http was not given. */
  release(): Buffer {
    const unread = this.#unread ?? Buffer.alloc(0)
    this.#unread = undefined
    this.#socket[FEED] = undefined
    this.#socket.off('data', onData).off('end', onEnd)
    return unread
  }

  receive(bytes: Buffer): void {
    this.#unread = this.#unread === undefined ? bytes : Buffer.concat([this.#unread, bytes])
    while (this.#unread !== undefined) {
      const unread: Buffer = this.#unread
      const size = this.#measure(unread)
      if (size === 0) return
      this.#unread = size < unread.length ? unread.subarray(size) : undefined
      this.#parse(size < unread.length ? unread.subarray(0, size) : unread)
      if (this.#unread === undefined || !this.#socket.isPaused()) continue
      this.#socket.unshift(this.#unread)
      this.#unread = undefined
    }
  }

  receiveEnd(): void {
    if (this.#unread !== undefined) this.#parse(this.#unread)
    this.#unread = undefined
  }

  /** How many of the bytes node:http may have now. */
  #measure(bytes: Buffer): number {
    switch (this.#part) {
      case 'line': {
        const end = this.#line.read(bytes, 0)
        if (end < 0) {
          return end === UNKNOWN_METHOD
            ? this.#fail('HPE_UNKNOWN_METHOD', 'an unknown method')
            : this.#fail('HPE_INVALID_CONSTANT', 'a malformed request line')
        }
        if (this.#line.isOver) {
          this.#line.reset()
          this.#part = 'fields'
          this.#endSeen = 2
        }
        return end
      }
      case 'fields': {
        const end = this.#findHeadEnd(bytes)
        // Unless `begin` says otherwise before anything else is measured, node:http has refused the head.
        if (end > 0) this.#part = 'rest'
        return end > 0 ? end : bytes.length
      }
      case 'counted': {
        const size = Math.min(this.#bodyLeft, bytes.length)
        this.#bodyLeft -= size
        if (this.#bodyLeft === 0) this.#part = 'line'
        return size
      }
      case 'chunked': {
        // It writes over what it reads.
        const end = this.#decoder!.decode(Buffer.from(bytes), 0)
        if (end === MORE) return bytes.length
        if (end >= 0) {
          this.#part = 'line'
          return end
        }
        if (end === EXTENSIONS_TOO_LARGE) {
          return this.#fail('HPE_CHUNK_EXTENSIONS_OVERFLOW', 'chunk extensions are too large')
        }
        if (end === TRAILERS_TOO_LARGE) return this.#fail('HPE_HEADER_OVERFLOW', 'trailers are too large')
        return this.#fail('HPE_INVALID_CHUNK_SIZE', 'the request body is not chunked correctly')
      }
      default:
        return bytes.length
    }
  }

  /** Behind the empty line, or 0; what a line that ends otherwise means is node:http's to say. */
  #findHeadEnd(bytes: Buffer): number {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]
      if (byte === (this.#endSeen % 2 === 0 ? CR : LF)) this.#endSeen++
      else this.#endSeen = byte === CR ? 1 : 0
      if (this.#endSeen === 4) return at + 1
    }
    return 0
  }

  /** Nothing that follows means anything. */
  #fail(code: string, message: string): 0 {
    this.release()
    this.#socket.resume()
    this.#onError(Object.assign(new Error(message), { code }), this.#socket)
    return 0
  }
}

// Shared by all connections.

function onData(this: FedSocket, bytes: Buffer): void {
  this[FEED]!.receive(bytes)
}

function onEnd(this: FedSocket): void {
  this[FEED]!.receiveEnd()
}
