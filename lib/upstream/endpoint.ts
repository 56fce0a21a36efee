/** One endpoint of an upstream while it lives: its connections and counts, which outlive snapshots. HOT */
import { isIP } from 'node:net'
import { isPrivateAddress } from '../base/cidr.ts'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { GatewayError } from '../base/errors.ts'
import type { UpstreamKey, UpstreamProtocol } from '../model/upstream.ts'
import type { UpstreamPolicy } from '../service-settings.ts'
import type { LoadObserver } from './balancer/load-watch.ts'
import type { UpstreamTls } from './connect.ts'
import { ConnectionPool, type PoolSurroundings, type Waiter } from './connection-pool.ts'
import type { Latency } from './latency.ts'
import type { NameResolver } from './resolver.ts'

export type EndpointIdentity = Readonly<{
  key: string
  upstream: UpstreamKey
  protocol: UpstreamProtocol
  /** An address, or a name to resolve. */
  host: string
  port: number
  /** For https: the name in SNI and certificate. */
  serverName: string
  /** Private, loopback, link-local and metadata addresses are refused. */
  guarded: boolean
}>

export type EndpointSurroundings = PoolSurroundings &
  Readonly<{
    names: NameResolver
    tls: (serverName: string) => UpstreamTls
  }>

/** Most addresses of one name that are tried for one connection. */
const MAX_ADDRESS_TRIES = 4
const NO_OTHERS: readonly ConnectionPool[] = Object.freeze([])

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
  /** Since when a balancer may choose it, by the monotonic clock; undefined while none may. */
  joinedAt: number | undefined = undefined
  /** Where a balancer goes by it. */
  latency: Latency | undefined = undefined
  #loadObserver: LoadObserver | undefined = undefined
  #loadSlot = 0
  readonly #surroundings: EndpointSurroundings
  /** By address; more than one for a name. The TLS policy is part of the key, so that a stricter one never reuses a connection of a laxer one. */
  readonly #pools = new Map<string, ConnectionPool>()
  /** The pools of these addresses under these settings. */
  #chosen: readonly ConnectionPool[] = NO_OTHERS
  #addresses: readonly string[] | undefined = undefined
  #policy: UpstreamPolicy | undefined = undefined
  /** `host` where it is an address. */
  readonly #literal: readonly string[] | undefined
  #turn = 0

  constructor(identity: EndpointIdentity, surroundings: EndpointSurroundings) {
    this.identity = identity
    this.key = identity.key
    this.label = printEndpointAddress(identity.host, identity.port)
    this.#surroundings = surroundings
    this.#literal = isIP(identity.host) === 0 ? undefined : [identity.host]
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

  /** Whether it takes one more. */
  get takes(): boolean {
    return true
  }

  /** A request or tunnel goes there. */
  begin(): void {
    this.requests++
    this.inFlight++
    this.#loadObserver?.onLoad(this.#loadSlot, 1)
  }

  /** It is over. */
  end(): void {
    this.inFlight--
    this.#loadObserver?.onLoad(this.#loadSlot, -1)
  }

  /** Tells this observer, and nobody else any more, as `inFlight` changes. */
  watchLoad(observer: LoadObserver | undefined, slot: number): void {
    this.#loadObserver = observer
    this.#loadSlot = slot
  }

  /** It answered: status, and milliseconds from the request to the head of the answer. */
  recordAnswer(status: number, ms: number): void {
    this.latency?.answer(status, ms)
  }

  recordFailure(error: GatewayError): void {
    this.failures++
    if (error.fault === 'upstream') this.latency?.fail()
    this.lastFailure = { error, at: this.#surroundings.clock.now() }
  }

  /** `fresh` asks for a connection that no request has used. */
  acquire(waiter: Waiter, fresh: boolean): void {
    const { names } = this.#surroundings
    const { host } = this.identity
    const known = this.#literal ?? names.peek(host)
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
    this.#addresses = undefined
    for (const pool of this.#pools.values()) pool.close()
    this.#pools.clear()
  }

  #acquireAt(addresses: readonly string[], waiter: Waiter, fresh: boolean): void {
    const policy = this.#surroundings.policy()
    if (addresses !== this.#addresses || policy !== this.#policy) {
      this.#choosePools(addresses)
      this.#addresses = addresses
      this.#policy = policy
    }
    const pools = this.#chosen
    if (pools.length === 1) pools[0]!.acquire(waiter, fresh, NO_OTHERS)
    else if (pools.length === 0) waiter.onConnectionError(this.#explainDenied(addresses))
    else {
      const [first, ...others] = orderPools(pools, this.#turn++)
      first!.acquire(waiter, fresh, others)
    }
  }

  /** The pools of the addresses that are allowed, under the TLS policy in force; all others are closed. */
  #choosePools(addresses: readonly string[]): void {
    const { protocol, serverName, port, guarded } = this.identity
    const { policy, tls } = this.#surroundings
    const security = protocol === 'https' ? tls(serverName) : undefined
    const suffix = security ? ` ${security.verify} ${policy().caFile}` : ''
    const chosen: ConnectionPool[] = []
    for (const address of addresses) {
      if (guarded && isPrivateAddress(address) !== undefined) continue
      const key = address + suffix
      let pool = this.#pools.get(key)
      if (!pool) {
        pool = new ConnectionPool({ address, port, tls: security }, this.#surroundings)
        this.#pools.set(key, pool)
      }
      if (!chosen.includes(pool)) chosen.push(pool)
    }
    this.#chosen = chosen
    if (this.#pools.size > chosen.length) this.#prune(chosen)
  }

  #explainDenied(addresses: readonly string[]): GatewayError {
    const denied = addresses.map((address) => `${address} is ${isPrivateAddress(address)}`).join(', ')
    return new GatewayError('PORTICO_UP_ADDRESS_DENIED', `${this.identity.host}: ${denied}`)
  }

  #prune(pools: readonly ConnectionPool[]): void {
    for (const [key, pool] of this.#pools) {
      if (pools.includes(pool)) continue
      pool.close()
      this.#pools.delete(key)
    }
  }
}

/**
 * Each address has its turn to be the first, unless it could not be reached of late; then the families take turns, so that one
 * that leads nowhere costs a single delay (RFC 8305 §4).
 */
function orderPools(pools: readonly ConnectionPool[], turn: number): readonly ConnectionPool[] {
  const reachable = pools.filter((pool) => !pool.isAvoided)
  const first = reachable.length > 0 ? reachable[turn % reachable.length]! : pools[turn % pools.length]!
  const start = pools.indexOf(first)
  const others = [...pools.slice(start + 1), ...pools.slice(0, start)]
  const family = isIP(first.target.address)
  const same = others.filter((pool) => isIP(pool.target.address) === family)
  const different = others.filter((pool) => isIP(pool.target.address) !== family)
  const ordered = [first]
  while (ordered.length < MAX_ADDRESS_TRIES && same.length + different.length > 0) {
    const next = different.shift()
    if (next) ordered.push(next)
    const again = same.shift()
    if (again) ordered.push(again)
  }
  return ordered.slice(0, MAX_ADDRESS_TRIES)
}
