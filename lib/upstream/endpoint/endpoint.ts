/** One endpoint of an upstream while it lives: its connections and counts, which outlive snapshots. HOT */
import { isIP } from 'node:net'
import { type Timed, UNWATCHED } from '../../base/deadline.ts'
import { printEndpointAddress } from '../../base/endpoint-address.ts'
import type { GatewayError } from '../../base/errors.ts'
import { findUsualPort } from '../../base/hostname.ts'
import type { EndpointKey } from '../../model/endpoint-key.ts'
import type { EndpointTrouble, UpstreamKey, UpstreamProtocol } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import { BareCall, type BareEvents } from '../transport/bare-call.ts'
import type { ConnectionWish, UpstreamCall, UpstreamEvents, UpstreamRequest } from '../transport/call.ts'
import type { UpstreamTls } from '../transport/connect.ts'
import type { Past, Peer, Waiter } from '../transport/connection.ts'
import { ConnectionPool, type PoolSurroundings } from '../transport/connection-pool.ts'
import { Http1Call } from '../transport/http1-call.ts'
import { AdaptiveLimit, LEAST_LIMIT, SAMPLE_MS } from './adaptive-limit.ts'
import { FailureWatch } from './failure-watch.ts'
import type { Latency } from './latency.ts'

export type EndpointIdentity = Readonly<{
  key: EndpointKey
  upstream: UpstreamKey
  protocol: UpstreamProtocol
  /** An address. */
  host: string
  port: number
  /** The name that `host` is an address of; `''` where it was given by address. */
  name: string
  /** For https: the name in SNI and certificate, unless the policy has another. */
  serverName: string
}>

/** Hears at once when an endpoint gets one request more or less. */
export type LoadObserver = {
  /** `slot` is the endpoint's index among the watched candidates, `delta` is 1 or -1; `inFlight` has already changed. */
  onLoad(slot: number, delta: number): void
}

/** Requests that wait for a place at one of the upstream's endpoints. */
export type PlaceQueue = {
  /** How many wait. */
  readonly size: number
  /** A place may have become free. */
  notify(): void
}

export type EndpointSurroundings = PoolSurroundings &
  Readonly<{
    queue: PlaceQueue
    tls: (serverName: string) => UpstreamTls
    onTrouble: (trouble: EndpointTrouble) => void
  }>

/** Most addresses of one name that are tried for one connection, beside the first. */
const MAX_OTHERS = 3
const NO_OTHERS: readonly ConnectionPool[] = Object.freeze([])
const NOBODY: readonly EndpointState[] = Object.freeze([])

export class EndpointState implements Timed, Peer {
  /** While it has much to do: when its load is looked at. */
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  readonly identity: EndpointIdentity
  readonly key: EndpointKey
  /** `host:port` */
  readonly label: string
  /** Requests and tunnels it carries now. */
  inFlight: number = 0
  /** As many as it may carry at once. */
  capacity: number = Number.POSITIVE_INFINITY
  /** Requests of those it carries that it has not answered yet. */
  #unanswered = 0
  /** As many of them as it is worth asking at once. */
  #askLimit = Number.POSITIVE_INFINITY
  /** Milliseconds that the quickest answer took since its load was last looked at. */
  #quickestMs = Number.POSITIVE_INFINITY
  /** Made when its load is first looked at; undefined where the policy wants none. */
  #adaptiveLimit: AdaptiveLimit | undefined = undefined
  requests: number = 0
  failures: number = 0
  /** Answers, and replies over UDP: signs that it lives. */
  answers: number = 0
  /** Failures since the last of them. */
  failuresInRow: number = 0
  lastFailure: Readonly<{ error: GatewayError; at: number }> | undefined
  /** Since when a balancer may choose it, by the monotonic clock; undefined while none may. */
  joinedAt: number | undefined = undefined
  /** Where a balancer goes by it. */
  latency: Latency | undefined = undefined
  #loadObserver: LoadObserver | undefined = undefined
  #loadSlot = 0
  /** Made at the first failure, unless answers count too: most endpoints never need one. */
  #failureWatch: FailureWatch | undefined = undefined
  /** All that may be used of the addresses of its name, itself among them, under the newest snapshot; none where there is no other. */
  #siblings: readonly EndpointState[] = NOBODY
  #pool: ConnectionPool | undefined = undefined
  /** What `#pool` was made for. */
  #policy: UpstreamPolicy | undefined = undefined
  /** The Host line that was last asked for, and by what setting. */
  #hostSetting = 'client'
  #hostLine = ''
  #turn = 0
  readonly #surroundings: EndpointSurroundings

