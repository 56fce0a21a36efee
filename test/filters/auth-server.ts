/** An auth server for tests. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import type { Test } from 'tap'
import { findFreePort } from '../helpers/free-ports.ts'

/** It records what it is asked. */
export async function startAuth(t: Test, answer: RequestListener) {
  const asked: IncomingMessage[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    asked.push(request)
    answer(request, response)
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const port = await findFreePort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    if (server.listening) await once(server.close(), 'close')
  }
  t.teardown(close)
  return { url: `http://127.0.0.1:${port}/verify?app=1`, asked, sockets, close }
}
