/** HTTP/2 clients for tests: node's own for what is allowed, and one that writes frames as told, allowed or not. */
import { type ClientHttp2Session, connect as connectHttp2, constants, type OutgoingHttpHeaders } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { Test } from 'tap'

export type H2Response = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[]
  readonly trailers: Readonly<Record<string, string | string[] | undefined>>
  /** Interim answers. */
  readonly interim: readonly Readonly<Record<string, unknown>>[]
  readonly body: Buffer
  /** 0 when the stream ended well. */
  readonly rstCode: number
}

export type H2Body = string | Buffer | readonly Buffer[]

/** A session to 127.0.0.1, closed with the test. */
export function connectH2(t: Test, port: number, options: { tls?: boolean } = {}): ClientHttp2Session {
  const session = options.tls
    ? connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
    : connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  return session
}

/** One request; resolves when the stream is closed, however it ended. */
export function requestH2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  options: { body?: H2Body; trailers?: OutgoingHttpHeaders } = {},
): Promise<H2Response> {
  const { body, trailers } = options
  return new Promise((resolve) => {
    const stream = session.request(headers, {
      endStream: body === undefined && trailers === undefined,
      waitForTrailers: trailers !== undefined,
    })
    const chunks: Buffer[] = []
    const interim: Record<string, unknown>[] = []
    let head: Record<string, string | string[] | undefined> = {}
    let raw: readonly string[] = []
    let received: Record<string, string | string[] | undefined> = {}
    stream.on('headers', (fields) => interim.push({ ...fields }))
    stream.on('response', (fields, _flags, ...rest: unknown[]) => {
      head = { ...fields } as typeof head
      raw = (rest[0] as string[] | undefined) ?? []
    })
    stream.on('trailers', (fields) => {
      received = { ...fields } as typeof received
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', () => {})
    stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}))
    stream.on('close', () =>
      resolve({
        status: Number(head[':status'] ?? 0),
        headers: head,
        rawHeaders: raw,
        trailers: received,
        interim,
        body: Buffer.concat(chunks),
        rstCode: stream.rstCode ?? 0,
      }),
    )
    if (body !== undefined || trailers !== undefined) {
      const parts = body === undefined ? [] : typeof body === 'string' ? [Buffer.from(body)] : [body].flat()
      for (const part of parts as Buffer[]) stream.write(part)
      stream.end()
    }
  })
}

export type H2Frame = {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

const FRAME = { DATA: 0, HEADERS: 1, RST_STREAM: 3, SETTINGS: 4, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9 }
/** What a peer takes that has not said otherwise. */
const MAX_FRAME = 16_384
export const H2 = {
  ...FRAME,
  END_STREAM: 1,
  END_HEADERS: 4,
  ACK: 1,
  NO_ERROR: constants.NGHTTP2_NO_ERROR,
  PROTOCOL_ERROR: constants.NGHTTP2_PROTOCOL_ERROR,
} as const

/** Writes any octets: fields are encoded literally (HPACK without indexing), nothing is checked. */
export class RawH2Client {
  readonly socket: Socket
  readonly frames: H2Frame[] = []
  readonly closed: Promise<void>
  #pending = Buffer.alloc(0)
  #isClosed = false
  #onChange: (() => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true
        this.#changed()
        resolve()
      })
    })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    this.frame(H2.SETTINGS, 0, 0, Buffer.alloc(0))
  }

  frame(type: number, flags: number, streamId: number, payload: Buffer): this {
    this.socket.write(printFrame({ type, flags, streamId, payload }))
    return this
  }

  headers(streamId: number, fields: readonly (readonly [string, string])[], endStream: boolean): this {
    const block = Buffer.concat(fields.map(([name, value]) => encodeLiteral(name, value)))
    for (let at = 0; at === 0 || at < block.length; at += MAX_FRAME) {
      const flags = (at + MAX_FRAME >= block.length ? H2.END_HEADERS : 0) | (at === 0 && endStream ? H2.END_STREAM : 0)
      this.frame(at === 0 ? H2.HEADERS : H2.CONTINUATION, flags, streamId, block.subarray(at, at + MAX_FRAME))
    }
    return this
  }

  data(streamId: number, bytes: string | Buffer, endStream: boolean): this {
    return this.frame(H2.DATA, endStream ? H2.END_STREAM : 0, streamId, Buffer.from(bytes))
  }

  reset(streamId: number, code: number): this {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(code)
    return this.frame(H2.RST_STREAM, 0, streamId, payload)
  }

  /** The first frame that fits; throws when the connection closes first. */
  async find(fits: (frame: H2Frame) => boolean, timeoutMs: number = 10_000): Promise<H2Frame> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = this.frames.find(fits)
      if (found) return found
      const left = deadline - Date.now()
      if (this.#isClosed || left <= 0) throw new Error(`no such frame among ${JSON.stringify(this.frames)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#onChange.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #read(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3)
      if (this.#pending.length < 9 + length) break
      const frame: H2Frame = {
        type: this.#pending.readUInt8(3),
        flags: this.#pending.readUInt8(4),
        streamId: this.#pending.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.#pending.subarray(9, 9 + length)),
      }
      this.#pending = this.#pending.subarray(9 + length)
      this.frames.push(frame)
      if (frame.type === H2.SETTINGS && (frame.flags & H2.ACK) === 0)
        this.frame(H2.SETTINGS, H2.ACK, 0, Buffer.alloc(0))
    }
    this.#changed()
  }

  #changed(): void {
    for (const resolve of this.#onChange.splice(0)) resolve()
  }
}

export function connectRawH2(port: number, options: { tls?: boolean } = {}): Promise<RawH2Client> {
  return new Promise((resolve, reject) => {
    const socket: Socket = options.tls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
      : connectTcp({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once(options.tls ? 'secureConnect' : 'connect', () => {
      socket.off('error', reject)
      resolve(new RawH2Client(socket))
    })
  })
}

/** What the frames of a connection say of its first stream, as node's client reads them. */
export async function readAnswer(frames: readonly H2Frame[], method: string = 'GET'): Promise<H2Response> {
  const wire = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const session = connectHttp2('http://127.0.0.1', { createConnection: () => wire })
  session.on('error', () => {})
  const answer = requestH2(session, { ':method': method, ':path': '/' })
  for (const frame of frames) wire.push(printFrame(frame))
  const response = await answer
  session.destroy()
  return response
}

function printFrame({ type, flags, streamId, payload }: H2Frame): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

/** RFC 7541 §6.2.2 with literal name, no Huffman. */
function encodeLiteral(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), encodeString(name), encodeString(value)])
}

function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([encodeInteger(bytes.length, 7), bytes])
}

/** RFC 7541 §5.1 */
function encodeInteger(value: number, prefixBits: number): Buffer {
  const limit = 2 ** prefixBits - 1
  if (value < limit) return Buffer.of(value)
  const bytes = [limit]
  let left = value - limit
  while (left >= 128) {
    bytes.push((left % 128) + 128)
    left = Math.floor(left / 128)
  }
  bytes.push(left)
  return Buffer.from(bytes)
}
