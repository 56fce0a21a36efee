/** The PROXY header at the beginning of a connection: which peers are believed, and what becomes of connections without one. */
import type { Socket } from 'node:net'
import { containAt } from '../base/contain.ts'
import { MAX_PROXY_HEADER, readProxyOpening } from '../base/proxy-protocol.ts'
import { isTrustedPeer } from '../request/forwarded.ts'
import { normalizePeer, setOrigin } from '../request/origin.ts'
import type { Settings } from '../settings/table.ts'
import { putBack } from './put-back.ts'

export type ProxyHeaderOptions = Readonly<{
  /** The place (model/listener) of the listener that took the connection. */
  place: string
  /** The settings in force. */
  settings: Settings
  /** When it was accepted, by the monotonic clock. */
  acceptedAt?: number
  /** From here on the connection comes from the client that the header names, and its bytes begin behind the header. It is paused. */
  onHeader: () => void
  /** Told before the connection is cut. */
  onRefused: (reason: string) => void
}>

/**
 * Reads the header of a connection that must have one. A header can name any client, so only peers in `trustedProxies` may send
 * one: a connection of any other peer is cut before a byte of it is read.
 */
export function receiveProxyHeader(socket: Socket, options: ProxyHeaderOptions): void {
  const { place, settings, acceptedAt, onHeader, onRefused } = options
  if (!isTrustedPeer(normalizePeer(socket.remoteAddress), settings)) {
    onRefused('the peer is not in trustedProxies')
    socket.destroy()
    return
  }
  let received: Buffer = Buffer.alloc(0)
  const timer = setTimeout(() => refuse('no PROXY header in time'), settings.timeouts.requestHeaders)
  socket.on('data', read).on('end', onEnd).on('close', leave)

  function read(chunk: Buffer): void {
    try {
      examine(chunk)
    } catch (thrown) {
      leave()
      containAt('accept', thrown, socket)
    }
  }

  function examine(chunk: Buffer): void {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const opening = readProxyOpening(received)
    if (opening.kind === 'partial' && received.length < MAX_PROXY_HEADER) return
    if (opening.kind !== 'header') {
      refuse('no PROXY header')
      return
    }
    leave()
    putBack(socket, received.subarray(opening.length))
    setOrigin(socket, { place, path: opening.path, acceptedAt })
    onHeader()
  }

  function onEnd(): void {
    refuse('the connection ended inside the PROXY header')
  }

  function leave(): void {
    clearTimeout(timer)
    socket.off('data', read).off('end', onEnd).off('close', leave)
  }

  function refuse(reason: string): void {
    leave()
    onRefused(reason)
    socket.destroy()
  }
}
