/** Counts by a name out of the configuration and by a result. */
import { increment } from './request-series.ts'

/** Most names counted apart. Further ones are counted together, so that many reloads cannot fill the memory. */
export const MAX_SERIES = 10_000
/** The name of those beyond that number. */
export const OTHER = 'other'

export type Results<Result> = ReadonlyMap<string, ReadonlyMap<Result, number>>

export class ResultCounts<Result> {
  #counts = new Map<string, Map<Result, number>>()

  get all(): Results<Result> {
    return this.#counts
  }

  count(name: string, result: Result, by: number = 1): void {
    let counts = this.#counts.get(name)
    if (!counts) {
      if (this.#counts.size >= MAX_SERIES && name !== OTHER) {
        this.count(OTHER, result, by)
        return
      }
      counts = new Map()
      this.#counts.set(name, counts)
    }
    increment(counts, result, by)
  }

  /** Takes out all counts since the last call. */
  take(): Results<Result> {
    const taken = this.#counts
    this.#counts = new Map()
    return taken
  }

  /** Adds the counts of another process. */
  add(others: Results<Result>): void {
    for (const [name, counts] of others) for (const [result, count] of counts) this.count(name, result, count)
  }
}
