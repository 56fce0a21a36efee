// A stand-in for your services: `node examples/echo.mjs 19001 19002` answers on each port with what it received.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'

const address = process.env.ECHO_ADDRESS ?? '127.0.0.1'
for (const argument of process.argv.slice(2)) {
  const port = Number(argument)
  const server = createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const body = JSON.stringify({
        port,
        method: request.method,
        url: request.url,
        host: request.headers.host,
        headers: request.headers,
        bytes: Buffer.concat(chunks).length,
      })
      response.setHeader('Content-Type', 'application/json')
      response.end(`${body}\n`)
    })
  })
  // The smallest WebSocket server: it accepts the handshake (RFC 6455 §4.2.2) and sends each frame's payload back.
  server.on('upgrade', (request, socket) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = createHash('sha1').update(key).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    socket.on('error', () => socket.destroy())
    socket.on('data', (frame) => {
      const length = frame[1] & 0x7f
      if ((frame[0] & 0x0f) !== 1 || length > 125) return socket.end()
      const mask = frame.subarray(2, 6)
      const payload = Buffer.from(frame.subarray(6, 6 + length).map((byte, index) => byte ^ mask[index % 4]))
      socket.write(Buffer.concat([Buffer.from([0x81, length]), payload]))
    })
  })
  server.on('error', ({ code, message }) => {
    console.error(
      `echo: ${code === 'EADDRINUSE' ? `port ${port} of ${address} is taken: end what listens there` : message}`,
    )
    process.exit(1)
  })
  server.listen(port, address, () => console.log(`echo on ${address}:${port}`))
}
