/** Requests of one upstream that wait while all of its endpoints are full: the first that came is the first that goes. */
import { contain, type Victim } from '../base/contain.ts'
import { GatewayError } from '../base/errors.ts'

/** A request that waits. */
export type QueuedRequest = Partial<Victim> & {
  /** At its last turn others had room, but not the one endpoint that it is held by: whoever is behind goes before. */
  readonly isHeld: boolean
  /** An endpoint may have a place: takes it and leaves the queue, or gives false and stays. */
  onTurn(): boolean
}

/** Longest that a client is told to stay away, seconds. */
const MAX_RETRY_AFTER = 60

export class RequestQueue {
  /** With the time at which each came, by the monotonic clock; in their order. */
  readonly #waiting = new Map<QueuedRequest, number>()
  /** How many wait. */
  size: number = 0
  #service: NodeJS.Immediate | undefined = undefined

  /** Whether somebody waits who goes before all that come now. */
  get isOrdered(): boolean {
    if (this.size > 0) for (const request of this.#waiting.keys()) if (!request.isHeld) return true
    return false
  }

  /** Waits from now on; the reason where `limit` do already. */
  enter(request: QueuedRequest, limit: number, now: number): GatewayError | undefined {
    if (this.size >= limit) return overloaded(`${this.size} requests wait already`, this.#oldestAge(now))
    this.#waiting.set(request, now)
    this.size = this.#waiting.size
    return undefined
  }

  /** Whoever does not wait may leave too. */
  leave(request: QueuedRequest): void {
    this.#waiting.delete(request)
    this.size = this.#waiting.size
  }

  /** A place may have become free. Whoever waits is asked at the end of this turn: by then its connection can be used again. */
  notify(): void {
    if (this.size === 0) return
    // Behind what each connection that was given back has put there for itself.
    if (this.#service !== undefined) clearImmediate(this.#service)
    this.#service = setImmediate(this.#serve)
  }

  #serve = (): void => {
    this.#service = undefined
    for (const request of this.#waiting.keys()) if (!this.#ask(request) && !request.isHeld) return
  }

  /** Whether it has left the queue. */
  #ask(request: QueuedRequest): boolean {
    try {
      return request.onTurn()
    } catch (thrown) {
      this.leave(request)
      contain('queue', thrown, request)
      return true
    }
  }

  /** Milliseconds: a request that came now would wait about as long. */
  #oldestAge(now: number): number {
    for (const since of this.#waiting.values()) return now - since
    return 0
  }
}

/** `waitMs`: how long it may take until there is room. */
export function overloaded(why: string, waitMs: number): GatewayError {
  const seconds = Math.min(Math.max(Math.ceil(waitMs / 1000), 1), MAX_RETRY_AFTER)
  return new GatewayError('PORTICO_UP_OVERLOADED', why, undefined, seconds)
}
