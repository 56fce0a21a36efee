/** Connections at L4: each is passed on, byte by byte, to a connection of its own to one endpoint. */
import type { Socket } from 'node:net'
import { findClientNetwork } from '../base/client-network.ts'
import type { Clock } from '../base/clock.ts'
import { contain, containing } from '../base/contain.ts'
import type { DeadlineWatch } from '../base/deadline.ts'
import { GatewayError } from '../base/errors.ts'
import { findProxyVersion } from '../base/proxy-protocol.ts'
import { hangupWatch, type Sighting, type Unread } from '../platform/hangup-watch.ts'
import { resetSocket } from '../platform/reset.ts'
import { type AttemptSubject, Attempts, type AttemptUser } from '../request/attempts.ts'
import { findPath, findPeerAddress } from '../request/origin.ts'
import { Tunnel } from '../request/tunnel.ts'
import type { Settings } from '../settings/table.ts'
import type { RelayEntry, ServedRoute } from '../snapshot/snapshot.ts'
import type { ConnectionRecord } from '../telemetry/record.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { BareCall, BareEvents } from '../upstream/transport/bare-call.ts'

export type RelayOptions = Readonly<{
  /** Those in force. */
  settings: () => Settings
  clock: Clock
  deadlines: DeadlineWatch
  /** Called once for each connection. */
  onFinish: (record: ConnectionRecord) => void
}>

/** All that are under way. */
export class Relays {
  readonly #options: RelayOptions
  readonly #relays = new Set<Relay>()
  readonly #idleWaiters: (() => void)[] = []

  constructor(options: RelayOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#relays.size
  }

