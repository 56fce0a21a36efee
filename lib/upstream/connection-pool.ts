/** The connections to one address: reused while they are clean, opened up to a limit, beyond it a short bounded queue. HOT */
import type { Socket } from 'node:net'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { GatewayError } from '../base/errors.ts'
import type { Settings } from '../settings-table.ts'
import { type ConnectTarget, connectEndpoint } from './connect.ts'

/** Whoever asks for a connection. Exactly one of the two is called, perhaps before `acquire` returns. */
export type Waiter = {
  /** True once the answer is of no use any more; a connection that comes later stays in the pool. */
  readonly cancelled: boolean
  onConnection(connection: Connection): void
  onConnectionError(error: GatewayError): void
}

type Queued = { readonly waiter: Waiter; readonly timer: NodeJS.Timeout }

/** One socket to an endpoint, leased to one request at a time. */
export class Connection {
  readonly socket: Socket
  /** Requests it has carried before this one. */
  uses: number = 0
  /** `socket.bytesRead` when it was leased: more means that a part of an answer came. */
  bytesReadAtLease: number = 0
  /** Milliseconds it may stay idle, if the endpoint said less than the settings (Keep-Alive: timeout). */
  idleLimit: number = Number.POSITIVE_INFINITY
  readonly #pool: ConnectionPool
  #idleSince: { release: () => void } | undefined

  constructor(socket: Socket, pool: ConnectionPool) {
    this.socket = socket
    this.#pool = pool
    // A socket without listener would end the process when it is reset between two requests.
    socket.on('error', ignore)
    socket.once('close', () => pool.forget(this))
  }

  /** Whether a failure before any byte of an answer may only mean that the endpoint had closed the idle connection. */
  get isStale(): boolean {
    return this.uses > 0 && this.socket.bytesRead === this.bytesReadAtLease
  }

  lease(): void {
    this.#idleSince?.release()
    this.#idleSince = undefined
    this.bytesReadAtLease = this.socket.bytesRead
  }

  /** Gives it back after a complete exchange. */
  release(): void {
    const { socket } = this
    if (socket.destroyed || !socket.writable || !socket.readable) {
      socket.destroy()
      return
    }
    this.uses++
    // Bytes that come while nothing was asked are no answer to the next request (response-queue poisoning).
    const discard = () => socket.destroy()
    const idleMs = Math.min(this.#pool.idleMs, this.idleLimit)
    socket.on('data', discard)
    socket.on('end', discard)
    const timer = setTimeout(discard, idleMs)
    timer.unref()
    socket.resume()
    this.#idleSince = {
      release: () => {
        clearTimeout(timer)
        socket.off('data', discard)
        socket.off('end', discard)
      },
    }
    // One turn of the event loop, so that surplus bytes already received are seen before the next use.
    setImmediate(() => {
      if (!socket.destroyed) this.#pool.offer(this)
    })
  }

  /** Ends it: its state is unknown or known to be bad. */
  destroy(): void {
    this.#idleSince?.release()
    this.socket.destroy()
  }
}

function ignore(): void {}

export class ConnectionPool {
  readonly target: ConnectTarget
  readonly #settings: () => Settings
  readonly #idle: Connection[] = []
  readonly #open = new Set<Connection>()
  readonly #queue: Queued[] = []
  #opening = 0
  #closed = false

  constructor(target: ConnectTarget, settings: () => Settings) {
    this.target = target
    this.#settings = settings
  }

  get idleMs(): number {
    return this.#settings().timeouts.upstreamKeepAlive
  }

  /** Connections open or being opened, idle ones included. */
  get size(): number {
    return this.#open.size + this.#opening
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** True when nothing is leased, being opened or waited for. */
  get isIdle(): boolean {
    return this.#opening === 0 && this.#queue.length === 0 && this.#idle.length === this.#open.size
  }

  /** `fresh` asks for a connection that no request has used. */
  acquire(waiter: Waiter, fresh: boolean): void {
    if (this.#closed) {
      waiter.onConnectionError(new GatewayError('PORTICO_UP_CONNECT_FAILED', 'the endpoint was closed'))
      return
    }
    if (!fresh) {
      for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
        if (connection.socket.destroyed) continue
        connection.lease()
        waiter.onConnection(connection)
        return
      }
    }
    const { maxConnections, maxQueue } = this.#settings().upstream
    if (this.size >= maxConnections && fresh) this.#idle.shift()?.destroy()
    if (this.size < maxConnections) this.#connect(waiter)
    else if (this.#queue.length < maxQueue) this.#enqueue(waiter)
    else waiter.onConnectionError(this.#overloaded(`${this.#queue.length} requests wait already`))
  }

  /** A connection that became free: to who waits longest, else to the idle ones. */
  offer(connection: Connection): void {
    if (this.#closed || this.size > this.#settings().upstream.maxConnections || this.idleMs === 0) {
      connection.destroy()
      return
    }
    const waiter = this.#dequeue()
    if (!waiter) {
      this.#idle.push(connection)
      return
    }
    connection.lease()
    waiter.onConnection(connection)
  }

  /** Called when a connection's socket has closed. */
  forget(connection: Connection): void {
    if (!this.#open.delete(connection)) return
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
    this.#refill()
  }

  /** Closes idle connections and lets none become idle again; leased ones end with their requests. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.destroy()
    for (let waiter = this.#dequeue(); waiter; waiter = this.#dequeue()) {
      waiter.onConnectionError(new GatewayError('PORTICO_UP_CONNECT_FAILED', 'the endpoint was closed'))
    }
  }

  #connect(waiter: Waiter): void {
    this.#opening++
    connectEndpoint(this.target, this.#settings().timeouts.connect, (result) => {
      this.#opening--
      if (result instanceof GatewayError) {
        if (!waiter.cancelled) waiter.onConnectionError(result)
        this.#refill()
        return
      }
      const connection = new Connection(result, this)
      this.#open.add(connection)
      if (waiter.cancelled) {
        connection.release()
        return
      }
      connection.lease()
      waiter.onConnection(connection)
    })
  }

  #enqueue(waiter: Waiter): void {
    const { connect } = this.#settings().timeouts
    const queued: Queued = {
      waiter,
      timer: setTimeout(() => {
        this.#queue.splice(this.#queue.indexOf(queued), 1)
        if (!waiter.cancelled) waiter.onConnectionError(this.#overloaded(`no connection was free within ${connect} ms`))
      }, connect),
    }
    this.#queue.push(queued)
  }

  #dequeue(): Waiter | undefined {
    for (let queued = this.#queue.shift(); queued; queued = this.#queue.shift()) {
      clearTimeout(queued.timer)
      if (!queued.waiter.cancelled) return queued.waiter
    }
    return undefined
  }

  /** A place became free without a connection to hand on. */
  #refill(): void {
    if (this.#closed || this.size >= this.#settings().upstream.maxConnections) return
    const waiter = this.#dequeue()
    if (waiter) this.#connect(waiter)
  }

  #overloaded(why: string): GatewayError {
    const { address, port } = this.target
    return new GatewayError('PORTICO_UP_OVERLOADED', `${printEndpointAddress(address, port)}: ${why}`)
  }
}
