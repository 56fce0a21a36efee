/**
 * A request over HTTP/1.1 to an endpoint, and its answer: gets a connection, writes the one and reads the other, and tells whether
 * both were whole. HOT
 */
import type { Socket } from 'node:net'
import { GatewayError } from '../../base/errors.ts'
import { composeProxyHeader } from '../../base/proxy-protocol.ts'
import { type ChunkedDecoder, MORE } from '../../http1/chunked-decoder.ts'
import { joinLines, splitLines } from '../../http1/field-line.ts'
import { PartialHead } from '../../http1/partial-head.ts'
import { type ScannedResponse, scanResponse } from '../../http1/response-scan.ts'
import { writeLent } from '../../platform/lent-bytes.ts'
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './call.ts'
import type { Connection, ConnectionUser, Peer, PrivateConnectionList, Waiter } from './connection.ts'
import { composeRequestHead } from './http1-head.ts'

/** More interim answers than these are no honest answer. */
const MAX_INTERIM_ANSWERS = 16
/** Up to this many bytes of a body are joined with what stands before them into one string: cheaper than a vector of writes. */
const MAX_JOINED = 4096

const NO_FIELDS: readonly string[] = Object.freeze([])

/** What the next byte of the response belongs to. */
const HEAD = 0
const COUNTED = 1
const CHUNKED = 2
const UNTIL_CLOSE = 3

export class Http1Call implements UpstreamCall, Waiter, ConnectionUser {
  readonly #request: UpstreamRequest
  readonly #events: UpstreamEvents
  #peer: Peer
  /** Undefined until there is one. */
  #connection: Connection | undefined = undefined
  /** The endpoint had closed an idle connection: the request has been given a new one. */
  #isFresh = false
  /** The request's head while it is kept back. */
  #head = ''
  #requestSent = false
  /** A write returned false. */
  #full = false
  #expected: number = HEAD
  /** Bytes of a counted body still to come. */
  #left = 0
  #decoder: ChunkedDecoder | undefined = undefined
  #partial: PartialHead | undefined = undefined
  #interim = 0
  #keepAlive = false
  #settled = false

  constructor(peer: Peer, request: UpstreamRequest, events: UpstreamEvents) {
    this.#peer = peer
    this.#request = request
    this.#events = events
  }

  start(): void {
    const { upgrade, proxyVersion } = this.#request
    // A tunnel keeps its connection for good, so it does not begin on one that may be about to close.
    const isAlone = upgrade !== undefined || proxyVersion !== undefined
    this.#peer.acquire(this, isAlone ? 'none' : this.#events.isRepeatable ? 'any' : 'recent')
  }

  get socket(): Socket | undefined {
    return this.#connection?.socket
  }

  get hasAnswered(): boolean {
    return this.#connection?.hasAnswered === true
  }

  get isReused(): boolean {
    return this.#connection !== undefined && this.#connection.uses > 0
  }

  // Waiter

  get cancelled(): boolean {
    return this.#settled
  }

  get preamble(): Buffer | undefined {
    const { proxyVersion, client } = this.#request
    return proxyVersion && composeProxyHeader(proxyVersion, client.path)
  }

  /** Not where one of them was found closed just now. */
  get privates(): PrivateConnectionList | undefined {
    return this.#isFresh ? undefined : this.#request.client.privates
  }

  get connectTimeout(): number {
    return this.#request.connectTimeout
  }

  givesUp(): boolean {
    return this.#events.givesUp()
  }

