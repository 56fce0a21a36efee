/**
 * Finds how many requests at once an endpoint is worth sending, while more come than it can answer. Beyond some number most endpoints
 * answer no more requests a second, only later ones. Two signs tell that an endpoint is beyond it: it answers as many a second as before,
 * but each of them later than those before; or it is full and requests wait for it. Then the limit goes to what it answers in a short
 * time, and further down to the lowest number at which it was seen to answer about as many as it does now. It goes away when no
 * request waits any more, and where the endpoint turns out to answer fewer requests for it. HOT
 */

/** What one sample sees. */
export type LoadSample = Readonly<{
  /** By the monotonic clock, milliseconds. */
  now: number
  /** Requests that were sent and not answered yet. */
  unanswered: number
  /** Requests that were answered, in all. A request whose client has gone is not: it would make the endpoint seem quicker than it is. */
  answered: number
  /** Milliseconds that the quickest answer since the last sample took; `Infinity` where none came. */
  quickestMs: number
  /** As many as it may have without this limit. */
  capacity: number
  /** Requests wait for a place. */
  isWanted: boolean
  /** It has none to give. */
  isFull: boolean
}>

/** The endpoint before its answers came later and later. */
type Base = { quickestMs: number; unanswered: number; best: number; age: number }

/** While a higher limit is tried for so many samples: the one before, and its answers a second. */
type Trial = Readonly<{ limit: number; rate: number; samples: number }>

/** Milliseconds between two samples. */
export const SAMPLE_MS = 100
/** Between two samples that are further apart the gateway itself was held up, milliseconds. */
const GAP_MS = 3 * SAMPLE_MS
/** Fewer requests at once are never too many. */
export const LEAST_LIMIT = 16
/** An endpoint that answers sooner is not overloaded, one that answers later may have been asked to wait, milliseconds. */
const SHORT_WAIT_MS = 250
const LONG_WAIT_MS = 10_000
/** Where none wait yet, requests are taken for too many only when they would wait so long for their answers, milliseconds. */
const CERTAIN_WAIT_MS = 500
/** Of fewer answers the quickest says nothing. */
const FEW = 8
/** Then it gets what it answers in this time, milliseconds. */
const GIVEN_MS = 400
/** Answers that take this much longer come later than before. */
const LATER = 1.5
/** Samples for which they did, and samples after which an endpoint that is no slower by then is looked at anew. */
const LATER_FOR = 2
const LATER_WITHIN = 16
/** Answers a second that count as about as many, and as many fewer. */
const ABOUT = 0.9
const FEWER = 0.7
const MUCH_FEWER = 0.5
/** After so many samples an endpoint that is new to load does not get faster any more. */
const USED_TO_LOAD = 50
/** What is left of the most answers a second after a sample: half in five seconds. */
const BEST_LEFT = 0.985
/** So many samples in a row say something. */
const ENOUGH = 3
/** After so many samples the average holds little of the first. */
const SETTLED = 6
/** A limit that cost nothing in so many samples in a row was right; one that cost answers in so many in a row is right no longer. */
const PROVEN = 20
/** So many samples long a higher limit is tried at least, and that often. */
const TRIAL = 8
const TRIAL_EVERY = 100
/** A higher limit is worth it where it brings this much more. */
const MORE = 1.15
/** A limit that cost answers is not set again so soon; twice as long each time that it did so in a row, milliseconds. */
const SPARED_MS = 2_000
const MOST_SPARED_MS = 8_000
/** Weight of the newest sample in an average. */
const WEIGHT = 0.3

