/** Which client connections a process takes, over all its TCP ports: so many at once, and so many of one client. */
import type { Socket } from 'node:net'
import { findClientNetwork } from '../base/client-network.ts'
import type { Clock } from '../base/clock.ts'
import { ClientCount, PerClient } from '../base/per-client.ts'
import { type DescriptorReserve, findDescriptorLimit, fitConnections, isExhaustion } from '../platform/descriptors.ts'
import { resetSocket } from '../platform/reset.ts'
import { findDescriptor } from '../platform/socket-internals.ts'
import { isTrustedPeer } from '../request/forwarded.ts'
import { findPeerAddress } from '../request/origin.ts'
import type { Settings } from '../settings/table.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import type { ConnectionResult } from '../telemetry/request-counts.ts'
import type { IdleConnection, IdleSource } from './idle-connection.ts'

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

/** What the log says of each. */
const REASONS: Readonly<Record<Refusal, string>> = {
  refused_limit: 'limits.connections is reached',
  refused_client: 'limits.connectionsPerClient is reached',
  refused_descriptors: 'this process has no more file descriptors',
}

/** A quarter of all connections is the most that one client gets by itself. */
const CLIENT_SHARE = 4
/** And so many it gets at the least: a browser opens several. */
const LEAST_OF_CLIENT = 16
/** How soon idle connections are looked for again after none was found, in milliseconds. */
const LOOK_MS = 10
/** Doors know since when a connection is idle to within so much, in milliseconds. */
const SLACK_MS = 100

export class Admission {
  readonly #options: AdmissionOptions
  readonly #throttle: LogThrottle
  readonly #most: number
  readonly #sources = new Set<IdleSource>()
  readonly #clients = new PerClient(() => new ClientCount())
  /** Those that are open, with the count of their client; undefined is none. */
  readonly #open = new Map<Socket, ClientCount | undefined>()
  /** Idle when they were last looked at, the one that is idle longest last. */
  #idle: (readonly [connection: IdleConnection, since: number])[] = []
  #lookedAt = Number.NEGATIVE_INFINITY
  /** One for all: an idle connection shall cost little. */
  readonly #onClose: (this: Socket) => void

  constructor(options: AdmissionOptions) {
    const { settings, clock } = options
    this.#options = options
    this.#throttle = new LogThrottle(clock)
    this.#most = settings.limits.connections || fitConnections(findDescriptorLimit())
    const leave = (socket: Socket) => this.#leave(socket)
    this.#onClose = function () {
      leave(this)
    }
  }

  /** The connections of these may be closed where they are idle. */
  addSource(source: IdleSource): void {
    this.#sources.add(source)
  }

  /** Takes a connection that has an error listener and was just accepted; false: it is refused, and reset. */
  enter(socket: Socket, listener: string, settings: Settings): boolean {
    const { reserve } = this.#options
    reserve.watch(findDescriptor(socket))
    // First, so that a client who has too many drives nobody else out.
    const client = this.#findClient(socket, settings)
    if (this.#hasEnough(client, settings)) return this.#refuse(socket, listener, 'refused_client')
    const isFull = this.#open.size >= this.#most
    if (isFull || reserve.isReleased) {
      if (!this.#makeRoom(listener)) {
        return this.#refuse(socket, listener, isFull ? 'refused_limit' : 'refused_descriptors')
      }
    } else if (this.#idle.length > 0) this.#idle = []
    this.#count(socket, client)
    socket.on('close', this.#onClose)
    return true
  }

  /** Of one that was taken: a PROXY header has told whom it comes from. */
  enterClient(socket: Socket, listener: string, settings: Settings): boolean {
    const client = this.#findClient(socket, settings)
    if (this.#hasEnough(client, settings)) return this.#refuse(socket, listener, 'refused_client')
    this.#leave(socket)
    this.#count(socket, client)
    return true
  }

  /** Of a server that listens: what went wrong as it accepted. */
  onAcceptError(error: Error, listener: string): void {
    const { reserve, onResult, log } = this.#options
    if (!isExhaustion(error)) {
      log.error({ err: error, listener }, 'listener failed')
      return
    }
    // With one of those that are released the connection can be accepted, and refused.
    reserve.release()
    onResult(listener, 'refused_descriptors')
    this.#report(undefined, listener, 'refused_descriptors')
  }

  /** Undefined: proxies that are trusted bring many clients. */
  #findClient(socket: Socket, settings: Settings): ClientCount | undefined {
    const address = findPeerAddress(socket)
    const isCounted = address !== '' && !isTrustedPeer(address, settings)
    return isCounted ? this.#clients.find(findClientNetwork(address)) : undefined
  }

  #hasEnough(client: ClientCount | undefined, { limits }: Settings): boolean {
    if (client === undefined) return false
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

  /** Always false. */
  #refuse(socket: Socket, listener: string, result: Refusal): false {
    this.#report(findPeerAddress(socket), listener, result)
    this.#options.onResult(listener, result)
    resetSocket(socket)
    return false
  }

  #report(peer: string | undefined, listener: string, result: Refusal): void {
    if (!this.#throttle.admit(`${listener} ${result}`)) return
    this.#options.log.warn({ listener, ...(peer && { peer }) }, `connections refused: ${REASONS[result]}`)
  }

  /** Closes the connection that has been idle longest, of whichever listener; false: none is. */
  #makeRoom(listener: string): boolean {
    const now = this.#options.clock.monotonic()
    for (let looks = 0; looks < 2; looks++) {
      let next = this.#idle.pop()
      while (next !== undefined) {
        const [connection, since] = next
        // One that was used since then is not among the oldest any more.
        if (connection.idleSince(now) <= since + SLACK_MS) {
          connection.closeIdle()
          this.#options.onResult(listener, 'made_room')
          return true
        }
        next = this.#idle.pop()
      }
      if (now - this.#lookedAt < LOOK_MS) return false
      this.#look(now)
    }
    return false
  }

  #look(now: number): void {
    this.#lookedAt = now
    for (const source of this.#sources) {
      for (const connection of source.listConnections()) {
        const since = connection.idleSince(now)
        if (since <= now) this.#idle.push([connection, since])
      }
    }
    this.#idle.sort(([, a], [, b]) => b - a)
  }
}
