/** One socket to an endpoint, leased to one request at a time: hears whatever the socket says, and whether it can be used again. HOT */
import type { OnReadOpts, Socket } from 'node:net'
import { contain, type Victim } from '../../base/contain.ts'
import type { GatewayError } from '../../base/errors.ts'
import { ChunkedDecoder } from '../../http1/chunked-decoder.ts'
import { wasReset } from '../../platform/hangup-watch.ts'
import { findLent, READ_BUFFER } from '../../platform/lent-bytes.ts'

/** What a connection may have behind it: `any` requests, `recent` ones, after which the endpoint has not closed it yet, or `none`. */
export type Past = 'any' | 'recent' | 'none'

/** A request or tunnel that asks for a connection. Exactly one of the last two is called, perhaps before `acquire` returns. */
export type Waiter = Partial<Victim> & {
  /** True once the answer is of no use any more; a connection that comes later stays in the pool. */
  readonly cancelled: boolean
  /** Bytes that stand before everything else on the connection, which is then a fresh one that no other client uses afterwards. */
  readonly preamble?: Buffer | undefined
  /** The connections that the client alone may use; they go before all others. */
  readonly privates?: PrivateConnectionList | undefined
  /** Most milliseconds until a connection is open or free; undefined: as the settings say. */
  readonly connectTimeout?: number | undefined
  /** Asked where nothing is heard of the endpoint for a while: whether another one is to be tried in its place. */
  givesUp?(): boolean
  onConnection(connection: Connection): void
  onConnectionError(error: GatewayError): void
}

/** The endpoint that connections lead to. */
export type Peer = {
  /** The Host line that requests have there under this `upstream.host` of the settings, `''` where it is the client's. */
  hostLine(setting: string): string
  /** Where this address cannot be connected to, the connection leads to another address of its name: see `Connection.owner.peer`. */
  acquire(waiter: Waiter, past: Past): void
  /** A request or tunnel goes there, and is over. */
  begin(): void
  end(): void
  recordFailure(error: GatewayError): void
}

/** The connections that one client alone may use. */
export type PrivateConnectionList = {
  add(connection: Connection): void
  delete(connection: Connection): void
  /** True if the connection may wait for another request. */
  keeps(connection: Connection): boolean
  /** An idle connection of this owner, which is idle no longer. */
  take(owner: ConnectionOwner): Connection | undefined
}

export type ConnectedSockets = Readonly<{
  /** What is read and written. */
  socket: Socket
  /** The TCP socket under it; without TLS the same one. */
  transport: Socket
}>

/** What a connection tells the request that it carries. */
export type ConnectionUser = Partial<Victim> & {
  /** The bytes are lent: they are gone when the call returns. */
  onBytes(bytes: Buffer): void
  /** The endpoint sends no more: a proper end, as far as the transport can say. */
  onFin(): void
  /** The socket is closed; nothing else comes. */
  onClosed(error: NodeJS.ErrnoException | undefined): void
  onDrain(): void
}

/** Where a connection belongs. */
export type ConnectionOwner = {
  /** `host:port`, for the log. */
  readonly place: string
  readonly peer: Peer
  /** The endpoint closed it under a request of which it can have read nothing. */
  noteStale(connection: Connection): void
  /** It has carried a whole exchange and may carry another. */
  rest(connection: Connection): void
  /** An idle connection is used again, or closed, by the client that it belongs to. */
  withdraw(connection: Connection): void
  /** Its socket has closed. */
  forget(connection: Connection): void
}

/** For node:net's `onread`. */
export const LENT_READS: OnReadOpts = { buffer: READ_BUFFER, callback: onLentRead }

/** What has come since a connection was leased. */
const NOTHING = 0
/** A 100: the endpoint has the request's head, and has answered nothing yet. */
const CONTINUE = 1
const ANSWER = 2

const CONNECTION: unique symbol = Symbol('connection')
type ConnectionSocket = Socket & { [CONNECTION]?: Connection | undefined }

export class Connection {
  readonly socket: Socket
  readonly owner: ConnectionOwner
  /** Whether one request after the other may use it. */
  readonly #isReusable: boolean
  /** The list of the client that alone may use it; undefined: any client may. */
  #privates: PrivateConnectionList | undefined = undefined
  readonly #transport: Socket
  /** Requests it has carried before this one. */
  uses: number = 0
  /** Milliseconds it may stay idle, if the endpoint said less than the settings (Keep-Alive: timeout). */
  idleLimit: number = Number.POSITIVE_INFINITY
  /** When it became free last, by the monotonic clock. */
  idleSince: number = 0
  /** While it is idle: when it is closed, likewise. */
  idleUntil: number = 0
  /** Neighbours in the pool's list of idle ones that it is in. */
  newer: Connection | undefined = undefined
  older: Connection | undefined = undefined
  isIdle: boolean = false
  #user: ConnectionUser | undefined = undefined
  #heard: number = NOTHING
  #error: NodeJS.ErrnoException | undefined = undefined
  /** Over TLS, once the end is awaited: bytes on the wire when content was last heard, and whether that was in this turn. */
  #wireBytes = -1
  #heardNow = false
  #decoder: ChunkedDecoder | undefined = undefined

