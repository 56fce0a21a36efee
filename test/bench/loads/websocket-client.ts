/** Closed-loop WebSocket load: each connection sends a message, waits for its echo, and sends the next. `websocket-client.js JSON`. */
import { WebSocket } from 'ws'
import { type LoadResult, percentile } from './result.ts'

export type WebSocketLoad = Readonly<{
  port: number
  host: string
  connections: number
  messageBytes: number
  seconds: number
}>

const load = JSON.parse(process.argv[2] ?? '') as WebSocketLoad
const message = Buffer.alloc(load.messageBytes, 'x')
const latencies: number[] = []
let failures = 0
let stopping = false

const sockets = await Promise.all(
  Array.from(
    { length: load.connections },
    () =>
      new Promise<WebSocket>((resolve, reject) => {
        const socket = new WebSocket(`ws://127.0.0.1:${load.port}/chat`, {
          headers: { host: load.host },
          perMessageDeflate: false,
        })
        socket.once('open', () => resolve(socket))
        socket.once('error', reject)
        socket.on('close', () => {
          if (!stopping) failures++
        })
      }),
  ),
)
const start = performance.now()
const end = start + load.seconds * 1000
await Promise.all(
  sockets.map(
    (socket) =>
      new Promise<void>((resolve) => {
        let sentAt = start
        const send = () => {
          sentAt = performance.now()
          socket.send(message)
        }
        socket.on('message', (data: Buffer) => {
          const now = performance.now()
          latencies.push(now - sentAt)
          if (data.length !== message.length) failures++
          if (now < end) send()
          else resolve()
        })
        socket.once('close', resolve)
        send()
      }),
  ),
)
const seconds = (performance.now() - start) / 1000
stopping = true
for (const socket of sockets) socket.terminate()
const sorted = Float64Array.from(latencies).sort()
const result: LoadResult = {
  requests: latencies.length,
  seconds,
  p50Ms: percentile(sorted, 0.5),
  p99Ms: percentile(sorted, 0.99),
  failures,
}
console.log(JSON.stringify(result))
