/** How every answer begins, an endpoint's and the gateway's own: the filters of its route change the head, and may transform the body. HOT */
import type { GatewayError } from '../base/errors.ts'
import type { StreamMaker } from '../filters/spec.ts'
import { BodyTransform, type TransformEvents } from './body-transform.ts'
import type { RequestContext } from './context.ts'
import type { AnswerHead, Exchange, ExchangeEvents } from './exchange.ts'

/** Takes the body of an answer. */
export type AnswerSink = Pick<Exchange, 'write' | 'end' | 'pendingBytes'>

/** A head that the filters of the route have seen. */
export type FilteredHead = AnswerHead & Readonly<{ bodyStreams?: readonly StreamMaker[] }>

/** The field lines after the filters of the route, for an answer that switches protocols. */
export function filterSwitch(context: RequestContext, lines: string): string {
  const head = { status: 101, lines }
  context.served!.filters?.changeResponse(head, context)
  return head.lines
}

/** The head after the filters of the route. */
export function filterHead(context: RequestContext, head: AnswerHead): FilteredHead {
  const filters = context.served?.filters
  if (filters === undefined) return head
  const changed = { ...head }
  filters.changeResponse(changed, context)
  const { status, contentLength } = head
  const isBodiless = contentLength === 0 || status === 204 || status === 304
  const makers = isBodiless ? undefined : filters.transformResponse(changed, context)
  if (makers === undefined) return changed
  // The length is not known. An answer to HEAD must not declare another than GET would (RFC 9110 §8.6).
  const transformed = { ...changed, contentLength: undefined }
  return context.exchange.method === 'HEAD' ? transformed : { ...transformed, bodyStreams: makers }
}

/** What takes the body, once the head has been sent. */
export function openAnswerBody(context: RequestContext, { bodyStreams }: FilteredHead): AnswerSink {
  return bodyStreams === undefined ? context.exchange : new TransformedAnswer(context, bodyStreams)
}

/** The body of an answer that filters transform: it stands between the exchange and its owner. */
class TransformedAnswer implements AnswerSink, ExchangeEvents, TransformEvents {
  readonly #context: RequestContext
  readonly #exchange: Exchange
  readonly #owner: ExchangeEvents
  readonly #transform: BodyTransform
  #trailers: readonly string[] = []

  constructor(context: RequestContext, makers: readonly StreamMaker[]) {
    const { exchange } = context
    this.#context = context
    this.#exchange = exchange
    this.#owner = exchange.events
    this.#transform = new BodyTransform(makers, this)
    exchange.events = this
  }

  // AnswerSink

  get pendingBytes(): number {
    return this.#transform.heldBytes + this.#exchange.pendingBytes
  }

  write(chunk: Buffer): boolean {
    return this.#transform.write(chunk)
  }

  end(trailers: readonly string[]): void {
    this.#trailers = trailers
    this.#transform.end()
  }

  // TransformEvents

  onOutput(chunk: Buffer): void {
    this.#context.bytesOut += chunk.length
    if (!this.#exchange.write(chunk)) this.#transform.pause()
  }

  onOutputEnd(): void {
    this.#exchange.end(this.#trailers)
  }

  onInputDrain(): void {
    this.#owner.onClientDrain()
  }

  /** The head has been sent. */
  onFault(error: GatewayError): void {
    this.#context.error = error
    this.#exchange.abort()
  }

  // ExchangeEvents

  onClose(complete: boolean): void {
    this.#transform.destroy()
    this.#owner.onClose(complete)
  }

  onClientDrain(): void {
    this.#transform.resume()
  }

  onBroken(error: GatewayError): void {
    this.#owner.onBroken(error)
  }

  onUnread(): void {
    this.#owner.onUnread()
  }

  breakOff(error: GatewayError): void {
    this.#transform.destroy()
    this.#owner.breakOff(error)
  }
}
