/** The connections to one address: reused while they are clean, opened up to a limit; beyond it requests wait for one. HOT */
import type { Clock } from '../../base/clock.ts'
import { contain } from '../../base/contain.ts'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../../base/deadline.ts'
import { printEndpointAddress } from '../../base/endpoint-address.ts'
import { GatewayError, overloaded } from '../../base/errors.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { Settings } from '../../settings/table.ts'
import { type ConnectTarget, connectEndpoint } from './connect.ts'
import {
  type ConnectedSockets,
  Connection,
  type ConnectionOwner,
  type Past,
  type Peer,
  type Waiter,
} from './connection.ts'
import { IdleConnections } from './idle-connections.ts'
import { IdleHabit } from './idle-habit.ts'
import type { IdlePrivates } from './private-connections.ts'

export type PoolSurroundings = Readonly<{
  /** The settings in force; read at each use. */
  settings: () => Settings
  /** That of the upstream; read at each use. */
  policy: () => UpstreamPolicy
  clock: Clock
  /** Watches the idle connections. */
  watch: DeadlineWatch
  /** The private ones among them, of all pools. */
  idlePrivates: IdlePrivates
}>

type Queued = {
  readonly waiter: Waiter
  readonly past: Past
  readonly others: readonly ConnectionPool[]
  readonly timer: NodeJS.Timeout
}

/** Milliseconds in which an address that could not be connected to is not tried first. */
const AVOID_MS = 10_000

export class ConnectionPool implements ConnectionOwner, Timed {
  readonly target: ConnectTarget
  readonly place: string
  readonly peer: Peer
  /** No idle connection is due before this time. */
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  readonly #surroundings: PoolSurroundings
  /** Those that anybody may have. */
  readonly #idle = new IdleConnections()
  /** Those that only their client may have. */
  #idlePrivate: IdleConnections | undefined = undefined
  /** Given back in this turn of the event loop. */
  #resting: Connection[] = []
  readonly #queue: Queued[] = []
  #open = 0
  #opening = 0
  #closed = false
  #avoidUntil = 0
  readonly #habit = new IdleHabit()

  constructor(target: ConnectTarget, surroundings: PoolSurroundings, peer: Peer) {
    this.target = target
    this.place = printEndpointAddress(target.address, target.port)
    this.#surroundings = surroundings
    this.peer = peer
  }

  /** Connections open or being opened, idle ones included. */
  get size(): number {
    return this.#open + this.#opening
  }

  get waiting(): number {
    return this.#queue.length
  }

  /** True when nothing is leased, being opened or waited for. */
  get isIdle(): boolean {
    return this.#opening === 0 && this.#queue.length === 0 && this.#idleCount + this.#resting.length === this.#open
  }

  /** Whether a connection is there to be used at once. */
  hasFree(past: Past): boolean {
    const connection = this.#idle.newest
    return connection !== undefined && this.#hasPast(connection, past)
  }

  /** Whether the address could not be connected to a short while ago. */
  get isAvoided(): boolean {
    return this.#avoidUntil !== 0 && this.#avoidUntil > this.#surroundings.clock.monotonic()
  }

