/** Bytes that were read of a connection and are for somebody else: back into it, to come first. */
import type { Socket } from 'node:net'

/** Nobody listens to it any more; whoever comes next resumes it. */
export function putBack(socket: Socket, bytes: Buffer): void {
  socket.pause()
  if (bytes.length > 0) socket.unshift(bytes)
}
