/** Bodies on their way through the streams of filters: held where the next part is held, and never whole if they were cut. HOT */
import type { Duplex } from 'node:stream'
import { containing, explain, type Victim } from '../base/contain.ts'
import { GatewayError } from '../base/errors.ts'
import type { StreamMaker } from '../filters/spec.ts'
import type { Exchange } from './exchange.ts'

/** What comes out of a transform. */
export type TransformEvents = Victim & {
  onOutput(chunk: Buffer): void
  /** The input has ended, and all that it became has come out. */
  onOutputEnd(): void
  /** `write` may be called again after it returned false. */
  onInputDrain(): void
  /** A stream has failed, so the message cannot become whole. */
  onFault(error: GatewayError): void
}

export class BodyTransform {
  readonly #streams: readonly Duplex[]
  readonly #first: Duplex
  readonly #last: Duplex
  readonly #events: TransformEvents
  #isOver = false

  /** `makers` are at least one, in the order in which the bytes pass their streams. */
  constructor(makers: readonly StreamMaker[], events: TransformEvents) {
    const streams = makeStreams(makers)
    const last = streams[streams.length - 1]!
    this.#streams = streams
    this.#first = streams[0]!
    this.#last = last
    this.#events = events
    for (const [at, stream] of streams.entries()) {
      if (stream !== last) stream.pipe(streams[at + 1]!)
      this.#listen(stream, 'error', (error: Error) => this.#fail(error))
      this.#listen(stream, 'close', () => this.#onStreamClose(stream))
    }
    this.#listen(this.#first, 'drain', () => this.#events.onInputDrain())
    this.#listen(last, 'end', () => this.#onEnd())
    this.#listen(last, 'data', (chunk: Buffer) => this.#events.onOutput(chunk))
  }

  /** Bytes that have come and are not out yet; at least 1 before the end. */
  get heldBytes(): number {
    if (this.#isOver) return 0
    let bytes = 1
    for (const { readableLength, writableLength } of this.#streams) bytes += readableLength + writableLength
    return bytes
  }

  /** The chunk is lent, and a stream may need it later: it is copied. False: wait for `onInputDrain`. */
  write(chunk: Buffer): boolean {
    return this.#isOver || this.#first.write(Buffer.from(chunk))
  }

  end(): void {
    if (!this.#isOver) this.#first.end()
  }

  /** Nothing comes out until `resume`. */
  pause(): void {
    this.#last.pause()
  }

  resume(): void {
    if (!this.#isOver) this.#last.resume()
  }

  /** Nothing is heard afterwards. */
  destroy(): void {
    this.#isOver = true
    for (const stream of this.#streams) stream.destroy()
  }

  #listen<Arguments extends unknown[]>(stream: Duplex, name: string, run: (...given: Arguments) => void): void {
    const listener = containing('filter', this.#events, (...given: Arguments) => {
      if (!this.#isOver) run(...given)
    })
    stream.on(name, listener as (...given: unknown[]) => void)
  }

  /** Input that a stream has not taken may be cut yet, or its bytes be missing: what came of it before must not look whole. */
  #onEnd(): void {
    if (this.#streams.some(({ writableEnded, writableLength }) => !writableEnded || writableLength > 0)) {
      this.#fail(new Error('the stream of a filter ended before its input'))
      return
    }
    this.destroy()
    this.#events.onOutputEnd()
  }

  #onStreamClose(stream: Duplex): void {
    if (!stream.readableEnded) this.#fail(new Error('the stream of a filter closed before its end'))
  }

  #fail(error: Error): void {
    this.destroy()
    this.#events.onFault(error instanceof GatewayError ? error : explain(error))
  }
}

/** If one maker throws, the streams of those before it are of no use. */
function makeStreams(makers: readonly StreamMaker[]): readonly Duplex[] {
  const streams: Duplex[] = []
  try {
    for (const make of makers) streams.push(make())
  } catch (thrown) {
    for (const stream of streams) stream.destroy()
    throw thrown
  }
  return streams
}

/** The side that sends a request body on. */
export type BodyTaker = Victim & {
  /** Takes a chunk of the body as it is after the filters. */
  takeBody(chunk: Buffer): void
  /** The body is whole. */
  endBody(): void
  fail(error: GatewayError): void
}

/** A request body that filters transform: the client is held while they are, and they are held while the endpoint is. */
export class TransformedBody implements TransformEvents {
  readonly #transform: BodyTransform
  readonly #exchange: Exchange
  readonly #taker: BodyTaker

  constructor(makers: readonly StreamMaker[], exchange: Exchange, taker: BodyTaker) {
    this.#exchange = exchange
    this.#taker = taker
    this.#transform = new BodyTransform(makers, this)
  }

  /** A chunk of the client's. False: the client is held. */
  write(chunk: Buffer): boolean {
    const hasRoom = this.#transform.write(chunk)
    if (!hasRoom) this.#exchange.pauseBody()
    return hasRoom
  }

  end(): void {
    this.#transform.end()
  }

  pauseBody(): void {
    this.#transform.pause()
  }

  resumeBody(): void {
    this.#transform.resume()
  }

  destroy(): void {
    this.#transform.destroy()
  }

  // TransformEvents

  onOutput(chunk: Buffer): void {
    this.#taker.takeBody(chunk)
  }

  onOutputEnd(): void {
    this.#taker.endBody()
  }

  onInputDrain(): void {
    this.#exchange.resumeBody()
  }

  onFault(error: GatewayError): void {
    this.#taker.fail(error)
  }

  breakOff(error: GatewayError): void {
    this.#taker.breakOff(error)
  }
}
