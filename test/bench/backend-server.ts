/**
 * The backend in Node: `backend-server.js PORT`. It reads a body whole before it answers, and echoes the messages of WebSockets.
 * `/10k`, `/64k`, `/1m` and `/10m` answer with so many bytes, every other path with 1 KiB, but for those of endpoints that
 * are slow or hang: `/busy`, `/wait` and `/unread`.
 */
import { createHash } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import { WebSocketServer } from 'ws'
import { KIB } from './backend.ts'

/** `/busy` works on so many requests at once, each for so long; the others wait their turn, also those whose client has gone. */
const BUSY_AT_ONCE = 8
const BUSY_MS = 20
/** `/wait` answers after this time, and never to an upgrade. */
const WAIT_MS = 60_000
/** What a client's key is followed by in the hash that accepts it (RFC 6455, 1.3). */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

const bodies = new Map([
  ['/10k', Buffer.alloc(10 << 10, 'x')],
  ['/64k', Buffer.alloc(64 << 10, 'x')],
  ['/1m', Buffer.alloc(1 << 20, 'x')],
  ['/10m', Buffer.alloc(10 << 20, 'x')],
])
const kib = Buffer.from(KIB)
const queue: (() => void)[] = []
let busy = 0

function answer(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, {
    'Content-Type': 'text/plain',
    'Content-Length': body.length,
    'Cache-Control': 'public, max-age=60',
    Vary: 'Accept-Encoding',
    'X-Content-Type-Options': 'nosniff',
    'X-Served-By': 'bench-1',
  })
  response.end(body)
}

function work(response: ServerResponse): void {
  if (busy === BUSY_AT_ONCE) {
    queue.push(() => work(response))
    return
  }
  busy++
  setTimeout(() => {
    busy--
    answer(response, kib)
    queue.shift()?.()
  }, BUSY_MS)
}

const server = createServer({ keepAliveTimeout: 3_600_000, requestTimeout: 0 }, (request, response) => {
  const { url = '' } = request
  if (url === '/unread') return
  request.resume()
  request.once('end', () => {
    if (url === '/busy') work(response)
    else if (url === '/wait') setTimeout(() => answer(response, kib), WAIT_MS).unref()
    else answer(response, bodies.get(url) ?? kib)
  })
})
const echo = new WebSocketServer({ noServer: true, perMessageDeflate: false })
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => {})
  if (request.url === '/wait') return
  if (request.url !== '/unread') {
    echo.handleUpgrade(request, socket, head, (opened) => {
      opened.on('message', (data, isBinary) => opened.send(data, { binary: isBinary }))
    })
    return
  }
  const accepted = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}${WEBSOCKET_GUID}`)
    .digest('base64')
  socket.pause()
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accepted}\r\n\r\n`,
  )
})
server.listen(Number(process.argv[2]), '0.0.0.0', 4096)
