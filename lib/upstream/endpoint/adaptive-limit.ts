/**
 * Finds how many requests at once an endpoint is worth sending, while more come than it can answer. Beyond some number most endpoints
 * answer no more requests a second, only later ones. While requests wait for a full endpoint, the limit goes to the lowest
 * number at which it was seen to answer about as many as it does now. It goes away when no request waits any more, and where the
 * endpoint turns out to answer fewer requests for it. HOT
 */

/** What one sample sees. */
export type LoadSample = Readonly<{
  /** By the monotonic clock, milliseconds. */
  now: number
  /** Requests that were sent and not answered yet. */
  unanswered: number
  /** Requests that were answered, or will not be, in all. */
  answered: number
  /** As many as it may have without this limit. */
  capacity: number
  /** Requests wait for a place. */
  isWanted: boolean
  /** It has none to give. */
  isFull: boolean
}>

/** Milliseconds between two samples. */
export const SAMPLE_MS = 250
/** Fewer requests at once are never too many. */
export const LEAST_LIMIT = 16
/** An endpoint that answers sooner is not overloaded, one that answers later may have been asked to wait, milliseconds. */
const SHORT_WAIT_MS = 250
const LONG_WAIT_MS = 10_000
/** Answers a second that count as about as many, and as many fewer. */
const ABOUT = 0.9
const FEWER = 0.7
/** So many samples in a row say something. */
const ENOUGH = 3
/** So many samples long a higher limit is tried, and that often. */
const TRIAL = 4
const TRIAL_EVERY = 40
/** A higher limit is worth it where it brings this much more. */
const MORE = 1.15
/** A limit that cost answers is not set again so soon, milliseconds. */
const SPARED_MS = 60_000
/** Weight of the newest sample in an average. */
const WEIGHT = 0.4

export class AdaptiveLimit {
  /** Requests at once; `Infinity` where the endpoint is left to itself. */
  value: number = Number.POSITIVE_INFINITY
  /** Answers a second by the binary logarithm of the requests that were under way. */
  #rates: number[] = []
  #rate = 0
  #sampledAt = -1
  #answered = 0
  /** Samples in a row in which it was full and requests waited, and in which none waited. */
  #full = 0
  #free = 0
  /** Answers a second when the limit was set. */
  #rateBefore = 0
  #samplesSince = 0
  /** Under a trial: the limit before, and its rate. */
  #trial: Readonly<{ limit: number; rate: number }> | undefined = undefined
  #sparedUntil = 0

  /** To be called about every SAMPLE_MS while there is much to do; `value` holds from then on. */
  sample({ now, unanswered, answered, capacity, isWanted, isFull }: LoadSample): void {
    const elapsed = now - this.#sampledAt
    const done = answered - this.#answered
    const isFirst = this.#sampledAt < 0 || elapsed > 4 * SAMPLE_MS
    this.#sampledAt = now
    this.#answered = answered
    // Of a pause nothing can be said.
    if (isFirst) return
    const rate = (done * 1000) / elapsed
    this.#rate += WEIGHT * (rate - this.#rate)
    const level = Math.floor(Math.log2(Math.max(unanswered, 1)))
    const known = this.#rates[level]
    this.#rates[level] = known === undefined ? rate : known + WEIGHT * (rate - known)
    this.#full = isFull && isWanted ? this.#full + 1 : 0
    this.#free = isWanted ? 0 : this.#free + 1
    if (this.value < Number.POSITIVE_INFINITY) this.#follow(now, unanswered, capacity)
    else if (this.#full >= ENOUGH && now >= this.#sparedUntil) this.#lower(unanswered)
  }

  /** False where it has to do what it is asked to do. */
  #lower(unanswered: number): boolean {
    // By Little's law, as they wait on average.
    const waitMs = (unanswered * 1000) / this.#rate
    if (waitMs < SHORT_WAIT_MS || waitMs > LONG_WAIT_MS || unanswered < 2 * LEAST_LIMIT) return false
    const current = Math.floor(Math.log2(unanswered))
    const level = this.#rates.findIndex((rate) => rate !== undefined && rate >= this.#rate * ABOUT)
    // Where it was never seen with fewer, half as many show what it does then.
    const isUnknown = this.#rates[current - 1] === undefined
    const limit = isUnknown && level === current ? unanswered / 2 : 2 ** (level + 1)
    if (level < 0 || limit > unanswered / 2) return false
    if (this.value === Number.POSITIVE_INFINITY) this.#rateBefore = this.#rate
    this.#set(Math.max(LEAST_LIMIT, Math.ceil(limit)))
    return true
  }

  #follow(now: number, unanswered: number, capacity: number): void {
    this.#samplesSince++
    if (this.#trial) {
      if (this.#samplesSince < TRIAL) return
      const { limit, rate } = this.#trial
      this.#trial = undefined
      if (this.#rate < rate * MORE) this.#set(limit)
    } else if (this.#full >= 2 * ENOUGH && this.#rate < this.#rateBefore * FEWER) {
      // What was seen before holds no longer.
      this.#rates = []
      this.#sparedUntil = now + SPARED_MS
      this.#set(Number.POSITIVE_INFINITY)
    } else if (this.#free >= ENOUGH) this.#raise(capacity)
    else if (this.#full >= 2 * ENOUGH && this.#rate >= this.#rateBefore * ABOUT && this.#lower(unanswered)) return
    else if (this.#full >= TRIAL_EVERY && this.#samplesSince >= TRIAL_EVERY) {
      this.#trial = { limit: this.value, rate: this.#rate }
      this.#set(Math.ceil(this.value * 1.5))
    }
  }

  #raise(capacity: number): void {
    const limit = Math.ceil(this.value * 1.25)
    this.#set(limit >= capacity ? Number.POSITIVE_INFINITY : limit)
  }

  #set(limit: number): void {
    this.value = limit
    this.#samplesSince = 0
    this.#full = 0
    this.#free = 0
  }
}
