/**
 * Requests of one upstream that wait while all of its endpoints are full. The client that holds least goes first, those that hold
 * as much take turns; of one client's, the request that came first, or in overload the one that came last.
 */
import { contain, type Victim } from '../../base/contain.ts'
import { type GatewayError, overloaded } from '../../base/errors.ts'
import type { ClientShare, ClientShares } from './client-share.ts'

/** A request that waits. */
export type QueuedRequest = Partial<Victim> & {
  /** Its client's. */
  readonly share: ClientShare
  /** True if at its last turn its own endpoint, or its client's share, had no room although others had: requests behind it go first. */
  readonly isHeld: boolean
  /** An endpoint may have a place: takes it and leaves the queue, or gives false and stays. */
  onTurn(): boolean
  /** Its place in the queue was given to a client with fewer; it has left. */
  onOvertaken(error: GatewayError): void
}

type Entry = Readonly<{ request: QueuedRequest; since: number; patienceMs: number }>

/** Milliseconds between two looks at whether clients that hold too much have requests that only wait for them. */
const RELIEF_MS = 100

export class RequestQueue {
  /** In the order in which they came. */
  readonly #waiting = new Map<QueuedRequest, Entry>()
  readonly #shares: ClientShares
  readonly #now: () => number
  /** How many wait. */
  size: number = 0
  /** Clients that have some waiting. */
  #clients = 0
  #service: NodeJS.Immediate | undefined = undefined
  #relief: NodeJS.Timeout | undefined = undefined

  /** `now` is the monotonic clock. */
  constructor(shares: ClientShares, now: () => number) {
    this.#shares = shares
    this.#now = now
  }

  /** True if requests queued earlier must go first. */
  get isOrdered(): boolean {
    if (this.size > 0)
      for (const request of this.#waiting.keys()) if (!request.isHeld && this.#shares.admits(request.share)) return true
    return false
  }

  /** Waits from now on, `patienceMs` at most; the reason where `limit` do already. */
  enter(request: QueuedRequest, limit: number, patienceMs: number): GatewayError | undefined {
    const now = this.#now()
    if (this.size >= limit && !this.#overtake(request, now)) return this.#explainFull(now)
    this.#waiting.set(request, { request, since: now, patienceMs })
    if (request.share.waiting++ === 0) this.#clients++
    this.size = this.#waiting.size
    this.#relief ??= setTimeout(this.#relieve, 0).unref()
    return undefined
  }

  /** A request that does not wait may be given too. */
  leave(request: QueuedRequest): void {
    if (!this.#waiting.delete(request)) return
    if (--request.share.waiting === 0) this.#clients--
    this.size = this.#waiting.size
    if (this.size > 0) return
    clearTimeout(this.#relief)
    this.#relief = undefined
  }

  /** A place may have become free. Waiting requests are asked at the end of this turn, when its connection can be used again. */
  notify(): void {
    if (this.size === 0) return
    // Behind what each connection that was given back has put there for itself.
    if (this.#service !== undefined) clearImmediate(this.#service)
    this.#service = setImmediate(this.#serve)
  }

  #serve = (): void => {
    this.#service = undefined
    /** Those that had their turn. */
    const passed = new Set<QueuedRequest>()
    for (let next = this.#choose(passed); next !== undefined; next = this.#choose(passed)) {
      if (this.#ask(next)) continue
      if (!next.isHeld) return
      passed.add(next)
    }
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

  #choose(passed: ReadonlySet<QueuedRequest>): QueuedRequest | undefined {
    const isOverloaded = this.#isOverloaded()
    let chosen: QueuedRequest | undefined
    for (const request of this.#waiting.keys()) {
      if (passed.has(request) || !this.#shares.admits(request.share)) continue
      const order = chosen === undefined ? -1 : compareShares(request.share, chosen.share)
      if (order < 0 || (order === 0 && isOverloaded)) chosen = request
      if (this.#clients === 1 && !isOverloaded) break
    }
    return chosen
  }

  /**
   * When somebody has waited half of the time that is allowed, more comes than goes. All who are served in their order would
   * then have waited long, and many for nothing, since clients give up: the newest are served in time (adaptive LIFO).
   */
  #isOverloaded(): boolean {
    for (const { since, patienceMs } of this.#waiting.values()) return (this.#now() - since) * 2 > patienceMs
    return false
  }

  /** Lets a request into a full queue in the place of the newest one of the client that has most there, if that is more. */
  #overtake({ share }: QueuedRequest, now: number): boolean {
    // A client that has the average or more overtakes no other.
    if (this.size === 0 || share.waiting * this.#clients >= this.size) return false
    let newest: QueuedRequest | undefined
    for (const request of this.#waiting.keys()) {
      if (newest === undefined || request.share.waiting >= newest.share.waiting) newest = request
    }
    if (newest === undefined || newest.share.waiting <= share.waiting + 1) return false
    this.leave(newest)
    newest.onOvertaken(this.#explainFull(now))
    return true
  }

  #explainFull(now: number): GatewayError {
    return overloaded(`${this.size} requests wait already`, this.#oldestAge(now))
  }

  #relieve = (): void => {
    let wanted = 0
    for (const { share } of this.#waiting.keys()) if (this.#shares.isShort(share)) wanted++
    if (wanted > 0) this.#shares.relieve(wanted, this.#now())
    this.#relief = this.size === 0 ? undefined : setTimeout(this.#relieve, RELIEF_MS).unref()
  }

  /** Milliseconds: a request that came now would wait about as long. */
  #oldestAge(now: number): number {
    for (const { since } of this.#waiting.values()) return now - since
    return 0
  }
}

/** Below 0 where a request of `a` goes before one of `b`. */
function compareShares(a: ClientShare, b: ClientShare): number {
  return a.held - b.held || a.lastTurn - b.lastTurn
}
