/** A carrier without workers: the process that reads the configuration carries the traffic too. */
import type { EndpointFigures } from './admin/views.ts'
import { type Carrier, type CarrierOptions, listListeners, type TrafficPorts, type WorkerState } from './carrier.ts'
import { diffLive, type LiveConfiguration, type ServedConfiguration, selectLive } from './snapshot-update.ts'
import { explainListenError } from './start-error.ts'
import type { CircuitFigures } from './telemetry/metrics.ts'
import { type ListenerName, Traffic } from './traffic.ts'

export class OwnTraffic implements Carrier {
  readonly #options: CarrierOptions
  readonly #traffic: Traffic
  #live: LiveConfiguration | undefined
  #ports: TrafficPorts = {}

  constructor(options: CarrierOptions) {
    this.#options = options
    this.#traffic = new Traffic({ ...options, httpsPort: () => this.#ports.https })
  }

  async start(first: ServedConfiguration): Promise<TrafficPorts> {
    const { settings } = this.#options
    await this.apply(first)
    for (const name of listListeners(settings)) {
      const { address, port } = settings[name]
      try {
        const bound = await this.#traffic.listen(name)
        this.#ports = { ...this.#ports, [name]: bound.port }
      } catch (error) {
        throw explainListenError(error, { name, address, port })
      }
    }
    return this.#ports
  }

  apply(next: ServedConfiguration): Promise<void> {
    const live = selectLive(next, this.#live)
    const update = diffLive(this.#live, live)
    this.#live = live
    return this.#traffic.apply(update)
  }

  readonly isUp = true

  get inFlight(): number {
    return this.#traffic.inFlight
  }

  get logLinesDropped(): number {
    return this.#options.logLinesDropped()
  }

  connections(): Iterable<readonly [ListenerName, number]> {
    return listListeners(this.#options.settings).map((name) => [name, this.#traffic.connections(name)] as const)
  }

  endpoints(): Iterable<EndpointFigures> {
    return this.#traffic.endpoints()
  }

  circuits(): Iterable<CircuitFigures> {
    return [...this.#traffic.circuits()].map(([upstream, state]) => ({ upstream, state, count: 1 }))
  }

  workers(): readonly WorkerState[] {
    return []
  }

  async refresh(): Promise<void> {}

  async drain(): Promise<number> {
    this.#traffic.drain()
    return this.#traffic.inFlight
  }

  finish(deadlineMs: number): Promise<number> {
    return this.#traffic.finish(deadlineMs)
  }

  cut(): void {
    this.#traffic.cut()
  }

  close(): Promise<void> {
    return this.#traffic.close()
  }
}
