/** What carries the traffic of a gateway: worker processes (workers/worker-set), or this process itself (own-traffic). */
import type { Settings } from '../settings/table.ts'
import type { SnapshotSource } from '../snapshot/update.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import type { CircuitFigures, WorkerFigures } from '../telemetry/metrics.ts'
import type { TrafficOptions } from './traffic.ts'

export type CarrierOptions = Omit<TrafficOptions, 'httpsPort'> & {
  /** By this process. */
  readonly logLinesDropped: () => number
  /** Milliseconds until a Service's port that cannot be had is tried again; given by tests. */
  readonly portRetryMs?: number
}

export type TrafficPorts = Readonly<{ http?: number; https?: number }>

/** A worker as people see it. */
export type WorkerState = WorkerFigures & Readonly<{ pid: number | undefined; inFlight: number; connections: number }>

export type Carrier = {
  /** Opens the ports and serves. Rejects with a StartError where one cannot be had; what is open then is closed by `close`. */
  start(first: SnapshotSource): Promise<TrafficPorts>
  /** Resolves when it is in force everywhere. */
  apply(next: SnapshotSource): Promise<void>
  /** Whether anybody serves. */
  readonly isUp: boolean
  /** Requests and tunnels under way, as last heard. */
  readonly inFlight: number
  /** The tunnels among them. */
  readonly tunnels: number
  readonly logLinesDropped: number
  /** Open client connections and UDP sessions by listener. */
  connections(): Iterable<readonly [string, number]>
  /** The ports that Services open, by the ids of their listeners: `open`, or why it cannot be had. */
  listeners(): ReadonlyMap<string, string>
  endpoints(): Iterable<EndpointFigures>
  /** The circuits that are not closed. */
  circuits(): Iterable<CircuitFigures>
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
export function listListeners({ http, https }: Settings): readonly ('http' | 'https')[] {
  return [...(https.enabled ? (['https'] as const) : []), ...(http.enabled ? (['http'] as const) : [])]
}
