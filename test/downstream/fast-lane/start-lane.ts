/** A fast lane behind a bare server, with a handler that each test scripts; the server's own sockets can be looked at. */
import { createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import { systemClock } from '../../../lib/base/clock.ts'
import type { GatewayError } from '../../../lib/base/errors.ts'
import { FastLane } from '../../../lib/downstream/fast-lane/fast-lane.ts'
import type { AnswerHead, BodySink, Exchange, ExchangeEvents } from '../../../lib/request/exchange.ts'
import { connectRaw, type RawClient } from '../../helpers/raw-client.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { EchoHandler } from '../echo-handler.ts'

export type StartedLane = {
  lane: FastLane
  handler: EchoHandler
  port: number
  /** Of the server, in the order of connecting. */
  sockets: Socket[]
  /** Connections that left the lane, with what was read of them. */
  handedOver: { socket: Socket; text: string }[]
  connect(options?: { allowHalfOpen?: boolean }): Promise<RawClient>
}

export async function startLane(
  t: Test,
  serve: ((exchange: Exchange) => void) | undefined,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<StartedLane> {
  const handler = new EchoHandler()
  handler.serve = serve
  const sockets: Socket[] = []
  const handedOver: StartedLane['handedOver'] = []
  const lane = new FastLane({
    settings: makeSettings(changes),
    handler,
    clock: systemClock,
    scheme: 'http',
    door: {
      accept: (socket, read) => void handedOver.push({ socket, text: read.toString('latin1') }),
      refuse: (socket, { code, status }) => {
        handler.clientErrors.push(code)
        socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      },
    },
  })
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    lane.accept(socket)
  })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    lane,
    handler,
    port,
    sockets,
    handedOver,
    connect: async (options = {}) => {
      const client = await connectRaw(port, options)
      t.teardown(() => client.destroy())
      return client
    },
  }
}

/** Notes what happens to one exchange, and does nothing by itself. */
export class Observer implements ExchangeEvents, BodySink {
  readonly exchange: Exchange
  readonly chunks: Buffer[] = []
  trailers: readonly string[] | undefined
  /** What `onClose` said, each time. */
  readonly closes: boolean[] = []
  readonly failures: GatewayError[] = []
  drains = 0
  readonly closed: Promise<boolean>
  readonly bodyEnded: Promise<void>
  readonly broken: Promise<void>
  onChunk: (chunk: Buffer) => void = () => {}
  onDrained: () => void = () => {}
  #resolveClosed: (complete: boolean) => void = () => {}
  #resolveEnded: () => void = () => {}
  #resolveBroken: () => void = () => {}

  constructor(exchange: Exchange) {
    this.exchange = exchange
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.bodyEnded = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
    this.broken = new Promise((resolve) => {
      this.#resolveBroken = resolve
    })
    exchange.events = this
  }

  onClose(complete: boolean): void {
    this.closes.push(complete)
    this.#resolveClosed(complete)
  }

  onClientDrain(): void {
    this.drains++
    this.onDrained()
  }

  onUnread(): void {}

  breakOff(error: GatewayError): void {
    this.onBroken(error)
  }

  onBroken(error: GatewayError): void {
    this.failures.push(error)
    this.#resolveBroken()
  }

  onBodyData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk))
    this.onChunk(chunk)
  }

  onBodyEnd(trailers: readonly string[]): void {
    this.trailers = trailers
    this.#resolveEnded()
  }
}

/** The next exchanges, observed, as they come. */
export class Arrivals {
  readonly observers: Observer[] = []
  #waiting: (() => void)[] = []
  #taken = 0

  readonly serve = (exchange: Exchange): void => {
    this.observers.push(new Observer(exchange))
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async next(): Promise<Observer> {
    while (this.observers.length <= this.#taken) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.observers[this.#taken++]!
  }
}

/** A head of status 200, changed. */
export function answerHead(changes: Partial<AnswerHead> = {}): AnswerHead {
  return { status: 200, reason: 'OK', lines: '', contentLength: undefined, close: false, trailers: false, ...changes }
}

export function answer(exchange: Exchange, text: string): void {
  const body = Buffer.from(text)
  exchange.sendHead(answerHead({ contentLength: body.length }))
  exchange.write(body)
  exchange.end([])
}
