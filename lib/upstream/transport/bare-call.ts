/** A bare connection to an endpoint, for L4: it is asked for, and its socket given away. */
import type { Socket } from 'node:net'
import { GatewayError } from '../../base/errors.ts'
import { composeProxyHeader } from '../../base/proxy-protocol.ts'
import type { ConnectionEvents, ConnectionWish } from './call.ts'
import type { Connection, Peer, Waiter } from './connection.ts'

export type BareEvents = ConnectionEvents & {
  /** The socket carries bytes from here on; nobody listens to it any more. */
  onSocket(socket: Socket): void
}

export class BareCall implements Waiter {
  readonly preamble: Buffer | undefined
  readonly connectTimeout: number
  cancelled = false
  readonly #peer: Peer
  readonly #events: BareEvents

  constructor(peer: Peer, { client, proxyVersion, connectTimeout }: ConnectionWish, events: BareEvents) {
    this.#peer = peer
    this.#events = events
    this.connectTimeout = connectTimeout
    this.preamble = proxyVersion && composeProxyHeader(proxyVersion, client.path)
  }

  /** Asks for the connection; events may come before it returns. */
  start(): void {
    this.#peer.acquire(this, 'none')
  }

  /** Gives the connection up; nothing is heard afterwards. */
  abort(): void {
    this.cancelled = true
  }

  givesUp(): boolean {
    return this.#events.givesUp()
  }

  onConnection(connection: Connection): void {
    const { peer, place } = connection.owner
    const socket = connection.detach()
    if (socket.destroyed) {
      this.#events.onUnreachable(new GatewayError('PORTICO_UP_RESET', `${place}: closed at once`))
      return
    }
    if (peer !== this.#peer) this.#events.onMoved(peer)
    this.#events.onSocket(socket)
  }

  onConnectionError(error: GatewayError): void {
    this.#events.onUnreachable(error)
  }

  /** After a bug. */
  breakOff(error: GatewayError): void {
    this.cancelled = true
    this.#events.breakOff?.(error)
  }
}
