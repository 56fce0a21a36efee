/** The TCP port of a listener: gives each connection to the doors, or passes it on, as the listener at its place says, which may change while the port is open. */
import type { Socket } from 'node:net'
import type { Doors } from '../downstream/doors.ts'
import { Port, type PortOptions, type PortUse } from '../downstream/port.ts'
import { isServiceListener } from '../model/listener.ts'
import type { BoundAddress } from '../platform/listen.ts'
import { resetSocket } from '../platform/reset.ts'
import { findPeerAddress } from '../request/origin.ts'
import type { Settings } from '../settings/table.ts'
import type { ServedListener, Snapshot } from '../snapshot/snapshot.ts'
import type { Relays } from './relay.ts'

export type StreamPortOptions = PortOptions &
  Readonly<{
    /** Its key in the snapshot's listeners. */
    place: string
    /** An address and port, or a bound TCP handle of another process. */
    where: BoundAddress | object
    /** The snapshot in force. */
    snapshot: () => Snapshot | undefined
    relays: Relays
    /** The doors for HTTP, or HTTPS; undefined where they cannot be had. */
    doors: (tls: boolean) => Doors | undefined
  }>

export class StreamPort implements PortUse {
  readonly place: string
  readonly #options: StreamPortOptions
  readonly #port: Port
  #label: string
  #isStopped = false

  constructor(options: StreamPortOptions) {
    this.place = options.place
    this.#options = options
    this.#label = this.#served?.listener.id ?? options.place
    this.#port = new Port(this, options)
  }

  /** The id of the listener at the place. A stopped port keeps its last one, since the place may belong to another port by then. */
  get label(): string {
    if (!this.#isStopped) this.#label = this.#served?.listener.id ?? this.#label
    return this.#label
  }

  get settings(): Settings | undefined {
    return this.#options.snapshot()?.settings
  }

  get wantsProxyHeader(): boolean {
    return this.#served?.listener.proxyProtocol ?? false
  }

  get connections(): number {
    return this.#port.connections
  }

  /** Rejects with Node's error. */
  listen(): Promise<BoundAddress> {
    return this.#port.listen(this.#options.where)
  }

  /** Takes no more connections. Resolves when the open ones have closed. */
  stop(): Promise<void> {
    this.#isStopped = true
    return this.#port.stop()
  }

  /** Cuts the open connections. */
  close(): void {
    this.#port.close()
  }

  /** Asks again for what is in force: while a PROXY header was awaited, another configuration may have come. */
  serve(socket: Socket): void {
    const served = this.#served
    if (!served) {
      resetSocket(socket)
      return
    }
    const { onResult, relays, doors } = this.#options
    const { listener, sources, relay } = served
    if (sources && !sources.has(findPeerAddress(socket))) {
      const reason = 'its address is in none of the source ranges'
      this.#port.refuse(socket, 'refused_source', 'connections refused', reason)
      return
    }
    if (relay) {
      relays.open(socket, relay)
      return
    }
    const found = doors(listener.tls)
    if (isServiceListener(listener)) onResult(listener.id, found ? 'served' : 'failed')
    if (!found) {
      resetSocket(socket)
      return
    }
    found.accept(socket)
    socket.resume()
  }

  get #served(): ServedListener | undefined {
    return this.#options.snapshot()?.listeners.get(this.place)
  }
}
