/** A TCP port of a Service: accepts connections and gives each to what the listener there says now, which may change while it is open. */
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { containingAt } from '../base/contain.ts'
import type { Admission } from '../downstream/admission.ts'
import { ConnectionSet } from '../downstream/connection-set.ts'
import type { HttpFront } from '../downstream/http-front.ts'
import { type BoundAddress, listenOn } from '../downstream/listen.ts'
import { receiveProxyHeader } from '../downstream/proxy-header.ts'
import { resetSocket } from '../platform/reset.ts'
import { findPeerAddress, setOrigin } from '../request/origin.ts'
import type { Snapshot } from '../snapshot/snapshot.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import type { ConnectionResult } from '../telemetry/request-counts.ts'
import type { Relays } from './relay.ts'

export type StreamPortOptions = Readonly<{
  /** Its key in the snapshot's listeners. */
  place: string
  /** An address and port, or a bound TCP handle of another process. */
  where: BoundAddress | object
  /** The one in force. */
  snapshot: () => Snapshot | undefined
  /** Of all listeners of the process. */
  admission: Admission
  relays: Relays
  /** What serves HTTP, or HTTPS; undefined where it cannot be had. */
  front: (tls: boolean) => HttpFront | undefined
  onResult: (listener: string, result: ConnectionResult) => void
  clock: Clock
  log: Log
}>

export class StreamPort {
  readonly place: string
  /** The id of the listener there, as last seen. */
  label: string
  readonly #options: StreamPortOptions
  readonly #server: Server
  readonly #connections = new ConnectionSet()
  readonly #throttle: LogThrottle

  constructor(options: StreamPortOptions) {
    const { place, admission, clock } = options
    this.place = place
    this.label = options.snapshot()?.listeners.get(place)?.listener.id ?? place
    this.#options = options
    this.#throttle = new LogThrottle(clock)
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true },
      containingAt('accept', this.#accept),
    )
    this.#server.on('error', (error) => {
      // Before that, whoever called `listen` is told.
      if (this.#server.listening) admission.onAcceptError(error, this.label)
    })
  }

  get connections(): number {
    return this.#connections.size
  }

  /** Rejects with Node's error. */
  listen(): Promise<BoundAddress> {
    return listenOn(this.#server, this.#options.where)
  }

  /** Takes no more connections. Resolves when those that it has are over. */
  stop(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  /** Cuts what is left. */
  close(): void {
    this.#server.close()
    this.#connections.destroy()
  }

  #accept = (socket: Socket): void => {
    this.#connections.add(socket)
    const { admission, snapshot, onResult } = this.#options
    const inForce = snapshot()
    const served = inForce?.listeners.get(this.place)
    if (served) this.label = served.listener.id
    if (!inForce) {
      resetSocket(socket)
      return
    }
    if (!admission.enter(socket, this.label, inForce.settings)) return
    if (!served?.listener.proxyProtocol) {
      setOrigin(socket, { place: this.place, path: undefined })
      this.#admit(socket)
      return
    }
    receiveProxyHeader(socket, {
      place: this.place,
      settings: inForce.settings,
      onHeader: () => {
        if (admission.enterClient(socket, this.label, inForce.settings)) this.#admit(socket)
      },
      onRefused: (reason) => {
        onResult(this.label, 'refused_header')
        this.#report(socket, reason, 'connections refused: a PROXY header is required')
      },
    })
  }

  /** By what is in force now: while a header was awaited, another configuration may have come. */
  #admit(socket: Socket): void {
    const { snapshot, onResult, relays } = this.#options
    const served = snapshot()?.listeners.get(this.place)
    if (!served) {
      resetSocket(socket)
      return
    }
    const { listener, sources } = served
    if (sources && !sources.has(findPeerAddress(socket))) {
      onResult(listener.id, 'refused_source')
      this.#report(socket, 'its address is in none of the source ranges', 'connections refused')
      resetSocket(socket)
      return
    }
    if (listener.layer === 'L4') {
      relays.open(socket, served)
      return
    }
    const front = this.#options.front(listener.tls)
    onResult(listener.id, front ? 'served' : 'failed')
    if (!front) {
      resetSocket(socket)
      return
    }
    front.accept(socket)
    socket.resume()
  }

  #report(socket: Socket, reason: string, message: string): void {
    if (!this.#throttle.admit(reason)) return
    this.#options.log.warn({ listener: this.label, peer: findPeerAddress(socket), reason }, message)
  }
}
