/** A request that waits for what a filter finds out: it has an owner meanwhile, who hears of the client leaving. */
import type { Socket } from 'node:net'
import { contain, explain } from '../base/contain.ts'
import type { GatewayError } from '../base/errors.ts'
import type { FilterOutcome, PendingOutcome } from '../filters/spec.ts'
import { HALF_CLOSED_MS, hangupWatch, type Sighting, type Unread } from '../platform/hangup-watch.ts'
import type { RequestContext } from './context.ts'
import { type ExchangeEvents, NOBODY } from './exchange.ts'

export type FilterWaitOwner = {
  /** Goes on with the request. */
  resume(outcome: FilterOutcome): void
  /** Answers the request with a failure. */
  fail(error: GatewayError): void
  /** The exchange has ended. */
  finish(): void
}

export class FilterWait implements ExchangeEvents, Unread {
  sighting: Sighting | undefined = undefined
  readonly #context: RequestContext
  readonly #pending: PendingOutcome
  readonly #owner: FilterWaitOwner
  #isOver = false

  constructor(context: RequestContext, pending: PendingOutcome, owner: FilterWaitOwner) {
    this.#context = context
    this.#pending = pending
    this.#owner = owner
  }

  start(): void {
    const { exchange } = this.#context
    exchange.events = this
    if (exchange.isUnread) this.onUnread()
    this.#pending.outcome.then(
      (outcome) => this.#conclude(() => this.#owner.resume(outcome)),
      (thrown) => this.#conclude(() => this.#owner.fail(explain(thrown))),
    )
  }

  // ExchangeEvents

  onClose(): void {
    this.#end()
    this.#pending.cancel()
    this.#owner.finish()
  }

  onClientDrain(): void {}

  onBroken(error: GatewayError): void {
    this.breakOff(error)
  }

  onUnread(): void {
    if (!this.#isOver) hangupWatch.add(this)
  }

  breakOff(error: GatewayError): void {
    if (this.#isOver) return
    this.#end()
    this.#pending.cancel()
    this.#owner.fail(error)
  }

  // Unread

  get isUnread(): boolean {
    return !this.#isOver && this.#context.exchange.isUnread
  }

  get clientSocket(): Socket | undefined {
    return this.#context.exchange.socket
  }

  get endpointSocket(): undefined {
    return undefined
  }

  onStill(sighting: Sighting): void {
    if (sighting.client?.isReset || sighting.hasClientLeft(HALF_CLOSED_MS)) this.#context.exchange.abort()
  }

  #conclude(proceed: () => void): void {
    if (this.#isOver) return
    this.#end()
    this.#context.exchange.events = NOBODY
    try {
      proceed()
    } catch (thrown) {
      contain('request', thrown, this.#context.exchange.events)
    }
  }

  #end(): void {
    this.#isOver = true
    hangupWatch.delete(this)
  }
}
