/** A carrier without workers: the process that reads the configuration carries the traffic too. */
import type { UpstreamKey } from '../model/upstream.ts'
import { findUpdate, type SnapshotSource } from '../snapshot/update.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import type { BufferedBytes, CircuitFigures } from '../telemetry/metrics.ts'
import type { RequestQuery } from '../telemetry/request-query.ts'
import { type FoundRequest, nameWorker } from '../telemetry/request-records.ts'
import type { TrafficData } from '../telemetry/traffic-meter.ts'
import type { Carrier, CarrierOptions, WorkerState } from './carrier.ts'
import { ListenerPorts } from './listener-ports.ts'
import { Traffic } from './traffic.ts'

export class OwnTraffic implements Carrier {
  readonly #options: CarrierOptions
  readonly #traffic: Traffic
  #served: SnapshotSource | undefined
  readonly #ports: ListenerPorts

  constructor(options: CarrierOptions) {
    this.#options = options
    this.#ports = new ListenerPorts({
      open: async (place) => (await this.#traffic.listen(place)).port,
      close: async (place) => this.#traffic.unlisten(place),
      log: options.log,
      retryMs: options.portRetryMs,
    })
    this.#traffic = new Traffic(options)
  }

  async start(first: SnapshotSource): Promise<void> {
    await this.#takeOver(first)
    await this.#ports.openOwn()
    await this.#ports.open(first.model.listeners)
  }

  async apply(next: SnapshotSource): Promise<void> {
    await this.#takeOver(next)
    await this.#ports.open(next.model.listeners)
  }

  async #takeOver(next: SnapshotSource): Promise<void> {
    await this.#ports.giveUp(next.model.listeners)
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

  get streams(): number {
    return this.#traffic.streams
  }

  queued(): Iterable<readonly [string, number]> {
    return this.#traffic.queued()
  }

  get buffered(): BufferedBytes {
    return this.#traffic.buffered
  }

  get logLinesDropped(): number {
    return this.#options.logLinesDropped() + this.#traffic.accessLinesDropped
  }

  reopenLog(): void {
    this.#traffic.reopenLog()
  }

  connections(): Iterable<readonly [string, number]> {
    return this.#traffic.connections()
  }

  get ports(): Readonly<Record<string, number>> {
    return this.#ports.own()
  }

  listeners(): ReadonlyMap<string, string> {
    return this.#ports.states()
  }

  endpoints(): Iterable<EndpointFigures> {
    return this.#traffic.endpoints()
  }

  circuits(): Iterable<CircuitFigures> {
    return [...this.#traffic.circuits()].map(([upstream, state]) => ({ upstream, state, count: 1 }))
  }

  closeCircuits(port: UpstreamKey): void {
    this.#traffic.closeCircuits(port)
  }

  workers(): readonly WorkerState[] {
    return []
  }

  async refresh(): Promise<void> {}

  async findRequests(query: RequestQuery, limit: number): Promise<readonly FoundRequest[]> {
    return nameWorker(this.#traffic.records.find(query, limit), 0)
  }

  followRequests(query: RequestQuery, tell: (requests: readonly FoundRequest[], dropped: number) => void): () => void {
    return this.#traffic.records.follow(query, ({ requests, dropped }, then) => {
      tell(nameWorker(requests, 0), dropped)
      then()
    })
  }

  async readTraffic(): Promise<readonly TrafficData[]> {
    return [this.#traffic.meter.read(this.#options.clock.now())]
  }

  async drain(): Promise<number> {
    this.#ports.stop()
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
    this.#ports.stop()
    return this.#traffic.close()
  }
}
