/** The connections of all doors that may be closed to make room. To look at every connection costs time, so it is done seldom. */
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { findAccepted } from '../platform/socket-internals.ts'
import type { IdleConnection, IdleSource } from './idle-connection.ts'

/**
 * How soon idle connections are looked for again, in milliseconds for each connection that was looked at: about ten times as long
 * as it takes. The clock is not asked how long a look took, since a busy machine makes it seem long.
 */
const PAUSE_MS = 0.01
/** How exactly doors know since when a connection is idle, in milliseconds. */
const SLACK_MS = 100
/** Connections that were found are remembered this long, in milliseconds: they may have been closed since. */
const KEEP_MS = 1_000

/** A connection, and since when it is idle. */
export type Idle = readonly [connection: IdleConnection, since: number]

/** The connection that has been idle longest is the last. */
type Found = Idle[]

export class IdleList<C> {
  readonly #clock: Clock
  readonly #clientOf: (socket: Socket) => C | undefined
  readonly #sources = new Set<IdleSource>()
  #all: Found = []
  readonly #byClient = new Map<C, Found>()
  readonly #taken = new Set<IdleConnection>()
  #lookedAt = Number.NEGATIVE_INFINITY
  #pause = 0
  #timer: NodeJS.Timeout | undefined

  /** `clientOf` gets connections as they were accepted, not the TLS connections that run over them. */
  constructor(clock: Clock, clientOf: (socket: Socket) => C | undefined) {
    this.#clock = clock
    this.#clientOf = clientOf
  }

  addSource(source: IdleSource): void {
    this.#sources.add(source)
  }

  /** Takes out the connection that has been idle longest, with `client` of this client alone, for `close`; undefined: none is idle. */
  takeOldest(client?: C): Idle | undefined {
    const now = this.#clock.monotonic()
    for (let looks = 0; looks < 2; looks++) {
      const found = client === undefined ? this.#all : (this.#byClient.get(client) ?? [])
      for (let next = found.pop(); next !== undefined; next = found.pop()) {
        const [connection] = next
        // A connection that was used since then is not among the oldest any more.
        if (this.#taken.has(connection) || isUsed(next, now)) continue
        this.#taken.add(connection)
        return next
      }
      if (now - this.#lookedAt < this.#pause) return undefined
      this.#look(now)
    }
    return undefined
  }

  /** Closes a connection that was taken; false: it was used meanwhile, and stays. */
  close(taken: Idle): boolean {
    const [connection] = taken
    this.#taken.delete(connection)
    if (isUsed(taken, this.#clock.monotonic())) return false
    connection.closeIdle()
    return true
  }

  #look(now: number): void {
    this.#forget()
    let count = 0
    for (const source of this.#sources) {
      for (const connection of source.listConnections()) {
        count++
        const since = connection.idleSince(now)
        if (since <= now) this.#all.push([connection, since])
      }
    }
    this.#all.sort(([, a], [, b]) => b - a)
    for (const each of this.#all) {
      const client = this.#clientOf(findAccepted(each[0].socket))
      if (client === undefined) continue
      const found = this.#byClient.get(client)
      if (found) found.push(each)
      else this.#byClient.set(client, [each])
    }
    this.#lookedAt = now
    this.#pause = count * PAUSE_MS
    this.#timer = setTimeout(() => this.#forget(), KEEP_MS).unref()
  }

  #forget(): void {
    clearTimeout(this.#timer)
    this.#all = []
    this.#byClient.clear()
  }
}

function isUsed([connection, since]: Idle, now: number): boolean {
  return connection.idleSince(now) > since + SLACK_MS
}
