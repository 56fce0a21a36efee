/** The endpoint of the soak: small answers and large ones, uploads, events and WebSockets, by path. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { WebSocketServer } from 'ws'

export const DOWNLOAD_BYTES = 4 * 2 ** 20
const DOWNLOAD = Buffer.alloc(DOWNLOAD_BYTES, 'd')
export const EVENTS = 20
const EVENT_MS = 50

export type SoakEndpoint = Readonly<{ port: number; stop(): Promise<void> }>

export async function startSoakEndpoint(): Promise<SoakEndpoint> {
  const sockets = new Set<Socket>()
  const server = createServer({ keepAliveTimeout: 60_000 }, answer)
  const websockets = new WebSocketServer({ server })
  websockets.on('connection', (websocket) => {
    websocket.on('error', () => {})
    websocket.on('message', (data) => websocket.send(data))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** `/upload` answers how many bytes came, `/download` with so many, `/events` with server-sent events; all else is echoed. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  request.on('error', () => {})
  response.on('error', () => {})
  switch (request.url) {
    case '/download':
      request.resume()
      response.writeHead(200, { 'Content-Length': DOWNLOAD_BYTES }).end(DOWNLOAD)
      return
    case '/events': {
      request.resume()
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      let sent = 0
      const timer = setInterval(() => {
        response.write('data: tick\n\n')
        if (++sent === EVENTS) response.end()
      }, EVENT_MS)
      response.once('close', () => clearInterval(timer))
      return
    }
    default: {
      let bytes = 0
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
      request.on('end', () => {
        if (request.complete) response.end(`${request.method} ${request.url} ${bytes}`)
      })
    }
  }
}
