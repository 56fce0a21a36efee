/** Connections that nobody reads: each is passed on, byte by byte, to a connection of its own to one endpoint. */
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { contain, containing, type Victim } from '../base/contain.ts'
import { GatewayError } from '../base/errors.ts'
import { composeProxyHeader, findProxyVersion } from '../base/proxy-protocol.ts'
import { hangupWatch, type Sighting, type Unread } from '../platform/hangup-watch.ts'
import { resetSocket } from '../platform/reset.ts'
import { findPath, findPeerAddress } from '../request/origin.ts'
import { Tunnel } from '../request/tunnel.ts'
import type { Settings } from '../settings/table.ts'
import type { ServedListener } from '../snapshot/snapshot.ts'
import type { ConnectionRecord } from '../telemetry/record.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { Connection } from '../upstream/transport/connection.ts'
import type { Waiter } from '../upstream/transport/connection-pool.ts'

export type RelayOptions = Readonly<{
  /** Those in force. */
  settings: () => Settings
  clock: Clock
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

  /** Takes a connection of which nothing was read, whose peer may shut down its side alone, and which has an error listener. */
  open(client: Socket, served: ServedListener): void {
    const relay = new Relay(client, served, this.#options, (record) => {
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

/** The next endpoint for one client that is not among `tried`. Connections and UDP sessions both ask here. */
export function pickFor(
  pool: UpstreamPool,
  clientAddress: string,
  tried: readonly EndpointState[],
): EndpointState | GatewayError {
  return pool.pick({ clientAddress, target: '', header: noHeader }, tried)
}

function noHeader(): undefined {}

class Relay implements Waiter, Unread, Victim {
  sighting: Sighting | undefined = undefined
  readonly preamble: Buffer | undefined
  readonly #client: Socket
  readonly #served: ServedListener
  readonly #options: RelayOptions
  readonly #onFinish: (record: ConnectionRecord) => void
  readonly #clientAddress: string
  readonly #startedAt: number
  /** Bytes that were read before the first that is passed on. */
  readonly #startIn: number
  #tried: readonly EndpointState[] = []
  /** When the try under way began. */
  #triedAt = 0
  #endpoint: EndpointState | undefined
  #tunnel: Tunnel | undefined
  #error: GatewayError | undefined
  #isOver = false

  constructor(
    client: Socket,
    served: ServedListener,
    options: RelayOptions,
    onFinish: (record: ConnectionRecord) => void,
  ) {
    this.#client = client
    this.#served = served
    this.#options = options
    this.#onFinish = onFinish
    this.#clientAddress = findPeerAddress(client)
    this.#startedAt = options.clock.monotonic()
    this.#startIn = client.bytesRead - client.readableLength
    const { upstream } = served.route
    const version = upstream && findProxyVersion(upstream.policy.proxyProtocol)
    this.preamble = version && composeProxyHeader(version, findPath(client))
  }

  /** Once it has gone, so may its client, or all others were cut. */
  get cancelled(): boolean {
    return this.#isOver
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
    this.#tryNext(undefined)
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
    const { halfClosed } = this.#options.settings().timeouts
    if (sighting.client?.isReset || sighting.hasClientLeft(halfClosed)) resetSocket(this.#client)
  }

  destroy(): void {
    if (this.#tunnel) this.#tunnel.destroy()
    else this.#client.destroy()
  }

  /** After a bug. */
  breakOff(error: GatewayError): void {
    this.#error = error
    this.#tunnel?.destroy()
    this.#fail(error)
  }

  onConnection(connection: Connection): void {
    const upstream = connection.detach()
    if (upstream.destroyed) {
      this.onConnectionError(new GatewayError('PORTICO_UP_RESET', `${connection.owner.place}: closed at once`))
      return
    }
    const { endpoint } = connection.owner
    if (endpoint !== this.#endpoint) this.#moveTo(endpoint)
    // All that can be seen of an endpoint whose bytes nobody reads.
    endpoint.recordAnswer(200, this.#options.clock.monotonic() - this.#triedAt)
    this.#client.off('close', this.#onClientGone)
    hangupWatch.delete(this)
    const { timeouts } = this.#options.settings()
    const onClose = containing('relay', this, () => this.#finish())
    const idleMs = this.#served.route.upstream?.policy.timeouts.streamIdle || timeouts.streamIdle
    this.#tunnel = new Tunnel(this.#client, upstream, idleMs, timeouts, onClose)
  }

  givesUp(): boolean {
    const { upstream } = this.#served.route
    if (upstream === undefined || this.#tried.length >= upstream.policy.tries) return false
    return !(pickFor(upstream, this.#clientAddress, this.#tried) instanceof GatewayError)
  }

  onConnectionError(error: GatewayError): void {
    this.#endpoint!.recordFailure(error)
    this.#leaveEndpoint()
    this.#tryNext(error)
  }

  #tryNext(previous: GatewayError | undefined): void {
    const { upstream } = this.#served.route
    if (previous && upstream && this.#tried.length >= upstream.policy.tries) {
      this.#fail(previous)
      return
    }
    const picked = upstream
      ? pickFor(upstream, this.#clientAddress, this.#tried)
      : new GatewayError('PORTICO_UP_NO_SERVICE', this.#served.listener.upstream)
    if (picked instanceof GatewayError) {
      this.#fail(previous ?? picked)
      return
    }
    this.#tried = [...this.#tried, picked]
    this.#triedAt = this.#options.clock.monotonic()
    this.#endpoint = picked
    picked.begin()
    picked.acquire(this, 'none')
  }

  /** The connection leads to another address of the same name than was chosen: from here on it counts there. */
  #moveTo(endpoint: EndpointState): void {
    this.#leaveEndpoint()
    endpoint.begin()
    this.#endpoint = endpoint
    this.#tried = [...this.#tried.slice(0, -1), endpoint]
  }

  /** A client hears of it as from a port where nobody listens. */
  #fail(error: GatewayError): void {
    this.#error = error
    this.#client.off('close', this.#onClientGone)
    resetSocket(this.#client)
    this.#finish()
  }

  #onClientGone = containing('relay', this, () => this.#finish())

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    hangupWatch.delete(this)
    this.#leaveEndpoint()
    this.#onFinish({
      listener: this.#served.listener.id,
      clientAddress: this.#clientAddress,
      endpoint: this.#tried.at(-1)?.label,
      tries: this.#tried.length,
      bytesIn: this.#client.bytesRead - this.#startIn,
      bytesOut: this.#client.bytesWritten,
      durationMs: this.#options.clock.monotonic() - this.#startedAt,
      error: this.#error?.code,
      detail: this.#error?.detail || undefined,
    })
  }

  #leaveEndpoint(): void {
    if (!this.#endpoint) return
    this.#endpoint.end()
    this.#endpoint = undefined
  }
}
