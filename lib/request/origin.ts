/** What a socket alone does not tell of where its connection comes from: who a PROXY header names, and which Service's port took it. */
import type { Socket } from 'node:net'
import type { ProxyPath } from '../base/proxy-protocol.ts'

export type Origin = Readonly<{
  /** The place (model/service-listener) of the Service's port; undefined: the HTTP or the HTTPS listener. */
  place: string | undefined
  /** From a PROXY header, in place of the socket's own ends. */
  path: ProxyPath | undefined
}>

const ORIGIN: unique symbol = Symbol('origin')
/** Node keeps the socket that a TLS connection runs over there. */
type OriginSocket = Socket & { [ORIGIN]?: Origin; readonly _parent?: OriginSocket | null }

/** To be set before anybody asks. */
export function setOrigin(socket: Socket, origin: Origin): void {
  const own: OriginSocket = socket
  own[ORIGIN] = origin
}

/** Of a connection or, over TLS, of what it runs over; undefined for most. */
export function findOrigin(socket: Socket | undefined): Origin | undefined {
  const own: OriginSocket | undefined = socket
  return own?.[ORIGIN] ?? own?._parent?.[ORIGIN]
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
