/** Which client connections a process takes over all its TCP ports: a number at once, and a number from one client. */
import type { Socket } from 'node:net'
import { findClientNetwork } from '../base/client-network.ts'
import type { Clock } from '../base/clock.ts'
import { containAt } from '../base/contain.ts'
import { isExhaustion } from '../base/exhaustion.ts'
import { ClientCount, PerClient } from '../base/per-client.ts'
import { type DescriptorReserve, findDescriptorLimit, fitConnections } from '../platform/descriptors.ts'
import { resetSocket } from '../platform/reset.ts'
import { findAccepted, findDescriptor } from '../platform/socket-internals.ts'
import { isTrustedPeer } from '../request/forwarded.ts'
import { findPeerAddress } from '../request/origin.ts'
import type { Settings } from '../settings/table.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import type { ConnectionResult } from '../telemetry/request-counts.ts'
import type { IdleSource } from './idle-connection.ts'
import { type Idle, IdleList } from './idle-list.ts'

export type AdmissionOptions = Readonly<{
  /** As they are at the start. */
  settings: Settings
  reserve: DescriptorReserve
  /** `listener` comes from configuration. */
  onResult: (listener: string, result: ConnectionResult) => void
  clock: Clock
  log: Log
}>

type Refusal = Extract<ConnectionResult, 'refused_limit' | 'refused_client' | 'refused_descriptors'>

/** A connection that needs the place of another one. */
type Newcomer = Readonly<{
  socket: Socket
  listener: string
  settings: Settings
  /** Its client, where that has enough connections: the place must be one of its own. */
  client: ClientCount | undefined
  /** What becomes of it if there is no place. */
  refusal: Refusal
}>

/** What the log says of each. */
const REASONS: Readonly<Record<Refusal, string>> = {
  refused_limit: 'limits.connections is reached',
  refused_client: 'limits.connectionsPerClient is reached',
  refused_descriptors: 'this process has no more file descriptors',
}

/** A quarter of all connections is the most that one client gets by itself. */
const CLIENT_SHARE = 4
/** The least that one client gets: a browser opens several. */
const LEAST_OF_CLIENT = 16

export class Admission {
  readonly #options: AdmissionOptions
  readonly #throttle: LogThrottle
  readonly #most: number
  readonly #clients = new PerClient(() => new ClientCount())
  /** The open connections without those that are to be closed for others, each with the count of its client; undefined: it is not counted. */
  readonly #open = new Map<Socket, ClientCount | undefined>()
  readonly #idle: IdleList<ClientCount>
  /** One listener for all connections, so that an idle one costs little. */
  readonly #onClose: (this: Socket) => void

