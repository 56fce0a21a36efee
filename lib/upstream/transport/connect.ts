/**
 * Opens one connection to an endpoint, plain or TLS, at whichever of its addresses answers first (Happy Eyeballs, RFC 8305 §5),
 * and says in the catalogue's words why it could not.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls'
import { containing, type Victim } from '../../base/contain.ts'
import { printEndpointAddress } from '../../base/endpoint-address.ts'
import { GatewayError } from '../../base/errors.ts'
import { isExhaustion } from '../../base/exhaustion.ts'
import { type ConnectedSockets, LENT_READS } from './connection.ts'

/** How an https endpoint is spoken to. */
export type UpstreamTls = Readonly<{
  /** The DNS name in SNI, and the one the endpoint's certificate must cover. An address is for the certificate alone (RFC 6066 §3). */
  serverName: string
  verify: boolean
  secureContext: SecureContext
}>

export type ConnectTarget = Readonly<{
  address: string
  port: number
  /** Undefined: plain TCP. */
  tls: UpstreamTls | undefined
}>

/** The side that wants the connection; either `onSocket` or `onError` is called, once and later. */
export type ConnectObserver = {
  /** A connection to the target of this index, TLS handshake included. */
  onSocket(sockets: ConnectedSockets, index: number): void
  onError(error: GatewayError): void
  /** The target of this index failed, or another one overtook it: then there is no error. */
  onFailure(index: number, error: GatewayError | undefined): void
  /** Asked where nothing is heard of any target for a while: whether that is enough, since there is another way. */
  givesUp?(): boolean
}

/** RFC 8305 §8: milliseconds before the next address is tried beside those that have not answered. */
const STAGGER_MS = 250

/** An endpoint that has not accepted by then is silent rather than slow, milliseconds: TCP asks a second time (RFC 6298 §2). */
const SILENT_MS = 1_000

/** Tries the targets in their order; `timeoutMs` covers all of it. `preamble` is sent before anything else, TLS included. */
export function connectEndpoint(
  targets: readonly ConnectTarget[],
  timeoutMs: number,
  observer: ConnectObserver,
  preamble?: Buffer,
): void {
  new ConnectRace(targets, timeoutMs, observer, preamble)
}

class ConnectRace implements Victim {
  readonly #targets: readonly ConnectTarget[]
  readonly #timeoutMs: number
  readonly #observer: ConnectObserver
  readonly preamble: Buffer | undefined
  readonly #running = new Set<Attempt>()
  #timer: NodeJS.Timeout
  #stagger: NodeJS.Timeout | undefined
  #next = 0
  #over = false

