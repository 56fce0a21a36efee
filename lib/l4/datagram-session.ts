/** What one UDP client and one endpoint say to each other: a socket of its own, connected to the endpoint, so that each hears of the other alone. */
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { containing, type Victim } from '../base/contain.ts'
import { type Timed, UNWATCHED } from '../base/deadline.ts'
import { GatewayError } from '../base/errors.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'

export type SessionOptions = Readonly<{
  pool: UpstreamPool
  endpoint: EndpointState
  /** From the endpoint, for the client. */
  onReply: (datagram: Buffer) => void
  /** The session is over; `error` where the endpoint is the reason. */
  onEnd: (error: GatewayError | undefined) => void
}>

/** Datagrams that wait for the socket, which takes a turn or two to come, or a name to resolve. */
const MAX_WAITING = 16
/** Bytes that a socket may have queued; the next datagram is lost, as on a wire that is full. */
export const MAX_QUEUED_BYTES = 1_048_576

/** Errors of this machine's own, for which no endpoint can be blamed. */
const OWN_FAULTS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

export class DatagramSession implements Timed, Victim {
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  readonly endpoint: EndpointState
  /** By which the endpoint was found good last. */
  pool: UpstreamPool
  /** From and to the client; what was dropped on the way is among them. */
  bytesIn = 0
  bytesOut = 0
  readonly #options: SessionOptions
  readonly #socket: Socket
  #waiting: Buffer[] | undefined = []
  #isOver = false

  constructor(options: SessionOptions) {
    const { endpoint, pool, onReply } = options
    const { host, port } = endpoint.identity
    this.endpoint = endpoint
    this.pool = pool
    this.#options = options
    this.#socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    this.#socket.on(
      'message',
      containing('relay', this, (datagram: Buffer) => {
        endpoint.recordReply()
        this.bytesOut += datagram.length
        onReply(datagram)
      }),
    )
    this.#socket.on(
      'error',
      containing('relay', this, (error: NodeJS.ErrnoException) => this.#fail(error)),
    )
    this.#socket.on(
      'connect',
      containing('relay', this, () => this.#sendWaiting()),
    )
    endpoint.begin()
    this.#socket.connect(port, host)
  }

  /** To the endpoint. */
  send(datagram: Buffer): void {
    if (this.#isOver) return
    this.bytesIn += datagram.length
    if (this.#waiting) {
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(datagram)
    } else if (this.#socket.getSendQueueSize() < MAX_QUEUED_BYTES) this.#socket.send(datagram)
  }

  end(error?: GatewayError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.endpoint.end()
    if (error) this.endpoint.recordFailure(error)
    this.#socket.close()
    this.#options.onEnd(error)
  }

  /** After a bug, for which no endpoint can be blamed. */
  breakOff(): void {
    this.end()
  }

  #sendWaiting(): void {
    for (const datagram of this.#waiting?.splice(0) ?? []) this.#socket.send(datagram)
    this.#waiting = undefined
  }

  /** Nothing came or went for as long as it may be. */
  onDeadline(): void {
    this.end()
  }

  /** A machine where no process has the port says so by ICMP. */
  #fail(error: NodeJS.ErrnoException): void {
    // A datagram that is too large for the way is lost alone.
    if (error.code === 'EMSGSIZE') return
    if (OWN_FAULTS.has(error.code ?? '')) {
      this.end()
      return
    }
    const code = error.code === 'ECONNREFUSED' ? 'PORTICO_UP_CONNECT_REFUSED' : 'PORTICO_UP_CONNECT_FAILED'
    this.end(new GatewayError(code, `${this.endpoint.label}: ${error.code ?? error.message}`, error))
  }
}
