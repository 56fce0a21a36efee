/** An upstream that does with each request what a test says, well or badly, and counts what it got. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Test } from 'tap'
import { findFreePort } from './free-ports.ts'

/**
 * `ok` answers 200, a number that status; `reset` cuts the connection once the request has come whole, `reset-early` at its
 * head; `cut` begins an answer and cuts it; `hang` does nothing; `close` answers and then closes the connection unannounced.
 */
export type Fault = 'ok' | 'reset' | 'reset-early' | 'cut' | 'hang' | 'close' | number

export type FaultyRequest = Readonly<{ method: string; url: string; body: Buffer; index: number }>

export type FaultyUpstream = {
  readonly port: number
  /** Heads that came, whatever was done with them. */
  heads: number
  /** By method. */
  readonly methods: Map<string, number>
  /** Those that came whole, in order. */
  readonly requests: FaultyRequest[]
  /** Under way now, and the most that ever were. */
  running: number
  peak: number
  /** Answers all that hang. */
  release(): void
  /** Resolves once `seen` is true; it is asked whenever a request comes or ends. */
  until(seen: (upstream: FaultyUpstream) => boolean): Promise<void>
  /** Ends all connections and refuses new ones; `open` takes them again, at the same port. */
  kill(): Promise<void>
  open(): Promise<void>
}

/** `choose` may take its time to say. */
export async function startFaultyUpstream(
  t: Test,
  choose: (request: IncomingMessage, index: number) => Fault | Promise<Fault>,
): Promise<FaultyUpstream> {
  const sockets = new Set<Socket>()
  const hanging = new Set<ServerResponse>()
  let waiters: (() => void)[] = []
  const port = await findFreePort()
  const notify = () => {
    const waiting = waiters
    waiters = []
    for (const resolve of waiting) resolve()
  }
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const index = upstream.heads++
    upstream.methods.set(request.method!, (upstream.methods.get(request.method!) ?? 0) + 1)
    upstream.running++
    upstream.peak = Math.max(upstream.peak, upstream.running)
    request.on('error', () => {})
    response.on('error', () => {})
    response.on('close', () => {
      upstream.running--
      hanging.delete(response)
      notify()
    })
    notify()
    const fault = await choose(request, index)
    if (fault === 'reset-early') {
      request.socket.resetAndDestroy()
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (!request.complete) return
      upstream.requests.push({ method: request.method!, url: request.url!, body: Buffer.concat(chunks), index })
      notify()
      answer(request, response, fault)
    })
  }
  const answer = (request: IncomingMessage, response: ServerResponse, fault: Fault) => {
    if (fault === 'hang') hanging.add(response)
    else if (fault === 'reset') request.socket.resetAndDestroy()
    else if (fault === 'cut') {
      response.writeHead(200, { 'Content-Length': '10' })
      response.write('abc', () => request.socket.resetAndDestroy())
    } else if (fault === 'close') {
      response.setHeader('Content-Length', '2')
      response.setHeader('Connection', 'keep-alive')
      response.end('ok', () => request.socket.end())
    } else {
      response.statusCode = typeof fault === 'number' ? fault : 200
      response.end(typeof fault === 'number' ? String(fault) : 'ok')
    }
  }
  let server = createServer()
  const open = async () => {
    server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => void serve(request, response))
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    })
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  }
  const kill = async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.resetAndDestroy()
    await closed
  }
  const upstream: FaultyUpstream = {
    port,
    heads: 0,
    methods: new Map(),
    requests: [],
    running: 0,
    peak: 0,
    release() {
      for (const response of hanging) response.end('ok')
    },
    async until(seen) {
      while (!seen(upstream)) await new Promise<void>((resolve) => waiters.push(resolve))
    },
    kill,
    open,
  }
  await open()
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return upstream
}
