/** A request body that is read whole before an endpoint is asked, and that can be sent to several, one after the other. HOT */
import type { Victim } from '../base/contain.ts'
import { buffersFull, type GatewayError } from '../base/errors.ts'
import { findField } from '../http1/field-line.ts'
import type { UpstreamCall } from '../upstream/transport/call.ts'
import type { RequestContext } from './context.ts'
import { Spool, type SpoolUser } from './spool.ts'
import type { Spools } from './spools.ts'

/** Who waits while the body is held. */
export type BodyHolder = 'disk' | 'endpoint'

export type BufferedBodyOwner = Victim & {
  /** The disk does not get on: the client is to pause. The endpoint does not: nothing is read from the disk. */
  onBodyHeld(by: BodyHolder): void
  /** The disk gets on. */
  onBodyRoom(): void
  fail(error: GatewayError): void
}

/** False for an upgrade and for the messages of gRPC, which are to reach the endpoint as they come. */
export function mayBufferBody({ exchange, fields }: RequestContext): boolean {
  return exchange.offer === undefined && !/^application\/grpc/i.test(findField(fields!.lines, 'content-type') ?? '')
}

export class BufferedBody implements SpoolUser {
  readonly #owner: BufferedBodyOwner
  readonly #spool: Spool
  /** The endpoint that gets it. */
  #call: UpstreamCall | undefined = undefined
  #trailers: readonly string[] = []
  /** No other endpoint is to get it. */
  #isLast = false
  #isSent = false

  /** `client` is a network (base/client-network). */
  constructor(spools: Spools, client: string, owner: BufferedBodyOwner) {
    this.#owner = owner
    // What the route allows was checked before.
    this.#spool = new Spool(spools, client, this, Number.POSITIVE_INFINITY)
  }

  /** Bytes that have come. */
  get length(): number {
    return this.#spool.length
  }

  /** False: the owner was told why. */
  add(chunk: Buffer): boolean {
    const hasRoom = this.#spool.write(chunk)
    if (!hasRoom) this.#owner.onBodyHeld('disk')
    return hasRoom
  }

  /** Sends all of it to an endpoint. */
  send(call: UpstreamCall, trailers: readonly string[]): void {
    this.#call = call
    this.#trailers = trailers
    this.#isSent = false
    this.#spool.rewind()
  }

  /** The endpoint takes more. */
  resume(): void {
    if (this.#call !== undefined && !this.#isSent) this.#spool.resume()
  }

  /** The endpoint is given up; another may follow. */
  stop(): void {
    this.#call = undefined
    this.#spool.stop()
  }

  /** No other endpoint follows: what was sent is not needed any more. */
  keepNoLonger(): void {
    this.#isLast = true
    if (this.#isSent) this.drop()
  }

  drop(): void {
    this.#call = undefined
    this.#spool.drop()
  }

  // SpoolUser

  takeSpooled(chunk: Buffer): boolean {
    const hasRoom = this.#call!.write(chunk)
    if (!hasRoom) this.#owner.onBodyHeld('endpoint')
    return hasRoom
  }

  onSpoolEmpty(): void {
    this.#isSent = true
    this.#call!.end(this.#trailers)
    if (this.#isLast) this.drop()
  }

  onSpoolRoom(): void {
    this.#owner.onBodyRoom()
  }

  onSpoolFull(why: string): void {
    this.#owner.fail(buffersFull(why))
  }

  onSpoolLost(error: Error): void {
    this.#owner.fail(buffersFull(`the file cannot be read: ${String(error)}`))
  }

  breakOff(error: GatewayError): void {
    this.#owner.breakOff(error)
  }
}