export class AdaptiveLimit {
  /** Requests at once; `Infinity` where the endpoint is left to itself. */
  value: number = Number.POSITIVE_INFINITY
  /** Answers a second by the binary logarithm of the requests that were under way. */
  #rates: number[] = []
  #rate = 0
  /** The most answers a second that it gave of late. */
  #best = 0
  /** Samples that were taken. */
  #seen = 0
  /** Samples since the last pause. */
  #since = 0
  #sampledAt = Number.NEGATIVE_INFINITY
  #answered = 0
  /** Undefined after a pause. */
  #base: Base | undefined = undefined
  /** Answers that came since the quickest of them was last looked at, and milliseconds that it took. */
  #heard = 0
  #quickestMs = Number.POSITIVE_INFINITY
  /** Samples in a row without an answer. */
  #silent = 0
  /** Samples in a row in which it was full and requests waited, and in which none waited. */
  #full = 0
  #free = 0
  /** Answers a second when the limit was set. */
  #rateBefore = 0
  #samplesSince = 0
  /** Samples in a row in which the limit cost answers, and in which it cost none; PROVEN of the latter stay until it is given up. */
  #costly = 0
  #good = 0
  #trial: Trial | undefined = undefined
  #sparedUntil = 0
  #sparedMs = SPARED_MS

  /** To be called about every SAMPLE_MS while there is much to do; `value` holds from then on. */
  sample({ now, unanswered, answered, quickestMs, capacity, isWanted, isFull }: LoadSample): void {
    const elapsed = now - this.#sampledAt
    const done = answered - this.#answered
    this.#sampledAt = now
    this.#answered = answered
    // Of a pause nothing can be said.
    if (elapsed > GAP_MS) {
      this.#pause()
      return
    }
    const rate = (done * 1000) / elapsed
    this.#rate = this.#since === 0 ? rate : this.#rate + WEIGHT * (rate - this.#rate)
    this.#best *= BEST_LEFT
    // A few samples may be those of a burst.
    if (++this.#since > SETTLED) this.#best = Math.max(this.#best, this.#rate)
    this.#seen++
    const level = Math.floor(Math.log2(Math.max(unanswered, 1)))
    const known = this.#rates[level]
    this.#rates[level] = known === undefined ? rate : known + WEIGHT * (rate - known)
    this.#full = isFull && isWanted ? this.#full + 1 : 0
    this.#free = isWanted ? 0 : this.#free + 1
    const isLater = this.#comesLater(done, quickestMs, unanswered)
    if (this.value < Number.POSITIVE_INFINITY) this.#follow(now, unanswered, capacity)
    else if (now < this.#sparedUntil) return
    else if (isLater && !this.#mayGetFaster) this.#shorten(unanswered)
    else if (this.#full >= ENOUGH) this.#lower(unanswered)
  }

  /**
   * True if even the quickest answers take longer and longer while they do not become more, although no fewer requests are under way.
   * An endpoint that only is slow answers all of them after about the same time, or more a second where it has more to answer; one
   * that stands still answers none for a while.
   */
  #comesLater(done: number, quickestMs: number, unanswered: number): boolean {
    this.#silent = done === 0 ? this.#silent + 1 : 0
    if (this.#silent === ENOUGH) this.#base = undefined
    const base = this.#base
    if (base !== undefined) base.age++
    this.#heard += done
    this.#quickestMs = Math.min(this.#quickestMs, quickestMs)
    if (this.#heard < FEW) return false
    const quickest = this.#quickestMs
    this.#heard = 0
    this.#quickestMs = Number.POSITIVE_INFINITY
    const isEarly = base === undefined || quickest <= base.quickestMs || base.age > LATER_WITHIN
    if (isEarly || this.#best > base.best * MORE) {
      this.#base = { quickestMs: quickest, unanswered, best: this.#best, age: 0 }
      return false
    }
    return base.age >= LATER_FOR && quickest > base.quickestMs * LATER && unanswered >= base.unanswered
  }

  #pause(): void {
    this.#since = 0
    this.#base = undefined
    this.#heard = 0
    this.#quickestMs = Number.POSITIVE_INFINITY
  }

  /** A process that has just started is slow at first, and refusing its requests would be wrong soon. */
  get #mayGetFaster(): boolean {
    return this.#seen < USED_TO_LOAD || this.#rate < this.#best * MUCH_FEWER
  }

  /** Lets it have what it answers in a short time, where they would wait for long. */
  #shorten(unanswered: number): boolean {
    const waitMs = this.#findWait(unanswered)
    if (waitMs < CERTAIN_WAIT_MS || waitMs > LONG_WAIT_MS || unanswered < 2 * LEAST_LIMIT) return false
    if (this.value === Number.POSITIVE_INFINITY) this.#rateBefore = Math.max(this.#rate, this.#best * ABOUT)
    this.#set(Math.max(LEAST_LIMIT, Math.ceil((this.#rate * GIVEN_MS) / 1000)))
    return true
  }

  /** Milliseconds that they wait on average, by Little's law. */
  #findWait(unanswered: number): number {
    return (unanswered * 1000) / this.#rate
  }

  /** False where it has to do what it is asked to do. */
  #lower(unanswered: number): boolean {
    const waitMs = this.#findWait(unanswered)
    if (waitMs < SHORT_WAIT_MS || waitMs > LONG_WAIT_MS || unanswered < 2 * LEAST_LIMIT) return false
    const current = Math.floor(Math.log2(unanswered))
    const level = this.#rates.findIndex((rate) => rate !== undefined && rate >= this.#rate * ABOUT)
    // Where it was never seen with fewer, half as many show what it does then.
    const isUnknown = this.#rates[current - 1] === undefined
    const limit = isUnknown && level === current ? unanswered / 2 : 2 ** (level + 1)
    if (level < 0 || limit > unanswered / 2) return false
    if (this.value === Number.POSITIVE_INFINITY) this.#rateBefore = Math.max(this.#rate, this.#best * ABOUT)
    this.#set(Math.max(LEAST_LIMIT, Math.ceil(limit)))
    return true
  }

