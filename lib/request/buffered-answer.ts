/** The body of an answer that is read as fast as the endpoint gives it, and kept for a client that takes it more slowly. HOT */
import { buffersFull } from '../base/errors.ts'
import { findField } from '../http1/field-line.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import { HELD_BYTES } from './answer.ts'
import { AnswerPipe } from './answer-pipe.ts'
import type { RequestContext } from './context.ts'
import type { AnswerSink } from './exchange.ts'
import { Spool, type SpoolUser } from './spool.ts'
import type { Spools } from './spools.ts'

export type BufferedAnswerOwner = {
  /** The endpoint may go on, since the disk gets on. */
  onAnswerRoom(): void
  /** The client gets on. */
  onAnswerTaken(): void
}

/** Events and messages are to arrive at once, one after the other. */
const STREAM = /^(?:text\/event-stream|application\/grpc)/i

/** False for short answers and streams, and where the endpoint forbids it by X-Accel-Buffering, which is nginx's field. */
export function mayBufferAnswer({ lines, contentLength }: ResponseHead): boolean {
  if (contentLength !== undefined && contentLength <= HELD_BYTES) return false
  return (
    !STREAM.test(findField(lines, 'content-type') ?? '') && !/^no$/i.test(findField(lines, 'x-accel-buffering') ?? '')
  )
}

/** The forwarder writes to it, and it writes to the pipe or exchange that `leadTo` names. */
export class BufferedAnswer extends AnswerPipe implements SpoolUser {
  readonly #spools: Spools
  readonly #owner: BufferedAnswerOwner
  #sink: AnswerSink
  /** Undefined as long as the client was never too slow. */
  #spool: Spool | undefined = undefined
  /** Bytes go to the spool first, since the client is behind. */
  #isBehind = false
  /** The trailers of an answer that ended while the client was behind; undefined: the answer has not. */
  #trailers: readonly string[] | undefined = undefined

  constructor(context: RequestContext, spools: Spools, owner: BufferedAnswerOwner) {
    super(context)
    this.#spools = spools
    this.#owner = owner
    this.#sink = this.exchange
    this.listen()
  }

  /** What takes the answer from here. */
  leadTo(sink: AnswerSink): this {
    this.#sink = sink
    return this
  }

  /** False: the endpoint is to wait for `onAnswerRoom` or `onClientDrain`. */
  get hasRoom(): boolean {
    return this.#spool === undefined || this.#spool.hasRoom
  }

  get pendingBytes(): number {
    return (this.#spool?.waitingBytes ?? 0) + this.#sink.pendingBytes
  }

  /** False: the client is behind. */
  write(chunk: Buffer): boolean {
    if (this.#isBehind) {
      this.#spool ??= new Spool(this.#spools, this.context.clientNetwork, this, this.#spools.limits.answerDisk)
      this.#spool.write(chunk)
      return false
    }
    if (this.#pass(chunk)) return true
    if (this.#sink.pendingBytes >= HELD_BYTES) this.#isBehind = true
    return false
  }

  end(trailers: readonly string[]): void {
    if (this.#spool !== undefined && this.#spool.waitingBytes > 0) this.#trailers = trailers
    else this.#sink.end(trailers)
  }

  onClientDrain(): void {
    if (this.#spool !== undefined && this.#isBehind) this.#spool.resume()
    else {
      this.#isBehind = false
      this.events.onClientDrain()
    }
  }

  protected leave(): void {
    this.#spool?.drop()
  }

  #pass(chunk: Buffer): boolean {
    // What filters make of the bytes is counted where it comes out.
    if (this.#sink === this.exchange) this.context.bytesOut += chunk.length
    return this.#sink.write(chunk)
  }

  // SpoolUser

  takeSpooled(chunk: Buffer): boolean {
    const hasRoom = this.#pass(chunk)
    this.#owner.onAnswerTaken()
    return hasRoom || this.#sink.pendingBytes < HELD_BYTES
  }

  onSpoolEmpty(): void {
    this.#spool!.clear()
    this.#isBehind = false
    if (this.#trailers === undefined) this.events.onClientDrain()
    else this.#sink.end(this.#trailers)
  }

  onSpoolRoom(): void {
    this.#owner.onAnswerRoom()
  }

  /** The endpoint waits until the client has taken what is there. */
  onSpoolFull(): void {}

  /** The head has been sent. */
  onSpoolLost(error: Error): void {
    this.context.error = buffersFull(`the file of the answer cannot be read: ${String(error)}`)
    this.exchange.abort()
  }
}
