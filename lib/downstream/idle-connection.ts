/** Connections that carry no request, so that they may be closed to make room for new ones. */
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'

/** A client that has connected and sends nothing for this time may have to make room for others, in milliseconds. */
export const SILENT_MS = 1000

export type IdleConnection = {
  /** As its door has it: a TLS connection where TLS is terminated. */
  readonly socket: Socket
  /**
   * When its last request ended, or it was accepted if it has carried none, by the monotonic clock; `Infinity` while it carries or
   * receives a request, or may be about to.
   */
  idleSince(now: number): number
  closeIdle(): void
}

/** Has connections, of which some may be idle. */
export type IdleSource = { listConnections(): Iterable<IdleConnection> }

export type RequestWatchOptions = Readonly<{
  clock: Clock
  /** True if part of the next request has come. `now` is of the monotonic clock. */
  isReceiving: (now: number) => boolean
  close: () => void
}>

/** Counts the requests of one connection, for a door that hears of each. */
export class RequestWatch implements IdleConnection {
  readonly socket: Socket
  readonly #options: RequestWatchOptions
  #open = 0
  #isNew = true
  #since: number

  constructor(socket: Socket, options: RequestWatchOptions) {
    this.socket = socket
    this.#options = options
    this.#since = options.clock.monotonic()
  }

  begin(): void {
    this.#open++
    this.#isNew = false
  }

  end(): void {
    if (--this.#open === 0) this.#since = this.#options.clock.monotonic()
  }

  idleSince(now: number): number {
    // One that takes no more answers is being closed.
    const isBusy = this.#open > 0 || !this.socket.writable || this.#options.isReceiving(now)
    // The first request of a new connection is about to come.
    return isBusy || (this.#isNew && now - this.#since < SILENT_MS) ? Number.POSITIVE_INFINITY : this.#since
  }

  closeIdle(): void {
    this.begin()
    this.#options.close()
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

  delete(socket: Socket): void {
    this.#watches.delete(socket)
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