  constructor(
    targets: readonly ConnectTarget[],
    timeoutMs: number,
    observer: ConnectObserver,
    preamble: Buffer | undefined,
  ) {
    this.preamble = preamble
    this.#targets = targets
    this.#timeoutMs = timeoutMs
    this.#observer = observer
    this.#timer =
      timeoutMs > SILENT_MS ? setTimeout(this.#onSilence, SILENT_MS) : setTimeout(this.#onTimeout, timeoutMs)
    this.#startNext()
  }

  onConnected(attempt: Attempt, sockets: ConnectedSockets): void {
    this.#running.delete(attempt)
    // A target that was asked earlier and has not answered is slow.
    for (const slower of this.#running)
      if (slower.index < attempt.index) this.#observer.onFailure(slower.index, undefined)
    this.#stop()
    this.#observer.onSocket(sockets, attempt.index)
  }

  onFailed(attempt: Attempt, error: GatewayError): void {
    this.#running.delete(attempt)
    this.#observer.onFailure(attempt.index, error)
    const goesOn = error.retry === 'always' && (this.#next < this.#targets.length || this.#running.size > 0)
    if (goesOn) {
      this.#startNext()
      return
    }
    this.#stop()
    this.#observer.onError(error)
  }

  /** After a bug, here or in the observer. */
  breakOff(error: GatewayError): void {
    const isTold = this.#over
    this.#stop()
    if (!isTold) this.#observer.onError(error)
  }

  #startNext = containing('upstream', this, () => {
    clearTimeout(this.#stagger)
    const target = this.#targets[this.#next]
    if (this.#over || target === undefined) return
    const index = this.#next++
    if (this.#next < this.#targets.length) this.#stagger = setTimeout(this.#startNext, STAGGER_MS)
    this.#running.add(new Attempt(target, index, this))
  })

  #onSilence = containing('upstream', this, () => {
    const isSilent = [...this.#running].every(({ isAccepted }) => !isAccepted)
    if (isSilent && this.#observer.givesUp?.()) this.#giveUp(SILENT_MS)
    else this.#timer = setTimeout(this.#onTimeout, this.#timeoutMs - SILENT_MS)
  })

  #onTimeout = containing('upstream', this, () => this.#giveUp(this.#timeoutMs))

  #giveUp(ms: number): void {
    const places = [...this.#running].map(({ place }) => place)
    const detail = `${places.join(', ')} did not accept within ${ms} ms`
    const error = new GatewayError('PORTICO_UP_CONNECT_TIMEOUT', detail)
    for (const { index } of this.#running) this.#observer.onFailure(index, error)
    this.#stop()
    this.#observer.onError(error)
  }

  #stop(): void {
    this.#over = true
    clearTimeout(this.#timer)
    clearTimeout(this.#stagger)
    for (const attempt of this.#running) attempt.cancel()
    this.#running.clear()
  }
}

/** One address of a race. */
class Attempt implements Victim {
  readonly index: number
  readonly place: string
  readonly #race: ConnectRace
  readonly #tls: UpstreamTls | undefined
  readonly #transport: Socket
  #secured: TLSSocket | undefined = undefined

  constructor(target: ConnectTarget, index: number, race: ConnectRace) {
    const { address, port, tls } = target
    this.index = index
    this.place = printEndpointAddress(address, port)
    this.#race = race
    this.#tls = tls
    // Half-open: a tunnel may be ended in one direction while the other still flows.
    const where = { host: address, port, allowHalfOpen: true, noDelay: true }
    this.#transport = connectTcp(tls ? where : { ...where, onread: LENT_READS })
    this.#transport.on('connect', this.#onConnect)
    this.#transport.on('error', this.#onError)
    this.#transport.on('close', this.#onClose)
  }

  /** The TLS handshake is under way. */
  get isAccepted(): boolean {
    return this.#secured !== undefined
  }

  cancel(): void {
    this.#leave()
    this.#discard()
  }

  breakOff(error: GatewayError): void {
    this.cancel()
    this.#race.breakOff(error)
  }

  #onConnect = containing('upstream', this, () => {
    if (this.#race.preamble) this.#transport.write(this.#race.preamble)
    if (!this.#tls) {
      this.#onReady()
      return
    }
    const secured = connectTls({ socket: this.#transport, ...tlsOptions(this.#tls) })
    secured.on('secureConnect', this.#onReady)
    secured.on('error', this.#onError)
    secured.on('close', this.#onClose)
    this.#secured = secured
  })

  #onReady = containing('upstream', this, () => {
    this.#leave()
    // What goes wrong on the transport is told by the TLS socket as well.
    if (this.#secured) this.#transport.on('error', ignore)
    this.#race.onConnected(this, { socket: this.#secured ?? this.#transport, transport: this.#transport })
  })

  #onError = containing('upstream', this, (error: NodeJS.ErrnoException) => {
    this.#leave()
    this.#discard()
    this.#race.onFailed(this, explainConnectError(error, this.place, this.#secured !== undefined))
  })

  #onClose = (): void => this.#onError(new Error('closed'))

  #leave(): void {
    this.#transport.off('connect', this.#onConnect)
    this.#transport.off('error', this.#onError)
    this.#transport.off('close', this.#onClose)
    this.#secured?.off('secureConnect', this.#onReady)
    this.#secured?.off('error', this.#onError)
    this.#secured?.off('close', this.#onClose)
  }

  #discard(): void {
    // They may fail once more while they are torn down.
    this.#transport.on('error', ignore)
    this.#secured?.on('error', ignore)
    this.#secured?.destroy()
    this.#transport.destroy()
  }
}

function ignore(): void {}

function tlsOptions(tls: UpstreamTls): ConnectionOptions {
  return {
    ...(isIP(tls.serverName) === 0 ? { servername: tls.serverName } : { servername: '', host: tls.serverName }),
    rejectUnauthorized: tls.verify,
    ALPNProtocols: ['http/1.1'],
    secureContext: tls.secureContext,
  }
}

function explainConnectError(error: NodeJS.ErrnoException, place: string, handshaking: boolean): GatewayError {
  // Of which no endpoint can be blamed.
  if (isExhaustion(error)) return new GatewayError('PORTICO_GW_DESCRIPTORS', `${place}: ${error.code}`, error)
  if (handshaking) return new GatewayError('PORTICO_UP_TLS', `${place}: ${error.message}`, error)
  switch (error.code) {
    case 'ECONNREFUSED':
      return new GatewayError('PORTICO_UP_CONNECT_REFUSED', `${place} refused the connection`, error)
    case 'ETIMEDOUT':
      return new GatewayError('PORTICO_UP_CONNECT_TIMEOUT', `${place} did not accept in time`, error)
    default:
      return new GatewayError('PORTICO_UP_CONNECT_FAILED', `${place}: ${error.code ?? error.message}`, error)
  }
}
