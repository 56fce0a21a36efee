/**
 * How a client connection closes while the client still sends. Closing a socket that still receives makes the kernel send a reset,
 * which may destroy the answer before the client has read it. So the connection is half-closed first, and what the client sends
 * is read and dropped for a while (nginx's lingering_close).
 */
import type { Socket } from 'node:net'

/** How long a closing connection still takes what the client sends, in milliseconds. */
export const LINGER_MS = 2000

/** For node:http, which closes a connection by `destroySoon`. */
export function lingerBeforeClose(socket: Socket): void {
  let isLingering = false
  socket.destroySoon = () => {
    if (isLingering) return
    isLingering = true
    socket.end()
    socket.resume()
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('end', () => socket.destroy())
    socket.once('close', () => clearTimeout(timer))
  }
}
