/** How llhttp reads bytes in node:http's strict mode: the judge of our own codec. In memory, no sockets. */
import {
  ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  type Server,
  type ServerResponse,
} from 'node:http'
import { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

export type ReadRequest = {
  readonly method: string
  readonly target: string
  readonly version: string
  /** Names and values in turn, latin1. */
  readonly fields: readonly string[]
  readonly keepAlive: boolean
  readonly body: Buffer
  readonly trailers: readonly string[]
}

/** A request whose head was read. */
export type BegunRequest = Pick<ReadRequest, 'method' | 'target'> & {
  /** Undefined where its end never came, or was not told: a refused request takes those before it along. */
  readonly body: Buffer | undefined
  readonly isWhole: boolean
}

export type ReadResponse = {
  readonly status: number
  readonly reason: string
  readonly version: string
  readonly fields: readonly string[]
  readonly keepAlive: boolean
  readonly body: Buffer
  readonly trailers: readonly string[]
}

/** No input makes either side wait longer; more turns of the event loop mean that nothing more comes. */
const MAX_TURNS = 50

/** The far end of a connection: what is pushed into it is read, what is written to it is lost. */
class Wire extends Duplex {
  readonly messages: Collected[] = []
  error: string | undefined
  /** Where in the last piece it was found. */
  errorAt = 0
  /** What of it asks for more than an answer. */
  oddity: string | undefined
  /** A request to upgrade as one that does not ask for it, with all that came behind its head. */
  rest: Buffer | undefined
  hasEnded = false

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }

  /** Waits until everything pushed was read and `done` holds. False: it never will. */
  async settle(done: () => boolean): Promise<boolean> {
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      if (this.readableLength === 0 && done()) return true
      await nextTurn()
    }
    return false
  }
}

class Collected {
  readonly message: IncomingMessage
  readonly keepAlive: boolean
  readonly chunks: Buffer[] = []
  isOver = false

  constructor(message: IncomingMessage, keepAlive: boolean) {
    this.message = message
    this.keepAlive = keepAlive
    message.on('error', () => {})
    message.on('data', (chunk: Buffer) => this.chunks.push(Buffer.from(chunk)))
    message.on('end', () => {
      this.isOver = message.complete
    })
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

/** `replaced`: all bytes, with one that llhttp knows in its place. */
type UnknownMethod = Readonly<{ method: string; replaced: Buffer }>

/** Of those that llhttp knows: so far back from where it stopped the method may begin. */
const LONGEST_METHOD = 16
const PROBE = Buffer.from('GET /probe HTTP/1.1\r\n\r\n')

/** Reads requests as node:http's server does. */
export class RequestJudge {
  readonly #server: Server

  constructor(maxHeaderSize: number) {
    // Node 26 takes the body of an upgrade along before it tells of it. The types of Node 20 do not know the option.
    const shouldUpgradeCallback = ({ headers }: IncomingMessage) =>
      !('content-length' in headers || 'transfer-encoding' in headers)
    const options = { insecureHTTPParser: false, maxHeaderSize, requireHostHeader: false, shouldUpgradeCallback }
    this.#server = createServer(options)
    this.#server.maxHeadersCount = 0
    Object.assign(this.#server, { httpAllowHalfOpen: true })
    this.#server.on('request', (request, response) => {
      wireOf(request).messages.push(new Collected(request, response.shouldKeepAlive))
    })
    for (const event of ['checkContinue', 'checkExpectation'] as const) {
      this.#server.on(event, (request: IncomingMessage, response: ServerResponse) => {
        const wire = wireOf(request)
        wire.messages.push(new Collected(request, response.shouldKeepAlive))
        wire.oddity ??= event
      })
    }
    this.#server.on('upgrade', (request: IncomingMessage, _socket, head: Buffer) => {
      const wire = wireOf(request)
      wire.error ??= 'upgrade'
      wire.rest = Buffer.concat([writeWithoutUpgrade(request), head])
    })
    this.#server.on('connect', (request: IncomingMessage) => {
      const wire = wireOf(request)
      wire.messages.push(new Collected(request, false))
      wire.error ??= 'connect'
    })
    this.#server.on('clientError', (error: NodeJS.ErrnoException & { bytesParsed?: number }, socket) => {
      const wire = socket as unknown as Wire
      wire.errorAt = error.bytesParsed ?? 0
      wire.error ??= error.code ?? error.message
    })
  }

  /** All requests that `pieces` hold, one behind the other, up to their end; or why they are refused. */
  async read(pieces: readonly Buffer[]): Promise<readonly ReadRequest[] | string> {
    const { wire, hasSettled } = await this.#feed(pieces, (wire) => wire.oddity !== undefined)
    const refusal = wire.oddity ?? wire.error
    if (refusal !== undefined) return refusal
    if (!hasSettled) return 'incomplete'
    return wire.messages.map(({ message, keepAlive, body }) => ({
      method: message.method!,
      target: message.url!,
      version: message.httpVersion,
      fields: message.rawHeaders,
      keepAlive,
      body,
      trailers: message.rawTrailers,
    }))
  }

  /**
   * The requests whose heads `bytes` hold, up to where they end or are refused. One that asks for an upgrade is read as one
   * that does not, since it may be passed over (RFC 9110 §7.8); and a method that llhttp does not know as one that it knows,
   * since framing does not hang on it.
   */
  async readSome(bytes: Buffer): Promise<readonly BegunRequest[]> {
    const begun: BegunRequest[] = []
    /** By the number of the request. */
    const methods = new Map<number, string>()
    for (let rest: Buffer | undefined = bytes; rest !== undefined; ) {
      const { wire }: { wire: Wire } = await this.#feed([rest], () => false)
      const unknown: UnknownMethod | undefined = await this.#findUnknownMethod(rest, wire)
      if (unknown) {
        methods.set(begun.length + wire.messages.length, unknown.method)
        rest = unknown.replaced
        continue
      }
      for (const { message, isOver, body } of wire.messages) {
        const { method = '', url: target = '', complete: isWhole } = message
        begun.push({
          method: methods.get(begun.length) ?? method,
          target,
          body: isOver ? body : undefined,
          isWhole,
        })
      }
      rest = wire.rest
    }
    return begun
  }

  /** Where llhttp stopped at a method: that begins where a request may, and that is not told. */
  async #findUnknownMethod(bytes: Buffer, { error, errorAt }: Wire): Promise<UnknownMethod | undefined> {
    if (error !== 'HPE_INVALID_METHOD') return undefined
    for (let start = errorAt; start >= 0 && start >= errorAt - LONGEST_METHOD; start--) {
      const method = /^[\w!#$%&'*+.^`|~-]{1,64}(?= )/.exec(bytes.toString('latin1', start, start + 65))?.[0]
      if (method === undefined) continue
      const { wire, hasSettled } = await this.#feed([Buffer.concat([bytes.subarray(0, start), PROBE])], () => false)
      if (!hasSettled || wire.error !== undefined || wire.messages.at(-1)?.message.url !== '/probe') continue
      const replaced = Buffer.concat([
        bytes.subarray(0, start),
        Buffer.from('POST'),
        bytes.subarray(start + method.length),
      ])
      return { method, replaced }
    }
    return undefined
  }

  async #feed(pieces: readonly Buffer[], isEnough: (wire: Wire) => boolean) {
    const wire = new Wire()
    wire.on('error', () => {})
    this.#server.emit('connection', wire)
    wire.on('end', () => {
      wire.hasEnded = true
    })
    for (const piece of pieces) wire.push(Buffer.from(piece))
    wire.push(null)
    const hasSettled = await wire.settle(
      () =>
        isEnough(wire) ||
        // What came whole before that is still on its way to its reader.
        (wire.error !== undefined && wire.messages.every(({ isOver, message }) => isOver || !message.complete)) ||
        (wire.hasEnded && wire.messages.every(({ isOver }) => isOver)),
    )
    wire.destroy()
    return { wire, hasSettled }
  }
}

function writeWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.toLowerCase() !== 'upgrade') head += `${rawHeaders[at]}: ${rawHeaders[at + 1]}\r\n`
  }
  return Buffer.from(`${head}\r\n`, 'latin1')
}

function wireOf(request: IncomingMessage): Wire {
  return request.socket as unknown as Wire
}

/**
 * Reads one response to `method` as node:http's client does, or says why it is refused. `ends`: a FIN follows. Without
 * one the response must end with its last byte, no sooner and no later.
 */
export async function judgeResponse(
  method: string,
  pieces: readonly Buffer[],
  ends: boolean,
  maxHeaderSize: number,
): Promise<ReadResponse | string> {
  const wire = new Wire()
  wire.on('error', () => {})
  const options: RequestOptions & { createConnection: () => Duplex } = {
    createConnection: () => wire,
    method,
    path: '/',
    headers: { Host: 'up.test', Connection: 'keep-alive' },
    insecureHTTPParser: false,
    maxHeaderSize,
  }
  const request = new ClientRequest(options as unknown as string)
  request.maxHeadersCount = 0
  let answer: Collected | undefined
  request.on('error', (error: NodeJS.ErrnoException) => {
    wire.error ??= error.code ?? error.message
  })
  request.on('upgrade', () => {
    wire.error ??= 'upgrade'
  })
  request.on('response', (response) => {
    answer = new Collected(response, request.shouldKeepAlive)
    response.on('aborted', () => {
      wire.error ??= 'aborted'
    })
  })
  request.end()
  try {
    await wire.settle(() => true)
    await nextTurn()
    const whole = Buffer.concat(pieces)
    const isOver = () => wire.error !== undefined || answer?.isOver === true
    if (ends) {
      for (const piece of pieces) wire.push(Buffer.from(piece))
      await wire.settle(() => true)
      await nextTurn()
      if (answer?.message.complete) return 'ended before the FIN'
      wire.push(null)
    } else {
      let left = whole.length - 1
      for (const piece of pieces) {
        if (left > 0) wire.push(Buffer.from(piece.subarray(0, left)))
        left -= piece.length
      }
      await wire.settle(() => true)
      await nextTurn()
      if (answer?.message.complete) return 'ended before its last byte'
      if (wire.error !== undefined) return wire.error
      wire.push(Buffer.from(whole.subarray(-1)))
    }
    await wire.settle(isOver)
    if (wire.error !== undefined) return wire.error
    if (!answer?.isOver) return 'incomplete'
    const { message, keepAlive, body } = answer
    return {
      status: message.statusCode!,
      reason: message.statusMessage!,
      version: message.httpVersion,
      fields: message.rawHeaders,
      keepAlive,
      body,
      trailers: message.rawTrailers,
    }
  } finally {
    request.destroy()
    wire.destroy()
  }
}
