/**
 * How long an endpoint leaves idle connections open, as far as it says or was seen. A request that meets the closing of one is
 * lost, and may not be sent again unless it means the same twice (RFC 9110 §9.2.2); so others take no connection that may be
 * about to close.
 */
import type { Connection } from './connection.ts'

/** Where nothing was seen, and nothing is said: less than servers have as their default. */
const UNSURE_MS = 1_000
/** What was seen once may have been a restart; a habit shows again. */
const FORGET_MS = 60_000

export class IdleHabit {
  /** Milliseconds: the shortest time after which it closed an idle connection. */
  #shortest = Number.POSITIVE_INFINITY
  #seenAt = 0

  /** It closed a connection that had been idle for so long; `now` by the monotonic clock. */
  note(idleMs: number, now: number): void {
    if (idleMs < this.#shortest || now - this.#seenAt > FORGET_MS) this.#shortest = idleMs
    // So that the shortest of some that differ a little is not forgotten.
    else if (idleMs > this.#shortest * 2) return
    this.#seenAt = now
  }

  forget(): void {
    this.#shortest = Number.POSITIVE_INFINITY
  }

  /** Whether it leaves this connection open for now; `now` by the monotonic clock. */
  spares(connection: Connection, now: number): boolean {
    const idleMs = now - connection.idleSince
    const seen = now - this.#seenAt > FORGET_MS ? Number.POSITIVE_INFINITY : this.#shortest
    // It is about to close one long before others see it closed: the way there takes its time.
    if (idleMs > Math.min(connection.idleLimit, seen / 2)) return false
    // A private one is worth more: without it the client has to authenticate anew.
    const isUnsure = connection.idleLimit === Number.POSITIVE_INFINITY && !connection.isPrivate
    return !isUnsure || idleMs <= UNSURE_MS
  }
}
