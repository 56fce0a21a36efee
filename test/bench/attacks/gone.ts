/** Clients that go away while nobody reads what they sent, or nobody has answered yet. */
import type { Socket } from 'node:net'
import type { Attack, Swarm, Target } from './attack.ts'
import { printHandshake } from './handshake.ts'

/** More than the buffers between client and endpoint hold. */
const STUFFING = Buffer.alloc(64 << 10, 'x')
const MOST_STUFFING = 8 << 20
const UPLOAD_BYTES = 1 << 30

/** WebSockets to an endpoint that reads nothing. */
export const goneWebsockets: Attack = (target, swarm, { connections }) => {
  comeAndGo(target, swarm, Number(connections), printHandshake(target.host, '/unread'), true)
}

/** Uploads to an endpoint that reads nothing of them. */
export const goneUploads: Attack = (target, swarm, { connections }) => {
  const head = `POST /unread HTTP/1.1\r\nHost: ${target.host}\r\nContent-Length: ${UPLOAD_BYTES}\r\n\r\n`
  comeAndGo(target, swarm, Number(connections), head, false)
}

/** Handshakes that the endpoint leaves unanswered. */
export const goneUpgrades: Attack = (target, swarm, { connections }) => {
  comeAndGo(target, swarm, Number(connections), printHandshake(target.host, '/wait'), true)
}

/** Every other one sends until nothing more goes and leaves by a reset; the rest sends no more than the head and closes. */
function comeAndGo(target: Target, swarm: Swarm, count: number, head: string, isUpgrade: boolean): void {
  const stuffed = new Set<Socket>()
  let turn = 0
  swarm.leave = (socket) => (stuffed.has(socket) ? socket.resetAndDestroy() : socket.destroy())
  swarm.openMany(count, () => {
    const stuffs = turn++ % 2 === 0
    const socket = swarm.connect(target.http, 'plain', () => {
      socket.write(head)
      if (!stuffs) return
      stuffed.add(socket)
      if (!isUpgrade) stuff(socket)
      else socket.once('data', () => stuff(socket))
    })
    return socket.resume()
  })
}

function stuff(socket: Socket): void {
  const send = () => {
    while (socket.bytesWritten < MOST_STUFFING && socket.write(STUFFING)) if (socket.destroyed) return
  }
  socket.on('drain', send)
  send()
}