  /** The limit has cost nothing yet. False where it stays. */
  #goFurther(unanswered: number): boolean {
    return this.#lower(unanswered) || this.#shorten(unanswered)
  }

  #follow(now: number, unanswered: number, capacity: number): void {
    this.#samplesSince++
    const isCostly = this.#full > ENOUGH && this.#rate < this.#rateBefore * FEWER
    this.#costly = isCostly ? this.#costly + 1 : 0
    if (this.#good < PROVEN) this.#good = this.#rate < this.#rateBefore * ABOUT ? 0 : this.#good + 1
    if (isCostly) {
      // A limit that was right before is not given up at once: the endpoint may only stand still.
      if (this.#good < PROVEN || this.#costly >= PROVEN) this.#release(now)
    } else if (this.#trial) {
      if (this.#samplesSince >= this.#trial.samples) this.#judge(this.#trial)
    } else if (this.#free >= ENOUGH) this.#raise(capacity)
    else if (this.#full < 2 * ENOUGH) return
    else if (this.#rate < this.#rateBefore * ABOUT) this.#tryMore()
    else if (!this.#goFurther(unanswered) && this.#samplesSince >= TRIAL_EVERY) this.#tryMore()
  }

  /** What was seen before holds no longer. */
  #release(now: number): void {
    this.#rates = []
    this.#trial = undefined
    this.#sparedUntil = now + this.#sparedMs
    this.#sparedMs = Math.min(2 * this.#sparedMs, MOST_SPARED_MS)
    this.#set(Number.POSITIVE_INFINITY)
  }

  #tryMore(): void {
    // More requests show in the answers no sooner than these take.
    const samples = Math.max(TRIAL, (2 * this.#findWait(this.value)) / SAMPLE_MS)
    this.#trial = { limit: this.value, rate: this.#rate, samples }
    this.#set(Math.ceil(this.value * 1.5))
  }

  #judge({ limit, rate }: Trial): void {
    this.#trial = undefined
    if (this.#rate >= rate * MORE) return
    // The lower limit was right.
    this.#sparedMs = SPARED_MS
    this.#set(limit)
  }

  #raise(capacity: number): void {
    const limit = Math.ceil(this.value * 1.25)
    this.#set(limit >= capacity ? Number.POSITIVE_INFINITY : limit)
  }

  #set(limit: number): void {
    if (this.value === Number.POSITIVE_INFINITY) this.#good = 0
    this.value = limit
    this.#samplesSince = 0
    this.#full = 0
    this.#free = 0
  }
}
