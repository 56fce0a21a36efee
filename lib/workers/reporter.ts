/** What a worker has to tell of its traffic since it last did. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { LogDestination } from '../telemetry/log-destination.ts'
import type { LoopDelay } from '../telemetry/metrics.ts'
import type { RequestCounts } from '../telemetry/request-counts.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { EndpointData, TrafficFigures } from './message.ts'
import type { Traffic } from './traffic.ts'

/** Milliseconds between two looks at how late the event loop is. */
const LOOP_TICK = 20

type Told = Pick<EndpointData, 'requests' | 'failures' | 'answers' | 'inFlight'>
const NOTHING: Told = { requests: 0, failures: 0, answers: 0, inFlight: 0 }

export class Reporter {
  readonly #traffic: Traffic
  readonly #counts: RequestCounts
  readonly #destination: LogDestination
  readonly #told = new WeakMap<EndpointState, Told>()
  #dropped = 0
  #memory: NodeJS.MemoryUsage = { rss: 0, heapUsed: 0, heapTotal: 0, external: 0, arrayBuffers: 0 }
  /** Of the event loop. */
  readonly #delay = monitorEventLoopDelay({ resolution: LOOP_TICK })

  constructor(traffic: Traffic, counts: RequestCounts, destination: LogDestination) {
    this.#traffic = traffic
    this.#counts = counts
    this.#destination = destination
    this.#delay.enable()
  }

  take(): TrafficFigures {
    const { rss, heapUsed, heapTotal, external, arrayBuffers } = this.#readMemory()
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
      streams: this.#traffic.streams,
      queued: [...this.#traffic.queued()],
      memory: { heap_used: heapUsed, heap_total: heapTotal, external, array_buffers: arrayBuffers },
      loopDelay: this.#takeDelay(),
      cpuSeconds: (user + system) / 1e6,
    }
    this.#dropped = dropped
    return figures
  }

  /** As it was the last time where it cannot be had: Node reads a file for it, and throws without a descriptor. */
  #readMemory(): NodeJS.MemoryUsage {
    try {
      this.#memory = process.memoryUsage()
    } catch {
      this.#traffic.reserve.release()
    }
    return this.#memory
  }

  /** Since the last time, seconds: what comes on top of the time between two ticks. */
  #takeDelay(): LoopDelay {
    const delay = this.#delay
    const read = (nanoseconds: number) =>
      Math.max(0, (Number.isFinite(nanoseconds) ? nanoseconds / 1e6 : 0) - LOOP_TICK) / 1e3
    const taken = { p50: read(delay.percentile(50)), p99: read(delay.percentile(99)), max: read(delay.max) }
    delay.reset()
    return taken
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
