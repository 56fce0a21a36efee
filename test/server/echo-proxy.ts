/** Stands in for the proxy in tests of the doors: answers with what reached it, and notes every call. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'

export type Echo = {
  method: string
  url: string
  rawHeaders: string[]
  body: string
  encrypted: boolean
  remoteAddress: string
}

export class EchoProxy {
  inFlight = 0
  /** Adds `Connection: close`, as the proxy does while the gateway drains. */
  draining = false
  /** Requests and streams that came in. */
  seen = 0
  readonly clientErrors: string[] = []
  /** When set, HTTP/1 requests and HTTP/2 streams wait for it before they are answered. */
  hold: Promise<void> | undefined

  handleRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    this.seen++
    this.inFlight++
    response.on('close', () => this.inFlight--)
    const body = await readBody(request)
    await this.hold
    const socket = request.socket as TLSSocket
    const echo = this.#print(request.method ?? '', request.url ?? '', request.rawHeaders, body, socket)
    response.writeHead(200, [
      ...['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(echo))],
      ...(this.draining ? ['Connection', 'close'] : []),
    ])
    response.end(request.method === 'HEAD' ? undefined : echo)
  }

  handleStream = async (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    rawHeaders: string[],
  ): Promise<void> => {
    this.seen++
    this.inFlight++
    stream.on('close', () => this.inFlight--)
    const socket = stream.session?.socket as TLSSocket
    const body = await readBody(stream)
    await this.hold
    if (stream.destroyed) return
    stream.respond({ ':status': 200, 'content-type': 'application/json' })
    stream.end(this.#print(String(headers[':method']), String(headers[':path']), rawHeaders, body, socket))
  }

  wantsUpgrade = (_request: IncomingMessage): boolean => true

  handleUpgrade = (_request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
    if (head.length > 0) socket.write(head)
    socket.pipe(socket)
  }

  handleConnect = (_request: IncomingMessage, socket: Duplex): void => {
    socket.end('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  }

  handleClientError = (error: Error & { code?: string }, socket: Duplex): void => {
    this.clientErrors.push(error.code ?? error.message)
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const status =
      error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : error.code === 'HPE_HEADER_OVERFLOW'
          ? '431 Request Header Fields Too Large'
          : '400 Bad Request'
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  }

  whenIdle = async (): Promise<void> => {}
  closeTunnels = (): void => {}

  #print(method: string, url: string, rawHeaders: string[], body: string, socket: TLSSocket): string {
    const echo: Echo = {
      method,
      url,
      rawHeaders,
      body,
      encrypted: socket.encrypted === true,
      remoteAddress: (socket as Socket).remoteAddress ?? '',
    }
    return JSON.stringify(echo)
  }
}

async function readBody(source: AsyncIterable<Buffer>): Promise<string> {
  let body = ''
  try {
    for await (const chunk of source) body += chunk.toString('latin1')
  } catch {
    // The client went away: 'close' has been seen to.
  }
  return body
}
