/** Time limits that one coarse timer checks, so that setting one costs a request no more than an assignment. HOT */
import type { Clock } from './clock.ts'
import { contain, type Victim } from './contain.ts'

/** Something that may run out of time; it ends by itself where `onDeadline` throws, if it can. */
export type Timed = Partial<Victim> & {
  /**
   * When, by the monotonic clock, in milliseconds; `Infinity` is never. A negative number counts from the next tick, so that
   * nobody need look at the clock: -500 is half a second from then. Set it at will while it is watched.
   */
  deadlineAt: number
  /** For the watch alone: its place among the watched. Begins as `UNWATCHED`. */
  watchIndex: number
  /** Called after that time, at most one tick late (two where it was counted from the next), at every tick until `deadlineAt` lies ahead again. */
  onDeadline(): void
}

/** The `watchIndex` of what no watch has. */
export const UNWATCHED: number = -1

/** Milliseconds between two checks. */
const TICK = 50

/** Watches many; costs nothing while it watches none. */
export class DeadlineWatch {
  readonly #clock: Clock
  // No Set: the tables that one leaves behind as it changes keep each other, and what was in them, alive until a full collection.
  readonly #watched: Timed[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** What is watched already stays so. */
  add(timed: Timed): void {
    if (timed.watchIndex !== UNWATCHED) return
    timed.watchIndex = this.#watched.length
    this.#watched.push(timed)
    // Whatever is watched holds a socket, which keeps the process alive by itself.
    this.#timer ??= setInterval(this.#check, TICK).unref()
  }

  /** What is not watched may be given too. */
  delete(timed: Timed): void {
    const index = timed.watchIndex
    if (index === UNWATCHED) return
    const last = this.#watched.pop()!
    if (last !== timed) {
      this.#watched[index] = last
      last.watchIndex = index
    }
    timed.watchIndex = UNWATCHED
  }

  #check = (): void => {
    const watched = this.#watched
    if (watched.length === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    const now = this.#clock.monotonic()
    // Backwards: `delete` puts the last in the place of the deleted one, and the last was seen already.
    for (let index = watched.length - 1; index >= 0; index--) {
      const timed = watched[index]
      if (timed === undefined || timed.deadlineAt > now) continue
      if (timed.deadlineAt < 0) timed.deadlineAt = now - timed.deadlineAt
      else expire(timed)
    }
  }
}

/** The others are looked at all the same. */
function expire(timed: Timed): void {
  try {
    timed.onDeadline()
  } catch (thrown) {
    timed.deadlineAt = Number.POSITIVE_INFINITY
    contain('deadline', thrown, timed)
  }
}
