/** An upstream that answers each request with what it received of it, as JSON. */
import { createHash } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TlsOptions } from 'node:tls'

export type Echo = {
  /** Which upstream answered. */
  readonly name: string
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
  readonly trailers: readonly string[]
  readonly bodyLength: number
  readonly bodyHash: string
}

export type EchoUpstream = {
  readonly name: string
  readonly port: number
  /** Requests whose body came whole. */
  readonly requests: readonly Echo[]
  readonly server: Server
  close(): Promise<void>
}

export type EchoOptions = { name?: string; tls?: TlsOptions; address?: string; port?: number }

export async function startEchoUpstream(options: EchoOptions = {}): Promise<EchoUpstream> {
  const { name = 'echo', tls, address = '127.0.0.1', port = 0 } = options
  const requests: Echo[] = []
  const listener: RequestListener = (request, response) => {
    const hash = createHash('sha256')
    let bodyLength = 0
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => {
      bodyLength += chunk.length
      hash.update(chunk)
    })
    request.on('end', () => {
      const echo: Echo = {
        name,
        method: request.method!,
        url: request.url!,
        httpVersion: request.httpVersion,
        headers: request.rawHeaders,
        trailers: request.rawTrailers,
        bodyLength,
        bodyHash: hash.digest('hex'),
      }
      requests.push(echo)
      const body = Buffer.from(JSON.stringify(echo))
      response.writeHead(200, [
        'Content-Type',
        'application/json',
        'Content-Length',
        String(body.length),
        'X-Echo',
        name,
      ])
      response.end(body)
    })
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(port, address, resolve))
  return {
    name,
    port: (server.address() as AddressInfo).port,
    requests,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
