/** Server-sent events on the admin listener: few at once, and a reader that is slow misses events and holds nothing up. */
import type { FastifyReply } from 'fastify'

/** At once, of all clients. */
const MOST_STREAMS = 16
/** What a reader has not taken, bytes: beyond it events are dropped. */
const MOST_WAITING = 262_144
/** A reader that takes nothing for this time is cut, milliseconds. */
const STUCK_MS = 30_000
/** A comment in so many milliseconds tells proxies and clients that the stream lives. */
const ALIVE_MS = 15_000

/** Lets the connection of an answer go on for as long as it likes. */
export type LetStream = (socket: NonNullable<FastifyReply['raw']['socket']>) => void

export class EventStreams {
  readonly #letStream: LetStream
  #open = 0

  constructor(letStream: LetStream) {
    this.#letStream = letStream
  }

  /** Undefined where there are too many, and of a HEAD: the reply has been answered then. */
  async open(reply: FastifyReply): Promise<EventStream | undefined> {
    if (this.#open >= MOST_STREAMS) {
      await reply
        .code(503)
        .header('retry-after', '5')
        .send({ message: `There are ${MOST_STREAMS} streams already.` })
      return undefined
    }
    this.#open++
    const { raw } = reply
    if (raw.socket) this.#letStream(raw.socket)
    const fields = reply.getHeaders()
    reply.hijack()
    raw.writeHead(200, { ...(fields as Record<string, string>), 'content-type': 'text/event-stream; charset=utf-8' })
    if (reply.request.method === 'HEAD') {
      raw.end()
      this.#open--
      return undefined
    }
    raw.write(': portico\n\n')
    const stream = new EventStream(raw)
    stream.onClose(() => {
      this.#open--
    })
    return stream
  }
}

export class EventStream {
  readonly #raw: FastifyReply['raw']
  readonly #enders: (() => void)[] = []
  readonly #timer: NodeJS.Timeout
  #isClosed = false
  /** Since when the reader has more to take than may wait. */
  #fullSince: number | undefined

  constructor(raw: FastifyReply['raw']) {
    this.#raw = raw
    this.#timer = setInterval(() => this.#write(': alive\n\n'), ALIVE_MS)
    raw.once('close', () => this.#close())
    raw.on('error', () => this.#close())
    // The client may have gone before anybody heard of it.
    if (raw.destroyed || raw.socket?.destroyed) setImmediate(() => this.#close())
  }

  /** Called once, also where it is closed already. */
  onClose(end: () => void): void {
    if (this.#isClosed) end()
    else this.#enders.push(end)
  }

  /** False: the reader is too slow, and does not get the event. */
  send(event: string, data: unknown): boolean {
    return this.#write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  #write(text: string): boolean {
    if (this.#isClosed) return false
    if (this.#raw.writableLength > MOST_WAITING) {
      // One that takes nothing for so long is gone, or holds the place of others.
      this.#fullSince ??= performance.now()
      if (performance.now() - this.#fullSince > STUCK_MS) this.#raw.destroy()
      return false
    }
    this.#fullSince = undefined
    this.#raw.write(text)
    return true
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const end of this.#enders) end()
  }
}
