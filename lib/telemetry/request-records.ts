/**
 * The last requests of a process, for whoever asks: those that failed or were slow stay longer than the others. A request that is not kept
 * costs a few comparisons. HOT
 */
import type { SecretNames } from '../base/redact.ts'
import { SecondGate } from '../base/second-gate.ts'
import type { CourseTeller, RequestCourse } from './course.ts'
import { endOf, hideSecrets, type RequestRecord } from './record.ts'
import { compileQuery, type RequestQuery } from './request-query.ts'
import type { TrafficData } from './traffic-meter.ts'

/** Plain data, for another process. Of what clients send it has nothing that may be secret. */
export type KeptRequest = Readonly<{
  record: RequestRecord
  /** Undefined where no request could be read. */
  course: RequestCourse | undefined
}>

/** What followers get at once, and how many more there would have been. */
export type FollowedRequests = Readonly<{ requests: readonly KeptRequest[]; dropped: number }>

/** A kept request and the number of the worker that has it; 0: the gateway has no workers. */
export type FoundRequest = KeptRequest & Readonly<{ worker: number }>

/** All processes that carry traffic, as those see them who want to know about it. */
export type TrafficSource = {
  /** The newest first; `limit` at most. */
  findRequests(query: RequestQuery, limit: number): Promise<readonly FoundRequest[]>
  /** Tells of requests as they end, until what is returned is called. */
  followRequests(query: RequestQuery, tell: (requests: readonly FoundRequest[], dropped: number) => void): () => void
  readTraffic(): Promise<readonly TrafficData[]>
  /** Requests and tunnels under way, as last heard. */
  readonly inFlight: number
}

export type RequestRecordsOptions = Readonly<{
  /** As many of the last requests, and as many of those that stay longer; 0 keeps none. */
  size: number
  /** Milliseconds from which on a request is slow. */
  slowMs: number
  /** What matches the names of parameters whose values are hidden, in force now. */
  redact: () => SecretNames
}>

/** Of one record, on average. */
const BYTES_OF_RECORD = 1024
/** In a second; further ones are not kept, so that the work for them is bounded. */
const MOST_ORDINARY = 200
const MOST_LASTING = 500
/** A follower gets so many at once, and again after this time, milliseconds. */
const MOST_AT_ONCE = 200
const FOLLOW_MS = 100

/** Characters. */
const LONGEST_TARGET = 2048
const LONGEST_TEXT = 512
/** Of a record and its course without their texts; and of what each try and filter adds. */
const BARE_BYTES = 480
const PART_BYTES = 120

class Ring {
  readonly #size: number
  readonly #mostBytes: number
  /** The oldest first, from `#first` on. */
  #items: { kept: KeptRequest; bytes: number }[] = []
  #first = 0
  #bytes = 0

  constructor(size: number) {
    this.#size = size
    this.#mostBytes = size * BYTES_OF_RECORD
  }

