/** The backend in Node: `backend-server.js http|websocket PORT`. */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'
import { KIB } from './backend.ts'

const [kind, port] = process.argv.slice(2)
const bodies = new Map([
  ['/64k', Buffer.alloc(64 << 10, 'x')],
  ['/10m', Buffer.alloc(10 << 20, 'x')],
])
const kib = Buffer.from(KIB)
const server = createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
  const body = bodies.get(request.url ?? '') ?? kib
  request.resume()
  request.once('end', () => {
    response.writeHead(200, {
      'Content-Type': 'text/plain',
      'Content-Length': body.length,
      'Cache-Control': 'public, max-age=60',
      Vary: 'Accept-Encoding',
      'X-Content-Type-Options': 'nosniff',
      'X-Served-By': 'bench-1',
    })
    response.end(body)
  })
})
if (kind === 'websocket') {
  const echo = new WebSocketServer({ server, perMessageDeflate: false })
  echo.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
}
server.listen(Number(port), '0.0.0.0', 4096)
