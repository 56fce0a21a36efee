/**
 * Connections to endpoints that know by the connection whose requests come (NTLM, Negotiate: RFC 4559 §6). Each is one client
 * connection's alone from its first handshake on, carries that one's later requests, and is closed with it.
 */
import { findDescriptorLimit, fitSockets } from '../../platform/descriptors.ts'
import type { Connection, ConnectionOwner, Peer, PrivateConnectionList } from './connection.ts'

/** A browser authenticates with one or two endpoints over a connection; a client that goes on to more authenticates anew. */
const MAX_CONNECTIONS = 4

export class PrivateConnections implements PrivateConnectionList {
  /** Of the client's connection; those used last at the end. */
  #connections: Connection[] = []
  #isClosed = false

  add(connection: Connection): void {
    if (this.#isClosed) return
    this.#connections.push(connection)
    if (this.#connections.length > MAX_CONNECTIONS) close(this.#connections.shift()!)
  }

  delete(connection: Connection): void {
    const index = this.#connections.indexOf(connection)
    if (index >= 0) this.#connections.splice(index, 1)
  }

  /** Whether it may wait for another request; one that was given up under a request is closed behind that. */
  keeps(connection: Connection): boolean {
    return this.#connections.includes(connection)
  }

  /** The endpoint of this upstream that knows the client already and can be asked at once. */
  findPeer<P extends Peer>(upstream: { offers(peer: P): boolean }): P | undefined {
    for (let at = this.#connections.length - 1; at >= 0; at--) {
      const connection = this.#connections[at]!
      const peer = connection.owner.peer as P
      if (connection.isIdle && connection.isUsable && upstream.offers(peer)) return peer
    }
    return undefined
  }

  /** One of this owner's that is idle; it is no longer. */
  take(owner: ConnectionOwner): Connection | undefined {
    for (let at = this.#connections.length - 1; at >= 0; at--) {
      const connection = this.#connections[at]!
      if (!connection.isIdle || !connection.isUsable || connection.owner !== owner) continue
      this.#connections.splice(at, 1)
      this.#connections.push(connection)
      owner.withdraw(connection)
      return connection
    }
    return undefined
  }

  /** The client's connection is closed. */
  close(): void {
    this.#isClosed = true
    for (const connection of this.#connections.splice(0)) close(connection)
  }
}

/**
 * All of a process that wait for their clients, those that have done so longest first. They wait as long as these stay, so there
 * is a bound for all of them together.
 */
export class IdlePrivates {
  readonly #most: number
  readonly #connections = new Set<Connection>()

  constructor(most: number = fitSockets(findDescriptorLimit())) {
    this.#most = most
  }

  add(connection: Connection): void {
    this.#connections.add(connection)
    if (this.#connections.size <= this.#most) return
    const [longest] = this.#connections
    close(longest!)
  }

  delete(connection: Connection): void {
    this.#connections.delete(connection)
  }
}

/** One that carries a request is closed when that has ended. */
function close(connection: Connection): void {
  if (!connection.isIdle) return
  connection.owner.withdraw(connection)
  connection.destroy()
}