  add(kept: KeptRequest, bytes: number): void {
    this.#items.push({ kept, bytes })
    this.#bytes += bytes
    while (this.#items.length - this.#first > this.#size || this.#bytes > this.#mostBytes) {
      this.#bytes -= this.#items[this.#first]!.bytes
      this.#items[this.#first++] = GONE
    }
    if (this.#first <= this.#size) return
    this.#items = this.#items.slice(this.#first)
    this.#first = 0
  }

  /** The newest first. */
  *newest(): Generator<KeptRequest> {
    for (let index = this.#items.length - 1; index >= this.#first; index--) yield this.#items[index]!.kept
  }
}

const GONE = Object.freeze({ kept: undefined as unknown as KeptRequest, bytes: 0 })

/** Somebody to whom requests are told as they end. */
class Follower {
  readonly matches: (record: RequestRecord) => boolean
  readonly #tell: (some: FollowedRequests, then: () => void) => void
  #requests: KeptRequest[] = []
  #dropped = 0
  #timer: NodeJS.Timeout | undefined
  /** What was told last is under way. */
  #isTelling = false

  constructor(query: RequestQuery, tell: (some: FollowedRequests, then: () => void) => void) {
    this.matches = compileQuery(query)
    this.#tell = tell
  }

  get isFull(): boolean {
    return this.#requests.length >= MOST_AT_ONCE
  }

  drop(): void {
    this.#dropped++
    this.#plan()
  }

  add(kept: KeptRequest): void {
    this.#requests.push(kept)
    this.#plan()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#requests = []
  }

  #plan(): void {
    if (this.#timer === undefined && !this.#isTelling) this.#timer = setTimeout(() => this.#flush(), FOLLOW_MS)
  }

  #flush(): void {
    this.#timer = undefined
    if (this.#requests.length === 0 && this.#dropped === 0) return
    const some = { requests: this.#requests, dropped: this.#dropped }
    this.#requests = []
    this.#dropped = 0
    this.#isTelling = true
    this.#tell(some, () => {
      this.#isTelling = false
      if (this.#requests.length > 0 || this.#dropped > 0) this.#plan()
    })
  }
}

export class RequestRecords {
  readonly #options: RequestRecordsOptions
  readonly #recent: Ring
  readonly #lasting: Ring
  readonly #ordinaryGate = new SecondGate(MOST_ORDINARY)
  readonly #lastingGate = new SecondGate(MOST_LASTING)
  readonly #followers = new Set<Follower>()

  constructor(options: RequestRecordsOptions) {
    this.#options = options
    this.#recent = new Ring(options.size)
    this.#lasting = new Ring(options.size)
  }

  observe(record: RequestRecord, teller: CourseTeller | undefined): void {
    const { size, slowMs } = this.#options
    if (size === 0) return
    const { status, error, durationMs, tunnel } = record
    const isLasting = status >= 499 || error !== undefined || (durationMs >= slowMs && !tunnel)
    const now = endOf(record)
    const isKept = isLasting ? this.#lastingGate.admits(now) : this.#ordinaryGate.admits(now)
    if (this.#followers.size > 0) this.#tellFollowers(record, teller, isKept, isLasting)
    else if (isKept) this.#keep(this.#make(record, teller), isLasting)
  }

  /** Those that a query wants, the newest first; `limit` at most. */
  find(query: RequestQuery, limit: number): readonly KeptRequest[] {
    const matches = compileQuery(query)
    const found: KeptRequest[] = []
    for (const ring of [this.#recent, this.#lasting]) {
      let left = limit
      for (const kept of ring.newest()) {
        if (!matches(kept.record)) continue
        found.push(kept)
        if (--left === 0) break
      }
    }
    return found.sort(byEnd).slice(0, limit)
  }

  /**
   * Tells of requests that a query wants as they end, some at once; `then` is to be called when more may be told. What comes too fast is counted alone.
   * Ends with the call of what is returned.
   */
  follow(query: RequestQuery, tell: (some: FollowedRequests, then: () => void) => void): () => void {
    const follower = new Follower(query, tell)
    this.#followers.add(follower)
    return () => {
      this.#followers.delete(follower)
      follower.stop()
    }
  }

  #tellFollowers(record: RequestRecord, teller: CourseTeller | undefined, isKept: boolean, isLasting: boolean): void {
    let kept: KeptRequest | undefined
    for (const follower of this.#followers) {
      if (!follower.matches(record)) continue
      if (follower.isFull) {
        follower.drop()
        continue
      }
      kept ??= this.#make(record, teller)
      follower.add(kept)
    }
    if (isKept) this.#keep(kept ?? this.#make(record, teller), isLasting)
  }

  #keep(kept: KeptRequest, isLasting: boolean): void {
    const ring = isLasting ? this.#lasting : this.#recent
    ring.add(kept, measure(kept))
  }

  /** Texts of the client are cut out of the whole head, which a record must not keep. */
  #make(record: RequestRecord, teller: CourseTeller | undefined): KeptRequest {
    const shown = hideSecrets(record, this.#options.redact())
    const { id, method, authority, target, userAgent, detail } = shown
    return {
      record: {
        ...shown,
        id: copyText(id, LONGEST_TEXT),
        method: copyText(method, LONGEST_TEXT),
        authority: copyText(authority, LONGEST_TEXT),
        target: copyText(target, LONGEST_TARGET),
        userAgent: userAgent === undefined ? undefined : copyText(userAgent, LONGEST_TEXT),
        detail: detail === undefined ? undefined : copyText(detail, LONGEST_TARGET),
      },
      course: teller?.tellCourse(),
    }
  }
}

/** Adds the number of the worker that has the requests. */
export function nameWorker(requests: readonly KeptRequest[], worker: number): readonly FoundRequest[] {
  return requests.map((kept) => ({ ...kept, worker }))
}

export function byEnd(a: KeptRequest, b: KeptRequest): number {
  return endOf(b.record) - endOf(a.record)
}

function copyText(text: string, limit: number): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text
  return Buffer.from(cut).toString()
}

function measure({ record, course }: KeptRequest): number {
  const { id, method, authority, target, userAgent = '', detail = '', clientAddress, peerAddress } = record
  const texts = [id, method, authority, target, userAgent, detail, clientAddress, peerAddress]
  const parts = course === undefined ? 0 : course.tries.length + course.filters.length
  return texts.reduce((sum, text) => sum + text.length, BARE_BYTES + PART_BYTES * parts)
}
