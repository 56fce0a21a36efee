/** Bytes both ways between a client and an endpoint: after an upgrade, and for connections at L4. */
import type { Socket } from 'node:net'
import { hangupWatch, type Side, type Sighting, type Unread, wasReset } from '../platform/hangup-watch.ts'
import { resetSocket } from '../platform/reset.ts'
import type { Settings } from '../settings/table.ts'

/** What a tunnel that gets on no more is allowed, in milliseconds. */
export type TunnelLimits = Pick<Settings['timeouts'], 'halfClosed' | 'writeStall'>

/** Two sockets joined byte by byte, with the backpressure of both. */
export class Tunnel implements Unread {
  sighting: Sighting | undefined = undefined
  readonly clientSocket: Socket
  readonly endpointSocket: Socket
  readonly #limits: TunnelLimits
  readonly #onClose: () => void
  readonly #startIn: number
  readonly #startOut: number
  #open = 2

  /** `idleMs` without a byte in either direction ends it; 0 is never. `onClose` is called once, when both sockets are closed. */
  constructor(client: Socket, endpoint: Socket, idleMs: number, limits: TunnelLimits, onClose: () => void) {
    this.clientSocket = client
    this.endpointSocket = endpoint
    this.#limits = limits
    this.#onClose = onClose
    this.#startIn = client.bytesRead
    this.#startOut = client.bytesWritten
    this.#join(client, endpoint)
    this.#join(endpoint, client)
    // Reads and writes both count as activity of the client's socket, so its timer alone sees both directions.
    client.setTimeout(idleMs, () => this.destroy())
    client.setNoDelay(true)
  }

  /** From the client, since the tunnel was opened. */
  get bytesIn(): number {
    return this.clientSocket.bytesRead - this.#startIn
  }

  /** To the client, since the tunnel was opened. */
  get bytesOut(): number {
    return this.clientSocket.bytesWritten - this.#startOut
  }

  /** A side that has ended is read no more either. */
  get isUnread(): boolean {
    if (this.#open === 0) return false
    const { clientSocket, endpointSocket } = this
    if (clientSocket.isPaused() || endpointSocket.isPaused()) return true
    return clientSocket.readableEnded || endpointSocket.readableEnded
  }

  /** Bytes that an endpoint sent before it went away still reach a client that takes them; bytes of a client that went away are dropped. */
  onStill(sighting: Sighting): void {
    const { halfClosed, writeStall } = this.#limits
    const { client, endpoint, now } = sighting
    const isOver =
      client?.isReset ||
      sighting.hasClientLeft(halfClosed) ||
      sighting.hasEndpointLeft(halfClosed) ||
      isStalled(client, now - writeStall) ||
      isStalled(endpoint, now - writeStall)
    if (isOver) this.destroy()
  }

  /** Cuts both, so that neither takes what it has for the whole. */
  destroy(): void {
    resetSocket(this.clientSocket)
    resetSocket(this.endpointSocket)
  }

  #join(from: Socket, to: Socket): void {
    from.pipe(to, { end: false })
    from.on('pause', this.#onUnread)
    from.on('end', () => {
      if (wasReset(from)) {
        resetSocket(to)
        return
      }
      // A FIN is passed on as a FIN: the other direction flows until it ends too (half-close).
      to.end()
      this.#onUnread()
    })
    from.on('error', () => resetSocket(to))
    from.on('close', () => {
      // Closed without FIN: nothing may look like a proper end to the other side.
      if (!from.readableEnded) resetSocket(to)
      else if (to.readableEnded) to.end()
      this.#open--
      if (this.#open > 0) return
      hangupWatch.delete(this)
      this.#onClose()
    })
  }

  #onUnread = (): void => hangupWatch.add(this)
}

/** Bytes wait for it, of which it has taken none since then. */
function isStalled(side: Side | undefined, since: number): boolean {
  return side !== undefined && side.socket.writableLength > 0 && side.tookAt < since
}
