/** Bytes that were read of a connection and are for somebody else: back into it, to come first. */
import type { Socket } from 'node:net'

/** Nobody listens to it any more; whoever comes next resumes it. */
export function putBack(socket: Socket, bytes: Buffer): void {
  socket.pause()
  if (bytes.length > 0) socket.unshift(bytes)
}

/** node:http reads from the handle, past what waits in the stream, until somebody listens to the stream. */
export function readOn(socket: Socket): void {
  socket.on('data', ignore).off('data', ignore)
  socket.resume()
}

function ignore(): void {}
