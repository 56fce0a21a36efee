/** The doors of ports that serve HTTP, or HTTPS: they take each connection once a port has accepted it. */
import type { Socket } from 'node:net'
import { type Clock, systemClock } from '../base/clock.ts'
import type { Certificate, CertificateBinding } from '../model/certificate.ts'
import type { ExchangeHandler } from '../request/exchange.ts'
import type { HostIndex } from '../routing/host-index.ts'
import type { Settings } from '../settings/table.ts'
import type { Log } from '../telemetry/log.ts'
import type { RequestObserver } from '../telemetry/record.ts'
import type { HandshakeFailure } from '../telemetry/request-counts.ts'
import { FastLane } from './fast-lane/fast-lane.ts'
import { Http1Door } from './http1/http1-door.ts'
import { createHttp2Door } from './http2/http2-door.ts'
import type { IdleConnection, IdleSource } from './idle-connection.ts'
import { createTlsTerminator, type Passthrough } from './tls/tls-terminator.ts'

export type DoorsOptions = {
  /** As they are at the start; what may change while running is asked by the functions below. */
  settings: Settings
  handler: ExchangeHandler
  /** Called once for each answer to what could not be read as a request; the handler tells of the requests. */
  onFinish: RequestObserver
  certificates: () => HostIndex<CertificateBinding> | undefined
  /** `https` alone needs it. */
  defaultCertificate: Certificate | undefined
  /** TLS that does not end here; left out: it always does. */
  passthrough?: Passthrough
  /** `settings.https.strictSni` as it is now; left out, as it was at the start. */
  strictSni?: () => boolean
  /** 32 bytes from which session ticket keys are made, so that all processes that have them resume each other's sessions; left out, Node makes its own. */
  ticketSecret?: Buffer
  /** TLS has been agreed upon, or has not. */
  onHandshake?: (version: string, isResumed: boolean) => void
  onHandshakeFailure?: (reason: HandshakeFailure) => void
  clock?: Clock
  log: Log
}

export class Doors implements IdleSource {
  /** Takes a connection whose peer may shut down its side alone (`allowHalfOpen`), with bytes that were read put back into it. */
  readonly accept: (socket: Socket) => void
  readonly #http1: Http1Door
  readonly #doors: readonly (IdleSource & { drain(): void })[]
  readonly #sources: readonly IdleSource[]

  /** Throws when the default certificate cannot be used. */
  constructor(scheme: 'http' | 'https', options: DoorsOptions) {
    const { settings, clock = systemClock } = options
    const http1 = new Http1Door({ ...options, clock })
    // What the fast lane does not take goes to node:http; without the lane, all of HTTP/1 does.
    const lane = settings.fastLane.enabled ? new FastLane({ ...options, clock, scheme, door: http1 }) : undefined
    const accept = lane ? (socket: Socket) => lane.accept(socket) : (socket: Socket) => http1.accept(socket)
    const doors = lane ? [lane, http1] : [http1]
    this.#http1 = http1
    if (scheme === 'http') {
      this.accept = accept
      this.#doors = doors
      this.#sources = doors
      return
    }
    // HTTP/1 and HTTP/2 are separate servers behind one TLS server, so that HTTP/1 keeps all of Node's checks.
    const http2 = createHttp2Door({ ...options, clock })
    const terminator = createTlsTerminator({ ...options, clock, onHttp1: accept, onHttp2: http2.accept })
    this.accept = (socket) => terminator.accept(socket)
    this.#doors = [...doors, http2]
    this.#sources = [...this.#doors, terminator]
  }

  /** Before this resolves, no connection may come. */
  ready(): Promise<void> {
    return this.#http1.ready()
  }

  *listConnections(): Iterable<IdleConnection> {
    for (const source of this.#sources) yield* source.listConnections()
  }

  /** Closes connections that carry no request; the others when they have answered theirs. */
  drain(): void {
    for (const door of this.#doors) door.drain()
  }

  /** When its connections are closed. */
  close(): Promise<void> {
    return this.#http1.close()
  }
}
