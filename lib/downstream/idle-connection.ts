/** Connections that carry no request, so that they may be closed to make room for new ones. */
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'

export type IdleConnection = {
  /** As its door has it: a TLS connection where TLS is terminated. */
  readonly socket: Socket
  /** When its last request ended, by the monotonic clock; `Infinity` while it carries a request, or may be about to. */
  idleSince(now: number): number
  closeIdle(): void
}

/** Has connections, of which some may be idle. */
export type IdleSource = { listConnections(): Iterable<IdleConnection> }

/** Counts the requests of one connection, for a door that hears of each. */
export class RequestWatch implements IdleConnection {
  readonly socket: Socket
  readonly #clock: Clock
  readonly #close: () => void
  #open = 0
  #since = Number.POSITIVE_INFINITY

  constructor(socket: Socket, clock: Clock, close: () => void) {
    this.socket = socket
    this.#clock = clock
    this.#close = close
  }

  begin(): void {
    this.#open++
    this.#since = Number.POSITIVE_INFINITY
  }

  end(): void {
    if (--this.#open === 0) this.#since = this.#clock.monotonic()
  }

  idleSince(): number {
    return this.socket.destroyed ? Number.POSITIVE_INFINITY : this.#since
  }

  closeIdle(): void {
    this.#since = Number.POSITIVE_INFINITY
    this.#close()
  }
}

/** The watches of all connections of one door, by socket. */
export class RequestWatches implements IdleSource {
  readonly #watches = new Map<Socket, RequestWatch>()

  add(watch: RequestWatch): void {
    const { socket } = watch
    this.#watches.set(socket, watch)
    socket.once('close', () => this.#watches.delete(socket))
  }

  sockets(): Iterable<Socket> {
    return this.#watches.keys()
  }

  find(socket: Socket): RequestWatch | undefined {
    return this.#watches.get(socket)
  }

  listConnections(): Iterable<IdleConnection> {
    return this.#watches.values()
  }
}
