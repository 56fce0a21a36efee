/** The endpoints behind a fuzzed gateway: well and badly behaved ones, by path, that keep what each client's requests came to. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, METHODS, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { makeResponse } from './grammar.ts'
import { mutate } from './mutation.ts'
import { Random } from './random.ts'

/** A request as it came to an endpoint. */
export type Sighting = {
  readonly method: string
  readonly target: string
  /** All of it; undefined where its end never came, or nobody waited for it. */
  body: Buffer | undefined
}

const LARGE = Buffer.alloc(200_000, 'x')
const SLOW_MS = 5

/** No path before these has an effect on others behind it. */
export class ConnectionEndpoints {
  readonly #server: Server
  readonly #sightings = new Map<string, Sighting[]>()
  /** A server cannot close those that were upgraded. */
  readonly #sockets = new Set<Socket>()
  #total = 0
  #complaint: string | undefined

  constructor() {
    this.#server = createServer({ insecureHTTPParser: false, keepAliveTimeout: 60_000, maxHeaderSize: 2 ** 20 })
    this.#server.maxHeadersCount = 0
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      readAnyMethod(socket)
    })
    this.#server.on('request', (request, response) => this.#answer(request, response))
    this.#server.on('checkContinue', (request, response) => this.#answer(request, response))
    this.#server.on('checkExpectation', (request, response) => this.#answer(request, response))
    this.#server.on('upgrade', (request, socket) => this.#upgrade(request, socket))
    this.#server.on('connect', (request, socket) => {
      this.#complain(`CONNECT ${request.url}`)
      socket.destroy()
    })
    this.#server.on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket) => {
      const packet = error.rawPacket?.toString('latin1') ?? ''
      const isMethod = error.code === 'HPE_INVALID_METHOD' && ANY_LINE.test(packet)
      // A request that is cut is one whose client has gone.
      if (error.code?.startsWith('HPE_') && error.code !== 'HPE_INVALID_EOF_STATE' && !isMethod) {
        this.#complain(`${error.code} for ${JSON.stringify(packet.slice(0, 500))}`)
      }
      socket.destroy()
    })
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  /** Requests so far, those of the control clients left out. */
  get total(): number {
    return this.#total
  }

  /** What came that no gateway may send; undefined where all was right. */
  get complaint(): string | undefined {
    return this.#complaint
  }

  /** What came from the client of this address since it was last asked. */
  take(client: string): readonly Sighting[] {
    const seen = this.#sightings.get(client) ?? []
    this.#sightings.delete(client)
    return seen
  }

  /** Clients whose requests nobody asked for. */
  get others(): Iterable<string> {
    return this.#sightings.keys()
  }

  #complain(what: string): void {
    this.#complaint ??= what
  }

  /** Undefined for control requests, which come from nobody. */
  #note(request: IncomingMessage): Sighting | undefined {
    readers.get(request.socket)?.begin(request)
    const { url: target = '', headers } = request
    const method = findMethod(request)
    if (target.startsWith('/control/')) return undefined
    this.#total++
    const client = String(headers['x-forwarded-for'])
    const sighting: Sighting = { method, target, body: undefined }
    // The address of a client that reset its connection before it was read is not known any more.
    if (client === '') return sighting
    const seen = this.#sightings.get(client)
    if (seen) seen.push(sighting)
    else this.#sightings.set(client, [sighting])
    return sighting
  }

  #upgrade(request: IncomingMessage, socket: Duplex): void {
    this.#note(request)
    readers.get(request.socket)?.leave()
    socket.on('error', () => {})
    switch (pathOf(request)) {
      case '/ws':
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
        socket.on('data', (chunk: Buffer) => socket.write(chunk))
        socket.on('end', () => socket.end())
        return
      case '/ws-other':
        socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nbytes')
        return
      case '/ws-silent':
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
        socket.pause()
        return
      case '/ws-refused':
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
        return
      default:
        socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const sighting = this.#note(request)
    request.on('error', () => {})
    response.on('error', () => {})
    const { socket } = request
    const path = pathOf(request)
    switch (path) {
      case '/reset':
        socket.resetAndDestroy()
        return
      case '/cut':
        response.writeHead(200, { 'Content-Length': 100 })
        response.write('half', () => socket.destroy())
        return
      case '/silent':
        return
      case '/early':
        response.writeHead(200, { 'Content-Length': 5 }).end('early')
        request.resume()
        return
      case '/early-close':
        response.writeHead(413, { 'Content-Length': 5, Connection: 'close' }).end('early')
        return
      case '/counted':
        response.writeHead(200, { 'Content-Length': 7 }).end('counted')
        return
      case '/chunked':
        response.writeHead(200, request.method === 'HEAD' ? {} : { Trailer: 'X-T' })
        response.write('chunk')
        response.addTrailers({ 'X-T': '1' })
        response.end('ed')
        return
      case '/none':
        response.writeHead(204).end()
        return
      case '/redirected':
        response.writeHead(304, { ETag: '"a"' }).end()
        return
      case '/interim':
        response.writeContinue()
        response.writeEarlyHints({ link: '</a>; rel=preload' })
        response.writeHead(200, { 'Content-Length': 2 }).end('ok')
        return
      case '/slow':
        response.writeHead(200, { 'Content-Length': 4 })
        response.write('sl')
        setTimeout(() => response.end('ow'), SLOW_MS)
        return
      case '/large':
        response.writeHead(200, { 'Content-Length': LARGE.length }).end(LARGE)
        return
    }
    if (path.startsWith('/answer/')) {
      const random = new Random(Number(path.slice('/answer/'.length)))
      const bytes = mutate(makeResponse(random, random.pick([10, 100])), random.below(3), random)
      request.resume()
      socket.write(bytes)
      // Whether the answer ends there is for the gateway to find out.
      if (random.oneIn(2)) socket.end()
      else setTimeout(() => socket.destroy(), SLOW_MS)
      return
    }
    this.#echo(request, response, sighting)
  }

  #echo(request: IncomingMessage, response: ServerResponse, sighting: Sighting | undefined): void {
    if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue()
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (!request.complete) return
      const body = Buffer.concat(chunks)
      if (sighting) sighting.body = body
      response.end(`${findMethod(request)} ${request.url} ${body.length}`)
    })
  }
}

