/** What carries the traffic of a gateway: worker processes (workers/worker-set), or this process itself (own-traffic). */
import type { UpstreamKey } from '../model/upstream.ts'
import type { SnapshotSource } from '../snapshot/update.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import type { BufferedBytes, CircuitFigures, WorkerFigures } from '../telemetry/metrics.ts'
import type { TrafficSource } from '../telemetry/request-records.ts'
import type { TrafficOptions } from './traffic.ts'

export type CarrierOptions = TrafficOptions & {
  /** By this process. */
  readonly logLinesDropped: () => number
  /** Milliseconds until a port that cannot be had is tried again; given by tests. */
  readonly portRetryMs?: number
}

/** A worker as people see it. */
export type WorkerState = WorkerFigures & Readonly<{ pid: number | undefined; inFlight: number; connections: number }>

export type Carrier = TrafficSource & {
  /**
   * Opens the ports and serves. Rejects with a StartError where a port of the gateway itself cannot be had; what is open then
   * is closed by `close`.
   */
  start(first: SnapshotSource): Promise<void>
  /** Resolves when it is in force everywhere. */
  apply(next: SnapshotSource): Promise<void>
  /** Whether anybody serves. */
  readonly isUp: boolean
  /** Requests and tunnels under way, as last heard. */
  readonly inFlight: number
  /** The tunnels among them. */
  readonly tunnels: number
  /** Requests of HTTP/2 under way. */
  readonly streams: number
  /** Requests that wait for a place, by upstream. */
  queued(): Iterable<readonly [string, number]>
  readonly buffered: BufferedBytes
  readonly logLinesDropped: number
  /** Begins the file of the access log anew. */
  reopenLog(): void
  /** Open client connections and UDP sessions by listener. */
  connections(): Iterable<readonly [string, number]>
  /** The open ports of the gateway itself, by the ids of its listeners. */
  readonly ports: Readonly<Record<string, number>>
  /** By the ids of listeners: `open`, or why its port cannot be had. */
  listeners(): ReadonlyMap<string, string>
  endpoints(): Iterable<EndpointFigures>
  /** The circuits that are not closed. */
  circuits(): Iterable<CircuitFigures>
  /** Closes those of a Service's port. */
  closeCircuits(port: UpstreamKey): void
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
