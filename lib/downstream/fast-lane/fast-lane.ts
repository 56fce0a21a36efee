/** The fast lane of a listener: HTTP/1.1 that is valid and plain is read straight from the socket, all else goes to node:http. HOT */
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { DeadlineWatch } from '../../base/deadline.ts'
import { flattenText } from '../../base/flat-text.ts'
import type { ScanLimits } from '../../http1/request-scan.ts'
import type { ExchangeHandler } from '../../request/exchange.ts'
import type { Settings } from '../../settings/table.ts'
import { type Lane, LaneConnection, type NextDoor } from './lane-connection.ts'

export type FastLaneOptions = Readonly<{
  settings: Settings
  handler: ExchangeHandler
  clock: Clock
  scheme: 'http' | 'https'
  /** Takes what the lane does not. */
  door: NextDoor
}>

export class FastLane implements Lane {
  readonly handler: ExchangeHandler
  readonly scheme: 'http' | 'https'
  readonly limits: ScanLimits
  readonly headTimeout: number
  readonly keepAliveTimeout: number
  readonly keepAliveLines: string
  readonly door: NextDoor
  isDraining: boolean = false
  readonly #watch: DeadlineWatch
  readonly #connections = new Set<LaneConnection>()

  constructor({ settings, handler, clock, scheme, door }: FastLaneOptions) {
    const { limits, timeouts } = settings
    this.handler = handler
    this.scheme = scheme
    this.limits = { headerBytes: limits.headerBytes, headerCount: limits.headerCount }
    this.headTimeout = timeouts.requestHeaders
    this.keepAliveTimeout = timeouts.keepAlive
    const seconds = Math.floor(timeouts.keepAlive / 1000)
    this.keepAliveLines = flattenText(`Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n`)
    this.door = door
    this.#watch = new DeadlineWatch(clock)
  }

  /** Takes a connection whose peer may shut down its side alone. */
  accept(socket: Socket): void {
    // Its 'close' event has been and would not come again.
    if (socket.destroyed) return
    const connection = new LaneConnection(this, socket)
    this.#connections.add(connection)
    this.#watch.add(connection)
  }

  /** Closes connections that carry no request; the others when they have answered theirs. */
  drain(): void {
    this.isDraining = true
    for (const connection of this.#connections) connection.closeIdle()
  }

  listConnections(): Iterable<LaneConnection> {
    return this.#connections
  }

  forget(connection: LaneConnection): void {
    this.#connections.delete(connection)
    this.#watch.delete(connection)
  }
}
