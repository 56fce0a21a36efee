/** One request through the upstream client alone, with everything that is heard of it. */
import type { Socket } from 'node:net'
import type { Test } from 'tap'
import { systemClock } from '../../../lib/base/clock.ts'
import type { GatewayError } from '../../../lib/base/errors.ts'
import type { ResponseHead } from '../../../lib/http1/response-head.ts'
import type { UpstreamPool } from '../../../lib/upstream/choice/pool.ts'
import { EndpointRegistry } from '../../../lib/upstream/choice/registry.ts'
import type { EndpointState } from '../../../lib/upstream/endpoint/endpoint.ts'
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from '../../../lib/upstream/transport/call.ts'
import type { Connection, Past, Peer, Waiter } from '../../../lib/upstream/transport/connection.ts'
import { Http1Call } from '../../../lib/upstream/transport/http1-call.ts'
import { PrivateConnections } from '../../../lib/upstream/transport/private-connections.ts'
import { BODILESS } from '../../helpers/bodiless.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { type EndpointWords, makeUpstream } from '../../helpers/snapshot.ts'

export type EndpointOptions = {
  settings?: Readonly<Record<string, unknown>>
  protocol?: 'http' | 'https'
}

/** The state of one endpoint in a registry of its own. */
export function openEndpoint(t: Test, words: EndpointWords, options: EndpointOptions = {}): EndpointState {
  return openPool(t, [words], options).states[0]!
}

/** The pool of these endpoints in a registry of its own. */
export function openPool(t: Test, endpoints: readonly EndpointWords[], options: EndpointOptions = {}): UpstreamPool {
  const settings = makeSettings(options.settings)
  const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
  t.teardown(() => registry.close())
  const { protocol = 'http' } = options
  const pool = registry.pool(makeUpstream('web', { endpoints, protocol }), settings.upstream)
  pool.enter()
  return pool
}

export class Exchange implements UpstreamEvents {
  readonly isRepeatable = true
  /** Nobody waits for the connection any more. */
  cancelled = false
  connection: Connection | undefined
  call: UpstreamCall | undefined
  head: ResponseHead | undefined
  /** What `onHead` said. */
  more: boolean | undefined
  chunks: Buffer[] = []
  trailers: readonly string[] | undefined
  error: GatewayError | undefined
  /** How often a 100 was told. */
  continues = 0
  hints: (readonly string[])[] = []
  drains = 0
  upgraded: { head: ResponseHead; socket: Socket; early: Buffer } | undefined
  /** Names of what was heard, in order. */
  readonly heard: string[] = []
  readonly #begin: (exchange: Exchange) => void
  #wake: (() => void)[] = []

  constructor(begin: (exchange: Exchange) => void) {
    this.#begin = begin
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  /** Resolves when `seen` is true; it is asked after each event. */
  async until(seen: (exchange: this) => boolean): Promise<this> {
    while (!seen(this)) await new Promise<void>((resolve) => this.#wake.push(resolve))
    return this
  }

  /** Resolves at the end, well or not. */
  over(): Promise<this> {
    return this.until(() => this.trailers !== undefined || this.error !== undefined || this.upgraded !== undefined)
  }

  onMoved(): void {}

  onReady(): void {
    this.#begin(this)
    this.#hear('connection')
  }

  onUnreachable(error: GatewayError): void {
    this.error = error
    this.#hear('connection error')
  }

  givesUp(): boolean {
    return false
  }

  /** What went wrong is told. */
  onStale(): boolean {
    return false
  }

  onInformational(status: number, headers: readonly string[]): void {
    if (status === 100) this.continues++
    else this.hints.push(headers)
    this.#hear('hint')
  }

  onHead(head: ResponseHead, more: boolean): void {
    this.head = head
    this.more = more
    this.#hear('head')
  }

  onData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk))
    this.#hear('data')
  }

  onEnd(trailers: readonly string[]): void {
    this.trailers = trailers
    this.#hear('end')
  }

  onUpgrade(head: ResponseHead, socket: Socket, early: Buffer): void {
    this.upgraded = { head, socket, early }
    this.#hear('upgrade')
  }

  onError(error: GatewayError): void {
    this.error = error
    this.#hear('error')
  }

  onDrain(): void {
    this.drains++
    this.#hear('drain')
  }

  #hear(what: string): void {
    this.heard.push(what)
    for (const resolve of this.#wake.splice(0)) resolve()
  }
}

export type RequestWords = Partial<UpstreamRequest> & { past?: Past; preamble?: Buffer }

const CLIENT = { path: undefined, privates: undefined, claimPrivates: () => new PrivateConnections() }

/** Sends a request; `begin` writes its body once there is a connection (by default there is none). */
export function send(
  endpoint: EndpointState,
  words: RequestWords = {},
  begin: (exchange: Exchange) => void = (exchange) => exchange.call!.end([]),
): Exchange {
  const { past = 'any', preamble, ...request } = words
  const exchange = new Exchange(begin)
  const peer: Peer = {
    hostLine: () => '',
    acquire: (waiter) => endpoint.acquire(new Witness(waiter, exchange, preamble), past),
    begin: () => {},
    end: () => {},
    recordFailure: () => {},
  }
  const whole: UpstreamRequest = {
    ...BODILESS,
    client: CLIENT,
    proxyVersion: undefined,
    connectTimeout: 10_000,
    method: 'GET',
    target: '/',
    authority: 'up.test',
    hostSetting: 'client',
    host: undefined,
    lines: '',
    addedLines: '',
    maxHeaderBytes: 65_536,
    ...request,
  }
  exchange.call = new Http1Call(peer, whole, exchange)
  exchange.call.start()
  return exchange
}

/** Sees which connection a call gets. */
class Witness implements Waiter {
  readonly preamble: Buffer | undefined
  readonly #waiter: Waiter
  readonly #exchange: Exchange

  constructor(waiter: Waiter, exchange: Exchange, preamble: Buffer | undefined) {
    this.#waiter = waiter
    this.#exchange = exchange
    this.preamble = preamble
  }

  get cancelled(): boolean {
    return this.#exchange.cancelled
  }

  onConnection(connection: Connection): void {
    this.#exchange.connection = connection
    this.#waiter.onConnection(connection)
  }

  onConnectionError(error: GatewayError): void {
    this.#waiter.onConnectionError(error)
  }

  breakOff(error: GatewayError): void {
    this.#waiter.breakOff?.(error)
  }
}
