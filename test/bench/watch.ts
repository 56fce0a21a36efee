import { readUsage, type Usage } from './usage.ts'

const WATCH_MS = 200

/** Looks at the processes of a candidate until it is stopped: their greatest memory, and how many came in place of others. */
export class Watch {
  peakBytes = 0
  readonly #group: number
  readonly #seen: Set<number>
  readonly #atFirst: number
  readonly #timer: NodeJS.Timeout

  constructor(group: number) {
    this.#group = group
    const first = this.#look()
    this.#seen = new Set(first.perProcess.keys())
    this.#atFirst = this.#seen.size
    this.#timer = setInterval(() => {
      for (const id of this.#look().perProcess.keys()) this.#seen.add(id)
    }, WATCH_MS)
  }

  get restarts(): number {
    return this.#seen.size - this.#atFirst
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): Usage {
    const usage = readUsage(this.#group)
    this.peakBytes = Math.max(this.peakBytes, usage.residentBytes)
    return usage
  }
}
