/** The body of an answer that one filter converts as it comes, in this thread. HOT */
import { containing } from '../base/contain.ts'
import type { GatewayError } from '../base/errors.ts'
import type { BodyCoder } from '../filters/spec.ts'
import type { RequestContext } from './context.ts'
import type { AnswerSink, Exchange, ExchangeEvents } from './exchange.ts'

/** Milliseconds. What an endpoint sends piece by piece, a client gets piece by piece. */
const FLUSH_AFTER = 20

/** It stands between the exchange and its owner. */
export class CodedAnswer implements AnswerSink, ExchangeEvents {
  readonly #context: RequestContext
  readonly #exchange: Exchange
  readonly #owner: ExchangeEvents
  readonly #coder: BodyCoder
  /** Bytes of the body that have not come; undefined: not known. */
  #left: number | undefined
  #hasRoom = true
  #timer: NodeJS.Timeout | undefined = undefined
  #isOver = false

  /** `length` is that of the body as it comes; undefined: it is not known. */
  constructor(context: RequestContext, coder: BodyCoder, length: number | undefined) {
    const { exchange } = context
    this.#context = context
    this.#exchange = exchange
    this.#owner = exchange.events
    this.#coder = coder
    this.#left = length
    exchange.events = this
  }

  // AnswerSink

  get pendingBytes(): number {
    return this.#exchange.pendingBytes
  }

  write(chunk: Buffer): boolean {
    if (this.#isOver) return true
    this.#hasRoom = true
    if (this.#left !== undefined) this.#left -= chunk.length
    if (this.#left === 0) {
      this.#coder.end(chunk, this.#give)
      this.#leave()
    } else {
      this.#coder.write(chunk, this.#give)
      this.#timer ??= setTimeout(this.#flush, FLUSH_AFTER)
    }
    return this.#hasRoom
  }

  end(trailers: readonly string[]): void {
    if (!this.#isOver) {
      this.#coder.end(undefined, this.#give)
      this.#leave()
    }
    this.#exchange.end(trailers)
  }

  // ExchangeEvents

  onClose(complete: boolean): void {
    this.#leave()
    this.#owner.onClose(complete)
  }

  onClientDrain(): void {
    this.#owner.onClientDrain()
  }

  onBroken(error: GatewayError): void {
    this.#owner.onBroken(error)
  }

  onUnread(): void {
    this.#owner.onUnread()
  }

  breakOff(error: GatewayError): void {
    this.#leave()
    this.#owner.breakOff(error)
  }

  #give = (lent: Buffer): void => {
    this.#context.bytesOut += lent.length
    if (!this.#exchange.write(lent)) this.#hasRoom = false
  }

  #flush = containing('filter', this, () => {
    this.#timer = undefined
    if (!this.#isOver) this.#coder.flush(this.#give)
  })

  #leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#coder.close()
  }
}
