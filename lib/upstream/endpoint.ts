/** One endpoint while it lives: its connections and counts. Keyed by what it is, not by who uses it, so it outlives snapshots. HOT */
import { isIP } from 'node:net'
import { isPrivateAddress } from '../base/cidr.ts'
import type { Clock } from '../base/clock.ts'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { GatewayError } from '../base/errors.ts'
import type { UpstreamProtocol } from '../model/upstream.ts'
import type { Settings } from '../settings-table.ts'
import type { UpstreamTls } from './connect.ts'
import { type Connection, ConnectionPool, type Waiter } from './connection-pool.ts'
import type { NameResolver } from './resolver.ts'

export type EndpointIdentity = Readonly<{
  key: string
  protocol: UpstreamProtocol
  /** An address, or a name to resolve. */
  host: string
  port: number
  /** For https: the name in SNI and certificate. */
  serverName: string
  /** Private, loopback, link-local and metadata addresses are refused. */
  guarded: boolean
}>

export type EndpointSurroundings = Readonly<{
  settings: () => Settings
  clock: Clock
  names: NameResolver
  tls: (serverName: string) => UpstreamTls
}>

/** Most addresses of one name that are tried for one connection. */
const MAX_ADDRESS_TRIES = 3

export class EndpointState {
  readonly identity: EndpointIdentity
  readonly key: string
  /** `host:port`, as the manifests have it. */
  readonly label: string
  /** Requests and tunnels it carries now. */
  inFlight: number = 0
  requests: number = 0
  failures: number = 0
  lastFailure: Readonly<{ error: GatewayError; at: number }> | undefined
  readonly #surroundings: EndpointSurroundings
  /** By address; more than one for a name. The TLS policy is part of the key, so that a stricter one never reuses a connection of a laxer one. */
  readonly #pools = new Map<string, ConnectionPool>()
  #turn = 0

  constructor(identity: EndpointIdentity, surroundings: EndpointSurroundings) {
    this.identity = identity
    this.key = identity.key
    this.label = printEndpointAddress(identity.host, identity.port)
    this.#surroundings = surroundings
  }

  /** Connections open or being opened. */
  get connections(): number {
    let count = 0
    for (const pool of this.#pools.values()) count += pool.size
    return count
  }

  get isIdle(): boolean {
    if (this.inFlight > 0) return false
    for (const pool of this.#pools.values()) if (!pool.isIdle) return false
    return true
  }

  recordFailure(error: GatewayError): void {
    this.failures++
    this.lastFailure = { error, at: this.#surroundings.clock.now() }
  }

  /** `fresh` asks for a connection that no request has used. */
  acquire(waiter: Waiter, fresh: boolean): void {
    const { host } = this.identity
    if (isIP(host) !== 0) {
      this.#acquireAt([host], waiter, fresh)
      return
    }
    const { names } = this.#surroundings
    const known = names.peek(host)
    if (known) {
      this.#acquireAt(known, waiter, fresh)
      return
    }
    names.addresses(host).then(
      (addresses) => {
        if (!waiter.cancelled) this.#acquireAt(addresses, waiter, fresh)
      },
      (error: Error) => {
        if (waiter.cancelled) return
        waiter.onConnectionError(new GatewayError('PORTICO_UP_NAME_UNRESOLVED', `${host}: ${error.message}`, error))
      },
    )
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close()
    this.#pools.clear()
  }

  #acquireAt(addresses: readonly string[], waiter: Waiter, fresh: boolean): void {
    const allowed = this.identity.guarded
      ? addresses.filter((address) => isPrivateAddress(address) === undefined)
      : addresses
    if (allowed.length === 0) {
      const denied = addresses.map((address) => `${address} is ${isPrivateAddress(address)}`).join(', ')
      waiter.onConnectionError(new GatewayError('PORTICO_UP_ADDRESS_DENIED', `${this.identity.host}: ${denied}`))
      return
    }
    this.#prune(addresses)
    const start = this.#turn++ % allowed.length
    this.#tryAddress(allowed, start, Math.min(allowed.length, MAX_ADDRESS_TRIES), waiter, fresh)
  }

  #tryAddress(addresses: readonly string[], index: number, left: number, waiter: Waiter, fresh: boolean): void {
    const pool = this.#pool(addresses[index % addresses.length]!)
    if (left <= 1) {
      pool.acquire(waiter, fresh)
      return
    }
    pool.acquire(
      {
        get cancelled() {
          return waiter.cancelled
        },
        onConnection: (connection: Connection) => waiter.onConnection(connection),
        onConnectionError: (error: GatewayError) => {
          if (error.retry === 'always') this.#tryAddress(addresses, index + 1, left - 1, waiter, fresh)
          else waiter.onConnectionError(error)
        },
      },
      fresh,
    )
  }

  #pool(address: string): ConnectionPool {
    const { protocol, serverName, port } = this.identity
    const { settings, tls } = this.#surroundings
    const policy = protocol === 'https' ? tls(serverName) : undefined
    const key = policy ? `${address} ${policy.verify} ${settings().upstream.caFile}` : address
    let pool = this.#pools.get(key)
    if (!pool) {
      pool = new ConnectionPool({ address, port, tls: policy }, settings)
      this.#pools.set(key, pool)
    }
    return pool
  }

  /** Lets go of addresses that the name does not have any more. */
  #prune(addresses: readonly string[]): void {
    if (this.#pools.size <= addresses.length) return
    for (const [key, pool] of this.#pools) {
      if (addresses.includes(pool.target.address)) continue
      pool.close()
      this.#pools.delete(key)
    }
  }
}
