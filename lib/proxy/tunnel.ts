/** Bytes both ways between a client and an endpoint: after an upgrade, and for connections that nobody reads. */
import type { Socket } from 'node:net'
import { resetSocket } from './reset.ts'

/** Two sockets joined byte by byte, with the backpressure of both. */
export class Tunnel {
  readonly #client: Socket
  readonly #upstream: Socket
  readonly #onClose: () => void
  readonly #startIn: number
  readonly #startOut: number
  #open = 2

  /** `idleMs` without a byte in either direction ends it; 0 is never. `onClose` is called once, when both sockets are closed. */
  constructor(client: Socket, upstream: Socket, idleMs: number, onClose: () => void) {
    this.#client = client
    this.#upstream = upstream
    this.#onClose = onClose
    this.#startIn = client.bytesRead
    this.#startOut = client.bytesWritten
    this.#join(client, upstream)
    this.#join(upstream, client)
    // Reads and writes both count as activity of the client's socket, so its timer alone sees both directions.
    client.setTimeout(idleMs, () => this.destroy())
    client.setNoDelay(true)
  }

  /** From the client, since the tunnel was opened. */
  get bytesIn(): number {
    return this.#client.bytesRead - this.#startIn
  }

  /** To the client, since the tunnel was opened. */
  get bytesOut(): number {
    return this.#client.bytesWritten - this.#startOut
  }

  /** Cuts both, so that neither takes what it has for the whole. */
  destroy(): void {
    resetSocket(this.#client)
    resetSocket(this.#upstream)
  }

  #join(from: Socket, to: Socket): void {
    // `pipe` passes a FIN on as a FIN: the other direction flows until it ends too (half-close).
    from.pipe(to)
    from.on('error', () => resetSocket(to))
    from.on('close', () => {
      // Closed without FIN: nothing may look like a proper end to the other side.
      if (!from.readableEnded) resetSocket(to)
      else if (to.readableEnded) to.end()
      this.#open--
      if (this.#open === 0) this.#onClose()
    })
  }
}
