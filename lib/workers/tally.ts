/** The figures of all workers, added up. What a worker has told counts for ever, so no total goes back when it dies. */
import type { EndpointKey } from '../model/endpoint-key.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import type { RequestCounts } from '../telemetry/request-counts.ts'
import type { TrafficFigures } from './message.ts'

type EndpointTotal = {
  readonly identity: EndpointFigures['identity']
  requests: number
  failures: number
  failuresInRow: number
  lastFailure: EndpointFigures['lastFailure']
  /** By worker. */
  readonly inFlight: Map<object, number>
}

export class Tally {
  /** Log lines that could not be written. */
  logLinesDropped = 0
  readonly #counts: RequestCounts
  readonly #endpoints = new Map<EndpointKey, EndpointTotal>()

  constructor(counts: RequestCounts) {
    this.#counts = counts
  }

  /** `worker` stands for the process that tells. */
  add(worker: object, { counts, endpoints, logLinesDropped }: TrafficFigures): void {
    this.#counts.add(counts)
    this.logLinesDropped += logLinesDropped
    for (const { identity, requests, failures, answers, failuresInRow, lastFailure, inFlight } of endpoints) {
      let total = this.#endpoints.get(identity.key)
      if (!total) {
        total = { identity, requests: 0, failures: 0, failuresInRow: 0, lastFailure: undefined, inFlight: new Map() }
        this.#endpoints.set(identity.key, total)
      }
      total.requests += requests
      total.failures += failures
      // An answer to one worker ends the row of all.
      total.failuresInRow = answers > 0 ? failuresInRow : total.failuresInRow + failures
      if (lastFailure && lastFailure.at >= (total.lastFailure?.at ?? 0)) {
        total.lastFailure = { error: { code: lastFailure.code }, at: lastFailure.at }
      }
      if (inFlight > 0) total.inFlight.set(worker, inFlight)
      else total.inFlight.delete(worker)
    }
  }

  /** What was under way in this process is not any more. */
  forget(worker: object): void {
    for (const { inFlight } of this.#endpoints.values()) inFlight.delete(worker)
  }

  /** Lets go of endpoints that are neither busy nor wanted. */
  retain(wanted: ReadonlySet<EndpointKey>): void {
    for (const [key, { inFlight }] of this.#endpoints) {
      if (inFlight.size === 0 && !wanted.has(key)) this.#endpoints.delete(key)
    }
  }

  *endpoints(): Iterable<EndpointFigures> {
    for (const { inFlight, ...rest } of this.#endpoints.values()) {
      let sum = 0
      for (const count of inFlight.values()) sum += count
      yield { ...rest, inFlight: sum }
    }
  }
}
