/**
 * Sees that a peer has gone whose socket is not read. A stream that waits has its socket taken out of the poll, and hears
 * neither of a FIN nor of a reset; so the sockets that stand still are looked at from outside, now and then, all together.
 */
import type { Socket } from 'node:net'
import { type Clock, systemClock } from '../base/clock.ts'
import { contain, type Victim } from '../base/contain.ts'
import { runInSlices } from '../base/slice.ts'
import { countQueued, hasPeer } from './socket-internals.ts'
import { readSocketTable, SocketRow } from './socket-table.ts'

/** A connection of a client, with the one to an endpoint that belongs to it, where one of the two may not be read. */
export type Unread = Partial<Victim> & {
  /** For the watch alone. Begins as undefined. */
  sighting: Sighting | undefined
  /** False: it leaves the watch. */
  readonly isUnread: boolean
  /** Undefined: not a socket of its own. */
  readonly clientSocket: Socket | undefined
  /** Undefined: none yet. It may be another one later. */
  readonly endpointSocket: Socket | undefined
  /** Called at each look, as long as nothing has moved for a while. */
  onStill(sighting: Sighting): void
}

/**
 * A client that has sent its FIN may still read (`nc -N`) or be gone (most often). It keeps its request as long as anything
 * moves within this time, in milliseconds.
 */
export const HALF_CLOSED_MS: number = 1000

/** Milliseconds between two looks. */
const TICK = 500
/** Milliseconds without a byte after which it may be that one of the two has gone. */
const STILL_MS = 1000
/** Milliseconds between two questions for the peer of a socket: every other look. */
const ASK_PAUSE = 900
/** Milliseconds between two readings of the socket table, by its length, within these bounds. */
const MIN_READ_PAUSE = 1000
const MAX_READ_PAUSE = 5000
const BYTES_PER_MS = 3000

/** One of the two sockets, as it was seen last. Times are by the monotonic clock. */
export class Side {
  readonly socket: Socket
  /** When it last took bytes that were written to it. */
  tookAt: number
  /** When it last sent some that were read. */
  gaveAt: number
  /** When a FIN or a reset was first seen; `Infinity`: neither. */
  endedAt: number = Number.POSITIVE_INFINITY
  /** It was a reset. */
  isReset: boolean = false
  /** Bytes that the kernel had already and the peer was seen to take. */
  acknowledged: number = 0
  /** When bytes were first seen that have come and are not read; `Infinity`: there are none. */
  unreadAt: number = Number.POSITIVE_INFINITY
  /** Undefined: not asked for yet, or the socket has no peer any more. */
  row: SocketRow | undefined = undefined
  #given: number
  #taken: number
  #unacknowledged = -1
  /** When the kernel was asked for its peer. */
  #askedAt = 0

  constructor(socket: Socket, now: number) {
    this.socket = socket
    this.tookAt = now
    this.gaveAt = now
    this.#given = socket.bytesRead
    this.#taken = countTaken(socket)
  }

  findRow(): void {
    if (this.row !== undefined) return
    const { localAddress, localPort = 0, remoteAddress, remotePort = 0 } = this.socket
    if (localAddress && remoteAddress) this.row = new SocketRow(localAddress, localPort, remoteAddress, remotePort)
  }

  get hasEnded(): boolean {
    return this.endedAt !== Number.POSITIVE_INFINITY
  }

  /** Bytes that were written wait for the kernel. */
  get hasUnsent(): boolean {
    const { socket } = this
    return socket.writableLength > 0 || countQueued(socket) > 0
  }

