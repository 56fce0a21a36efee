/** What each client has of one upstream in this process: the places that it holds, and its requests that wait for one. HOT */
import { contain, type Victim } from '../../base/contain.ts'
import { PerClient } from '../../base/per-client.ts'

/** A request that holds a place. */
export type Holder = Victim & {
  /** For its share alone: its neighbours there. */
  before: Holder | undefined
  after: Holder | undefined
  /** Milliseconds for which it has waited for its client, less what came meanwhile; 0 where it waits for the endpoint. */
  stalledFor(now: number): number
  /** Ends the request, so that its place is free. */
  giveWay(): void
}

/** A client that holds this part of all places gets another one only where no other client wants it. */
const FAIR_PART = 4
/** This part of all places is left to clients that hold less than their fair part. */
const RESERVED_PART = 16
/** A request that waits for its client has stalled when so many milliseconds were lost. */
const STALLED_MS = 1000

export class ClientShare {
  /** Places held. */
  held: number = 0
  /** Requests that wait for a place. */
  waiting: number = 0
  /** When it last took one, as a number that grows from place to place; 0 is never. */
  lastTurn: number = 0
  /** The newest of those that hold one. */
  #first: Holder | undefined = undefined

  get isEmpty(): boolean {
    return this.held === 0 && this.waiting === 0
  }

  add(holder: Holder): void {
    this.held++
    const first = this.#first
    holder.before = undefined
    holder.after = first
    if (first !== undefined) first.before = holder
    this.#first = holder
  }

  remove(holder: Holder): void {
    this.held--
    const { before, after } = holder
    if (before === undefined) this.#first = after
    else before.after = after
    if (after !== undefined) after.before = before
    holder.before = undefined
    holder.after = undefined
  }

  /** The requests that have stalled, the one that lost most time first. */
  listStalled(now: number): Holder[] {
    const stalled: { holder: Holder; lostMs: number }[] = []
    for (let holder = this.#first; holder !== undefined; holder = holder.after) {
      const lostMs = holder.stalledFor(now)
      if (lostMs >= STALLED_MS) stalled.push({ holder, lostMs })
    }
    return stalled.sort((a, b) => b.lostMs - a.lostMs).map(({ holder }) => holder)
  }
}

export class ClientShares {
  readonly #shares = new PerClient(() => new ClientShare())
  /** Places that are held, by all together. */
  held: number = 0
  /** All there are. */
  places: number = Number.POSITIVE_INFINITY
  #turns = 0

  /** The share of a client (base/client-network); one in which there is nothing may be another object the next time. */
  find(client: string): ClientShare {
    return this.#shares.find(client)
  }

  hold(share: ClientShare, holder: Holder): void {
    this.held++
    share.lastTurn = ++this.#turns
    share.add(holder)
  }

  release(share: ClientShare, holder: Holder): void {
    this.held--
    share.remove(holder)
  }

  /** Whether the client may take a free place, be there one: those that are left are not all for clients with less. */
  admits(share: ClientShare): boolean {
    if (this.places < RESERVED_PART || this.isShort(share)) return true
    return this.places - this.held > Math.floor(this.places / RESERVED_PART)
  }

  /**
   * Ends stalled requests of clients that hold more than their fair part, `wanted` at most: as many as others wait for. No
   * client falls below its fair part.
   */
  relieve(wanted: number, now: number): void {
    let left = wanted
    for (const share of this.#shares.values()) {
      if (!this.#hasMore(share)) continue
      for (const holder of share.listStalled(now)) {
        if (left === 0 || !this.#hasMore(share)) break
        left--
        try {
          holder.giveWay()
        } catch (thrown) {
          contain('queue', thrown, holder)
        }
      }
    }
  }

  /** Whether the client holds less than its fair part. */
  isShort({ held }: ClientShare): boolean {
    return held * FAIR_PART < this.places
  }

  #hasMore({ held }: ClientShare): boolean {
    return held * FAIR_PART > this.places
  }
}
