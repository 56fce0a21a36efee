/** What a socket does not tell of its connection: the listener that took it, and the client that a PROXY header names. */
import type { Socket } from 'node:net'
import type { ProxyPath } from '../base/proxy-protocol.ts'

export type Origin = Readonly<{
  /** The place (model/listener) of the listener. */
  place: string
  /** From a PROXY header, in place of the socket's own ends. */
  path: ProxyPath | undefined
  /** When it was accepted, and when its TLS handshake was done, by the monotonic clock. */
  acceptedAt?: number | undefined
  securedAt?: number | undefined
}>

const ORIGIN: unique symbol = Symbol('origin')
type OriginSocket = Socket & { [ORIGIN]?: Origin }

/** To be set before anything asks; of a TLS connection as of the one that it runs over. */
export function setOrigin(socket: Socket, origin: Origin): void {
  const own: OriginSocket = socket
  own[ORIGIN] = origin
}

/** Undefined of a connection that came through no port. */
export function findOrigin(socket: Socket | undefined): Origin | undefined {
  return (socket as OriginSocket | undefined)?.[ORIGIN]
}

/** The client's address, IPv4-mapped ones as IPv4; `''` once the peer is gone. */
export function findPeerAddress(socket: Socket | undefined): string {
  return normalizePeer(findOrigin(socket)?.path?.source.address ?? socket?.remoteAddress)
}

/** Both ends of a connection as its client sees them; undefined once the peer is gone. */
export function findPath(socket: Socket | undefined): ProxyPath | undefined {
  const told = findOrigin(socket)?.path
  if (told || !socket) return told
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  if (remoteAddress === undefined || localAddress === undefined) return undefined
  return {
    source: { address: remoteAddress, port: remotePort ?? 0 },
    destination: { address: localAddress, port: localPort ?? 0 },
  }
}

/** Without the prefix of IPv4-mapped IPv6 addresses, which peers of a dual-stack listener have. */
export function normalizePeer(address: string | undefined): string {
  if (address === undefined) return ''
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
