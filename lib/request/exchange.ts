/** What a door gives the forwarder: one request and its response, whatever protocol they travel in. HOT */
import type { Socket } from 'node:net'
import type { Victim } from '../base/contain.ts'
import type { GatewayError } from '../base/errors.ts'
import type { RequestFields } from '../http1/request-fields.ts'
import type { Settings } from '../settings/table.ts'
import type { RequestRecord } from '../telemetry/record.ts'
import type { ConnectionInfo } from './connection-info.ts'

/** Receives a request body. */
export type BodySink = {
  /** The chunk is lent: its bytes are gone when the call returns. */
  onBodyData(chunk: Buffer): void
  /** The positive end: the client finished its message. `trailers` are names and values in turn. */
  onBodyEnd(trailers: readonly string[]): void
}

/** What an exchange tells its owner. */
export type ExchangeEvents = Victim & {
  /** Once, perhaps before `end` or `abort` returns: the response is through (`true`), or the client has gone or was cut (`false`). */
  onClose(complete: boolean): void
  /** `write` may be called again after it returned false. */
  onClientDrain(): void
  /** The request body turned out to be none: it is to be answered, or the answer that has begun to be cut. */
  onBroken(error: GatewayError): void
  /** `isUnread` has become true. */
  onUnread(): void
}

/** The owner of an exchange that is not served yet. */
export const NOBODY: ExchangeEvents = Object.freeze({
  onClose(): void {},
  onClientDrain(): void {},
  onBroken(): void {},
  onUnread(): void {},
  breakOff(): void {},
})

/** An HTTP/1.1 request that asks for another protocol. */
export type UpgradeOffer = Readonly<{
  /** The protocol that is asked for. */
  protocol: string
  /** Bytes that came behind the head. */
  early: Buffer
  /**
   * Says that the protocol is switched, and gives the client's socket away, unread. The exchange tells nothing afterwards, and
   * must not be used any more. `lines` are field lines, latin1.
   */
  accept(reason: string, upgrade: string, lines: string): Socket
}>

export type Exchange = {
  /** As the log names it. */
  readonly protocol: RequestRecord['protocol']
  /** The client's connection; undefined where other requests share it, so that it tells nothing of this one. */
  readonly socket: Socket | undefined
  /** The client understands 100 (Continue). */
  readonly canContinue: boolean
  /** The protocol has a place for the authority outside of fields, so that a Host field can only repeat it. */
  readonly hasOwnAuthority: boolean
  /** A request that names no authority is malformed. */
  readonly needsAuthority: boolean
  readonly connection: ConnectionInfo
  readonly method: string
  /** As sent; HTTP/2: `:path`. */
  readonly target: string
  /** `:authority` of HTTP/2. */
  readonly authority: string | undefined
  /** Whether a request body follows, as the framing says. */
  readonly hasBody: boolean
  /** The request body has ended, or there is none. */
  readonly isRequestComplete: boolean
  /** Bytes of the request body that have come and need only be read, as far as is known. */
  readonly receivedBytes: number
  readonly offer: UpgradeOffer | undefined

  /** The fields, checked and summed up; or why the request is refused. Called once, first of all. */
  readFields(settings: Settings): RequestFields | GatewayError

  /** The owner: `NOBODY` at first; it may change while the exchange is served. */
  events: ExchangeEvents

  /** Begins to deliver the body, perhaps some of it before it returns. */
  readBody(sink: BodySink): void
  pauseBody(): void
  resumeBody(): void

  /** 100, 103 and other interim answers, `headers` as names and values in turn; those the protocol cannot carry are left out. */
  sendInterim(status: number, headers: readonly string[]): void
  /** Takes the head; it may be kept back to go out together with what follows, until `flush`. Throws where the protocol cannot carry a field. */
  sendHead(head: AnswerHead): void
  /** Sends the head that is kept back: nothing else follows at once. */
  flush(): void
  /** The chunk is lent: bytes that are not written at once are copied. False: wait for `onClientDrain`. */
  write(chunk: Buffer): boolean
  /** Ends the response as complete; `trailers` are names and values in turn. */
  end(trailers: readonly string[]): void
  /** Cuts connection or stream, so that nothing unfinished can be taken for a whole. */
  abort(): void

  /** True while the connection is not read, so that it does not tell when the client goes away. */
  readonly isUnread: boolean
  readonly isHeadSent: boolean
  /** Bytes accepted by `write` that the connection has not taken yet. */
  readonly pendingBytes: number
}

/** Serves what the doors bring. */
export type ExchangeHandler = {
  /** Serves one request to its end. */
  handle(exchange: Exchange): void
}

/** The head of an answer; the door adds how the body is framed, and what concerns the connection. */
export type AnswerHead = Readonly<{
  status: number
  reason: string
  /** Field lines, `Name: value\r\n` each, latin1; Date, Server and X-Request-Id among them, no field of the hop, no Content-Length. */
  lines: string
  /** Declared, also where no body follows (HEAD, 304); undefined: the body ends with `end`, or there is none (204, 304). */
  contentLength: number | undefined
  /** This is the last response of the connection. */
  close: boolean
  /** Some may follow the body. */
  trailers: boolean
}>

/** Takes the body of an answer. */
export type AnswerSink = Pick<Exchange, 'write' | 'end' | 'pendingBytes'>
