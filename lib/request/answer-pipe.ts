/** A part of the way that the body of an answer takes: it stands between the exchange and the owner of the exchange. HOT */
import type { GatewayError } from '../base/errors.ts'
import type { RequestContext } from './context.ts'
import type { AnswerSink, Exchange, ExchangeEvents } from './exchange.ts'

export abstract class AnswerPipe implements AnswerSink, ExchangeEvents {
  protected readonly context: RequestContext
  protected readonly exchange: Exchange
  /** The owner's. */
  protected readonly events: ExchangeEvents
  abstract readonly pendingBytes: number

  constructor(context: RequestContext) {
    this.context = context
    this.exchange = context.exchange
    this.events = context.exchange.events
  }

  /** From now on it hears of the exchange, and tells the owner. Constructors end with it, so that nothing half made is told anything. */
  protected listen(): void {
    this.exchange.events = this
  }

  abstract write(chunk: Buffer): boolean

  abstract end(trailers: readonly string[]): void

  abstract onClientDrain(): void

  /** Gives back what the body takes, since nothing more of it passes. It may be called more than once. */
  protected abstract leave(): void

  onClose(complete: boolean): void {
    this.leave()
    this.events.onClose(complete)
  }

  onBroken(error: GatewayError): void {
    this.events.onBroken(error)
  }

  onUnread(): void {
    this.events.onUnread()
  }

  breakOff(error: GatewayError): void {
    this.leave()
    this.events.breakOff(error)
  }
}