  constructor(options: AdmissionOptions) {
    const { settings, clock } = options
    this.#options = options
    this.#throttle = new LogThrottle(clock)
    this.#idle = new IdleList(clock, (socket) => this.#open.get(socket))
    this.#most = settings.limits.connections || fitConnections(findDescriptorLimit())
    const leave = (socket: Socket) => this.#leave(socket)
    this.#onClose = function () {
      leave(this)
    }
  }

  /** Idle connections of this source may be closed to make room. */
  addSource(source: IdleSource): void {
    this.#idle.addSource(source)
  }

  /**
   * Takes a connection that was just accepted and has an error listener; false: it is refused, and reset. That may also happen soon
   * after it was taken, where the connections that were idle then all have got requests in the same turn.
   */
  enter(socket: Socket, listener: string, settings: Settings): boolean {
    const { reserve } = this.#options
    reserve.watch(findDescriptor(socket))
    const client = this.#findClient(socket, settings)
    const isFull = this.#open.size >= this.#most
    if (client !== undefined && this.#hasEnough(client, settings)) {
      // A client that has too many drives no other out.
      if (!this.#makeRoom({ socket, listener, settings, client, refusal: 'refused_client' })) return false
    } else if (isFull || reserve.isReleased) {
      const refusal = isFull ? 'refused_limit' : 'refused_descriptors'
      if (!this.#makeRoom({ socket, listener, settings, client: undefined, refusal })) return false
    }
    this.#count(socket, client)
    socket.on('close', this.#onClose)
    return true
  }

  /** For a connection that was taken, once its PROXY header has named the client; false: it is refused, and reset. */
  enterClient(socket: Socket, listener: string, settings: Settings): boolean {
    const client = this.#findClient(socket, settings)
    if (client !== undefined && this.#hasEnough(client, settings)) {
      if (!this.#makeRoom({ socket, listener, settings, client, refusal: 'refused_client' })) return false
    }
    this.#leave(socket)
    this.#count(socket, client)
    return true
  }

  /**
   * Of a server that listens: what went wrong as it accepted. Where no descriptor is left, libuv accepts with one of its own and
   * closes the connection, which nothing here hears of; only where that one is missing too does the error come here. It would be
   * better to let connections wait in the kernel, but a listening handle cannot be paused: `readStop` has no effect on it (tried
   * with libuv 1.46), to close it gives the port up, and a handle that the control process sends again needs a descriptor as well.
   */
  onAcceptError(error: Error, listener: string): void {
    const { reserve, onResult, log } = this.#options
    if (!isExhaustion(error)) {
      log.error({ err: error, listener }, 'listener failed')
      return
    }
    // With a released descriptor the connection can be accepted, and refused: otherwise the error would come again at once.
    reserve.release()
    onResult(listener, 'refused_descriptors')
    this.#report(undefined, listener, 'refused_descriptors')
  }

  /** Undefined: the peer is a trusted proxy, which brings many clients. */
  #findClient(socket: Socket, settings: Settings): ClientCount | undefined {
    const address = findPeerAddress(socket)
    const isCounted = address !== '' && !isTrustedPeer(address, settings)
    return isCounted ? this.#clients.find(findClientNetwork(address)) : undefined
  }

  #hasEnough(client: ClientCount, { limits }: Settings): boolean {
    const most = limits.connectionsPerClient || Math.max(LEAST_OF_CLIENT, Math.floor(this.#most / CLIENT_SHARE))
    return client.value >= most
  }

  #count(socket: Socket, client: ClientCount | undefined): void {
    this.#open.set(socket, client)
    if (client !== undefined) client.value++
  }

  #leave(socket: Socket): void {
    const client = this.#open.get(socket)
    this.#open.delete(socket)
    if (client !== undefined) client.value--
  }

  #refuse({ socket, listener, refusal }: Newcomer): void {
    this.#report(findPeerAddress(socket), listener, refusal)
    this.#options.onResult(listener, refusal)
    resetSocket(socket)
  }

  #report(peer: string | undefined, listener: string, result: Refusal): void {
    if (!this.#throttle.admit(`${listener} ${result}`)) return
    this.#options.log.warn({ listener, ...(peer && { peer }) }, `connections refused: ${REASONS[result]}`)
  }

  /**
   * Gives `newcomer` the place of the connection that has been idle longest, of any listener; false: none is idle, and the newcomer
   * is refused. The place is free at once; the connection is closed when all that came in this turn has been read, unless
   * that is a request.
   */
  #makeRoom(newcomer: Newcomer): boolean {
    const oldest = this.#takeOldest(newcomer)
    if (oldest === undefined) {
      this.#refuse(newcomer)
      return false
    }
    setImmediate(() => {
      try {
        this.#closeFor(newcomer, oldest)
      } catch (thrown) {
        containAt('accept', thrown, newcomer.socket)
      }
    })
    return true
  }

  #takeOldest({ client }: Newcomer): Idle | undefined {
    const oldest = this.#idle.takeOldest(client)
    if (oldest !== undefined) this.#leave(findAccepted(oldest[0].socket))
    return oldest
  }

  #closeFor(newcomer: Newcomer, taken: Idle): void {
    const { listener, settings } = newcomer
    for (let oldest: Idle | undefined = taken; oldest !== undefined; oldest = this.#takeOldest(newcomer)) {
      if (this.#idle.close(oldest)) {
        this.#options.onResult(listener, 'made_room')
        return
      }
      const [{ socket }] = oldest
      if (socket.destroyed) return
      const accepted = findAccepted(socket)
      this.#count(accepted, this.#findClient(accepted, settings))
    }
    this.#leave(newcomer.socket)
    this.#refuse(newcomer)
  }
}