  constructor(identity: EndpointIdentity, surroundings: EndpointSurroundings) {
    this.identity = identity
    this.key = identity.key
    this.label = printEndpointAddress(identity.host, identity.port)
    this.#surroundings = surroundings
  }

  /** Connections open or being opened. */
  get connections(): number {
    return this.#pool?.size ?? 0
  }

  /** Whether it has room for another request. */
  get takes(): boolean {
    return this.inFlight < this.capacity && this.#unanswered < this.#askLimit
  }

  get isIdle(): boolean {
    return this.inFlight === 0 && (this.#pool === undefined || this.#pool.isIdle)
  }

  /** See `#siblings`; for the registry. */
  meet(siblings: readonly EndpointState[]): void {
    this.#siblings = siblings.length > 1 ? siblings : NOBODY
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
    const { queue } = this.#surroundings
    if (queue.size > 0) queue.notify()
  }

  /** A request is sent there that it is to answer. */
  ask(): void {
    if (++this.#unanswered < LEAST_LIMIT || this.watchIndex !== UNWATCHED) return
    this.deadlineAt = 0
    this.#surroundings.watch.add(this)
  }

  /** That request is answered, or will not be. */
  hear(): void {
    this.#unanswered--
    if (this.#askLimit === Number.POSITIVE_INFINITY) return
    const { queue } = this.#surroundings
    if (queue.size > 0) queue.notify()
  }

  /** Looks at how much it has to do. */
  onDeadline(): void {
    const { clock, policy, queue, watch } = this.#surroundings
    const now = clock.monotonic()
    this.#adaptiveLimit = policy().adaptiveLimit ? (this.#adaptiveLimit ?? new AdaptiveLimit()) : undefined
    this.#adaptiveLimit?.sample({
      now,
      unanswered: this.#unanswered,
      answered: this.answers,
      quickestMs: this.#quickestMs,
      capacity: this.capacity,
      isWanted: queue.size > 0,
      isFull: !this.takes,
    })
    this.#quickestMs = Number.POSITIVE_INFINITY
    const before = this.#askLimit
    this.#askLimit = this.#adaptiveLimit?.value ?? Number.POSITIVE_INFINITY
    if (this.#askLimit > before) queue.notify()
    if (this.#unanswered >= LEAST_LIMIT || this.#askLimit < Number.POSITIVE_INFINITY) this.deadlineAt = now + SAMPLE_MS
    else watch.delete(this)
  }

  /** From now on tells this observer alone when `inFlight` changes. */
  watchLoad(observer: LoadObserver | undefined, slot: number): void {
    this.#loadObserver = observer
    this.#loadSlot = slot
  }

  /** It says something. */
  recordReply(): void {
    this.answers++
    this.failuresInRow = 0
  }

  /** It answered: status, and milliseconds from the try to the head of the answer. */
  recordAnswer(status: number, ms: number): void {
    this.recordReply()
    if (ms < this.#quickestMs) this.#quickestMs = ms
    this.latency?.answer(status, ms)
    if (this.#failureWatch !== undefined || this.#surroundings.policy().ejection.errorRate > 0) {
      this.#watchFailures().answer(status)
    }
  }

  /** All of its answer came. */
  recordEnd(): void {
    this.#failureWatch?.end()
  }

  /** What the gateway itself lacks, or does wrong, tells nothing of an endpoint. */
  recordFailure(error: GatewayError): void {
    if (error.fault === 'gateway') return
    this.failures++
    this.failuresInRow++
    this.#watchFailures().failure(error)
    if (error.fault === 'upstream') this.latency?.fail()
    this.lastFailure = { error, at: this.#surroundings.clock.now() }
  }

  /**
   * The endpoint to ask in its place: itself, unless it could not be connected to of late and there is another address of its name
   * that can be, and is not among `tried`.
   */
  prefer(tried: readonly EndpointState[]): EndpointState {
    return this.#siblings !== NOBODY && this.#pool?.isAvoided ? this.#findReachable(tried) : this
  }

  /** A request to be sent there; nothing happens before its `start`. */
  call(request: UpstreamRequest, events: UpstreamEvents): UpstreamCall {
    return new Http1Call(this, request, events)
  }

  /** A bare connection, for L4; nothing happens before its `start`. */
  open(wish: ConnectionWish, events: BareEvents): BareCall {
    return new BareCall(this, wish, events)
  }

  acquire(waiter: Waiter, past: Past): void {
    const pool = this.#usePool()
    const isAlone = this.#siblings === NOBODY || pool.hasFree(past)
    pool.acquire(waiter, past, isAlone ? NO_OTHERS : this.#chooseOthers(pool))
  }

  /** The authorities that it trusts, or the certificate that it is shown, may have changed: new connections use them, and older ones are used only where they are the same. */
  reconsider(): void {
    this.#policy = undefined
  }

  close(): void {
    this.#surroundings.watch.delete(this)
    this.#pool?.close()
    this.#pool = undefined
    this.#policy = undefined
    this.#siblings = NOBODY
  }

  #watchFailures(): FailureWatch {
    if (this.#failureWatch !== undefined) return this.#failureWatch
    const { clock, policy, onTrouble } = this.#surroundings
    const { upstream, host, port, name } = this.identity
    const report = (reason: string): void => onTrouble({ upstream, host, port, ...(name && { name }), reason })
    this.#failureWatch = new FailureWatch(clock, policy, report)
    return this.#failureWatch
  }

  /** Each of those that can be reached has its turn, so that none carries all that another one cannot. */
  #findReachable(tried: readonly EndpointState[]): EndpointState {
    const siblings = this.#siblings
    const { length } = siblings
    for (let step = 0; step < length; step++) {
      const state = siblings[this.#turn++ % length]!
      if (!state.#usePool().isAvoided && state.takes && !tried.includes(state)) return state
    }
    return this
  }

  /** The connections of the policy in force. */
  #usePool(): ConnectionPool {
    const policy = this.#surroundings.policy()
    if (this.#pool !== undefined && policy === this.#policy) return this.#pool
    this.#policy = policy
    const { protocol, serverName, host, port } = this.identity
    const tls = protocol === 'https' ? this.#surroundings.tls(policy.sni || serverName) : undefined
    // A stricter policy never uses a connection of a laxer one.
    if (this.#pool === undefined || !isSameTls(this.#pool.target.tls, tls)) {
      this.#pool?.close()
      this.#pool = new ConnectionPool({ address: host, port, tls }, this.#surroundings, this)
    }
    return this.#pool
  }

  hostLine(setting: string): string {
    if (setting !== this.#hostSetting) {
      this.#hostSetting = setting
      this.#hostLine = this.#composeHostLine(setting)
    }
    return this.#hostLine
  }

  #composeHostLine(setting: string): string {
    if (setting === 'client') return ''
    if (setting !== 'endpoint') return `Host: ${setting}\r\n`
    const { protocol, host, port, name } = this.identity
    const authority = printEndpointAddress(name || host, port)
    const isUsual = port === findUsualPort(protocol)
    return `Host: ${isUsual ? authority.slice(0, authority.lastIndexOf(':')) : authority}\r\n`
  }

  /**
   * The pools that are tried beside `first`. The families take turns, so that one that leads nowhere costs a single delay (RFC 8305 §4);
   * those that could not be reached of late come last.
   */
  #chooseOthers(first: ConnectionPool): readonly ConnectionPool[] {
    const siblings = this.#siblings
    const { length } = siblings
    // -1 where it is asked although it should have nothing: the others are those that should.
    const start = siblings.indexOf(this)
    const family = isIP(first.target.address)
    const same: ConnectionPool[] = []
    const different: ConnectionPool[] = []
    const avoided: ConnectionPool[] = []
    for (let step = 1; step <= length; step++) {
      const pool = siblings[(start + step) % length]!.#usePool()
      if (pool === first) continue
      if (pool.isAvoided) avoided.push(pool)
      else if (isIP(pool.target.address) === family) same.push(pool)
      else different.push(pool)
      if (same.length >= MAX_OTHERS && different.length >= MAX_OTHERS) break
    }
    const ordered: ConnectionPool[] = []
    for (let at = 0; at < MAX_OTHERS; at++) ordered.push(...different.slice(at, at + 1), ...same.slice(at, at + 1))
    return [...ordered, ...avoided].slice(0, MAX_OTHERS)
  }
}

function isSameTls(a: UpstreamTls | undefined, b: UpstreamTls | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.serverName === b.serverName && a.verify === b.verify && a.secureContext === b.secureContext
}
