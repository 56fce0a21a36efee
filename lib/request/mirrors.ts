/** The copies of requests that a process has on their way to mirrors, and what they may take of it. HOT */
import type { Clock } from '../base/clock.ts'
import type { DeadlineWatch } from '../base/deadline.ts'
import type { Mirror } from '../filters/spec.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { findDescriptorLimit, fitSockets } from '../platform/descriptors.ts'
import type { MirrorResult } from '../telemetry/request-counts.ts'
import type { UpstreamRequest } from '../upstream/transport/call.ts'
import type { RequestContext } from './context.ts'
import { type CopyOwner, copyRequest, MirrorCopy } from './mirror-copy.ts'

/** Each copy has a socket of its own; a process that may open few sockets keeps them for requests. */
const MAX_COPIES = Math.min(1024, Math.floor(fitSockets(findDescriptorLimit()) / 4))
/** Bytes of bodies that are held back for all copies together. */
const MAX_HELD_BYTES = 16_777_216

export type MirrorOptions = Readonly<{
  clock: Clock
  deadlines: DeadlineWatch
  /** A copy is over, or was not made. */
  onResult: (mirror: UpstreamKey, result: MirrorResult) => void
}>

export class Mirrors implements CopyOwner {
  readonly clock: Clock
  readonly deadlines: DeadlineWatch
  readonly #onResult: MirrorOptions['onResult']
  readonly #copies = new Set<MirrorCopy>()
  #heldBytes = 0

  constructor({ clock, deadlines, onResult }: MirrorOptions) {
    this.clock = clock
    this.deadlines = deadlines
    this.#onResult = onResult
  }

  /** The copies of a request to these mirrors; undefined: none is made. `draft` is the request as an endpoint gets it. */
  copy(context: RequestContext, draft: UpstreamRequest, mirrors: readonly Mirror[]): RequestCopies | undefined {
    const { asked, upstream } = context.served!
    const copies: MirrorCopy[] = []
    for (const mirror of mirrors) {
      const pool = asked?.get(mirror.upstream)
      // The request itself may go to the mirror.
      if (pool === undefined || pool === upstream) continue
      if (this.#copies.size >= MAX_COPIES) {
        this.#onResult(mirror.upstream, 'dropped')
        continue
      }
      const copy = new MirrorCopy(this, context, copyRequest(context, draft, pool, mirror), pool)
      this.#copies.add(copy)
      copies.push(copy)
    }
    return copies.length === 0 ? undefined : new RequestCopies(copies)
  }

  /** Breaks off all copies. */
  close(): void {
    for (const copy of this.#copies) copy.abort()
  }

  // CopyOwner

  hold(bytes: number): boolean {
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return false
    this.#heldBytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes
  }

  finish(copy: MirrorCopy, result: MirrorResult | undefined): void {
    this.#copies.delete(copy)
    if (result !== undefined) this.#onResult(copy.pool.upstream.key, result)
  }
}

/** The copies of one request, which get the body as it comes: they never throw, and never ask to wait. */
export class RequestCopies {
  readonly #copies: readonly MirrorCopy[]

  constructor(copies: readonly MirrorCopy[]) {
    this.#copies = copies
  }

  /** The chunk is lent. */
  write(chunk: Buffer): void {
    for (const copy of this.#copies) copy.write(chunk)
  }

  /** The request is whole; `trailers` are names and values in turn. */
  end(trailers: readonly string[]): void {
    for (const copy of this.#copies) copy.end(trailers)
  }

  /** Nothing more comes of the request. */
  cut(): void {
    for (const copy of this.#copies) copy.cut()
  }
}
