/** The open client connections of one port: each has an error listener from its first tick, and all can be cut at once. */
import type { Socket } from 'node:net'

export class ConnectionSet {
  readonly #sockets = new Set<Socket>()
  /** One listener for all connections, so that an idle one costs little. */
  readonly #forget: (this: Socket) => void

  constructor() {
    const sockets = this.#sockets
    this.#forget = function () {
      sockets.delete(this)
    }
  }

  get size(): number {
    return this.#sockets.size
  }

  add(socket: Socket): void {
    socket.on('error', ignoreError)
    socket.on('close', this.#forget)
    this.#sockets.add(socket)
  }

  [Symbol.iterator](): IterableIterator<Socket> {
    return this.#sockets.values()
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }
}

/** A reset on a socket without an error listener would end the process; the 'close' event tells all that matters. */
export function ignoreError(): void {}
