/** Requests behind each other on one connection, as fast as the gateway takes them; every answer is read. */
import type { Attack } from './attack.ts'

/** As much as one write takes. */
const WRITE_BYTES = 64 << 10
/** A gateway that holds all it is sent shall not take the machine's memory with it. */
const MOST_BYTES = 3 * 2 ** 30

/** `field` is a line more in every head; an unusual one leads Portico to its other codec. */
export const pipeliner: Attack = (target, swarm, { connections, secure, field }) => {
  const request = `GET / HTTP/1.1\r\nHost: ${target.host}\r\n${field === '' ? '' : `${field}\r\n`}\r\n`
  const batch = Buffer.from(request.repeat(Math.floor(WRITE_BYTES / request.length)))
  let left = Math.floor(MOST_BYTES / batch.length)
  swarm.openMany(Number(connections), () => {
    const socket = swarm.connect(secure ? target.https : target.http, secure ? 'http/1.1' : 'plain', () => {
      const send = () => {
        while (left-- > 0 && socket.write(batch)) if (socket.destroyed) return
      }
      socket.on('drain', send)
      send()
    })
    return socket.resume()
  })
}
