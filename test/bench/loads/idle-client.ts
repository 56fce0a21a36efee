/** Opens connections, has one request answered on each, prints how many are open, and holds them until it is stopped. `idle-client.js JSON`. */
import { connect, type Socket } from 'node:net'

export type IdleLoad = Readonly<{ port: number; request: string; connections: number }>

/** As many handshakes at once as any backlog takes. */
const AT_ONCE = 64

const load = JSON.parse(process.argv[2] ?? '') as IdleLoad
const bytes = Buffer.from(load.request, 'latin1')
const open = new Set<Socket>()
let started = 0

async function openInTurn(): Promise<void> {
  while (started++ < load.connections) {
    await new Promise<void>((resolve) => {
      const socket = connect(load.port, '127.0.0.1', () => socket.write(bytes))
      // One answer is enough to know that the connection is served.
      socket.once('data', () => {
        open.add(socket)
        resolve()
      })
      socket.on('data', () => {})
      socket.on('error', () => {})
      socket.once('close', () => {
        open.delete(socket)
        resolve()
      })
    })
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, openInTurn))
console.log(JSON.stringify({ open: open.size }))
setInterval(() => {}, 1_000)