  onConnection(connection: Connection): void {
    const { peer } = connection.owner
    this.#connection = connection
    if (peer !== this.#peer) {
      this.#peer = peer
      this.#events.onMoved(peer)
    }
    if (this.#request.authenticatesConnection) connection.claim(this.#request.client.claimPrivates())
    this.#head = composeRequestHead(this.#request, peer.hostLine(this.#request.hostSetting))
    connection.use(this)
    this.#events.onReady()
  }

  onConnectionError(error: GatewayError): void {
    this.#settled = true
    this.#events.onUnreachable(error)
  }

  // UpstreamCall: the request

  write(chunk: Buffer, onTaken?: () => void): boolean {
    if (this.#settled) {
      onTaken?.()
      return true
    }
    if (chunk.length > 0) {
      const { socket } = this.#connection!
      const chunked = this.#isChunked
      const before = chunked ? `${this.#takeHead()}${chunk.length.toString(16)}\r\n` : this.#takeHead()
      if (before === '' && onTaken === undefined) writeLent(socket, chunk)
      else if (chunk.length <= MAX_JOINED) {
        const text = before + chunk.toString('latin1')
        socket.write(chunked ? `${text}\r\n` : text, 'latin1')
        onTaken?.()
      } else {
        socket.cork()
        socket.write(before, 'latin1')
        if (onTaken) socket.write(chunk, onTaken)
        else writeLent(socket, chunk)
        if (chunked) socket.write('\r\n', 'latin1')
        socket.uncork()
      }
      this.#full = socket.writableLength >= socket.writableHighWaterMark
    } else onTaken?.()
    return !this.#full
  }

  end(trailers: readonly string[]): void {
    if (this.#settled) return
    this.#requestSent = true
    let text = this.#takeHead()
    if (this.#isChunked) text += `0\r\n${joinLines(trailers)}\r\n`
    if (text !== '') this.#connection!.socket.write(text, 'latin1')
  }

  flush(): void {
    if (this.#settled || this.#head === '') return
    this.#connection!.socket.write(this.#takeHead(), 'latin1')
  }

  pause(): void {
    if (!this.#settled) this.#connection?.socket.pause()
  }

  resume(): void {
    if (!this.#settled) this.#connection?.socket.resume()
  }

  abort(): void {
    if (this.#settled) return
    this.#settled = true
    this.#connection?.destroy()
  }

  get #isChunked(): boolean {
    return this.#request.hasBody && this.#request.contentLength === undefined
  }

  #takeHead(): string {
    const head = this.#head
    this.#head = ''
    return head
  }

  // ConnectionUser: the response

  onBytes(bytes: Buffer): void {
    switch (this.#expected) {
      case HEAD:
        this.#onHeadBytes(bytes)
        break
      case COUNTED:
        this.#onCounted(bytes, 0)
        break
      case CHUNKED:
        this.#onChunked(bytes)
        break
      default:
        this.#events.onData(bytes)
    }
  }

  onFin(): void {
    if (this.#expected === UNTIL_CLOSE && this.#connection!.hasEndedProperly) this.#finish(NO_FIELDS, false)
    else this.#breakOff('the endpoint closed the connection')
  }

  onClosed(error: NodeJS.ErrnoException | undefined): void {
    this.#breakOff(error ? (error.code ?? error.message) : 'the connection was closed', error)
  }

  onDrain(): void {
    if (this.#settled || !this.#full) return
    this.#full = false
    this.#events.onDrain()
  }

  #onHeadBytes(piece: Buffer): void {
    const bytes = this.#partial ? this.#partial.add(piece) : piece
    if (bytes === undefined) return
    let start = 0
    do {
      const head = scanResponse(bytes, start, this.#request.maxHeaderBytes)
      if (head === undefined) {
        // Nothing is put aside twice: `bytes` is what `partial` holds as long as no interim answer was cut off in front.
        if (this.#partial === undefined || start > 0) this.#partial = new PartialHead(bytes.subarray(start))
        return
      }
      if (typeof head === 'string') {
        this.#fail(this.#badResponse(head))
        return
      }
      start = head.end
      if (head.status >= 200) {
        this.#onHead(head, bytes)
        return
      }
      if (head.status === 101) {
        this.#onSwitch(head, bytes)
        return
      }
      this.#onInterim(head, start === bytes.length)
    } while (!this.#settled && start < bytes.length)
    this.#partial = undefined
  }

  #onInterim(head: ScannedResponse, isLast: boolean): void {
    const { status } = head
    if (++this.#interim > MAX_INTERIM_ANSWERS) this.#fail(this.#badResponse('too many interim answers'))
    // Nothing may follow the end of the connection, yet the response would have to.
    else if (!head.keepAlive) this.#fail(this.#badResponse('an interim answer that closes the connection'))
    else if (status === 100) {
      if (isLast && this.#interim === 1) this.#connection!.noteContinue()
      this.#events.onInformational(status, NO_FIELDS)
    } else if (status === 103) this.#events.onInformational(status, splitLines(head.lines))
  }

  #onSwitch(head: ScannedResponse, bytes: Buffer): void {
    const { upgrade } = this.#request
    // Of the one protocol that was offered; names of protocols do not tell cases apart (RFC 9110 §7.8).
    if (upgrade === undefined || head.upgrade?.toLowerCase() !== upgrade.toLowerCase()) {
      this.#fail(this.#badResponse(upgrade === undefined ? '101 that nobody asked for' : '101 to another protocol'))
      return
    }
    this.#settled = true
    const early = Buffer.from(bytes.subarray(head.end))
    this.#events.onUpgrade(head, this.#connection!.detach(), early)
  }

  /** RFC 9112 §6.3, in its order. */
  #onHead(head: ScannedResponse, bytes: Buffer): void {
    this.#partial = undefined
    const connection = this.#connection!
    this.#keepAlive = head.keepAlive
    if (head.authenticatesConnection) connection.claim(this.#request.client.claimPrivates())
    // One second less, since the endpoint's clock started earlier.
    if (head.idleSeconds !== Number.POSITIVE_INFINITY) {
      connection.idleLimit = Math.max(0, head.idleSeconds - 1) * 1000
    }
    const { status, end, contentLength } = head
    const surplus = end < bytes.length
    if (status === 204 || status === 304 || contentLength === 0 || this.#request.method === 'HEAD') {
      this.#events.onHead(head, true)
      this.#finish(NO_FIELDS, !surplus)
      return
    }
    if (head.chunked) {
      this.#expected = CHUNKED
      this.#decoder = this.#connection!.decoder
      this.#decoder.reset()
      this.#onFirstChunks(head, bytes)
      return
    }
    if (contentLength !== undefined) {
      this.#expected = COUNTED
      this.#left = contentLength
    } else {
      this.#expected = UNTIL_CLOSE
      this.#keepAlive = false
      connection.awaitEnd()
    }
    this.#events.onHead(head, surplus)
    if (!surplus || this.#settled) return
    if (contentLength !== undefined) this.#onCounted(bytes, end)
    else this.#events.onData(bytes.subarray(end))
  }

  /** What came with the head is read before anybody hears of it: where it is no body, there is no answer yet that would have to be cut. */
  #onFirstChunks(head: ScannedResponse, bytes: Buffer): void {
    const end = this.#decode(bytes, head.end)
    if (end < MORE) return
    this.#events.onHead(head, end !== MORE || this.#decoder!.data !== undefined)
    if (!this.#settled) this.#tellChunks(end, bytes)
  }

  #onCounted(bytes: Buffer, start: number): void {
    const came = bytes.length - start
    const used = Math.min(came, this.#left)
    this.#left -= used
    this.#events.onData(used === bytes.length ? bytes : bytes.subarray(start, start + used))
    if (this.#left === 0) this.#finish(NO_FIELDS, used === came)
  }

  #onChunked(bytes: Buffer): void {
    const end = this.#decode(bytes, 0)
    if (end >= MORE) this.#tellChunks(end, bytes)
  }

  /** As ChunkedDecoder does; below MORE the call has failed. */
  #decode(bytes: Buffer, start: number): number {
    const end = this.#decoder!.decode(bytes, start)
    if (end < MORE) this.#fail(this.#badResponse('malformed chunks'))
    return end
  }

  #tellChunks(end: number, bytes: Buffer): void {
    const { data, trailers } = this.#decoder!
    if (data !== undefined) this.#events.onData(data)
    if (end !== MORE) this.#finish(trailers, end === bytes.length)
  }

  // Endings

  /** The response is whole. */
  #finish(trailers: readonly string[], reusable: boolean): void {
    if (this.#settled) return
    this.#settled = true
    // An answer before the whole request was sent: the connection can carry no other.
    if (reusable && this.#keepAlive && this.#requestSent) this.#connection!.release()
    else this.#connection!.destroy()
    this.#events.onEnd(trailers)
  }

  #breakOff(why: string, cause?: Error): void {
    const connection = this.#connection!
    const isUnanswered = this.#expected === HEAD
    if (connection.isStale) {
      connection.owner.noteStale(connection)
      if (isUnanswered && !this.#isFresh && !this.#settled && this.#events.onStale()) {
        this.#sendAgain(connection)
        return
      }
    }
    const code = isUnanswered ? 'PORTICO_UP_RESET' : 'PORTICO_UP_TRUNCATED'
    this.#fail(new GatewayError(code, `${connection.owner.place}: ${why}`, cause))
  }

  /** On a new connection to the same endpoint. */
  #sendAgain(stale: Connection): void {
    this.#isFresh = true
    this.#connection = undefined
    this.#requestSent = false
    this.#full = false
    stale.destroy()
    this.#peer.acquire(this, 'none')
  }

  #fail(error: GatewayError): void {
    if (this.#settled) return
    this.#settled = true
    this.#connection!.destroy()
    this.#events.onError(error)
  }

  /** The events have thrown, so it does not matter what they were told already. */
  breakOff(error: GatewayError): void {
    this.#settled = true
    this.#events.breakOff?.(error)
  }

  #badResponse(what: string): GatewayError {
    return new GatewayError('PORTICO_UP_BAD_RESPONSE', `${this.#connection!.owner.place}: ${what}`)
  }
}
