/** DNS over TCP (RFC 7766): several questions on a connection, each answered as soon as its answer is ready. */
import { createServer, type Server, type Socket } from 'node:net'
import { type BoundAddress, listenOn } from '../platform/listen.ts'
import { HEADER_BYTES } from './query.ts'
import type { Responder } from './responder.ts'
import { frameMessage, splitMessages } from './stream.ts'

export type TcpLimits = Readonly<{
  connections: number
  /** A connection is closed after so many milliseconds without a complete question. */
  idleMs: number
}>

/** Questions are short: a longer message is no question. */
const MAX_QUERY_BYTES = 4096
/** Most questions of one connection under way; further ones wait in the socket. */
const MAX_PENDING = 32

export class TcpDoor {
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  #address: BoundAddress = { address: '', port: 0 }

  private constructor(responder: Responder, limits: TcpLimits) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const connection = new Connection(socket, responder, limits.idleMs)
      this.#connections.add(connection)
      socket.once('close', () => this.#connections.delete(connection))
    })
    this.#server.maxConnections = limits.connections
    // A connection that could not be accepted (EMFILE) does not concern the others.
    this.#server.on('error', () => undefined)
  }

  /** Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
  static async open(address: string, port: number, responder: Responder, limits: TcpLimits): Promise<TcpDoor> {
    const door = new TcpDoor(responder, limits)
    door.#address = await listenOn(door.#server, { address, port })
    return door
  }

  get address(): BoundAddress {
    return this.#address
  }

  close(): Promise<void> {
    for (const connection of this.#connections) connection.close()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

/** True if a message of this length may be a query: without a complete header it could not even be answered. */
function isLikely(bytes: number): boolean {
  return bytes >= HEADER_BYTES && bytes <= MAX_QUERY_BYTES
}

class Connection {
  readonly #socket: Socket
  readonly #responder: Responder
  readonly #address: string
  /** Restarted only by complete messages, so that trickling bytes do not keep the connection open. */
  readonly #idle: NodeJS.Timeout
  #held: Buffer = Buffer.alloc(0)
  #pending = 0
  #hasEnded = false

  constructor(socket: Socket, responder: Responder, idleMs: number) {
    this.#socket = socket
    this.#responder = responder
    this.#address = socket.remoteAddress ?? ''
    this.#idle = setTimeout(() => this.close(), idleMs)
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('drain', () => this.#goOn())
    socket.on('end', () => {
      this.#hasEnded = true
      this.#finish()
    })
    // The `close` event follows.
    socket.on('error', () => undefined)
    socket.on('close', () => clearTimeout(this.#idle))
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#goOn()
  }

  /** Answers the received questions, as far as the client takes the answers. */
  #goOn(): void {
    while (this.#isFree) {
      if (this.#held.length >= 2 && !isLikely(this.#held.readUInt16BE(0))) {
        this.close()
        return
      }
      const { messages, rest } = splitMessages(this.#held, 1)
      const [message] = messages
      if (message === undefined) break
      this.#held = rest
      this.#idle.refresh()
      this.#answer(message)
    }
    if (this.#isFree) this.#socket.resume()
    else this.#socket.pause()
    this.#finish()
  }

  get #isFree(): boolean {
    return this.#pending < MAX_PENDING && !this.#socket.writableNeedDrain
  }

  #answer(message: Buffer): void {
    const reply = this.#responder.respond(message, { address: this.#address, transport: 'tcp' })
    if (!(reply instanceof Promise)) {
      this.#send(reply)
      return
    }
    this.#pending++
    reply.then((bytes) => {
      this.#pending--
      this.#send(bytes)
      this.#goOn()
    })
  }

  #send(reply: Buffer | undefined): void {
    if (reply === undefined || this.#socket.destroyed) return
    this.#idle.refresh()
    this.#socket.write(frameMessage(reply))
  }

  /** Ends the connection after the last answer, if the client has ended its side. */
  #finish(): void {
    if (this.#hasEnded && this.#pending === 0 && !this.#socket.isPaused()) this.#socket.end()
  }
}
