/** The body of an answer that passes the streams of filters. HOT */
import type { GatewayError } from '../base/errors.ts'
import type { StreamMaker } from '../filters/spec.ts'
import { AnswerPipe } from './answer-pipe.ts'
import { BodyTransform, type TransformEvents } from './body-transform.ts'
import type { RequestContext } from './context.ts'

export class TransformedAnswer extends AnswerPipe implements TransformEvents {
  readonly #transform: BodyTransform
  #trailers: readonly string[] = []

  /** `makers` are at least one. */
  constructor(context: RequestContext, makers: readonly StreamMaker[]) {
    super(context)
    this.#transform = new BodyTransform(makers, this)
    this.listen()
  }

  get pendingBytes(): number {
    return this.#transform.heldBytes + this.exchange.pendingBytes
  }

  write(chunk: Buffer): boolean {
    return this.#transform.write(chunk)
  }

  end(trailers: readonly string[]): void {
    this.#trailers = trailers
    this.#transform.end()
  }

  onClientDrain(): void {
    this.#transform.resume()
  }

  protected leave(): void {
    this.#transform.destroy()
  }

  // TransformEvents

  onOutput(chunk: Buffer): void {
    this.context.bytesOut += chunk.length
    if (!this.exchange.write(chunk)) this.#transform.pause()
  }

  onOutputEnd(): void {
    this.exchange.end(this.#trailers)
  }

  onInputDrain(): void {
    this.events.onClientDrain()
  }

  /** The head has been sent. */
  onFault(error: GatewayError): void {
    this.context.error = error
    this.exchange.abort()
  }
}
