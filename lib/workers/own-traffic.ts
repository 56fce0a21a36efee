/** A carrier without workers: the process that reads the configuration carries the traffic too. */

import { explainListenError } from '../control/start-error.ts'
import { findUpdate, type SnapshotSource } from '../snapshot/update.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import type { CircuitFigures } from '../telemetry/metrics.ts'
import { type Carrier, type CarrierOptions, listListeners, type TrafficPorts, type WorkerState } from './carrier.ts'
import { ServicePorts } from './service-ports.ts'
import { Traffic } from './traffic.ts'

export class OwnTraffic implements Carrier {
  readonly #options: CarrierOptions
  readonly #traffic: Traffic
  #served: SnapshotSource | undefined
  readonly #servicePorts: ServicePorts
  #ports: TrafficPorts = {}

  constructor(options: CarrierOptions) {
    this.#options = options
    this.#servicePorts = new ServicePorts({
      open: async (place) => {
        await this.#traffic.listen(place)
      },
      close: async (place) => this.#traffic.unlisten(place),
      log: options.log,
      retryMs: options.portRetryMs,
    })
    this.#traffic = new Traffic({ ...options, httpsPort: () => this.#ports.https })
  }

  async start(first: SnapshotSource): Promise<TrafficPorts> {
    const { settings } = this.#options
    await this.#takeOver(first)
    for (const name of listListeners(settings)) {
      const { address, port } = settings[name]
      try {
        const bound = await this.#traffic.listen(name)
        this.#ports = { ...this.#ports, [name]: bound.port }
      } catch (error) {
        throw explainListenError(error, { name, address, port })
      }
    }
    await this.#servicePorts.open(first.model.listeners)
    return this.#ports
  }

  async apply(next: SnapshotSource): Promise<void> {
    await this.#takeOver(next)
    await this.#servicePorts.open(next.model.listeners)
  }

  async #takeOver(next: SnapshotSource): Promise<void> {
    await this.#servicePorts.giveUp(next.model.listeners)
    const update = findUpdate(this.#served, next)
    this.#served = next
    await this.#traffic.apply(update)
  }

  readonly isUp = true

  get inFlight(): number {
    return this.#traffic.inFlight
  }

  get tunnels(): number {
    return this.#traffic.tunnels
  }

  get logLinesDropped(): number {
    return this.#options.logLinesDropped()
  }

  connections(): Iterable<readonly [string, number]> {
    return this.#traffic.connections()
  }

  listeners(): ReadonlyMap<string, string> {
    return this.#servicePorts.states()
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
    this.#servicePorts.stop()
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
    this.#servicePorts.stop()
    return this.#traffic.close()
  }
}
