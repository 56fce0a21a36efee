/** The HTTP/2 door: an Exchange over a core http2 stream (the compatibility layer reports aborted bodies as complete). HOT */

import {
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import { containing, type Victim } from '../../base/contain.ts'
import { GatewayError } from '../../base/errors.ts'
import { splitLines } from '../../http1/field-line.ts'
import type { RequestFields } from '../../http1/request-fields.ts'
import { writeLent } from '../../platform/lent-bytes.ts'
import { ConnectionInfo } from '../../request/connection-info.ts'
import { type AnswerHead, type BodySink, type Exchange, type ExchangeEvents, NOBODY } from '../../request/exchange.ts'
import type { Settings } from '../../settings/table.ts'
import { readFields } from '../fields.ts'

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_INTERNAL_ERROR, NGHTTP2_CANCEL } =
  constants
const { NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE, NGHTTP2_STREAM_STATE_CLOSED } = constants

/** Fields that node:http2 refuses to send twice; the first counts. */
const SINGLE = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
])

export class Http2Exchange implements Exchange, Victim {
  readonly protocol = 'HTTP/2.0'
  readonly connection: ConnectionInfo
  readonly method: string
  readonly target: string
  readonly authority: string | undefined
  readonly socket = undefined
  readonly canContinue = true
  readonly hasOwnAuthority = true
  readonly needsAuthority = true
  readonly hasBody: boolean
  readonly offer = undefined
  events: ExchangeEvents = NOBODY
  readonly #stream: ServerHttp2Stream
  readonly #scheme: string
  readonly #rawHeaders: readonly string[]
  /** True if the request is malformed: that is an error of the stream, whatever the answer would be (RFC 9113 §8.1.1). */
  #isMalformed = false
  #bodyEnded = false
  #trailers: readonly string[] = []
  #responseTrailers: readonly string[] = []
  #responseEnded = false
  #closed = false
  #drainWanted = false

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: readonly string[]) {
    this.#stream = stream
    this.#rawHeaders = rawHeaders
    this.connection = findConnection(stream.session)
    this.method = String(headers[':method'] ?? '')
    this.target = String(headers[':path'] ?? '')
    this.authority = headers[':authority'] as string | undefined
    this.#scheme = String(headers[':scheme'] ?? '')
    this.hasBody = (flags & NGHTTP2_FLAG_END_STREAM) === 0
    stream.on('error', ignore)
    stream.on(
      'close',
      this.#containing(() => this.#close(this.#responseEnded && stream.rstCode === NGHTTP2_NO_ERROR)),
    )
    stream.on(
      'aborted',
      this.#containing(() => this.#close(false)),
    )
    if (!this.hasBody) return
    stream.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw?: string[]) => {
      this.#trailers = raw ?? []
    })
  }

  /** The session reads its connection whatever a stream does; its door watches it. */
  readonly isUnread = false

  get isHeadSent(): boolean {
    return this.#stream.headersSent
  }

  get isRequestComplete(): boolean {
    return !this.hasBody || this.#bodyEnded
  }

  get receivedBytes(): number {
    return this.#stream.readableLength
  }

  /** Bytes that nghttp2 has taken may still wait there for the connection, and the end of the stream behind them: they count as one byte. */
  get pendingBytes(): number {
    const { writableLength } = this.#stream
    return writableLength === 0 && this.#responseEnded && !this.#closed ? 1 : writableLength
  }

  readFields(settings: Settings): RequestFields | GatewayError {
    // The same schemes as in a target in absolute-form. CONNECT has none, and is refused later for its method.
    const scheme = this.#scheme
    if (scheme !== 'https' && scheme !== 'http' && scheme !== '') {
      return new GatewayError('PORTICO_REQ_BAD_TARGET', `the scheme ${scheme}`)
    }
    const fields = readFields(withoutPseudoFields(this.#rawHeaders), this.protocol, settings)
    this.#isMalformed = fields instanceof GatewayError && fields.code === 'PORTICO_REQ_MALFORMED'
    return fields
  }

  readBody(sink: BodySink): void {
    const stream = this.#stream
    stream.on(
      'data',
      this.#containing((chunk: Buffer) => sink.onBodyData(chunk)),
    )
    // An empty body ends without being read.
    if (stream.readableEnded) this.#endBodyLater(sink)
    else stream.on('end', () => this.#onEnd(sink))
  }

  pauseBody(): void {
    this.#stream.pause()
  }

  resumeBody(): void {
    this.#stream.resume()
  }

  sendInterim(status: number, headers: readonly string[]): void {
    if ((status !== 100 && status !== 103) || this.#closed || this.isHeadSent) return
    try {
      this.#stream.additionalHeaders({ ':status': status, ...toHeaderObject(headers) })
    } catch {
      // A value that HTTP/2 cannot carry: a hint left out changes nothing.
    }
  }

  /** The reason has no place in HTTP/2. */
  sendHead(head: AnswerHead): void {
    // A stream is destroyed one turn before its 'close' event.
    if (this.#closed || this.#stream.destroyed) return
    if (this.#isMalformed) {
      this.#stream.close(NGHTTP2_PROTOCOL_ERROR)
      return
    }
    if (head.trailers) this.#stream.on('wantTrailers', () => this.#sendTrailers())
    const fields: OutgoingHttpHeaders & IncomingHttpStatusHeader = toHeaderObject(splitLines(head.lines))
    fields[':status'] = head.status
    if (head.contentLength !== undefined) fields['content-length'] = head.contentLength
    this.#stream.respond(fields, { waitForTrailers: head.trailers })
  }

  /** nghttp2 sends at the end of the turn what the turn brought. */
  flush(): void {}

  write(chunk: Buffer): boolean {
    if (this.#closed || !this.#stream.writable) return true
    const room = writeLent(this.#stream, chunk)
    if (!room) this.#awaitDrain()
    return room
  }

  end(trailers: readonly string[]): void {
    this.#responseTrailers = trailers
    this.#responseEnded = true
    const stream = this.#stream
    if (this.isRequestComplete) {
      stream.end()
      return
    }
    // RFC 9113 §8.1: an answer before the whole request was read ends with RST_STREAM(NO_ERROR).
    stream.end(() => {
      if (!stream.closed) stream.close(NGHTTP2_NO_ERROR)
    })
    stream.resume()
  }

  abort(): void {
    const stream = this.#stream
    // `close` would end the body properly first (END_STREAM); an error resets the stream as it is (INTERNAL_ERROR).
    if (this.isHeadSent) stream.destroy(new Error('the response was cut'))
    else {
      if (!stream.closed) stream.close(NGHTTP2_CANCEL)
      // RST_STREAM is never written where the client has gone, and until then the stream would count as open.
      stream.destroy()
    }
    this.#close(false)
  }

  /** Ends this stream alone; the other streams of the session go on. */
  breakOff(error: GatewayError): void {
    try {
      this.events.breakOff(error)
    } catch (thrown) {
      this.abort()
      throw thrown
    }
  }

  #containing<Arguments extends unknown[]>(run: (...given: Arguments) => void): (...given: Arguments) => void {
    return containing('http2', this, run)
  }

  #awaitDrain(): void {
    if (this.#drainWanted) return
    this.#drainWanted = true
    this.#stream.once(
      'drain',
      this.#containing(() => this.#onDrain()),
    )
  }

  #onDrain(): void {
    this.#drainWanted = false
    this.events.onClientDrain()
  }

  #onEnd(sink: BodySink): void {
    // node emits this inside nghttp2's callback for the last frame, sometimes before nghttp2 has changed the state.
    if (hasRemoteEnded(this.#stream)) this.#containing(() => this.#endBody(sink))()
    else this.#endBodyLater(sink)
  }

  #endBodyLater(sink: BodySink): void {
    setImmediate(this.#containing(() => this.#endBody(sink)))
  }

  #endBody(sink: BodySink): void {
    if (this.#closed || this.#stream.aborted || !hasRemoteEnded(this.#stream)) return
    this.#bodyEnded = true
    sink.onBodyEnd(this.#trailers)
  }

  #sendTrailers(): void {
    try {
      this.#stream.sendTrailers(toHeaderObject(this.#responseTrailers))
    } catch {
      // A trailer that HTTP/2 cannot carry, or the stream has gone meanwhile.
      this.#stream.close(NGHTTP2_INTERNAL_ERROR)
    }
  }

  #close(complete: boolean): void {
    if (this.#closed) return
    this.#closed = true
    const { events } = this
    // A session's table of streams keeps closed ones alive until a full collection; the request need not stay with them.
    this.events = NOBODY
    events.onClose(complete)
  }
}

function ignore(): void {}

const connections = new WeakMap<Http2Session, ConnectionInfo>()

function findConnection(session: Http2Session | undefined): ConnectionInfo {
  let connection = session && connections.get(session)
  if (!connection) {
    const made = new ConnectionInfo(session?.socket as Socket | undefined, session?.encrypted ? 'https' : 'http')
    if (session) {
      connections.set(session, made)
      session.once('close', () => made.close())
    } else made.close()
    connection = made
  }
  return connection
}

/** END_STREAM was received: an `end` event alone also follows RST_STREAM and a lost connection. */
function hasRemoteEnded(stream: ServerHttp2Stream): boolean {
  const { state } = stream.state
  return state === NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE || state === NGHTTP2_STREAM_STATE_CLOSED
}

function withoutPseudoFields(raw: readonly string[]): readonly string[] {
  const fields: string[] = []
  for (let at = 0; at < raw.length; at += 2) {
    if (raw[at]!.charCodeAt(0) !== 0x3a /* : */) fields.push(raw[at]!, raw[at + 1]!)
  }
  return fields
}

function toHeaderObject(headers: readonly string[]): OutgoingHttpHeaders {
  const fields: OutgoingHttpHeaders = Object.create(null)
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase()
    const value = headers[at + 1]!
    const known = fields[name]
    if (known === undefined) fields[name] = value
    else if (!SINGLE.has(name)) fields[name] = [...[known as string | string[]].flat(), value]
  }
  return fields
}