  /**
   * Where a connection has to be opened, `others` (other addresses of the same name) are tried too if this address is slow or
   * fails; the connection then belongs to the one it leads to.
   */
  acquire(waiter: Waiter, past: Past, others: readonly ConnectionPool[]): void {
    const connection = this.#takePrivate(waiter, past) ?? this.#takeIdle(past)
    if (connection !== undefined) {
      give(waiter, connection)
      return
    }
    if (this.#closed) {
      refuse(waiter, new GatewayError('PORTICO_UP_CONNECT_FAILED', 'the endpoint was closed'))
      return
    }
    const { maxConnections } = this.#surroundings.policy()
    // The connections that are left have been idle for too long: a new one takes the place of the oldest.
    if (this.size >= maxConnections || (past === 'recent' && this.#idle.length > 0)) this.#closeOldest()
    if (this.size < maxConnections) this.#connect(waiter, others)
    else {
      // An endpoint takes no more requests than it may have connections, so more can only wait where many are gone already.
      if (this.#queue.length >= maxConnections) this.#dropCancelled()
      this.#enqueue(waiter, past, others)
    }
  }

  /** The one used last, so that the others may go. */
  #takeIdle(past: Past): Connection | undefined {
    for (let connection = this.#idle.newest; connection; connection = this.#idle.newest) {
      if (!this.#hasPast(connection, past)) return undefined
      this.withdraw(connection)
      if (connection.isUsable) return connection
      connection.destroy()
    }
    return undefined
  }

  /** The private connection of the waiter's client, also where a fresh one is asked for: the endpoint knows the client by it alone. */
  #takePrivate({ privates }: Waiter, past: Past): Connection | undefined {
    const connection = privates?.take(this)
    if (connection === undefined || past !== 'recent' || this.#hasPast(connection, past)) return connection
    connection.destroy()
    return undefined
  }

  #hasPast(connection: Connection, past: Past): boolean {
    if (past !== 'recent') return past === 'any'
    return this.#habit.spares(connection, this.#surroundings.clock.monotonic())
  }

  /** Lets a connection go round the event loop once, so that surplus bytes already received are seen before the next use. */
  rest(connection: Connection): void {
    if (this.#resting.length === 0) setImmediate(this.#offerRested)
    this.#resting.push(connection)
  }

  forget(connection: Connection): void {
    this.#open--
    if (connection.isIdle) {
      this.withdraw(connection)
      this.noteStale(connection)
    }
    this.#refill()
  }

  noteStale({ idleSince }: Connection): void {
    const now = this.#surroundings.clock.monotonic()
    this.#habit.note(now - idleSince, now)
  }

  /** Closes idle connections and lets none become idle again; leased ones end with their requests. */
  close(): void {
    this.#closed = true
    while (this.#idleCount > 0) this.#closeOldest()
    this.#surroundings.watch.delete(this)
    for (let queued = this.#dequeue(); queued; queued = this.#dequeue()) {
      refuse(queued.waiter, new GatewayError('PORTICO_UP_CONNECT_FAILED', 'the endpoint was closed'))
    }
  }

  /** Closes the idle connections whose time is over. */
  onDeadline(): void {
    const now = this.#surroundings.clock.monotonic()
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#closeDue(this.#idle, now)
    if (this.#idlePrivate) this.#closeDue(this.#idlePrivate, now)
    if (this.#idleCount === 0) this.#surroundings.watch.delete(this)
  }

  #closeDue(list: IdleConnections, now: number): void {
    for (let connection = list.oldest; connection; ) {
      const { newer } = connection
      if (connection.idleUntil <= now) this.#discard(connection)
      else this.deadlineAt = Math.min(this.deadlineAt, connection.idleUntil)
      connection = newer
    }
  }

  #offerRested = (): void => {
    const rested = this.#resting
    this.#resting = []
    const now = this.#surroundings.clock.monotonic()
    for (const connection of rested) {
      try {
        this.#offer(connection, now)
      } catch (thrown) {
        connection.destroy()
        contain('upstream', thrown, undefined)
      }
    }
  }

  /** A connection became free: the request that waits longest gets it; without one it becomes idle. */
  #offer(connection: Connection, now: number): void {
    // The client of a private one may have gone in this turn.
    if (!connection.isUsable || !connection.isKept) {
      connection.destroy()
      return
    }
    connection.idleSince = now
    const { timeouts } = this.#surroundings.settings()
    // A private one stays for as long as its client does.
    const limit = connection.isPrivate ? Number.POSITIVE_INFINITY : timeouts.upstreamKeepAlive
    const idleMs = Math.min(limit, connection.idleLimit)
    if (this.#closed || this.size > this.#surroundings.policy().maxConnections) {
      connection.destroy()
      return
    }
    // One that waits for a fresh connection gets the place of this one.
    if (this.#queue.length > 0 && (this.#queue[0]!.past === 'none' || connection.isPrivate)) {
      connection.destroy()
      return
    }
    const queued = this.#queue.length === 0 ? undefined : this.#dequeue()
    if (queued) {
      give(queued.waiter, connection)
    } else if (idleMs === 0) connection.destroy()
    else this.#link(connection, now + idleMs)
  }

  #link(connection: Connection, until: number): void {
    if (this.#idleCount === 0) this.#surroundings.watch.add(this)
    connection.idleUntil = until
    connection.isIdle = true
    this.#listOf(connection).add(connection)
    if (until < this.deadlineAt) this.deadlineAt = until
    if (connection.isPrivate) this.#surroundings.idlePrivates.add(connection)
  }

  withdraw(connection: Connection): void {
    this.#listOf(connection).delete(connection)
    connection.isIdle = false
    if (connection.isPrivate) this.#surroundings.idlePrivates.delete(connection)
  }

  #listOf(connection: Connection): IdleConnections {
    if (!connection.isPrivate) return this.#idle
    this.#idlePrivate ??= new IdleConnections()
    return this.#idlePrivate
  }

  get #idleCount(): number {
    return this.#idle.length + (this.#idlePrivate?.length ?? 0)
  }

  /** Of those that anybody may have, as long as there are any: a client that has another one has to authenticate anew. */
  #closeOldest(): void {
    const connection = this.#idle.oldest ?? this.#idlePrivate?.oldest
    if (connection) this.#discard(connection)
  }

