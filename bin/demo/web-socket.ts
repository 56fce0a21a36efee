/** A minimal WebSocket server (RFC 6455) for the demo: it sends back each short message, and a tick each second. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

const TEXT = 0x1
const CLOSE = 0x8
const PING = 0x9
const PONG = 0xa

/** Answers the upgrade and serves the connection until either side closes it. */
export function acceptWebSocket(request: IncomingMessage, socket: Socket, head: Buffer, name: string): void {
  socket.on('error', () => socket.destroy())
  const key = request.headers['sec-websocket-key']
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    return
  }
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  let count = 0
  const timer = setInterval(() => socket.write(encodeFrame(TEXT, Buffer.from(`${name} ${++count}`))), 1_000)
  socket.on('close', () => clearInterval(timer))
  let buffered = head
  const read = () => {
    for (let frame = decodeFrame(buffered); frame !== undefined; frame = decodeFrame(buffered)) {
      if (frame === 'refused' || frame.opcode === CLOSE) {
        socket.end(encodeFrame(CLOSE, frame === 'refused' ? Buffer.alloc(0) : frame.payload))
        return
      }
      buffered = buffered.subarray(frame.length)
      if (frame.opcode === TEXT) socket.write(encodeFrame(TEXT, frame.payload))
      if (frame.opcode === PING) socket.write(encodeFrame(PONG, frame.payload))
    }
  }
  socket.on('data', (chunk) => {
    buffered = Buffer.concat([buffered, chunk])
    read()
  })
  read()
}

type Frame = Readonly<{ opcode: number; payload: Buffer; length: number }>

/** The first frame of `bytes`; undefined while incomplete; refused if fragmented, unmasked or long. */
function decodeFrame(bytes: Buffer): Frame | 'refused' | undefined {
  if (bytes.length < 2) return undefined
  const [first = 0, second = 0] = bytes
  const size = second & 0x7f
  if ((first & 0x80) === 0 || (second & 0x80) === 0 || size === 127) return 'refused'
  const maskAt = size === 126 ? 4 : 2
  if (bytes.length < maskAt + 4) return undefined
  const payloadAt = maskAt + 4
  const length = payloadAt + (size === 126 ? bytes.readUInt16BE(2) : size)
  if (bytes.length < length) return undefined
  const payload = Buffer.from(bytes.subarray(payloadAt, length))
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (bytes[maskAt + (i % 4)] as number)
  return { opcode: first & 0x0f, payload, length }
}

/** The payload must be shorter than 64 KiB. */
function encodeFrame(opcode: number, payload: Buffer): Buffer {
  const head =
    payload.length < 126 ? Buffer.from([0x80 | opcode, payload.length]) : Buffer.from([0x80 | opcode, 126, 0, 0])
  if (payload.length >= 126) head.writeUInt16BE(payload.length, 2)
  return Buffer.concat([head, payload])
}
