/** The sample shop's own servers, in this process, on free loopback ports. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { PAGE } from './page.ts'
import { acceptWebSocket } from './web-socket.ts'

export type DemoBackends = Readonly<{
  /** Values for the setting `endpoints`: one text for each Service. */
  endpoints: readonly string[]
  close(): void
}>

type Answer = (request: IncomingMessage, response: ServerResponse, name: string) => void

/** The servers of each Service of `examples/demo`. */
const SERVICES: readonly (readonly [service: string, answer: Answer, names: readonly string[]])[] = [
  ['default/web', answerPage, ['web-1']],
  ['default/api', answerApi, ['api-1', 'api-2']],
  ['default/echo', answerEcho, ['echo-1']],
  ['default/visits', answerVisit, ['visits-1', 'visits-2']],
]

const PRODUCTS = [
  { name: 'arch', price: 120 },
  { name: 'column', price: 45 },
  { name: 'pediment', price: 310 },
]

/** Starts all servers. */
export async function createDemoBackends(): Promise<DemoBackends> {
  const servers: Server[] = []
  const endpoints: string[] = []
  for (const [service, answer, names] of SERVICES) {
    const addresses: string[] = []
    for (const name of names) {
      const server = createServer((request, response) => answer(request, response, name))
      server.on('upgrade', (request, socket, head) => acceptWebSocket(request, socket as Socket, head, name))
      const { port } = await listen(server)
      servers.push(server)
      addresses.push(`127.0.0.1:${port}`)
    }
    endpoints.push(`${service}=${addresses.join(',')}`)
  }
  return {
    endpoints,
    close() {
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

function listen(server: Server): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve(server.address() as AddressInfo))
  })
}

function answerPage(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(PAGE)
}

function answerApi(request: IncomingMessage, response: ServerResponse, name: string): void {
  const path = request.url?.split('?')[0]
  if (path === '/api/events') answerEvents(response, name)
  else if (path === '/api/products') answerJson(response, 200, { endpoint: name, products: PRODUCTS })
  else answerJson(response, 404, { endpoint: name, error: 'there are /api/products, /api/events and /api/live' })
}

/** A server-sent event each second, until the client goes. */
function answerEvents(response: ServerResponse, name: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  let count = 0
  const send = () => response.write(`data: ${name} ${++count}\n\n`)
  send()
  const timer = setInterval(send, 1_000)
  response.on('close', () => clearInterval(timer))
}

/** Takes as long as a small application does. */
function answerVisit({ url }: IncomingMessage, response: ServerResponse, name: string): void {
  const isSlow = url === '/visits/slow'
  const answer = () => answerJson(response, url === '/visits/missing' ? 404 : 200, { endpoint: name })
  setTimeout(answer, (isSlow ? 400 : 2) + Math.random() * (isSlow ? 300 : 15)).unref()
}

/** Answers with the request as it arrived. The body is counted, not kept. */
function answerEcho(request: IncomingMessage, response: ServerResponse, name: string): void {
  let bodyBytes = 0
  request.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length
  })
  request.on('end', () => {
    const headers: [string, string][] = []
    const { rawHeaders, method, url } = request
    for (let i = 0; i + 1 < rawHeaders.length; i += 2)
      headers.push([rawHeaders[i] as string, rawHeaders[i + 1] as string])
    answerJson(response, 200, { endpoint: name, method, url, headers, bodyBytes })
  })
}

function answerJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value, undefined, 2)}\n`)
}
