/**
 * What the handle under a socket of node:net knows, and node:net does not tell. Each question has an answer for a Node whose
 * sockets are made in another way: the one that changes least. HOT
 */
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** As far as it is used: each member may be missing. */
export type Handle = {
  readonly fd?: number
  readonly writeQueueSize?: number
  getpeername?(into: object): number
  useUserBuffer?(buffer: Uint8Array): void
}

export function findHandle(socket: Socket): Handle | null | undefined {
  return (socket as Socket & { _handle?: Handle | null })._handle
}

/** The number of its descriptor; undefined where the system has no such numbers. */
export function findDescriptor(socket: Socket): number | undefined {
  return findHandle(socket)?.fd
}

/** False once the kernel knows no peer any more. */
export function hasPeer(socket: Socket): boolean {
  const handle = findHandle(socket)
  return typeof handle?.getpeername !== 'function' || handle.getpeername({}) >= 0
}

/** Bytes that were written and wait in this process; 0 where that is not known. */
export function countQueued(socket: Socket): number {
  return findHandle(socket)?.writeQueueSize ?? 0
}

type Layered = { readonly _parent?: Socket | null }

/** Where this Node does not tell what a TLS connection runs over, by both ends, which no two open connections have in common. */
const carriers = new Map<string, Socket>()

let knowsCarriers: boolean | undefined

/** To be told of a connection before TLS runs over it. */
export function keepCarrier(carrier: Socket): void {
  if (canFindCarriers() || carrier.remoteAddress === undefined) return
  const ends = describeEnds(carrier)
  carriers.set(ends, carrier)
  carrier.once('close', () => carriers.delete(ends))
}

/** The connection that a TLS connection runs over; undefined for one without TLS, and where it is not known once its peer has gone. */
export function findCarrier(socket: Socket): Socket | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  return (socket as Layered)._parent ?? carriers.get(describeEnds(socket))
}

/** The connection as it was accepted: the one that a TLS connection runs over, or this one. */
export function findAccepted(socket: Socket): Socket {
  return findCarrier(socket) ?? socket
}

/** False: this Node does not tell the connection that a TLS connection runs over. */
export function canFindCarriers(): boolean {
  if (knowsCarriers === undefined) {
    const carrier = new Socket()
    const probe = new TLSSocket(carrier)
    knowsCarriers = (probe as Layered)._parent === carrier
    probe.destroy()
    carrier.destroy()
  }
  return knowsCarriers
}

function describeEnds({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}
