/**
 * The circuit breaker of one upstream in one process. Closed, it lets all tries through and counts failures. Open, it lets none
 * through. Half-open, it lets a few through, and their answers close or open it.
 */
import { GatewayError } from '../../base/errors.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import { SlidingWindow } from '../endpoint/sliding-window.ts'

export type CircuitState = 'closed' | 'open' | 'half-open'

/** A change of state, and why. */
export type CircuitFlip = Readonly<{ upstream: UpstreamKey; state: CircuitState; reason: string }>

type CircuitPolicy = UpstreamPolicy['circuit']

export type CircuitLimits = Readonly<{
  /** Failures are counted over this time. */
  windowMs: number
  /** Longest time that an open circuit stays open. */
  maxOpenMs: number
  /** So many good answers close a half-open circuit. */
  probes: number
}>

const LIMITS: CircuitLimits = { windowMs: 10_000, maxOpenMs: 60_000, probes: 3 }

/** Times are milliseconds by the monotonic clock. */
export class Circuit {
  readonly #key: UpstreamKey
  readonly #onFlip: (flip: CircuitFlip) => void
  readonly #limits: CircuitLimits
  #policy: CircuitPolicy
  #window: SlidingWindow
  #state: CircuitState = 'closed'
  /** The number of the current state. Tries let through in an earlier state decide nothing now. */
  #era = 0
  #openUntil = 0
  /** How often it opened again since it was closed. */
  #reopened = 0
  /** Of a half-open circuit: tries under way, and tries answered well. */
  #probing = 0
  #good = 0
  /** When the last of these tries was let through. */
  #probedAt = 0

  constructor(
    key: UpstreamKey,
    policy: CircuitPolicy,
    onFlip: (flip: CircuitFlip) => void,
    limits: CircuitLimits = LIMITS,
  ) {
    this.#key = key
    this.#policy = policy
    this.#onFlip = onFlip
    this.#limits = limits
    this.#window = new SlidingWindow(limits.windowMs)
  }

  get state(): CircuitState {
    return this.#state
  }

  /** The policy changes; the state stays. */
  update(policy: CircuitPolicy): void {
    this.#policy = policy
  }

  /** Lets a try through, or says why not. The ticket is to be given to either `settle` or `abandon`. */
  admit(now: number): number | GatewayError {
    if (this.#state === 'open' && now >= this.#openUntil) this.#flip('half-open', 'its time is over')
    if (this.#state === 'closed') return this.#era
    if (this.#state === 'open') return this.#refuse(this.#openUntil - now)
    if (this.#probing + this.#good >= this.#limits.probes) {
      if (now < this.#probedAt + this.#policy.openTime) return this.#refuse(0)
      // Slow clients may hold these tries up without end: further tries decide in their place.
      this.#era++
      this.#probing = 0
    }
    this.#probing++
    this.#probedAt = now
    return this.#era
  }

  /** A try was answered, well or not, or failed. */
  settle(ticket: number, isGood: boolean, now: number): void {
    if (ticket !== this.#era) return
    if (this.#state === 'half-open') this.#settleProbe(isGood, now)
    else if (this.#state === 'closed') this.#count(isGood, now)
  }

  /** A try ended and says nothing about the upstream. */
  abandon(ticket: number): void {
    if (ticket === this.#era && this.#state === 'half-open') this.#probing--
  }

  /** Closes it, whatever it has seen; false where it was closed. */
  close(reason: string): boolean {
    if (this.#state === 'closed') return false
    this.#reopened = 0
    this.#window = new SlidingWindow(this.#limits.windowMs)
    this.#flip('closed', reason)
    return true
  }

  #count(isGood: boolean, now: number): void {
    const window = this.#window
    window.turn(now)
    window.countAll()
    if (isGood) return
    window.countSome()
    const { errorRate, minimumRequests } = this.#policy
    const { all, some } = window
    if (all >= minimumRequests && some * 100 >= all * errorRate) this.#open(now, `${some} of ${all} tries failed`)
  }

  #settleProbe(isGood: boolean, now: number): void {
    this.#probing--
    if (!isGood) {
      this.#reopened++
      this.#open(now, 'a try failed again')
      return
    }
    this.#good++
    if (this.#good < this.#limits.probes) return
    this.close(`${this.#good} tries were answered well`)
  }

  #open(now: number, why: string): void {
    const { openTime } = this.#policy
    const time = Math.max(openTime, Math.min(openTime * 2 ** this.#reopened, this.#limits.maxOpenMs))
    this.#openUntil = now + time
    this.#flip('open', `${why}; no requests for ${time / 1000} s`)
  }

  #flip(state: CircuitState, reason: string): void {
    this.#state = state
    this.#era++
    this.#probing = 0
    this.#good = 0
    this.#onFlip({ upstream: this.#key, state, reason })
  }

  #refuse(waitMs: number): GatewayError {
    const seconds = Math.max(1, Math.ceil(waitMs / 1000))
    return new GatewayError('PORTICO_UP_CIRCUIT_OPEN', `${this.#key}: the circuit is ${this.#state}`, undefined, {
      retryAfter: seconds,
    })
  }
}
