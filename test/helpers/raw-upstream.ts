/** A TCP server that keeps the bytes of each connection and answers as a test says, well or badly. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

const HEAD_END = '\r\n\r\n'

export class RawConnection {
  readonly socket: Socket
  readonly closed: Promise<void>
  /** One piece, once it was asked for. */
  #received: Buffer[] = []
  /** What is not in the text yet. */
  #undecoded: Buffer[] = []
  #text = ''
  #heads = 0
  /** What may be the beginning of the end of one, at the end of the text. */
  #headEnd = ''
  #onChange: (() => void)[] = []
  #isClosed = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk)
      this.#undecoded.push(chunk)
      this.#changed()
    })
    socket.on('error', () => {})
    socket.on('end', () => this.#changed())
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true
        this.#changed()
        resolve()
      })
    })
  }

  get received(): Buffer {
    if (this.#received.length !== 1) this.#received = [Buffer.concat(this.#received)]
    return this.#received[0]!
  }

  get text(): string {
    for (const bytes of this.#undecoded.splice(0)) {
      const piece = bytes.toString('latin1')
      this.#countHeads(piece)
      this.#text += piece
    }
    return this.#text
  }

  /** Request heads in the text. */
  get heads(): number {
    return this.#heads
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The peer has sent a FIN, or the connection is closed. */
  get hasEnded(): boolean {
    return this.#isClosed || this.socket.readableEnded
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    return this
  }

  /** Waits until `seen(text)` is true; resolves early (with what came) when the connection ends. */
  async until(seen: (text: string) => boolean): Promise<string> {
    while (!seen(this.text) && !this.hasEnded) await new Promise<void>((resolve) => this.#onChange.push(resolve))
    return this.text
  }

  /** Waits for the `n`-th request head. */
  head(n: number = 1): Promise<string> {
    return this.until(() => this.#heads >= n)
  }

  /** To search a long text that has grown by pieces copies all of it. */
  #countHeads(piece: string): void {
    const text = this.#headEnd + piece
    let searched = 0
    for (let at = text.indexOf(HEAD_END); at >= 0; at = text.indexOf(HEAD_END, searched)) {
      this.#heads++
      searched = at + HEAD_END.length
    }
    this.#headEnd = text.slice(Math.max(searched, text.length - HEAD_END.length + 1))
  }

  /** Waits until the peer has sent its FIN or has cut the connection. */
  async ended(): Promise<void> {
    await this.until(() => false)
  }

  clear(): void {
    this.#received = []
    this.#undecoded = []
    this.#text = ''
    this.#heads = 0
    this.#headEnd = ''
  }

  #changed(): void {
    for (const resolve of this.#onChange.splice(0)) resolve()
  }
}

export type RawUpstream = {
  readonly port: number
  /** In the order in which they came. */
  readonly connections: readonly RawConnection[]
  /** The TCP sockets, also under TLS, in the order in which they came. */
  readonly transports: readonly Socket[]
  /** The `n`-th connection (from 0), once it is there. */
  connection(n: number): Promise<RawConnection>
  close(): Promise<void>
}

/** `behave` gets each connection as it comes. */
export async function startRawUpstream(
  behave: (connection: RawConnection, index: number) => void | Promise<void>,
  tls?: TlsOptions,
): Promise<RawUpstream> {
  const connections: RawConnection[] = []
  const transports: Socket[] = []
  const waiters: (() => void)[] = []
  const accept = (socket: Socket) => {
    const connection = new RawConnection(socket)
    connections.push(connection)
    for (const resolve of waiters.splice(0)) resolve()
    void behave(connection, connections.length - 1)
  }
  const server: Server = tls
    ? createTlsServer({ ...tls, noDelay: true }, accept).on('tlsClientError', () => {})
    : createServer({ allowHalfOpen: true, noDelay: true }, accept)
  server.on('connection', (socket: Socket) => transports.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    transports,
    async connection(n) {
      while (connections.length <= n) await new Promise<void>((resolve) => waiters.push(resolve))
      return connections[n]!
    },
    close: () =>
      new Promise((resolve) => {
        for (const { socket } of connections) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** A behaviour: answers every request head with the same bytes. */
export function answerWith(bytes: string | Buffer, options: { end?: boolean } = {}) {
  return async (connection: RawConnection): Promise<void> => {
    for (let n = 1; !connection.hasEnded; n++) {
      await connection.head(n)
      if (connection.heads < n) return
      connection.send(bytes)
      if (options.end) connection.socket.end()
    }
  }
}
