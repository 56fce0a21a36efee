/** What a client connection is, and what its requests have in common, worked out once. HOT */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { findClientNetwork } from '../base/client-network.ts'
import { flattenText } from '../base/flat-text.ts'
import { findUsualPort, parseAuthority } from '../base/hostname.ts'
import type { ProxyPath } from '../base/proxy-protocol.ts'
import { Notes } from '../filters/notes.ts'
import type { TlsFacts } from '../filters/spec.ts'
import { PrivateConnections } from '../upstream/transport/private-connections.ts'
import { findOrigin, findPath, normalizePeer } from './origin.ts'

/** Where a connection comes from and goes to, as its socket has it. Made once for each. */
export class ConnectionInfo {
  readonly scheme: 'http' | 'https'
  /** IPv4-mapped addresses as IPv4; `''` once the peer is gone. */
  readonly peerAddress: string
  /** The network that limits for each client count the peer under. */
  readonly peerNetwork: string
  /** The place (model/listener) of the listener that took it; `''` where none did. */
  readonly place: string
  /** Undefined: it is gone. */
  readonly socket: Socket | undefined
  /** When it was accepted, and when its TLS handshake was done, by the monotonic clock; undefined: it is not known, or there was none. */
  readonly acceptedAt: number | undefined
  readonly securedAt: number | undefined
  /** Requests that came so far. */
  requests: number = 0
  /** The connections to endpoints that are this one's alone; undefined as long as none is. */
  privates: PrivateConnections | undefined = undefined
  /** Undefined until a filter wants it. */
  #notes: Notes | undefined = undefined
  #isClosed = false
  #isWatching = false
  readonly #localPort: number
  /**
   * The port that the client connected to, where it names none with the host: the PROXY header's, or the usual one of the
   * scheme. The port that listens here is no evidence, since a port mapping may stand before it.
   */
  readonly #usualPort: number
  /** X-Forwarded-For, -Proto and X-Real-IP as field lines, where the peer is the client. */
  readonly #forwarded: string
  /** The authority asked about last: most connections have a single one. */
  #authority: string | undefined = undefined
  #hostname: string | undefined = undefined
  #port: number | undefined = undefined
  #lines: string = ''
  #tls: TlsFacts | undefined = undefined

  constructor(socket: Socket | undefined, scheme: 'http' | 'https') {
    const origin = findOrigin(socket)
    const peerAddress = normalizePeer(origin?.path?.source.address ?? socket?.remoteAddress)
    const toldPort = origin?.path?.destination.port
    this.scheme = scheme
    this.peerAddress = peerAddress
    this.peerNetwork = findClientNetwork(peerAddress)
    this.place = origin?.place ?? ''
    this.acceptedAt = origin?.acceptedAt
    this.securedAt = origin?.securedAt
    this.socket = socket
    this.#localPort = toldPort ?? socket?.localPort ?? 0
    this.#usualPort = toldPort ?? findUsualPort(scheme)
    this.#forwarded = `X-Forwarded-For: ${peerAddress}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Real-IP: ${peerAddress}\r\n`
  }

  /** What filters remember of it. */
  get notes(): Notes {
    this.#notes ??= new Notes()
    return this.#notes
  }

  /** True if the peer went away before anything was read. */
  get isLost(): boolean {
    return this.peerAddress === '' && this.socket !== undefined
  }

  /** Both its ends; undefined once the peer is gone. */
  get path(): ProxyPath | undefined {
    return findPath(this.socket)
  }

  /** Undefined of a plain connection, and where the connection was gone before anybody asked. */
  get tls(): TlsFacts | undefined {
    if (this.#tls === undefined && this.scheme === 'https') this.#tls = readTls(this.socket as TLSSocket | undefined)
    return this.#tls
  }

  claimPrivates(): PrivateConnections {
    if (this.privates === undefined) {
      this.privates = new PrivateConnections()
      if (this.#isClosed) this.privates.close()
      else if (this.#isWatching) this.#watchClose()
    }
    return this.privates
  }

  /** For a door that does not say when it is closed. */
  watchSocket(): void {
    this.#isWatching = true
    if (this.privates !== undefined) this.#watchClose()
  }

  /** Only where there is something to close with it. */
  #watchClose(): void {
    if (this.socket === undefined || this.socket.closed) this.close()
    else this.socket.once('close', () => this.close())
  }

  /** For the door, when it is closed. */
  close(): void {
    this.#isClosed = true
    this.privates?.close()
  }

  /** The normal form of a request's authority; undefined where it is none. */
  findHostname(authority: string): string | undefined {
    if (authority !== this.#authority) this.#remember(authority)
    return this.#hostname
  }

  /** The port that a request's authority names. */
  findPort(authority: string): number | undefined {
    if (authority !== this.#authority) this.#remember(authority)
    return this.#port
  }

  /** The field lines that tell the upstream who the client is, where the peer is the client. */
  composeForwarded(authority: string): string {
    if (authority !== this.#authority) this.#remember(authority)
    return this.#lines
  }

  #remember(authority: string): void {
    this.#authority = authority
    const parsed = parseAuthority(authority)
    this.#hostname = parsed?.hostname
    this.#port = parsed?.port
    const hostLine = authority === '' ? '' : `X-Forwarded-Host: ${authority}\r\n`
    const port = this.#port ?? (authority === '' ? this.#localPort : this.#usualPort)
    this.#lines = flattenText(`${this.#forwarded}X-Forwarded-Port: ${port}\r\n${hostLine}`)
  }
}

/** The socket of a session of HTTP/2 throws whatever it is asked once the session is closed. */
function readTls(socket: TLSSocket | undefined): TlsFacts | undefined {
  try {
    if (socket === undefined || socket.destroyed) return undefined
    const { servername } = socket
    return {
      version: socket.getProtocol() ?? '',
      cipher: socket.getCipher()?.name ?? '',
      serverName: typeof servername === 'string' ? servername : '',
    }
  } catch {
    return undefined
  }
}
