/** A TCP or TLS client that sends exactly the bytes it is told, when it is told, and keeps all it receives. */
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'

export type RawResponse = {
  readonly status: number
  readonly reason: string
  /** Names and values in turn, latin1. */
  readonly headers: readonly string[]
  header(name: string): string | undefined
  /** All values of one field, in order. */
  all(name: string): readonly string[]
  /** As framed: decoded from chunks where chunked. */
  readonly body: Buffer
  /** False where the connection ended before the body did. */
  readonly complete: boolean
  /** Of a chunked body. */
  readonly trailers: readonly string[]
}

export class RawClient {
  readonly socket: Socket
  /** Resolves when the connection is closed, however it ended. */
  readonly closed: Promise<void>
  #received: Buffer = Buffer.alloc(0)
  #isClosed = false
  #error: NodeJS.ErrnoException | undefined
  #onChange: (() => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      this.#changed()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error = error
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true
        this.#changed()
        resolve()
      })
    })
    socket.on('end', () => this.#changed())
  }

  get received(): Buffer {
    return this.#received
  }

  get text(): string {
    return this.#received.toString('latin1')
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The server has sent its FIN, or the connection is closed. */
  get hasEnded(): boolean {
    return this.#isClosed || this.socket.readableEnded
  }

  get error(): NodeJS.ErrnoException | undefined {
    return this.#error
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    return this
  }

  /** Sends and waits until the kernel has taken it. */
  async flush(bytes: string | Buffer): Promise<void> {
    await new Promise<void>((resolve) => {
      this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => resolve())
    })
  }

  /** One byte for each turn of the event loop. */
  async sendSlowly(bytes: string): Promise<void> {
    for (const byte of Buffer.from(bytes, 'latin1')) {
      if (this.socket.destroyed) return
      await this.flush(Buffer.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** FIN. */
  end(): void {
    this.socket.end()
  }

  /** RST (plain TCP). */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Forgets what was received. */
  clear(): void {
    this.#received = Buffer.alloc(0)
  }

  /** Waits until `seen(text)` is true; throws with what was received when the connection ends or the time is over first. */
  async until(seen: (text: string) => boolean, timeoutMs: number = 10_000): Promise<string> {
    const deadline = Date.now() + timeoutMs
    while (!seen(this.text)) {
      if (this.hasEnded) throw new Error(`the connection ended after ${JSON.stringify(this.text.slice(0, 500))}`)
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`nothing more came after ${JSON.stringify(this.text.slice(0, 500))}`)
      await this.#change(left)
    }
    return this.text
  }

  /** The next response, taken out of what was received; `headOnly` for answers to HEAD and before tunnels. */
  async response(options: { headOnly?: boolean; timeoutMs?: number } = {}): Promise<RawResponse> {
    const deadline = Date.now() + (options.timeoutMs ?? 10_000)
    for (;;) {
      const parsed = parseResponse(this.#received, this.hasEnded, options.headOnly === true)
      if (parsed) {
        this.#received = this.#received.subarray(parsed.length)
        return parsed.response
      }
      const left = deadline - Date.now()
      if (this.hasEnded || left <= 0) {
        const why = this.hasEnded ? 'the connection ended' : 'the time is over'
        throw new Error(`${why}, and there is no response in ${JSON.stringify(this.text.slice(0, 500))}`)
      }
      await this.#change(left)
    }
  }

  #changed(): void {
    for (const resolve of this.#onChange.splice(0)) resolve()
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#onChange.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

/** `allowHalfOpen`: the connection stays open in the direction to the server after the server's FIN. */
export function connectRaw(
  port: number,
  options: { allowHalfOpen?: boolean; address?: string; localAddress?: string } = {},
): Promise<RawClient> {
  const { allowHalfOpen = false, address = '127.0.0.1', localAddress } = options
  return new Promise((resolve, reject) => {
    const socket = connectTcp({
      port,
      host: address,
      allowHalfOpen,
      noDelay: true,
      ...(localAddress && { localAddress }),
    })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(new RawClient(socket))
    })
  })
}

export function connectRawTls(port: number, options: ConnectionOptions = {}): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      socket.off('error', reject)
      resolve(new RawClient(socket))
    })
  })
}

/** Sends one request on a new connection, reads one response, closes. */
export async function requestRaw(
  port: number,
  bytes: string | Buffer,
  options: { headOnly?: boolean } = {},
): Promise<RawResponse> {
  const client = await connectRaw(port)
  try {
    return await client.send(bytes).response(options)
  } finally {
    client.destroy()
  }
}

/** Reads the first response of `bytes`; undefined while it is not whole. */
export function parseResponse(
  bytes: Buffer,
  ended: boolean,
  headOnly: boolean = false,
): { response: RawResponse; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [line = '', ...fields] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const [, status = '0', reason = ''] = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(line) ?? []
  const headers = splitFields(fields)
  const code = Number(status)
  const start = end + 4
  const build = (body: Buffer, length: number, complete: boolean, trailers: readonly string[] = []) => ({
    response: {
      status: code,
      reason,
      headers,
      header: (name: string) => findAll(headers, name)[0],
      all: (name: string) => findAll(headers, name),
      body,
      complete,
      trailers,
    },
    length,
  })
  if (headOnly || code < 200 || code === 204 || code === 304) return build(Buffer.alloc(0), start, true)
  if (findAll(headers, 'transfer-encoding').length > 0) return parseChunked(bytes, start, ended, build)
  const declared = findAll(headers, 'content-length')[0]
  const length = declared === undefined ? undefined : Number(declared)
  if (length !== undefined && bytes.length - start >= length) {
    return build(bytes.subarray(start, start + length), start + length, true)
  }
  if (!ended) return undefined
  return build(bytes.subarray(start), bytes.length, length === undefined)
}

type Build = (
  body: Buffer,
  length: number,
  complete: boolean,
  trailers?: readonly string[],
) => { response: RawResponse; length: number }

function parseChunked(bytes: Buffer, start: number, ended: boolean, build: Build) {
  const chunks: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16)
    const next = lineEnd + 2 + size + 2
    if (lineEnd < 0 || (size > 0 && bytes.length < next)) {
      return ended ? build(Buffer.concat([...chunks, bytes.subarray(at)]), bytes.length, false) : undefined
    }
    if (size > 0) {
      chunks.push(bytes.subarray(lineEnd + 2, next - 2))
      at = next
      continue
    }
    const bodyEnd = bytes.subarray(lineEnd).indexOf('\r\n\r\n')
    if (bodyEnd < 0) return ended ? build(Buffer.concat(chunks), bytes.length, false) : undefined
    const trailerText = bytes.subarray(lineEnd + 2, lineEnd + Math.max(bodyEnd, 2)).toString('latin1')
    const trailers = splitFields(trailerText.split('\r\n').filter((line) => line !== ''))
    return build(Buffer.concat(chunks), lineEnd + bodyEnd + 4, true, trailers)
  }
}

function splitFields(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
}

/** The values of one field in a flat list of names and values. */
export function findAll(headers: readonly string[], name: string): string[] {
  const found: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]!.toLowerCase() === name.toLowerCase()) found.push(headers[at + 1]!)
  }
  return found
}
