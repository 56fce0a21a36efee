/** A request to an endpoint and its answer, whatever protocol they travel in: what the forwarder gives, and what it hears. HOT */
import type { Socket } from 'node:net'
import type { Victim } from '../../base/contain.ts'
import type { GatewayError } from '../../base/errors.ts'
import type { ResponseHead } from '../../http1/response-head.ts'

/** A request as it shall stand on the wire. */
export type UpstreamRequest = Readonly<{
  /** Request line, all field lines (framing, and for an upgrade `Connection` among them) and the empty line, latin1. */
  head: string
  method: string
  /** How the body is framed, as `head` says: `counted` by a Content-Length, which the forwarder checks. */
  body: 'none' | 'counted' | 'chunked'
  /** The protocol that 101 may switch to; undefined where nothing was asked for. */
  upgrade: string | undefined
  /** Largest response head, bytes. */
  maxHeaderBytes: number
}>

/**
 * What the forwarder hears, never before `sendRequest` has returned. After `onEnd`, `onUpgrade` or `onError` nothing more comes,
 * except for `breakOff` where one of them has thrown.
 */
export type UpstreamEvents = Partial<Victim> & {
  /** 100 and 103 alone; names and values in turn. */
  onInformational(status: number, headers: readonly string[]): void
  /** `more`: body bytes or the end follow at once, so that nothing need be sent before them. */
  onHead(head: ResponseHead, more: boolean): void
  /** The chunk is lent: its bytes are gone when the call returns. */
  onData(chunk: Buffer): void
  /** The positive end: the message was complete. `trailers` are names and values in turn. */
  onEnd(trailers: readonly string[]): void
  /** The endpoint answered 101: from here on the socket carries bytes, beginning with `early`; nobody listens to it any more. */
  onUpgrade(head: ResponseHead, socket: Socket, early: Buffer): void
  onError(error: GatewayError): void
  /** The request body may flow again. */
  onDrain(): void
}

/** A request under way. The head is kept back, to go out together with what follows, until the first `write`, `end` or `flush`. */
export type UpstreamCall = {
  /**
   * The chunk is lent: what is not used up at once is copied. With `onTaken` it is not, and this is called when nobody uses it
   * any more. False: wait for `onDrain`.
   */
  write(chunk: Buffer, onTaken?: () => void): boolean
  /** Ends the request as complete; `trailers` are names and values in turn. */
  end(trailers: readonly string[]): void
  /** Sends what is kept back. */
  flush(): void
  pause(): void
  resume(): void
  /** Cuts the connection, so that nothing unfinished can be taken for a whole. Nothing is heard afterwards. */
  abort(): void
}