  whenIdle(): Promise<void> {
    if (this.#relays.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  /**
   * Takes a connection that has all its bytes: none was read, or all read bytes were put back. The connection is half open
   * (`allowHalfOpen`), and has an error listener.
   */
  open(client: Socket, entry: RelayEntry): void {
    const relay = new Relay(client, entry, this.#options, (record) => {
      this.#relays.delete(relay)
      this.#options.onFinish(record)
      if (this.#relays.size === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve()
    })
    this.#relays.add(relay)
    try {
      relay.start()
    } catch (thrown) {
      contain('relay', thrown, relay)
    }
  }

  /** Cuts all. */
  destroy(): void {
    for (const relay of this.#relays) relay.destroy()
  }
}

class Relay implements AttemptSubject, AttemptUser, BareEvents, Unread {
  sighting: Sighting | undefined = undefined
  readonly clock: Clock
  readonly clientAddress: string
  readonly clientNetwork: string
  readonly startedMonotonic: number
  /** A choice of endpoint has no target to go by: the bytes are not read. */
  readonly hostname = ''
  readonly target = ''
  readonly privates = undefined
  // Bytes that were sent to an endpoint cannot be sent to another one.
  readonly isIdempotent = false
  readonly #client: Socket
  readonly #listener: string
  readonly #sendsProxyHeader: boolean
  readonly #route: ServedRoute | undefined
  readonly #options: RelayOptions
  /** Those in force when the connection came, as `#route` is. */
  readonly #timeouts: Settings['timeouts']
  readonly #onFinish: (record: ConnectionRecord) => void
  /** Bytes that were read before the first that is passed on. */
  readonly #startIn: number
  #attempts: Attempts | undefined = undefined
  #call: BareCall | undefined = undefined
  #tunnel: Tunnel | undefined
  #error: GatewayError | undefined
  #isOver = false

  constructor(
    client: Socket,
    { label, sendsProxyHeader, route }: RelayEntry,
    options: RelayOptions,
    onFinish: (record: ConnectionRecord) => void,
  ) {
    this.#client = client
    this.#listener = label
    this.#sendsProxyHeader = sendsProxyHeader
    this.#route = route
    this.#options = options
    this.#timeouts = options.settings().timeouts
    this.#onFinish = onFinish
    this.clock = options.clock
    this.clientAddress = findPeerAddress(client)
    this.clientNetwork = findClientNetwork(this.clientAddress)
    this.startedMonotonic = options.clock.monotonic()
    this.#startIn = client.bytesRead - client.readableLength
  }

  /** The client's first bytes wait in its socket, which reads no further ahead than it may. */
  start(): void {
    if (this.#client.destroyed) {
      this.#finish()
      return
    }
    this.#client.pause()
    this.#client.once('close', this.#onClientGone)
    hangupWatch.add(this)
    const upstream = this.#route?.upstream
    if (!upstream) {
      this.fail(new GatewayError('PORTICO_UP_NO_SERVICE', this.#route?.action.backend))
      return
    }
    this.#attempts = new Attempts(this, this, upstream, upstream.policy, this.#options.deadlines)
    this.#attempts.begin()
  }

  destroy(): void {
    if (this.#tunnel) this.#tunnel.destroy()
    else this.#client.destroy()
  }

  // AttemptSubject

  header(): undefined {}

  // AttemptUser

  get canRepeat(): boolean {
    return this.#tunnel === undefined
  }

  attempt(endpoint: EndpointState): void {
    const { policy } = this.#route!.upstream!
    const wish = {
      client: { path: findPath(this.#client) },
      proxyVersion: findProxyVersion(this.#sendsProxyHeader ? 'v1' : policy.proxyProtocol),
      connectTimeout: policy.timeouts.connect || this.#timeouts.connect,
    }
    this.#call = endpoint.open(wish, this)
    this.#call.start()
  }

  dropAttempt(): void {
    this.#call?.abort()
  }

  stalledFor(): number {
    return 0
  }

  giveWay(): void {}

  /** The client sees a reset, as from a port that is closed. */
  fail(error: GatewayError): void {
    this.#error = error
    this.#client.off('close', this.#onClientGone)
    resetSocket(this.#client)
    this.#finish()
  }

  /** After a bug. */
  breakOff(error: GatewayError): void {
    this.#error = error
    this.#tunnel?.destroy()
    this.fail(error)
  }

  // BareEvents

  onMoved(endpoint: EndpointState): void {
    this.#attempts!.moveTo(endpoint)
  }

  onUnreachable(error: GatewayError): void {
    const attempts = this.#attempts!
    // A client is to hear at once of an endpoint that refuses, unless another one may take the connection.
    attempts.failAttempt(error, attempts.givesUp() ? 'connect-failure' : undefined)
  }

  givesUp(): boolean {
    return this.#attempts!.givesUp()
  }

  onSocket(upstream: Socket): void {
    const attempts = this.#attempts!
    // An open connection is all that L4 can see of an endpoint's health.
    attempts.settleAnswer(200, this.clock.monotonic())
    this.#client.off('close', this.#onClientGone)
    hangupWatch.delete(this)
    const timeouts = this.#timeouts
    const onClose = containing('relay', this, () => this.#finish())
    const idleMs = this.#route!.upstream!.policy.timeouts.streamIdle || timeouts.streamIdle
    this.#tunnel = new Tunnel(this.#client, upstream, idleMs, timeouts, onClose)
  }

  // Unread, until there is a tunnel

  get isUnread(): boolean {
    return !this.#isOver && this.#tunnel === undefined
  }

  get clientSocket(): Socket {
    return this.#client
  }

  get endpointSocket(): undefined {
    return undefined
  }

  onStill(sighting: Sighting): void {
    const { halfClosed } = this.#timeouts
    if (sighting.client?.isReset || sighting.hasClientLeft(halfClosed)) resetSocket(this.#client)
  }

  #onClientGone = containing('relay', this, () => this.#finish())

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    hangupWatch.delete(this)
    this.#call?.abort()
    this.#attempts?.end()
    this.#onFinish({
      listener: this.#listener,
      clientAddress: this.clientAddress,
      endpoint: this.#attempts?.last?.label,
      tries: this.#attempts?.count ?? 0,
      bytesIn: this.#client.bytesRead - this.#startIn,
      bytesOut: this.#client.bytesWritten,
      durationMs: this.clock.monotonic() - this.startedMonotonic,
      error: this.#error?.code,
      detail: this.#error?.detail || undefined,
    })
  }
}