  constructor(sockets: ConnectedSockets, owner: ConnectionOwner, isReusable: boolean = true) {
    const { socket, transport } = sockets
    this.socket = socket
    this.#transport = transport
    this.owner = owner
    this.#isReusable = isReusable
    const own: ConnectionSocket = socket
    own[CONNECTION] = this
    if (transport !== socket) socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('drain', this.#onDrain)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  /** True if a failure before any byte of an answer may only mean that the endpoint had closed the idle connection. */
  get isStale(): boolean {
    return this.uses > 0 && this.#heard === NOTHING
  }

  /** Whether a byte of an answer has come since it was leased. */
  get hasAnswered(): boolean {
    return this.#heard === ANSWER
  }

  /** All that has come was a 100. */
  noteContinue(): void {
    this.#heard = CONTINUE
  }

  /** Whether it is one client's alone. */
  get isPrivate(): boolean {
    return this.#privates !== undefined
  }

  /** Whether another request is meant to use it: a private one waits only as long as its client is there. */
  get isKept(): boolean {
    return this.#privates === undefined ? this.#isReusable : this.#privates.keeps(this)
  }

  /** Whether it can carry a request, as far as is known. */
  get isUsable(): boolean {
    const { socket } = this
    return !socket.destroyed && socket.writable && !socket.readableEnded && this.#error === undefined
  }

  /** Undoes chunked coding for one response after the other. */
  get decoder(): ChunkedDecoder {
    this.#decoder ??= new ChunkedDecoder()
    return this.#decoder
  }

  /**
   * Whether the end that was heard was meant: a FIN and no reset; over TLS a close_notify must have come, since anybody on the way can send a
   * FIN (RFC 9112 §9.8). node tells both alike. But an alert that came by itself shows in the bytes on the wire, and one that
   * came with content ends the stream in the same turn of the event loop, which a FIN never does. `awaitEnd` comes first.
   */
  get hasEndedProperly(): boolean {
    if (this.#transport === this.socket) return !wasReset(this.socket)
    return this.#heardNow || this.#transport.bytesRead > this.#wireBytes
  }

  /** The answer lasts until the connection ends. */
  awaitEnd(): void {
    if (this.#transport !== this.socket) this.#markHeard()
  }

  /** Called for each new request, before it is handed out. */
  lease(): void {
    this.#heard = NOTHING
  }

  /** From here on `user` hears what comes. */
  use(user: ConnectionUser): void {
    this.#user = user
    // A closed socket tells nobody that what is written to it goes nowhere.
    if (this.socket.closed) process.nextTick(this.#tellClosed)
  }

  /** From here on it carries the requests of one client connection alone. */
  claim(privates: PrivateConnectionList): void {
    if (this.#privates !== undefined) return
    this.#privates = privates
    privates.add(this)
  }

  /** Gives it back after a complete exchange. */
  release(): void {
    const { socket } = this
    this.#user = undefined
    // Unsent bytes of a request that was answered early would stand before the next one's.
    if (!this.isKept || !this.isUsable || socket.writableLength > 0) {
      socket.destroy()
      return
    }
    this.uses++
    if (socket.isPaused()) socket.resume()
    this.owner.rest(this)
  }

  /** Ends it: its state is unknown or known to be bad. */
  destroy(): void {
    this.#user = undefined
    this.socket.destroy()
  }

  /** Gives the bare socket away, paused; it counts as open until it closes. */
  detach(): Socket {
    const { socket } = this
    this.#user = undefined
    this.#privates?.delete(this)
    const own: ConnectionSocket = socket
    own[CONNECTION] = undefined
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('drain', this.#onDrain)
    socket.pause()
    return socket
  }

  /** What came over a plain socket. */
  receive(bytes: Buffer): void {
    this.#heard = ANSWER
    const user = this.#user
    // Bytes that come while nothing was asked are no answer to the next request (response-queue poisoning).
    if (user === undefined) this.socket.destroy()
    else {
      try {
        user.onBytes(bytes)
      } catch (thrown) {
        this.#contain(thrown, user)
      }
    }
  }

  /** `user` may have given the connection back before it threw. */
  #contain(thrown: unknown, user: ConnectionUser | undefined): void {
    this.destroy()
    contain('upstream', thrown, user)
  }

  #onData = (bytes: Buffer): void => {
    if (this.#wireBytes >= 0) this.#markHeard()
    this.receive(bytes)
  }

  #markHeard(): void {
    this.#wireBytes = this.#transport.bytesRead
    this.#heardNow = true
    setImmediate(() => {
      this.#heardNow = false
    })
  }

  #onEnd = (): void => {
    const user = this.#user
    try {
      if (user === undefined) this.socket.destroy()
      else user.onFin()
    } catch (thrown) {
      this.#contain(thrown, user)
    }
  }

  #onDrain = (): void => {
    const user = this.#user
    try {
      user?.onDrain()
    } catch (thrown) {
      this.#contain(thrown, user)
    }
  }

  #onError = (error: NodeJS.ErrnoException): void => {
    this.#error ??= error
  }

  #onClose = (): void => {
    try {
      this.#privates?.delete(this)
      this.owner.forget(this)
    } catch (thrown) {
      contain('upstream', thrown, undefined)
    }
    this.#tellClosed()
  }

  #tellClosed = (): void => {
    const user = this.#user
    this.#user = undefined
    try {
      user?.onClosed(this.#error)
    } catch (thrown) {
      contain('upstream', thrown, user)
    }
  }
}

/** A socket that was given away is a stream again; false stops reading until the stream is read. */
function onLentRead(this: unknown, size: number): boolean {
  const socket = this as ConnectionSocket
  const bytes = findLent(size)
  const connection = socket[CONNECTION]
  if (connection === undefined) return socket.push(Buffer.from(bytes))
  connection.receive(bytes)
  return true
}
