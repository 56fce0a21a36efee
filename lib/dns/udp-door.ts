/** DNS over UDP: one packet for each question, one for its answer. */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { opened } from '../platform/listen.ts'
import type { Responder } from './responder.ts'

export class UdpDoor {
  readonly #socket: Socket
  readonly #responder: Responder
  #isClosed = false

  private constructor(socket: Socket, responder: Responder) {
    this.#socket = socket
    this.#responder = responder
  }

  /** Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
  static async open(address: string, port: number, responder: Responder): Promise<UdpDoor> {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    try {
      await opened(socket, () => socket.bind(port, address))
    } catch (error) {
      socket.close()
      throw error
    }
    const door = new UdpDoor(socket, responder)
    socket.on('message', (message, { address, port }) => door.#take(message, address, port))
    // Errors that the network reports for earlier answers, which have no use here.
    socket.on('error', () => undefined)
    return door
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#isClosed = true
    return new Promise((resolve) => this.#socket.close(resolve))
  }

  #take(message: Buffer, address: string, port: number): void {
    const reply = this.#responder.respond(message, { address, transport: 'udp' })
    if (reply instanceof Promise) reply.then((bytes) => this.#send(bytes, address, port))
    else this.#send(reply, address, port)
  }

  #send(reply: Buffer | undefined, address: string, port: number): void {
    // Nothing can listen on port 0.
    if (reply !== undefined && port !== 0 && !this.#isClosed) this.#socket.send(reply, port, address, () => undefined)
  }
}
