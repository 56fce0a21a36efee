/** What a door gives the forwarder: one request and its response, whatever protocol they travel in. HOT */
import type { Duplex } from 'node:stream'

export type Protocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2.0'

/** Where the connection comes from and goes to, as its socket has it. */
export type ConnectionInfo = Readonly<{
  scheme: 'http' | 'https'
  /** IPv4-mapped addresses as IPv4; `''` once the peer is gone. */
  peerAddress: string
  localPort: number
}>

/** Receives a request body. */
export type BodySink = {
  onBodyData(chunk: Buffer): void
  /** The positive end: the client finished its message. `trailers` are names and values in turn. */
  onBodyEnd(trailers: readonly string[]): void
}

/** An HTTP/1.1 request that asks for another protocol. */
export type UpgradeOffer = Readonly<{
  /** The client's socket, nobody reading it. */
  socket: Duplex
  /** Bytes that came behind the head. */
  early: Buffer
}>

export type Exchange = {
  readonly protocol: Protocol
  readonly connection: ConnectionInfo
  readonly method: string
  /** As sent; HTTP/2: `:path`. */
  readonly target: string
  /** `:authority` of HTTP/2. */
  readonly authority: string | undefined
  /** Names and values in turn, latin1, as sent, without pseudo-header fields. */
  readonly headers: readonly string[]
  /** Whether a request body follows, as the framing says. */
  readonly hasBody: boolean
  /** The request body has ended, or there is none. */
  readonly isRequestComplete: boolean
  readonly offer: UpgradeOffer | undefined

  /** Called once, when the response is through (`true`) or the client has gone or was cut (`false`). */
  onClose: (complete: boolean) => void
  /** Called when `write` may be called again after it returned false. */
  onDrain: () => void

  /** Begins to deliver the body; `sayContinue` first answers an `Expect: 100-continue`. */
  readBody(sink: BodySink, sayContinue: boolean): void
  pauseBody(): void
  resumeBody(): void

  /** 103 and other interim answers; those the protocol cannot carry are left out. */
  sendInterim(status: number, headers: readonly string[]): void
  /** `close`: this is the last response of the connection. `trailers`: some may follow the body. */
  sendHead(status: number, reason: string, headers: readonly string[], options: HeadOptions): void
  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean
  /** Ends the response as complete; `trailers` are names and values in turn. */
  end(trailers: readonly string[]): void
  /** Cuts connection or stream, so that nothing unfinished can be taken for a whole. */
  abort(): void

  readonly isHeadSent: boolean
  /** Bytes accepted by `write` that the connection has not taken yet. */
  readonly pendingBytes: number
}

export type HeadOptions = Readonly<{ close: boolean; trailers: boolean }>

/** Without the prefix of IPv4-mapped IPv6 addresses, which peers of a dual-stack listener have. */
export function normalizePeer(address: string | undefined): string {
  if (address === undefined) return ''
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
