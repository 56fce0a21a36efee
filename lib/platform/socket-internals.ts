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

/** The connection that a TLS connection runs over; undefined where it is not known, and for a connection without TLS. */
export function findCarrier(socket: Socket): Socket | undefined {
  return (socket as Layered)._parent ?? undefined
}

let knowsCarriers: boolean | undefined

/** False: this Node does not tell the connection that a TLS connection runs over. */
export function canFindCarriers(): boolean {
  if (knowsCarriers === undefined) {
    const carrier = new Socket()
    const probe = new TLSSocket(carrier)
    knowsCarriers = findCarrier(probe) === carrier
    probe.destroy()
    carrier.destroy()
  }
  return knowsCarriers
}
