/** An upstream that records every request as it came, and answers as its path says: well, oddly or badly. */
import { type RawConnection, type RawUpstream, startRawUpstream } from '../helpers/raw-upstream.ts'

export type Recorded = {
  /** Request line and field lines, in order. */
  readonly head: readonly string[]
  /** Decoded where chunked. */
  readonly body: string
  readonly trailers: readonly string[]
  /** False where the connection ended inside the request. */
  readonly complete: boolean
}

/** What is written for one request. */
export type Answer = Readonly<{
  /** Piece by piece, with turns of the event loop between them. */
  pieces: readonly string[]
  /** What follows: `fin` ends the connection well, `reset` cuts it. */
  ending?: 'fin' | 'reset'
  /** Before the request's body was read. */
  early?: boolean
}>

export class Recorder {
  readonly requests: Recorded[] = []
  readonly #answers: Readonly<Record<string, Answer>>
  #upstream: RawUpstream | undefined
  /** Requests that have begun to come and are not recorded yet. */
  #unfinished = 0

  /** `answers` by path; all else is answered with 200 and `hello`. */
  constructor(answers: Readonly<Record<string, Answer>>) {
    this.#answers = answers
  }

  async start(): Promise<number> {
    this.#upstream = await startRawUpstream((connection) => this.#serve(connection))
    return this.#upstream.port
  }

  async close(): Promise<void> {
    await this.#upstream?.close()
  }

  get isQuiet(): boolean {
    return this.#unfinished === 0
  }

  async #serve(connection: RawConnection): Promise<void> {
    for (;;) {
      await connection.until((text) => text.length > 0)
      if (connection.text.length === 0) return
      this.#unfinished++
      try {
        if (!(await this.#serveOne(connection))) return
      } finally {
        this.#unfinished--
      }
    }
  }

  async #serveOne(connection: RawConnection): Promise<boolean> {
    await connection.head()
    const end = connection.text.indexOf('\r\n\r\n')
    if (end < 0) return false
    const head = connection.text.slice(0, end).split('\r\n')
    const path = head[0]!.split(' ')[1]!
    const answer = this.#answers[path] ?? { pieces: ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'] }
    if (answer.early) await give(connection, answer)
    let body: Body | undefined
    await connection.until((text) => {
      body = readBody(head, text, end + 4)
      return body !== undefined
    })
    const rest = connection.received.subarray(end + 4 + (body?.length ?? 0))
    this.requests.push({
      head,
      body: body?.content ?? decodePart(head, connection.text.slice(end + 4)),
      trailers: body?.trailers ?? [],
      complete: body !== undefined,
    })
    if (body === undefined || answer.early) {
      connection.socket.destroy()
      return false
    }
    connection.clear()
    if (rest.length > 0) throw new Error(`the gateway sent ${rest.length} bytes behind a request`)
    await give(connection, answer)
    return answer.ending === undefined
  }
}

async function give(connection: RawConnection, { pieces, ending }: Answer): Promise<void> {
  for (const piece of pieces) {
    connection.send(piece)
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  if (ending === 'fin') connection.socket.end()
  if (ending === 'reset') connection.socket.resetAndDestroy()
}

type Body = { content: string; trailers: readonly string[]; length: number }

/** The whole body from `start` on; undefined while some is missing. */
function readBody(head: readonly string[], text: string, start: number): Body | undefined {
  if (head.some((line) => /^transfer-encoding: chunked$/i.test(line))) return readChunks(text.slice(start))
  const length = Number(head.map((line) => /^content-length: (\d+)$/i.exec(line)?.[1]).find(Boolean) ?? 0)
  // To cut a long text that has grown by pieces copies all of it.
  if (text.length < start + length) return undefined
  return { content: text.slice(start, start + length), trailers: [], length }
}

function readChunks(text: string): Body | undefined {
  let content = ''
  for (let at = 0; ; ) {
    const [line, size] = /^([0-9a-f]+)\r\n/.exec(text.slice(at, at + 20)) ?? []
    if (line === undefined || size === undefined) return undefined
    const start = at + line.length
    const length = Number.parseInt(size, 16)
    if (length === 0) {
      const trailerEnd = text.startsWith('\r\n', start) ? start : text.indexOf('\r\n\r\n', start) + 2
      if (trailerEnd < start) return undefined
      const trailers = text.slice(start, trailerEnd).split('\r\n').slice(0, -1)
      return { content, trailers, length: trailerEnd + 2 }
    }
    if (text.length < start + length + 2) return undefined
    content += text.slice(start, start + length)
    at = start + length + 2
  }
}

/** What came of a body that broke off. */
function decodePart(head: readonly string[], text: string): string {
  if (!head.some((line) => /^transfer-encoding: chunked$/i.test(line))) return text
  let content = ''
  for (let at = 0; ; ) {
    const [line, size] = /^([0-9a-f]+)\r\n/.exec(text.slice(at, at + 20)) ?? []
    if (line === undefined || size === undefined) return content
    content += text.slice(at + line.length, at + line.length + Number.parseInt(size, 16))
    at += line.length + Number.parseInt(size, 16) + 2
  }
}
