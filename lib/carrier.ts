/** What carries the traffic of a gateway: worker processes (worker/worker-set), or this process itself. */
import type { EndpointFigures } from './admin/views.ts'
import type { LiveConfiguration, ServedConfiguration } from './snapshot-update.ts'
import { diffLive, selectLive } from './snapshot-update.ts'
import { explainListenError } from './start-error.ts'
import type { WorkerFigures } from './telemetry/metrics.ts'
import { type ListenerName, Traffic, type TrafficOptions } from './traffic.ts'

export type TrafficPorts = Readonly<{ http?: number; https?: number }>

/** A worker as people see it. */
export type WorkerState = WorkerFigures & Readonly<{ pid: number | undefined; inFlight: number; connections: number }>

export type Carrier = {
  /** Opens the ports and serves. Rejects with a StartError where one cannot be had; what is open then is closed by `close`. */
  start(first: ServedConfiguration): Promise<TrafficPorts>
  /** Resolves when it is in force everywhere. */
  apply(next: ServedConfiguration): Promise<void>
  /** Whether anybody serves. */
  readonly isUp: boolean
  /** Requests and tunnels under way, as last heard. */
  readonly inFlight: number
  readonly logLinesDropped: number
  connections(): Iterable<readonly [ListenerName, number]>
  endpoints(): Iterable<EndpointFigures>
  workers(): readonly WorkerState[]
  /** Asks for the newest figures. */
  refresh(): Promise<void>
  /** Takes no more connections; resolves to the requests and tunnels that are under way. */
  drain(): Promise<number>
  /** Waits for these, `deadlineMs` at most; resolves to the number that are left, and will be cut. */
  finish(deadlineMs: number): Promise<number>
  /** Ends the wait of `finish`. */
  cut(): void
  close(): Promise<void>
}

/** The listeners that the settings ask for, HTTPS first: a redirect names its port, which must be known before plain HTTP serves. */
export function listListeners({ http, https }: TrafficOptions['settings']): readonly ListenerName[] {
  return [...(https.enabled ? (['https'] as const) : []), ...(http.enabled ? (['http'] as const) : [])]
}

export type OwnTrafficOptions = Omit<TrafficOptions, 'httpsPort'> & { readonly logLinesDropped: () => number }

/** The process that reads the configuration carries the traffic too. */
export class OwnTraffic implements Carrier {
  readonly #options: OwnTrafficOptions
  readonly #traffic: Traffic
  #live: LiveConfiguration | undefined
  #ports: TrafficPorts = {}

  constructor(options: OwnTrafficOptions) {
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
    const live = selectLive(next)
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
