/** Ending a socket so that the other side cannot take it for a proper end, where the transport can say so. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** A TLS connection without close_notify says it by itself; TCP needs a reset. */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return
  // libuv refuses to reset what is shutting down, and node then neither closes the handle nor emits 'close'.
  if (socket instanceof TLSSocket || socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
