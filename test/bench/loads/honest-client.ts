/**
 * Someone else who uses the Service meanwhile: GETs on new connections and small POSTs on kept ones, at a steady rate whether or
 * not the earlier ones were answered. Prints when each was due and how long it took. `honest-client.js JSON`.
 */
import { Agent, request } from 'node:http'
import { HONEST, PATIENCE_MS } from '../attacks/attack.ts'

export type HonestLoad = Readonly<{
  port: number
  host: string
  path: string
  getsPerSecond: number
  postsPerSecond: number
  seconds: number
}>

/** Of one request: when it was due, in milliseconds since 1970, and how long its answer took; null where it was no 2xx in time. */
export type HonestResult = readonly (readonly [dueAt: number, ms: number | null])[]

const BODY = 'x'.repeat(1024)

const load = JSON.parse(process.argv[2] ?? '') as HonestLoad
const kept = new Agent({ keepAlive: true, maxSockets: 64 })
const results: [number, number | null][] = []

function ask(method: string): void {
  const dueAt = Date.now()
  const started = performance.now()
  const result: [number, number | null] = [dueAt, null]
  results.push(result)
  const asked = request({
    host: '127.0.0.1',
    port: load.port,
    localAddress: HONEST,
    path: load.path,
    method,
    headers: { Host: load.host, ...(method === 'POST' && { 'Content-Length': BODY.length }) },
    agent: method === 'POST' ? kept : false,
    signal: AbortSignal.timeout(PATIENCE_MS),
  })
  asked.once('response', (response) => {
    response.resume()
    response.once('error', () => {})
    response.once('end', () => {
      const isServed = response.complete && response.statusCode! >= 200 && response.statusCode! < 300
      if (isServed) result[1] = performance.now() - started
    })
  })
  asked.on('error', () => {})
  asked.end(method === 'POST' ? BODY : undefined)
}

const timers = [
  setInterval(ask, 1000 / load.getsPerSecond, 'GET'),
  ...(load.postsPerSecond > 0 ? [setInterval(ask, 1000 / load.postsPerSecond, 'POST')] : []),
]
setTimeout(() => {
  for (const timer of timers) clearInterval(timer)
  setTimeout(() => process.stdout.write(JSON.stringify(results), () => process.exit()), PATIENCE_MS + 200)
}, load.seconds * 1000)