  #discard(connection: Connection): void {
    this.withdraw(connection)
    connection.destroy()
  }

  #connect(waiter: Waiter, others: readonly ConnectionPool[]): void {
    const pools = [this, ...others]
    this.#opening++
    const targets = pools.map((pool) => pool.target)
    const { preamble } = waiter
    let failure: GatewayError | undefined
    connectEndpoint(
      targets,
      this.#limitOf(waiter),
      {
        onFailure: (index, error) => {
          pools[index]!.#avoid()
          if (index === 0) failure = error
          else if (error) pools[index]!.#countFailure(error)
        },
        onSocket: (sockets, index) => {
          this.#opening--
          // The waiter has this endpoint counted, but hears of a failure only where all of them fail.
          if (index > 0 && failure) this.peer.recordFailure(failure)
          pools[index]!.#adopt(sockets, waiter, preamble === undefined)
          if (index > 0) this.#refill()
        },
        givesUp: () => waiter.givesUp?.() === true,
        onError: (error) => {
          this.#opening--
          if (!waiter.cancelled) refuse(waiter, error)
          this.#refill()
        },
      },
      preamble,
    )
  }

  #adopt(sockets: ConnectedSockets, waiter: Waiter, isReusable: boolean): void {
    this.#open++
    this.#avoidUntil = 0
    const connection = new Connection(sockets, this, isReusable)
    if (waiter.cancelled) {
      connection.release()
      return
    }
    give(waiter, connection)
  }

  /** Of an endpoint that was asked beside the one that was chosen. */
  #countFailure(error: GatewayError): void {
    const { peer } = this
    peer.begin()
    peer.recordFailure(error)
    peer.end()
  }

  #avoid(): void {
    // It may have been restarted, which closed its connections.
    this.#habit.forget()
    this.#avoidUntil = this.#surroundings.clock.monotonic() + AVOID_MS
  }

  #enqueue(waiter: Waiter, past: Past, others: readonly ConnectionPool[]): void {
    const limit = this.#limitOf(waiter)
    const queued: Queued = {
      waiter,
      past,
      others,
      timer: setTimeout(() => {
        this.#queue.splice(this.#queue.indexOf(queued), 1)
        const why = `${this.place}: no connection was free within ${limit} ms`
        if (!waiter.cancelled) refuse(waiter, overloaded(why, limit))
      }, limit),
    }
    this.#queue.push(queued)
  }

  #dequeue(): Queued | undefined {
    for (let queued = this.#queue.shift(); queued; queued = this.#queue.shift()) {
      clearTimeout(queued.timer)
      if (!queued.waiter.cancelled) return queued
    }
    return undefined
  }

  /** Drops waiters whose clients have gone; they would stay until their time is over. */
  #dropCancelled(): void {
    for (let at = this.#queue.length - 1; at >= 0; at--) {
      const { waiter, timer } = this.#queue[at]!
      if (!waiter.cancelled) continue
      clearTimeout(timer)
      this.#queue.splice(at, 1)
    }
  }

  #limitOf({ connectTimeout }: Waiter): number {
    return (
      connectTimeout ?? (this.#surroundings.policy().timeouts.connect || this.#surroundings.settings().timeouts.connect)
    )
  }

  /** A place became free without a connection to hand on. */
  #refill(): void {
    if (this.#queue.length === 0 || this.#closed) return
    if (this.size >= this.#surroundings.policy().maxConnections) return
    const queued = this.#dequeue()
    if (queued) this.#connect(queued.waiter, queued.others)
  }
}

// What a waiter throws is its own affair: the pool's accounts are settled by then.

function give(waiter: Waiter, connection: Connection): void {
  try {
    connection.lease()
    waiter.onConnection(connection)
  } catch (thrown) {
    connection.destroy()
    contain('upstream', thrown, waiter)
  }
}

function refuse(waiter: Waiter, error: GatewayError): void {
  try {
    waiter.onConnectionError(error)
  } catch (thrown) {
    contain('upstream', thrown, waiter)
  }
}
