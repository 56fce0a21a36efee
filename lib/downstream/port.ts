/** A TCP port that clients connect to: accepts within limits, reads the PROXY header where one must come, and stops and closes. */
import { createServer, type Server, type Socket } from 'node:net'
import { type Clock, systemClock } from '../base/clock.ts'
import { containingAt } from '../base/contain.ts'
import { type BoundAddress, listenOn } from '../platform/listen.ts'
import { resetSocket } from '../platform/reset.ts'
import { findPeerAddress, setOrigin } from '../request/origin.ts'
import type { Settings } from '../settings/table.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import type { ConnectionResult } from '../telemetry/request-counts.ts'
import type { Admission } from './admission.ts'
import { ConnectionSet } from './connection-set.ts'
import { receiveProxyHeader } from './proxy-header.ts'

export type PortOptions = Readonly<{
  /** Of all ports of the process. */
  admission: Admission
  onResult: (listener: string, result: ConnectionResult) => void
  clock?: Clock
  log: Log
}>

/** What a port is for. It is asked anew at each connection, since the configuration may change while the port is open. */
export type PortUse = {
  /** What logs and metrics call the port. */
  readonly label: string
  /** The place (model/listener) of the listener. */
  readonly place: string
  /** The settings in force; undefined: there are none yet, and connections are reset. */
  readonly settings: Settings | undefined
  /** True if connections begin with a PROXY header. */
  readonly wantsProxyHeader: boolean
  /** Takes a connection within the limits, with its origin set and an error listener. After a PROXY header it is paused. */
  serve(socket: Socket): void
}

export class Port {
  readonly #use: PortUse
  readonly #options: PortOptions
  readonly #server: Server
  readonly #connections = new ConnectionSet()
  readonly #throttle: LogThrottle
  readonly #clock: Clock

  constructor(use: PortUse, options: PortOptions) {
    this.#use = use
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#throttle = new LogThrottle(this.#clock)
    // Half open: a client that sends FIN after its request still gets its answer (SL-08).
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true },
      containingAt('accept', this.#accept),
    )
    this.#server.on('error', (error) => {
      // Until it listens, `listen` rejects with the error.
      if (this.#server.listening) options.admission.onAcceptError(error, use.label)
    })
  }

  /** Open client connections. */
  get connections(): number {
    return this.#connections.size
  }

  /** `where` is an address and port, or a bound TCP handle of another process. Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
  listen(where: BoundAddress | object): Promise<BoundAddress> {
    return listenOn(this.#server, where)
  }

  /** Takes no more connections. Resolves when the open ones have closed. */
  stop(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  /** Cuts the open connections. */
  close(): void {
    this.#server.close()
    this.#connections.destroy()
  }

  /** Counts a refusal and resets the connection; the log tells of it once in a while for each reason. */
  refuse(socket: Socket, result: ConnectionResult, message: string, reason: string): void {
    this.#report(socket, result, message, reason)
    resetSocket(socket)
  }

  #accept = (socket: Socket): void => {
    this.#connections.add(socket)
    const use = this.#use
    const { settings } = use
    if (settings === undefined) {
      resetSocket(socket)
      return
    }
    if (!this.#options.admission.enter(socket, use.label, settings)) return
    const acceptedAt = this.#clock.monotonic()
    if (use.wantsProxyHeader) {
      this.#receiveHeader(socket, settings, acceptedAt)
      return
    }
    setOrigin(socket, { place: use.place, path: undefined, acceptedAt })
    use.serve(socket)
  }

  #receiveHeader(socket: Socket, settings: Settings, acceptedAt: number): void {
    const use = this.#use
    receiveProxyHeader(socket, {
      place: use.place,
      settings,
      acceptedAt,
      onHeader: () => {
        if (this.#options.admission.enterClient(socket, use.label, settings)) use.serve(socket)
      },
      onRefused: (reason) =>
        this.#report(socket, 'refused_header', 'connections refused: a PROXY header is required', reason),
    })
  }

  #report(socket: Socket, result: ConnectionResult, message: string, reason: string): void {
    const { onResult, log } = this.#options
    const { label } = this.#use
    onResult(label, result)
    if (this.#throttle.admit(reason)) log.warn({ listener: label, peer: findPeerAddress(socket), reason }, message)
  }
}