  /** Without the table. */
  look(now: number): void {
    const { socket } = this
    const { bytesRead } = socket
    const taken = countTaken(socket)
    if (bytesRead !== this.#given) {
      this.gaveAt = now
      this.unreadAt = Number.POSITIVE_INFINITY
    }
    if (taken !== this.#taken) this.tookAt = now
    this.#given = bytesRead
    this.#taken = taken
    if (socket.readableEnded) this.#end(now, false)
    // A call to the kernel: most of what a look costs.
    if (this.isReset || now - this.#askedAt < ASK_PAUSE) return
    this.#askedAt = now
    if (!hasPeer(socket)) this.#end(now, wasReset(socket))
  }

  /** What the table says. */
  lookAtRow(now: number): void {
    const { row } = this
    if (row === undefined) return
    if (row.hasFin) this.#end(now, false)
    if (row.unread === 0) this.unreadAt = Number.POSITIVE_INFINITY
    else if (this.unreadAt === Number.POSITIVE_INFINITY) this.unreadAt = now
    if (row.unacknowledged === this.#unacknowledged) return
    if (this.#unacknowledged >= 0) this.tookAt = now
    this.acknowledged += Math.max(0, this.#unacknowledged - row.unacknowledged)
    this.#unacknowledged = row.unacknowledged
  }

  #end(now: number, isReset: boolean): void {
    if (!this.hasEnded) this.endedAt = now
    if (isReset) this.isReset = true
  }
}

/** What the watch has seen of the two sockets of an `Unread`. */
export class Sighting {
  readonly unread: Unread
  index: number
  client: Side | undefined = undefined
  endpoint: Side | undefined = undefined
  /** When it was last looked at. */
  now: number = 0
  /** When it was first looked at. */
  #since = 0
  /** When the table was last read for it; 0: never. */
  #readAt = 0

  constructor(unread: Unread, index: number) {
    this.unread = unread
    this.index = index
  }

  /** Milliseconds in which neither side has sent or taken a byte. */
  get stillMs(): number {
    const { client, endpoint } = this
    const last = Math.max(client ? movedAt(client) : this.#since, endpoint ? movedAt(endpoint) : this.#since)
    return this.now - last
  }

  /** Nothing has moved for a while, or a connection was reset. */
  get isStill(): boolean {
    return this.client?.isReset || this.endpoint?.isReset || this.stillMs >= STILL_MS
  }

  /** The client has sent its FIN, and nothing has moved for `ms` milliseconds since. */
  hasClientLeft(ms: number): boolean {
    return this.#isOver(this.client, ms)
  }

  /** Bytes of the client have not been read for so long, although nothing that was written waits. */
  isClientUnread(ms: number): boolean {
    const { client } = this
    return client !== undefined && this.now - client.unreadAt >= ms && this.stillMs >= ms && !client.hasUnsent
  }

  /** The same of the endpoint, FIN or reset. */
  hasEndpointLeft(ms: number): boolean {
    return this.#isOver(this.endpoint, ms)
  }

  look(now: number): void {
    const { clientSocket: client, endpointSocket: endpoint } = this.unread
    if (this.#since === 0) this.#since = now
    this.now = now
    this.client = client && (this.client?.socket === client ? this.client : new Side(client, now))
    this.endpoint = endpoint && (this.endpoint?.socket === endpoint ? this.endpoint : new Side(endpoint, now))
    this.client?.look(now)
    this.endpoint?.look(now)
  }

  findRows(): void {
    this.client?.findRow()
    this.endpoint?.findRow()
  }

  lookAtRows(now: number): void {
    this.now = now
    this.#readAt = now
    this.client?.lookAtRow(now)
    this.endpoint?.lookAtRow(now)
  }

  /** Only two readings after the end tell whether bytes that the kernel still holds move. */
  #isOver(side: Side | undefined, ms: number): boolean {
    return side !== undefined && (this.#readAt || this.now) - side.endedAt >= TICK && this.stillMs >= ms
  }
}

export class HangupWatch {
  readonly #clock: Clock
  readonly #sightings: Sighting[] = []
  #timer: NodeJS.Timeout | undefined
  #isLooking = false
  /** When the table may be read again. */
  #readAt = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#sightings.length
  }

  /** What is unread already stays so. */
  add(unread: Unread): void {
    if (unread.sighting !== undefined) return
    unread.sighting = new Sighting(unread, this.#sightings.length)
    this.#sightings.push(unread.sighting)
    this.#timer ??= setInterval(this.#onTick, TICK).unref()
  }

  /** What is not unread may be given too. */
  delete(unread: Unread): void {
    const { sighting } = unread
    if (sighting === undefined) return
    const last = this.#sightings.pop()!
    if (last !== sighting) {
      this.#sightings[sighting.index] = last
      last.index = sighting.index
    }
    unread.sighting = undefined
  }

  #onTick = (): void => {
    if (this.#sightings.length === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    } else if (!this.#isLooking) void this.#look()
  }

  async #look(): Promise<void> {
    this.#isLooking = true
    try {
      const still = await runInSlices(this.#findStill())
      const now = this.#clock.monotonic()
      if (still.length > 0 && now >= this.#readAt) await this.#readTable(still, now)
      await runInSlices(this.#tell(still))
    } catch (thrown) {
      contain('deadline', thrown, undefined)
    } finally {
      this.#isLooking = false
    }
  }

  *#findStill(): Generator<void, Sighting[]> {
    const now = this.#clock.monotonic()
    const still: Sighting[] = []
    // Backwards: `delete` moves the last entry into the gap, and the loop has seen the last entry already.
    for (let index = this.#sightings.length - 1; index >= 0; index--) {
      const sighting = this.#sightings[index]
      if (sighting === undefined) continue
      if (sighting.unread.isUnread) {
        sighting.look(now)
        if (sighting.isStill) {
          // Now: a socket need not be there in the next slice.
          sighting.findRows()
          still.push(sighting)
        }
      } else this.delete(sighting.unread)
      yield
    }
    return still
  }

  async #readTable(still: readonly Sighting[], startedAt: number): Promise<void> {
    const rows: SocketRow[] = []
    for (const { client, endpoint } of still) {
      if (client?.row) rows.push(client.row)
      if (endpoint?.row) rows.push(endpoint.row)
    }
    const length = await readSocketTable(rows)
    const now = this.#clock.monotonic()
    this.#readAt = startedAt + Math.min(Math.max(MIN_READ_PAUSE, length / BYTES_PER_MS), MAX_READ_PAUSE)
    if (length > 0) for (const sighting of still) sighting.lookAtRows(now)
  }

  /** What is read again, or has moved while the table was read, needs to hear nothing. */
  *#tell(still: readonly Sighting[]): Generator<void, void> {
    for (const sighting of still) {
      const { unread } = sighting
      try {
        if (unread.sighting === sighting && unread.isUnread) {
          sighting.look(this.#clock.monotonic())
          if (sighting.isStill) unread.onStill(sighting)
        }
      } catch (thrown) {
        contain('deadline', thrown, unread)
      }
      yield
    }
  }
}

/** One for the process, since the kernel has one table for all its sockets. */
export const hangupWatch: HangupWatch = new HangupWatch(systemClock)

function movedAt({ tookAt, gaveAt }: Side): number {
  return Math.max(tookAt, gaveAt)
}

/**
 * True if the connection was reset. Where bytes came before a reset, libuv tells of an end in its place, as if the peer had sent a
 * FIN. The kernel knows no peer of a connection that was reset, nor of a connection that both sides have ended.
 */
export function wasReset(socket: Socket): boolean {
  return !socket.writableFinished && !hasPeer(socket)
}

/** Bytes that the kernel has taken. */
function countTaken(socket: Socket): number {
  return socket.bytesWritten - countQueued(socket)
}
