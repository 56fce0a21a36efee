/** Time limits that one coarse timer checks, so that setting one costs a request no more than an assignment. HOT */
import type { Clock } from './clock.ts'
import { contain, type Victim } from './contain.ts'

/** Something with a time limit. It is broken off if its `onDeadline` throws. */
export type Timed = Partial<Victim> & {
  /**
   * The deadline on the monotonic clock, in milliseconds; `Infinity` means never. A negative number counts from the next tick,
   * which spares a look at the clock: -500 is half a second after it. It may be set at any time while watched.
   */
  deadlineAt: number
  /** For the watch alone: the index in its list. Begins as `UNWATCHED`. */
  watchIndex: number
  /**
   * Called after the deadline, at most one tick late (two if it was counted from the next tick), and at every tick until
   * `deadlineAt` lies ahead again.
   */
  onDeadline(): void
}

/** The `watchIndex` of an object without a watch. */
export const UNWATCHED: number = -1

/** Milliseconds between two checks. */
const TICK = 50

/** Watches many deadlines with one timer, which stands still while there are none. */
export class DeadlineWatch {
  readonly #clock: Clock
  // Not a Set: the tables that a Set leaves behind as it changes keep each other, and their former entries, alive until a full collection.
  readonly #watched: Timed[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Watches `timed`; does nothing if it is watched already. */
  add(timed: Timed): void {
    if (timed.watchIndex !== UNWATCHED) return
    timed.watchIndex = this.#watched.length
    this.#watched.push(timed)
    // Every watched object holds a socket, and sockets keep the process alive.
    this.#timer ??= setInterval(this.#check, TICK).unref()
  }

  /** Stops watching `timed`; does nothing if it is not watched. */
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
    // Backwards: `delete` moves the last entry into the gap, and the loop has seen the last entry already.
    for (let index = watched.length - 1; index >= 0; index--) {
      const timed = watched[index]
      if (timed === undefined || timed.deadlineAt > now) continue
      if (timed.deadlineAt < 0) timed.deadlineAt = now - timed.deadlineAt
      else expire(timed)
    }
  }
}

/** Contains what `onDeadline` throws, so that the others are still checked. */
function expire(timed: Timed): void {
  try {
    timed.onDeadline()
  } catch (thrown) {
    timed.deadlineAt = Number.POSITIVE_INFINITY
    contain('deadline', thrown, timed)
  }
}
