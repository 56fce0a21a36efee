/** Stands in for the handler of requests in tests of the doors: answers with what reached it, and notes every call. */
import { STATUS_CODES } from 'node:http'
import type { GatewayError } from '../../lib/base/errors.ts'
import { FastExchange } from '../../lib/downstream/fast-lane/fast-exchange.ts'
import type { BodySink, Exchange, ExchangeEvents, ExchangeHandler } from '../../lib/request/exchange.ts'
import type { RequestRecord } from '../../lib/telemetry/record.ts'
import { makeSettings } from '../helpers/settings.ts'

export type Echo = {
  method: string
  url: string
  rawHeaders: string[]
  body: string
  encrypted: boolean
  remoteAddress: string
}

export class EchoHandler implements ExchangeHandler {
  inFlight = 0
  /** Adds `Connection: close`, as the handler does while the gateway drains. */
  draining = false
  /** Requests that came in. */
  seen = 0
  /** Those that came by the fast lane. */
  inLane = 0
  /** The codes of what could not be read. */
  readonly clientErrors: (string | undefined)[] = []
  /** Serves requests in place of the echo. */
  serve: ((exchange: Exchange) => void) | undefined
  /** When set, requests wait for it before they are answered. */
  hold: Promise<void> | undefined

  handle = (exchange: Exchange): void => {
    this.seen++
    this.inFlight++
    if (exchange instanceof FastExchange) this.inLane++
    if (this.serve) this.serve(exchange)
    else if (exchange.offer !== undefined) this.#echoBytes(exchange)
    else new EchoAnswer(this, exchange).start()
  }

  /** Of what the doors answer without the handler. */
  onFinish = (record: RequestRecord): void => {
    this.clientErrors.push(record.error)
  }

  #echoBytes(exchange: Exchange): void {
    const { early, accept } = exchange.offer!
    const socket = accept('', 'echo', '')
    socket.on('close', () => this.inFlight--)
    if (early.length > 0) socket.write(early)
    socket.pipe(socket)
  }
}

/** The echo by way of an Exchange. */
export class EchoAnswer implements ExchangeEvents, BodySink {
  readonly #handler: EchoHandler
  readonly #exchange: Exchange
  #body = ''

  constructor(handler: EchoHandler, exchange: Exchange) {
    this.#handler = handler
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
    this.#handler.inFlight--
  }

  onClientDrain(): void {}

  onUnread(): void {}

  breakOff(error: GatewayError): void {
    this.onBroken(error)
  }

  onBroken(error: GatewayError): void {
    this.#handler.clientErrors.push(error.code)
    if (this.#exchange.isHeadSent) this.#exchange.abort()
    else this.#send(error.status, Buffer.alloc(0), true)
  }

  #answer(): void {
    const { hold } = this.#handler
    if (hold) hold.then(() => this.#echo())
    else this.#echo()
  }

  #echo(): void {
    const { method, target, connection } = this.#exchange
    const fields = this.#exchange.readFields(makeSettings())
    if (fields instanceof Error) {
      this.#send(fields.status, Buffer.alloc(0), true)
      return
    }
    const echo: Echo = {
      method,
      url: target,
      rawHeaders: fields.lines.split('\r\n').flatMap((line) => (line === '' ? [] : line.split(': '))),
      body: this.#body,
      encrypted: connection.scheme === 'https',
      remoteAddress: connection.peerAddress,
    }
    this.#send(200, Buffer.from(JSON.stringify(echo)), this.#handler.draining)
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
