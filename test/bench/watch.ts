/** Looks at the processes of a candidate until it is stopped: their greatest memory, and how many came in place of others. */
import type { Metric } from './case.ts'
import type { Child } from './child.ts'
import { readUsage, type Usage } from './usage.ts'

const EVERY_MS = 200
/** A candidate that takes more is ended: the machine has other work. */
const MOST_BYTES = 8 * 2 ** 30

/** What it sees, with the memory before and after. */
export const WATCH_METRICS: readonly Metric[] = [
  { key: 'beforeMiB', label: 'RSS MiB before', digits: 0, ratio: false },
  { key: 'peakMiB', label: 'peak', digits: 0, ratio: false },
  { key: 'afterMiB', label: 'after', digits: 0, ratio: false },
  { key: 'restarts', label: 'restarts', digits: 0, ratio: false },
]

export class Watch {
  peakBytes = 0
  readonly #child: Child
  readonly #seen: Set<number>
  readonly #atFirst: number
  readonly #timer: NodeJS.Timeout

  constructor(child: Child) {
    this.#child = child
    this.#seen = new Set(this.#look().perProcess.keys())
    this.#atFirst = this.#seen.size
    this.#timer = setInterval(() => {
      for (const id of this.#look().perProcess.keys()) this.#seen.add(id)
      if (this.peakBytes > MOST_BYTES) child.kill()
    }, EVERY_MS)
  }

  get restarts(): number {
    return this.#seen.size - this.#atFirst
  }

  /** Throws where the candidate is gone. */
  check(): void {
    if (this.peakBytes > MOST_BYTES) throw new Error(`it took more than ${MOST_BYTES / 2 ** 30} GiB`)
    if (this.#child.isGone) throw new Error(`it ended: ${this.#child.lastWords}`)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): Usage {
    const usage = readUsage(this.#child.pid)
    this.peakBytes = Math.max(this.peakBytes, usage.residentBytes)
    return usage
  }
}
