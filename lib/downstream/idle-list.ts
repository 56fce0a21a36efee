/** The connections of all doors that may be closed to make room. To look at every connection costs time, so it is done seldom. */
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { findCarrier } from '../platform/socket-internals.ts'
import type { IdleConnection, IdleSource } from './idle-connection.ts'

/** How soon idle connections are looked for again after none was found: ten times as long as the last look took, in milliseconds. */
const LOOK_RATIO = 10
const LEAST_PAUSE_MS = 10
/** A machine that is busy with something else makes looks seem long. */
const MOST_PAUSE_MS = 100
/** How exactly doors know since when a connection is idle, in milliseconds. */
const SLACK_MS = 100
/** Connections that were found are remembered this long, in milliseconds: they may have been closed since. */
const KEEP_MS = 1_000

/** The connection that has been idle longest is the last. */
type Found = (readonly [connection: IdleConnection, since: number])[]

export class IdleList<C> {
  readonly #clock: Clock
  readonly #clientOf: (socket: Socket) => C | undefined
  readonly #sources = new Set<IdleSource>()
  #all: Found = []
  readonly #byClient = new Map<C, Found>()
  #lookedAt = Number.NEGATIVE_INFINITY
  #pause = LEAST_PAUSE_MS
  #timer: NodeJS.Timeout | undefined

  /** `clientOf` gets connections as they were accepted, not the TLS connections that run over them. */
  constructor(clock: Clock, clientOf: (socket: Socket) => C | undefined) {
    this.#clock = clock
    this.#clientOf = clientOf
  }

  addSource(source: IdleSource): void {
    this.#sources.add(source)
  }

  /** Closes the connection that has been idle longest, with `client` of this client alone; false: none is idle. */
  closeOldest(client?: C): boolean {
    const now = this.#clock.monotonic()
    for (let looks = 0; looks < 2; looks++) {
      const found = client === undefined ? this.#all : (this.#byClient.get(client) ?? [])
      for (let next = found.pop(); next !== undefined; next = found.pop()) {
        const [connection, since] = next
        // A connection that was used since then is not among the oldest any more.
        if (connection.idleSince(now) > since + SLACK_MS) continue
        connection.closeIdle()
        return true
      }
      if (now - this.#lookedAt < this.#pause) return false
      this.#look(now)
    }
    return false
  }

  #look(now: number): void {
    this.#forget()
    for (const source of this.#sources) {
      for (const connection of source.listConnections()) {
        const since = connection.idleSince(now)
        if (since <= now) this.#all.push([connection, since])
      }
    }
    this.#all.sort(([, a], [, b]) => b - a)
    for (const each of this.#all) {
      const { socket } = each[0]
      const client = this.#clientOf(findCarrier(socket) ?? socket)
      if (client === undefined) continue
      const found = this.#byClient.get(client)
      if (found) found.push(each)
      else this.#byClient.set(client, [each])
    }
    this.#lookedAt = now
    const tookMs = this.#clock.monotonic() - now
    this.#pause = Math.min(Math.max(LEAST_PAUSE_MS, LOOK_RATIO * tookMs), MOST_PAUSE_MS)
    this.#timer = setTimeout(() => this.#forget(), KEEP_MS).unref()
  }

  #forget(): void {
    clearTimeout(this.#timer)
    this.#all = []
    this.#byClient.clear()
  }
}
