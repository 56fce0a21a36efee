/** A request to an endpoint and its answer, whatever protocol they travel in: what the forwarder gives, and what it hears. HOT */
import type { Socket } from 'node:net'
import type { Victim } from '../../base/contain.ts'
import type { GatewayError } from '../../base/errors.ts'
import type { ProxyPath, ProxyVersion } from '../../base/proxy-protocol.ts'
import type { ResponseHead } from '../../http1/response-head.ts'
import type { Peer } from './connection.ts'
import type { PrivateConnections } from './private-connections.ts'

/** The client's connection, as far as connections to endpoints depend on it. */
export type ClientSide = {
  /** Both its ends, for the PROXY protocol; undefined once the client is gone. */
  readonly path: ProxyPath | undefined
  /** The connections to endpoints that this client alone may use; undefined as long as there is none. */
  readonly privates: PrivateConnections | undefined
  claimPrivates(): PrivateConnections
}

/** What kind of connection is wanted. */
export type ConnectionWish = {
  readonly client: Pick<ClientSide, 'path'>
  /** The PROXY header that the endpoint wants before anything else; no other client may use such a connection. */
  readonly proxyVersion: ProxyVersion | undefined
  /** Most milliseconds to wait until a connection is open or free. */
  readonly connectTimeout: number
}

/** A request as it is to reach an endpoint. */
export type UpstreamRequest = ConnectionWish & {
  readonly client: ClientSide
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** What the client asked for; the endpoint may be known under another name. */
  readonly authority: string
  /** `upstream.host` of the settings: the Host that the endpoint is sent. */
  readonly hostSetting: string
  /** The Host line among `lines`; undefined: there is none. */
  readonly host: string | undefined
  /** Field lines, latin1, `Name: value\r\n` each: no fields of the hop (RFC 9110 §7.6.1), nor of the framing. */
  readonly lines: string
  /** Field lines that the gateway adds. */
  readonly addedLines: string
  /** How much body follows; `undefined` is known by its end alone, or there is none. */
  readonly contentLength: number | undefined
  readonly hasBody: boolean
  readonly acceptsTrailers: boolean
  /** The endpoint is to say whether it wants the body (RFC 9110 §10.1.1). */
  readonly expectsContinue: boolean
  /** The protocol that 101 may switch to; undefined where nothing was asked for. */
  readonly upgrade: string | undefined
  /** It authenticates its connection, not itself alone: NTLM, Negotiate (RFC 4559 §6). */
  readonly authenticatesConnection: boolean
  /** Largest response head, bytes. */
  readonly maxHeaderBytes: number
}

/** What is told about a connection that is wanted. */
export type ConnectionEvents = Partial<Victim> & {
  /** The connection leads to another address of the same name than was chosen. */
  onMoved(peer: Peer): void
  /** There is no connection; nothing was sent. */
  onUnreachable(error: GatewayError): void
  /** Asked where nothing is heard of the endpoint for a while: true gives up, since another endpoint can be tried. */
  givesUp(): boolean
}

/** After `onEnd`, `onUpgrade`, `onUnreachable` or `onError` nothing more comes, except for `breakOff` where one of them has thrown. */
export type UpstreamEvents = ConnectionEvents & {
  /** True if the request can be sent again, however much of it an endpoint may have had. */
  readonly isRepeatable: boolean
  /** The endpoint takes the request: its body may be written. Comes once more after `onStale`, for all of the body. */
  onReady(): void
  /** The endpoint closed an idle connection just as it was used again, which counts as no failure. True sends all of the request again. */
  onStale(): boolean
  /** 100 and 103 alone; names and values in turn. */
  onInformational(status: number, headers: readonly string[]): void
  /** `more`: body bytes or the end follow at once, so that nothing need be sent before them. */
  onHead(head: ResponseHead, more: boolean): void
  /** The chunk is lent: its bytes are gone when the call returns. */
  onData(chunk: Buffer): void
  /** The positive end: the message was complete. `trailers` are names and values in turn. */
  onEnd(trailers: readonly string[]): void
  /** The endpoint answered 101: from here on the socket carries bytes, beginning with `early`; its listeners are gone. */
  onUpgrade(head: ResponseHead, socket: Socket, early: Buffer): void
  onError(error: GatewayError): void
  /** The request body may flow again. */
  onDrain(): void
}

/** A request under way. From `onReady` on its head is kept back, to go out together with what follows, until the first `write`, `end` or `flush`. */
export type UpstreamCall = {
  /** Asks for a connection; events may come before it returns. */
  start(): void
  /**
   * The chunk is lent: what is not used up at once is copied. With `onTaken` it is not, and this is called when nobody uses it
   * any more. False: wait for `onDrain`.
   */
  write(chunk: Buffer, onTaken?: () => void): boolean
  /** Ends the request as complete; `trailers` are names and values in turn. */
  end(trailers: readonly string[]): void
  /** Sends the head that is kept back. */
  flush(): void
  pause(): void
  resume(): void
  /** Gives the request up: its connection is cut, so that nothing unfinished can be taken for a whole. Nothing is heard afterwards. */
  abort(): void
  /** Where nothing else shares it: the connection; undefined until there is one. */
  readonly socket: Socket | undefined
  /** A byte of an answer has come. */
  readonly hasAnswered: boolean
  /** Its connection has carried other requests. */
  readonly isReused: boolean
}
