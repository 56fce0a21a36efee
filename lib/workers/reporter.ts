/** What a worker has to tell of its traffic since it last did. */
import type { LogDestination } from '../telemetry/log-destination.ts'
import type { RequestCounts } from '../telemetry/request-counts.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { EndpointData, TrafficFigures } from './message.ts'
import type { Traffic } from './traffic.ts'

type Told = Pick<EndpointData, 'requests' | 'failures' | 'answers' | 'inFlight'>
const NOTHING: Told = { requests: 0, failures: 0, answers: 0, inFlight: 0 }

export class Reporter {
  readonly #traffic: Traffic
  readonly #counts: RequestCounts
  readonly #destination: LogDestination
  readonly #told = new WeakMap<EndpointState, Told>()
  #dropped = 0
  #memory = { rss: 0, heapUsed: 0 }

  constructor(traffic: Traffic, counts: RequestCounts, destination: LogDestination) {
    this.#traffic = traffic
    this.#counts = counts
    this.#destination = destination
  }

  take(): TrafficFigures {
    const { rss, heapUsed } = this.#readMemory()
    const { user, system } = process.cpuUsage()
    const dropped = this.#destination.dropped + this.#traffic.accessLinesDropped
    const figures = {
      counts: this.#counts.take(),
      endpoints: this.#takeEndpoints(),
      circuits: [...this.#traffic.circuits()],
      logLinesDropped: dropped - this.#dropped,
      inFlight: this.#traffic.inFlight,
      tunnels: this.#traffic.tunnels,
      buffered: this.#traffic.buffered,
      connections: Object.fromEntries(this.#traffic.connections()),
      residentBytes: rss,
      heapBytes: heapUsed,
      cpuSeconds: (user + system) / 1e6,
    }
    this.#dropped = dropped
    return figures
  }

  /** As it was the last time where it cannot be had: Node reads a file for it, and throws without a descriptor. */
  #readMemory(): Readonly<{ rss: number; heapUsed: number }> {
    try {
      this.#memory = process.memoryUsage()
    } catch {
      this.#traffic.reserve.release()
    }
    return this.#memory
  }

  #takeEndpoints(): readonly EndpointData[] {
    const news: EndpointData[] = []
    for (const state of this.#traffic.endpoints()) {
      const { requests, failures, answers, failuresInRow, inFlight, lastFailure, identity } = state
      if (requests === 0 && failures === 0) continue
      const told = this.#told.get(state) ?? NOTHING
      if (
        requests === told.requests &&
        failures === told.failures &&
        answers === told.answers &&
        inFlight === told.inFlight
      ) {
        continue
      }
      const { key, upstream, host, port, name } = identity
      news.push({
        identity: { key, upstream, host, port, name },
        inFlight,
        requests: requests - told.requests,
        failures: failures - told.failures,
        answers: answers - told.answers,
        failuresInRow,
        lastFailure: lastFailure && { code: lastFailure.error.code, at: lastFailure.at },
      })
      this.#told.set(state, { requests, failures, answers, inFlight })
    }
    return news
  }
}
