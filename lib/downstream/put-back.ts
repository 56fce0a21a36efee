/** Puts bytes that were read of a connection back into it: they come first for the next reader. */
import type { Socket } from 'node:net'

/** The connection has no 'data' listener any more. It is paused; the next reader resumes it. */
export function putBack(socket: Socket, bytes: Buffer): void {
  socket.pause()
  if (bytes.length > 0) socket.unshift(bytes)
}
