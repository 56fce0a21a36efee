/** Stands in for the proxy in tests of the doors: answers with what reached it, and notes every call. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { GatewayError } from '../../lib/base/errors.ts'
import type { BodySink, Exchange, ExchangeEvents } from '../../lib/request/exchange.ts'
import { makeSettings } from '../helpers/settings.ts'

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
  readonly tunnels = 0
  /** Adds `Connection: close`, as the proxy does while the gateway drains. */
  draining = false
  /** Requests and streams that came in. */
  seen = 0
  readonly clientErrors: string[] = []
  /** Requests that came by the fast lane, in order. */
  readonly exchanges: Exchange[] = []
  /** Serves requests of the fast lane in place of the echo. */
  serve: ((exchange: Exchange) => void) | undefined
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

  handleExchange = (exchange: Exchange): void => {
    this.seen++
    this.inFlight++
    this.exchanges.push(exchange)
    if (this.serve) this.serve(exchange)
    else new EchoAnswer(this, exchange).start()
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

/** The echo by way of an Exchange. */
export class EchoAnswer implements ExchangeEvents, BodySink {
  readonly #proxy: EchoProxy
  readonly #exchange: Exchange
  #body = ''

  constructor(proxy: EchoProxy, exchange: Exchange) {
    this.#proxy = proxy
    this.#exchange = exchange
    exchange.events = this
  }

  start(): void {
    if (this.#exchange.hasBody) this.#exchange.readBody(this)
    else this.#answer()
  }

  onBodyData(chunk: Buffer): void {
    this.#body += chunk.toString('latin1')
  }

  onBodyEnd(): void {
    this.#answer()
  }

  onClose(): void {
    this.#proxy.inFlight--
  }

  onClientDrain(): void {}

  onUnread(): void {}

  breakOff(error: GatewayError): void {
    this.onBroken(error)
  }

  onBroken(error: GatewayError): void {
    this.#proxy.clientErrors.push(error.code)
    if (this.#exchange.isHeadSent) this.#exchange.abort()
    else this.#send(error.status, Buffer.alloc(0), true)
  }

  #answer(): void {
    const { hold } = this.#proxy
    if (hold) hold.then(() => this.#echo())
    else this.#echo()
  }

  #echo(): void {
    const { method, target, connection } = this.#exchange
    const fields = this.#exchange.readFields(makeSettings())
    if (fields instanceof Error) throw fields
    const echo: Echo = {
      method,
      url: target,
      rawHeaders: fields.lines.split('\r\n').flatMap((line) => (line === '' ? [] : line.split(': '))),
      body: this.#body,
      encrypted: connection.scheme === 'https',
      remoteAddress: connection.peerAddress,
    }
    this.#send(200, Buffer.from(JSON.stringify(echo)), this.#proxy.draining)
  }

  #send(status: number, body: Buffer, close: boolean): void {
    this.#exchange.sendHead({
      status,
      reason: STATUS_CODES[status]!,
      lines: 'Content-Type: application/json\r\n',
      contentLength: body.length,
      close,
      trailers: false,
    })
    if (this.#exchange.method !== 'HEAD') this.#exchange.write(body)
    this.#exchange.end([])
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
