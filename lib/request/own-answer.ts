/** An answer that the gateway itself makes: a failure or a redirect, sent whole and watched until the client has taken it. */
import { contain } from '../base/contain.ts'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import type { GatewayError } from '../base/errors.ts'
import { type DraftHead, filterHead, openAnswerBody } from './answer.ts'
import type { RequestContext } from './context.ts'
import type { ExchangeEvents } from './exchange.ts'

/** The owner of answers. */
export type AnswerOwner = {
  readonly deadlines: DeadlineWatch
  /** The exchange has ended. */
  finish(context: RequestContext, complete: boolean): void
}

/** An answer that is there as a whole: the gateway's own, or an endpoint's error that was kept. */
export type WholeAnswer = Readonly<{
  status: number
  /** Field lines, without Content-Length. */
  lines: string
  body: Buffer | undefined
  /** What an endpoint's answer to HEAD declares (undefined: nothing). If it is left out, the length of the body is declared. */
  contentLength?: number | undefined
}>

/** Milliseconds that a client may take nothing, where there is no configuration yet that says so. */
const DEFAULT_STALL = 60_000

export class OwnAnswer implements ExchangeEvents, Timed {
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  readonly #owner: AnswerOwner
  readonly #context: RequestContext

  constructor(owner: AnswerOwner, context: RequestContext) {
    this.#owner = owner
    this.#context = context
  }

  send(head: DraftHead, body: Buffer | undefined): void {
    this.#context.exchange.events = this
    try {
      this.#begin(head, body)
    } catch (thrown) {
      // Another answer would pass the same filters.
      contain('request', thrown, this)
    }
  }

  #begin(head: DraftHead, body: Buffer | undefined): void {
    const context = this.#context
    const { exchange } = context
    const plan = filterHead(context, head, undefined)
    exchange.sendHead(head)
    const answer = openAnswerBody(context, plan)
    if (body && exchange.method !== 'HEAD') {
      if (answer === exchange) context.bytesOut = body.length
      answer.write(body)
    }
    answer.end([])
    if (context.isFinished || answer.pendingBytes === 0) return
    const stall = context.snapshot?.settings.timeouts.writeStall ?? DEFAULT_STALL
    this.deadlineAt = -stall
    this.#owner.deadlines.add(this)
  }

  onClose(complete: boolean): void {
    this.#owner.deadlines.delete(this)
    this.#owner.finish(this.#context, complete)
  }

  onClientDrain(): void {}

  /** The request is answered already, so a fault in the rest of it only costs the connection. */
  onBroken(_error: GatewayError): void {
    this.#context.exchange.abort()
  }

  onUnread(): void {}

  breakOff(error: GatewayError): void {
    this.#context.error = error
    this.#context.exchange.abort()
  }

  onDeadline(): void {
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#context.exchange.abort()
  }
}