/** node:http refuses the methods that it does not know; the gateway passes on any, and sends each request line in one piece. */
type MethodReader = { begin(request: IncomingMessage): void; leave(): void }

const readers = new WeakMap<Socket, MethodReader>()
const KNOWN = new Set(METHODS)
/** Of requests that node:http was given another method for. */
const methods = new WeakMap<IncomingMessage, string>()
/** A request line, also behind the end of a body that was answered before it had come. */
const ANY_LINE = /[\w!#$%&'*+.^`|~-]{1,64} \/[^ ]* HTTP\/1\.1\r\n/

function readAnyMethod(socket: Socket): void {
  const parse = socket.listeners('data').at(-1) as (bytes: Buffer) => void
  let request: IncomingMessage | undefined
  let replaced: string | undefined
  let isInHead = false
  const onData = (bytes: Buffer): void => {
    const isBegin = !isInHead && (request === undefined || request.complete)
    const method = isBegin ? /^[^ \r\n]+(?= )/.exec(bytes.toString('latin1', 0, 65))?.[0] : undefined
    const isUnknown = method !== undefined && !KNOWN.has(method)
    if (isBegin) replaced = isUnknown ? method : undefined
    isInHead ||= isBegin
    parse.call(socket, isUnknown ? Buffer.concat([Buffer.from('POST'), bytes.subarray(method.length)]) : bytes)
  }
  socket.off('data', parse).on('data', onData)
  readers.set(socket, {
    begin(next) {
      request = next
      isInHead = false
      if (replaced !== undefined) methods.set(next, replaced)
      replaced = undefined
    },
    leave: () => socket.off('data', onData),
  })
}

function findMethod(request: IncomingMessage): string {
  return methods.get(request) ?? request.method!
}

function pathOf({ url = '' }: IncomingMessage): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}
